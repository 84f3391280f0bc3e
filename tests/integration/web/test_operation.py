"""What those meet who keep it running: health and readiness, figures, a log without anybody's data, a database away."""

from __future__ import annotations

import io
import json
import logging
import sqlite3
from collections.abc import Iterator
from urllib.request import urlopen

import psycopg
import pytest
import sqlalchemy as sa
from flask import Flask
from prometheus_client.parser import text_string_to_metric_families as families

from engine import metrics, migrations, transfers
from engine.application import Application
from engine.errors import Conflict
from engine.logs import JsonLines
from engine.metrics import REGISTRY
from engine.outages import is_outage
from engine.settings import Settings
from tests.integration import play
from tests.integration.web.conftest import ADDRESS
from tests.integration.world import id_number, name_of
from web import create_app

ANHUI, HENAN = "340000", "410000"


# ---- health and readiness


@pytest.fixture
def app(application) -> Flask:
    """Of the test's own, since views are added to it."""
    return create_app(application)


@pytest.fixture
def deployed(bare_database, clock) -> Iterator[Application]:
    """An application on tables that the migrations have made."""
    migrations.upgrade(bare_database)
    url = bare_database.url.render_as_string(hide_password=False)
    application = Application(Settings(database_url=url), clock=clock)
    yield application
    application.close()


def test_a_process_is_ready_until_it_is_told_to_end(deployed):
    stranger = create_app(deployed).test_client()
    assert stranger.get("/readyz").json == {"status": "ready"}
    deployed.draining = True
    answer = stranger.get("/readyz")
    assert (answer.status_code, answer.json) == (503, {"status": "draining"})
    assert stranger.get("/healthz").status_code == 200


@pytest.mark.parametrize(
    ("change", "reason"),
    [("UPDATE alembic_version SET version_num = 'newer'", None), ("DELETE FROM alembic_version", "schema")],
)
def test_tables_of_a_newer_version_will_do_and_none_will_not(deployed, change, reason):
    with deployed.database.transaction() as connection:
        connection.execute(sa.text(change))
    assert deployed.unready() == reason


# ---- the database is away


@pytest.fixture
def away(application, monkeypatch):
    def fail(*_: object) -> None:
        raise sa.exc.OperationalError("SELECT 1", {}, psycopg.OperationalError("no route to the server"))

    monkeypatch.setattr(application.database, "reading", fail)
    monkeypatch.setattr(application.database, "transaction", fail)


def test_people_are_told_to_wait_while_the_database_is_away(visitor_of, world, request):
    visitor = visitor_of(world[ANHUI].actor("county"))
    request.getfixturevalue("away")
    for answer in (visitor.get("/inbox"), visitor.post("/tasks/1", {"csrf": visitor.csrf})):
        assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
        assert "数据库暂时没有响应" in answer.text
        assert "no route" not in answer.text


def test_a_process_lives_while_the_database_is_away_and_is_not_ready(visitor_of, world, request):
    visitor = visitor_of(world[ANHUI].actor("county"))
    request.getfixturevalue("away")
    assert visitor.get("/readyz").json == {"status": "database"}
    assert visitor.get("/healthz").json == {"status": "ok"}


def test_programs_are_told_to_wait_while_the_database_is_away(app, away):
    answer = app.test_client().get("/api/v1/inbox", headers={"Authorization": "Bearer xueji_x"})
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
    assert answer.json["error"]["code"] == "unavailable"


def test_a_misspelt_statement_is_no_outage(database):
    with database.reading() as connection, pytest.raises(sa.exc.DBAPIError) as caught:
        connection.execute(sa.text("SELECT nothing"))
    assert not is_outage(caught.value)
    assert not is_outage(sqlite3.OperationalError("no code"))
    assert not is_outage(Conflict())


def test_a_locked_or_full_file_is_an_outage(sqlite_url):
    path = sa.make_url(sqlite_url).database
    with sqlite3.connect(path, timeout=0) as first, sqlite3.connect(path, timeout=0) as second:
        first.execute("BEGIN IMMEDIATE")
        with pytest.raises(sqlite3.OperationalError) as caught:
            second.execute("BEGIN IMMEDIATE")
    first.close()
    second.close()
    assert is_outage(caught.value)


# ---- the log


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    """All that any logger says, down to debugging, as it would be written."""
    written = io.StringIO()
    handler = logging.StreamHandler(written)
    handler.setFormatter(JsonLines())
    root, ours = logging.getLogger(), [logging.getLogger(name) for name in ("engine", "web", "sqlalchemy", "dbos")]
    before = [logger.level for logger in ours]
    root.addHandler(handler)
    for logger in ours:
        logger.setLevel(logging.DEBUG)
    yield written
    root.removeHandler(handler)
    for logger, level in zip(ours, before, strict=True):
        logger.setLevel(level)


