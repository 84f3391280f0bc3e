"""Background work: nothing is lost, nothing is left of what was rolled back, and what keeps failing is set aside."""

from __future__ import annotations

import os
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa

from engine import jobs as jobs_module
from engine.audit import SYSTEM, audit_entry
from engine.db import Database
from engine.errors import Conflict, NotFound
from engine.jobs import ATTEMPTS, Interrupted, Jobs, SignsOfLife, describe, failed_job, failed_jobs, job_process

ROOT = Path(__file__).parents[2]
PATIENCE = 60  # seconds until a test gives up hope; none waits so long when all is well


class Notebook:
    """A handler that writes down what it was asked, and fails as long as it is told to."""

    def __init__(self) -> None:
        self.entries: list[dict[str, Any]] = []
        self.failures = 0
        self.written = threading.Event()

    def __call__(self, arguments: dict[str, Any]) -> None:
        self.entries.append(arguments)
        if self.failures:
            self.failures -= 1
            raise Conflict()
        self.written.set()


@pytest.fixture
def notebook() -> Notebook:
    return Notebook()


@pytest.fixture
def jobs(database: Database, notebook: Notebook, clock: Any) -> Jobs:
    return Jobs(
        database, {"note": notebook}, {"note": 0.05}, clock=clock, pulse_seconds=0.1, poll_seconds=0.05, first_pause=0.0
    )


def enqueue(database: Database, jobs: Jobs, number: int = 1, key: str | None = None) -> None:
    with database.transaction() as connection:
        jobs.enqueue(connection, "note", {"number": number}, key=key)


# ---- what runs


def test_a_job_runs_once_after_the_transaction_that_enqueued_it(
    database: Database, jobs: Jobs, notebook: Notebook
) -> None:
    enqueue(database, jobs, 7)
    assert jobs.run_pending() == 1
    assert jobs.run_pending() == 0
    assert notebook.entries == [{"number": 7}]


def test_no_job_is_left_of_a_transaction_that_was_rolled_back(
    database: Database, jobs: Jobs, notebook: Notebook
) -> None:
    def enqueue_and_fail() -> None:
        with database.transaction() as connection:
            jobs.enqueue(connection, "note", {})
            raise RuntimeError

    with pytest.raises(RuntimeError):
        enqueue_and_fail()
    assert jobs.run_pending() == 0
    assert notebook.entries == []


def test_one_key_is_one_job_even_after_it_ran(database: Database, jobs: Jobs, notebook: Notebook) -> None:
    enqueue(database, jobs, 1, key="message-5")
    enqueue(database, jobs, 2, key="message-5")
    jobs.run_pending()
    enqueue(database, jobs, 3, key="message-5")
    jobs.run_pending()
    assert notebook.entries == [{"number": 1}]


def test_a_name_without_a_handler_is_refused_where_it_is_written(database: Database, jobs: Jobs) -> None:
    with database.transaction() as connection, pytest.raises(LookupError):
        jobs.enqueue(connection, "nothing", {})


# ---- what fails


def test_a_job_that_fails_is_tried_again_and_forgotten_when_it_succeeds(
    database: Database, jobs: Jobs, notebook: Notebook
) -> None:
    notebook.failures = ATTEMPTS - 1
    enqueue(database, jobs)
    jobs.run_pending()
    assert len(notebook.entries) == ATTEMPTS
    with database.reading() as connection:
        assert connection.execute(sa.select(failed_job)).all() == []


def test_a_job_that_fails_every_time_is_set_aside_with_its_error(
    database: Database, jobs: Jobs, notebook: Notebook, clock: Any
) -> None:
    notebook.failures = 100
    enqueue(database, jobs)
    jobs.run_pending()
    assert len(notebook.entries) == ATTEMPTS
    with database.reading() as connection:
        (failed,) = failed_jobs(connection)
    assert (failed.name, failed.arguments, failed.attempts) == ("note", {"number": 1}, ATTEMPTS)
    assert failed.error.startswith("Conflict: This has changed since you opened it.")
    assert failed.failed_at == clock()


def test_an_administrator_tries_it_again(database: Database, jobs: Jobs, notebook: Notebook, clock: Any) -> None:
    notebook.failures = ATTEMPTS
    enqueue(database, jobs)
    jobs.run_pending()
    with database.transaction() as connection:
        (failed,) = failed_jobs(connection)
        jobs.retry(connection, SYSTEM, failed.id, at=clock())
        assert connection.scalars(sa.select(audit_entry.c.action)).all() == ["job.retried"]
        assert failed_jobs(connection) == []
    assert jobs.run_pending() == 1
    with database.transaction() as connection, pytest.raises(NotFound):
        jobs.retry(connection, SYSTEM, failed.id, at=clock())


