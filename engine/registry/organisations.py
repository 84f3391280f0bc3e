"""Authorities and schools in their hierarchy: ministry > province > prefecture > county > school.

A school may hang at any authority's level. `organisation_ancestor` repeats the hierarchy as pairs, so that a
jurisdiction is one condition in a query however deep it lies.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from engine import audit
from engine.audit import SYSTEM, Actor
from engine.errors import N_, Conflict, Forbidden, Invalid, NotFound
from engine.prepared import Prepared
from engine.registry import codes, divisions
from engine.registry.tables import organisation, organisation_ancestor, school_class

LEVELS = ("ministry", "province", "prefecture", "county", "school")


class WrongPlace(Invalid):
    """A superior that can not be one."""

    code = "wrong_place"
    message = N_("An organisation hangs below an authority of a higher level.")
    remedy = N_("Choose an authority above it; only the ministry has none.")


class SchoolCodeWrong(Invalid):
    """Not the ten digits of 学校标识码."""

    code = "school_code"
    message = N_("A school needs its code of ten digits, of which the first two name its type.")
    remedy = N_("Take the code from the school's certificate of record.")


class SchoolCodeTaken(Conflict):
    """The code belongs to another school."""

    code = "school_code_taken"
    message = N_("Another school already has this code.")
    remedy = N_("Look for the school under this code before adding it again.")


class UnknownDivision(Invalid):
    """No division of today, and none of before."""

    code = "unknown_division"
    message = N_("There is no division with this code.")
    remedy = N_("Choose it from the list.")


@dataclass(frozen=True)
class Organisation:
    """An authority or a school, as it is now."""

    id: int
    level: str
    name: str
    name_en: str | None
    # A school's ten digits
    code: str | None
    division_code: str | None
    parent_id: int | None
    active: bool

    @property
    def is_school(self) -> bool:
        return self.level == "school"

    @property
    def province_code(self) -> str | None:
        """The province it stands in, which decides its regime; the ministry stands in none."""
        return divisions.province_of(self.division_code) if self.division_code else None


def get(connection: Connection, organisation_id: int) -> Organisation:
    """Raises `NotFound`."""
    row = _BY_ID.first(connection, {"of_id": organisation_id})
    if row is None:
        raise NotFound
    return Organisation(**row._asdict())


def named(connection: Connection, organisation_ids: Iterable[int]) -> dict[int, Organisation]:
    """Those of these organisations that exist, by id, in one query."""
    wanted = list(organisation_ids)
    if not wanted:
        return {}
    found = _many(connection, sa.select(organisation).where(organisation.c.id.in_(wanted)))
    return {each.id: each for each in found}


def superior(connection: Connection, organisation_id: int) -> Organisation | None:
    """The authority in charge; None above the ministry."""
    parent_id = get(connection, organisation_id).parent_id
    return get(connection, parent_id) if parent_id is not None else None


def parents(connection: Connection, one: int, other: int) -> dict[int, int | None]:
    """The authorities in charge of two organisations, by the organisations' ids."""
    return {row.id: row.parent_id for row in _PARENTS.rows(connection, {"one": one, "other": other})}


def superiors(connection: Connection, organisation_id: int) -> list[Organisation]:
    """All authorities above it, the nearest first."""
    above = sa.and_(
        organisation_ancestor.c.ancestor_id == organisation.c.id,
        organisation_ancestor.c.descendant_id == organisation_id,
        organisation_ancestor.c.depth > 0,
    )
    return _many(connection, sa.select(organisation).where(above).order_by(organisation_ancestor.c.depth))


def governs(connection: Connection, ancestor_id: int, organisation_id: int) -> bool:
    """Whether the second is the first itself, or lies below it."""
    return connection.scalar(sa.select(sa.literal(1)).where(_pair(ancestor_id, organisation_id))) is not None


def is_native(connection: Connection, ancestor_id: int, organisation_id: int) -> bool:
    """Whether the second has lain below the first since there was such an organisation.

    Then whoever sees the first one's cases sees all of the second one's. After a move only the later ones.
    """
    found = connection.scalar(sa.select(~organisation_ancestor.c.moved).where(_pair(ancestor_id, organisation_id)))
    return found or False


def children(connection: Connection, organisation_id: int) -> list[Organisation]:
    """What hangs directly below it, authorities before schools."""
    return [Organisation(*row) for row in _CHILDREN.rows(connection, {"of": organisation_id})]


