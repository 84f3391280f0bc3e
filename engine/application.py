"""Wires everything once, for web, worker, command and tests."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Row

from engine import (
    accounts,
    batches,
    cases,
    idempotency,
    migrations,
    permissions,
    procedures,
    reports,
    searches,
    simulations,
    transfers,
    workdays,
)
from engine.audit import SYSTEM, Actor
from engine.db import Database
from engine.jobs import Jobs, failed_jobs
from engine.metrics import Figure, Values
from engine.outages import is_outage
from engine.settings import Settings, processes_folder

# Seconds. It goes through all open tasks, which takes half a second where there are 200,000, and on SQLite nobody else
# writes meanwhile; and nobody leaves an office from one minute to the next.
_LOOK_AT_DUTIES = 300
# Any number, as long as it is always the same: of several processes that start at once, one prepares.
_FIRST_START = 20100830


def system_clock() -> datetime:
    return datetime.now(UTC)


class Application:
    """One deployment in one process: its settings, database, clock and background work."""

    def __init__(self, settings: Settings, *, clock: Callable[[], datetime] = system_clock) -> None:
        self.settings = settings
        self.clock = clock
        self.database = Database(settings.database_url)
        # Told to end: what has begun is finished, new requests should go elsewhere.
        self.draining = False
        transfers.register()
        self.jobs = Jobs(
            self.database,
            handlers={
                "fire_deadline": self._fire_deadline,
                batches.JOB: self._work_off_batch,
                simulations.JOB: self._simulate,
                reports.JOB: self._compare,
                "sweep": self._sweep,
                "find_unstaffed": self._find_unstaffed,
                "clean": self._clean,
            },
            every={"sweep": settings.sweep_seconds, "find_unstaffed": _LOOK_AT_DUTIES, "clean": 24 * 3600},
            clock=clock,
        )

    def prepare(self) -> None:
        """At the first start: the shipped regimes and procedures. Repeating it changes nothing."""
        with self.database.transaction() as connection:
            if not self.database.is_sqlite:  # there a writer is alone anyway
                connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_FIRST_START)))
            procedures.install_shipped(connection, processes_folder(), at=self.clock())

    def close(self) -> None:
        self.jobs.stop()
        self.database.dispose()

    # Background work

    def _sweep(self, _arguments: dict[str, Any]) -> None:
        """Enqueue what is due; each deadline is a job of its own, so that one failure holds up no other."""
        now, after = self.clock(), None
        while True:
            with self.database.transaction() as connection:
                found = cases.due_deadlines(connection, at=now, after=after)
                # One that the calendar moved after it was enqueued, there or back, is enqueued once more.
                calendar = workdays.load(connection).revision
                for deadline_id, due in found:
                    key = f"deadline-{deadline_id}-{calendar}-{due:%Y%m%dT%H%M%S}"
                    arguments = {"deadline_id": deadline_id, "due": due.isoformat()}
                    self.jobs.enqueue(connection, "fire_deadline", arguments, key=key)
            if not found:
                return
            deadline_id, due = found[-1]
            after = [due, deadline_id]

    def _find_unstaffed(self, _arguments: dict[str, Any]) -> None:
        with self.database.transaction() as connection:
            cases.find_unstaffed(connection, at=self.clock())

    def _fire_deadline(self, arguments: dict[str, Any]) -> None:
        now = self.clock()
        # The clock of the machine that found it due may be ahead of ours. Jobs of the release before do not say when.
        at = max(now, datetime.fromisoformat(arguments.get("due", now.isoformat())))
        with self.database.transaction() as connection:
            cases.fire_deadline(connection, arguments["deadline_id"], at=at)

    def _work_off_batch(self, arguments: dict[str, Any]) -> None:
        batches.work_off(self.database, arguments["batch_id"], clock=self.clock, is_stopping=self.jobs.is_stopping)

    def _simulate(self, arguments: dict[str, Any]) -> None:
        simulations.work_off(self.database, arguments["simulation_id"], at=self.clock())

    def _compare(self, arguments: dict[str, Any]) -> None:
        reports.work_off(self.database, **arguments, clock=self.clock)

    def _clean(self, _arguments: dict[str, Any]) -> None:
        """At the start and once a day: delete what nobody needs, and count the deadlines again.

        For a newer package of holidays, and for a step that began before the calendar was changed and ended after it.
        """
        with self.database.transaction() as connection:
            transfers.forget_drafts(connection, at=self.clock())
            transfers.forget_orphans(connection, at=self.clock())
            accounts.forget_ended(connection, at=self.clock())
            accounts.forget_tokens(connection, at=self.clock())
            searches.forget_old(connection, at=self.clock())
            idempotency.forget_old(connection, at=self.clock())
            batches.forget_old(connection, at=self.clock())
            simulations.forget_old(connection, at=self.clock())
            reports.forget_old(connection, at=self.clock())
        with self.database.transaction() as connection:
            cases.recount(connection, SYSTEM, at=self.clock())

    # What those see who keep it running

    def unready(self) -> str | None:
        """Why no new request should be sent to this process: `draining`, `database`, `schema`; None if it may."""
        if self.draining:
            return "draining"
        try:
            return None if migrations.suffices(self.database) else "schema"
        except Exception as error:
            if is_outage(error):
                return "database"
            raise

    def figures(self) -> list[Figure]:
        """How the deployment stands, and this process's connections. Of a database that is away, only that it is."""
        try:
            with self.database.reading() as connection:
                pools = {"reading": connection.engine.pool, "writing": self.database.engine.pool}
                found = self._figures(connection, pools)
        except Exception as error:
            if not is_outage(error):
                raise
            return [_figure("xueji_database_up", "Whether the database answers.", 0)]
        return [_figure("xueji_database_up", "Whether the database answers.", 1), *found]

    def _figures(self, connection: Connection, pools: dict[str, Any]) -> list[Figure]:
        open_incidents = sa.select(sa.func.count()).where(cases.incident.c.resolved_at.is_(None))
        incidents = connection.scalar(open_incidents) or 0
        due = len(cases.due_deadlines(connection, at=self.clock()))
        jobs: Values = {("waiting",): self.jobs.waiting(), ("set_aside",): len(failed_jobs(connection))}
        connections: Values = {(name, "in_use"): pool.checkedout() for name, pool in pools.items()} | {
            (name, "idle"): pool.checkedin() for name, pool in pools.items()
        }
        return [
            ("xueji_jobs", "Background jobs that wait, up to a thousand, or were set aside.", ("state",), jobs),
            ("xueji_connections", "This process's connections to the database.", ("pool", "state"), connections),
            _figure("xueji_incidents_open", "Cases that a failed step holds up.", incidents),
            _figure("xueji_deadlines_due", "Deadlines not fired yet; none for long while work is done.", due),
        ]

    # What administrators see of it

    def failed_jobs(self, connection: Connection, actor: Actor) -> Sequence[Row[Any]]:
        """The jobs that were set aside, the latest first. Raises `Forbidden` below the ministry's administrators."""
        permissions.require(actor, "administer_deployment")
        return failed_jobs(connection)

    def retry_job(self, connection: Connection, actor: Actor, failed_job_id: int, *, at: datetime) -> None:
        """Give a job that was set aside all of its attempts again. Raises `Forbidden`, `NotFound`."""
        permissions.require(actor, "administer_deployment")
        self.jobs.retry(connection, actor, failed_job_id, at=at)


def _figure(name: str, meaning: str, value: float) -> Figure:
    return (name, meaning, (), {(): float(value)})
