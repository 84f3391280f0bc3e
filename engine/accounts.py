"""People, what they are members of, and the sessions in which they act.

A person logs in once and acts in one membership (organisation and duty) at a time; that makes the `Actor`.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from typing import Any

import argon2
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from engine import audit
from engine.audit import SYSTEM, Actor
from engine.db import UtcDateTime, metadata
from engine.errors import N_, Conflict, Forbidden, Invalid, NotFound, XuejiError
from engine.permissions import DUTIES, jurisdiction, require
from engine.registry.tables import organisation
from engine.settings import Settings

person = sa.Table(
    "person",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    # Kept in lower case, so that it is found however it is typed.
    sa.Column("login", sa.String(60), nullable=False, unique=True),
    sa.Column("name", sa.String(60), nullable=False),
    # Argon2, with its own salt and costs. Empty: nobody logs in by password yet.
    sa.Column("password_hash", sa.String(200)),
    # Set by an administrator, so the person chooses another one before anything else.
    sa.Column("password_temporary", sa.Boolean, nullable=False, default=False),
    # Wrong passwords in a row; back to 0 with the right one.
    sa.Column("failures", sa.Integer, nullable=False, default=0),
    sa.Column("locked_until", UtcDateTime),
    # zh_Hans_CN or en; empty until the person has chosen.
    sa.Column("locale", sa.String(20)),
    # Off: kept for the history, and no way in.
    sa.Column("active", sa.Boolean, nullable=False, default=True),
    # Entered by one click where the deployment is a demonstration, and nowhere else.
    sa.Column("demo", sa.Boolean, nullable=False, default=False),
)

membership = sa.Table(
    "membership",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("person_id", sa.ForeignKey("person.id"), nullable=False),
    sa.Column("organisation_id", sa.ForeignKey("organisation.id"), nullable=False),
    sa.Column("duty", sa.String(20), nullable=False),
    sa.UniqueConstraint("person_id", "organisation_id", "duty"),
    sa.Index("ix_membership_organisation_id_duty", "organisation_id", "duty"),
)

login_session = sa.Table(
    "login_session",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    # SHA-256 of the token: who reads the database can not act as anybody.
    sa.Column("token_hash", sa.LargeBinary(32), nullable=False, unique=True),
    sa.Column("person_id", sa.ForeignKey("person.id"), nullable=False),
    # The membership acted in; a switch changes it.
    sa.Column("membership_id", sa.ForeignKey("membership.id", ondelete="CASCADE"), nullable=False),
    sa.Column("created_at", UtcDateTime, nullable=False),
    sa.Column("last_seen_at", UtcDateTime, nullable=False),
    # The earlier of both limits, hours since the login and minutes since the last request; written with `last_seen_at`.
    sa.Column("ends_at", UtcDateTime, nullable=False),
    sa.Column("revoked_at", UtcDateTime),
    sa.Index("ix_login_session_person_id", "person_id"),
)

# Who edits procedures edits them for everybody under the regime, so the duty is held where regimes are made.
POLICY_LEVELS = ("ministry", "province")
MINIMUM_PASSWORD = 10
SEEN_EVERY = timedelta(minutes=1)


class LoginRefused(XuejiError):
    """A wrong password, an unknown or locked account: not told apart, or strangers could find out who has one."""

    status = 401
    code = "login_refused"
    message = N_("The login name or the password is not right.")
    remedy = N_(
        "Check both and try again. After %(failures)s failures an account stays locked for %(minutes)s minutes;"
        " your administrator can unlock it."
    )


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


@dataclass(frozen=True)
class LoginSession:
    """A session that holds, with all that a page needs to know of it."""

    id: int
    actor: Actor
    # The organisation's English name, if it has one; the actor carries the Chinese.
    organisation_name_en: str | None
    locale: str | None
    password_temporary: bool
    demo: bool
    created_at: datetime
    last_seen_at: datetime


@dataclass(frozen=True)
class Credentials:
    """What a login name leads to. A stranger's leads to nobody, and takes as long to check."""

    person_id: int | None
    login: str
    password_hash: str | None

    def match(self, password: str) -> bool:
        """Slow on purpose: call it outside of any transaction."""
        try:
            return _hasher().verify(self.password_hash or _nobodys_hash(), password) and self.password_hash is not None
        except (argon2.exceptions.VerificationError, argon2.exceptions.InvalidHashError):
            return False


