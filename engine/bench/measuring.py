"""Timing work beside its floor: both in turn, so that whatever else the machine does falls on both."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass


@dataclass(frozen=True)
class Result:
    """One figure of the bench, as `xueji bench --json` writes it. What was not measured is None."""

    # plain, transfer, plain_http, inbox, query, bulk.
    work: str
    # sqlite, postgresql.
    database: str
    clients: int
    # How many transfers there were before, or how many cases a bulk had.
    size: int
    per_second: float
    p50_ms: float
    p95_ms: float
    # The same rows written by the bare driver, one statement after the other, in the same minute.
    floor_per_second: float | None = None
    ratio: float | None = None
    # Of saved state for each running pool.
    bytes: float | None = None
    # What exactly: who looks at which list.
    what: str = ""


class Stopwatch:
    """Seconds of many small things."""

    def __init__(self) -> None:
        self.seconds: list[float] = []

    @contextmanager
    def lap(self) -> Iterator[None]:
        begun = time.perf_counter()
        yield
        self.seconds.append(time.perf_counter() - begun)

    @property
    def total(self) -> float:
        return math.fsum(self.seconds)

    def percentile_ms(self, share: float) -> float:
        """The lap that so large a share of all laps does not exceed, in milliseconds."""
        ordered = sorted(self.seconds)
        return 1000 * ordered[max(math.ceil(share * len(ordered)) - 1, 0)]


def in_turn(ours: Callable[[], None], floor: Callable[[], None], rounds: int) -> tuple[float, float]:
    """How long a round of each takes: medians, in seconds."""
    one, other = Stopwatch(), Stopwatch()
    for _ in range(rounds):
        with one.lap():
            ours()
        with other.lap():
            floor()
    return statistics.median(one.seconds), statistics.median(other.seconds)


HEADING = (
    f"{'work':<12}{'database':<12}{'clients':>7}{'size':>11}{'per second':>12}{'p50 ms':>9}{'p95 ms':>9}"
    f"{'floor':>9}{'ratio':>7}{'bytes':>7}  what"
)


def line(result: Result) -> str:
    """A figure as a row under `HEADING`."""

    def number(value: float | None, form: str) -> str:
        return "" if value is None else format(value, form)

    return (
        f"{result.work:<12}{result.database:<12}{result.clients:>7}{result.size:>11,}{result.per_second:>12,.1f}"
        f"{result.p50_ms:>9.2f}{result.p95_ms:>9.2f}{number(result.floor_per_second, ',.0f'):>9}"
        f"{number(result.ratio, '.2f'):>7}{number(result.bytes, '.0f'):>7}  {result.what}"
    )
