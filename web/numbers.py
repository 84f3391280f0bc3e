"""What two versions cost, in numbers: what can be counted on their diagrams, and how long cases take, with sliders.

The page of a comparison shows it as its section: `section(connection, a, b)` as `numbers`, and then

    {% include "numbers/_section.html" %}        with css/numbers.css, as numbers/page.html does
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from flask import Blueprint, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy.engine import Connection

from engine import eventlog, procedures, simulations
from engine.bpmn.graph import PARTIES
from engine.comparison import Words
from engine.comparison.behaviour import collaboration
from engine.comparison.findings import party_words
from engine.comparison.numbers import Ceiling, Count, ceiling, counts
from engine.comparison.simulation import QUICK, WHOLE, Assumption, Assumptions, NotSimulated, assumptions
from engine.comparison.simulation.assumptions import MEASURED
from engine.errors import NotFound
from engine.eventlog import may_read
from engine.permissions import may
from engine.procedures import Version
from engine.reports import side_of
from engine.simulations import Simulation
from web.context import current_actor, now, reading, requires, transaction, xueji
from web.gettext import gettext as _
from web.locales import locale

blueprint = Blueprint("numbers", __name__, url_prefix="/numbers")


@dataclass(frozen=True)
class Column:
    """One of the two versions."""

    version: Version
    label: str
    counts: tuple[Count, ...]
    ceiling: Ceiling
    # Of `engine.comparison.simulation.Figures`; None where its runs were not decided.
    figures: Mapping[str, Any] | None
    # The simulation of many cases; None if nobody has asked for it.
    whole: Simulation | None

    @property
    def is_working(self) -> bool:
        return self.whole is not None and self.whole.figures is None


@dataclass(frozen=True)
class Slider:
    assumption: Assumption
    value: float
    # assumed, measured, chosen
    origin: str


@dataclass(frozen=True)
class Group:
    """The sliders of one party, or those that hold for all."""

    holder: str
    sliders: list[Slider]


@dataclass(frozen=True)
class Section:
    a: Column
    b: Column
    groups: list[Group]
    # What stands in the address: the sliders that were moved, and whether the own cases are the ground.
    chosen: dict[str, Any]
    # Whether the reader may calibrate by the own cases, whether that was chosen, and what came of it.
    may_measure: bool
    is_measured: bool

    @property
    def columns(self) -> tuple[Column, Column]:
        return self.a, self.b

    @property
    def path(self) -> str:
        return url_for("numbers.page", a=self.a.version.id, b=self.b.version.id)

    @property
    def is_working(self) -> bool:
        return self.a.is_working or self.b.is_working

    @property
    def is_simulated(self) -> bool:
        return self.a.figures is not None and self.b.figures is not None

    @property
    def is_precise(self) -> bool:
        return all(column.whole is not None and column.whole.figures is not None for column in self.columns)

    @property
    def done(self) -> int:
        return sum(column.whole.done for column in self.columns if column.whole)

    @property
    def total(self) -> int:
        """Simulated years of both; before a simulation has begun, what it will come to."""
        years = math.ceil(WHOLE / self.value("cases"))
        return sum(column.whole.total or years for column in self.columns if column.whole)

    @property
    def widest(self) -> float:
        """The end of the scale that both bars share, in working days."""
        ends = [float(column.ceiling.days or 0) for column in self.columns]
        known = [column.figures["percentile"] for column in self.columns if column.figures]
        ends += [float(found["value"]) for found in known if found]
        return 1.05 * max(1.0, *ends)

    @property
    def percent(self) -> int:
        return 100 * self.done // max(1, self.total)

    @property
    def counts(self) -> list[tuple[Count, Count]]:
        return list(zip(self.a.counts, self.b.counts, strict=True))

    def value(self, key: str) -> float:
        return next(slider.value for group in self.groups for slider in group.sliders if slider.assumption.key == key)

    def parties(self) -> list[str]:
        found = [party["party"] for column in self.columns if column.figures for party in column.figures["parties"]]
        return sorted(
            dict.fromkeys(found), key=lambda party: PARTIES.index(party) if party in PARTIES else len(PARTIES)
        )

    def party_words(self, party: str) -> str:
        return said(party_words(party))

    def party(self, column: Column, party: str) -> Mapping[str, Any] | None:
        """The figures of a party in one of the two; None where it has nothing to do."""
        parties = column.figures["parties"] if column.figures else ()
        return next((found for found in parties if found["party"] == party), None)


def section(connection: Connection, a: Version, b: Version) -> Section:
    """The numbers of two versions under the assumptions of the address."""
    given, measured = _given(connection)
    named = {version: _label(connection, version, other) for version, other in ((a, b), (b, a))}
    return Section(
        a=_column(connection, a, named[a], given),
        b=_column(connection, b, named[b], given),
        groups=list(_groups(given)),
        chosen=_chosen(),
        may_measure=may_read(current_actor()),
        is_measured=measured,
    )


def _column(connection: Connection, version: Version, label: str, given: Assumptions) -> Column:
    side = side_of(version.diagram, version.document, key=version.regime)
    whole = simulations.find(connection, version, given, at=now())
    try:
        figures = (whole and whole.figures) or simulations.answer(connection, version, given, at=now())
    except NotSimulated:
        figures = None
    limits = ceiling(collaboration(version.graph), version.graph.message_flows)
    return Column(version, label, counts(side), limits, figures, whole)


def _label(connection: Connection, version: Version, other: Version) -> str:
    regime = procedures.regimes(connection)[version.regime].label(locale())
    if version.regime != other.regime:
        return regime
    return f"{regime} · {_('Version %(number)s', number=version.number)}"


# Assumptions -----------------------------------------------------------------------------------------------------


def _given(connection: Connection) -> tuple[Assumptions, bool]:
    """The assumptions that the address asks for, and whether they stand on the own cases."""
    given = Assumptions.defaults()
    measured = MEASURED in request.args and may_read(current_actor())
    if measured:
        given = given.with_(eventlog.measured(connection, current_actor()), MEASURED)
    return given.with_(
        {key: value for key, text in request.args.items() if (value := _number(text)) is not None}
    ), measured


def _chosen() -> dict[str, Any]:
    return {key: value for key, value in request.args.items() if key in assumptions() or key == MEASURED}


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _groups(given: Assumptions) -> Iterator[Group]:
    groups: dict[str, list[Slider]] = {}
    for key, item in assumptions().items():
        groups.setdefault(said(item.holder), []).append(Slider(item, given.values[key], given.origin(key)))
    return (Group(holder, sliders) for holder, sliders in groups.items())


def said(words: Words) -> str:
    """Words of the comparison in the reader's language."""
    return words.text(locale())