def schools_in(connection: Connection, division_code: str, *, grade: str | None = None) -> list[Organisation]:
    """The open schools of a division, the divisions below it included; with a grade, those that have it."""
    query = sa.select(organisation).where(
        organisation.c.level == "school",
        organisation.c.division_code.between(*divisions.code_range(division_code)),
        organisation.c.active,
    )
    if grade is not None:
        query = query.where(organisation.c.id.in_(_schools_with(grade)))
    return _many(connection, query.order_by(_NAME))


def search(
    connection: Connection, *, below: int, text: str = "", level: str | None = None, limit: int = 20, offset: int = 0
) -> list[Organisation]:
    """Organisations of a jurisdiction by a part of their name or by their code, closed ones included."""
    query = sa.select(organisation).where(*_matching(below, text, level))
    return _many(connection, query.order_by(organisation.c.division_code, _NAME).limit(limit).offset(offset))


def count(connection: Connection, *, below: int, text: str = "", level: str | None = None) -> int:
    """How many `search` finds in all."""
    query = sa.select(sa.func.count()).select_from(organisation).where(*_matching(below, text, level))
    return connection.scalar(query) or 0


def add(
    connection: Connection,
    actor: Actor,
    *,
    level: str,
    name: str,
    at: datetime,
    parent_id: int | None = None,
    division_code: str | None = None,
    code: str | None = None,
    name_en: str | None = None,
) -> Organisation:
    """Enter an organisation below one that the actor administers.

    Raises `WrongPlace`, `UnknownDivision`, `SchoolCodeWrong` or `SchoolCodeTaken`.
    """
    require_administration(connection, actor, parent_id)
    _check_place(connection, level, parent_id)
    if (division_code is None) != (level == "ministry") or (division_code and not divisions.exists(division_code)):
        raise UnknownDivision
    if level == "school":
        _check_school_code(connection, code)
    elif code is not None:
        raise SchoolCodeWrong(N_("Only schools have a code."))
    values = {"level": level, "name": name, "name_en": name_en, "code": code, "division_code": division_code}
    insertion = organisation.insert().values(**values, parent_id=parent_id, active=True).returning(organisation)
    added = Organisation(**connection.execute(insertion).one()._mapping)
    own = {"descendant_id": added.id, "ancestor_id": added.id, "depth": 0, "moved": False}
    connection.execute(organisation_ancestor.insert(), own)
    if parent_id is not None:
        _hang(connection, added.id, parent_id, moved=False)
    _record(connection, actor, "organisation.added", added.id, at, after={"level": level, "parent_id": parent_id})
    return added


def rename(
    connection: Connection, actor: Actor, organisation_id: int, *, name: str, at: datetime, name_en: str | None = None
) -> None:
    """Give it another name. Cases keep the organisation, so they show the new one."""
    before = get(connection, organisation_id)
    require_administration(connection, actor, organisation_id)
    _update(connection, organisation_id, name=name, name_en=name_en)
    old, new = {"name": before.name, "name_en": before.name_en}, {"name": name, "name_en": name_en}
    _record(connection, actor, "organisation.renamed", organisation_id, at, before=old, after=new)


def move(connection: Connection, actor: Actor, organisation_id: int, *, parent_id: int, at: datetime) -> None:
    """Put it, with everything below it, under another authority. The actor must administer both ends.

    Running cases keep the authority that was in charge when they began.
    """
    moved = get(connection, organisation_id)
    for administered in (organisation_id, parent_id):
        require_administration(connection, actor, administered)
    _check_place(connection, moved.level, parent_id)
    _unhang(connection, organisation_id)
    _update(connection, organisation_id, parent_id=parent_id)
    _hang(connection, organisation_id, parent_id, moved=True)
    before, after = {"parent_id": moved.parent_id}, {"parent_id": parent_id}
    _record(connection, actor, "organisation.moved", organisation_id, at, before=before, after=after)


def set_active(connection: Connection, actor: Actor, organisation_id: int, *, active: bool, at: datetime) -> None:
    """Close it, or open it again. A closed school is offered to no new transfer."""
    get(connection, organisation_id)
    require_administration(connection, actor, organisation_id)
    _update(connection, organisation_id, active=active)
    action = "organisation.opened" if active else "organisation.closed"
    _record(connection, actor, action, organisation_id, at)


def require_administration(connection: Connection, actor: Actor, organisation_id: int | None) -> None:
    """The actor administers this organisation or one above it, or is the system. Without an organisation: the whole.

    Raises `Forbidden` for another duty, `NotFound` outside the jurisdiction.
    """
    if actor == SYSTEM:
        return
    if actor.duty != "administrator":
        raise Forbidden
    if organisation_id is not None:
        require_jurisdiction(connection, actor, organisation_id)
    elif actor.organisation_level != LEVELS[0]:
        raise Forbidden


