"""How the inbox is narrowed by what its tasks' transfers are about."""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from engine import inbox
from engine.audit import Actor
from engine.cases import task
from engine.registry import divisions
from engine.registry.tables import organisation
from engine.transfers.query import about_student
from engine.transfers.tables import RECEIVING, transfer


@dataclass(frozen=True)
class Waiting:
    """How the inbox is narrowed: the actor's own side's school, the other side's region, and whom it is about."""

    school_id: int | None = None
    division: str = ""
    name: str = ""
    number: str = ""


def waiting_where(narrowed: Waiting) -> sa.ColumnElement[bool] | None:
    """The condition on the inbox's tasks; None where nothing narrows them."""
    own, other = _own_and_other()
    found: list[sa.ColumnElement[bool]] = []
    if narrowed.school_id is not None:
        found.append(own == narrowed.school_id)
    if narrowed.division:
        found.append(other.in_(_schools_in(narrowed.division)))
    found += about_student(narrowed.name, narrowed.number)
    return sa.exists().where(transfer.c.case_id == task.c.case_id, *found) if found else None


def _own_and_other() -> tuple[sa.ColumnElement[int], sa.ColumnElement[int]]:
    """The school of a task's own side, and the one of the other side."""
    receiving, releasing = transfer.c.receiving_school_id, transfer.c.releasing_school_id
    mine = task.c.side == RECEIVING
    return sa.case((mine, receiving), else_=releasing), sa.case((mine, releasing), else_=receiving)


@dataclass(frozen=True)
class Places:
    """What a list can be narrowed to: the own side's schools (id and name), the other side's provinces."""

    schools: tuple[tuple[int, str], ...]
    provinces: tuple[str, ...]


def places_waiting(connection: Connection, actor: Actor) -> Places:
    """The schools and provinces of the transfers that wait for the actor."""
    own, other = _own_and_other()
    of_own, of_other = organisation.alias("own"), organisation.alias("other")
    province = sa.func.substr(of_other.c.division_code, 1, 2)
    rows = connection.execute(
        sa.select(of_own.c.id, of_own.c.name, province.label("province"))
        .select_from(task)
        .join(transfer, transfer.c.case_id == task.c.case_id)
        .join(of_own, of_own.c.id == own)
        .join(of_other, of_other.c.id == other)
        .where(inbox.mine(actor))
        .distinct()
    ).all()
    schools = {(row.id, row.name) for row in rows}
    return Places(
        tuple(sorted(schools, key=lambda school: school[1])),
        tuple(sorted({f"{row.province}0000" for row in rows if row.province})),
    )


def _schools_in(division: str) -> sa.Select[tuple[int]]:
    return sa.select(organisation.c.id).where(
        organisation.c.level == "school", organisation.c.division_code.between(*divisions.code_range(division))
    )
