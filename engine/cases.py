"""A case and its instances: the lock, one step, tasks opened and closed, messages carried, deadlines kept.

A case knows no transfer. What a kind of case adds (the work of its service tasks, what its messages carry, what follows
from its end) it registers as a `Kind`. The lock is on the case's row, so two people can not both decide.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from engine import audit, messages, procedures, workdays
from engine.accounts import membership, person
from engine.audit import SYSTEM, Actor
from engine.bpmn import expressions, forms, runtime
from engine.bpmn.catalogue import MESSAGES
from engine.bpmn.graph import OWNER, Described, Node, Pool
from engine.bpmn.runtime import Opened, Step
from engine.db import UtcDateTime, fixed, metadata, savepoint
from engine.errors import N_, Conflict, NotFound, XuejiError
from engine.keyset import Order, Place
from engine.permissions import require
from engine.prepared import Prepared, Write, run_together
from engine.procedures import Version
from engine.registry import organisations
from engine.registry.tables import organisation

log = logging.getLogger(__name__)

_BigId = sa.BigInteger().with_variant(sa.Integer, "sqlite")

case = sa.Table(
    "case",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    # transfer, or the name of a plain procedure.
    sa.Column("kind", sa.String(40), nullable=False),
    # open, ended.
    sa.Column("state", sa.String(10), nullable=False),
    # completed, refused, withdrawn; empty while it is open.
    sa.Column("outcome", sa.String(10)),
    # Who is which party, fixed on the day the case started: {party: organisation id}.
    sa.Column("parties", sa.JSON, nullable=False),
    sa.Column("started_by", sa.Integer),
    sa.Column("started_at", UtcDateTime, nullable=False),
    sa.Column("ended_at", UtcDateTime),
)

instance = sa.Table(
    "instance",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("case_id", sa.ForeignKey("case.id"), nullable=False),
    # receiving, releasing; empty for a plain pool.
    sa.Column("side", sa.String(10)),
    # The version this pool was started under; only a migration changes it.
    sa.Column("version_id", sa.ForeignKey("procedure_version.id"), nullable=False),
    # SpiffWorkflow's tasks alone, as `bpmn.runtime` writes them; empty before the pool has started.
    sa.Column("state", sa.LargeBinary, nullable=False),
    # Rises with every change of the state.
    sa.Column("revision", sa.Integer, nullable=False),
    sa.Column("ended", sa.Boolean, nullable=False, default=False),
    sa.Column("outcome", sa.String(10)),
    sa.Index("ix_instance_case_id", "case_id"),
    sa.Index("ix_instance_version_id", "version_id"),
)

# Every organisation that may see a case: its parties, and all that stand above them.
case_scope = sa.Table(
    "case_scope",
    metadata,
    sa.Column("organisation_id", sa.ForeignKey("organisation.id"), primary_key=True),
    sa.Column("case_id", sa.ForeignKey("case.id"), primary_key=True),
    # On which side it stands; a superior of both stands on both.
    sa.Column("receiving", sa.Boolean, nullable=False),
    sa.Column("releasing", sa.Boolean, nullable=False),
    # Where the case stands, as its kind calls it: open, then its outcome; a transfer's own states. Repeated in each of
    # its rows, so that a list by state is one index, however many cases an organisation has.
    sa.Column("state", sa.String(10), nullable=False, default="open"),
    sa.Index("ix_case_scope_case_id", "case_id"),
    sa.Index(
        "ix_case_scope_organisation_id_state_case_id",
        "organisation_id",
        "state",
        "case_id",
        postgresql_include=["receiving", "releasing"],
    ),
)

task = sa.Table(
    "task",
    metadata,
    sa.Column("id", _BigId, primary_key=True),
    sa.Column("case_id", sa.ForeignKey("case.id"), nullable=False),
    sa.Column("instance_id", sa.ForeignKey("instance.id"), nullable=False),
    # Its id in the instance's saved state.
    sa.Column("key", sa.Integer, nullable=False),
    # The element's id in the version's diagram, and what the inbox sorts by.
    sa.Column("version_id", sa.ForeignKey("procedure_version.id"), nullable=False),
    sa.Column("side", sa.String(10)),
    sa.Column("node", sa.String(100), nullable=False),
    sa.Column("menu", sa.String(100), nullable=False),
    # Who it is for.
    sa.Column("party", sa.String(20), nullable=False),
    sa.Column("organisation_id", sa.ForeignKey("organisation.id"), nullable=False),
    sa.Column("duty", sa.String(20), nullable=False),
    # open, done, cancelled.
    sa.Column("state", sa.String(10), nullable=False),
    sa.Column("opened_at", UtcDateTime, nullable=False),
    sa.Column("due_at", UtcDateTime),
    # Some day counted towards it lies in a year whose holidays are not published yet.
    sa.Column("due_provisional", sa.Boolean, nullable=False, default=False),
    sa.Column("closed_at", UtcDateTime),
    sa.Column("person_id", sa.Integer),
    # What was entered, by field id; may be personal, so it never leaves this row.
    sa.Column("values", sa.JSON(none_as_null=True)),
    # Of the values, what a decision is known by.
    sa.Column("result", sa.String(10)),
    sa.Column("opinion", sa.Text),
    sa.UniqueConstraint("instance_id", "key"),
    sa.Index("ix_task_case_id", "case_id"),
    sa.Index("ix_task_person_id_closed_at", "person_id", "closed_at"),
    sa.Index(
        "ix_task_open",
        "organisation_id",
        "duty",
        "due_at",
        postgresql_where=sa.text("state = 'open'"),
        sqlite_where=sa.text("state = 'open'"),
    ),
    # Who has which case, and which are late, in the order of the cases: what a query of a whole country goes along.
    sa.Index(
        "ix_task_open_case_id",
        "case_id",
        "party",
        "organisation_id",
        "due_at",
        postgresql_where=sa.text("state = 'open'"),
        sqlite_where=sa.text("state = 'open'"),
    ),
)

deadline = sa.Table(
    "deadline",
    metadata,
    sa.Column("id", _BigId, primary_key=True),
    sa.Column("case_id", sa.ForeignKey("case.id"), nullable=False),
    sa.Column("instance_id", sa.ForeignKey("instance.id"), nullable=False),
    # The waiting timer: its key in the saved state and its element.
    sa.Column("key", sa.Integer, nullable=False),
    sa.Column("node", sa.String(100), nullable=False),
    # What it is counted from, so that a changed calendar can be applied again: a day, then days, then a shift.
    sa.Column("counted_from", UtcDateTime, nullable=False),
    sa.Column("workdays", sa.Integer, nullable=False),
    sa.Column("shift", sa.Integer, nullable=False),
    sa.Column("at", UtcDateTime, nullable=False),
    # pending, fired, cancelled.
    sa.Column("state", sa.String(10), nullable=False),
    sa.Column("fired_at", UtcDateTime),
    sa.Index("ix_deadline_instance_id", "instance_id"),
    sa.Index(
        "ix_deadline_pending",
        "at",
        postgresql_where=sa.text("state = 'pending'"),
        sqlite_where=sa.text("state = 'pending'"),
    ),
)

incident = sa.Table(
    "incident",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("case_id", sa.ForeignKey("case.id"), nullable=False),
    sa.Column("instance_id", sa.ForeignKey("instance.id"), nullable=False),
    sa.Column("node", sa.String(100), nullable=False),
    sa.Column("code", sa.String(40), nullable=False),
    # In words, filled from the values and translated where they are shown: what happened, and what to do about it.
    sa.Column("message", sa.String(500), nullable=False),
    sa.Column("remedy", sa.String(500), nullable=False),
    sa.Column("values", sa.JSON, nullable=False),
    sa.Column("opened_at", UtcDateTime, nullable=False),
    sa.Column("attempts", sa.Integer, nullable=False),
    sa.Column("resolved_at", UtcDateTime),
    sa.Index("ix_incident_case_id", "case_id"),
)

# What an organisation is told without having to do anything.
notice = sa.Table(
    "notice",
    metadata,
    sa.Column("id", _BigId, primary_key=True),
    sa.Column("organisation_id", sa.ForeignKey("organisation.id"), nullable=False),
    sa.Column("case_id", sa.ForeignKey("case.id"), nullable=False),
    # A message's name, `due_soon`, `overdue`, `refused`, `withdrawn` …; its words are the page's.
    sa.Column("kind", sa.String(40), nullable=False),
    sa.Column("values", sa.JSON, nullable=False),
    sa.Column("at", UtcDateTime, nullable=False),
    sa.Column("read_at", UtcDateTime),
    sa.Index("ix_notice_organisation_id_at", "organisation_id", "at"),
    # For the number on every page; most notices have been read.
    sa.Index(
        "ix_notice_unread",
        "organisation_id",
        postgresql_where=sa.text("read_at IS NULL"),
        sqlite_where=sa.text("read_at IS NULL"),
    ),
    sa.Index("ix_notice_case_id", "case_id"),
)


class AlreadyDone(Conflict):
    """Somebody completed the task first. `values` say who, when and with which result."""

    code = "already_done"
    message = N_("Somebody has already done this.")


class Gone(Conflict):
    """The task was cancelled because its case went another way."""

    code = "gone"
    message = N_("This step is no longer needed: the case has gone another way.")
    remedy = N_("Look at the case to see what happened.")


class Stale(Conflict):
    """A change to a case that has gone on since it was read. `values` say who did what and when, as far as is known."""

    code = "stale"
    message = N_("This case has gone on since you read it.")
    remedy = N_("Read it again, and decide on what it says now.")


class Unstaffed(Conflict):
    """A step waits for a duty that nobody in its organisation holds."""

    code = "unstaffed"
    message = N_("Nobody in this organisation holds the duty that this step waits for.")
    remedy = N_("Give somebody the duty; the step then stands in that person's inbox.")


class Mended(Conflict):
    """An incident that is over."""

    code = "mended"
    message = N_("This incident is over: somebody has dealt with it, or the case has gone another way.")
    remedy = N_("Look at the case to see where it stands.")


UNSTAFFED = Unstaffed.code


# Kinds -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Call:
    """What a service task's work is given."""

    locked: Locked
    # The party in whose lane the service task stands.
    party: str
    node: Node
    variables: Mapping[str, Any]


