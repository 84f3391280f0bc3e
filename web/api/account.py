"""Who a token acts for."""

from __future__ import annotations

from datetime import datetime

from flask import Blueprint
from sqlalchemy.engine import Connection

from engine import accounts, permissions
from web.api.endpoints import reads
from web.api.shapes import Shape, Words
from web.context import current_actor, current_token

blueprint = Blueprint("account", __name__)


class Membership(Shape):
    """One duty in one organisation."""

    id: int
    organisation_id: int
    organisation: Words
    level: str
    """ministry, province, prefecture, county or school"""
    duty: str
    """operator, reviewer, administrator, policy_editor or auditor"""

    @classmethod
    def of(cls, found: accounts.Membership) -> Membership:
        return cls(
            id=found.id,
            organisation_id=found.organisation_id,
            organisation=Words.named(found.organisation_name, found.organisation_name_en),
            level=found.organisation_level,
            duty=found.duty,
        )


class Me(Shape):
    """The owner of the token, and in which membership it acts."""

    person_id: int
    name: str
    membership: Membership
    """The one that this token acts in; another one needs a token of its own."""
    memberships: list[Membership]
    """All that the person holds."""
    capabilities: list[str]
    """What the membership's duty allows."""
    token_ends_at: datetime | None
    """Until when the token holds; null where a session asks."""


@blueprint.get("/me")
@reads()
def me(connection: Connection) -> Me:
    """Who the token acts for, and what they may do."""
    actor, token = current_actor(), current_token()
    assert actor.person_id is not None
    held = [Membership.of(found) for found in accounts.memberships_of(connection, actor.person_id)]
    return Me(
        person_id=actor.person_id,
        name=actor.person_name,
        membership=next(found for found in held if found.id == actor.membership_id),
        memberships=held,
        capabilities=[name for name in permissions.CAPABILITIES if permissions.may(actor, name)],
        token_ends_at=token.ends_at if token else None,
    )