@cache
def _hasher() -> argon2.PasswordHasher:
    return argon2.PasswordHasher()


@cache
def _nobodys_hash() -> str:
    return _hasher().hash(secrets.token_hex())


# Logging in


def credentials_of(connection: Connection, login: str) -> Credentials:
    """What to check the password of a login name against."""
    login = login.strip().lower()
    found = connection.execute(_credentials.where(person.c.login == login)).one_or_none()
    return Credentials(*found) if found else Credentials(None, login, None)


def credentials_of_person(connection: Connection, person_id: int) -> Credentials:
    """The same for somebody who is logged in, before they change their password."""
    return Credentials(*connection.execute(_credentials.where(person.c.id == person_id)).one())


_credentials = sa.select(person.c.id, person.c.login, person.c.password_hash)


def log_in(
    connection: Connection, credentials: Credentials, matches: bool, *, settings: Settings, at: datetime
) -> str | None:
    """Open a session and return its token, or count the failure and return None.

    It does not raise, because the count must be kept. `matches` was found outside of this transaction; whether the
    account is locked is asked inside, so that guesses sent at once are counted one after the other.
    """
    found = connection.execute(
        sa.select(person.c.active, person.c.failures, person.c.locked_until)
        .where(person.c.id == credentials.person_id)
        .with_for_update()
    ).one_or_none()
    if found is None or not found.active or (found.locked_until and at < found.locked_until):
        return None
    assert credentials.person_id is not None
    if not matches:
        _count_failure(connection, credentials.person_id, found.failures + 1, settings=settings, at=at)
        return None
    connection.execute(
        person.update().where(person.c.id == credentials.person_id).values(failures=0, locked_until=None)
    )
    return open_session(connection, credentials.person_id, settings=settings, at=at)


def _count_failure(connection: Connection, person_id: int, failures: int, *, settings: Settings, at: datetime) -> None:
    locked = failures >= settings.lockout_failures
    connection.execute(
        person.update()
        .where(person.c.id == person_id)
        .values(
            failures=0 if locked else failures,
            locked_until=at + timedelta(minutes=settings.lockout_minutes) if locked else None,
        )
    )
    action = "person.locked_out" if locked else "person.login_failed"
    audit.record(connection, SYSTEM, action, "person", person_id, at=at)


def open_session(connection: Connection, person_id: int, *, settings: Settings, at: datetime) -> str | None:
    """Open a session in the person's first membership; None where there is none to act in."""
    member = connection.execute(
        _actors.where(membership.c.person_id == person_id).order_by(membership.c.id).limit(1)
    ).one_or_none()
    if member is None:
        return None
    token = secrets.token_urlsafe(32)
    session_id = connection.execute(
        login_session.insert().returning(login_session.c.id),
        {
            "token_hash": _hash(token),
            "person_id": person_id,
            "membership_id": member.membership_id,
            "created_at": at,
            "last_seen_at": at,
            "ends_at": _end(at, at, settings),
        },
    ).scalar_one()
    audit.record(connection, _actor(member), "session.opened", "session", session_id, at=at)
    return token


def enter_demo(connection: Connection, login: str, *, settings: Settings, at: datetime) -> str:
    """Open a session for a demo account without a password. Raises `NotFound` unless this is a demonstration."""
    found = connection.scalar(sa.select(person.c.id).where(person.c.login == login, person.c.demo, person.c.active))
    token = open_session(connection, found, settings=settings, at=at) if settings.demo and found else None
    if token is None:
        raise NotFound()
    return token


# Acting in a session

_actors = sa.select(
    person.c.id.label("person_id"),
    person.c.name.label("person_name"),
    membership.c.id.label("membership_id"),
    organisation.c.id.label("organisation_id"),
    organisation.c.name.label("organisation_name"),
    organisation.c.level.label("organisation_level"),
    membership.c.duty,
).select_from(membership.join(person).join(organisation))