def test_a_failure_is_counted_as_soon_as_the_database_answers(
    database: Database, jobs: Jobs, notebook: Notebook, monkeypatch: pytest.MonkeyPatch
) -> None:
    notebook.failures = 1
    enqueue(database, jobs)
    begin, absent = database.transaction, iter([True, True, False, False])

    def transaction() -> Any:
        if next(absent, False):
            raise sa.exc.OperationalError("BEGIN", {}, psycopg.OperationalError())
        return begin()

    monkeypatch.setattr(database, "transaction", transaction)
    assert jobs.run_pending() == 2


def test_an_error_is_described_without_the_words_of_others() -> None:
    def refuse() -> None:
        raise ValueError("Key (id_number)=(340104209901010000) already exists.")

    with pytest.raises(ValueError, match="340104") as caught:
        refuse()
    description = describe(caught.value)
    assert description.startswith("ValueError\n")
    assert "refuse" in description
    assert "340104" not in description


def test_of_a_database_the_kind_of_refusal_is_told_and_where_we_asked(database: Database) -> None:
    with pytest.raises(sa.exc.DBAPIError) as caught, database.transaction() as connection:
        connection.execute(sa.text("SELECT '340104209901010000' FROM nowhere"))
    description = describe(caught.value)
    kind = "OperationalError SQLITE_ERROR" if database.is_sqlite else "UndefinedTable 42P01"
    assert f"({kind})" in description
    assert "test_jobs.py" in description
    assert "340104" not in description


def test_whoever_leaves_off_is_gone_on_with_and_has_not_failed(database: Database, clock: Any) -> None:
    done: list[int] = []

    def work(arguments: dict[str, Any]) -> None:
        done.append(len(done))
        if len(done) < 3:
            raise Interrupted

    jobs = Jobs(database, {"note": work}, clock=clock)
    enqueue(database, jobs)
    assert jobs.run_pending() == 3
    with database.reading() as connection:
        assert connection.execute(sa.select(failed_job)).all() == []


# ---- in the background


@pytest.fixture
def started(jobs: Jobs) -> Iterator[Jobs]:
    jobs.start()
    yield jobs
    jobs.stop()


def test_a_started_process_runs_jobs_and_rounds(database: Database, started: Jobs, notebook: Notebook) -> None:
    assert notebook.written.wait(PATIENCE)  # a round, without arguments
    notebook.written.clear()
    enqueue(database, started, 7)
    while {"number": 7} not in notebook.entries:
        assert notebook.written.wait(PATIENCE)
        notebook.written.clear()


def test_a_round_that_fails_is_shown_until_the_next_one_succeeds(
    database: Database, jobs: Jobs, notebook: Notebook
) -> None:
    notebook.failures = 1
    jobs._do_round("note")
    with database.reading() as connection:
        assert [failed.job for failed in failed_jobs(connection)] == ["note:every"]
    jobs._do_round("note")
    with database.reading() as connection:
        assert failed_jobs(connection) == []


def test_who_stops_leaves_no_name_behind(database: Database, jobs: Jobs) -> None:
    jobs.start()
    jobs.stop()
    with database.reading() as connection:
        assert connection.execute(sa.select(job_process)).all() == []


