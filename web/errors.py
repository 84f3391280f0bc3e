"""Errors become pages and JSON here, and nowhere else. A reader is told what happened and what to do next."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable
from functools import wraps
from inspect import signature
from typing import Any, TypeVar
from urllib.parse import urlsplit

from flask import Flask, jsonify, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from werkzeug.exceptions import HTTPException

from engine.errors import N_, Invalid, NotFound, XuejiError, describe
from web.context import LoginRequired, current_session
from web.flash import has_just_switched
from web.locales import message_of, remedy_of

log = logging.getLogger(__name__)

# Where everybody begins, and where a page that is not theirs sends them back to.
START = "/inbox"

View = TypeVar("View", bound=Callable[..., Any])


class Unexpected(XuejiError):
    """Our own mistake. The reference number leads to the log, which alone knows more."""

    status = 500
    code = "unexpected"
    message = N_("Something on our side did not work. Nothing has been changed.")
    remedy = N_("Try again; if it stays, tell your administrator this reference number: %(reference)s.")


class BadRequest(XuejiError):
    """A request that no page of ours sends."""

    code = "bad_request"
    message = N_("The request was incomplete.")
    remedy = N_("Open the page again and repeat the last step.")


class TooLarge(XuejiError):
    """An upload above the limit."""

    status = 413
    code = "too_large"
    message = N_("The file is too large.")
    remedy = N_("Choose a smaller one.")


# What Flask itself finds out. Everything else of 4xx is a BadRequest.
KNOWN: dict[int, type[XuejiError]] = {404: NotFound, 405: NotFound, 413: TooLarge}


def shown_again_by(page: Callable[..., ResponseReturnValue]) -> Callable[[View], View]:
    """On an error of the engine, answer with `page(error=…)` and the error's status instead of the page of errors.

    For views that take a form: `page` draws it, from `request.form` if that is filled, so nothing typed is lost. Of the
    address it is given what it takes.
    """
    taken = signature(page).parameters

    def decorate(view: View) -> View:
        @wraps(view)
        def guarded(*args: Any, **kwargs: Any) -> Any:
            try:
                return view(*args, **kwargs)
            except XuejiError as error:
                if wants_json():
                    raise
                known = {name: value for name, value in kwargs.items() if name in taken}
                return page(*args, **known, error=error), error.status

        return guarded  # type: ignore[return-value]

    return decorate


def wants_json() -> bool:
    if request.path.startswith("/api/"):
        return True
    best = request.accept_mimetypes.best_match(["text/html", "application/json"], default="text/html")
    return best == "application/json"


def as_json(error: XuejiError) -> dict[str, Any]:
    """The one shape of an error: code, message, remedy, and what is wrong with each field."""
    return {
        "error": {
            "code": error.code,
            "message": message_of(error),
            "remedy": remedy_of(error),
            "fields": {name: message_of(field) for name, field in fields_of(error).items()},
        }
    }


class Fields(dict[str, XuejiError]):
    """What is wrong with each field of a form; nothing for the others."""

    def __missing__(self, name: str) -> None:
        return None


def fields_of(error: XuejiError | None) -> Fields:
    """The errors of single fields, for a form: `fields_of(error).name`."""
    return Fields(error.fields if isinstance(error, Invalid) else {})


def register(app: Flask) -> None:
    app.jinja_env.globals["fields_of"] = fields_of
    app.register_error_handler(XuejiError, _answer)
    app.register_error_handler(HTTPException, _http)
    app.register_error_handler(Exception, _unexpected)


def _answer(error: XuejiError) -> ResponseReturnValue:
    if wants_json():
        return jsonify(as_json(error)), error.status
    if isinstance(error, LoginRequired):
        return _to_login()
    if request.method == "GET" and error.status in (403, 404) and has_just_switched():
        return redirect(START)
    # Around our own mistake no frame is drawn: what it needs may be what failed.
    framed = current_session() is not None and error.status < 500
    return render_template("error.html", error=error, framed=framed, start=START), error.status


def _to_login() -> ResponseReturnValue:
    if request.headers.get("HX-Request"):
        return "", 401, {"HX-Redirect": url_for("sessions.login", next=_asked_page())}
    return redirect(url_for("sessions.login", next=_asked_page()))


def _asked_page() -> str | None:
    """The page to come back to. A form is not sent again after a login: its page is opened, and finds its draft."""
    if request.method == "GET" and not request.headers.get("HX-Request"):
        page = request.full_path.rstrip("?")
    else:
        parts = urlsplit(request.referrer or "")
        page = parts.path + (f"?{parts.query}" if parts.query else "")
    return page if page not in ("", "/") else None


def _http(error: HTTPException) -> ResponseReturnValue:
    if error.code is None or error.code < 400:
        return error.get_response()
    return _answer(KNOWN.get(error.code, BadRequest)())


def _unexpected(error: Exception) -> ResponseReturnValue:
    reference = secrets.token_hex(4).upper()
    # The path holds ids alone; the query and the form may hold more, so they stay out of the log.
    log.error("%s %s %s %s", reference, request.method, request.path, describe(error))
    return _answer(Unexpected(reference=reference))
