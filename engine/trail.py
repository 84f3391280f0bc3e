"""The audit log as auditors search it: what was done in their own jurisdiction."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from engine.accounts.tables import person
from engine.audit import Actor, audit_entry
from engine.permissions import jurisdiction, require
from engine.registry.tables import organisation


@dataclass(frozen=True)
class Filters:
    """What to look for; empty ones do not narrow."""

    since: datetime | None = None
    until: datetime | None = None
    # A part of a person's name, or their login.
    person: str = ""
    action: str = ""
    subject_kind: str = ""
    subject_id: int | None = None
    case_id: int | None = None
    organisation_id: int | None = None


@dataclass(frozen=True)
class Entry:
    """One deed, with the names that its ids have today."""

    id: int
    at: datetime
    # None for what happened without a person, or who is not known any more.
    person_name: str | None
    login: str | None
    organisation_name: str | None
    organisation_name_en: str | None
    duty: str
    action: str
    subject_kind: str
    subject_id: int | None
    case_id: int | None
    before: Any
    after: Any


def search(
    connection: Connection, actor: Actor, filters: Filters, *, limit: int, offset: int = 0, counted: int
) -> tuple[list[Entry], int]:
    """One page of the entries that match, the newest first, and how many there are, counted up to `counted`."""
    require(actor, "audit")
    columns = audit_entry.c
    matching = sa.select(columns.id).where(_in_jurisdiction(actor), *_conditions(filters))
    total = connection.scalar(sa.select(sa.func.count()).select_from(matching.limit(counted).subquery())) or 0
    page = matching.order_by(columns.id.desc()).limit(limit).offset(offset)
    query = (
        sa.select(
            columns.id,
            columns.at,
            person.c.name.label("person_name"),
            person.c.login,
            organisation.c.name.label("organisation_name"),
            organisation.c.name_en.label("organisation_name_en"),
            columns.duty,
            columns.action,
            columns.subject_kind,
            columns.subject_id,
            columns.case_id,
            columns.before,
            columns.after,
        )
        .select_from(
            audit_entry.outerjoin(person, person.c.id == columns.person_id).outerjoin(
                organisation, organisation.c.id == columns.organisation_id
            )
        )
        .where(columns.id.in_(page.scalar_subquery()))
        .order_by(columns.id.desc())
    )
    return [Entry(**row._mapping) for row in connection.execute(query)], total


def actions(connection: Connection, actor: Actor) -> list[str]:
    """The actions that occur in the log, for the filter."""
    require(actor, "audit")
    return list(connection.scalars(sa.select(audit_entry.c.action).distinct().order_by(audit_entry.c.action)))


def _in_jurisdiction(actor: Actor) -> sa.ColumnElement[bool]:
    # What the system does belongs to no organisation; whoever sees the whole country sees it too.
    if actor.organisation_level == "ministry":
        return sa.true()
    return jurisdiction(actor, audit_entry.c.organisation_id)


def _conditions(filters: Filters) -> list[sa.ColumnElement[bool]]:
    columns = audit_entry.c
    found: list[sa.ColumnElement[bool]] = []
    if filters.since:
        found.append(columns.at >= filters.since)
    if filters.until:
        found.append(columns.at < filters.until)
    if filters.person.strip():
        text = filters.person.strip()
        named = person.c.name.contains(text, autoescape=True) | (person.c.login == text.lower())
        found.append(columns.person_id.in_(sa.select(person.c.id).where(named)))
    for column, value in (
        (columns.action, filters.action),
        (columns.subject_kind, filters.subject_kind),
        (columns.subject_id, filters.subject_id),
        (columns.case_id, filters.case_id),
        (columns.organisation_id, filters.organisation_id),
    ):
        if value not in (None, ""):
            found.append(column == value)
    return found
