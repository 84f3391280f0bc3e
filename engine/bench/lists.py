"""The inbox and the query over many transfers, for a county, a province and the ministry: whole pages, as served."""

from __future__ import annotations

from collections.abc import Callable, Iterator
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


def measure(
    application: Application, pages: Callable[[Application], Any], works: tuple[str, ...], size: int, reads: int
) -> Iterator[Result]:
    """Fill the database, then read each list so many times, after once that does not count."""
    at = application.clock()
    country = loader.load(application.database, size, at=at)
    app = pages(application)
    for level, actor in country.actors.items():
        client = app.test_client()
        with application.database.transaction() as connection:
            session = accounts.open_session(connection, actor.person_id or 0, settings=application.settings, at=at)
            token = searches.keep(connection, actor, "query", {"name": NAME}, at=at)
        client.set_cookie("session", session)
        year = at.year if at.month >= 9 else at.year - 1
        known = {"year": year, "county": country.actors["county"].organisation_id, "token": token}
        asked = {"inbox": {"waiting": "/inbox"}, "query": {}}
        for what, parameters in QUERIES.items():
            asked["query"][what] = f"/query?{parameters.format(**known)}"
        for work in asked:
            if work in works:
                for what, path in asked[work].items():
                    yield _read(application, client, work, size, reads, f"{level}: {what}", path)


def _read(application: Application, client: Any, work: str, size: int, reads: int, what: str, path: str) -> Result:
    watch = Stopwatch()
    for number in range(reads + 1):
        with watch.lap():
            answer = client.get(path)
        if answer.status_code != 200:
            raise XuejiError(f"{path} answered {answer.status_code}.")
        if number == 0:
            watch.seconds.clear()
    return Result(
        work, application.database.url.get_backend_name(), 1, size, reads / watch.total, watch.percentile_ms(0.5),
        watch.percentile_ms(0.95), what=what,
    )  # fmt: skip
