"""The interface for programs: what the inbox can do, as JSON under /api/v1, by the same operations and permissions."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, current_app
from flask.typing import ResponseReturnValue

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
    organisations,
    procedures,
    transfers,
)
from web.context import public

blueprint = Blueprint("api", __name__, url_prefix=document.PREFIX)
for part in (
    account, inbox, batches, applications, transfers, cases, notices, organisations, procedures, comparisons, incidents,
):  # fmt: skip
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
