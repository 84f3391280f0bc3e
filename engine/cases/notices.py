"""What an organisation is told without having to do anything."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from engine import audit, procedures
from engine.audit import Actor
from engine.bpmn.graph import Node, Pool
from engine.cases.tables import case, instance, notice
from engine.keyset import Order, Place
from engine.prepared import Prepared


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
    [(unread,)] = _UNREAD.rows(connection, {"whose": actor.organisation_id, "counted": counted})
    return int(unread)


_unread = (
    sa.select(notice.c.id)
    .where(notice.c.organisation_id == sa.bindparam("whose"), notice.c.read_at.is_(None))
    .limit(sa.bindparam("counted", type_=sa.Integer))
)
_UNREAD = Prepared(sa.select(sa.func.count().label("unread")).select_from(_unread.subquery()))


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
