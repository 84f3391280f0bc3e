"""Figures for Prometheus. Each process counts what it does itself and offers that on a port of its own.

Not beside the pages: behind a proxy every request comes from the same machine, so a path could not be kept from the
public. And not added up over processes: Prometheus does that, and keeps apart which of them is slow.
"""

from __future__ import annotations

import errno
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping

from prometheus_client import CollectorRegistry, Counter, Histogram, PlatformCollector, ProcessCollector
from prometheus_client import start_http_server as _start
from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

# How many processes may stand beside each other on one machine, each on the first port that is free.
_PORTS = 32

_log = logging.getLogger(__name__)

REGISTRY = CollectorRegistry()

REQUESTS = Histogram(
    "xueji_request_seconds",
    "Requests by their route's rule, and how long they took.",
    ("method", "route", "status"),
    registry=REGISTRY,
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10),
)
JOBS = Histogram(
    "xueji_job_seconds",
    "Attempts at background jobs and rounds, by their end, and how long they took.",
    ("name", "end"),
    registry=REGISTRY,
    buckets=(0.01, 0.05, 0.1, 0.5, 1, 5, 30, 300),
)
TASKS_COMPLETED = Counter("xueji_tasks_completed", "Human tasks that this process has completed.", registry=REGISTRY)

# What is asked when Prometheus asks: a name, its meaning, its labels' names, and a value for each combination of them.
Values = Mapping[tuple[str, ...], float]
Figure = tuple[str, str, tuple[str, ...], Values]


def serve(host: str, port: int, figures: Callable[[], Iterable[Figure]]) -> int:
    """Offer the figures on the first free port from `port` on, and answer which that is."""
    ProcessCollector(registry=REGISTRY)
    PlatformCollector(registry=REGISTRY)
    REGISTRY.register(_Asked(figures))
    for candidate in range(port, port + _PORTS):
        try:
            _start(candidate, host, REGISTRY)
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise OSError(f"Metrics can not be offered on {host}:{candidate}: {error.strerror}.") from error
            continue
        _log.info("Metrics are on %s:%s.", host, candidate)
        return candidate
    raise OSError(f"No port from {port} to {port + _PORTS - 1} is free for metrics.")


class _Asked(Collector):
    def __init__(self, figures: Callable[[], Iterable[Figure]]) -> None:
        self._figures = figures

    def describe(self) -> Iterable[Metric]:
        """Nothing: whoever registers need not ask the database."""
        return []

    def collect(self) -> Iterator[Metric]:
        for name, meaning, labels, values in self._figures():
            family = GaugeMetricFamily(name, meaning, labels=labels)
            for combination, value in values.items():
                family.add_metric(combination, value)
            yield family