Service = Callable[[Call], Mapping[str, Any]]


def _nothing(*_: Any, **__: Any) -> None:
    return None


@dataclass(frozen=True)
class Kind:
    """What a kind of case adds to its diagram."""

    # The work of each topic. Whatever it raises becomes an incident, and its own writes are undone.
    services: Mapping[str, Service] = field(default_factory=dict)
    # What a message of this name carries beyond the case itself.
    payload: Callable[[Locked, str], dict[str, Any]] = lambda locked, name: {}
    # A message has reached its side.
    arrived: Callable[[Locked, messages.Message], None] = _nothing
    # The case has ended, and all of it is written; what this adds is written after it.
    ended: Callable[[Locked], None] = _nothing


_kinds: dict[str, Kind] = {}


def register(name: str, kind: Kind) -> None:
    """Make a kind known; called once, where the application is wired."""
    _kinds[name] = kind


# Seeing ----------------------------------------------------------------------------------------------------------


def visible(actor: Actor, case_id: sa.ColumnElement[int]) -> sa.ColumnElement[bool]:
    """The condition under which `actor` may see a case. Lists filter by it and pages look up through it."""
    return sa.exists().where(case_scope.c.organisation_id == actor.organisation_id, case_scope.c.case_id == case_id)


def sides(connection: Connection, actor: Actor, case_id: int) -> frozenset[str]:
    """On which sides of a case the actor's organisation stands. Raises `NotFound` outside its jurisdiction."""
    row = connection.execute(
        sa.select(case_scope.c.receiving, case_scope.c.releasing).where(
            case_scope.c.organisation_id == actor.organisation_id, case_scope.c.case_id == case_id
        )
    ).one_or_none()
    if row is None:
        raise NotFound
    return frozenset(side for side, stands in zip(("receiving", "releasing"), row, strict=True) if stands)


def running(connection: Connection) -> dict[int, int]:
    """How many open cases run under each version, by its id."""
    rows = connection.execute(
        sa.select(instance.c.version_id, sa.func.count(instance.c.case_id.distinct()).label("cases"))
        .where(~instance.c.ended)
        .group_by(instance.c.version_id)
    )
    return {row.version_id: row.cases for row in rows}


def parties(connection: Connection, actor: Actor, case_id: int) -> dict[str, int]:
    """Who is which party of a case: organisation ids. Raises `NotFound` outside the actor's jurisdiction."""
    found = connection.scalar(sa.select(case.c.parties).where(case.c.id == case_id, visible(actor, case.c.id)))
    if found is None:
        raise NotFound
    return dict(found)


@dataclass(frozen=True)
class Case:
    """A case as whoever may see it knows it."""

    id: int
    # transfer, or the name of a plain procedure.
    kind: str
    # open, ended.
    state: str
    # completed, refused, withdrawn; None while it is open.
    outcome: str | None
    # Rises with every step; who changes something names the one that was read.
    revision: int
    started_at: datetime
    ended_at: datetime | None


def revision_of(case_id: sa.ColumnElement[int]) -> sa.ScalarSelect[int]:
    """A case's revision: what its pools have seen together."""
    return sa.select(sa.func.sum(instance.c.revision)).where(instance.c.case_id == case_id).scalar_subquery()


def get(connection: Connection, actor: Actor, case_id: int) -> Case:
    """One case. Raises `NotFound` outside the actor's jurisdiction."""
    columns = case.c
    row = connection.execute(
        sa.select(
            columns.id, columns.kind, columns.state, columns.outcome, revision_of(columns.id), columns.started_at,
            columns.ended_at,
        ).where(columns.id == case_id, visible(actor, columns.id))
    ).one_or_none()  # fmt: skip
    if row is None:
        raise NotFound
    return Case(*row)


@dataclass(frozen=True)
class Stand:
    """Where one instance of a case stands: element ids by done, current and waiting."""

    side: str | None
    version: Version
    marks: dict[str, list[str]]
    started: bool
    ended: bool


def stands(connection: Connection, case_id: int) -> list[Stand]:
    """Where each pool of a case stands; the receiving one first."""
    rows = connection.execute(sa.select(instance).where(instance.c.case_id == case_id).order_by(instance.c.id))
    found = []
    for row in rows:
        version = procedures.load(connection, row.version_id)
        marks = runtime.open_nodes(version.specification(row.side), row.state) if row.state else {}
        found.append(Stand(row.side, version, marks, bool(row.state), row.ended))
    return found


