"""变动查询: the transfers of a jurisdiction, narrowed by filters, a page at a time or as an export.

Every filter is answered from an index, for the ministry too: by place and state from `case_scope`, by holder from the
open tasks, by person from the student, by school year from a span of cases.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from engine import audit
from engine.audit import Actor
from engine.bpmn.forms import FieldError
from engine.bpmn.graph import OWNER
from engine.cases import case, case_scope, task
from engine.db import fixed
from engine.errors import N_, Invalid
from engine.inbox import COUNTED, PAGE
from engine.permissions import require
from engine.prepared import Prepared
from engine.registry import numbers, organisations, students
from engine.registry.tables import student
from engine.transfers.tables import transfer
from engine.transfers.views import UNDER_WAY, Transfer, summaries

# What is not written into the audit log: these may name a child.
_PERSONAL = frozenset({"name", "number"})
_CHUNK = 500


class TooManyToExport(Invalid):
    """More than one file can hold in good sense. `values` say how many may be."""

    code = "too_many_to_export"
    message = N_("More than %(most)s transfers match.")
    remedy = N_("Narrow the query down, for example to one school year or region, then export again.")


@dataclass(frozen=True)
class Filters:
    """What is looked for; what is empty does not narrow."""

    # An authority or a school of the jurisdiction: the transfers that it sees itself.
    within: int | None = None
    name: str = ""
    # A transfer's, a student record's or an ID number.
    number: str = ""
    school_year: int | None = None
    # in, out: how the place looked at, `within` or the actor's own organisation, stands to the transfer.
    kind: str = ""
    state: str = ""
    # Who has it now, as a party or as an organisation.
    holder: str = ""
    holder_id: int | None = None
    late: bool = False


@dataclass(frozen=True)
class Found:
    """One page of a list. `total` is exact up to `COUNTED` and one more beyond it."""

    transfers: list[Transfer]
    total: int
    number: int
    size: int


def search(
    connection: Connection, actor: Actor, filters: Filters, *, at: datetime, page: int = 1, size: int = PAGE
) -> Found:
    """The transfers of the actor's jurisdiction that match, newest first.

    Raises `NotFound` for a place outside it.
    """
    require(actor, "query")
    matching = _matching(connection, actor, filters, at)
    whole = bool(_held(filters, at) or about_student(filters.name, filters.number))
    return _page(connection, actor, matching, filters.within, page, size, whole=whole)


def search_after(
    connection: Connection,
    actor: Actor,
    filters: Filters,
    *,
    at: datetime,
    after: int | None = None,
    size: int = PAGE,
) -> list[Transfer]:
    """The same from a case in the list on, for readers who want no total."""
    require(actor, "query")
    return _from(connection, actor, _matching(connection, actor, filters, at), filters.within, after, size)


def started_by(connection: Connection, actor: Actor, *, page: int = 1, size: int = PAGE) -> Found:
    """我发起的: the transfers that the person started, newest first."""
    return _page(connection, actor, _started_by(actor), None, page, size)


def started_by_after(
    connection: Connection, actor: Actor, *, after: int | None = None, size: int = PAGE
) -> list[Transfer]:
    """The same list from a case in it on."""
    return _from(connection, actor, _started_by(actor), None, after, size)


def _started_by(actor: Actor) -> sa.Select[Any]:
    return (
        sa.select(case.c.id.label("case_id"))
        .join(transfer, transfer.c.case_id == case.c.id)
        .where(case.c.started_by == actor.person_id, transfer.c.receiving_school_id == actor.organisation_id)
    )


def export(connection: Connection, actor: Actor, filters: Filters, reason: str, *, at: datetime) -> list[Transfer]:
    """All that match, for a file. The reason is logged with the filters, though not with the name or number in them.

    Raises `Invalid` without a reason, `TooManyToExport`, `NotFound` as `search` does.
    """
    require(actor, "query")
    if not reason.strip():
        raise Invalid(fields={"reason": FieldError(N_("This is required."))})
    matching = _matching(connection, actor, filters, at)
    ids = connection.scalars(_newest_first(matching).limit(COUNTED + 1)).all()
    if len(ids) > COUNTED:
        raise TooManyToExport(most=COUNTED)
    after = {"reason": reason.strip(), "transfers": len(ids), "filters": _loggable(filters)}
    audit.record(connection, actor, "transfers.exported", "transfer", None, at=at, after=after)
    found: list[Transfer] = []
    for some in _chunks(ids):
        found += _in_order(connection, actor, some, filters.within)
    return found


def by_number(connection: Connection, actor: Actor, text: str) -> int | None:
    """The case of the transfer with exactly this number, if the actor may see it."""
    return connection.scalar(
        sa.select(transfer.c.case_id)
        .join(case_scope, case_scope.c.case_id == transfer.c.case_id)
        .where(transfer.c.number == numbers.normalise(text), case_scope.c.organisation_id == actor.organisation_id)
    )


def school_years(connection: Connection) -> range:
    """The school years in which transfers began, by the year of each one's September."""
    [(first, last)] = _YEARS.rows(connection, {})
    return range(0) if first is None else range(first, last + 1)


