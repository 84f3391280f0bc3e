"""What those ask who keep it running: does the process live, and may requests be sent to it?"""

from __future__ import annotations

from flask import Blueprint
from flask.typing import ResponseReturnValue

from web.context import public, xueji

blueprint = Blueprint("health", __name__)


@blueprint.get("/healthz")
@public
def alive() -> ResponseReturnValue:
    """Whether this process answers at all. It does without a database: to restart it would not bring that back."""
    return {"status": "ok"}


@blueprint.get("/readyz")
@public
def ready() -> ResponseReturnValue:
    """Whether requests may be sent here, and why not: the database is away, its schema is old, the process ends."""
    reason = xueji().application.unready()
    return ({"status": "ready"}, 200) if reason is None else ({"status": reason}, 503)