_sessions = (
    _actors.add_columns(
        login_session.c.id,
        login_session.c.created_at,
        login_session.c.last_seen_at,
        organisation.c.name_en,
        person.c.locale,
        person.c.password_temporary,
        person.c.demo,
    )
    .join(login_session, login_session.c.membership_id == membership.c.id)
    .where(
        login_session.c.token_hash == sa.bindparam("token_hash"),
        login_session.c.revoked_at.is_(None),
        login_session.c.ends_at > sa.bindparam("at"),
        person.c.active,
    )
)


def session_of(connection: Connection, token: str, *, at: datetime) -> LoginSession | None:
    """The session that a token opens, or None where it has ended. One query."""
    row = connection.execute(_sessions, {"token_hash": _hash(token), "at": at}).one_or_none()
    if row is None:
        return None
    return LoginSession(
        row.id,
        _actor(row),
        row.name_en,
        row.locale,
        row.password_temporary,
        row.demo,
        row.created_at,
        row.last_seen_at,
    )


def actor_of(connection: Connection, token: str, *, at: datetime) -> Actor | None:
    """Who acts with this token, or None where it opens nothing. One query."""
    session = session_of(connection, token, at=at)
    return session.actor if session else None


def is_seen_due(session: LoginSession, *, at: datetime) -> bool:
    """Whether `see` has something to write: at most once a minute, or every reader would become a writer."""
    return at - session.last_seen_at >= SEEN_EVERY


def see(connection: Connection, session: LoginSession, *, settings: Settings, at: datetime) -> None:
    """Note that the session is in use, which moves its end."""
    connection.execute(
        login_session.update()
        .where(login_session.c.id == session.id)
        .values(last_seen_at=at, ends_at=_end(session.created_at, at, settings))
    )


def switch_membership(connection: Connection, session: LoginSession, membership_id: int, *, at: datetime) -> Actor:
    """Act in another of the person's own memberships from now on."""
    row = connection.execute(
        _actors.where(membership.c.id == membership_id, membership.c.person_id == session.actor.person_id)
    ).one_or_none()
    if row is None:
        raise NotFound()
    connection.execute(
        login_session.update().where(login_session.c.id == session.id).values(membership_id=membership_id)
    )
    actor = _actor(row)
    audit.record(connection, actor, "session.switched", "session", session.id, at=at)
    return actor


def revoke_session(connection: Connection, actor: Actor, session_id: int, *, at: datetime) -> None:
    """End one of the actor's own sessions."""
    ended = connection.execute(
        login_session.update()
        .where(
            login_session.c.id == session_id,
            login_session.c.person_id == actor.person_id,
            login_session.c.revoked_at.is_(None),
        )
        .values(revoked_at=at)
    )
    if ended.rowcount == 0:
        raise NotFound()
    audit.record(connection, actor, "session.revoked", "session", session_id, at=at)


def revoke_sessions(
    connection: Connection, actor: Actor, person_id: int, *, at: datetime, but: int | None = None
) -> None:
    """End all sessions of a person, except the one named. One's own, or those of a person one administers."""
    if person_id != actor.person_id:
        _require_administered(connection, actor, person_id)
    _revoke_all(connection, actor, person_id, at=at, but=but)


def open_sessions(connection: Connection, person_id: int, *, at: datetime) -> list[Any]:
    """The sessions of a person that hold, newest first: id, created_at, last_seen_at."""
    return list(
        connection.execute(
            sa.select(login_session.c.id, login_session.c.created_at, login_session.c.last_seen_at)
            .where(
                login_session.c.person_id == person_id,
                login_session.c.revoked_at.is_(None),
                login_session.c.ends_at > at,
            )
            .order_by(login_session.c.id.desc())
        )
    )


def choose_locale(connection: Connection, actor: Actor, locale: str) -> None:
    """Keep the language a person has chosen. A taste and no deed, so it is not audited."""
    connection.execute(person.update().where(person.c.id == actor.person_id).values(locale=locale))


def change_own_password(connection: Connection, session: LoginSession, password_hash: str, *, at: datetime) -> None:
    """Set the password that the person chose (see `hash_password`), and end all of their other sessions."""
    actor = session.actor
    assert actor.person_id is not None
    connection.execute(
        person.update()
        .where(person.c.id == actor.person_id)
        .values(password_hash=password_hash, password_temporary=False)
    )
    audit.record(connection, actor, "person.password_changed", "person", actor.person_id, at=at)
    _revoke_all(connection, actor, actor.person_id, at=at, but=session.id)


