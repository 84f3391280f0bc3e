"""The floor: the rows that a completion writes, by the bare driver, one statement after the other, as durably as ours.

It checks nothing and knows nothing. What is written is listed in `docs/performance.md`.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import psycopg

from engine.db import Database

_STATE = b"x" * 150
_VALUES = '{"decision": "agree", "by": "bench"}'

_NEW_CASE = 'INSERT INTO "case" (kind, state, parties, started_at) VALUES (?, ?, ?, ?) RETURNING id'
_NEW_INSTANCE = "INSERT INTO instance (case_id, version_id, state, revision, ended) VALUES (?, ?, ?, ?, ?) RETURNING id"
_NEW_TASK = (
    "INSERT INTO task (case_id, instance_id, key, version_id, node, menu, party, organisation_id, duty, state,"
    " opened_at, due_provisional) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING id"
)
_SAVE_INSTANCE = "UPDATE instance SET state = ?, revision = ? WHERE id = ?"
_CLOSE_TASK = 'UPDATE task SET state = ?, closed_at = ?, person_id = ?, "values" = ? WHERE id = ?'
_NEW_ENTRY = (
    "INSERT INTO audit_entry (at, person_id, organisation_id, duty, action, subject_kind, subject_id, case_id, before,"
    " after) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)


def driver_of(database: Database) -> Any:
    """A bare connection of the driver, as durable as ours."""
    if not database.is_sqlite:
        url = database.url.set(drivername="postgresql")
        return psycopg.connect(url.render_as_string(hide_password=False))
    driver = sqlite3.connect(str(database.url.database), isolation_level=None)
    # As engine/db.py has them.
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "busy_timeout=30000", "foreign_keys=ON"):
        driver.execute(f"PRAGMA {pragma}")
    return driver


class Floor:
    """One bare connection to a database, and plain cases in it that nobody will ever look at."""

    def __init__(self, database: Database, version_id: int, organisation_id: int) -> None:
        self._version_id, self._organisation_id = version_id, organisation_id
        self._is_sqlite = database.is_sqlite
        at = datetime.now(UTC)
        self._at: Any = at.strftime("%Y-%m-%d %H:%M:%S.%f") if database.is_sqlite else at
        self._driver = driver_of(database)

    def close(self) -> None:
        self._driver.close()

    def case(self, completions: int) -> None:
        """Start a case, then complete so many of its tasks, each in its own transaction."""
        self._begin()
        case_id = self._one(_NEW_CASE, ["floor", "open", '{"owner": 1}', self._at])
        instance_id = self._one(_NEW_INSTANCE, [case_id, self._version_id, _STATE, 0, False])
        task_id = self._open_task(case_id, instance_id, 0)
        self._commit()
        for number in range(1, completions + 1):
            self._begin()
            self._run(_SAVE_INSTANCE, [_STATE, number, instance_id])
            self._run(_CLOSE_TASK, ["done", self._at, 1, _VALUES, task_id])
            task_id = self._open_task(case_id, instance_id, number)
            self._run(
                _NEW_ENTRY,
                [
                    self._at, 1, self._organisation_id, "operator", "task.completed", "task", task_id, case_id, "null",
                    '{"node": "floor"}',
                ],
            )  # fmt: skip
            self._commit()

    def _open_task(self, case_id: int, instance_id: int, key: int) -> int:
        return self._one(
            _NEW_TASK,
            [
                case_id, instance_id, key, self._version_id, "floor", "", "owner", self._organisation_id, "operator",
                "open", self._at, False,
            ],
        )  # fmt: skip

    def _begin(self) -> None:
        # psycopg begins by itself.
        if self._is_sqlite:
            self._driver.execute("BEGIN IMMEDIATE")

    def _commit(self) -> None:
        self._driver.commit()

    def _one(self, statement: str, values: Sequence[Any]) -> int:
        return int(self._run(statement, values).fetchone()[0])

    def _run(self, statement: str, values: Sequence[Any]) -> Any:
        return self._driver.execute(statement if self._is_sqlite else statement.replace("?", "%s"), values)
