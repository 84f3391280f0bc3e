"""Who acts: one person in one membership, as sessions, tokens and background work find them."""

from __future__ import annotations

import hashlib
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from engine.accounts.tables import membership, person
from engine.audit import Actor
from engine.prepared import Prepared
from engine.registry.tables import organisation

actors = sa.select(
    person.c.id.label("person_id"),
    person.c.name.label("person_name"),
    membership.c.id.label("membership_id"),
    organisation.c.id.label("organisation_id"),
    organisation.c.name.label("organisation_name"),
    organisation.c.level.label("organisation_level"),
    organisation.c.division_code,
    membership.c.duty,
).select_from(membership.join(person).join(organisation))


def acting(row: Any) -> Actor:
    """The actor of a row of `actors`."""
    return Actor(
        row.person_id,
        row.person_name,
        row.membership_id,
        row.organisation_id,
        row.organisation_name,
        row.organisation_level,
        row.division_code,
        row.duty,
    )


def actor_of_membership(connection: Connection, membership_id: int) -> Actor | None:
    """Who acts in a membership; None where it was taken away, or its account closed."""
    row = _OF_MEMBERSHIP.first(connection, {"membership": membership_id})
    return acting(row) if row else None


_OF_MEMBERSHIP = Prepared(actors.where(membership.c.id == sa.bindparam("membership"), person.c.active))


def fingerprint(secret: str) -> bytes:
    """What is kept of a session's or token's secret. It is random and long, so that a plain hash is enough."""
    return hashlib.sha256(secret.encode()).digest()
