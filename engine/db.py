"""The database: one `Database` per URL, one metadata for all tables, transactions that are safe on both dialects."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import psycopg
import sqlalchemy as sa
from sqlalchemy.engine import URL, Connection, Dialect, Engine, make_url

from engine.wire import Rows, Wire

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


# Parameters are children's data; an error that is logged must not carry them. Transactions have always ended when their
# connection is given back.
_ALWAYS: dict[str, Any] = {"hide_parameters": True, "pool_reset_on_return": None}


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
        self._writing = threading.Lock()
        # A reader's statements are each their own transaction, which saves beginning and ending one.
        alone: dict[str, Any] = {"isolation_level": "AUTOCOMMIT"}
        if self.is_sqlite:
            # Whoever waits to write looks for himself.
            self.engine = _sqlite(self.url, "busy_timeout=0")
            self._reader = _sqlite(self.url, "query_only=ON", **alone)
            sa.event.listen(self.engine, "begin", _begin_sqlite)
        else:
            # Whenever a transaction is rolled back, the driver drops whatever is prepared, ours with its own.
            self.engine = _postgresql(self.url, connect_args={"prepare_threshold": None})
            # Beside whatever options the address itself has.
            options = f"{self.url.query.get('options', '')} -c default_transaction_read_only=on".strip()
            self._reader = _postgresql(self.url, connect_args={"options": options}, **alone)

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """A writing transaction: committed when the block ends, rolled back when it raises."""
        with self._turn(), self.engine.connect() as connection, connection.begin():
            yield connection

    @contextmanager
    def _turn(self) -> Iterator[None]:
        """On SQLite one thread of this process at a time: whoever waits for the file itself sleeps and tries again."""
        if not self.is_sqlite:
            yield
            return
        in_time = self._writing.acquire(timeout=_WAIT_SECONDS)
        try:
            # After so long a wait the file will say that it is locked, as it does to other processes.
            yield
        finally:
            if in_time:
                self._writing.release()

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """For reading alone: the database refuses to write here."""
        with self._reader.connect() as connection:
            yield connection

    def dispose(self) -> None:
        self.engine.dispose()
        self._reader.dispose()


def fixed(value: Any) -> sa.ColumnElement[Any]:
    """A value that is written into the statement, and so is no parameter; ids and codes only.

    Of a statement seen often PostgreSQL makes one plan for all values, as if the ministry had no more cases than a
    village school.
    """
    return sa.literal(value, literal_execute=True)


# In the `info` of a connection of the driver.
_WIRE = "wire"
_CURSOR = "cursor"

# PostgreSQL ------------------------------------------------------------------------------------------------------

# Idle for so long, a connection is tried before its use: it may have died with the server, or on a firewall.
_IDLE_SECONDS = 10.0


def _postgresql(url: URL, **more: Any) -> Engine:
    engine = sa.create_engine(url, pool_size=8, max_overflow=8, **_ALWAYS, **more)
    sa.event.listen(engine, "checkin", _put_back)
    sa.event.listen(engine, "checkout", partial(_ping_if_idle, engine))
    sa.event.listen(engine, "connect", _lay_wire)
    # What SQLAlchemy itself asks a server first is asked before there is a wire.
    sa.event.listen(engine, "connect", partial(_listen, engine), once=True)
    return engine


def _lay_wire(driver: Any, record: Any) -> None:
    record.info[_WIRE] = Wire(driver)


def _listen(engine: Engine, *_: Any) -> None:
    for statement in ("do_execute", "do_executemany", "do_execute_no_params"):
        sa.event.listen(engine, statement, _clear_before)
    sa.event.listen(engine, "commit", partial(_on_wire, act=Wire.commit))
    sa.event.listen(engine, "rollback", partial(_on_wire, act=Wire.forget))


def _clear_before(*arguments: Any) -> None:
    """What SQLAlchemy executes by itself comes after what was kept."""
    clear(arguments[-1].root_connection)


def _put_back(driver: Any, record: Any) -> None:
    record.info["idle_since"] = time.monotonic()
    wire: Wire | None = record.info.get(_WIRE)
    if driver is None or wire is None:
        return
    # Whoever takes it next must find nothing of a transaction whose end was interrupted.
    wire.forget()
    if not wire.is_at_rest:
        record.invalidate()


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

# For another writer.
_WAIT_SECONDS = 30
_SHORTEST_PAUSE, _LONGEST_PAUSE = 0.0001, 0.005


def _sqlite(url: URL, *pragmas: str, **more: Any) -> Engine:
    engine = sa.create_engine(url, connect_args={"timeout": _WAIT_SECONDS}, **_ALWAYS, **more)
    sa.event.listen(engine, "connect", partial(_prepare_sqlite, pragmas))
    sa.event.listen(engine, "checkin", _end_transaction)
    return engine


def _end_transaction(driver: Any, _record: Any) -> None:
    """Where one was interrupted as it began, or its end was refused, nobody else must find it, or wait for its lock."""
    if driver is not None and driver.in_transaction:
        driver.rollback()


def _prepare_sqlite(pragmas: Sequence[str], driver: Any, record: Any) -> None:
    # The driver's own transactions begin too late for `BEGIN IMMEDIATE`; SQLAlchemy's begin event takes over.
    driver.isolation_level = None
    always = ("journal_mode=WAL", "synchronous=FULL", f"busy_timeout={1000 * _WAIT_SECONDS}", "foreign_keys=ON")
    for pragma in (*always, *pragmas):
        driver.execute(f"PRAGMA {pragma}")
    # Making one takes longer than some statements.
    record.info[_CURSOR] = driver.cursor()


def _begin_sqlite(connection: Connection) -> None:
    # A read followed by a write in a deferred transaction fails at once when somebody else wrote between the two,
    # whatever the timeout, so a writer takes its lock first.
    begun = time.monotonic()
    while True:
        try:
            execute(connection, "BEGIN IMMEDIATE")
        except sa.exc.OperationalError as error:
            waited = time.monotonic() - begun
            if not _is_busy(error) or waited > _WAIT_SECONDS:
                raise
        else:
            return
        # SQLite itself would sleep ever longer, while others come and go.
        time.sleep(min(max(_SHORTEST_PAUSE, waited / 20), _LONGEST_PAUSE))


def _is_busy(error: sa.exc.OperationalError) -> bool:
    """Whether somebody else writes."""
    return getattr(error.orig, "sqlite_errorname", "").startswith("SQLITE_BUSY")


# Any driver ------------------------------------------------------------------------------------------------------

_SAVEPOINT = "SAVEPOINT attempt"


@contextmanager
def savepoint(connection: Connection) -> Iterator[None]:
    """What is written in the block is undone when it raises; the transaction itself goes on.

    What was kept before is sent with the block's first statement, and its refusal is the whole transaction's.
    """
    keep(connection, _SAVEPOINT)
    try:
        yield
        if _unkeep(connection, _SAVEPOINT, alone=True):
            return
        clear(connection)
    except BaseException:
        if not connection.invalidated and not _unkeep(connection, _SAVEPOINT, alone=False):
            keep(connection, f"ROLLBACK TO {_SAVEPOINT}")
            keep(connection, f"RELEASE {_SAVEPOINT}")
        raise
    keep(connection, f"RELEASE {_SAVEPOINT}")


def execute(connection: Connection, sql: str, values: Sequence[Any] = (), *, last: bool = False) -> Sequence[Any]:
    """Have the driver itself execute a statement in its own words. Answers its rows.

    After the `last` one of a transaction nothing may follow that could still fail: on PostgreSQL it is over then.
    Raises what SQLAlchemy would raise, as `keep` and `clear` do.
    """
    _tell(connection, sql, values)
    info = connection.connection.info
    try:
        if wire := info.get(_WIRE):
            return wire.ask(sql, values, last=last)  # type: ignore[no-any-return]
        return info[_CURSOR].execute(sql, values).fetchall()  # type: ignore[no-any-return]
    except connection.dialect.loaded_dbapi.Error as error:
        raise _translated(connection, sql, error) from error
    except BaseException:
        _interrupted(connection)
        raise


def keep(
    connection: Connection, sql: str, values: Sequence[Any] = (), then: Callable[[Rows], None] | None = None
) -> None:
    """Execute a statement at the latest before the next one, or when the transaction ends.

    On PostgreSQL it travels with that, and what the database has against it is raised there. If it has rows, `then` is
    handed them, at the same time; what that raises is raised there, too.
    """
    _tell(connection, sql, values)
    info = connection.connection.info
    try:
        if wire := info.get(_WIRE):
            wire.keep(sql, values, then)
        else:
            answered = info[_CURSOR].execute(sql, values)
            if then:
                then(answered.fetchall())
    except connection.dialect.loaded_dbapi.Error as error:
        raise _translated(connection, sql, error) from error


def clear(connection: Connection) -> None:
    """Execute now what is kept."""
    _on_wire(connection, Wire.clear)


def _on_wire(connection: Connection, act: Callable[[Wire], None]) -> None:
    if connection.invalidated:
        return
    try:
        if wire := connection.connection.info.get(_WIRE):
            act(wire)
    except connection.dialect.loaded_dbapi.Error as error:
        raise _translated(connection, "what was kept", error) from error
    except BaseException:
        _interrupted(connection)
        raise


def _interrupted(connection: Connection) -> None:
    """What was interrupted while it talked to the server can not be used again, not even to roll back."""
    wire: Wire | None = connection.connection.info.get(_WIRE)
    if wire is not None and wire.is_closed:
        connection.invalidate()


def _unkeep(connection: Connection, sql: str, *, alone: bool) -> bool:
    wire: Wire | None = connection.connection.info.get(_WIRE)
    return wire is not None and wire.unkeep(sql, alone=alone)


def _tell(connection: Connection, sql: str, values: Sequence[Any]) -> None:
    """Whoever listens to SQLAlchemy's statements hears these, too."""
    for listener in connection.dispatch.before_cursor_execute:
        listener(connection, None, sql, values, None, False)


def _translated(connection: Connection, sql: str, error: Any) -> Exception:
    """As SQLAlchemy would raise it. Of a connection that is gone it is told."""
    gone = connection.dialect.is_disconnect(error, connection.connection.driver_connection, None)
    if gone:
        connection.invalidate(error)
    translated: Exception = sa.exc.DBAPIError.instance(
        sql, None, error, connection.dialect.loaded_dbapi.Error, hide_parameters=True,
        connection_invalidated=gone, dialect=connection.dialect,
    )  # fmt: skip
    return translated
