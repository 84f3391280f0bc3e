"""Programs at work, and what they were answered: to be held against what the database has.

They run cases of eight steps, one after the other. Every request has a key, under which it is sent again until it is
answered; so whatever is killed in between, each case comes to its end, and no step is taken twice.
"""

from __future__ import annotations

import http.client
import json
import threading
import time
import uuid
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from engine import accounts, audit, cases, procedures
from engine.audit import SYSTEM, Actor
from engine.db import Database
from tests.unit.bpmn import diagrams

STEPS = 8
KIND = "chain"


def chain() -> bytes:
    """Eight decisions in a row, each of which may be taken for many cases at once."""
    names = [f"step{number}" for number in range(1, STEPS + 1)]
    end = "</extensionElements>"
    inside = diagrams.decision().replace(end, diagrams.property_list({"batch": "true"}) + end)
    steps = [diagrams.user(name, inside) for name in names]
    return diagrams.plain(diagrams.start(), diagrams.end(), *steps, diagrams.path("start", *names, "end"))


def deploy_chain(database: Database, at: datetime) -> procedures.Version:
    with database.transaction() as connection:
        version = procedures.upload(connection, SYSTEM, "national", KIND, chain(), at=at)
        assert [str(finding) for finding in version.findings()] == []
        procedures.deploy(connection, SYSTEM, version.id, at=at)
    return version


def token_of(database: Database, actor: Actor) -> str:
    assert actor.membership_id is not None
    at = datetime.now(UTC)
    with database.transaction() as connection:
        return accounts.make_token(connection, actor, "程序", actor.membership_id, 30, at=at)


@dataclass
class Ledger:
    """What was answered, by all the programs together."""

    cases: set[int] = field(default_factory=set)
    tasks: set[int] = field(default_factory=set)
    statuses: Counter[int] = field(default_factory=Counter)
    # Answers that nobody should ever get, and the longest that any of them took.
    wrong: list[str] = field(default_factory=list)
    slowest: float = 0.0
    # Requests that were sent and never answered.
    unanswered: int = 0
    last_success: float = 0.0


class Program:
    """Sends requests until each of them is answered."""

    def __init__(self, port: int, token: str, ledger: Ledger, stopping: threading.Event) -> None:
        self.ledger = ledger
        self._port = port
        self._headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        self._stopping = stopping
        self._connection: http.client.HTTPConnection | None = None
        # What it has asked and not yet been told.
        self.waiting_for: int | None = None

    def work(self) -> None:
        try:
            while not self._stopping.is_set():
                self._run_a_case()
        except _Stopped:
            pass
        finally:
            self._close()

    def _run_a_case(self) -> None:
        started = self.send("POST", "/cases", {"kind": KIND, "values": {}})
        self.ledger.cases.add(started["case_id"])
        following = started["next"]
        while following:
            [self.waiting_for] = following
            became = self.send("POST", f"/tasks/{self.waiting_for}/completion", {"values": {"result": "agree"}})
            self.ledger.tasks.add(self.waiting_for)
            self.waiting_for = None
            following = became["next"]
        if became["outcome"] != "completed":
            self.ledger.wrong.append(f"a case ended as {became['outcome']}")

    def send(self, method: str, path: str, body: Any = None) -> Any:
        """Send it under one key until it is answered."""
        headers = self._headers | {"Idempotency-Key": str(uuid.uuid4())}
        while True:
            found = self._once(method, path, body, headers)
            if found is not None:
                return found
            if self._stopping.wait(0.02):
                raise _Stopped

    def _once(self, method: str, path: str, body: Any, headers: dict[str, str]) -> Any:
        began = time.monotonic()
        try:
            if self._connection is None:
                self._connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=60)
                self._connection.connect()
            self._connection.request(method, f"/api/v1{path}", json.dumps(body), headers)
            response = self._connection.getresponse()
            text = response.read()
        except (OSError, http.client.HTTPException) as error:
            if not isinstance(error, ConnectionRefusedError):
                self.ledger.unanswered += 1
            self._close()
            return None
        self._note(response, text, time.monotonic() - began)
        return json.loads(text) if response.status in (200, 201) else None

    def _note(self, response: http.client.HTTPResponse, text: bytes, seconds: float) -> None:
        self.ledger.statuses[response.status] += 1
        self.ledger.slowest = max(self.ledger.slowest, seconds)
        if response.status in (200, 201):
            self.ledger.last_success = time.monotonic()
        elif response.status != 503 or "Retry-After" not in response.headers:
            self.ledger.wrong.append(f"{response.status} {text[:300]!r}")
            self._stopping.set()

    def _close(self) -> None:
        if self._connection:
            self._connection.close()
        self._connection = None


class _Stopped(Exception):
    """The test is over while the answer is still out."""


@contextmanager
def at_work(port: int, token: str, programs: int) -> Iterator[Ledger]:
    """That many programs work until the block ends."""
    ledger, stopping = Ledger(), threading.Event()
    working = [Program(port, token, ledger, stopping) for _ in range(programs)]
    threads = [threading.Thread(target=program.work) for program in working]
    for thread in threads:
        thread.start()
    try:
        yield ledger
    finally:
        stopping.set()
        for thread in threads:
            thread.join()
        assert ledger.wrong == []


# What the database has -------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Found:
    cases: int
    completions: int
    # Of these, how many nobody was told of.
    unanswered: int


def assert_kept(database: Database, ledger: Ledger) -> Found:
    """Whatever was answered is there, and of every step all or nothing."""
    tasks, cases_ = set(ledger.tasks), set(ledger.cases)
    with database.reading() as connection:
        found = {row.id: row for row in connection.execute(_standing)}
        done = set(connection.scalars(sa.select(cases.task.c.id).where(cases.task.c.state == "done")))
    assert tasks <= done
    assert cases_ <= found.keys()
    for row in found.values():
        assert row.done == row.audited, row
        assert row.started == 1, row
        assert row.open == (0 if row.outcome else 1), row
        assert (row.done == STEPS) == (row.outcome == "completed"), row
    return Found(len(found), len(done), len(done - tasks))


def _count(table: sa.Table, *conditions: sa.ColumnElement[bool]) -> sa.ScalarSelect[int]:
    own = sa.select(sa.func.count()).select_from(table).where(table.c.case_id == cases.case.c.id)
    return own.where(*conditions).scalar_subquery()


_standing = sa.select(
    cases.case.c.id,
    cases.case.c.outcome,
    _count(cases.task, cases.task.c.state == "done").label("done"),
    _count(cases.task, cases.task.c.state == "open").label("open"),
    _count(audit.audit_entry, audit.audit_entry.c.action == "task.completed").label("audited"),
    _count(audit.audit_entry, audit.audit_entry.c.action == "case.started").label("started"),
)
