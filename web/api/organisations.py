"""The authorities and schools of the own jurisdiction, whose ids narrow the inbox and the query."""

from __future__ import annotations

from flask import Blueprint
from sqlalchemy.engine import Connection

from engine.errors import NotFound
from engine.registry import organisations
from web.api.endpoints import reads
from web.api.shapes import Id, Office, Sent
from web.context import current_actor

blueprint = Blueprint("organisations", __name__)


class Below(Sent):
    below: Id | None = None
    """An organisation of the own jurisdiction; the own one where it is left out."""


@blueprint.get("/organisations")
@reads(raises=(NotFound,))
def found(connection: Connection, query: Below) -> list[Office]:
    """What hangs directly below an organisation, authorities before schools; of a school nothing."""
    actor = current_actor()
    place = query.below or actor.organisation_id
    assert place is not None
    organisations.require_jurisdiction(connection, actor, place)
    return [Office.of(office) for office in organisations.children(connection, place)]