# Stepping --------------------------------------------------------------------------------------------------------


@dataclass
class _Instance:
    id: int
    side: str | None
    version: Version
    state: bytes
    revision: int
    ended: bool
    outcome: str | None
    changed: bool = False


class Locked:
    """A case held by this transaction: steps its instances, carries their messages, and writes what became of it.

    Nothing of it is written before `save`, so that one step costs few round trips.
    """

    def __init__(self, connection: Connection, row: Any, actor: Actor, at: datetime) -> None:
        self.connection = connection
        self.actor = actor
        self.at = at
        self.id: int = row.case_id
        self.kind_name: str = row.kind
        self.kind = _kinds.get(row.kind, Kind())
        self.state: str = row.case_state
        self.outcome: str | None = row.case_outcome
        self.parties: dict[str, int] = row.parties
        self._instances: dict[str | None, _Instance] = {}
        self._complete_set = False
        self._delivering = False
        self._just_ended = False
        # Tasks opened in this transaction, by instance and key; they become rows when it is saved.
        self._new_tasks: dict[tuple[int, int], dict[str, Any]] = {}
        # Timers armed in this transaction, by instance and element.
        self._new_deadlines: dict[tuple[int, str], dict[str, Any]] = {}
        # Messages sent before this transaction that still wait, once they have been looked up, and those sent in it.
        self._kept_messages: list[messages.Message] | None = None
        self._sent: list[messages.Message] = []
        # Whatever else it changes; no two change the same row.
        self._writes: list[Write] = []
        self._changes: dict[tuple[Any, ...], dict[str, Any]] = {}
        # What its kind has read, and keeps as it is now until the transaction ends.
        self.known: dict[str, Any] = {}
        # The human task completed last in this transaction: party, values, result and opinion.
        self.last: dict[str, Any] = {}

    def require_revision(self, revision: int | None) -> None:
        """Raises `Stale` if the case is at another revision than the one that somebody has read; None asks nothing."""
        if revision is None:
            return
        now = sum(held.revision for held in self._all())
        if revision != now:
            raise Stale(**_last_deed(self.connection, self.actor, self.id), revision=now)

    # Instances

    def _hold(self, row: Any) -> _Instance:
        held = _Instance(
            row.instance_id, row.side, procedures.load(self.connection, row.version_id), row.instance_state,
            row.instance_revision, row.instance_ended, row.instance_outcome,
        )  # fmt: skip
        return self._instances.setdefault(row.side, held)

    def _all(self) -> list[_Instance]:
        """Every instance of the case; the others are read when they are first needed."""
        if not self._complete_set:
            for row in _INSTANCES.rows(self.connection, {"of_case": self.id}):
                self._hold(row)
            self._complete_set = True
        return sorted(self._instances.values(), key=lambda held: held.id)

    def _of(self, side: str | None) -> _Instance | None:
        if side in self._instances:
            return self._instances[side]
        return next((held for held in self._all() if held.side == side), None)

    # Events

    def start(self, side: str | None, variables: Mapping[str, Any]) -> list[Opened]:
        """Start the pool of a side. Answers the human tasks that now wait."""
        held = self._of(side)
        assert held is not None
        specification = held.version.specification(side)
        return self._took(held, runtime.start(specification, self._service(held), variables))

    def complete(
        self,
        side: str | None,
        opened: Opened,
        variables: Mapping[str, Any],
        values: Mapping[str, Any],
        *,
        task_id: int | None = None,
        result: str | None = None,
        opinion: str | None = None,
    ) -> list[Opened]:
        """Complete a human task and write its entry. Answers the tasks of the same pool that now wait."""
        held = self._of(side)
        assert held is not None
        party = held.version.pool(side).party(opened.node)
        self.last = {"party": party, "values": values, "result": result, "opinion": opinion}
        done = {
            "state": "done", "closed_at": self.at, "person_id": self.actor.person_id, "values": dict(values),
            "result": result, "opinion": opinion,
        }  # fmt: skip
        if (held.id, opened.key) in self._new_tasks:
            self._new_tasks[held.id, opened.key].update(done)
        else:
            self.write(_CLOSE_TASK, {"of_task": task_id} | done)
        self._cancel_timers(held, opened.node)
        entry = audit.entry(
            self.actor, "task.completed", "task", task_id, at=self.at, case_id=self.id,
            after={"node": opened.node, "side": side, "result": result},
        )  # fmt: skip
        self.write(audit.NEW_ENTRY, entry)
        step = runtime.complete(
            held.version.specification(side), held.state, self._service(held), opened.key, variables
        )
        step.closed = [key for key in step.closed if key != opened.key]
        return self._took(held, step)

    def fire(self, side: str | None, timer: Opened) -> None:
        """Fire a timer of a pool. Raises `NotOpen` when it no longer waits."""
        held = self._of(side)
        assert held is not None
        self._took(held, runtime.fire(held.version.specification(side), held.state, self._service(held), timer))

    def retry(self, side: str | None) -> None:
        """Run again what failed in a pool; its incidents say what became of it."""
        held = self._of(side)
        assert held is not None
        step = runtime.retry(held.version.specification(side), held.state, self._service(held))
        # Whatever became of it meanwhile, its incidents are looked at.
        step.retried = True
        self._took(held, step)

    def deliver(self) -> None:
        """Hand over every kept message that its side now waits for, until nothing moves any more."""
        if self._delivering:
            # A delivery let the other pool send an answer; the loop below, one call up, will see to it.
            return
        self._delivering = True
        while any(self._hand_over(item) for item in self._waiting_messages()):
            pass
        self._delivering = False

    def _waiting_messages(self) -> list[messages.Message]:
        """In the order in which they were sent."""
        if self._kept_messages is None:
            self._kept_messages = messages.waiting(self.connection, self.id)
        return [item for item in self._kept_messages + self._sent if item.state == "waiting"]

    def record_message(self, name: str, sender: str, payload: dict[str, Any]) -> None:
        """Send what nobody waits for any more, as whatever else still waits for that side: it is kept as recorded."""
        item = messages.new(name, sender, payload, at=self.at)
        for each in [item, *self._waiting_messages()]:
            if each.to_side == item.to_side:
                each.arrive("recorded", self.at)
        self._sent.append(item)

    def cancel(self, outcome: str) -> None:
        """End every pool where it stands; what was decided so far is kept."""
        for held in self._all():
            if held.state and not held.ended:
                self._took(held, runtime.cancel(held.version.specification(held.side), held.state), quiet=True)
            held.ended = True
            held.changed = True
        self.write(_CANCEL_DEADLINES, {"of_case": self.id, "state": "cancelled"})
        self._end(outcome)

    # Whatever else is written with it

    def note(self, action: str, after: Any = None, *, subject: str = "case") -> None:
        """An entry on the case itself, under the name that its kind has for it."""
        entry = audit.entry(self.actor, action, subject, self.id, at=self.at, case_id=self.id, after=after)
        self.write(audit.NEW_ENTRY, entry)

    def tell(self, told: Iterable[int], kind: str, values: Mapping[str, Any] | None = None) -> None:
        """A notice for each of the organisations. `values` hold ids and codes, no personal data."""
        for found in sorted(set(told)):
            row = {
                "organisation_id": found, "case_id": self.id, "kind": kind, "values": dict(values or {}), "at": self.at
            }  # fmt: skip
            self.write(_NEW_NOTICE, row)

    def stand(self, state: str) -> None:
        """Where the case stands now, in the lists of all who may see it."""
        self.change(_STAND, {"of_case": self.id}, state=state)

    def write(self, statement: Prepared, values: Mapping[str, Any]) -> None:
        """Another row, which nothing else in this transaction writes."""
        self._writes.append((statement, values))

    def change(self, statement: Prepared, of: Mapping[str, Any], **values: Any) -> None:
        """Of a row, which is named by the parameters `of`, these values. Its changes are written as one."""
        self._changes.setdefault((statement, *of.values()), dict(of)).update(values)

    def save(self) -> None:
        """Write everything. The case's revision rises."""
        if self.state == "open":
            self._end_if_over()
        self._write_all()
        if self._just_ended:
            self._just_ended = False
            self.kind.ended(self)
            self._write_all()

    def _write_all(self) -> None:
        writes: list[Write] = []
        if self._just_ended:
            ended = {"state": self.state, "outcome": self.outcome, "ended_at": self.at}
            writes.append((_END_CASE, {"of_case": self.id} | ended))
        for held in self._instances.values():
            if held.changed:
                held.changed = False
                held.revision += 1
                row = {
                    "state": held.state, "revision": held.revision, "ended": held.ended, "outcome": held.outcome
                }  # fmt: skip
                writes.append((_SAVE_INSTANCE, {"of_instance": held.id} | row))
        writes += [(_NEW_TASK, row) for row in self._new_tasks.values()]
        writes += [(_NEW_DEADLINE, row) for row in self._new_deadlines.values()]
        arrived = [item for item in self._kept_messages or [] if item.state != "waiting"]
        writes += [messages.written(item, self.id) for item in arrived + self._sent]
        writes += [(statement, values) for (statement, *_), values in self._changes.items()]
        run_together(self.connection, writes + self._writes)
        self._writes, self._changes, self._new_tasks, self._new_deadlines = [], {}, {}, {}
        self._kept_messages, self._sent = None, []

    # What a step did

    def _took(self, held: _Instance, step: Step, *, quiet: bool = False) -> list[Opened]:
        held.state, held.ended, held.changed = step.state, step.ended, True
        held.outcome = step.outcome or held.outcome
        for key in step.closed:
            self._drop(held, key)
        for opened in step.opened:
            self._open(held, opened)
        for timer in step.timers:
            self._arm(held, timer)
        for node_id in step.passed:
            self._cancel_gateway_timers(held, node_id)
        if step.failures or step.retried:
            self._note_failures(held, step)
        if quiet:
            return []
        for node_id in step.thrown:
            self._send(held, node_id)
        if held.side and (step.thrown or step.awaits or step.ended):
            self.deliver()
        return step.opened

    def _open(self, held: _Instance, opened: Opened) -> None:
        pool = held.version.pool(held.side)
        node = pool.by_id[opened.node]
        party = pool.party(node.id)
        due = self._due(node.due) if node.due else None
        self._new_tasks[held.id, opened.key] = {
            "case_id": self.id, "instance_id": held.id, "key": opened.key, "version_id": held.version.id,
            "side": held.side, "node": node.id, "menu": node.menu("zh"), "party": party,
            "organisation_id": self.parties[party], "duty": node.duty, "state": "open", "opened_at": self.at,
            "due_at": due.at if due else None, "due_provisional": bool(due and due.provisional), "closed_at": None,
            "person_id": None, "values": None, "result": None, "opinion": None,
        }  # fmt: skip

    def _due(self, expression: str) -> workdays.Due:
        return self._calendar.due(self.at, expressions.workdays(expression))

    @functools.cached_property
    def _calendar(self) -> workdays.Calendar:
        return workdays.load(self.connection)

    def _drop(self, held: _Instance, key: int) -> None:
        dropped = {"state": "cancelled", "closed_at": self.at}
        if (held.id, key) in self._new_tasks:
            self._new_tasks[held.id, key].update(dropped)
            return
        self.write(_DROP_TASK, {"of_instance": held.id, "of_key": key} | dropped)

    def _arm(self, held: _Instance, timer: Opened) -> None:
        pool = held.version.pool(held.side)
        node = pool.by_id[timer.node]
        assert node.event is not None
        host = pool.by_id.get(node.attached_to or "")
        if host is not None:
            days, shift = expressions.workdays(host.due), expressions.due_shift(node.event.timer)
        else:
            days, shift = expressions.workdays(node.event.timer), 0
        self._new_deadlines[held.id, node.id] = {
            "case_id": self.id, "instance_id": held.id, "key": timer.key, "node": node.id, "counted_from": self.at,
            "workdays": days, "shift": shift, "at": self._calendar.shift(self._calendar.due(self.at, days), shift).at,
            "state": "pending",
        }  # fmt: skip

    def _cancel_timers(self, held: _Instance, node_id: str) -> None:
        """The timers of a task that is over; only those that its element has, so that most tasks write nothing."""
        timers = [event.id for event in held.version.pool(held.side).boundary.get(node_id, ())]
        self._cancel(held, timers)

    def _cancel_gateway_timers(self, held: _Instance, node_id: str) -> None:
        pool = held.version.pool(held.side)
        if pool.by_id[node_id].kind == "eventBasedGateway":
            self._cancel(held, [flow.target for flow in pool.outgoing[node_id]])

    def _cancel(self, held: _Instance, timers: list[str]) -> None:
        for node_id in timers:
            if (held.id, node_id) in self._new_deadlines:
                self._new_deadlines[held.id, node_id]["state"] = "cancelled"
            else:
                cancelled = {"of_instance": held.id, "of_node": node_id, "state": "cancelled"}
                self.write(_CANCEL_DEADLINE, cancelled)

    def _note_failures(self, held: _Instance, step: Step) -> None:
        """Bring an instance's incidents up to date: what failed, failed again, or went on. One for each element."""
        known = {
            row.node: row.id
            for row in self.connection.execute(
                sa.select(incident.c.id, incident.c.node).where(
                    incident.c.instance_id == held.id, incident.c.resolved_at.is_(None), incident.c.code != UNSTAFFED
                )
            )
        }
        failed = {failure.node: failure.error for failure in step.failures}
        for node, error in failed.items():
            words = self._in_words(node, error)
            if node in known:
                again = incident.update().where(incident.c.id == known[node])
                self.connection.execute(again.values(words | {"attempts": incident.c.attempts + 1}))
            else:
                own = {"case_id": self.id, "instance_id": held.id, "node": node, "opened_at": self.at, "attempts": 1}
                self.connection.execute(incident.insert(), words | own)
        over = [known[node] for node in known.keys() - failed.keys() - step.stopped]
        if over:
            self.connection.execute(incident.update().where(incident.c.id.in_(over)).values(resolved_at=self.at))

    def _in_words(self, node: str, error: Exception) -> dict[str, Any]:
        if isinstance(error, XuejiError):
            values = {name: value if isinstance(value, int) else str(value) for name, value in error.values.items()}
            return {"code": error.code, "message": error.message, "remedy": error.remedy, "values": values}
        log.error("case %s failed at %s", self.id, node, exc_info=error)
        return {
            "code": "technical", "message": N_("The step failed for a technical reason."),
            "remedy": N_("Ask whoever runs the system; the log says more. Then retry."), "values": {},
        }  # fmt: skip

    # Services and messages

    def _service(self, held: _Instance) -> runtime.Service:
        def run(node: Node, variables: Mapping[str, Any]) -> Mapping[str, Any]:
            service = self.kind.services.get(node.topic)
            if service is None:
                raise XuejiError(N_("This kind of case has no service %(topic)s."), topic=node.topic)
            with self._attempt():
                return service(Call(self, held.version.pool(held.side).party(node.id), node, variables))

        return run

    @contextmanager
    def _attempt(self) -> Iterator[None]:
        """What a service has done is undone where it fails, here as in the database."""
        writes, known = list(self._writes), dict(self.known)
        changes = {row: dict(values) for row, values in self._changes.items()}
        try:
            with savepoint(self.connection):
                yield
        except BaseException:
            self._writes, self._changes, self.known = writes, changes, known
            raise

    def _send(self, held: _Instance, node_id: str) -> None:
        pool = held.version.pool(held.side)
        event = pool.by_id[node_id].event
        assert event is not None
        payload = self.kind.payload(self, event.message)
        self._sent.append(messages.new(event.message, pool.party(node_id), payload, at=self.at))

    def _hand_over(self, item: messages.Message) -> bool:
        """Deliver one message, or leave it where it is. Whether it has gone."""
        held = self._of(item.to_side)
        assert held is not None
        specification = held.version.specification(held.side)
        step: Step | None = None
        if not held.state and not held.ended:
            if MESSAGES[item.name].starts:
                step = runtime.start_by_message(specification, self._service(held), item.name)
        elif not held.ended:
            step = runtime.deliver(specification, held.state, self._service(held), item.name)
        # An optional message is never waited for, so nobody will ever take it: it is recorded at once.
        if step is None and not held.ended and MESSAGES[item.name].required:
            return False
        item.arrive("delivered" if step else "recorded", self.at)
        self.kind.arrived(self, item)
        if step is not None:
            self._took(held, step)
        return True

    # The end

    def _end_if_over(self) -> None:
        if not any(held.ended for held in self._instances.values()):
            return
        running = [held for held in self._all() if held.state and not held.ended]
        if running:
            return
        outcomes = {held.outcome for held in self._all()}
        self._end("refused" if "refused" in outcomes else "completed")

    def _end(self, outcome: str) -> None:
        self.state, self.outcome, self._just_ended = "ended", outcome, True
        for held in self._all():
            if not held.ended:
                held.ended = held.changed = True
        self.write(_RESOLVE_INCIDENTS, {"of_case": self.id, "resolved_at": self.at})
        self.stand(outcome)