def test_who_stops_while_the_database_is_away_stops(
    database: Database, jobs: Jobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> Any:
        raise sa.exc.OperationalError("BEGIN", {}, psycopg.OperationalError())

    jobs.start()
    with monkeypatch.context() as patch:
        patch.setattr(database, "transaction", fail)
        jobs.stop()


def test_finished_jobs_are_deleted_and_waiting_ones_are_not(
    database: Database, jobs: Jobs, notebook: Notebook, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs_module, "_RETENTION", timedelta(seconds=-60))
    enqueue(database, jobs, 1, key="message-5")
    jobs.run_pending()
    enqueue(database, jobs, 2)
    jobs._tidy()
    enqueue(database, jobs, 3, key="message-5")  # the key went with the job
    jobs.run_pending()
    assert [entry["number"] for entry in notebook.entries] == [1, 2, 3]


def test_whoever_gives_no_new_sign_for_a_while_is_dead_until_he_gives_one() -> None:
    now = 0.0
    signs = SignsOfLife(patience=30, clock=lambda: now)
    for now in (0.0, 10.0, 20.0, 29.0):
        assert signs.living({"old": 41, "new": int(now)}) == {"old", "new"}
    now = 31.0
    assert signs.living({"old": 41, "new": 31}) == {"new"}
    assert signs.living({"old": 42, "new": 31}) == {"old", "new"}


def test_nobody_is_dead_because_we_did_not_listen() -> None:
    now = 0.0
    signs = SignsOfLife(patience=30, clock=lambda: now)
    signs.living({"other": 41})
    now = 100.0
    assert signs.living({"other": 41}) == {"other"}


@pytest.mark.parametrize("away", ["reading", "transaction"])
def test_rounds_go_on_after_the_database_was_away(
    away: str, database: Database, started: Jobs, notebook: Notebook, monkeypatch: pytest.MonkeyPatch
) -> None:
    missed = threading.Event()

    def fail() -> Any:
        missed.set()
        raise sa.exc.OperationalError("BEGIN", {}, psycopg.OperationalError())

    with monkeypatch.context() as patch:
        patch.setattr(database, away, fail)
        assert missed.wait(PATIENCE)
    notebook.written.clear()
    assert notebook.written.wait(PATIENCE)


# ---- processes that die


class Worker:
    """A process of `jobs_worker.py`, and what it says."""

    def __init__(self, database: Database, mood: str) -> None:
        url = database.url.render_as_string(hide_password=False)
        self.process = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("jobs_worker.py")), url, mood],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
        self._lines: queue.Queue[str] = queue.Queue()
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._lines.put(line.strip())

    def hear(self, beginning: str) -> str:
        """The next thing it says that begins so."""
        until = time.monotonic() + PATIENCE
        while not (line := self._lines.get(timeout=PATIENCE)).startswith(beginning):
            assert time.monotonic() < until, f"It says a lot, but nothing that begins with {beginning!r}."
        return line

    def said(self, word: str) -> bool:
        return word in self._lines.queue

    def kill(self) -> None:
        self.process.kill()
        self.leave()

    def leave(self) -> None:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.close()
        self.process.wait(PATIENCE)
        self._reader.join()
        self.process.stdout.close()


@pytest.fixture
def work(database: Database) -> Iterator[Callable[[str], Worker]]:
    """Start a worker, either `willing` or `stubborn`."""
    with database.transaction() as connection:
        connection.exec_driver_sql("CREATE TABLE step_of_test (job integer, step integer)")
    workers: list[Worker] = []

    def start(mood: str) -> Worker:
        workers.append(Worker(database, mood))
        return workers[-1]

    yield start
    for worker in workers:
        if worker.process.returncode is None:
            worker.kill()
    with database.transaction() as connection:
        connection.exec_driver_sql("DROP TABLE step_of_test")


def remote(database: Database) -> Jobs:
    """The same names of handlers as the workers have, to enqueue for them."""
    return Jobs(database, {"write_steps": print, "kill": print})


def test_a_process_that_is_killed_half_way_loses_nothing_and_repeats_nothing(
    database: Database, work: Callable[[str], Worker]
) -> None:
    with database.transaction() as connection:
        for number in range(8):
            remote(database).enqueue(connection, "write_steps", {"job": number})
    stubborn = work("stubborn")
    stubborn.hear("halfway")
    stubborn.kill()
    willing = work("willing")
    done = {willing.hear("done") for _ in range(8)}
    assert len(done) == 8
    willing.leave()
    with database.reading() as connection:
        steps = connection.exec_driver_sql("SELECT job, step FROM step_of_test ORDER BY job, step").all()
        assert [tuple(step) for step in steps] == [(job, step) for job in range(8) for step in range(4)]
        assert failed_jobs(connection) == []
        assert connection.execute(sa.select(job_process)).all() == []


def test_a_job_that_kills_its_process_is_set_aside(database: Database, work: Callable[[str], Worker]) -> None:
    with database.transaction() as connection:
        remote(database).enqueue(connection, "kill", {})
    for _ in range(2):
        victim = work("willing")
        victim.hear("dying")
        victim.leave()
    survivor = work("willing")
    with database.transaction() as connection:
        remote(database).enqueue(connection, "write_steps", {"job": 1})
    survivor.hear("done")
    failed: Sequence[Any] = []
    for _ in range(1000):  # ticks of 50 ms
        survivor.hear("tick")
        with database.reading() as connection:
            failed = failed_jobs(connection)
        if failed:
            break
    assert [(job.name, job.attempts) for job in failed] == [("kill", 2)]
    survivor.leave()


def test_the_eldest_process_makes_the_rounds_until_it_dies(database: Database, work: Callable[[str], Worker]) -> None:
    eldest = work("willing")
    eldest.hear("tick")
    younger = work("willing")
    younger.hear("started")
    for _ in range(5):
        eldest.hear("tick")
    assert not younger.said("tick")
    eldest.kill()
    younger.hear("tick")
    younger.leave()
