"""The inbox and the query over many transfers, for a county, a province and the ministry: whole pages, as served."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack
from typing import Any

from engine import accounts, searches
from engine.application import Application
from engine.bench import loader
from engine.bench.measuring import Result, Stopwatch
from engine.errors import XuejiError

# What is asked of the query, by what it is; a name is kept on the server, as the page does.
QUERIES = {
    "all": "",
    "pending": "state=pending",
    "completed": "state=completed",
    "moved in": "kind=in",
    "late": "late=1",
    "with the own organisation": "holder=own",
    "with a releasing school": "holder=releasing_school",
    "this school year, moved out": "year={year}&kind=out",
    "one county": "within={county}",
    "a name": "search={token}",
}
NAME = "测速生7"
LEVELS = ("county", "province", "ministry")


def measure(
    application: Callable[[], AbstractContextManager[Application]],
    pages: Callable[[Application], Any],
    works: tuple[str, ...],
    sizes: tuple[int, ...],
    reads: int,
    said: Callable[[str], None],
) -> Iterator[Result]:
    """Fill a database of each size, then read each list so many times, after once that does not count.

    A list is read in all of them in turn, so that whatever else the machine does falls on every size.
    """
    with ExitStack() as stack:
        readers = []
        for size in sizes:
            said(f"filling with {size:,} transfers")
            readers.append(_Readers(stack.enter_context(application()), pages, size))
        said("reading")
        for work, level, what in _lists():
            if work in works:
                yield from _read(readers, work, level, what, reads)


def _lists() -> Iterator[tuple[str, str, str]]:
    """Work, who looks, at what."""
    for level in LEVELS:
        yield "inbox", level, "waiting"
        for what in QUERIES:
            yield "query", level, what


class _Readers:
    """The offices that look at the lists of one database, each logged in."""

    def __init__(self, application: Application, pages: Callable[[Application], Any], size: int) -> None:
        self.size = size
        self.database = application.database
        at = application.clock()
        country = loader.load(self.database, size, at=at)
        app = pages(application)
        year = at.year if at.month >= 9 else at.year - 1
        self._known = {"year": year, "county": country.actors["county"].organisation_id}
        self._clients: dict[str, Any] = {}
        self._tokens: dict[str, str] = {}
        for level, actor in country.actors.items():
            self._clients[level] = app.test_client()
            with self.database.transaction() as connection:
                session = accounts.open_session(connection, actor.person_id or 0, settings=application.settings, at=at)
                self._tokens[level] = searches.keep(connection, actor, "query", {"name": NAME}, at=at)
            self._clients[level].set_cookie("session", session)

    def read(self, work: str, level: str, what: str) -> None:
        """Raises `XuejiError` for any answer but the page."""
        path = "/inbox" if work == "inbox" else f"/query?{QUERIES[what]}"
        answer = self._clients[level].get(path.format(token=self._tokens[level], **self._known))
        if answer.status_code != 200:
            raise XuejiError(f"{path} answered {answer.status_code}.")


def _read(readers: Sequence[_Readers], work: str, level: str, what: str, reads: int) -> Iterator[Result]:
    watches = [Stopwatch() for _ in readers]
    for reader in readers:
        reader.read(work, level, what)
    for _ in range(reads):
        for reader, watch in zip(readers, watches, strict=True):
            with watch.lap():
                reader.read(work, level, what)
    for reader, watch in zip(readers, watches, strict=True):
        yield Result(
            work, reader.database.url.get_backend_name(), 1, reader.size, reads / watch.total, watch.percentile_ms(0.5),
            watch.percentile_ms(0.95), what=f"{level}: {what}",
        )  # fmt: skip