# One page --------------------------------------------------------------------------------------------------------


def _page(
    connection: Connection,
    actor: Actor,
    matching: sa.Select[Any],
    seen_from: int | None,
    page: int,
    size: int,
    *,
    whole: bool = False,
) -> Found:
    """`whole`: whether all that match must be found before the newest are known. They are counted by the way then."""
    first = (max(page, 1) - 1) * size
    if whole and first + size <= COUNTED:
        found = _newest_first(matching).limit(fixed(COUNTED + 1)).subquery()
        counted = sa.select(found.c.case_id, sa.func.count().over().label("total"))
        rows = connection.execute(_newest_first(counted).limit(fixed(size)).offset(fixed(first))).all()
        if rows or not first:
            ids, total = [row.case_id for row in rows], rows[0].total if rows else 0
            return Found(_in_order(connection, actor, ids, seen_from), total, max(page, 1), size)
    most = matching.limit(fixed(COUNTED + 1)).subquery()
    total = connection.scalar(sa.select(sa.func.count()).select_from(most)) or 0
    ids = list(connection.scalars(_newest_first(matching).limit(fixed(size)).offset(fixed(first))))
    return Found(_in_order(connection, actor, ids, seen_from), total, max(page, 1), size)


def _from(
    connection: Connection,
    actor: Actor,
    matching: sa.Select[Any],
    seen_from: int | None,
    after: int | None,
    size: int,
) -> list[Transfer]:
    if after is not None:
        matching = matching.where(matching.selected_columns.case_id < after)
    ids = connection.scalars(_newest_first(matching).limit(fixed(size))).all()
    return _in_order(connection, actor, ids, seen_from)


def _newest_first(matching: sa.Select[Any]) -> sa.Select[Any]:
    return matching.order_by(matching.selected_columns.case_id.desc())


def _in_order(connection: Connection, actor: Actor, ids: Sequence[int], seen_from: int | None) -> list[Transfer]:
    found = summaries(connection, actor, ids, seen_from=seen_from)
    return [found[case_id] for case_id in ids]


def _chunks(ids: Sequence[int]) -> Iterator[Sequence[int]]:
    return (ids[start : start + _CHUNK] for start in range(0, len(ids), _CHUNK))


def _loggable(filters: Filters) -> dict[str, Any]:
    found = {item.name: getattr(filters, item.name) for item in fields(filters)}
    return {name: name if name in _PERSONAL else value for name, value in found.items() if value}


# The filters -----------------------------------------------------------------------------------------------------


def _matching(connection: Connection, actor: Actor, filters: Filters, at: datetime) -> sa.Select[Any]:
    """The ids of the cases that match: those of the place looked at which the actor sees too."""
    place = actor.organisation_id if filters.within is None else filters.within
    found = sa.select(case_scope.c.case_id).where(case_scope.c.organisation_id == fixed(place))
    if place != actor.organisation_id:
        organisations.require_jurisdiction(connection, actor, place)
    # What lies below may have moved here meanwhile; its older cases stay with whom they began.
    if place != actor.organisation_id and not _is_native(connection, actor, place):
        own = case_scope.alias("own")
        visible = (own.c.case_id == case_scope.c.case_id) & (own.c.organisation_id == fixed(actor.organisation_id))
        # Not joined: PostgreSQL would read all that the actor sees before it looks at the place.
        found = found.where(sa.select(sa.true()).where(visible).correlate(case_scope).scalar_subquery())
    if filters.kind:
        found = found.where(case_scope.c.receiving if filters.kind == "in" else case_scope.c.releasing)
    if filters.state:
        found = found.where(case_scope.c.state == fixed(filters.state))
    held = _held(filters, at)
    # The ministry sees all that anybody has.
    whole = place == actor.organisation_id and actor.organisation_level == "ministry"
    if not held:
        # Cases of plain procedures have no sides.
        found = found.where(sa.or_(case_scope.c.receiving, case_scope.c.releasing))
    elif whole and not (filters.kind or filters.state):
        found = sa.select(task.c.case_id).where(*held).distinct()
    else:
        found = found.where(case_scope.c.case_id.in_(sa.select(task.c.case_id).where(*held)))
        if not (whole or filters.state or filters.holder_id):
            # This narrows nothing, but a place has few of these.
            found = found.where(case_scope.c.state.in_([fixed(state) for state in UNDER_WAY]))
    case_id = found.selected_columns.case_id
    about = about_student(filters.name, filters.number)
    if filters.school_year is not None:
        span, year = _in_school_year(connection, filters.school_year, case_id)
        found, about = found.where(*span), [*about, *year]
    if about:
        found = found.where(case_id.in_(sa.select(transfer.c.case_id).where(*about)))
    return found


