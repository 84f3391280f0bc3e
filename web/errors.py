"""Errors become pages and JSON here, and nowhere else. A reader is told what happened and what to do next."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict
from datetime import datetime
from functools import wraps
from inspect import signature
from typing import Any, TypeVar
from urllib.parse import urlsplit

from flask import Flask, jsonify, make_response, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from werkzeug.exceptions import HTTPException
from werkzeug.exceptions import MethodNotAllowed as MethodNotAllowedByRoutes

from engine.errors import N_, Invalid, NotFound, XuejiError, describe
from engine.outages import is_outage
from web.context import LoginRequired, current_session, is_for_programs
from web.flash import has_just_switched
from web.gettext import gettext as _
from web.locales import message_of, remedy_of
from web.observation import method, request_id, route

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


class Unavailable(XuejiError):
    """The database is away. What was sent is done or not done at all; which of the two nobody can tell now."""

    status = 503
    code = "unavailable"
    message = N_("The database does not answer at the moment.")
    remedy = N_("Try again in a moment. If you were sending something, look first whether it was done.")
    # Seconds until it is worth another try.
    retry_after = 5


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


class Unreadable(XuejiError):
    """A program's request that is not written as it should be."""

    status = 400
    code = "bad_request"
    message = N_("The request can not be read.")
    remedy = N_("Compare it with the description of the interface, /api/v1/openapi.json.")


class MethodNotAllowed(XuejiError):
    """A program's request for a path that there is, by a method that it does not have."""

    status = 405
    code = "method_not_allowed"
    message = N_("This path does not answer to this method.")
    remedy = N_("Compare it with the description of the interface, /api/v1/openapi.json.")


class WrongMediaType(XuejiError):
    """A program's request with a body of another kind."""

    status = 415
    code = "wrong_media_type"
    message = N_("This is sent as %(expected)s.")
    remedy = N_("Send the body in this form, and name it in the header Content-Type.")


# What Flask itself finds out, for pages and for programs. Everything else of 4xx is a BadRequest, or Unreadable.
KNOWN: dict[int, type[XuejiError]] = {404: NotFound, 405: NotFound, 413: TooLarge}
KNOWN_TO_PROGRAMS: dict[int, type[XuejiError]] = {404: NotFound, 405: MethodNotAllowed, 413: TooLarge}


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
    if is_for_programs():
        return True
    best = request.accept_mimetypes.best_match(["text/html", "application/json"], default="text/html")
    return best == "application/json"


def as_json(error: XuejiError) -> dict[str, Any]:
    """The one shape of an error: code, message, remedy, what is wrong with each field, its facts, what led to it."""
    return {
        "error": {
            "code": error.code,
            "message": message_of(error),
            "remedy": remedy_of(error),
            "fields": {name: message_of(field) for name, field in fields_of(error).items()},
            "details": {name: _plain(value) for name, value in error.values.items()},
            "causes": [_cause(cause) for cause in error.causes],
        }
    }


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    return value if value is None or isinstance(value, (bool, int, float)) else str(value)


def _cause(cause: Any) -> dict[str, Any]:
    """A dataclass of the engine with its words filled in."""
    values = asdict(cause)
    filling = values.pop("values", None)
    translated = {name: str(_(values[name])) for name in ("message", "remedy") if values.get(name)}
    return values | {name: text % filling if filling else text for name, text in translated.items()}


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
        headers = {"WWW-Authenticate": "Bearer"} if error.status == 401 and is_for_programs() else {}
        return jsonify(as_json(error)), error.status, headers
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
    if not is_for_programs():
        return _answer(KNOWN.get(error.code, BadRequest)())
    response = make_response(_answer(KNOWN_TO_PROGRAMS.get(error.code, Unreadable)()))
    if isinstance(error, MethodNotAllowedByRoutes) and error.valid_methods:
        response.headers["Allow"] = ", ".join(sorted(error.valid_methods))
    return response


def _unexpected(error: Exception) -> ResponseReturnValue:
    if is_outage(error):
        log.warning("%s %s %s %s", request_id(), method(), route(), describe(error))
        return _unavailable()
    log.error("%s %s %s %s", request_id(), method(), route(), describe(error))
    return _answer(Unexpected(reference=request_id()))


def _unavailable() -> ResponseReturnValue:
    with suppress(HTTPException):
        # The server closes a connection in which something is left unread, and the answer may be lost with it.
        request.get_data(cache=False)
    response = make_response(_answer(Unavailable()))
    response.headers["Retry-After"] = str(Unavailable.retry_after)
    return response
