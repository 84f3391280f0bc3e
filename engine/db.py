"""The database: one `Database` per URL, one metadata for all tables, transactions that are safe on both dialects."""

from __future__ import annotations

import time
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, Self

import psycopg
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

# What a column of ids can hold; anything above is nobody's.
LARGEST_ID = 2**31 - 1
LARGEST_LONG_ID = 2**63 - 1


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
        if self.is_sqlite:
            self.engine = sa.create_engine(self.url, connect_args={"timeout": 30}, hide_parameters=True)
            self._reader = self.engine
            sa.event.listen(self.engine, "connect", _prepare_sqlite)
            sa.event.listen(self.engine, "begin", _begin_sqlite)
        else:
            self.engine = self._postgresql({"cursor_factory": _Cursor})
            # Each statement its own read-only transaction, which saves the round trips of beginning and ending one; so
            # nothing is left open that a connection would have to be rid of.
            self._reader = self._postgresql(
                {"options": "-c default_transaction_read_only=on"},
                isolation_level="AUTOCOMMIT",
                pool_reset_on_return=None,
            )
        sa.event.listen(self.engine, "before_cursor_execute", _write_first)

    def _postgresql(self, connect_args: dict[str, Any], **more: Any) -> Engine:
        # Parameters are children's data; an error that is logged must not carry them.
        engine = sa.create_engine(
            self.url, pool_size=8, max_overflow=8, hide_parameters=True, connect_args=connect_args, **more
        )
        sa.event.listen(engine, "checkin", _note_idle)
        sa.event.listen(engine, "checkout", partial(_ping_if_idle, engine))
        return engine

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """A writing transaction: committed when the block ends, rolled back when it raises."""
        with self.engine.connect() as plain:
            connection = plain.execution_options(writes=True, pending=[])
            with _pipeline(connection), connection.begin():
                yield connection
                _write_pending(connection)

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """For reading alone: PostgreSQL refuses to write here, and what SQLite would write is rolled back."""
        with self._reader.connect() as connection:
            yield connection

    def dispose(self) -> None:
        self.engine.dispose()
        self._reader.dispose()


# A statement and its parameters: one row, several, or none.
Write = tuple[sa.Executable, dict[str, Any] | list[dict[str, Any]] | None]


def write(connection: Connection, writes: list[Write]) -> None:
    """Write what nobody needs the result of, before the next statement of the transaction or its end.

    On PostgreSQL that takes no round trip of its own. Errors surface where the statements are sent, and no row counts
    come back: compare revisions on rows that the transaction has locked, not by counting.
    """
    connection.get_execution_options()["pending"].extend(writes)


def fixed(value: Any) -> sa.ColumnElement[Any]:
    """A value that is written into the statement, and so is no parameter; ids and codes only.

    Of a statement seen often PostgreSQL makes one plan for all values, as if the ministry had no more cases than a
    village school.
    """
    return sa.literal(value, literal_execute=True)


def _write_pending(connection: Connection) -> None:
    pending: list[Write] = connection.get_execution_options().get("pending", [])
    if not pending:
        return
    writes = pending[:]
    pending.clear()
    with _without_answers(connection.connection.driver_connection):
        for statement, parameters in writes:
            # Inline: SQLAlchemy would otherwise ask for the key of a single new row, and wait for it.
            connection.execute(statement.inline() if isinstance(statement, sa.Insert) else statement, parameters)


def _write_first(connection: Connection, *_: Any) -> None:
    _write_pending(connection)


# PostgreSQL ------------------------------------------------------------------------------------------------------

# Idle for so long, a connection is tried before its use: it may have died with the server, or on a firewall.
_IDLE_SECONDS = 10.0

# The driver's connections that are in a pipeline, and those of them whose present statements need no answer.
_pipelines: weakref.WeakKeyDictionary[Any, psycopg.Pipeline] = weakref.WeakKeyDictionary()
_unanswered: weakref.WeakSet[Any] = weakref.WeakSet()


class _Cursor(psycopg.Cursor[Any]):
    """In a pipeline the driver only queues a statement, but SQLAlchemy asks at once what it answers: so wait for it."""

    def execute(self, *args: Any, **kwargs: Any) -> Self:
        super().execute(*args, **kwargs)
        self._wait()
        return self

    def executemany(self, *args: Any, **kwargs: Any) -> None:
        super().executemany(*args, **kwargs)
        self._wait()

    def _wait(self) -> None:
        pipeline = _pipelines.get(self.connection)
        if pipeline is not None and self.connection not in _unanswered:
            pipeline.sync()


@contextmanager
def _without_answers(driver: Any) -> Iterator[None]:
    if not isinstance(driver, psycopg.Connection):
        yield
        return
    _unanswered.add(driver)
    try:
        yield
    finally:
        _unanswered.discard(driver)


@contextmanager
def _pipeline(connection: Connection) -> Iterator[None]:
    """Let BEGIN travel with the first statement, and pending writes with COMMIT."""
    driver = connection.connection.driver_connection
    if not isinstance(driver, psycopg.Connection):
        yield
        return
    with driver.pipeline() as pipeline:
        _pipelines[driver] = pipeline
        try:
            yield
        finally:
            del _pipelines[driver]


def _note_idle(_driver: Any, record: Any) -> None:
    record.info["idle_since"] = time.monotonic()


def _ping_if_idle(engine: Engine, driver: Any, record: Any, _proxy: Any) -> None:
    if time.monotonic() - record.info.get("idle_since", time.monotonic()) < _IDLE_SECONDS:
        return
    try:
        engine.dialect.do_ping(driver)
    except sa.exc.DBAPIError as error:
        raise sa.exc.DisconnectionError from error
    except psycopg.Error as error:
        raise sa.exc.DisconnectionError from error


# SQLite ----------------------------------------------------------------------------------------------------------


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
