"""A case held by a transaction: one step, tasks opened and closed, messages carried, timers armed, all of it saved."""

from __future__ import annotations

import functools
import logging
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from engine import audit, messages, procedures, workdays
from engine.accounts import person
from engine.audit import Actor
from engine.bpmn import expressions, runtime
from engine.bpmn.catalogue import MESSAGES
from engine.bpmn.graph import Node
from engine.bpmn.runtime import Opened, Step
from engine.cases.kinds import Call, kind_of
from engine.cases.tables import UNSTAFFED, case, case_scope, deadline, incident, instance, notice, task
from engine.db import savepoint
from engine.errors import N_, Conflict, NotFound, XuejiError
from engine.outages import is_outage
from engine.prepared import Prepared, Write
from engine.procedures import Version
from engine.registry.tables import organisation

log = logging.getLogger(__name__)


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

    What a step changes is written by `save`, so that it costs few round trips; what services do beyond that, at once.
    """

    def __init__(self, connection: Connection, row: Any, actor: Actor, at: datetime) -> None:
        self.connection = connection
        self.actor = actor
        self.at = at
        self.id: int = row.case_id
        self.kind_name: str = row.kind
        self.kind = kind_of(row.kind)
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
        # Who may see it from this transaction on.
        self._new_scope: list[dict[str, Any]] = []
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

    def open_to(self, organisation_id: int) -> None:
        """Let an organisation on neither side see a case that begins."""
        row = {"organisation_id": organisation_id, "case_id": self.id, "receiving": False, "releasing": False}
        self._new_scope.append(row | {"state": self.state})

    def stand(self, state: str) -> None:
        """Where the case stands now, in the lists of all who may see it."""
        for row in self._new_scope:
            row["state"] = state
        self.change(_STAND, {"of_case": self.id}, state=state)

    def write(self, statement: Prepared, values: Mapping[str, Any]) -> None:
        """Another row, or a change that nothing else in this transaction makes."""
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
        writes += [(_NEW_SCOPE, row) for row in self._new_scope]
        arrived = [item for item in self._kept_messages or [] if item.state != "waiting"]
        writes += [messages.written(item, self.id) for item in arrived + self._sent]
        writes += [(statement, values) for (statement, *_), values in self._changes.items()]
        # First what ends: what begins may stand in the same place, as a timer that is armed again.
        for statement, values in self._writes + writes:
            statement.later(self.connection, values)
        self._writes, self._changes, self._new_tasks, self._new_deadlines = [], {}, {}, {}
        self._kept_messages, self._sent, self._new_scope = None, [], []

    # What a step did

    def _took(self, held: _Instance, step: Step, *, quiet: bool = False) -> list[Opened]:
        held.state, held.ended, held.changed = step.state, step.ended, True
        held.outcome = step.outcome or held.outcome
        for key in step.closed:
            self._drop(held, key)
        for opened in step.opened:
            self._open(held, opened)
        for node_id in step.passed:
            self._cancel_gateway_timers(held, node_id)
        for timer in step.timers:
            self._arm(held, timer)
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
        """Bring an instance's incidents up to date: what failed, failed again, or went on. One for each element.

        What the database could not do just now is nothing for an administrator: whoever asked tries again.
        """
        for failure in step.failures:
            if is_outage(failure.error):
                raise failure.error
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
_NEW_NOTICE = Prepared(notice.insert())
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