def hash_password(password: str, login: str) -> str:
    """What to store for a password. Slow on purpose: call it outside of any transaction."""
    if len(password) < MINIMUM_PASSWORD:
        raise _invalid("password", N_("At least %(minimum)s characters."), minimum=MINIMUM_PASSWORD)
    if login and login.lower() in password.lower():
        raise _invalid("password", N_("The password must not contain the login name."))
    return _hasher().hash(password)


# Administering people


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
    """Take a duty away. Sessions that act in it end at once."""
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
    """Give a person a temporary password (see `hash_password`), lift a lock-out and end all of their sessions."""
    _require_administered(connection, actor, person_id)
    connection.execute(
        person.update()
        .where(person.c.id == person_id)
        .values(password_hash=password_hash, password_temporary=True, failures=0, locked_until=None)
    )
    audit.record(connection, actor, "person.password_set", "person", person_id, at=at)
    _revoke_all(connection, actor, person_id, at=at)


def unlock(connection: Connection, actor: Actor, person_id: int, *, at: datetime) -> None:
    """Lift the lock that wrong passwords have put on an account."""
    _require_administered(connection, actor, person_id)
    connection.execute(person.update().where(person.c.id == person_id).values(failures=0, locked_until=None))
    audit.record(connection, actor, "person.unlocked", "person", person_id, at=at)


def set_active(connection: Connection, actor: Actor, person_id: int, active: bool, *, at: datetime) -> None:
    """Close an account, which ends its sessions, or open it again."""
    _require_administered(connection, actor, person_id)
    if person_id == actor.person_id:
        raise Forbidden(N_("Nobody closes their own account."), remedy=N_("Ask another administrator."))
    connection.execute(person.update().where(person.c.id == person_id).values(active=active))
    audit.record(connection, actor, "person.opened" if active else "person.closed", "person", person_id, at=at)
    if not active:
        _revoke_all(connection, actor, person_id, at=at)


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


def memberships_of(connection: Connection, person_id: int) -> list[Membership]:
    """All memberships of a person, the oldest first."""
    query = _memberships.where(membership.c.person_id == person_id).order_by(membership.c.id)
    return [Membership(*row[1:]) for row in connection.execute(query)]


def demo_accounts(connection: Connection) -> list[DemoAccount]:
    """The demo accounts in the order they were made, each in its first membership."""
    first = sa.select(sa.func.min(membership.c.id)).group_by(membership.c.person_id)
    query = (
        _memberships.add_columns(person.c.login, person.c.name.label("person_name"))
        .join(person, person.c.id == membership.c.person_id)
        .where(person.c.demo, person.c.active, membership.c.id.in_(first))
        .order_by(person.c.id)
    )
    return [DemoAccount(row.login, row.person_name, Membership(*row[1:7])) for row in connection.execute(query)]


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
    organisation.c.id,
    organisation.c.name,
    organisation.c.name_en,
    organisation.c.level,
    membership.c.duty,
).select_from(membership.join(organisation))


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


def _revoke_all(connection: Connection, actor: Actor, person_id: int, *, at: datetime, but: int | None = None) -> None:
    condition = (login_session.c.person_id == person_id) & login_session.c.revoked_at.is_(None)
    if but is not None:
        condition &= login_session.c.id != but
    ended = connection.execute(login_session.update().where(condition).values(revoked_at=at))
    if ended.rowcount:
        audit.record(connection, actor, "person.sessions_revoked", "person", person_id, at=at)


def _actor(row: Any) -> Actor:
    return Actor(
        row.person_id,
        row.person_name,
        row.membership_id,
        row.organisation_id,
        row.organisation_name,
        row.organisation_level,
        row.duty,
    )


def _end(opened_at: datetime, seen_at: datetime, settings: Settings) -> datetime:
    return min(
        opened_at + timedelta(hours=settings.session_hours),
        seen_at + timedelta(minutes=settings.session_idle_minutes),
    )


def _hash(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()


def _invalid(field: str, message: str, **values: Any) -> Invalid:
    return Invalid(fields={field: Invalid(message, **values)})
