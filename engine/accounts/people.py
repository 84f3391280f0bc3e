"""Administering people: their accounts and memberships, by the administrators of the organisations they belong to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from engine import audit
from engine.accounts.sessions import revoke_all
from engine.accounts.tables import api_token, login_session, membership, person
from engine.accounts.tokens import revoke_tokens
from engine.audit import SYSTEM, Actor
from engine.errors import N_, Conflict, Forbidden, Invalid, NotFound, XuejiError
from engine.permissions import DUTIES, jurisdiction, require
from engine.prepared import Prepared
from engine.registry.tables import organisation

# Who edits procedures edits them for everybody under the regime, so the duty is held where regimes are made.
POLICY_LEVELS = ("ministry", "province")


class LoginTaken(Conflict):
    """A second person with the same login."""

    code = "login_taken"
    message = N_("This login name is already in use.")
    remedy = N_("Choose another one.")


class LastMembership(Conflict):
    """Taking away the only membership would leave an account that nobody administers."""

    code = "last_membership"
    message = N_("This is the account's only membership.")
    remedy = N_("Add another one first, or close the account.")


class AdministeredElsewhere(Forbidden):
    """A person with a membership above or beside: their password opens that one too."""

    code = "administered_elsewhere"
    message = N_("This person also belongs to an organisation outside your jurisdiction.")
    remedy = N_("Ask the administrator of an authority above both.")


def add_person(
    connection: Connection,
    actor: Actor,
    login: str,
    name: str,
    organisation_id: int,
    duty: str,
    *,
    at: datetime,
    password_hash: str | None = None,
    demo: bool = False,
) -> int:
    """Open an account with its first membership, and return the person's id. The password is a temporary one."""
    login, name = login.strip().lower(), name.strip()
    _check_person(login, name)
    if connection.scalar(sa.select(person.c.id).where(person.c.login == login)):
        raise LoginTaken()
    person_id: int = connection.execute(
        person.insert().returning(person.c.id),
        {
            "login": login,
            "name": name,
            "password_hash": password_hash,
            "password_temporary": password_hash is not None,
            "demo": demo,
        },
    ).scalar_one()
    audit.record(connection, actor, "person.added", "person", person_id, at=at)
    _insert_membership(connection, actor, person_id, organisation_id, duty, at=at)
    return person_id


def add_membership(
    connection: Connection, actor: Actor, person_id: int, organisation_id: int, duty: str, *, at: datetime
) -> int:
    """Give a person one more duty, in an organisation that the actor administers."""
    _require_visible(connection, actor, person_id)
    return _insert_membership(connection, actor, person_id, organisation_id, duty, at=at)


def remove_membership(connection: Connection, actor: Actor, membership_id: int, *, at: datetime) -> None:
    """Take a duty away. Sessions and tokens that act in it end at once."""
    found = connection.execute(
        sa.select(membership).where(membership.c.id == membership_id, _administers(actor, membership.c.organisation_id))
    ).one_or_none()
    if found is None:
        raise NotFound()
    held = connection.scalar(
        sa.select(sa.func.count()).select_from(membership).where(membership.c.person_id == found.person_id)
    )
    if held == 1:
        raise LastMembership()
    connection.execute(login_session.delete().where(login_session.c.membership_id == membership_id))
    connection.execute(api_token.delete().where(api_token.c.membership_id == membership_id))
    connection.execute(membership.delete().where(membership.c.id == membership_id))
    audit.record(
        connection,
        actor,
        "membership.removed",
        "person",
        found.person_id,
        at=at,
        before={"organisation_id": found.organisation_id, "duty": found.duty},
    )


def set_password(connection: Connection, actor: Actor, person_id: int, password_hash: str, *, at: datetime) -> None:
    """Give a person a temporary password (see `hash_password`), lift a lock-out, end all sessions and tokens."""
    _require_administered(connection, actor, person_id)
    connection.execute(
        person.update()
        .where(person.c.id == person_id)
        .values(password_hash=password_hash, password_temporary=True, failures=0, locked_until=None)
    )
    audit.record(connection, actor, "person.password_set", "person", person_id, at=at)
    _shut_out(connection, actor, person_id, at=at)


