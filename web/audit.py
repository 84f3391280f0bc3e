"""The audit log, as auditors search it: by time, person, action, subject, inside their own jurisdiction."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime, time, timedelta

from flask import Blueprint, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy.engine import Connection

from engine import trail, transfers
from engine.trail import Filters
from engine.workdays import SHANGHAI
from web.context import current_actor, reading, requires
from web.ids import a_long_id, an_id
from web.paging import COUNTED, PAGE_SIZE, Page, offset_of, page_number
from web.searches import posted_search, recalled_search
from web.words import deed, options

blueprint = Blueprint("audit", __name__, url_prefix="/audit")

FIELDS = ("since", "until", "person", "action", "subject_kind", "subject_id", "case_id")
# Ids may stand in an address, so that a case's page can lead to its entries.
OPEN_FIELDS = ("subject_kind", "subject_id", "case_id")


@blueprint.get("")
@requires("audit")
def entries() -> ResponseReturnValue:
    values = {name: request.args[name] for name in OPEN_FIELDS if name in request.args} | recalled_search("audit")
    number = page_number()
    with reading() as connection:
        found, total = trail.search(
            connection,
            current_actor(),
            _filters(connection, values),
            limit=PAGE_SIZE,
            offset=offset_of(number),
            counted=COUNTED + 1,
        )
        actions = trail.actions(connection, current_actor())
    return render_template(
        "audit/entries.html", page=Page(found, total, number), values=values, actions=options(actions, deed)
    )


@blueprint.post("")
@requires("audit")
def search() -> ResponseReturnValue:
    return redirect(url_for(".entries", **posted_search("audit", FIELDS)))


def _filters(connection: Connection, values: dict[str, str]) -> Filters:
    until = _midnight(values.get("until"))
    return Filters(
        since=_midnight(values.get("since")),
        until=until + timedelta(days=1) if until else None,
        person=values.get("person", ""),
        action=values.get("action", ""),
        subject_kind=values.get("subject_kind", ""),
        subject_id=_number(values.get("subject_id", ""), a_long_id),
        case_id=_case(connection, values.get("case_id", "").strip()),
    )


def _case(connection: Connection, text: str) -> int | None:
    """A case by its own number or by its transfer's; no case at all for what is neither, so that nothing is found."""
    if not text:
        return None
    return _number(text, an_id) or transfers.by_number(connection, current_actor(), text) or 0


# What can not be read narrows nothing: the form's own fields let nothing else through.
def _midnight(text: str | None) -> datetime | None:
    try:
        return datetime.combine(date.fromisoformat(text or ""), time(), SHANGHAI)
    except ValueError:
        return None


def _number(text: str, kind: Callable[[str], int]) -> int | None:
    try:
        return kind(text)
    except ValueError:
        return None
