"""What real cases say of a version: how often each step and flow was passed, how long it took, which cases left it."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from statistics import fmean, median
from typing import Any

from sqlalchemy.engine import Connection

from engine import workdays
from engine.audit import Actor
from engine.bpmn.graph import SIDES
from engine.comparison.behaviour import explore
from engine.comparison.replay import Deviation, Done, Passed, Replayer
from engine.eventlog.cases import Event, Filters, Trace, traces
from engine.procedures import Version
from engine.workdays import SHANGHAI, Calendar

# So many cases, the newest, are looked at for a page.
MOST = 2_000
# Of fewer than these no durations are told: one slow case would be taken for the rule, and known by who handled it.
FEWEST = 5
# And so many cases are named that left the procedure.
NAMED = 50


@dataclass
class Times:
    """How often something was passed or done, and how many working days each took."""

    count: int = 0
    days: list[int] = field(default_factory=list)
    late: int = 0
    # Of steps: how many wait now.
    open: int = 0

    @property
    def mean(self) -> float | None:
        return fmean(self.days) if len(self.days) >= FEWEST else None

    @property
    def median(self) -> float | None:
        return float(median(self.days)) if len(self.days) >= FEWEST else None


@dataclass(frozen=True)
class Left:
    """A case that left the procedure, and how."""

    case_id: int
    kind: str
    # By side, as it ran under them.
    versions: Mapping[str | None, Version]
    deviations: tuple[Deviation, ...]


@dataclass(frozen=True)
class Summary:
    """What became of some cases."""

    cases: int
    open: int
    outcomes: Mapping[str, int]
    # Working days from the start to the end, of those that were completed.
    duration: Times
    percentile: float | None
    late: int
    left: int


@dataclass(frozen=True)
class Findings:
    """Of one version, in the newest cases of a jurisdiction. Steps by side and element, as flows are."""

    version: Version
    summary: Summary
    steps: Mapping[tuple[str | None, str], Times]
    flows: Mapping[tuple[str | None, str], Times]
    left: Sequence[Left]
    # How many cases there are beyond those named in `left`, and whether older cases were not looked at.
    more_left: int
    is_all: bool
    # False where the runs of some version could not all be explored, so that conformance is not told.
    decided: bool


def findings(connection: Connection, actor: Actor, version: Version, *, newest: int = MOST) -> Findings:
    """What the newest cases under a version say of it. Raises `Forbidden`."""
    found = list(traces(connection, actor, Filters(version_id=version.id), newest=newest + 1))
    looked_at = found[:newest]
    replayed = [_replay(trace) for trace in looked_at]
    calendar = workdays.load(connection)
    steps: dict[tuple[str | None, str], Times] = defaultdict(Times)
    flows: dict[tuple[str | None, str], Times] = defaultdict(Times)
    for trace, (moves, _) in zip(looked_at, replayed, strict=True):
        _count_steps(trace, version, steps, calendar)
        _count_flows(trace, version, moves, flows, calendar)
    left = [
        Left(trace.case_id, trace.kind, trace.versions, deviations)
        for trace, (_, deviations) in zip(looked_at, replayed, strict=True)
        if deviations
    ]
    return Findings(
        version=version,
        summary=_summary(looked_at, len(left), calendar),
        steps=dict(steps),
        flows=dict(flows),
        left=left[:NAMED],
        more_left=max(0, len(left) - NAMED),
        is_all=len(found) <= newest,
        decided=all(_replayer(*_pair(trace)) is not None for trace in looked_at),
    )


def summaries(connection: Connection, actor: Actor, *, newest: int = MOST) -> dict[tuple[str, str], Summary]:
    """What became of the newest cases, by the regimes of both halves (receiving, releasing), for looking side by side.

    A plain case has its own regime twice. Raises `Forbidden`.
    """
    by_pair: dict[tuple[str, str], list[Trace]] = defaultdict(list)
    for trace in traces(connection, actor, newest=newest):
        regimes = [version.regime for _, version in sorted(trace.versions.items(), key=lambda item: item[0] or "")]
        if regimes:
            by_pair[regimes[0], regimes[-1]].append(trace)
    calendar = workdays.load(connection)
    return {
        pair: _summary(some, sum(bool(_replay(trace)[1]) for trace in some), calendar)
        for pair, some in sorted(by_pair.items())
    }


def _summary(some: Sequence[Trace], left: int, calendar: Calendar) -> Summary:
    completed = [trace for trace in some if trace.outcome == "completed"]
    days = sorted(_days(calendar, trace.started_at, trace.ended_at) for trace in completed if trace.ended_at)
    return Summary(
        cases=len(some),
        open=sum(trace.ended_at is None for trace in some),
        outcomes=Counter(trace.outcome for trace in some if trace.outcome),
        duration=Times(len(days), days),
        percentile=float(days[-(-95 * len(days) // 100) - 1]) if len(days) >= FEWEST else None,
        late=sum(any(event.is_late for event in trace.events) for trace in some),
        left=left,
    )


# Steps and flows -------------------------------------------------------------------------------------------------


def _count_steps(trace: Trace, version: Version, steps: dict[Any, Times], calendar: Calendar) -> None:
    for event in trace.events:
        if event.kind == "done" and event.version.id == version.id and event.node and event.opened_at:
            times = steps[event.side, event.node.id]
            times.count += 1
            times.late += event.is_late
            times.days.append(_days(calendar, event.opened_at, event.at))
    for side, element in trace.open:
        if trace.versions[side].id == version.id:
            steps[side, element].open += 1


def _count_flows(
    trace: Trace, version: Version, moves: Iterable[Passed], flows: dict[Any, Times], calendar: Calendar
) -> None:
    """A flow's time is that until the step it leads to was done; what leads to no step takes none."""
    done = [event for event in trace.events if event.kind == "done"]
    for move in moves:
        side = move.pool if move.pool in SIDES else None
        if side not in trace.versions or trace.versions[side].id != version.id:
            continue
        pool = version.pool(side)
        known = {flow.id: flow for flow in pool.flows}
        start = -1 if move.step is None else move.step
        for flow in (known[element] for element in move.elements if element in known):
            times = flows[side, flow.id]
            times.count += 1
            after = _next(done[start + 1 :], side, flow.target)
            if after is not None and after.opened_at is not None:
                times.days.append(_days(calendar, after.opened_at, after.at))


