"""Background work, durable in the same database: what is enqueued in a transaction runs if it commits, and only then.

This is the only door to DBOS. A job runs at least once: a process that dies leaves its jobs half done, and another one
runs them again from the start. So a handler opens its own transactions, and guards what it changes by its own rows (a
deadline has fired, or has not). Arguments are ids and codes, never personal data, since they stay for a while.

What DBOS leaves to its users is done here. Every process has a name of its own and gives signs of life; the eldest
living one runs the periodic work, hands on the jobs of the dead and deletes what is finished; and a job that fails
again and again is set aside for an administrator.
"""

from __future__ import annotations

import logging
import os
import socket
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa
from dbos import DBOS, DBOSClient, DBOSConfig, DBOSPortableJSONSerializer, EnqueueOptions, WorkflowStatus
from sqlalchemy.engine import Connection, Row

from engine import audit, logs, metrics
from engine.audit import Actor
from engine.db import Database, UtcDateTime, metadata
from engine.errors import N_, NotFound, describe
from engine.outages import is_outage

Handler = Callable[[dict[str, Any]], None]

# So often a job is tried before it is set aside; the pause before the n-th repetition is 10 s · 4ⁿ⁻¹, a quarter of an
# hour in all: longer than a restart of the database, shorter than an office's patience.
ATTEMPTS = 5
_FIRST_PAUSE = 10.0
# Finished jobs, and with them their keys, are kept so long.
_RETENTION = timedelta(days=7)
_APPLICATION = "xueji"
_QUEUE = "xueji"
_WORKFLOW = "job"
# How many jobs one process works on at a time; a thread each.
_WORKERS = 4
# Nobody needs to know by how much it is too many.
_COUNTED = 1000
# By default a hash of the source, so that an upgrade would strand the jobs that the older code enqueued.
_VERSION = "1"

_log = logging.getLogger(__name__)
# Without a handler of its own DBOS would print past whatever logging the process has set up.
logging.getLogger("dbos").addHandler(logging.NullHandler())

job_process = sa.Table(
    "job_process",
    metadata,
    # The smallest one that is alive leads.
    sa.Column("id", sa.Integer, primary_key=True),
    # The name under which DBOS books this process's jobs, new at every start.
    sa.Column("executor", sa.String(100), nullable=False, unique=True),
    # Counts up while the process lives. A time would be somebody's clock, and clocks differ and jump.
    sa.Column("beat", sa.Integer, nullable=False),
)

failed_job = sa.Table(
    "failed_job",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    # The job's name and key; the same through all its attempts.
    sa.Column("job", sa.String(200), nullable=False, unique=True),
    sa.Column("name", sa.String(60), nullable=False),
    sa.Column("arguments", sa.JSON, nullable=False),
    sa.Column("attempts", sa.Integer, nullable=False),
    # What went wrong last, and where; see `describe`.
    sa.Column("error", sa.Text, nullable=False),
    sa.Column("failed_at", UtcDateTime, nullable=False),
    # Tried for the last time: it waits for an administrator. Before that the row only counts.
    sa.Column("set_aside", sa.Boolean, nullable=False),
)


def failed_jobs(connection: Connection) -> Sequence[Row[Any]]:
    """The jobs that wait for an administrator, the latest first."""
    waiting = sa.select(failed_job).where(failed_job.c.set_aside).order_by(failed_job.c.failed_at.desc())
    return connection.execute(waiting).all()


def create_tables(database: Database) -> None:
    """Create DBOS's own tables, or bring them up to date. They are no part of our schema and of its migrations."""
    DBOS.migrate(_url(database))


class Interrupted(Exception):
    """Raised by a handler that leaves off since its process ends. Another one goes on; it counts as no failure."""