_INSTANCE_COLUMNS = (
    instance.c.id.label("instance_id"),
    instance.c.side,
    instance.c.version_id,
    instance.c.state.label("instance_state"),
    instance.c.revision.label("instance_revision"),
    instance.c.ended.label("instance_ended"),
    instance.c.outcome.label("instance_outcome"),
)
_INSTANCES = Prepared(
    sa.select(*_INSTANCE_COLUMNS)
    .where(instance.c.case_id == sa.bindparam("of_case"))
    .order_by(instance.c.id)
    .with_for_update()
)
_CASE_COLUMNS = (
    case.c.id.label("case_id"),
    case.c.kind,
    case.c.state.label("case_state"),
    case.c.outcome.label("case_outcome"),
    case.c.parties,
)
_NEW_CASE = Prepared(case.insert().returning(*_CASE_COLUMNS))
_NEW_INSTANCE = Prepared(instance.insert().returning(*_INSTANCE_COLUMNS))
_NEW_SCOPE = Prepared(case_scope.insert())
_STAND = Prepared(case_scope.update().where(case_scope.c.case_id == sa.bindparam("of_case")))
# What they set is in the values that they are run with.
_END_CASE = Prepared(case.update().where(case.c.id == sa.bindparam("of_case")))
_SAVE_INSTANCE = Prepared(instance.update().where(instance.c.id == sa.bindparam("of_instance")))
_NEW_TASK = Prepared(task.insert())
_CLOSE_TASK = Prepared(task.update().where(task.c.id == sa.bindparam("of_task")))
_DROP_TASK = Prepared(
    task.update().where(
        task.c.instance_id == sa.bindparam("of_instance"), task.c.key == sa.bindparam("of_key"), task.c.state == "open"
    )
)
_NEW_DEADLINE = Prepared(deadline.insert())
_PENDING = deadline.c.state == "pending"
_CANCEL_DEADLINE = Prepared(
    deadline.update().where(
        deadline.c.instance_id == sa.bindparam("of_instance"), deadline.c.node == sa.bindparam("of_node"), _PENDING
    )
)
_CANCEL_DEADLINES = Prepared(deadline.update().where(deadline.c.case_id == sa.bindparam("of_case"), _PENDING))
_RESOLVE_INCIDENTS = Prepared(
    incident.update().where(incident.c.case_id == sa.bindparam("of_case"), incident.c.resolved_at.is_(None))
)


