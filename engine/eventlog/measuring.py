"""What real cases say of the assumptions of a simulation."""

from __future__ import annotations

from collections import defaultdict
from datetime import timedelta
from statistics import fmean

from sqlalchemy.engine import Connection

from engine import workdays
from engine.audit import Actor
from engine.comparison.simulation import assumptions
from engine.eventlog.cases import Event, Trace, traces
from engine.eventlog.replaying import MOST
from engine.transfers.tables import RECEIVING
from engine.workdays import SHANGHAI, Calendar

# Of fewer steps nothing is concluded.
FEWEST = 30
_REFUSED = "refuse"


def measured(connection: Connection, actor: Actor) -> dict[str, float]:
    """The assumptions that the newest cases of the actor's jurisdiction give a value, by their keys.

    How long a party's steps wait in the system, and take off it; how often it refuses; and how many cases an authority
    has in a year, where they reach back as far. Raises `Forbidden`.
    """
    calendar = workdays.load(connection)
    found = list(traces(connection, actor, newest=MOST))
    waited: dict[str, list[float]] = defaultdict(list)
    refused: dict[str, list[bool]] = defaultdict(list)
    for trace in found:
        for event in trace.events:
            if event.kind == "done" and event.node and not _is_application(event):
                name = "off_system" if event.node.kind == "manualTask" else "attention"
                waited[f"{name}.{event.party}"].append(_days(calendar, event))
                if event.node.bound("decision.result") and event.result:
                    refused[f"refusal.{event.party}"].append(event.result == _REFUSED)
    values = {key: fmean(days) for key, days in waited.items() if len(days) >= FEWEST}
    values |= {key: 100 * fmean(some) for key, some in refused.items() if len(some) >= FEWEST}
    return {key: _rounded(key, value) for key, value in (values | _cases(found)).items() if key in assumptions()}


def _rounded(key: str, value: float) -> float:
    """As precise as its slider."""
    step = assumptions()[key].step
    return round(value / step) * step


def _is_application(event: Event) -> bool:
    """What was done before there was a case takes no time in it."""
    return event.side == RECEIVING and event.node in event.version.pool(RECEIVING).application_act


def _days(calendar: Calendar, event: Event) -> float:
    assert event.opened_at is not None
    return calendar.between(event.opened_at.astimezone(SHANGHAI).date(), event.at.astimezone(SHANGHAI).date())


def _cases(found: list[Trace]) -> dict[str, float]:
    """Cases of one receiving authority in a year; nothing before a whole year has been seen."""
    if not found:
        return {}
    span = found[0].started_at - found[-1].started_at
    offices = {trace.parties.get("receiving_authority") for trace in found} - {None}
    if span < timedelta(days=365) or not offices:
        return {}
    return {"cases": len(found) / len(offices) / (span / timedelta(days=365))}
