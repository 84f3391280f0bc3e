"""Logging in, and acting: a session belongs to one person and acts in one of their memberships at a time."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from typing import Any

import argon2
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from engine import audit
from engine.accounts.actors import acting, actors, fingerprint
from engine.accounts.tables import login_session, membership, person
from engine.audit import SYSTEM, Actor
from engine.errors import N_, Invalid, NotFound, XuejiError
from engine.prepared import Prepared
from engine.registry.tables import organisation
from engine.settings import Settings

MINIMUM_PASSWORD = 10
SEEN_EVERY = timedelta(minutes=1)
# How long an ended session stays in the table.
KEPT_FOR = timedelta(days=30)


class LoginRefused(XuejiError):
    """A wrong password, an unknown or locked account: not told apart, or strangers could find out who has one."""

    status = 401
    code = "login_refused"
    message = N_("The login name or the password is not right.")
    remedy = N_(
        "Check both and try again. After %(failures)s failures an account stays locked for %(minutes)s minutes;"
        " your administrator can unlock it."
    )


class PasswordTooShort(Invalid):
    """Guessed in an afternoon."""

    message = N_("A password has at least %(minimum)s characters.")


class PasswordTellsLogin(Invalid):
    """Guessed first."""

    message = N_("The password must not contain the login name.")


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
        actors.where(membership.c.person_id == person_id).order_by(membership.c.id).limit(1)
    ).one_or_none()
    if member is None:
        return None
    token = secrets.token_urlsafe(32)
    session_id = connection.execute(
        login_session.insert().returning(login_session.c.id),
        {
            "token_hash": fingerprint(token),
            "person_id": person_id,
            "membership_id": member.membership_id,
            "created_at": at,
            "last_seen_at": at,
            "ends_at": _end(at, at, settings),
        },
    ).scalar_one()
    audit.record(connection, acting(member), "session.opened", "session", session_id, at=at)
    return token


def enter_demo(connection: Connection, login: str, *, settings: Settings, at: datetime) -> str:
    """Open a session for a demo account without a password. Raises `NotFound` unless this is a demonstration."""
    found = connection.scalar(sa.select(person.c.id).where(person.c.login == login, person.c.demo, person.c.active))
    token = open_session(connection, found, settings=settings, at=at) if settings.demo and found else None
    if token is None:
        raise NotFound()
    return token


# Acting in a session

_SESSIONS = Prepared(
    actors.add_columns(
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
    row = _SESSIONS.first(connection, {"token_hash": fingerprint(token), "at": at})
    if row is None:
        return None
    return LoginSession(
        row.id,
        acting(row),
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
        actors.where(membership.c.id == membership_id, membership.c.person_id == session.actor.person_id)
    ).one_or_none()
    if row is None:
        raise NotFound()
    connection.execute(
        login_session.update().where(login_session.c.id == session.id).values(membership_id=membership_id)
    )
    actor = acting(row)
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


def revoke_others(connection: Connection, session: LoginSession, *, at: datetime) -> None:
    """End all other sessions of the same person."""
    assert session.actor.person_id is not None
    revoke_all(connection, session.actor, session.actor.person_id, at=at, but=session.id)


def revoke_all(connection: Connection, actor: Actor, person_id: int, *, at: datetime, but: int | None = None) -> None:
    """End all sessions of a person, except the one named. Whether the actor may is the caller's to ask."""
    condition = (login_session.c.person_id == person_id) & login_session.c.revoked_at.is_(None)
    if but is not None:
        condition &= login_session.c.id != but
    ended = connection.execute(login_session.update().where(condition).values(revoked_at=at))
    if ended.rowcount:
        audit.record(connection, actor, "person.sessions_revoked", "person", person_id, at=at)


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


def forget_ended(connection: Connection, *, at: datetime) -> None:
    """Throw away the sessions that ended long ago; that they were opened stays in the audit log."""
    connection.execute(login_session.delete().where(login_session.c.ends_at < at - KEPT_FOR))


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
    revoke_all(connection, actor, actor.person_id, at=at, but=session.id)


def hash_password(password: str, login: str) -> str:
    """What to store for a password. Slow on purpose: call it outside of any transaction."""
    if len(password) < MINIMUM_PASSWORD:
        raise PasswordTooShort(minimum=MINIMUM_PASSWORD)
    if login and login.lower() in password.lower():
        raise PasswordTellsLogin()
    return _hasher().hash(password)


def _end(opened_at: datetime, seen_at: datetime, settings: Settings) -> datetime:
    return min(
        opened_at + timedelta(hours=settings.session_hours),
        seen_at + timedelta(minutes=settings.session_idle_minutes),
    )