def create(
    connection: Connection,
    actor: Actor,
    kind: str,
    versions: Mapping[str | None, Version],
    parties: Mapping[str, int],
    *,
    at: datetime,
) -> Locked:
    """A new case, held and not yet started. Who may see it, the caller says."""
    new = {
        "kind": kind, "state": "open", "outcome": None, "parties": dict(parties), "started_by": actor.person_id,
        "started_at": at,
    }  # fmt: skip
    locked = Locked(connection, _NEW_CASE.first(connection, new), actor, at)
    for side, version in versions.items():
        row = {
            "case_id": locked.id, "side": side, "version_id": version.id, "state": b"", "revision": 0, "ended": False
        }  # fmt: skip
        locked._hold(_NEW_INSTANCE.first(connection, row))
    locked._complete_set = True
    return locked


def lock(connection: Connection, actor: Actor, case_id: int, *, at: datetime) -> Locked:
    """Hold a case until the transaction ends. Raises `NotFound`. Who may do what is asked by the caller."""
    row = connection.execute(sa.select(*_CASE_COLUMNS).where(case.c.id == case_id).with_for_update()).one_or_none()
    if row is None:
        raise NotFound
    return Locked(connection, row, actor, at)


# The rows are locked together: after a wait PostgreSQL reads again only what is locked, and the instance and the task
# must be as new as the case.
_LOCK_BY_TASK = Prepared(
    sa.select(
        *_CASE_COLUMNS,
        *_INSTANCE_COLUMNS,
        task.c.id.label("task_id"),
        task.c.key,
        task.c.node,
        task.c.organisation_id,
        task.c.duty,
        task.c.state.label("task_state"),
        task.c.person_id,
        task.c.closed_at,
        task.c.result,
    )
    .join_from(task, case, task.c.case_id == case.c.id)
    .join(instance, task.c.instance_id == instance.c.id)
    .where(task.c.id == sa.bindparam("of_task"))
    .with_for_update(of=[case, instance, task], key_share=True)
)


