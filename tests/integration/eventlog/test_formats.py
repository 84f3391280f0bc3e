"""An event log is read back by whoever knows the format alone, says what happened, and names no person."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path

import jsonschema
import pytest
import sqlalchemy as sa
from lxml import etree

from engine import eventlog
from engine.audit import audit_entry
from engine.cases import case, task
from engine.errors import Forbidden, Invalid
from engine.eventlog import Filters
from engine.messages import message
from engine.registry.tables import student
from tests.integration import play

ANHUI, HENAN = "340000", "410000"
XES = "{http://www.xes-standard.org/}"
SCHEMA = json.loads((Path(__file__).parent / "ocel.schema.json").read_text())


@pytest.fixture
def auditor(world):
    return world.ministry_actors["auditor"]


@pytest.fixture
def played(database, world, clock):
    """One transfer completed and one under way."""
    first, second = (play.apply(database, world, HENAN, ANHUI, clock(), serial=serial) for serial in (1, 2))
    play.play(database, world, first, clock.turn(days=1))
    play.step(database, world, second, clock.turn(days=1))
    return first, second


def export(database, actor, form, clock, filters=None, reason="质量检查"):
    with database.transaction() as connection:
        found = eventlog.export(connection, actor, form, filters or Filters(), reason, at=clock())
    with database.reading() as connection:
        return b"".join(found.pieces(connection))


def read_xes(content):
    """A second reader: the traces as dictionaries of their typed attributes."""

    def value(child):
        return datetime.fromisoformat(child.get("value")) if child.tag == f"{XES}date" else child.get("value")

    def attributes(element):
        return {child.get("key"): value(child) for child in element if child.get("key")}

    root = etree.fromstring(content)
    assert root.tag == f"{XES}log"
    declared = {child.get("prefix") for child in root.iter(f"{XES}extension")}
    found = []
    for trace in root.iter(f"{XES}trace"):
        events = [attributes(event) for event in trace.iter(f"{XES}event")]
        prefixes = {key.split(":")[0] for event in events for key in event if ":" in key}
        assert prefixes <= declared
        found.append((attributes(trace), events))
    return found


def test_a_xes_log_has_every_case_with_its_events_in_time(database, auditor, played, clock):
    (first, done), (second, _) = read_xes(export(database, auditor, "xes", clock))
    assert [first["concept:name"], second["concept:name"]] == [f"case-{number}" for number in played]
    assert (first["outcome"], second.get("outcome")) == ("completed", None)
    with database.reading() as connection:
        tasks = connection.scalar(sa.select(sa.func.count()).where(task.c.case_id == played[0]))
        letters = connection.scalar(sa.select(sa.func.count()).where(message.c.case_id == played[0]))
    assert len(done) == 2 * tasks + letters
    times = [event["time:timestamp"] for event in done]
    assert times == sorted(times)
    assert {event["lifecycle:transition"] for event in done} == {"schedule", "complete"}
    decided = next(event for event in done if event.get("result") and event["side"] == "receiving")
    assert decided["org:group"].startswith("测试")
    assert decided["version"] == "anhui/transfer/1"
    assert {event["message"] for event in done if "message" in event} >= {"release_requested", "record_retrieved"}


def test_an_ocel_log_keeps_to_its_schema_and_relates_what_exists(database, auditor, played, clock):
    log = json.loads(export(database, auditor, "ocel2", clock))
    jsonschema.validate(log, SCHEMA, format_checker=jsonschema.FormatChecker())
    objects = {item["id"]: item for item in log["objects"]}
    assert len(objects) == len(log["objects"])
    events = {item["id"] for item in log["events"]}
    assert len(events) == len(log["events"])
    types = {item["name"]: {name["name"] for name in item["attributes"]} for item in log["eventTypes"]}
    kinds = {item["name"]: {name["name"] for name in item["attributes"]} for item in log["objectTypes"]}
    for event in log["events"]:
        assert {item["name"] for item in event["attributes"]} <= types[event["type"]]
        assert {item["objectId"] for item in event["relationships"]} <= objects.keys()
    for item in objects.values():
        assert {attribute["name"] for attribute in item["attributes"]} <= kinds[item["type"]]
        assert {related["objectId"] for related in item["relationships"]} <= objects.keys()
    assert sum(item["type"] == "case" for item in objects.values()) == 2
    assert sum(item["type"] == "student" for item in objects.values()) == 2


@pytest.mark.parametrize("form", sorted(eventlog.FORMATS))
def test_no_log_names_a_child_or_a_person_or_what_they_wrote(database, auditor, played, clock, form):
    content = export(database, auditor, form, clock).decode()
    with database.reading() as connection:
        row = connection.execute(sa.select(student).limit(1)).one()
        opinions = connection.scalars(sa.select(task.c.opinion).where(task.c.opinion.is_not(None))).all()
        personal = [str(row.name), row.record_number, "operator", "随父母工作调动", *opinions]
    assert opinions
    for word in personal:
        if word not in ("同意", "operator"):
            assert word not in content
    # Two files can not be put together by their students.
    pseudonyms = {part[:16] for part in content.split("student-")[1:]}
    again = export(database, auditor, form, clock).decode()
    assert pseudonyms.isdisjoint(part[:16] for part in again.split("student-")[1:])


def test_an_export_has_a_reason_that_is_kept_and_a_jurisdiction(database, world, auditor, played, clock):
    with pytest.raises(Invalid):
        export(database, auditor, "xes", clock, reason="  ")
    with pytest.raises(Invalid):
        export(database, auditor, "csv", clock)
    with pytest.raises(Forbidden):
        export(database, world[ANHUI].actor("county"), "xes", clock)
    assert len(read_xes(export(database, world[ANHUI].actor("policy"), "xes", clock, reason="修订流程"))) == 2
    assert read_xes(export(database, world["330000"].actor("county_auditor"), "xes", clock)) == []
    with database.reading() as connection:
        kept = connection.scalars(sa.select(audit_entry.c.after).where(audit_entry.c.action == "log.exported")).all()
    assert [item["reason"] for item in kept] == ["修订流程", "质量检查"]


def test_a_long_log_comes_in_pieces(database, auditor, played, clock, monkeypatch):
    monkeypatch.setattr("engine.eventlog.formats._PIECE", 2000)
    monkeypatch.setattr("engine.eventlog.cases._CHUNK", 1)
    with database.transaction() as connection:
        found = eventlog.export(connection, auditor, "ocel2", Filters(), "质量检查", at=clock())
        pieces = list(found.pieces(connection))
    assert len(pieces) > 5
    assert len(json.loads(b"".join(pieces))["events"]) > 10


def test_only_the_cases_of_a_time_are_written(database, world, auditor, clock):
    play.apply(database, world, HENAN, ANHUI, clock(), serial=1)
    with database.reading() as connection:
        assert connection.scalar(sa.select(sa.func.count()).select_from(case)) == 1
    later = clock.turn(days=2)
    assert read_xes(export(database, auditor, "xes", clock, Filters(since=later))) == []
