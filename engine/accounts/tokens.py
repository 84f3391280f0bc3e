"""Tokens by which a person's programs act: each in one membership, for a time, until it is revoked."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from engine import audit
from engine.accounts.actors import acting, actors, fingerprint
from engine.accounts.tables import api_token, membership, person
from engine.audit import Actor
from engine.errors import N_, Invalid, NotFound, XuejiError
from engine.prepared import Prepared
from engine.registry.tables import organisation

# How many days a token may hold. A year is the longest: a program that nobody remembers must not act for ever.
LIFETIMES = (30, 90, 365)
LONGEST_NAME = 60
USED_EVERY = timedelta(minutes=1)
# How long a token that ended stays in the table.
KEPT_FOR = timedelta(days=30)
# By which a token is known where it does not belong: in logs, mails and repositories.
PREFIX = "xueji_"


@dataclass(frozen=True)
class TokenUse:
    """A token that holds, or held a moment ago, as a request needs it."""

    id: int
    actor: Actor
    locale: str | None
    # Noted by whichever process is the first to see it used in a minute: the token is no other one by that.
    last_used_at: datetime | None = field(compare=False)
    ends_at: datetime


@dataclass(frozen=True)
class ApiToken:
    """A token as its owner sees it; the secret was shown once."""

    id: int
    name: str
    membership_id: int
    organisation_name: str
    organisation_name_en: str | None
    duty: str
    created_at: datetime
    ends_at: datetime
    last_used_at: datetime | None


# Using one


_USES = Prepared(
    actors.add_columns(api_token.c.id, api_token.c.last_used_at, api_token.c.ends_at, person.c.locale)
    .join(api_token, api_token.c.membership_id == membership.c.id)
    .where(
        api_token.c.token_hash == sa.bindparam("token_hash"),
        api_token.c.revoked_at.is_(None),
        api_token.c.ends_at > sa.bindparam("at"),
        person.c.active,
    )
)


def token_use(connection: Connection, token_hash: bytes, *, at: datetime) -> TokenUse | None:
    """What the token of this `fingerprint` opens, or None where it holds no longer. One query."""
    return _use(_USES.rows(connection, {"token_hash": token_hash, "at": at}))


def token_use_later(
    connection: Connection, token_hash: bytes, then: Callable[[TokenUse | None], None], *, at: datetime
) -> None:
    """The same, told to `then`: at the latest before anything else that is asked here is answered."""
    _USES.later_rows(connection, {"token_hash": token_hash, "at": at}, lambda found: then(_use(found)))


def _use(found: list[Any]) -> TokenUse | None:
    if not found:
        return None
    [row] = found
    return TokenUse(row.id, acting(row), row.locale, row.last_used_at, row.ends_at)


def is_use_due(use: TokenUse, *, at: datetime) -> bool:
    """Whether `note_use` has something to write: at most once a minute, or every reader would become a writer."""
    return use.last_used_at is None or at - use.last_used_at >= USED_EVERY


def note_use(connection: Connection, use: TokenUse, *, at: datetime) -> None:
    """Note when the token was used last."""
    connection.execute(api_token.update().where(api_token.c.id == use.id).values(last_used_at=at))


# Making and revoking them


def make_token(connection: Connection, actor: Actor, name: str, membership_id: int, days: int, *, at: datetime) -> str:
    """Make a token of the actor's own and return its secret, which nobody will see again.

    Raises `Invalid` by field for a name that is missing or in use, a membership of somebody else, or another lifetime.
    """
    name = name.strip()
    _check(connection, actor, name, membership_id, days, at)
    secret = PREFIX + secrets.token_urlsafe(32)
    token_id = connection.execute(
        api_token.insert().returning(api_token.c.id),
        {
            "token_hash": fingerprint(secret),
            "person_id": actor.person_id,
            "membership_id": membership_id,
            "name": name,
            "created_at": at,
            "ends_at": at + timedelta(days=days),
        },
    ).scalar_one()
    after = {"membership_id": membership_id, "days": days}
    audit.record(connection, actor, "token.made", "token", token_id, at=at, after=after)
    return secret


def _check(connection: Connection, actor: Actor, name: str, membership_id: int, days: int, at: datetime) -> None:
    errors: dict[str, XuejiError] = {}
    if not 1 <= len(name) <= LONGEST_NAME or not name.isprintable():
        errors["name"] = Invalid(N_("Between 1 and %(longest)s characters."), longest=LONGEST_NAME)
    # A page of a new token that is loaded again sends its form again; the name tells that it is there already.
    elif any(token.name == name for token in tokens_of(connection, actor, at=at)):
        errors["name"] = Invalid(N_("One of your tokens is called so already."))
    own = sa.select(membership.c.id).where(membership.c.id == membership_id, membership.c.person_id == actor.person_id)
    if connection.scalar(own) is None:
        errors["membership_id"] = Invalid(N_("Choose one of the values given."))
    if days not in LIFETIMES:
        errors["days"] = Invalid(N_("Choose one of the values given."))
    if errors:
        raise Invalid(fields=errors)


def tokens_of(connection: Connection, actor: Actor, *, at: datetime) -> list[ApiToken]:
    """The actor's own tokens that hold, in all memberships, the newest first."""
    columns = api_token.c
    rows = connection.execute(
        sa.select(
            columns.id, columns.name, columns.membership_id, organisation.c.name, organisation.c.name_en,
            membership.c.duty, columns.created_at, columns.ends_at, columns.last_used_at,
        )
        .select_from(api_token.join(membership, columns.membership_id == membership.c.id).join(organisation))
        .where(columns.person_id == actor.person_id, _holds(at))
        .order_by(columns.id.desc())
    )  # fmt: skip
    return [ApiToken(*row) for row in rows]


def revoke_token(connection: Connection, actor: Actor, token_id: int, *, at: datetime) -> None:
    """End one of the actor's own tokens at once. Raises `NotFound`."""
    own = (api_token.c.id == token_id) & (api_token.c.person_id == actor.person_id)
    ended = connection.execute(api_token.update().where(own, _holds(at)).values(revoked_at=at))
    if ended.rowcount == 0:
        raise NotFound()
    audit.record(connection, actor, "token.revoked", "token", token_id, at=at)


def revoke_tokens(connection: Connection, actor: Actor, person_id: int, *, at: datetime) -> None:
    """End all tokens of a person. Whether the actor may is the caller's to ask."""
    whose = api_token.c.person_id == person_id
    ended = connection.execute(api_token.update().where(whose, _holds(at)).values(revoked_at=at))
    if ended.rowcount:
        audit.record(connection, actor, "person.tokens_revoked", "person", person_id, at=at)


def forget_tokens(connection: Connection, *, at: datetime) -> None:
    """Throw away the tokens that ended long ago; that they were made stays in the audit log."""
    long_ago = at - KEPT_FOR
    connection.execute(api_token.delete().where((api_token.c.ends_at < long_ago) | (api_token.c.revoked_at < long_ago)))


def _holds(at: datetime) -> sa.ColumnElement[bool]:
    return api_token.c.revoked_at.is_(None) & (api_token.c.ends_at > at)
