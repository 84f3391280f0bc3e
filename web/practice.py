"""What real cases say: a version's diagram with how often and how long, who left it; regimes side by side; the log."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from functools import cached_property
from typing import Any

from flask import Blueprint, Response, render_template, request, stream_with_context
from flask.typing import ResponseReturnValue

from engine import eventlog, procedures
from engine.bpmn.graph import Flow, Node
from engine.comparison.replay import Deviation
from engine.errors import N_, Forbidden, XuejiError
from engine.eventlog import Findings
from engine.eventlog.replaying import FEWEST, MOST, Left, Times
from engine.workdays import SHANGHAI
from web.context import current_actor, now, reading, transaction
from web.errors import shown_again_by
from web.gettext import gettext as _
from web.locales import label
from web.words import STATES

blueprint = Blueprint("practice", __name__, url_prefix="/practice")

FORMATS = {"xes": "XES (IEEE 1849)", "ocel2": "OCEL 2.0 (JSON)"}
_FILES = {"xes": ("xes", "application/xml"), "ocel2": ("jsonocel", "application/json")}
# Shades of the diagram, from the palest on.
_LEVELS = 4
DEVIATIONS = {
    "skipped": N_("“%(step)s” was done before what comes first: %(expected)s."),
    "unexpected": N_("“%(step)s” was done where the procedure does not come to it; it waits for: %(expected)s."),
    "unfinished": N_("It has ended, where the procedure still waits for: %(expected)s."),
    "elsewhere": N_("Other steps wait in it than in the procedure, which waits for: %(expected)s."),
}


# One version -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Line:
    """One step or flow in the tables below the diagram."""

    side: str | None
    element: Node | Flow
    times: Times
    # Of a step.
    party: str = ""
    # Of a flow: its ends.
    source: Node | None = None
    target: Node | None = None


@dataclass(frozen=True)
class Seen:
    """The findings of a version, as its page shows them. `by`: count or days."""

    found: Findings
    by: str

    @cached_property
    def steps(self) -> list[Line]:
        """The steps of people that some case came to, in the order of the diagram."""
        return [
            Line(pool.side, node, times, party=pool.party(node.id))
            for pool in self.found.version.graph.executable
            for node in pool.in_order
            if (times := self.found.steps.get((pool.side, node.id)))
        ]

    @cached_property
    def flows(self) -> list[Line]:
        found = []
        for pool in self.found.version.graph.executable:
            order = {node.id: place for place, node in enumerate(pool.in_order)}
            known = sorted(pool.flows, key=lambda flow: order.get(flow.source, len(order)))
            for flow in known:
                if times := self.found.flows.get((pool.side, flow.id)):
                    ends = pool.by_id[flow.source], pool.by_id[flow.target]
                    found.append(Line(pool.side, flow, times, source=ends[0], target=ends[1]))
        return found

    @property
    def heat(self) -> dict[str, dict[str, Any]]:
        """For the diagram: how warm each element is, and what stands beside it."""
        lines = [*self.steps, *self.flows]
        values = {line.element.id: self._value(line.times) for line in lines}
        most = max((value for value in values.values() if value), default=0.0)
        return {
            line.element.id: {"level": _level(values[line.element.id], most), "text": self._text(line.times)}
            for line in lines
            if values[line.element.id] is not None
        }

    def _value(self, times: Times) -> float | None:
        return float(times.count) if self.by == "count" else times.mean

    def _text(self, times: Times) -> str:
        return f"{times.count}" if self.by == "count" or times.mean is None else f"{times.mean:.1f}"


def _level(value: float | None, most: float) -> int:
    if not value or not most:
        return 0
    return max(1, min(_LEVELS, round(_LEVELS * value / most)))


def deviation_words(left: Left, of: Deviation) -> str:
    """Where a case left its procedure, in a sentence."""
    names = _names(left)
    expected = [names.get(element, element) for element in of.expected] or [_("nothing")]
    text = str(_(DEVIATIONS[of.kind]))
    return text % {"step": names.get(of.element, of.element), "expected": str(_(", ")).join(expected)}


def _names(left: Left) -> dict[str, str]:
    return {
        node.id: label(node) or node.id for side, version in left.versions.items() for node in version.pool(side).nodes
    }


def outcome_word(outcome: str) -> str:
    return str(_(STATES[outcome].word))


# All of them -----------------------------------------------------------------------------------------------------


@blueprint.get("")
def page(error: XuejiError | None = None) -> str:
    _require()
    with reading() as connection:
        pairs = eventlog.summaries(connection, current_actor())
        regimes = procedures.regimes(connection)
        versions = [
            item for item in procedures.standings(connection, at=now()) if item.state in ("in_force", "superseded")
        ]
    return render_template(
        "practice/page.html", pairs=pairs, regimes=regimes, versions=versions, formats=FORMATS, error=error,
        outcome_word=outcome_word, most=MOST, fewest=FEWEST,
    )  # fmt: skip


@blueprint.post("")
@shown_again_by(page)
def export() -> ResponseReturnValue:
    """The log as a file, sent as it is read. Why it was needed is audited first."""
    form = request.form.get("format", "")
    with transaction() as connection:
        found = eventlog.export(
            connection, current_actor(), form, _filters(request.form), request.form.get("reason", ""), at=now()
        )
    suffix, mimetype = _FILES[form]
    response = Response(stream_with_context(_pieces(found)), mimetype=mimetype)
    name = f"xueji-{now().astimezone(SHANGHAI):%Y%m%d-%H%M}.{suffix}"
    response.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    return response


def _pieces(found: eventlog.Export) -> Iterator[bytes]:
    with reading() as connection:
        yield from found.pieces(connection)


def _require() -> None:
    if not eventlog.may_read(current_actor()):
        raise Forbidden


def _filters(values: Mapping[str, str]) -> eventlog.Filters:
    until = _midnight(values.get("until"))
    return eventlog.Filters(_midnight(values.get("since")), until + timedelta(days=1) if until else None)


# What can not be read narrows nothing: the form's own fields let nothing else through.
def _midnight(text: str | None) -> datetime | None:
    try:
        return datetime.combine(date.fromisoformat(text or ""), time(), SHANGHAI)
    except ValueError:
        return None
