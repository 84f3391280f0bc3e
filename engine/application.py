"""Wires everything once, for web, worker, command and tests."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from engine import cases, procedures, transfers
from engine.audit import SYSTEM
from engine.db import Database
from engine.jobs import Jobs
from engine.settings import Settings, processes_folder


class Application:
    """One deployment in one process: its settings, database, clock and background work."""

    def __init__(self, settings: Settings, *, clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self.settings = settings
        self.clock = clock
        self.database = Database(settings.database_url)
        transfers.register()
        self.jobs = Jobs(
            self.database,
            handlers={"fire_deadline": self._fire_deadline, "sweep": self._sweep, "clean": self._clean},
            every={"sweep": settings.sweep_seconds, "clean": 24 * 3600},
            clock=clock,
        )

    def prepare(self) -> None:
        """At the first start: the shipped regimes and procedures. Repeating it changes nothing."""
        with self.database.transaction() as connection:
            procedures.install_shipped(connection, processes_folder(), at=self.clock())

    def close(self) -> None:
        self.jobs.stop()
        self.database.dispose()

    # Background work

    def _sweep(self, _arguments: dict[str, Any]) -> None:
        """Enqueue what is due; each deadline is a job of its own, so that one failure holds up no other."""
        now = self.clock()
        with self.database.transaction() as connection:
            for deadline_id in cases.due_deadlines(connection, at=now):
                self.jobs.enqueue(
                    connection, "fire_deadline", {"deadline_id": deadline_id}, key=f"deadline-{deadline_id}"
                )
            cases.find_unstaffed(connection, at=now)

    def _fire_deadline(self, arguments: dict[str, Any]) -> None:
        with self.database.transaction() as connection:
            cases.fire_deadline(connection, arguments["deadline_id"], at=self.clock())

    def _clean(self, _arguments: dict[str, Any]) -> None:
        with self.database.transaction() as connection:
            transfers.forget_orphans(connection, at=self.clock())

    def recount(self) -> int:
        """After a change of the calendar, by an administrator's act or a newer package."""
        with self.database.transaction() as connection:
            return cases.recount(connection, SYSTEM, at=self.clock())