def unlock(connection: Connection, actor: Actor, person_id: int, *, at: datetime) -> None:
    """Lift the lock that wrong passwords have put on an account."""
    _require_administered(connection, actor, person_id)
    connection.execute(person.update().where(person.c.id == person_id).values(failures=0, locked_until=None))
    audit.record(connection, actor, "person.unlocked", "person", person_id, at=at)


def end_sessions(connection: Connection, actor: Actor, person_id: int, *, at: datetime) -> None:
    """Log a person out everywhere, the programs that have tokens too."""
    _require_administered(connection, actor, person_id)
    _shut_out(connection, actor, person_id, at=at)


def set_active(connection: Connection, actor: Actor, person_id: int, active: bool, *, at: datetime) -> None:
    """Close an account, which ends its sessions and tokens, or open it again."""
    _require_administered(connection, actor, person_id)
    if person_id == actor.person_id:
        raise Forbidden(N_("Nobody closes their own account."), remedy=N_("Ask another administrator."))
    connection.execute(person.update().where(person.c.id == person_id).values(active=active))
    audit.record(connection, actor, "person.opened" if active else "person.closed", "person", person_id, at=at)
    if not active:
        _shut_out(connection, actor, person_id, at=at)


def _shut_out(connection: Connection, actor: Actor, person_id: int, *, at: datetime) -> None:
    revoke_all(connection, actor, person_id, at=at)
    revoke_tokens(connection, actor, person_id, at=at)


def _check_person(login: str, name: str) -> None:
    errors: dict[str, XuejiError] = {}
    if not name or len(name) > 60:
        errors["name"] = Invalid(N_("Between 1 and %(longest)s characters."), longest=60)
    if not 3 <= len(login) <= 60 or not all(letter.isalnum() or letter in "-_.@" for letter in login):
        errors["login"] = Invalid(N_("3 to 60 letters, digits, dots or hyphens."))
    if errors:
        raise Invalid(fields=errors)


def _insert_membership(
    connection: Connection, actor: Actor, person_id: int, organisation_id: int, duty: str, *, at: datetime
) -> int:
    level = connection.scalar(
        sa.select(organisation.c.level).where(
            organisation.c.id == organisation_id, _administers(actor, organisation.c.id)
        )
    )
    if level is None:
        raise _invalid("organisation_id", N_("Choose an organisation of your jurisdiction."))
    if duty not in DUTIES:
        raise _invalid("duty", N_("Choose one of the values given."))
    if duty == "policy_editor" and level not in POLICY_LEVELS:
        raise _invalid("duty", N_("Procedures are edited by the ministry and the provinces alone."))
    held = sa.select(membership.c.id).where(
        membership.c.person_id == person_id,
        membership.c.organisation_id == organisation_id,
        membership.c.duty == duty,
    )
    if connection.scalar(held):
        raise _invalid("duty", N_("The person already holds this duty there."))
    membership_id: int = connection.execute(
        membership.insert().returning(membership.c.id),
        {"person_id": person_id, "organisation_id": organisation_id, "duty": duty},
    ).scalar_one()
    audit.record(
        connection,
        actor,
        "membership.added",
        "person",
        person_id,
        at=at,
        after={"organisation_id": organisation_id, "duty": duty},
    )
    return membership_id


# Looking people up


@dataclass(frozen=True)
class Membership:
    """One duty of one person, with the organisation's names."""

    id: int
    organisation_id: int
    organisation_name: str
    organisation_name_en: str | None
    organisation_level: str
    duty: str


@dataclass(frozen=True)
class Person:
    """An account as its administrators see it: the memberships inside their jurisdiction."""

    id: int
    login: str
    name: str
    active: bool
    locked_until: datetime | None
    has_password: bool
    memberships: tuple[Membership, ...] = ()


@dataclass(frozen=True)
class DemoAccount:
    """An account that a demonstration offers with one click."""

    login: str
    name: str
    membership: Membership
    # Where its organisation stands; the ministry stands nowhere.
    division_code: str | None


def memberships_of(connection: Connection, person_id: int) -> list[Membership]:
    """All memberships of a person, the oldest first."""
    return [Membership(*row[1:]) for row in _OF_PERSON.rows(connection, {"of_person": person_id})]


