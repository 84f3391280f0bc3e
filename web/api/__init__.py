"""The interface for programs: what the inbox can do, as JSON under /api/v1, by the same operations and permissions."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Flask, current_app
from flask.typing import ResponseReturnValue
from werkzeug.routing import IntegerConverter, Map

from engine.db import LARGEST_ID, LARGEST_LONG_ID
from web.api import (
    account,
    applications,
    batches,
    cases,
    comparisons,
    document,
    inbox,
    incidents,
    notices,
    procedures,
    transfers,
)
from web.context import public

blueprint = Blueprint("api", __name__, url_prefix=document.PREFIX)
for part in (account, inbox, batches, applications, transfers, cases, notices, procedures, comparisons, incidents):
    blueprint.register_blueprint(part.blueprint)


@blueprint.get("/openapi.json")
@public
def description() -> ResponseReturnValue:
    """The description of all this. It is made once, when it is first asked for."""
    made: dict[str, Any] = current_app.extensions
    if "api" not in made:
        made["api"] = document.describe(current_app)
    description: dict[str, Any] = made["api"]
    return description


def register(app: Flask) -> None:
    app.url_map.converters.update({"id": _Id, "long": _LongId})


class _Id(IntegerConverter):
    """An id as most tables have them. Anything larger is nobody's, and no database has to be asked."""

    def __init__(self, map: Map) -> None:
        super().__init__(map, max=LARGEST_ID)


class _LongId(IntegerConverter):
    """An id of the tables that grow by each step."""

    def __init__(self, map: Map) -> None:
        super().__init__(map, max=LARGEST_LONG_ID)