def _next(events: Sequence[Event], side: str | None, element: str) -> Event | None:
    return next((event for event in events if event.side == side and event.node and event.node.id == element), None)


def _days(calendar: Calendar, start: datetime, end: datetime) -> int:
    return calendar.between(start.astimezone(SHANGHAI).date(), end.astimezone(SHANGHAI).date())


# Replaying -------------------------------------------------------------------------------------------------------


def _replay(trace: Trace) -> tuple[tuple[Passed, ...], tuple[Deviation, ...]]:
    """Which way a case went, and where it left the versions that it ran under; nothing where they are not decided."""
    replayer = _replayer(*_pair(trace))
    if replayer is None:
        return (), ()
    # A withdrawn case ends wherever it stands; that is the case's own rule and no diagram's.
    ended = trace.outcome if trace.outcome != "withdrawn" else None
    waiting = [(_name(trace, side), element) for side, element in trace.open] if trace.ended_at is None else None
    found = replayer.replay(
        [_done(trace, event) for event in trace.events if event.kind == "done"], outcome=ended, waiting=waiting
    )
    return found.moves, found.deviations


def _done(trace: Trace, event: Event) -> Done:
    assert event.node is not None
    decision = event.node.bound("decision.result")
    if decision is None or event.result is None:
        return Done(_name(trace, event.side), event.node.id)
    return Done(_name(trace, event.side), event.node.id, decision.id, event.result)


def _name(trace: Trace, side: str | None) -> str:
    return side or trace.versions[side].pool(side).id


def _pair(trace: Trace) -> tuple[tuple[str | None, Version], ...]:
    order = [side for side in (*SIDES, None) if side in trace.versions]
    return tuple((side, trace.versions[side]) for side in order)


@lru_cache(maxsize=64)
def _replayer(*halves: tuple[str | None, Version]) -> Replayer | None:
    """Ready to replay cases that run under these versions; None where not all that they can do was explored."""
    pools = [version.pool(side) for side, version in halves]
    flows = halves[0][1].graph.message_flows if halves else ()
    space = explore(pools, flows)
    return Replayer(space) if space.decided else None
