"""Incidents: what stopped a case, or keeps it waiting, and who mends it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from engine import audit, procedures
from engine.accounts import membership, person
from engine.audit import Actor
from engine.bpmn.graph import OWNER, Described
from engine.cases.locked import lock
from engine.cases.tables import UNSTAFFED, case, case_scope, incident, instance, task
from engine.db import fixed
from engine.errors import N_, Conflict, NotFound
from engine.keyset import Order, Place
from engine.permissions import require
from engine.registry import organisations


class Unstaffed(Conflict):
    """A step waits for a duty that nobody in its organisation holds."""

    code = UNSTAFFED
    message = N_("Nobody in this organisation holds the duty that this step waits for.")
    remedy = N_("Give somebody the duty; the step then stands in that person's inbox.")


class Mended(Conflict):
    """An incident that is over."""

    code = "mended"
    message = N_("This incident is over: somebody has dealt with it, or the case has gone another way.")
    remedy = N_("Look at the case to see where it stands.")


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