def demo_accounts(connection: Connection) -> list[DemoAccount]:
    """The demo accounts in the order they were made, each in its first membership."""
    first = sa.select(sa.func.min(membership.c.id)).group_by(membership.c.person_id)
    query = (
        _memberships.add_columns(person.c.login, person.c.name.label("person_name"), organisation.c.division_code)
        .join(person, person.c.id == membership.c.person_id)
        .where(person.c.demo, person.c.active, membership.c.id.in_(first))
        .order_by(person.c.id)
    )
    return [
        DemoAccount(row.login, row.person_name, Membership(*row[1:7]), row.division_code)
        for row in connection.execute(query)
    ]


def find_people(
    connection: Connection,
    actor: Actor,
    *,
    text: str = "",
    organisation_id: int | None = None,
    duty: str | None = None,
    limit: int,
    offset: int = 0,
) -> tuple[list[Person], int]:
    """One page of the people whom the actor administers, by name, and how many there are."""
    require(actor, "administer")
    member = sa.select(membership.c.person_id).where(_administers(actor, membership.c.organisation_id))
    if organisation_id:
        member = member.where(membership.c.organisation_id == organisation_id)
    if duty:
        member = member.where(membership.c.duty == duty)
    condition: sa.ColumnElement[bool] = person.c.id.in_(member)
    if text.strip():
        condition &= person.c.name.contains(text.strip(), autoescape=True) | person.c.login.contains(
            text.strip().lower(), autoescape=True
        )
    total = connection.scalar(sa.select(sa.func.count()).select_from(person).where(condition)) or 0
    rows = connection.execute(
        sa.select(person).where(condition).order_by(person.c.name, person.c.id).limit(limit).offset(offset)
    ).all()
    return _people(connection, actor, rows), total


def get_person(connection: Connection, actor: Actor, person_id: int) -> Person:
    """One account that the actor administers at least in part. Raises `NotFound` otherwise."""
    _require_visible(connection, actor, person_id)
    row = connection.execute(sa.select(person).where(person.c.id == person_id)).one()
    return _people(connection, actor, [row])[0]


_memberships = sa.select(
    membership.c.person_id,
    membership.c.id,
    organisation.c.id.label("organisation_id"),
    organisation.c.name,
    organisation.c.name_en,
    organisation.c.level,
    membership.c.duty,
).select_from(membership.join(organisation))
_OF_PERSON = Prepared(_memberships.where(membership.c.person_id == sa.bindparam("of_person")).order_by(membership.c.id))


def _people(connection: Connection, actor: Actor, rows: Sequence[Any]) -> list[Person]:
    query = _memberships.where(
        membership.c.person_id.in_([row.id for row in rows]), _administers(actor, membership.c.organisation_id)
    ).order_by(membership.c.id)
    held: dict[int, list[Membership]] = {row.id: [] for row in rows}
    for person_id, *rest in connection.execute(query):
        held[person_id].append(Membership(*rest))
    return [
        Person(
            row.id,
            row.login,
            row.name,
            row.active,
            row.locked_until,
            row.password_hash is not None,
            tuple(held[row.id]),
        )
        for row in rows
    ]


# What the operations above have in common


def _administers(actor: Actor, column: sa.ColumnElement[int]) -> sa.ColumnElement[bool]:
    """The condition that the actor administers the organisation in `column`; the first accounts come from nobody."""
    if actor is SYSTEM:
        return sa.true()
    require(actor, "administer")
    return jurisdiction(actor, column)


def _require_visible(connection: Connection, actor: Actor, person_id: int) -> None:
    query = sa.select(membership.c.id).where(
        membership.c.person_id == person_id, _administers(actor, membership.c.organisation_id)
    )
    if connection.execute(query.limit(1)).one_or_none() is None:
        raise NotFound()


def _require_administered(connection: Connection, actor: Actor, person_id: int) -> None:
    """All of the person's memberships must be the actor's to administer: a password opens every one of them."""
    _require_visible(connection, actor, person_id)
    query = sa.select(membership.c.id).where(
        membership.c.person_id == person_id, ~_administers(actor, membership.c.organisation_id)
    )
    if connection.execute(query.limit(1)).one_or_none() is not None:
        raise AdministeredElsewhere()


def _invalid(field: str, message: str, **values: Any) -> Invalid:
    return Invalid(fields={field: Invalid(message, **values)})
