"""The floor of whole transfers: every row that ours wrote, written again by the bare driver into a twin database.

The twin begins as the same world and is written to in the same order, so that it gives rows the same ids.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import sqlalchemy as sa

from engine import db
from engine.application import Application
from engine.bench.floor import driver_of
from engine.db import Database

_WRITES = ("INSERT", "UPDATE", "DELETE")
# One row's statement in the driver's words, and its values; None is a commit.
_Statement = tuple[str, Any] | None


class Twin:
    """What an application has written since the last `replay`, and a bare connection to where it is written again."""

    def __init__(self, database: Database) -> None:
        self._is_sqlite = database.is_sqlite
        self._driver = driver_of(database)
        self._statements: list[_Statement] = []

    @contextmanager
    def listening(self, application: Application) -> Iterator[None]:
        """Note down every row that the application writes."""
        engine = application.database.engine

        def note(sql: str, values: Any) -> None:
            if sql.startswith(_WRITES):
                self._statements.append((sql, values))

        def executed(_c: Any, _cursor: Any, sql: str, values: Any, _context: Any, executemany: bool) -> None:
            for one in values if executemany else [values]:
                note(sql, one)

        def committed(_connection: Any) -> None:
            if self._statements and self._statements[-1] is not None:
                self._statements.append(None)

        sa.event.listen(engine, "before_cursor_execute", executed)
        sa.event.listen(engine, "commit", committed)
        try:
            yield
        finally:
            sa.event.remove(engine, "before_cursor_execute", executed)
            sa.event.remove(engine, "commit", committed)

    def replay(self) -> None:
        """Write it all, one statement after the other, with the same commits."""
        begun = False
        for statement in self._statements:
            if statement is None:
                self._driver.commit()
                begun = False
                continue
            if self._is_sqlite and not begun:
                self._driver.execute("BEGIN IMMEDIATE")
            begun = True
            self._driver.execute(*statement)
        self._statements.clear()

    def close(self) -> None:
        self._driver.close()


def differing(one: Database, other: Database) -> Mapping[str, tuple[int, int]]:
    """The tables that do not have as many rows in both."""
    found = {}
    for table in db.metadata.sorted_tables:
        counts = []
        for database in (one, other):
            with database.reading() as connection:
                counts.append(connection.scalar(sa.select(sa.func.count()).select_from(table)) or 0)
        if counts[0] != counts[1]:
            found[table.name] = (counts[0], counts[1])
    return found
