"""How the inbox is narrowed by what its tasks' transfers are about."""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa

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
    whose: sa.FromClause = transfer
    found: list[sa.ColumnElement[bool]] = about_student(narrowed.name, narrowed.number)
    if narrowed.school_id is not None:
        found.append(_school(own=True) == narrowed.school_id)
    if narrowed.division:
        # Joined, not `in`: an inbox has few tasks, but a province thousands of schools.
        whose = transfer.join(organisation, organisation.c.id == _school(own=False))
        found.append(organisation.c.division_code.between(*divisions.code_range(narrowed.division)))
    if not found:
        return None
    of_case = sa.select(transfer.c.case_id).select_from(whose).where(transfer.c.case_id == task.c.case_id, *found)
    return sa.exists(of_case.correlate(task))


def _school(*, own: bool) -> sa.ColumnElement[int]:
    """The school of a task's own side, or the one of the other side."""
    receiving, releasing = transfer.c.receiving_school_id, transfer.c.releasing_school_id
    mine = task.c.side == RECEIVING
    return sa.case((mine, receiving), else_=releasing) if own else sa.case((mine, releasing), else_=receiving)