class Jobs:
    """The application's background work. One per application; at most one started per process, as DBOS has it."""

    def __init__(
        self,
        database: Database,
        handlers: Mapping[str, Handler],
        every: Mapping[str, float] | None = None,
        *,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        pulse_seconds: float = 5.0,
        poll_seconds: float = 1.0,
        first_pause: float = _FIRST_PAUSE,
        attempts: int = ATTEMPTS,
    ) -> None:
        """`every` names handlers that run every so many seconds, in one process at a time and with no arguments."""
        self._database = database
        self._handlers = handlers
        self._every = every or {}
        self._clock = clock
        self._pulse_seconds = pulse_seconds
        self._poll_seconds = poll_seconds
        self._first_pause = first_pause
        self._attempts = attempts
        self._client = DBOSClient(
            system_database_engine=database.engine,
            serializer=DBOSPortableJSONSerializer(),
            application_name=_APPLICATION,
            lazy=True,
        )
        self._executor = f"{socket.gethostname()}-{os.getpid()}-{uuid.uuid4().hex[:8]}"
        # Silent for six beats is dead: longer than a pause of the machine, shorter than anyone waits for a notice.
        self._signs = SignsOfLife(patience=6 * pulse_seconds)
        self._leads = False
        self._running: set[str] = set()
        self._stopping = threading.Event()
        self._threads: list[threading.Thread] = []

    def enqueue(self, connection: Connection, name: str, arguments: dict[str, Any], *, key: str | None = None) -> None:
        """Have a handler run after the caller's transaction has committed.

        With a `key` there is one job of that name and key for as long as finished jobs are kept, however often it is
        enqueued.
        """
        if name not in self._handlers:
            raise LookupError(f"No handler is called {name!r}.")
        job = f"{name}:{key or uuid.uuid4()}"
        self._put(connection, job, job, name, arguments)

    def retry(self, connection: Connection, actor: Actor, failed_job_id: int, *, at: datetime) -> None:
        """Give a job that was set aside all of its attempts again. Raises NotFound if it is not set aside any more.

        Whether the actor is an administrator is asked by the caller, as permissions stand beside and not below.
        """
        aside = sa.and_(failed_job.c.id == failed_job_id, failed_job.c.set_aside)
        row = connection.execute(sa.select(failed_job).where(aside)).first()
        if row is None or connection.execute(failed_job.delete().where(aside)).rowcount == 0:
            raise NotFound(N_("This job is not waiting any more."))
        audit.record(connection, actor, "job.retried", "failed_job", row.id, at=at, after={"name": row.name})
        self._put(connection, f"{row.job}~{uuid.uuid4()}", row.job, row.name, row.arguments)

    def start(self) -> None:
        """Work in the background of this process until `stop`."""
        self._beat()  # before the first job is booked under our name, so that nobody takes us for dead
        config: DBOSConfig = {
            "name": _APPLICATION,
            "system_database_url": _url(self._database),
            "sys_db_pool_size": 5,
            "executor_id": self._executor,
            "application_version": _VERSION,
            "serializer": DBOSPortableJSONSerializer(),
            "log_level": "WARNING",
            # Nothing here waits for a message of another workflow, so no connection needs to listen for one.
            "use_listen_notify": False,
        }
        DBOS(config=config)

        @DBOS.workflow(name=_WORKFLOW)
        def run(job: str, name: str, arguments: dict[str, Any]) -> None:
            self._run(job, name, arguments)

        DBOS.launch()
        DBOS.register_queue(
            _QUEUE,
            worker_concurrency=_WORKERS,
            polling_interval_sec=self._poll_seconds,
            on_conflict="always_update",
        )
        self._stopping.clear()
        for work in (self._live, self._do_rounds):
            thread = threading.Thread(target=work, name=f"jobs{work.__name__}", daemon=True)
            thread.start()
            self._threads.append(thread)

    def stop(self) -> None:
        """Let the running jobs finish, for ten seconds at most, and leave. What is not finished is handed on."""
        if not self._threads:
            return
        self._stopping.set()
        for thread in self._threads:
            thread.join()
        self._threads.clear()
        DBOS.destroy(destroy_registry=True, workflow_completion_timeout_sec=10 if self._running else 0)
        self._leads = False
        try:
            with self._database.transaction() as connection:
                connection.execute(job_process.delete().where(job_process.c.executor == self._executor))
        except Exception as error:  # the database is away; the others will notice that we are gone
            _tell("Saying goodbye", error)

    def is_stopping(self) -> bool:
        """Whether this process ends: handlers of much work ask between its parts, and raise `Interrupted`."""
        return self._stopping.is_set()

    def run_pending(self) -> int:
        """Run all that waits here and now, one after the other, pauses skipped. For tests, instead of `start`."""
        ran = 0
        while waiting := self._client.list_queued_workflows(queue_name=_QUEUE, status=_WAITING, limit=1):
            self._client.cancel_workflow(waiting[0].workflow_id)  # done, its key kept
            self._attempt(*_of(waiting[0]))
            ran += 1
        return ran

    def waiting(self) -> int:
        """How many jobs wait for a process that takes them, or for their next attempt; a thousand at most."""
        return len(
            self._client.list_queued_workflows(queue_name=_QUEUE, status=_WAITING, limit=_COUNTED, load_input=False)
        )

    # ---- one job

    def _put(
        self, connection: Connection, workflow: str, job: str, name: str, arguments: Any, pause: float | None = None
    ) -> None:
        options: EnqueueOptions = {
            "workflow_name": _WORKFLOW,
            "queue_name": _QUEUE,
            "workflow_id": workflow,
            "app_version": _VERSION,
        }
        if pause is not None:
            options["delay_seconds"] = pause
        self._client.enqueue_in_transaction(connection, options, job, name, arguments)

    def _run(self, job: str, name: str, arguments: dict[str, Any]) -> None:
        self._running.add(job)
        try:
            self._attempt(job, name, arguments)
        finally:
            self._running.discard(job)

    def _attempt(self, job: str, name: str, arguments: dict[str, Any]) -> None:
        with logs.around(job=job):
            try:
                with _measured(name):
                    self._handlers[name](arguments)
            except Interrupted:
                with self._database.transaction() as connection:
                    self._put(connection, f"{job}~{uuid.uuid4()}", job, name, arguments)
            except Exception as error:
                _tell(f"Job {job}", error)
                self._note_failure(job, name, arguments, describe(error))
            else:
                self._forget_failures(job)

    def _note_failure(self, job: str, name: str, arguments: dict[str, Any], error: str) -> None:
        """Count the failure, and try again later. Nobody else knows of it, so it waits for a database that is away."""
        while True:
            try:
                with self._database.transaction() as connection:
                    attempts = self._count_failure(connection, job, name, arguments, error)
                    if attempts < self._attempts:
                        pause = self._first_pause * 4 ** (attempts - 1)
                        self._put(connection, f"{job}~{uuid.uuid4()}", job, name, arguments, pause)
                return
            except Exception as failure:
                if not is_outage(failure) or self._stopping.wait(self._poll_seconds):
                    raise

    def _count_failure(
        self,
        connection: Connection,
        job: str,
        name: str,
        arguments: dict[str, Any],
        error: str,
        *,
        set_aside: bool = False,
    ) -> int:
        its_row = failed_job.c.job == job
        attempts = (connection.scalar(sa.select(failed_job.c.attempts).where(its_row)) or 0) + 1
        values = {
            "attempts": attempts,
            "error": error,
            "failed_at": self._clock(),
            "set_aside": set_aside or attempts >= self._attempts,
        }
        if attempts > 1:
            connection.execute(failed_job.update().where(its_row).values(values))
        else:
            connection.execute(failed_job.insert(), {"job": job, "name": name, "arguments": arguments, **values})
        return attempts

    def _forget_failures(self, job: str) -> None:
        its_row = failed_job.c.job == job
        with self._database.reading() as connection:  # nearly always there is none, and nothing to write
            failed = connection.scalar(sa.select(failed_job.c.id).where(its_row))
        if failed is not None:
            with self._database.transaction() as connection:
                connection.execute(failed_job.delete().where(its_row))

    # ---- living together with other processes

    def _live(self) -> None:
        """Give signs of life; the eldest also hands on what the dead have left, and tidies up."""
        tidied = -3600.0
        while not self._stopping.wait(self._pulse_seconds):
            try:
                self._beat_and_hand_on()
                if self._leads and time.monotonic() - tidied > 3600:
                    self._tidy()
                    tidied = time.monotonic()
            except Exception as error:
                self._leads = False
                _tell("A sign of life", error)

    def _beat_and_hand_on(self) -> None:
        # The jobs are read before the signs of life: whoever had booked one by then had given its first sign.
        running = self._client.list_workflows(status="PENDING", name=_WORKFLOW, load_output=False)
        living, dead = self._beat()
        if not self._leads:
            return
        for workflow in running:
            if workflow.executor_id not in living:
                self._hand_on_one(workflow)
        if dead:
            with self._database.transaction() as connection:
                connection.execute(job_process.delete().where(job_process.c.executor.in_(dead)))

    def _beat(self) -> tuple[set[str], set[str]]:
        """Say that we live, hear who else does and who does not, and see whether we are the eldest."""
        with self._database.transaction() as connection:
            ours = job_process.c.executor == self._executor
            beaten = connection.execute(job_process.update().where(ours).values(beat=job_process.c.beat + 1))
            if beaten.rowcount == 0:
                connection.execute(job_process.insert(), {"executor": self._executor, "beat": 1})
            beats = {row.executor: row.beat for row in connection.execute(_IN_ORDER_OF_AGE)}
        living = self._signs.living(beats)
        self._leads = next(executor for executor in beats if executor in living) == self._executor
        return living, beats.keys() - living

    def _hand_on_one(self, workflow: WorkflowStatus) -> None:
        """A job whose process died may be what killed it, so that counts as a failure too."""
        job, name, arguments = _of(workflow)
        with self._database.transaction() as connection:
            error = N_("The process that ran it ended.")
            attempts = self._count_failure(connection, job, name, arguments, error)
        if attempts < self._attempts:
            self._client.resume_workflow(workflow.workflow_id, queue_name=_QUEUE)
        else:
            self._client.cancel_workflow(workflow.workflow_id)

    def _tidy(self) -> None:
        before = datetime.now(UTC) - _RETENTION
        while finished := self._client.list_workflows(
            status=["SUCCESS", "ERROR", "CANCELLED"],
            completed_before=before.isoformat(),
            limit=500,
            load_input=False,
            load_output=False,
        ):
            self._client.delete_workflows([workflow.workflow_id for workflow in finished])
        overcome = sa.and_(~failed_job.c.set_aside, failed_job.c.failed_at < before)
        with self._database.transaction() as connection:
            connection.execute(failed_job.delete().where(overcome))

    def _do_rounds(self) -> None:
        """Run the periodic work while we lead: at once, then at its intervals, measured from start to start."""
        due = dict.fromkeys(self._every, 0.0)
        while not self._stopping.wait(min(1.0, self._pulse_seconds)):
            for name, seconds in self._every.items():
                if self._leads and time.monotonic() >= due[name]:
                    due[name] = time.monotonic() + seconds
                    try:
                        self._do_round(name)
                    except Exception as error:  # the database is away; the next round will tell
                        _tell(f"The round of {name}", error)

    def _do_round(self, name: str) -> None:
        """No pause and no repetition here, the next round is one; but an administrator sees that it fails."""
        job = f"{name}:every"
        try:
            with logs.around(job=job), _measured(name):
                self._handlers[name]({})
            self._forget_failures(job)
        except Exception as error:
            _tell(f"The round of {name}", error)
            with self._database.transaction() as connection:
                self._count_failure(connection, job, name, {}, describe(error), set_aside=True)


