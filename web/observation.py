"""Each request has an id, and is timed and logged: by its route's rule, as an address may hold what nobody may read."""

from __future__ import annotations

import logging
import time
from secrets import token_hex

from flask import Flask, Response, g, request

from engine import logs, metrics
from web.context import current_session, current_token

HEADER = "X-Request-ID"

# What the server and the monitoring ask all the time; it is counted, and logged for those who look closely.
_QUIET = frozenset({"static", "health.alive", "health.ready"})

_METHODS = frozenset({"GET", "HEAD", "OPTIONS", "POST", "PUT", "DELETE"})

_log = logging.getLogger(__name__)


def request_id() -> str:
    """Eight letters and digits, by which a request is found in the log. People are told it when something breaks."""
    identity: str = g.request_id
    return identity


def route() -> str:
    """The rule that the address fits, for example /tasks/<long:task_id>; empty where there is none."""
    return request.url_rule.rule if request.url_rule else ""


def method() -> str:
    """The request's method, or `other` for one that nothing here answers to: a stranger may call it anything."""
    return request.method if request.method in _METHODS else "other"


def register(app: Flask) -> None:
    app.before_request(_begin)
    app.after_request(_end)


def _begin() -> None:
    g.request_id, g.began = token_hex(4).upper(), time.perf_counter()


def _end(response: Response) -> Response:
    seconds = time.perf_counter() - g.began
    metrics.REQUESTS.labels(method(), route(), response.status_code).observe(seconds)
    level = logging.DEBUG if request.endpoint in _QUIET else logging.INFO
    if _log.isEnabledFor(level):
        _log.log(level, "%s %s %s", method(), route(), response.status_code, extra=_facts(seconds))
    response.headers[HEADER] = request_id()
    return response


def _facts(seconds: float) -> dict[str, object]:
    acting = current_token() or current_session()
    who = {"person": acting.actor.person_id, "organisation": acting.actor.organisation_id} if acting else {}
    return logs.facts(request=request_id(), **who, milliseconds=round(seconds * 1000, 1))
