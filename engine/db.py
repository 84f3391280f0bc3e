"""The database: one `Database` per URL, one metadata for all tables, transactions that are safe on both dialects."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Dialect, Engine, make_url

metadata = sa.MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)


class UtcDateTime(sa.types.TypeDecorator[datetime]):
    """An instant. Aware in Python, UTC in the database; SQLite would hand it back without its zone."""

    impl = sa.DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("An instant needs its time zone.")
        return value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class Database:
    """One database and its connections.

    `transaction()` writes, `reading()` reads. Nothing else in the engine commits, so that whatever an operation does
    with the connection it was handed stands or falls together.
    """

    def __init__(self, url: str) -> None:
        self.url = make_url(url)
        self.is_sqlite = self.url.get_backend_name() == "sqlite"
        if self.is_sqlite and self.url.database not in (None, "", ":memory:"):
            Path(self.url.database).parent.mkdir(parents=True, exist_ok=True)
        self.engine: Engine = sa.create_engine(self.url, **self._options())
        if self.is_sqlite:
            sa.event.listen(self.engine, "connect", _prepare_sqlite)
            sa.event.listen(self.engine, "begin", _begin_sqlite)

    def _options(self) -> dict[str, Any]:
        if self.is_sqlite:
            return {"connect_args": {"timeout": 30}}
        # A pool as wide as the server's threads; a connection that died with the server is noticed before its use.
        return {"pool_size": 10, "max_overflow": 20, "pool_pre_ping": True}

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """A writing transaction: committed when the block ends, rolled back when it raises."""
        with self.engine.connect() as connection:
            if self.is_sqlite:
                connection = connection.execution_options(writes=True)
            with connection.begin():
                yield connection

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A consistent view for reading; whatever it writes by mistake is rolled back."""
        with self.engine.connect() as connection:
            yield connection

    def dispose(self) -> None:
        self.engine.dispose()


# A statement and its parameters: one row, several, or none.
Write = tuple[sa.Executable, dict[str, Any] | list[dict[str, Any]] | None]


def write(connection: Connection, writes: list[Write]) -> None:
    """Execute writes whose results nobody needs, on PostgreSQL in one round trip.

    Errors surface when the last of them has been sent, and no row counts come back: compare revisions on rows that the
    transaction has locked, not by counting.
    """
    driver = connection.connection.driver_connection
    pipeline = getattr(driver, "pipeline", None)
    with pipeline() if pipeline and len(writes) > 1 else nullcontext():
        for statement, parameters in writes:
            # Inline: SQLAlchemy would otherwise ask for the key of a single new row, and wait for it.
            connection.execute(statement.inline() if isinstance(statement, sa.Insert) else statement, parameters)


def _prepare_sqlite(dbapi_connection: Any, _record: Any) -> None:
    # The driver's own transactions begin too late for `BEGIN IMMEDIATE`; SQLAlchemy's begin event takes over.
    dbapi_connection.isolation_level = None
    cursor = dbapi_connection.cursor()
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "busy_timeout=30000", "foreign_keys=ON"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    # A read followed by a write in a deferred transaction fails at once when somebody else wrote between the two,
    # whatever the timeout, so a writer takes its lock first.
    immediate = connection.get_execution_options().get("writes")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if immediate else "BEGIN")