class SignsOfLife:
    """Tells the living from the dead by their beats and our own clock alone, so that nobody else's clock matters.

    Time counts only while we listen: where the database was away, or we were, nobody could be heard.
    """

    def __init__(self, patience: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._patience = patience
        self._clock = clock
        self._heard: dict[str, tuple[int, float]] = {}
        self._listened = clock()

    def living(self, beats: Mapping[str, int]) -> set[str]:
        """Whoever has a beat that we have not heard before, or heard for the first time not long ago."""
        now = self._clock()
        if now - self._listened > self._patience / 2:
            self._heard.clear()
        self._listened = now
        for executor, beat in beats.items():
            if executor not in self._heard or self._heard[executor][0] != beat:
                self._heard[executor] = (beat, now)
        self._heard = {executor: heard for executor, heard in self._heard.items() if executor in beats}
        return {executor for executor, (_, since) in self._heard.items() if now - since < self._patience}


_WAITING = ["ENQUEUED", "DELAYED"]
_IN_ORDER_OF_AGE = sa.select(job_process.c.executor, job_process.c.beat).order_by(job_process.c.id)


@contextmanager
def _measured(name: str) -> Iterator[None]:
    began, end = time.monotonic(), "failed"
    try:
        yield
        end = "done"
    finally:
        seconds = time.monotonic() - began
        metrics.JOBS.labels(name, end).observe(seconds)
        _log.debug("%s: %s", name, end, extra=logs.facts(seconds=round(seconds, 3)))


def _tell(what: str, error: Exception) -> None:
    """Log a failure without the words of others, as `describe` has it."""
    _log.warning("%s failed: %s", what, describe(error))


def _of(workflow: WorkflowStatus) -> tuple[str, str, dict[str, Any]]:
    assert workflow.input is not None
    job, name, arguments = workflow.input["args"]
    return job, name, arguments


def _url(database: Database) -> str:
    return database.url.render_as_string(hide_password=False)