def lock_by_task(connection: Connection, actor: Actor, task_id: int, *, at: datetime) -> tuple[Locked, Any]:
    """Hold the case of a task, in one round trip with the task and its instance. Raises `NotFound`."""
    row = _LOCK_BY_TASK.first(connection, {"of_task": task_id})
    if row is None:
        raise NotFound
    locked = Locked(connection, row, actor, at)
    locked._hold(row)
    # A plain procedure has one pool.
    locked._complete_set = row.side is None
    return locked, row


def _last_deed(connection: Connection, actor: Actor, case_id: int) -> dict[str, Any]:
    """Who changed a case last, when, and how. Persons are named inside their own organisation alone."""
    entry, office = audit.audit_entry.c, organisation.c
    row = connection.execute(
        sa.select(entry.at, entry.action, entry.organisation_id, person.c.name, office.name.label("organisation"))
        .select_from(audit.audit_entry)
        .outerjoin(person, person.c.id == entry.person_id)
        .outerjoin(organisation, office.id == entry.organisation_id)
        .where(entry.case_id == case_id, ~entry.action.endswith(".viewed"))
        .order_by(entry.id.desc())
        .limit(1)
    ).one_or_none()
    if row is None:
        return {}
    own = row.organisation_id == actor.organisation_id
    return {"at": row.at, "what": row.action, "organisation": row.organisation, "person": row.name if own else None}


def startable(connection: Connection, actor: Actor, *, at: datetime) -> list[Version]:
    """The plain procedures of which the actor's organisation may start a case: those in force in its province."""
    require(actor, "work")
    return procedures.plain_serving(connection, _province(connection, actor), at=at)


def startable_as(connection: Connection, actor: Actor, kind: str, *, at: datetime) -> Version:
    """The one of this name among them. Raises `NotFound`."""
    require(actor, "work")
    found = procedures.serving(connection, _province(connection, actor), kind, at=at)
    if not found or kind == procedures.TRANSFER:
        raise NotFound(N_("There is no such procedure in force for your organisation."))
    return found[0]


def _province(connection: Connection, actor: Actor) -> str:
    """Where the actor's organisation stands; the ministry stands in none, so that general rules are its own."""
    assert actor.organisation_id is not None
    return organisations.get(connection, actor.organisation_id).province_code or ""


def start_plain(
    connection: Connection, actor: Actor, version: Version, values: Mapping[str, Any], *, at: datetime
) -> int:
    """Start a case of a plain procedure; its one party is the organisation that starts it. Answers the case's id.

    Raises `Forbidden` for who does not work on cases, `Invalid` for values that the start event's form refuses.
    """
    require(actor, "work")
    pool = version.pool(None)
    assert pool.start is not None
    assert actor.organisation_id is not None
    checked = forms.check(pool.start.form, values)
    locked = create(connection, actor, version.kind, {None: version}, {OWNER: actor.organisation_id}, at=at)
    scope = {"organisation_id": actor.organisation_id, "case_id": locked.id, "receiving": False, "releasing": False}
    locked.write(_NEW_SCOPE, scope | {"state": "open"})
    locked.start(None, forms.process_variables(pool.start.form, checked))
    locked.note("case.started", {"kind": version.kind, "version": version.id})
    locked.save()
    return locked.id


# Deadlines -------------------------------------------------------------------------------------------------------


def due_deadlines(connection: Connection, *, at: datetime, limit: int = 500) -> list[int]:
    """The ids of the deadlines to fire now, the oldest first."""
    return list(
        connection.scalars(
            sa.select(deadline.c.id)
            .where(deadline.c.state == "pending", deadline.c.at <= at)
            .order_by(deadline.c.at)
            .limit(limit)
        )
    )


def fire_deadline(connection: Connection, deadline_id: int, *, at: datetime) -> bool:
    """Fire one deadline, once. False where somebody has, its task is over, or the calendar has moved it meanwhile."""
    case_id = connection.scalar(sa.select(deadline.c.case_id).where(deadline.c.id == deadline_id))
    if case_id is None:
        return False
    locked = lock(connection, SYSTEM, case_id, at=at)
    row = connection.execute(
        sa.select(
            deadline.c.state, deadline.c.at, deadline.c.key, deadline.c.node, deadline.c.instance_id, instance.c.side
        )
        .join(instance, deadline.c.instance_id == instance.c.id)
        .where(deadline.c.id == deadline_id)
    ).one()
    if row.state != "pending" or row.at > at:
        return False
    this_one = deadline.update().where(deadline.c.id == deadline_id)
    try:
        if locked.state != "open":
            raise runtime.NotOpen
        locked.fire(row.side, Opened(row.key, row.node))
    except runtime.NotOpen:
        # Its case or its task ended another way, by a terminate event for example.
        connection.execute(this_one.values(state="cancelled"))
        return False
    connection.execute(this_one.values(state="fired", fired_at=at))
    locked.save()
    audit.record(
        connection, SYSTEM, "deadline.fired", "deadline", deadline_id, at=at, case_id=case_id, after={"node": row.node}
    )
    return True


def recount(connection: Connection, actor: Actor, *, at: datetime) -> int:
    """After a change of the calendar: compute every pending deadline and due date again.

    Answers in how many cases something moved. What has fired already does not fire again.
    """
    stale = _stale(connection)
    if not stale:
        return 0
    # Steps that began before the change finish first; what they opened is seen by the second look.
    held: set[int] = set()
    for some in _in_parts(sorted({row["of_case"] for rows in stale.values() for row in rows})):
        locked = sa.select(case.c.id).where(case.c.id.in_(some)).order_by(case.c.id).with_for_update()
        held.update(connection.scalars(locked))
    moved: set[int] = set()
    for statement, rows in _stale(connection).items():
        rows = [row for row in rows if row["of_case"] in held]
        if rows:
            connection.execute(
                statement, [{name: value for name, value in row.items() if name != "moves"} for row in rows]
            )
        moved |= {row["of_case"] for row in rows if row["moves"]}
    if moved:
        audit.record(connection, actor, "deadlines.recounted", "calendar", None, at=at, after={"cases": len(moved)})
    return len(moved)


_MOVE_DEADLINE = deadline.update().where(
    deadline.c.id == sa.bindparam("row_id"),
    deadline.c.case_id == sa.bindparam("of_case"),
    deadline.c.state == "pending",
)
_MOVE_TASK = task.update().where(
    task.c.id == sa.bindparam("row_id"), task.c.case_id == sa.bindparam("of_case"), task.c.state == "open"
)