def _is_native(connection: Connection, actor: Actor, place: int | None) -> bool:
    """Whether all that the place sees has begun below the actor's organisation. Below the ministry everything has."""
    if actor.organisation_level == "ministry":
        return True
    return organisations.is_native(connection, actor.organisation_id or 0, place or 0)


def _held(filters: Filters, at: datetime) -> list[sa.ColumnElement[bool]]:
    """Conditions on the open task by which somebody has a case; none where it does not matter who has it."""
    found: list[sa.ColumnElement[bool]] = []
    if filters.holder:
        found.append(task.c.party == fixed(filters.holder))
    if filters.holder_id is not None:
        found.append(task.c.organisation_id == fixed(filters.holder_id))
    if filters.late:
        found.append(task.c.due_at <= at)
    # Written out, or the index of the open tasks would not be seen to fit. Those of plain procedures are their owner's.
    return [task.c.state == fixed("open"), task.c.party != fixed(OWNER), *found] if found else []


def about_student(name: str, number: str) -> list[sa.ColumnElement[bool]]:
    """Conditions on transfers: the student's name, and a number of the transfer or of the student."""
    found: list[sa.ColumnElement[bool]] = []
    if name.strip():
        found.append(_whose(student.c.name.in_(students.spellings(name))))
    number = numbers.normalise(number)
    if number.startswith("ZX"):
        found.append(transfer.c.number == number)
    elif number:
        found.append(_whose(students.number_column(number) == number))
    return found


def _whose(about: sa.ColumnElement[bool]) -> sa.ColumnElement[bool]:
    return transfer.c.student_id.in_(sa.select(student.c.id).where(about))


def _in_school_year(
    connection: Connection, year: int, case_id: sa.ColumnElement[int]
) -> tuple[list[sa.ColumnElement[bool]], list[sa.ColumnElement[bool]]]:
    """Conditions on the case: the span in which those of the year lie. On the transfer: the year, if others lie there.

    Cases are numbered as they begin, so that the span alone is enough, unless somebody has turned the clock.
    """
    spans = _spans(connection)
    if year not in spans:
        return [sa.false()], []
    first, last = spans.pop(year)
    mixed = any(begun <= last and first <= ended for begun, ended in spans.values())
    in_year = transfer.c.school_year == fixed(year)
    return [case_id.between(fixed(first), fixed(last))], [in_year] if mixed else []


def _spans(connection: Connection) -> dict[int, tuple[int, int]]:
    """From which case to which one the transfers of each school year reach."""
    years = list(school_years(connection))
    case_id = transfer.c.case_id
    ends = [end(case_id, transfer.c.school_year == fixed(year)) for year in years for end in (_first, _last)]
    found = connection.execute(sa.select(*ends)).one() if ends else ()
    spans = zip(found[::2], found[1::2], strict=True)
    return {year: (first, last) for year, (first, last) in zip(years, spans, strict=True) if first is not None}


# Each with a subquery of its own: SQLite reads an index's two ends only when it is asked for one at a time.
def _first(column: sa.ColumnElement[int], *where: sa.ColumnElement[bool]) -> sa.ScalarSelect[Any]:
    return sa.select(sa.func.min(column)).where(*where).scalar_subquery()


def _last(column: sa.ColumnElement[int], *where: sa.ColumnElement[bool]) -> sa.ScalarSelect[Any]:
    return sa.select(sa.func.max(column)).where(*where).scalar_subquery()


_YEARS = Prepared(sa.select(_first(transfer.c.school_year).label("first"), _last(transfer.c.school_year).label("last")))
