"""Everything that stands in a database, kept to be put into an empty one: faster than to write it again."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Hashable
from contextlib import closing
from copy import deepcopy
from dataclasses import dataclass
from typing import Any, TypeVar

import psycopg
import sqlalchemy as sa
from psycopg import sql

from engine.audit import audit_entry
from engine.db import Database

Built = TypeVar("Built")


class SqliteSnapshot:
    """A copy in memory."""

    def __init__(self, database: Database) -> None:
        self._copy = sqlite3.connect(":memory:")
        with _file(database) as file:
            file.backup(self._copy)

    def restore(self, database: Database) -> None:
        with _file(database) as file:
            self._copy.backup(file)


def _file(database: Database) -> closing[sqlite3.Connection]:
    assert database.url.database
    return closing(sqlite3.connect(database.url.database))


@dataclass(frozen=True)
class _Table:
    name: sql.Identifier
    rows: bytes


class PostgresqlSnapshot:
    """The rows of every table that has any, and where the sequences stand."""

    def __init__(self, database: Database) -> None:
        with _connection(database) as connection:
            named = connection.execute(_TABLES).fetchall()
            tables = [_Table(name, _rows(connection, name)) for name in (sql.Identifier(*pair) for pair in named)]
            self._tables = [table for table in tables if table.rows]
            self._sequences = connection.execute(_SEQUENCES).fetchall()

    def restore(self, database: Database) -> None:
        with _connection(database) as connection:
            # Whatever refers to something comes as it was, in any order.
            connection.execute("SET session_replication_role = 'replica'")
            for table in self._tables:
                with connection.cursor().copy(sql.SQL("COPY {} FROM STDIN").format(table.name)) as copy:
                    copy.write(table.rows)
            connection.cursor().executemany("SELECT setval(%s::regclass, %s)", self._sequences)


_TABLES = """
    SELECT schemaname, tablename FROM pg_tables WHERE schemaname NOT IN ('pg_catalog', 'information_schema')
    AND tablename NOT IN ('alembic_version', 'dbos_migrations')
"""
_SEQUENCES = """
    SELECT quote_ident(schemaname) || '.' || quote_ident(sequencename), last_value FROM pg_sequences
    WHERE last_value IS NOT NULL
"""


def _rows(connection: psycopg.Connection[Any], table: sql.Identifier) -> bytes:
    with connection.cursor().copy(sql.SQL("COPY {} TO STDOUT").format(table)) as copy:
        return b"".join(copy)


def _connection(database: Database) -> psycopg.Connection[Any]:
    plain = database.url.set(drivername="postgresql").render_as_string(hide_password=False)
    return psycopg.connect(plain)


_kept: dict[Hashable, tuple[Any, SqliteSnapshot | PostgresqlSnapshot]] = {}


def once(database: Database, name: Hashable, build: Callable[[], Built]) -> Built:
    """What `build` fills an empty database with, and answers: the first time it is called, then it is copied.

    In a database that is not empty it is called again, beside what a test has put there before.
    """
    with database.reading() as connection:
        if connection.execute(sa.select(audit_entry.c.id).limit(1)).first():
            return build()
    key = database.is_sqlite, name
    if key not in _kept:
        built = build()
        _kept[key] = deepcopy(built), SqliteSnapshot(database) if database.is_sqlite else PostgresqlSnapshot(database)
        return built
    known, snapshot = _kept[key]
    snapshot.restore(database)
    return deepcopy(known)  # type: ignore[no-any-return]