def test_the_log_knows_the_route_and_who_asked(log, visitor_of, world):
    county = world[ANHUI].actor("county")
    answer = visitor_of(county).get("/query/7?name=梅小雨")
    line = json.loads(log.getvalue().splitlines()[-1])
    assert line["request"] == answer.headers["X-Request-ID"]
    assert (line["message"], line["person"]) == ("GET  404", county.person_id)
    assert line["organisation"] == county.organisation_id


def test_no_name_and_no_number_ever_stands_in_the_log(log, app, database, world, clock, visitor_of, stranger):
    number, name, opinion = id_number("410105", 1), name_of(1), "学位尚有，同意接收"

    @app.get("/broken")
    def broken():
        raise ValueError(f"{name} {number}")

    school, county = visitor_of(world[ANHUI].actor("operator")), visitor_of(world[ANHUI].actor("county"))
    stranger.post("/login", {"login": "340000-county", "password": "a wrong one"})
    stranger.get(f"/{number}/{name}?number={number}")
    stranger.client.open("/login", method=f"X{number}", base_url=ADDRESS)
    county.get(f"/broken?name={name}&number={number}")
    county.post("/query", {"text": name})
    county.post("/query", {"text": number})
    county.get(f"/inbox?text={name}")
    case_id = play.apply(database, world, HENAN, ANHUI, clock())
    [task] = play.open_tasks(database, case_id)
    form = {field: opinion if value == "同意" else value for field, value in play.answers(task).items()}
    assert county.post(f"/tasks/{task.id}", form).status_code == 303
    assert county.post(f"/tasks/{task.id}", form).status_code == 409
    for page in ("", "/history", "/student", "/log"):
        school.get(f"/transfers/{case_id}{page}")
    with database.reading() as connection:
        of_transfer = transfers.summaries(connection, world[ANHUI].actor("county"), [case_id])[case_id].number

    said = log.getvalue()
    assert "/tasks/<long:task_id> 303" in said
    for secret in (number, name, opinion, of_transfer, "a wrong one", "340000-county", "测试", "第一小学"):
        assert secret not in said, secret


# ---- the figures


def scraped(address: str) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    with urlopen(address, timeout=10) as answer:
        text = answer.read().decode()
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in families(text)
        for sample in family.samples
    }


@pytest.fixture
def address(application, monkeypatch) -> Iterator[str]:
    """Where this process offers its figures; what it registers and starts for that goes again."""
    before, started = set(REGISTRY._collector_to_names), []
    start = metrics._start
    monkeypatch.setattr(metrics, "_start", lambda *given: started.append(start(*given)))
    yield f"http://127.0.0.1:{metrics.serve('127.0.0.1', 29464, application.figures)}/metrics"
    for server, thread in started:
        server.shutdown()
        thread.join()
        server.server_close()
    for collector in set(REGISTRY._collector_to_names) - before:
        REGISTRY.unregister(collector)


def test_prometheus_is_told_how_it_goes(address, database, world, clock, visitor_of, application):
    case_id = play.apply(database, world, HENAN, ANHUI, clock())
    [task] = play.open_tasks(database, case_id)
    before = scraped(address)
    visitor_of(world[ANHUI].actor("county")).post(f"/tasks/{task.id}", play.answers(task))
    with database.transaction() as connection:
        application.jobs.enqueue(connection, "fire_deadline", {"deadline_id": 0})
    after = scraped(address)
    completed = ("xueji_tasks_completed_total", ())
    assert after[completed] - before[completed] == 1
    labels = (("method", "POST"), ("route", "/tasks/<long:task_id>"), ("status", "303"))
    assert after[("xueji_request_seconds_count", labels)] - before.get(("xueji_request_seconds_count", labels), 0) == 1
    assert after[("xueji_jobs", (("state", "waiting"),))] == 1
    assert after[("xueji_jobs", (("state", "set_aside"),))] == 0
    assert after[("xueji_incidents_open", ())] == after[("xueji_deadlines_due", ())] == 0
    assert after[("xueji_database_up", ())] == 1
    assert after[("xueji_connections", (("pool", "reading"), ("state", "in_use")))] == 1
    assert after[("process_resident_memory_bytes", ())] > 0


def test_of_a_database_that_is_away_only_that_is_told(address, away):
    found = scraped(address)
    assert found[("xueji_database_up", ())] == 0
    assert ("xueji_jobs", (("state", "waiting"),)) not in found
