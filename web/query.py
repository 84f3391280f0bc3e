"""变动查询: the transfers of the reader's jurisdiction, narrowed by what the documents ask for; and their export."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from flask import Blueprint, make_response, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy.engine import Connection

from engine import searches, transfers
from engine.audit import Actor
from engine.bpmn.graph import PARTIES
from engine.errors import XuejiError
from engine.registry import divisions, numbers, organisations
from engine.registry.organisations import Organisation
from engine.transfers import STATES, Filters, Transfer
from engine.workdays import SHANGHAI
from web.context import current_actor, now, reading, requires, transaction
from web.deadlines import deadline_of
from web.errors import shown_again_by
from web.gettext import gettext as _
from web.ids import an_id
from web.locales import day, label, own, own_name
from web.menus import query_words
from web.paging import PAGE_SIZE, Page, page_number
from web.searches import PARAMETER, recalled_search
from web.words import STATES as STATE_WORDS
from web.words import coded, kind_words, party

blueprint = Blueprint("query", __name__, url_prefix="/query")

KIND = "query"
# What names a child is posted, and kept on the server; the rest may stand in an address.
PERSONAL = ("name", "number")
PLAIN = ("year", "kind", "state", "holder", "late")
KINDS = ("in", "out")
# Who has it now: the reader's own organisation, or one of the four parties.
OWN = "own"


@dataclass(frozen=True)
class Asked:
    """What the present address asks for."""

    within: int | None
    values: Mapping[str, str]

    @classmethod
    def read(cls, connection: Connection, actor: Actor) -> Asked:
        """Raises `SearchForgotten` for a search that is not kept any more, `NotFound` for a place elsewhere."""
        within = request.args.get("within", type=an_id)
        if within is not None:
            organisations.require_jurisdiction(connection, actor, within)
        plain = {name: request.args.get(name, "") for name in PLAIN}
        kept = recalled_search(KIND)
        return cls(within, plain | {name: kept.get(name, "") for name in PERSONAL})

    def filters(self, actor: Actor) -> Filters:
        values = self.values
        holder = values["holder"]
        return Filters(
            within=self.within,
            name=values["name"],
            number=values["number"],
            school_year=int(values["year"]) if values["year"].isdecimal() and len(values["year"]) == 4 else None,
            kind=_one_of(KINDS, values["kind"]),
            state=_one_of(STATES, values["state"]),
            holder=_one_of(PARTIES, holder),
            holder_id=actor.organisation_id if holder == OWN else None,
            late=bool(values["late"]),
        )

    @property
    def narrows(self) -> bool:
        return self.within is not None or any(self.values.values())


@dataclass(frozen=True)
class Level:
    """One choice of the cascade: what lies directly below a place of the jurisdiction."""

    choices: Sequence[tuple[int, str]]
    chosen: int | None
    are_schools: bool


@blueprint.get("")
@requires("query")
def page(error: XuejiError | None = None) -> str:
    actor, number = current_actor(), page_number()
    with reading() as connection:
        asked = Asked.read(connection, actor)
        filters = asked.filters(actor)
        found = transfers.search(connection, actor, filters, at=now(), page=number, size=PAGE_SIZE)
        levels = _levels(connection, _path(connection, actor, asked.within))
        years = transfers.school_years(connection)
        words = query_words(connection, actor)
    return render_template(
        "query/page.html",
        page=Page(found.transfers, found.total, found.number),
        asked=asked,
        levels=levels,
        years=[(str(year), f"{year}-{year + 1}") for year in reversed(years)],
        kinds=[(kind, kind_words(kind)) for kind in KINDS],
        states=[(state, _(STATE_WORDS[state].word)) for state in STATES],
        holders=[(OWN, _("Own organisation")), *((code, party(code)) for code in PARTIES)],
        words=words or [_("Transfer query")],
        export_path=url_for(".export", **_address()),
        error=error,
    )


@blueprint.post("")
@requires("query")
def search() -> ResponseReturnValue:
    """Keep what was typed, and go on to the list; the number of a transfer leads straight to it."""
    actor = current_actor()
    typed = request.form.get("text", "").strip()
    name, number = _told_apart(typed) if typed else (_typed("name"), _typed("number"))
    with transaction() as connection:
        case_id = transfers.by_number(connection, actor, number) if number else None
        if case_id is not None:
            return redirect(url_for("transfers.progress", case_id=case_id), 303)
        kept = {field: value for field, value in (("name", name), ("number", number)) if value}
        token = searches.keep(connection, actor, KIND, kept, at=now()) if kept else None
        within = _deepest(connection, actor, request.form.getlist("within"))
    plain: dict[str, Any] = {name: request.form.get(name) or None for name in PLAIN}
    return redirect(url_for(".page", **plain | {"within": within, PARAMETER: token}), 303)


@blueprint.get("/places")
@requires("query")
def places() -> str:
    """The cascade of places again, after one of its choices has changed."""
    actor = current_actor()
    with reading() as connection:
        within = _deepest(connection, actor, request.args.getlist("within"))
        levels = _levels(connection, _path(connection, actor, within))
    return render_template("query/_places.html", levels=levels)


@blueprint.post("/export")
@requires("query")
@shown_again_by(page)
def export() -> ResponseReturnValue:
    """The list as a file, as masked as on the page. Why it was needed is logged."""
    actor = current_actor()
    with transaction() as connection:
        filters = Asked.read(connection, actor).filters(actor)
        found = transfers.export(connection, actor, filters, request.form.get("reason", ""), at=now())
    response = make_response(as_csv([_headings(), *map(_cells, found)]))
    response.mimetype = "text/csv"
    name = f"xueji-{now().astimezone(SHANGHAI):%Y%m%d-%H%M}.csv"
    response.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    return response


# What was entered ------------------------------------------------------------------------------------------------


def _typed(name: str) -> str:
    return request.form.get(name, "").strip()


def _told_apart(text: str) -> tuple[str, str]:
    """What the one field of the frame means: a name, or a number, which has digits and no Chinese."""
    plain = numbers.normalise(text)
    is_number = plain.isascii() and any(character.isdigit() for character in plain)
    return ("", text) if is_number else (text, "")


def _address() -> dict[str, Any]:
    """The parameters of the present address."""
    return dict(request.args)


def _one_of(codes: Iterable[str], value: str) -> str:
    return value if value in codes else ""


# The cascade of places -------------------------------------------------------------------------------------------


def _deepest(connection: Connection, actor: Actor, chosen: Iterable[str]) -> int | None:
    """The last of the choices that lies below the one before; what belongs to another branch is a leftover."""
    place = actor.organisation_id
    for text in chosen:
        below = {child.id for child in organisations.children(connection, place or 0)}
        if not text.isdecimal() or int(text) not in below:
            break
        place = int(text)
    return None if place == actor.organisation_id else place


def _path(connection: Connection, actor: Actor, within: int | None) -> list[int]:
    """From the actor's own organisation down to a place."""
    if within is None:
        return [actor.organisation_id or 0]
    up = [within, *(above.id for above in organisations.superiors(connection, within))]
    return list(reversed(up[: up.index(actor.organisation_id or 0) + 1]))


