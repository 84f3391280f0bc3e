"""Cases as whoever may see them knows them, and where they stand."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from engine import procedures
from engine.audit import Actor
from engine.bpmn import runtime
from engine.cases.tables import case, case_scope, instance
from engine.errors import NotFound
from engine.procedures import Version


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