# Pages -----------------------------------------------------------------------------------------------------------


def _versions(connection: Connection, a: int, b: int) -> tuple[Version, Version]:
    found = procedures.load(connection, a), procedures.load(connection, b)
    if any(version.kind != procedures.TRANSFER for version in found) and found[0].kind != found[1].kind:
        raise NotFound
    return found


@blueprint.get("/<int:a>/<int:b>")
@requires("query")
def page(a: int, b: int) -> ResponseReturnValue:
    with reading() as connection:
        shown = section(connection, *_versions(connection, a, b))
    return render_template("numbers/page.html", numbers=shown, **words())


@blueprint.post("/<int:a>/<int:b>")
@requires("query")
def simulate(a: int, b: int) -> ResponseReturnValue:
    """Have many cases of both simulated under the assumptions of the address."""
    with transaction() as connection:
        given, _measured = _given(connection)
        for version in _versions(connection, a, b):
            simulations.ask(connection, xueji().application.jobs, current_actor(), version, given, at=now())
    return redirect(url_for(".page", a=a, b=b, _anchor="durations", **_chosen()), 303)


def words() -> dict[str, Any]:
    """What the templates of this section speak with; for the pages that include it."""
    return {"said": said, "QUICK": QUICK, "WHOLE": WHOLE, "may_simulate": may(current_actor(), "query")}
