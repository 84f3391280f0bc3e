"""A line for the next page: what has just happened. It travels in a signed cookie of its own, read once."""

from __future__ import annotations

import base64
import hmac
import json
from dataclasses import dataclass

from flask import Flask, Response, g, request

from web.context import settings
from web.security import sign

COOKIE = "notice"
# The kind of the line after a switch of membership, whose page may not be there for the new one.
SWITCHED = "switched"


@dataclass(frozen=True)
class Notice:
    """`kind` is done, info, warning or switched; `path` and `label` make a link behind the text."""

    text: str
    kind: str = "done"
    path: str = ""
    label: str = ""


def flash(text: str, kind: str = "done", *, path: str = "", label: str = "") -> None:
    """Show a translated line on the next page."""
    g.setdefault("notices", []).append(Notice(text, kind, path, label))


def take_notices() -> list[Notice]:
    """The lines for this page: those that the request before left, and those of this one."""
    g.notices_shown = True
    return [*_received(), *g.pop("notices", [])]


def has_just_switched() -> bool:
    """Whether this request follows a switch of membership."""
    return any(notice.kind == SWITCHED for notice in _received())


def register(app: Flask) -> None:
    app.jinja_env.globals["take_notices"] = take_notices
    app.after_request(_pass_on)


def _received() -> list[Notice]:
    mark, _, packed = request.cookies.get(COOKIE, "").partition(".")
    if not packed or not hmac.compare_digest(mark.encode(), sign(packed).encode()):
        return []
    return [Notice(*parts) for parts in json.loads(base64.urlsafe_b64decode(packed))]


def _pass_on(response: Response) -> Response:
    waiting: list[Notice] = g.get("notices", [])
    if waiting:
        parts = [[notice.text, notice.kind, notice.path, notice.label] for notice in waiting]
        packed = base64.urlsafe_b64encode(json.dumps(parts).encode()).decode()
        response.set_cookie(
            COOKIE,
            f"{sign(packed)}.{packed}",
            max_age=120,
            secure=settings().secure_cookies,
            httponly=True,
            samesite="Lax",
        )
    elif g.get("notices_shown") and COOKIE in request.cookies:
        response.delete_cookie(COOKIE, secure=settings().secure_cookies, httponly=True, samesite="Lax")
    return response
