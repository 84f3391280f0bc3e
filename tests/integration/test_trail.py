"""The audit log as an auditor finds it: in the own jurisdiction, by time, person, action, subject."""

from __future__ import annotations

from datetime import timedelta

import pytest

from engine import audit, trail
from engine.errors import Forbidden
from engine.trail import Filters
from tests.integration import offices


@pytest.fixture
def connection(database):
    with database.transaction() as connection:
        yield connection


@pytest.fixture
def country(connection, clock):
    """Three deeds in Anhui, one in Henan."""
    country = offices.build(connection, clock())
    anhui, henan = country["340000"], country["410000"]
    audit.record(connection, anhui.actor("operator"), "student.viewed", "student", 5, at=clock(), case_id=7)
    audit.record(connection, anhui.actor("county"), "task.completed", "task", 8, at=clock.turn(hours=1), case_id=7)
    audit.record(connection, anhui.actor("province"), "student.viewed", "student", 6, at=clock.turn(days=1))
    audit.record(connection, henan.actor("operator"), "student.viewed", "student", 9, at=clock())
    return country


def found(connection, auditor, **filters):
    entries, total = trail.search(connection, auditor, Filters(**filters), limit=100, counted=101)
    assert total == len(entries)
    return [(entry.action, entry.subject_id) for entry in entries if entry.subject_kind in ("student", "task")]


def mine(country, connection, **filters):
    """What an auditor of the county finds; the country's own making happened without an organisation."""
    return found(connection, country["340000"].actor("county_auditor"), **filters)


def test_an_auditor_sees_the_own_jurisdiction_newest_first(connection, country):
    assert mine(country, connection) == [("task.completed", 8), ("student.viewed", 5)]


def test_the_ministry_sees_everything_the_system_too(connection, country):
    auditor = country.ministry_actors["auditor"]
    entries, _total = trail.search(connection, auditor, Filters(), limit=500, counted=501)
    assert {entry.subject_id for entry in entries if entry.action == "student.viewed"} == {5, 6, 9}
    assert any(entry.person_name is None for entry in entries)


def test_entries_are_found_by_what_they_are_about(connection, country, clock):
    assert mine(country, connection, action="student.viewed") == [("student.viewed", 5)]
    assert mine(country, connection, subject_kind="task", subject_id=8) == [("task.completed", 8)]
    assert len(mine(country, connection, case_id=7)) == 2
    assert mine(country, connection, case_id=8) == []


def test_entries_are_found_by_person(connection, country):
    assert mine(country, connection, person="340000-county") == [("task.completed", 8)]
    assert mine(country, connection, person="340000-oper") == [("student.viewed", 5)]
    assert mine(country, connection, person="410000-operator") == []


def test_entries_are_found_by_time(connection, country, clock):
    begin = clock() - timedelta(days=1)
    assert mine(country, connection, since=begin) == [("task.completed", 8)]
    assert mine(country, connection, until=begin) == [("student.viewed", 5)]


def test_only_auditors_read_it(connection, country):
    for name in ("operator", "county_admin", "policy"):
        with pytest.raises(Forbidden):
            trail.search(connection, country["340000"].actor(name), Filters(), limit=1, counted=2)


def test_a_long_log_is_counted_no_further_than_asked(connection, country):
    auditor = country.ministry_actors["auditor"]
    _entries, total = trail.search(connection, auditor, Filters(), limit=1, counted=3)
    assert total == 3
