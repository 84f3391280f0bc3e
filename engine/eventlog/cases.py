"""Cases read as traces: what was opened, done, cancelled and sent in each, in time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from engine import procedures
from engine.audit import SYSTEM, Actor
from engine.bpmn.graph import Node
from engine.cases import case, case_scope, instance, task
from engine.db import fixed
from engine.errors import Forbidden
from engine.messages import message
from engine.permissions import may
from engine.procedures import Version
from engine.transfers.tables import RECEIVING, RELEASING, transfer

# So many cases are read with one round of statements.
_CHUNK = 500


@dataclass(frozen=True)
class Filters:
    """Which cases; empty ones do not narrow."""

    # Started from the one instant on, and before the other.
    since: datetime | None = None
    until: datetime | None = None
    # With one of its halves under this version.
    version_id: int | None = None


@dataclass(frozen=True)
class Event:
    """One thing that happened in a case."""

    at: datetime
    # opened, done, cancelled: a step. sent: a message.
    kind: str
    # The step, or what sent the message; None where the diagram draws no sender.
    node: Node | None
    side: str | None
    version: Version
    party: str
    organisation_id: int | None
    duty: str = ""
    result: str | None = None
    # Of a step that is done or cancelled: since when it had waited, and until when it had to be done.
    opened_at: datetime | None = None
    due_at: datetime | None = None
    message: str = ""

    @property
    def is_late(self) -> bool:
        return self.kind == "done" and self.due_at is not None and self.at >= self.due_at


@dataclass(frozen=True)
class Trace:
    """One case with its events. `events` are in time; those of one instant in the order of the case."""

    case_id: int
    kind: str
    started_at: datetime
    ended_at: datetime | None
    # completed, refused, withdrawn; None while it is open.
    outcome: str | None
    parties: Mapping[str, int]
    # By side; None is the side of a plain case.
    versions: Mapping[str | None, Version]
    # The student of a transfer by its id, which goes into no file.
    student_id: int | None
    # The steps that wait now, by their sides.
    open: frozenset[tuple[str | None, str]]
    events: Sequence[Event] = field(default=(), repr=False)


def may_read(actor: Actor) -> bool:
    """Auditors and policy editors may: others see cases, and not how others work."""
    return may(actor, "audit") or may(actor, "edit_procedures")


def require_access(actor: Actor) -> None:
    """Raises `Forbidden` unless `may_read`."""
    if not may_read(actor):
        raise Forbidden


def traces(
    connection: Connection, actor: Actor, filters: Filters | None = None, *, newest: int | None = None
) -> Iterator[Trace]:
    """The cases of the actor's jurisdiction, the oldest first, or the newest of them. Raises `Forbidden`.

    They are read as they are asked for, so that a log may be longer than memory.
    """
    require_access(actor)
    matching, number = _matching(actor, filters or Filters())
    if newest is not None:
        ids = list(connection.scalars(matching.order_by(number.desc()).limit(newest)))
        for start in range(0, len(ids), _CHUNK):
            yield from _read(connection, ids[start : start + _CHUNK])
        return
    last = 0
    while ids := list(connection.scalars(matching.where(number > last).order_by(number).limit(_CHUNK))):
        yield from _read(connection, ids)
        last = ids[-1]


def _matching(actor: Actor, filters: Filters) -> tuple[sa.Select[Any], sa.Column[int]]:
    """The ids of the cases, and the column that they are sorted by: where one index has whom they concern in order."""
    if actor == SYSTEM:
        number = case.c.id
        found = sa.select(number)
    else:
        number = case_scope.c.case_id
        found = sa.select(number).where(case_scope.c.organisation_id == fixed(actor.organisation_id))
    begun = case.alias()
    if filters.since:
        found = found.where(sa.exists().where(begun.c.id == number, begun.c.started_at >= filters.since))
    if filters.until:
        found = found.where(sa.exists().where(begun.c.id == number, begun.c.started_at < filters.until))
    if filters.version_id is not None:
        # Calculated with, so that no index of versions is gone through for each case, which has two instances at most.
        under = instance.c.version_id + 0 == filters.version_id
        found = found.where(sa.exists().where(instance.c.case_id == number, under))
    return found, number


def _read(connection: Connection, ids: Sequence[int]) -> Iterator[Trace]:
    """These cases, in this order."""
    columns = (case.c.id, case.c.kind, case.c.started_at, case.c.ended_at, case.c.outcome, case.c.parties)
    query = sa.select(*columns, transfer.c.student_id).join(transfer, transfer.c.case_id == case.c.id, isouter=True)
    cases = {row.id: row for row in connection.execute(query.where(case.c.id.in_(ids)))}
    instances = _by_case(connection, sa.select(*(instance.c[name] for name in _OF_INSTANCE)), ids)
    steps = _by_case(connection, sa.select(*(task.c[name] for name in _OF_TASK)), ids)
    letters = _by_case(connection, sa.select(*(message.c[name] for name in _OF_MESSAGE)), ids)
    for case_id in ids:
        row = cases[case_id]
        versions = {item.side: procedures.load(connection, item.version_id) for item in instances.get(case_id, ())}
        tasks = _in_order(steps.get(case_id, []))
        events = [event for item in tasks for event in _of_task(connection, item)]
        events += [event for item in letters.get(case_id, ()) if (event := _of_message(row, versions, item))]
        yield Trace(
            case_id=case_id,
            kind=row.kind,
            started_at=row.started_at,
            ended_at=row.ended_at,
            outcome=row.outcome,
            parties=row.parties,
            versions=versions,
            student_id=row.student_id,
            open=frozenset((item.side, item.node) for item in tasks if item.state == "open"),
            events=sorted(events, key=lambda event: (event.at, _ORDER[event.kind])),
        )


_OF_INSTANCE = ("id", "case_id", "side", "version_id")
_OF_TASK = (
    "id", "case_id", "instance_id", "key", "side", "node", "version_id", "party", "organisation_id", "duty", "state",
    "opened_at", "closed_at", "due_at", "result",
)  # fmt: skip
_OF_MESSAGE = ("id", "case_id", "name", "to_side", "sender", "sent_at")
# In one instant: what was done, the message that it sent, what was opened by it.
_ORDER = {"done": 0, "cancelled": 1, "sent": 2, "opened": 3}


def _by_case(connection: Connection, query: sa.Select[Any], ids: Sequence[int]) -> dict[int, list[Any]]:
    columns = query.selected_columns
    found: dict[int, list[Any]] = {}
    for row in connection.execute(query.where(columns["case_id"].in_(ids)).order_by(columns["id"])):
        found.setdefault(row.case_id, []).append(row)
    return found


def _in_order(tasks: Sequence[Any]) -> list[Any]:
    """Tasks as they came up: rows of one transaction may have been written in any order, keys rise in an instance."""
    rising: dict[int, Iterator[Any]] = {}
    for row in tasks:
        if row.instance_id not in rising:
            own = [other for other in tasks if other.instance_id == row.instance_id]
            rising[row.instance_id] = iter(sorted(own, key=lambda other: other.key))
    return [next(rising[row.instance_id]) for row in tasks]


def _of_task(connection: Connection, row: Any) -> Iterator[Event]:
    version = procedures.load(connection, row.version_id)
    common: dict[str, Any] = {
        "node": version.node(row.side, row.node), "side": row.side, "version": version, "party": row.party,
        "organisation_id": row.organisation_id, "duty": row.duty, "due_at": row.due_at,
    }  # fmt: skip
    yield Event(at=row.opened_at, kind="opened", **common)
    if row.state != "open":
        yield Event(at=row.closed_at, kind=row.state, opened_at=row.opened_at, result=row.result, **common)


def _of_message(of: Any, versions: Mapping[str | None, Version], row: Any) -> Event | None:
    side = RELEASING if row.to_side == RECEIVING else RECEIVING
    if side not in versions:
        return None
    pool = versions[side].pool(side)
    drawn = [node for node in pool.nodes if node.event and node.event.message == row.name]
    sender = next((node for node in drawn if pool.party(node.id) == row.sender), None)
    office = of.parties.get(row.sender)
    return Event(row.sent_at, "sent", sender, side, versions[side], row.sender, office, message=row.name)