def _stale(connection: Connection) -> dict[sa.Update, list[dict[str, Any]]]:
    """What the present calendar counts otherwise than it stands, as parameters of the statements that correct it.

    `moves` tells another instant from one that only ceased to be provisional.
    """
    calendar = workdays.load(connection)
    # Thousands of rows are counted from the same few days.
    due = functools.lru_cache(maxsize=None)(lambda day, days: calendar.due(day, days))
    found: dict[sa.Update, list[dict[str, Any]]] = {_MOVE_DEADLINE: [], _MOVE_TASK: []}
    for row in connection.execute(sa.select(deadline).where(deadline.c.state == "pending")):
        instant = calendar.shift(due(_noon(row.counted_from), row.workdays), row.shift).at
        if instant != row.at:
            found[_MOVE_DEADLINE].append({"row_id": row.id, "of_case": row.case_id, "at": instant, "moves": True})
    waiting = sa.select(
        task.c.id, task.c.case_id, task.c.version_id, task.c.side, task.c.node, task.c.opened_at, task.c.due_at,
        task.c.due_provisional,
    ).where(task.c.state == "open", task.c.due_at.is_not(None))  # fmt: skip
    for row in connection.execute(waiting).all():
        node = procedures.load(connection, row.version_id).node(row.side, row.node)
        new = due(_noon(row.opened_at), expressions.workdays(node.due))
        if (new.at, new.provisional) != (row.due_at, row.due_provisional):
            values = {"due_at": new.at, "due_provisional": new.provisional, "moves": new.at != row.due_at}
            found[_MOVE_TASK].append({"row_id": row.id, "of_case": row.case_id} | values)
    return {statement: rows for statement, rows in found.items() if rows}


def _noon(instant: datetime) -> datetime:
    """Only the day counts."""
    return instant.astimezone(workdays.SHANGHAI).replace(hour=12, minute=0, second=0, microsecond=0)


def _in_parts(ids: list[int], size: int = 1000) -> Iterator[list[int]]:
    return (ids[start : start + size] for start in range(0, len(ids), size))


# Incidents and notices -------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Incident:
    """What stopped a case, or keeps it waiting, until somebody mends it."""

    id: int
    case_id: int
    # transfer, or the name of a plain procedure.
    case_kind: str
    # The element where it happened, or its pool.
    step: Described
    party: str
    organisation_id: int
    organisation: str
    organisation_en: str | None
    code: str
    message: str
    remedy: str
    values: dict[str, Any]
    opened_at: datetime
    attempts: int
    resolved_at: datetime | None

    @property
    def duty(self) -> str | None:
        """The duty that nobody holds, where that is what keeps the case."""
        return self.values["duty"] if self.code == UNSTAFFED else None


def incidents(
    connection: Connection, actor: Actor, *, resolved: bool = False, limit: int, offset: int = 0, counted: int
) -> tuple[list[Incident], int]:
    """One page of the incidents of the actor's jurisdiction, newest first, and how many there are up to `counted`.

    Raises `Forbidden` for anybody but an administrator.
    """
    require(actor, "administer")
    conditions = _mendable(actor, resolved=resolved)
    total = _count_incidents(connection, conditions, counted)
    page = _incidents(conditions).order_by(*_INCIDENTS_LATEST[resolved].by).limit(limit).offset(offset)
    return [_incident(connection, row) for row in connection.execute(page).all()], total


def incidents_after(
    connection: Connection, actor: Actor, *, resolved: bool = False, after: Place | None = None, size: int
) -> list[Incident]:
    """The same list from a place in it on, for readers who want no total."""
    require(actor, "administer")
    conditions, order = _mendable(actor, resolved=resolved), _INCIDENTS_LATEST[resolved]
    if after is not None:
        conditions.append(order.after(after))
    rows = connection.execute(_incidents(conditions).order_by(*order.by).limit(size)).all()
    return [_incident(connection, row) for row in rows]


def incident_place(of: Incident) -> Place:
    """Where an incident stands in the list of those like it."""
    return _INCIDENTS_LATEST[of.resolved_at is not None].place(of)


_INCIDENTS_LATEST = {
    False: Order((incident.c.opened_at, incident.c.id), downwards=True),
    True: Order((incident.c.resolved_at, incident.c.id), downwards=True),
}


def _mendable(actor: Actor, *, resolved: bool) -> list[sa.ColumnElement[bool]]:
    state = incident.c.resolved_at.is_not(None) if resolved else incident.c.resolved_at.is_(None)
    return [_may_mend(actor), state]


def incidents_of(connection: Connection, actor: Actor, case_id: int) -> list[Incident]:
    """What keeps a case on the actor's own side now; everybody there may know, the administrators mend it."""
    conditions = [_may_mend(actor), incident.c.case_id == case_id, incident.c.resolved_at.is_(None)]
    return [
        _incident(connection, row) for row in connection.execute(_incidents(conditions).order_by(incident.c.id)).all()
    ]


def open_incidents(connection: Connection, actor: Actor, *, counted: int) -> int:
    """How many incidents of the actor's jurisdiction wait, counted up to `counted`."""
    return _count_incidents(connection, [_may_mend(actor), incident.c.resolved_at.is_(None)], counted)


_INCIDENTS = incident.join(instance, incident.c.instance_id == instance.c.id).join(
    case, incident.c.case_id == case.c.id
)


def _incidents(conditions: Iterable[sa.ColumnElement[bool]]) -> sa.Select[Any]:
    columns = (case.c.kind.label("case_kind"), case.c.parties, instance.c.side, instance.c.version_id)
    return sa.select(incident, *columns).select_from(_INCIDENTS).where(*conditions)


def _may_mend(actor: Actor) -> sa.ColumnElement[bool]:
    """Whoever stands on the incident's own side of the case: the other side sees its progress alone."""
    return sa.exists().where(
        case_scope.c.organisation_id == actor.organisation_id,
        case_scope.c.case_id == incident.c.case_id,
        sa.or_(
            instance.c.side.is_(None),
            sa.and_(instance.c.side == "receiving", case_scope.c.receiving),
            sa.and_(instance.c.side == "releasing", case_scope.c.releasing),
        ),
    )


def _count_incidents(connection: Connection, conditions: list[sa.ColumnElement[bool]], counted: int) -> int:
    found = sa.select(incident.c.id).select_from(_INCIDENTS).where(*conditions).limit(counted).subquery()
    return connection.scalar(sa.select(sa.func.count()).select_from(found)) or 0


def _incident(connection: Connection, row: Any) -> Incident:
    pool = procedures.load(connection, row.version_id).pool(row.side)
    node = pool.by_id.get(row.node)
    # An incident of a whole pool is its school's, which started it or is asked first.
    party = pool.party(row.node) if node else f"{row.side}_school" if row.side else OWNER
    whose = organisations.get(connection, row.parties[party])
    return Incident(
        row.id, row.case_id, row.case_kind, node or pool, party, whose.id, whose.name, whose.name_en, row.code,
        row.message, row.remedy, row.values, row.opened_at, row.attempts, row.resolved_at,
    )  # fmt: skip


def retry_incident(connection: Connection, actor: Actor, incident_id: int, *, at: datetime) -> bool:
    """Run again what failed, after its cause has been removed. Whether it went on.

    Raises `Forbidden` for anybody but an administrator, `NotFound` outside the actor's jurisdiction, `Mended`
    when it is over, `Unstaffed` where only a membership helps.
    """
    require(actor, "administer")
    row = connection.execute(
        sa.select(incident.c.case_id, incident.c.code, instance.c.side)
        .select_from(_INCIDENTS)
        .where(incident.c.id == incident_id, _may_mend(actor))
    ).one_or_none()
    if row is None:
        raise NotFound
    locked = lock(connection, actor, row.case_id, at=at)
    resolved_at = sa.select(incident.c.resolved_at).where(incident.c.id == incident_id)
    if locked.state != "open" or connection.scalar(resolved_at) is not None:
        raise Mended
    if row.code == UNSTAFFED:
        raise Unstaffed
    locked.retry(row.side)
    locked.save()
    went_on = connection.scalar(resolved_at) is not None
    audit.record(
        connection, actor, "incident.retried", "incident", incident_id, at=at, case_id=row.case_id,
        after={"went_on": went_on},
    )  # fmt: skip
    return went_on


