"""A disk that fills up: what was acknowledged is stored, the rest refused, and it goes on when there is room."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from engine import transfers
from engine.db import Database
from tests.conftest import create_tables
from tests.faults.load import Ledger, assert_kept, at_work, deploy_chain, token_of
from tests.faults.processes import Served, SmallFiles, until
from tests.faults.test_outage import own_server, url_of
from tests.integration import world as worlds

HENAN = "410000"
MEGABYTE = 1024 * 1024
WHERE = "In the long form alone, and where a small disk may be mounted."


@pytest.fixture
def small_disk() -> Iterator[Path | None]:
    """A disk in memory that can be filled; None where nothing may be mounted."""
    folder = Path("/tmp") / f"xueji-disk-{os.getpid()}"
    folder.mkdir()
    is_mounted = _runs("mount", "-t", "tmpfs", "-o", "size=400m", "tmpfs", str(folder))
    yield folder if is_mounted else None
    if is_mounted:
        subprocess.run(["umount", "--lazy", folder], check=True)
    folder.rmdir()


def _runs(*words: str) -> bool:
    return shutil.which(words[0]) is not None and subprocess.run(words, capture_output=True).returncode == 0


def fill(disk: Path, leaving: int) -> Path:
    """Fill the disk but for so many bytes. Answers what to remove to make room again."""
    ballast = disk / "ballast"
    with ballast.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, shutil.disk_usage(disk).free - leaving)
    return ballast


def prepare(url: str) -> tuple[Database, str]:
    create_tables(url)
    transfers.register()
    database = Database(url)
    at = datetime.now(UTC)
    world = worlds.build(database, at)
    deploy_chain(database, at)
    return database, token_of(database, world[HENAN].actor("operator"))


def test_sqlite_on_a_full_disk(small_disk: Path | None, scale: Any, tell: Any) -> None:
    if small_disk is None or not scale(0, 1):
        pytest.skip(WHERE)
    database, token = prepare(f"sqlite:///{small_disk / 'xueji.db'}")
    with served_from(database) as served:
        served.start()
        ballast = fill(small_disk, 2 * MEGABYTE)
        with at_work(served.port, token, programs=4) as ledger:
            until(lambda: ledger.statuses[503] > 200)
            full = assert_kept(database, ledger)
            ballast.unlink()
            go_on(ledger)
        assert_kept(database, ledger)
    tell(completions_until_full=full.completions, refused_with_503=ledger.statuses[503], lost=0)


def test_sqlite_with_a_limit_on_the_size_of_files(tmp_path: Path, scale: Any, tell: Any) -> None:
    path = tmp_path / "xueji.db"
    database, token = prepare(f"sqlite:///{path}")
    database.dispose()
    with served_from(database) as served:
        served.start(SmallFiles(path.stat().st_size + 2 * MEGABYTE))
        with at_work(served.port, token, programs=4) as ledger:
            until(lambda: ledger.statuses[503] > scale(10, 200))
            full = assert_kept(database, ledger)
            served.stop()
            served.start()
            go_on(ledger)
        assert_kept(database, ledger)
    tell(completions_until_full=full.completions, refused_with_503=ledger.statuses[503], lost=0)


@contextmanager
def served_from(database: Database) -> Iterator[Served]:
    served = Served(database.url.render_as_string(hide_password=False))
    try:
        yield served
    finally:
        served.stop()
        database.dispose()


def test_postgresql_on_a_full_disk(small_disk: Path | None, not_here: Any, scale: Any, tell: Any) -> None:
    if small_disk is None or not scale(0, 1):
        pytest.skip(WHERE)
    with own_server(small_disk / "server", not_here) as server:
        database, token = prepare(url_of(server))
        with served_from(database) as served:
            served.start()
            with at_work(served.port, token, programs=4) as ledger:
                until(lambda: len(ledger.tasks) > 20)
                ballast = fill(small_disk, MEGABYTE)
                until(lambda: ledger.statuses[503] > 200, patience=120)
                ballast.unlink()
                # It may have given up, when it could not even write its own log.
                server.start()
                full = len(ledger.tasks)
                database.dispose()
                go_on(ledger)
            assert_kept(database, ledger)
    tell(completions_until_full=full, refused_with_503=ledger.statuses[503], lost=0)


def go_on(ledger: Ledger) -> None:
    before = len(ledger.tasks)
    until(lambda: len(ledger.tasks) > before + 20)
