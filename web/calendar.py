"""The calendar of working days: the exceptions of each year, single days, and the State Council's yearly notice."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

from flask import Blueprint, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from engine import calendar, holidays, workdays
from engine.errors import N_, Invalid, XuejiError
from engine.permissions import may
from engine.workdays import SHANGHAI, Day
from web.context import current_actor, now, reading, requires, transaction
from web.errors import shown_again_by
from web.flash import flash
from web.gettext import gettext as _
from web.gettext import ngettext
from web.locales import day_in_words

blueprint = Blueprint("calendar", __name__, url_prefix="/calendar")

# Before it the package knows nothing; as far ahead as anybody counts deadlines.
FIRST_YEAR, AHEAD = 2004, 2
WEEKDAYS = (N_("Mon"), N_("Tue"), N_("Wed"), N_("Thu"), N_("Fri"), N_("Sat"), N_("Sun"))


@blueprint.get("")
@requires("administer")
def page(error: XuejiError | None = None, **_more: Any) -> str:
    this_year = now().astimezone(SHANGHAI).year
    last = this_year + AHEAD
    year = min(max(request.args.get("year", this_year, type=int), FIRST_YEAR), last)
    with reading() as connection:
        known = workdays.load(connection)
        source = workdays.source_of(connection, year)
    return render_template(
        "calendar/page.html",
        year=year,
        years=[(number, _in_words(number, known)) for number in range(last, FIRST_YEAR - 1, -1)],
        known_from=known.known_from(year),
        source=source,
        holidays=_by_name(known.exceptions(year)),
        # Taken back one by one are only the days that did not come with a notice.
        single=[day for day in known.exceptions(year) if day.day in known.days and day.source != source],
        spans=spans,
        weekday=weekday,
        may_change=may(current_actor(), "administer_deployment"),
        error=error,
    )


@blueprint.post("/days")
@requires("administer_deployment")
@shown_again_by(page)
def set_day() -> ResponseReturnValue:
    day = _day(request.form.get("day", ""))
    kind = request.form.get("kind", "")
    if kind not in ("free", "worked"):
        raise Invalid(fields={"kind": Invalid(N_("Choose one of the values given."))})
    with transaction() as connection:
        moved = calendar.set_day(
            connection,
            current_actor(),
            day,
            kind == "worked",
            request.form.get("name", ""),
            at=now(),
            source=request.form.get("source", ""),
        )
    _tell(_("%(day)s has been entered.", day=day_in_words(day)), moved)
    return redirect(url_for(".page", year=day.year), 303)


@blueprint.post("/days/<text>/removal")
@requires("administer_deployment")
def clear_day(text: str) -> ResponseReturnValue:
    day = _day(text)
    with transaction() as connection:
        moved = calendar.clear_day(connection, current_actor(), day, at=now())
    _tell(_("%(day)s is again what its weekday or the package says.", day=day_in_words(day)), moved)
    return redirect(url_for(".page", year=day.year), 303)


@blueprint.get("/notice")
@requires("administer_deployment")
def notice(error: XuejiError | None = None, days: list[Day] | None = None) -> str:
    this_year = now().astimezone(SHANGHAI).year
    return render_template(
        "calendar/notice.html",
        years=[(str(year), str(year)) for year in range(this_year, this_year + AHEAD + 1)],
        year=request.form.get("year") or request.args.get("year") or str(this_year + 1),
        days=days,
        holidays=_by_name(days),
        spans=spans,
        weekday=weekday,
        error=error,
    )


@blueprint.post("/notice")
@requires("administer_deployment")
@shown_again_by(notice)
def publish() -> ResponseReturnValue:
    """Show what was read first, and enter it when that is confirmed."""
    year = request.form.get("year", 0, type=int)
    if not FIRST_YEAR <= year <= now().year + AHEAD:
        raise Invalid(fields={"year": Invalid(N_("Choose one of the values given."))})
    source = request.form.get("source", "")
    if not source.strip():
        raise Invalid(fields={"source": Invalid(N_("This is required."))})
    try:
        days = holidays.read(year, request.form.get("text", ""))
    except Invalid as error:
        raise Invalid(fields={"text": error}) from None
    if "confirmed" not in request.form:
        return notice(days=days)
    with transaction() as connection:
        moved = calendar.publish_year(connection, current_actor(), year, days, source, at=now())
    _tell(_("The notice for %(year)s has been entered.", year=year), moved)
    return redirect(url_for(".page", year=year), 303)


@blueprint.post("/years/<int:year>/retraction")
@requires("administer_deployment")
def retract(year: int) -> ResponseReturnValue:
    with transaction() as connection:
        moved = calendar.retract_year(connection, current_actor(), year, at=now())
    _tell(_("The notice for %(year)s has been taken back.", year=year), moved)
    return redirect(url_for(".page", year=year), 303)


def _tell(done: str, moved: int) -> None:
    """What was done, and in how many cases something moved with it."""
    if moved:
        also = ngettext("Due dates moved in %(num)d open case.", "Due dates moved in %(num)d open cases.", moved)
    else:
        also = _("No due date moved.")
    flash(f"{done} {also}")


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text.strip())
    except ValueError:
        raise Invalid(fields={"day": Invalid(N_("Write a date like 2026-09-22."))}) from None


def _in_words(year: int, known: workdays.Calendar) -> str:
    return str(year) if known.known_from(year) else str(_("%(year)s (not published yet)", year=year))


def _by_name(days: list[Day] | None) -> dict[str, list[Day]]:
    """The days under each name, in the order of the year."""
    found: dict[str, list[Day]] = {}
    for day in days or []:
        found.setdefault(day.name, []).append(day)
    return found


def spans(days: list[Day], *, worked: bool) -> list[tuple[date, date]]:
    """The free or the worked days among them, as first and last of each run."""
    found: list[tuple[date, date]] = []
    for day in sorted(day.day for day in days if day.is_workday == worked):
        if found and day - found[-1][1] == timedelta(days=1):
            found[-1] = (found[-1][0], day)
        else:
            found.append((day, day))
    return found


def weekday(day: date) -> str:
    return str(_(WEEKDAYS[day.weekday()]))