def find_unstaffed(connection: Connection, *, at: datetime) -> None:
    """Open an incident for each task that waits for a duty nobody holds, and resolve those that are over.

    Nothing is skipped: the task stays open, and the organisation's administrator is told.
    """
    columns = incident.c
    connection.execute(
        incident.update()
        .where(
            columns.code == UNSTAFFED,
            columns.resolved_at.is_(None),
            ~_unstaffed_task(columns.instance_id, columns.node),
        )
        .values(resolved_at=at)
    )
    # Few desks have many tasks, so that it is the desks that are looked at one by one.
    desks = sa.select(task.c.organisation_id, task.c.duty).where(task.c.state == fixed("open")).distinct().subquery()
    deserted = sa.select(desks).where(_nobody_holds(desks.c.organisation_id, desks.c.duty))
    rows = connection.execute(
        sa.select(task.c.case_id, task.c.instance_id, task.c.node, task.c.organisation_id, task.c.duty).where(
            task.c.state == "open",
            sa.tuple_(task.c.organisation_id, task.c.duty).in_(deserted),
            ~sa.exists().where(
                columns.code == UNSTAFFED,
                columns.resolved_at.is_(None),
                columns.instance_id == task.c.instance_id,
                columns.node == task.c.node,
            ),
        )
    ).all()
    if rows:
        connection.execute(
            incident.insert(),
            [
                {
                    "case_id": row.case_id, "instance_id": row.instance_id, "node": row.node, "code": UNSTAFFED,
                    "message": Unstaffed.message, "remedy": Unstaffed.remedy,
                    "values": {"duty": row.duty, "organisation_id": row.organisation_id}, "opened_at": at,
                    "attempts": 0,
                }
                for row in rows
            ],
        )  # fmt: skip


def _nobody_holds(organisation_id: sa.ColumnElement[Any], duty: sa.ColumnElement[Any]) -> sa.ColumnElement[bool]:
    return ~sa.exists().where(
        membership.c.organisation_id == organisation_id,
        membership.c.duty == duty,
        membership.c.person_id == person.c.id,
        person.c.active,
    )


def _unstaffed_task(instance_id: sa.ColumnElement[Any], node: sa.ColumnElement[Any]) -> sa.ColumnElement[bool]:
    return sa.exists().where(
        task.c.instance_id == instance_id,
        task.c.node == node,
        task.c.state == "open",
        _nobody_holds(task.c.organisation_id, task.c.duty),
    )


_NEW_NOTICE = Prepared(notice.insert())


@dataclass(frozen=True)
class Notice:
    """What an organisation was told. `step` is the element that it speaks of, where there is one."""

    id: int
    case_id: int
    # transfer, or the name of a plain procedure.
    case_kind: str
    kind: str
    values: dict[str, Any]
    at: datetime
    read_at: datetime | None
    step: Node | None


def notices(
    connection: Connection, actor: Actor, *, unread: bool = False, limit: int, offset: int = 0, counted: int
) -> tuple[list[Notice], int]:
    """One page of what the actor's organisation was told, newest first, and how many there are up to `counted`."""
    conditions = _told(actor, unread=unread)
    total = _count_notices(connection, conditions, counted)
    return _notices(connection, _selected_notices(conditions).limit(limit).offset(offset)), total


def notices_after(
    connection: Connection, actor: Actor, *, unread: bool = False, after: Place | None = None, size: int
) -> list[Notice]:
    """The same list from a place in it on, for readers who want no total."""
    conditions = _told(actor, unread=unread)
    if after is not None:
        conditions.append(_NOTICES_LATEST.after(after))
    return _notices(connection, _selected_notices(conditions).limit(size))


def notice_place(of: Notice) -> Place:
    """Where a notice stands in the list."""
    return _NOTICES_LATEST.place(of)


_NOTICES_LATEST = Order((notice.c.at, notice.c.id), downwards=True)


def _told(actor: Actor, *, unread: bool) -> list[sa.ColumnElement[bool]]:
    conditions = [notice.c.organisation_id == actor.organisation_id]
    return [*conditions, notice.c.read_at.is_(None)] if unread else conditions


def _selected_notices(conditions: Iterable[sa.ColumnElement[bool]]) -> sa.Select[Any]:
    return (
        sa.select(notice, case.c.kind.label("case_kind"))
        .join(case, notice.c.case_id == case.c.id)
        .where(*conditions)
        .order_by(*_NOTICES_LATEST.by)
    )


def _notices(connection: Connection, selected: sa.Select[Any]) -> list[Notice]:
    rows = connection.execute(selected).all()
    pools = _pools(connection, {row.case_id for row in rows})
    return [
        Notice(row.id, row.case_id, row.case_kind, row.kind, row.values, row.at, row.read_at, _step(row, pools))
        for row in rows
    ]


def unread_notices(connection: Connection, actor: Actor, *, counted: int) -> int:
    """How many notices nobody in the actor's organisation has read, counted up to `counted`."""
    unread = [notice.c.organisation_id == actor.organisation_id, notice.c.read_at.is_(None)]
    return _count_notices(connection, unread, counted)


def read_notices(connection: Connection, actor: Actor, notice_id: int | None = None, *, at: datetime) -> int:
    """Mark one notice of the actor's organisation as read, or all of them. Answers how many were unread."""
    unread = [notice.c.organisation_id == actor.organisation_id, notice.c.read_at.is_(None), notice.c.at <= at]
    if notice_id is not None:
        unread.append(notice.c.id == notice_id)
    read = connection.execute(notice.update().where(*unread).values(read_at=at)).rowcount
    if read:
        audit.record(connection, actor, "notice.read", "notice", notice_id, at=at, after={"notices": read})
    return read


def _count_notices(connection: Connection, conditions: list[sa.ColumnElement[bool]], counted: int) -> int:
    found = sa.select(notice.c.id).where(*conditions).limit(counted).subquery()
    return connection.scalar(sa.select(sa.func.count()).select_from(found)) or 0


def _pools(connection: Connection, case_ids: Iterable[int]) -> dict[int, list[Pool]]:
    """The pools that each case runs in."""
    found: dict[int, list[Pool]] = {}
    rows = connection.execute(
        sa.select(instance.c.case_id, instance.c.version_id, instance.c.side).where(
            instance.c.case_id.in_(list(case_ids))
        )
    )
    for row in rows:
        found.setdefault(row.case_id, []).append(procedures.load(connection, row.version_id).pool(row.side))
    return found


def _step(row: Any, pools: Mapping[int, list[Pool]]) -> Node | None:
    """The human step that a notice is about: for what a timer set off, the step on whose edge the timer stands."""
    node_id, party = row.values.get("node"), row.values.get("party")
    for pool in pools.get(row.case_id, ()):
        if node_id in pool.by_id and pool.party(node_id) == party:
            return pool.host_of(node_id)
    return None
