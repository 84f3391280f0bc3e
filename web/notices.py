"""What an organisation was told without having to do anything: messages, warnings, ends."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from flask import Blueprint, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from engine import cases, transfers
from engine.cases import Notice
from engine.errors import N_
from engine.registry import organisations
from engine.transfers import Transfer
from web.context import current_actor, now, reading, transaction
from web.flash import flash
from web.gettext import gettext as _
from web.ids import a_long_id
from web.locales import label, own_name
from web.paging import COUNTED, PAGE_SIZE, Page, offset_of, page_number
from web.words import MESSAGES

blueprint = Blueprint("notices", __name__)

WORDS = {
    **MESSAGES,
    "due_soon": N_("The time for “%(step)s” is running out."),
    "overdue": N_("The time for “%(step)s” at %(organisation)s is over."),
    "completed": N_("The transfer has been completed."),
    "refused": N_("The transfer has ended: it was not agreed to."),
    "withdrawn": N_("The receiving school has withdrawn the transfer."),
}
# Which of the five states a notice has the colour of; the others only inform.
COLOURS = {
    "release_requested": "todo",
    "release_agreed": "agreed",
    "release_refused": "refused",
    "due_soon": "todo",
    "overdue": "overdue",
    "completed": "agreed",
    "refused": "refused",
}


@dataclass(frozen=True)
class Line:
    """One notice as it is shown."""

    notice: Notice
    transfer: Transfer | None
    words: str
    colour: str


@blueprint.get("/notices")
def page() -> ResponseReturnValue:
    """What the actor's organisation was told, newest first."""
    actor, unread = current_actor(), "unread" in request.args
    with reading() as connection:
        found, total = cases.notices(
            connection,
            actor,
            unread=unread,
            limit=PAGE_SIZE,
            offset=offset_of(page_number()),
            counted=COUNTED + 1,
        )
        known = transfers.summaries(connection, actor, list({notice.case_id for notice in found}))
        late = {notice.values["organisation_id"] for notice in found if "organisation_id" in notice.values}
        named = organisations.named(connection, late)
        waiting = cases.unread_notices(connection, actor, counted=COUNTED + 1)
    lines = [
        Line(notice, known.get(notice.case_id), _in_words(notice, named), COLOURS.get(notice.kind, "ended"))
        for notice in found
    ]
    return render_template("notices/page.html", page=Page(lines, total, page_number()), unread=unread, waiting=waiting)


@blueprint.post("/notices")
def read() -> ResponseReturnValue:
    """Mark one notice as read, or all of them."""
    with transaction() as connection:
        cases.read_notices(connection, current_actor(), request.form.get("notice", type=a_long_id), at=now())
    if "notice" not in request.form:
        flash(_("All notices have been marked as read."))
    back: dict[str, Any] = request.args.to_dict()
    return redirect(url_for(".page", **back), 303)


def _in_words(notice: Notice, named: dict[int, organisations.Organisation]) -> str:
    """A sentence for what we know; what only a diagram knows is called as the diagram calls the step."""
    step = label(notice.step) if notice.step else ""
    if notice.kind not in WORDS:
        return step or notice.kind
    organisation = named.get(notice.values.get("organisation_id", 0))
    return str(
        _(
            WORDS[notice.kind],
            step=step,
            organisation=own_name(organisation.name, organisation.name_en) if organisation else "",
        )
    )
