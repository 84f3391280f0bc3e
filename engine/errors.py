"""The error tree. A message tells its reader what happened, and the remedy what to do next.

Messages are marked with `N_` and translated at the edge (page, API, command), so that the engine knows no request.
They are filled from the error's own `values` after translation.
"""

from __future__ import annotations

import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Any


def N_(message: str) -> str:
    """Mark a text for translation at the edge."""
    return message


class XuejiError(Exception):
    """The root. `status` is the HTTP status that the edges answer with, `code` the stable name for programs."""

    status = 400
    code = "error"
    message = N_("That was not possible.")
    remedy = ""
    # What led to it, where that is several things, as plain data: each with a `message` of its own.
    causes: Sequence[Any] = ()

    def __init__(self, message: str | None = None, *, remedy: str | None = None, **values: Any) -> None:
        if message is not None:
            self.message = message
        if remedy is not None:
            self.remedy = remedy
        self.values = values
        super().__init__(self.message % values if values else self.message)


class NotFound(XuejiError):
    """Absent, or outside the reader's jurisdiction: the two are not told apart."""

    status = 404
    code = "not_found"
    message = N_("There is nothing here, or it lies outside your jurisdiction.")
    remedy = N_("Check the address, or look for it in the query of your own jurisdiction.")


class Forbidden(XuejiError):
    """Visible, but not for this membership to do."""

    status = 403
    code = "forbidden"
    message = N_("Your present duty does not allow this.")
    remedy = N_("Switch to the membership that does, or ask your administrator.")


class Conflict(XuejiError):
    """Somebody was faster. `values` name who, when and what, where that is known."""

    status = 409
    code = "conflict"
    message = N_("This has changed since you opened it.")
    remedy = N_("Look at its present state; what you have typed is still in the form.")


class Invalid(XuejiError):
    """Input that can not be taken. `fields` maps a field's id to its own error, itself translatable."""

    status = 422
    code = "invalid"
    message = N_("Some entries need another look.")
    remedy = N_("The fields concerned are marked.")

    def __init__(
        self, message: str | None = None, *, fields: dict[str, XuejiError] | None = None, **values: Any
    ) -> None:
        super().__init__(message, **values)
        self.fields = fields or {}


class TooMany(XuejiError):
    """Over a rate limit."""

    status = 429
    code = "too_many"
    message = N_("Too many attempts in a short time.")
    remedy = N_("Wait a while, then try again.")


def describe(error: BaseException) -> str:
    """An error for administrators and logs: its words where they are ours, else its kind, and where it happened.

    Words of others are left out, as a database quotes the row that it refused, and with it a child's number. Ours are
    not filled in, as that may be a name. Of the places those of our own code come before the libraries' last one.
    """
    words = f": {error.message}" if isinstance(error, XuejiError) else _kind_of_refusal(error)
    places = traceback.extract_tb(error.__traceback__)
    ours = [place for place in places[:-1] if not {"site-packages", "dist-packages"} & set(Path(place.filename).parts)]
    where = "".join(f"\n{place.filename}:{place.lineno} {place.name}" for place in [*ours[-4:], *places[-1:]])
    return f"{type(error).__name__}{words}{where}"


def _kind_of_refusal(error: BaseException) -> str:
    """What a database driver calls its error, with the code that its manual explains."""
    cause = getattr(error, "orig", None)
    if cause is None:
        return ""
    code = getattr(cause, "sqlstate", None) or getattr(cause, "sqlite_errorname", None)
    return f" ({type(cause).__name__}{f' {code}' if code else ''})"
