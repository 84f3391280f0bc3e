"""The schema through time. `upgrade` brings any older database up to what this code expects.

DBOS's tables lie beside ours in the same database and look after themselves; nothing here sees them.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy.engine import Connection

import engine
from engine import jobs
from engine.db import Database, metadata

FOLDER = Path(__file__).parent
# Any number, as long as it is always the same: who upgrades holds it, so that two do not upgrade at once.
_UPGRADE_LOCK = 20140110


def upgrade(database: Database) -> None:
    """Create the schema, or bring an older one up to date. All of it, or none; a second time changes nothing.

    Nor is anything changed by an older program beside, or after, a newer one.
    """
    with _exclusively(database) as connection:
        if _is_older(connection):
            command.upgrade(config(connection), "head")
    jobs.create_tables(database)


def suffices(database: Database) -> bool:
    """Whether this code can work with the schema: it is the one that it expects, or a newer one.

    A migration only adds what the code before it does not mind, and a later one takes away what no code uses any more;
    so while a deployment is upgraded, the old code goes on beside the new.
    """
    with database.reading() as connection:
        return not _is_older(connection)


def _is_older(connection: Connection) -> bool:
    found = MigrationContext.configure(connection).get_current_revision()
    return found is None or found in _revisions() - {_head()}


@cache
def _revisions() -> frozenset[str]:
    """Those that this code knows; any other is newer."""
    return frozenset(script.revision for script in ScriptDirectory(str(FOLDER)).walk_revisions())


@cache
def _head() -> str:
    head = ScriptDirectory(str(FOLDER)).get_current_head()
    assert head is not None
    return head


def config(connection: Connection) -> Config:
    """Alembic's configuration, in place of a file: the connection that it works on, and where its scripts are."""
    config = Config()
    config.set_main_option("script_location", str(FOLDER))
    config.attributes["connection"] = connection
    return config


def all_tables() -> sa.MetaData:
    """The metadata with every table of the engine in it, whoever defines it. For comparing, not for upgrading."""
    for module in pkgutil.walk_packages(engine.__path__, "engine."):
        if not module.name.startswith("engine.migrations"):
            importlib.import_module(module.name)
    return metadata


@contextmanager
def _exclusively(database: Database) -> Iterator[Connection]:
    if not database.is_sqlite:
        with database.transaction() as connection:
            connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_UPGRADE_LOCK)))
            yield connection
        return
    # SQLite alters a table by making another and dropping the first; while references are enforced that would take the
    # rows that refer to it along. They can only be switched off before a transaction, so they are checked at its end.
    with database.engine.connect().execution_options(writes=True) as connection:
        driver = connection.connection.driver_connection
        assert driver is not None
        driver.execute("PRAGMA foreign_keys=OFF")
        try:
            with connection.begin():
                yield connection
                broken = connection.exec_driver_sql("PRAGMA foreign_key_check").first()
                if broken:
                    raise RuntimeError(f"The upgrade would leave a reference into nothing: {tuple(broken)}")
        finally:
            driver.execute("PRAGMA foreign_keys=ON")
