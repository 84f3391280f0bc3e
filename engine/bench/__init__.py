"""`xueji bench`: how fast the work is, each figure beside the floor of the same minute. See docs/performance.md."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any

from engine import migrations
from engine.application import Application
from engine.bench import bulk, completions, databases, lists, serving, world
from engine.bench.databases import POSTGRESQL, SQLITE
from engine.bench.measuring import HEADING, Result, line
from engine.procedures import Version
from engine.settings import Settings

__all__ = ["DATABASES", "FULL", "HEADING", "QUICK", "WORKS", "Extent", "Result", "line", "run"]

DATABASES = (SQLITE, POSTGRESQL)
WORKS = ("plain", "transfer", "plain_http", "inbox", "query", "bulk")


@dataclass(frozen=True)
class Extent:
    """How much is done of everything."""

    # Cases of each kind of completion, after some that do not count.
    rounds: int
    warm_up: int
    # Cases that a bulk decides.
    bulk: int
    # How many transfers there are when lists are read, each in a database of its own.
    sizes: tuple[int, ...]
    # How often each list is read.
    reads: int


FULL = Extent(rounds=500, warm_up=20, bulk=1_000, sizes=(1_000, 100_000, 1_000_000), reads=60)
QUICK = Extent(rounds=40, warm_up=20, bulk=100, sizes=(1_000, 10_000), reads=40)


def run(
    extent: Extent, kinds: tuple[str, ...], works: tuple[str, ...], server: str | None,
    pages: Callable[[Application], Any], said: Callable[[str], None],
) -> Iterator[Result]:  # fmt: skip
    """Measure, and answer each figure as soon as it is known. `pages` makes the web application, `said` hears progress.

    Raises `XuejiError` where PostgreSQL is asked for and there is none.
    """
    for kind in kinds:
        if {"plain", "transfer", "plain_http", "bulk"} & set(works):
            said(f"{kind}: completions")
            yield from _completions(extent, kind, works, server)
        if {"inbox", "query"} & set(works):
            said(f"{kind}: lists")
            application = partial(_application, kind, server)
            yield from lists.measure(application, pages, works, extent.sizes, extent.reads, said)


def _completions(extent: Extent, kind: str, works: tuple[str, ...], server: str | None) -> Iterator[Result]:
    with _application(kind, server) as application:
        small, version = _fill(application, extent, at := application.clock())
        actor = small.schools[world.RECEIVING[0]].actors["operator"]
        if "transfer" in works:
            # First, while the twin is alike.
            with _application(kind, server) as other:
                _fill(other, extent, at)
                yield completions.measure_transfers(
                    application, other, small, rounds=extent.rounds, warm_up=extent.warm_up
                )
        if "plain" in works:
            yield completions.measure_plain(application, version, actor, rounds=extent.rounds, warm_up=extent.warm_up)
        if "bulk" in works:
            yield bulk.measure(application, small, version, extent.bulk, first=extent.rounds + extent.warm_up)
        if "plain_http" in works:
            yield from serving.measure(application, version, actor, rounds=extent.rounds)


def _fill(application: Application, extent: Extent, at: datetime) -> tuple[world.World, Version]:
    with application.database.transaction() as connection:
        small = world.build(connection, extent.rounds + extent.warm_up + extent.bulk, at=at)
        return small, world.deploy_plain(connection, at=at)


@contextmanager
def _application(kind: str, server: str | None) -> Iterator[Application]:
    with databases.empty(kind, server) as url:
        application = Application(Settings(database_url=url, secure_cookies=False))
        migrations.upgrade(application.database)
        application.prepare()
        try:
            yield application
        finally:
            application.close()