def _levels(connection: Connection, path: Sequence[int]) -> list[Level]:
    """A choice of authorities for each place on the path that has any, and one of the last one's schools."""
    found = []
    for place, chosen in zip(path, [*path[1:], None], strict=True):
        below = [child for child in organisations.children(connection, place) if child.active or child.id == chosen]
        authorities = [child for child in below if not child.is_school]
        schools = [(child.id, own_name(child.name, child.name_en)) for child in below if child.is_school]
        is_school = any(chosen == school for school, _name in schools)
        if authorities and not is_school:
            found.append(Level(_named(authorities), chosen, are_schools=False))
        if schools and (chosen is None or is_school):
            found.append(Level(schools, chosen, are_schools=True))
    return found


def _named(authorities: Sequence[Organisation]) -> list[tuple[int, str]]:
    """By the division that each stands for; by its own name where two stand for one, or one for a part."""
    names = [divisions.name_at(found.division_code or "") or "" for found in authorities]
    return [
        (found.id, name if name and names.count(name) == 1 else own_name(found.name, found.name_en))
        for found, name in zip(authorities, names, strict=True)
    ]


# The file --------------------------------------------------------------------------------------------------------


def _headings() -> list[str]:
    return [
        _("Transfer number"), _("Record number"), _("Full name"), _("Sex"), _("Date of birth"), _("Kind of change"),
        _("Date of the change"), _("Former school"), _("Former grade and class"), _("Target school"),
        _("Target grade and class"), _("State"), _("Now with"), _("Step"), _("Due on"), _("Working days left"),
    ]  # fmt: skip


def _cells(found: Transfer) -> list[str]:
    student, holders = found.student, found.holders
    deadlines = [deadline for holder in holders if (deadline := deadline_of(holder))]
    return [
        found.number, student.number, student.name, coded(student.gender, "gender"), day(student.birth_date),
        ", ".join(map(kind_words, found.kinds)), day(found.changed_on or found.started_at),
        own(found, "releasing_school"), class_words(found.from_class), own(found, "receiving_school"),
        class_words(found.to_class), _(STATE_WORDS[found.state].word), ", ".join(map(own, holders)),
        ", ".join(label(holder.step) for holder in holders), ", ".join(day(deadline.day) for deadline in deadlines),
        ", ".join(str(deadline.days_left) for deadline in deadlines),
    ]  # fmt: skip


def class_words(of: Any) -> str:
    return f"{coded(of.grade, 'grade')} {of.name}"


def as_csv(rows: Iterable[Sequence[str]]) -> str:
    """A file that spreadsheets open as it is: its encoding marked, and nothing in it that they would compute."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\r\n").writerows([map(_inert, row) for row in rows])
    return "\ufeff" + text.getvalue()


def _inert(cell: str) -> str:
    # What begins like this is a formula to a spreadsheet, whoever typed it as a name or reason.
    return f"'{cell}" if cell.lstrip().startswith(("=", "+", "-", "@")) or cell.startswith(("\t", "\r", "\n")) else cell
