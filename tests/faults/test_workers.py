"""Workers that are killed, or frozen and revived after others have taken their work: everything is done, and once."""

from __future__ import annotations

import contextlib
import signal
import sqlite3
import time
from datetime import UTC, datetime

import sqlalchemy as sa

from engine import audit, batches, cases
from engine.application import Application
from engine.audit import Actor
from engine.db import Database
from engine.jobs import failed_job
from engine.procedures import Version
from engine.settings import Settings
from tests.faults.load import deploy_chain
from tests.faults.processes import Command, Haste, until

HENAN = "410000"
# A job is tried five times, and each death counts as one.
STRIKES = 3


def test_workers_killed_and_frozen_do_everything_once(database, world, scale, tell):
    url, actor = database.url.render_as_string(hide_password=False), world[HENAN].actor("operator")
    application = Application(Settings(database_url=url))
    version = deploy_chain(database, datetime.now(UTC))
    workers, batch_ids = Workers(database, url), []
    try:
        for number in range(scale(1, 12)):
            batch_id = begin(database, application, actor, version, scale(80, 250))
            for strike in range(STRIKES):
                if not workers.wait_for_progress(batch_id):
                    break
                (workers.freeze if (number + strike) % 2 else workers.kill)(batch_id)
            until(lambda batch_id=batch_id: state(database, batch_id)[1], patience=120)
            batch_ids.append(batch_id)
        assert workers.end() == {0}
    finally:
        workers.kill_all()
        application.close()
    assert_done_once(database)
    tell(batches=len(batch_ids), killed=workers.killed, frozen=workers.frozen, taken_over=workers.taken_over)


def begin(database: Database, application: Application, actor: Actor, version: Version, size: int) -> int:
    """Start that many cases, and have their first steps decided in the background."""
    at = datetime.now(UTC)
    with database.transaction() as connection:
        started = [cases.start_plain(connection, actor, version, {}, at=at) for _ in range(size)]
    with database.transaction() as connection:
        tasks = connection.scalars(sa.select(cases.task.c.id).where(cases.task.c.case_id.in_(started))).all()
        return batches.begin(connection, application.jobs, actor, tasks, {"result": "agree"}, at=at)


def state(database: Database, batch_id: int) -> tuple[int, bool]:
    """How many of a batch's tasks are done, and whether it is finished."""
    items = batches.batch_item.c
    done = sa.select(sa.func.count()).where(items.batch_id == batch_id, items.state != "pending").scalar_subquery()
    with database.reading() as connection:
        row = connection.execute(
            sa.select(done, batches.batch.c.finished_at).where(batches.batch.c.id == batch_id)
        ).one()
    return row[0], row[1] is not None


def assert_done_once(database: Database) -> None:
    with database.reading() as connection:
        states = connection.scalars(sa.select(batches.batch_item.c.state)).all()
        entries = connection.execute(
            sa.select(audit.audit_entry.c.subject_id, sa.func.count())
            .where(audit.audit_entry.c.action == "task.completed")
            .group_by(audit.audit_entry.c.subject_id)
        ).all()
        aside = connection.scalars(sa.select(failed_job.c.error).where(failed_job.c.set_aside)).all()
    assert set(states) == {"done"}
    assert len(entries) == len(states)
    assert {count for _, count in entries} == {1}
    assert aside == []


class Workers:
    """Two workers, and others in the place of those that were struck."""

    def __init__(self, database: Database, url: str) -> None:
        self.killed = self.frozen = self.taken_over = 0
        self._database, self._url = database, url
        self._living: list[Command] = []
        self._icy: list[Command] = []
        for _ in range(2):
            self._start()

    def _start(self) -> None:
        self._living.append(Command("worker", fault=Haste(0.1), database_url=self._url))

    def wait_for_progress(self, batch_id: int) -> bool:
        """Until somebody works on it. False where it was finished before."""
        before, _finished = state(self._database, batch_id)

        def goes_on() -> bool:
            done, finished = state(self._database, batch_id)
            return finished or done > before + 3

        until(goes_on, 0.005, 40)
        return not state(self._database, batch_id)[1]

    def kill(self, batch_id: int) -> None:
        if holder := self._holder(batch_id):
            holder.kill()
            self._living.remove(holder)
            self.killed += 1
            self._start()

    def freeze(self, batch_id: int) -> None:
        """Until another one has taken its work, or for three seconds."""
        if holder := self._holder(batch_id):
            self._stop_between_transactions(holder)
            self._living.remove(holder)
            self._icy.append(holder)
            self.frozen += 1
            self._start()
            end = time.monotonic() + 3
            while time.monotonic() < end and self._executor(batch_id) in (None, holder.process.pid):
                time.sleep(0.02)
            self.taken_over += self._executor(batch_id) not in (None, holder.process.pid)
            self.revive_all()

    def _stop_between_transactions(self, worker: Command) -> None:
        """On SQLite a frozen writer would stop all others, and nobody could take anything over."""
        for _ in range(20):
            worker.send(signal.SIGSTOP)
            if not self._is_locked():
                return
            worker.send(signal.SIGCONT)
            time.sleep(0.003)
        worker.send(signal.SIGSTOP)

    def _is_locked(self) -> bool:
        if not self._database.is_sqlite:
            return False
        with contextlib.closing(sqlite3.connect(self._database.url.database, timeout=0.1)) as connection:
            try:
                connection.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError:
                return True
            return False

    def revive_all(self) -> None:
        for worker in self._icy:
            worker.send(signal.SIGCONT)
        self._living += self._icy
        self._icy = []

    def end(self) -> set[int | None]:
        return {worker.end() for worker in self._living}

    def kill_all(self) -> None:
        for worker in self._living + self._icy:
            worker.kill()

    def _holder(self, batch_id: int) -> Command | None:
        pid = self._executor(batch_id)
        return next((worker for worker in self._living if worker.process.pid == pid), None)

    def _executor(self, batch_id: int) -> int | None:
        """The process that has the batch's job, by its name in the table of DBOS."""
        table = "workflow_status" if self._database.is_sqlite else "dbos.workflow_status"
        asked = sa.text(f"SELECT executor_id FROM {table} WHERE status = 'PENDING' AND workflow_uuid LIKE :job")
        with self._database.reading() as connection:
            name = connection.scalar(asked, {"job": f"{batches.JOB}:{batch_id}%"})
        return int(name.split("-")[-2]) if name else None