def require_jurisdiction(connection: Connection, actor: Actor, organisation_id: int | None) -> None:
    """The organisation is the actor's own, or lies below it; the system may do all. Raises `NotFound`."""
    if actor == SYSTEM:
        return
    if actor.organisation_id is None or organisation_id is None:
        raise NotFound
    if not governs(connection, actor.organisation_id, organisation_id):
        raise NotFound


_NAME = organisation.c.name
_CHILDREN = Prepared(
    sa.select(organisation)
    .where(organisation.c.parent_id == sa.bindparam("of"))
    .order_by(organisation.c.level == "school", organisation.c.division_code, _NAME)
)
_BY_ID = Prepared(sa.select(organisation).where(organisation.c.id == sa.bindparam("of_id")))
_PARENTS = Prepared(
    sa.select(organisation.c.id, organisation.c.parent_id).where(
        organisation.c.id.in_([sa.bindparam("one"), sa.bindparam("other")])
    )
)


def _many(connection: Connection, query: sa.Select[Any]) -> list[Organisation]:
    return [Organisation(**row._mapping) for row in connection.execute(query)]


def _schools_with(grade: str) -> sa.Select[tuple[int]]:
    return sa.select(school_class.c.school_id).where(school_class.c.grade == grade)


def _matching(below: int, text: str, level: str | None) -> list[sa.ColumnElement[bool]]:
    jurisdiction = sa.select(organisation_ancestor.c.descendant_id).where(organisation_ancestor.c.ancestor_id == below)
    conditions: list[sa.ColumnElement[bool]] = [organisation.c.id.in_(jurisdiction)]
    if text.strip():
        wanted = text.strip()
        conditions.append(_NAME.contains(wanted, autoescape=True) | (organisation.c.code == wanted))
    if level is not None:
        conditions.append(organisation.c.level == level)
    return conditions


def _check_place(connection: Connection, level: str, parent_id: int | None) -> None:
    if level not in LEVELS or (parent_id is None) != (level == LEVELS[0]):
        raise WrongPlace
    # Levels only fall, so nothing can ever hang below itself.
    if parent_id is not None and LEVELS.index(get(connection, parent_id).level) >= LEVELS.index(level):
        raise WrongPlace


def _check_school_code(connection: Connection, code: str | None) -> None:
    types = {row["prefix"] for row in codes.rows("school_type")}
    if code is None or len(code) != 10 or not (code.isascii() and code.isdigit()) or code[:2] not in types:
        raise SchoolCodeWrong
    if connection.scalar(sa.select(organisation.c.id).where(organisation.c.code == code)) is not None:
        raise SchoolCodeTaken


def _pair(ancestor_id: int, descendant_id: int) -> sa.ColumnElement[bool]:
    columns = organisation_ancestor.c
    return (columns.ancestor_id == ancestor_id) & (columns.descendant_id == descendant_id)


def _hang(connection: Connection, organisation_id: int, parent_id: int, *, moved: bool) -> None:
    """Pair everything at and below it with everything at and above its new superior."""
    below, above = organisation_ancestor.alias(), organisation_ancestor.alias()
    each_with_each = below.join(above, (below.c.ancestor_id == organisation_id) & (above.c.descendant_id == parent_id))
    depth = below.c.depth + above.c.depth + 1
    pairs = sa.select(below.c.descendant_id, above.c.ancestor_id, depth, sa.literal(moved)).select_from(each_with_each)
    columns = ["descendant_id", "ancestor_id", "depth", "moved"]
    connection.execute(organisation_ancestor.insert().from_select(columns, pairs))


def _unhang(connection: Connection, organisation_id: int) -> None:
    """Part everything at and below it from everything above it."""
    pair = organisation_ancestor.c
    below = sa.select(pair.descendant_id).where(pair.ancestor_id == organisation_id)
    above = sa.select(pair.ancestor_id).where(pair.descendant_id == organisation_id, pair.depth > 0)
    # The subqueries read the table that is being emptied; both databases fix their result before the first row goes.
    connection.execute(organisation_ancestor.delete().where(pair.descendant_id.in_(below), pair.ancestor_id.in_(above)))


def _update(connection: Connection, organisation_id: int, **values: Any) -> None:
    connection.execute(organisation.update().where(organisation.c.id == organisation_id).values(**values))


def _record(
    connection: Connection,
    actor: Actor,
    action: str,
    organisation_id: int,
    at: datetime,
    *,
    before: Any = None,
    after: Any = None,
) -> None:
    audit.record(connection, actor, action, "organisation", organisation_id, at=at, before=before, after=after)
