"""Deadlines: which are due, firing them once, and counting them again when the calendar has changed."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from engine import audit, procedures, workdays
from engine.audit import SYSTEM, Actor
from engine.bpmn import expressions, runtime
from engine.bpmn.runtime import Opened
from engine.cases.locked import lock
from engine.cases.tables import case, deadline, instance, task
from engine.keyset import Order, Place

_OLDEST_FIRST = Order((deadline.c.at, deadline.c.id))


def due_deadlines(
    connection: Connection, *, at: datetime, after: Place | None = None, limit: int = 500
) -> list[tuple[int, datetime]]:
    """The deadlines to fire now, the oldest first, from a place in that order on: their ids, and when they were due."""
    conditions = [deadline.c.state == "pending", deadline.c.at <= at]
    if after is not None:
        conditions.append(_OLDEST_FIRST.after(after))
    rows = connection.execute(
        sa.select(deadline.c.id, deadline.c.at).where(*conditions).order_by(*_OLDEST_FIRST.by).limit(limit)
    )
    return [(row.id, row.at) for row in rows]


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
