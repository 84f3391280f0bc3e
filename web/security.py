"""What stands between the pages and other sites: tokens in forms, and the headers that bind the browser."""

from __future__ import annotations

import hashlib
import hmac
import secrets

from flask import Flask, Response, g, request
from markupsafe import Markup
from werkzeug.exceptions import BadRequest

from engine.errors import N_, XuejiError
from web.context import current_session, is_by_token, is_for_programs, session_token, settings

CSRF_FIELD = "csrf"
CSRF_HEADER = "X-CSRF-Token"
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})

HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; font-src 'self' data:; img-src 'self' data:;"
        " connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}


# What nobody looks at in a browser needs no more.
HEADERS_FOR_PROGRAMS = {
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
}


class StaleForm(XuejiError):
    """A form that was not drawn for this session: it is old, or comes from elsewhere."""

    status = 403
    code = "stale_form"
    message = N_("This page was opened before your present login, so its form was not accepted.")
    remedy = N_("Open the page again and repeat the last step; what you have typed is still there.")


def csrf_token() -> str:
    """The token that this browser's forms carry. It follows from a secret cookie, so the server keeps nothing."""
    return hmac.new(_browser_secret().encode(), b"csrf", hashlib.sha256).hexdigest()


def csrf() -> Markup:
    """The hidden field for a form: `{{ csrf() }}`."""
    return Markup('<input type="hidden" name="{}" value="{}">').format(CSRF_FIELD, csrf_token())


def sign(text: str) -> str:
    """A mark by which this browser's own cookie is told from a planted one."""
    return hmac.new(_browser_secret().encode(), text.encode(), hashlib.sha256).hexdigest()


def register(app: Flask) -> None:
    app.before_request(_refuse_nul)
    app.before_request(_check_csrf)
    app.after_request(_give_visitor)
    app.after_request(_set_headers)
    app.jinja_env.globals["csrf"] = csrf
    app.jinja_env.globals["csrf_token"] = csrf_token


# Before the login there is no session to bind a form to, so a cookie of its own stands in.
def _visitor_cookie() -> str:
    return "__Host-visitor" if settings().secure_cookies else "visitor"


def _browser_secret() -> str:
    if token := g.get("new_token") or session_token():
        return str(token)
    if visitor := request.cookies.get(_visitor_cookie()):
        return visitor
    if "visitor" not in g:
        g.visitor = secrets.token_urlsafe(32)
    return str(g.visitor)


def _refuse_nul() -> None:
    # No keyboard writes it and PostgreSQL stores none, so it would end as a mistake of ours. JSON says so itself.
    sent = [request.path]
    if request.query_string:
        sent += request.args.values()
    if request.method not in SAFE_METHODS and not request.is_json:
        sent += request.form.values()
    if any("\0" in text for text in sent):
        raise BadRequest


def _check_csrf() -> None:
    if request.method in SAFE_METHODS or is_by_token() or (is_for_programs() and current_session() is None):
        return
    given = request.headers.get(CSRF_HEADER) or request.form.get(CSRF_FIELD, "")
    if not hmac.compare_digest(given.encode(), csrf_token().encode()):
        raise StaleForm()


def _give_visitor(response: Response) -> Response:
    if "visitor" in g:
        response.set_cookie(
            _visitor_cookie(), g.visitor, secure=settings().secure_cookies, httponly=True, samesite="Lax", path="/"
        )
    return response


def _set_headers(response: Response) -> Response:
    for name, value in (HEADERS_FOR_PROGRAMS if is_for_programs() else HEADERS).items():
        response.headers.setdefault(name, value)
    if settings().secure_cookies:
        response.headers.setdefault("Strict-Transport-Security", "max-age=31536000")
    if request.endpoint == "static":
        # Every address of a static file carries the hash of its content.
        response.headers["Cache-Control"] = "public, max-age=31536000, immutable"
    else:
        # Shared computers: the browser keeps no page of a child's data.
        response.headers.setdefault("Cache-Control", "no-store")
    return response
