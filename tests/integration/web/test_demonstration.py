"""What a demonstration adds: students to try, the parties of the case at hand, the way from one to another."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from engine import accounts
from engine.audit import SYSTEM
from tests.integration import play
from tests.integration.world import name_of

ANHUI, HENAN = "340000", "410000"


@pytest.fixture
def demonstration(application, settings, world, clock):
    """An account for each of two schools and an authority is offered."""
    application.settings = replace(settings, demo=True)
    with application.database.transaction() as connection:
        offices = {
            "demo-anhui": world[ANHUI].school,
            "demo-henan": world[HENAN].school,
            "demo-county": world[ANHUI].county,
        }
        for login, office in offices.items():
            accounts.add_person(connection, SYSTEM, login, "张演示", office, "operator", at=clock(), demo=True)


@pytest.fixture
def guest(demonstration, stranger):
    stranger.post("/demo/enter", {"login": "demo-anhui"})
    return stranger


def hidden(form: str) -> dict[str, str]:
    return dict(re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)">', form))


def examples(page: str) -> list[str]:
    return re.findall(r'<form method="post" action="/transfers/new/student">.*?</form>', page, re.DOTALL)


def test_one_click_fills_in_a_student_and_looks_them_up(guest):
    [example] = examples(guest.get("/transfers/new").text)
    assert name_of(1) in example
    filled = guest.post("/transfers/new/student", hidden(example)).text
    assert 'aria-label="学生已找到"' in filled or "found-head" in filled
    assert examples(filled) == []


def test_the_form_of_a_province_offers_its_own_students_alone(guest):
    assert len(examples(guest.get(f"/transfers/new?origin={HENAN}").text)) == 1
    assert examples(guest.get("/transfers/new?origin=330000").text) == []


def test_whoever_has_a_student_is_not_offered_this_one(demonstration, stranger):
    stranger.post("/demo/enter", {"login": "demo-henan"})
    [example] = examples(stranger.get("/transfers/new").text)
    assert hidden(example)["origin"] == ANHUI


def test_outside_of_a_demonstration_nobody_is_offered(visitor_of, world):
    assert examples(visitor_of(world[ANHUI].actor("operator")).get("/transfers/new").text) == []


def test_the_bar_says_whose_turn_it_is(database, guest, world, clock):
    case_id = play.apply(database, world, HENAN, ANHUI, clock())
    bar = re.search(r'<span class="party-chips">.*?</span>', guest.get(f"/transfers/{case_id}").text, re.DOTALL)[0]
    turns = re.findall(r'value="(demo-\w+)"(?: aria-current="true")?><svg', bar)
    assert turns == ["demo-county"]


def test_from_a_task_the_bar_leads_to_the_transfer_that_all_see(database, guest, world, clock):
    case_id = play.apply(database, world, HENAN, ANHUI, clock())
    [task] = play.open_tasks(database, case_id)
    guest.post("/demo/enter", {"login": "demo-county"})
    assert f'name="next" value="/transfers/{case_id}"' in guest.get(f"/tasks/{task.id}").text


def test_a_page_that_is_not_the_next_persons_leads_to_their_inbox(database, guest, world, clock):
    case_id = play.apply(database, world, HENAN, ANHUI, clock())
    entered = guest.post("/demo/enter", {"login": "demo-henan", "next": f"/transfers/{case_id}"})
    turned_away = guest.follow(entered)
    assert turned_away.location == "/inbox"
    assert "测试410000第一小学" in guest.follow(turned_away).text
