"""Many tasks decided at once by a program."""

from __future__ import annotations

import pytest

from tests.integration import play
from tests.integration.api.conftest import ok, refused

ANHUI, HENAN, ZHEJIANG = "340000", "410000", "330000"
AGREE = {"receiving_authority_result": "agree", "receiving_authority_opinion": "同意"}


@pytest.fixture
def tasks(database, world, clock) -> list[int]:
    case_ids = [play.apply(database, world, HENAN, ANHUI, clock(), serial=serial) for serial in (1, 2, 3)]
    return [play.open_tasks(database, case_id)[0].id for case_id in case_ids]


@pytest.fixture
def county(program_of, world):
    return program_of(world[ANHUI].actor("county"))


def test_it_is_begun_at_once_and_worked_off_in_the_background(application, county, tasks):
    answer = county.post("/batches", {"tasks": tasks, "values": AGREE}, key="one")
    begun = ok(answer, 202)
    assert (begun["state"], begun["total"], begun["pending"], begun["result"]) == ("working", 3, 3, "agree")
    assert ok(county.get("/inbox"))["items"] != []
    application.jobs.run_pending()
    finished = ok(county.get(answer.headers["Location"]))
    assert (finished["state"], finished["done"], finished["failed"]) == ("finished", 3, 0)
    assert ok(county.get("/inbox"))["items"] == []
    assert [found["id"] for found in ok(county.get("/batches"))["items"]] == [begun["id"]]


def test_each_task_has_its_result(application, database, world, clock, county, program_of, tasks):
    begun = ok(county.post("/batches", {"tasks": [*tasks, 999], "values": AGREE}), 202)
    colleague = program_of(world[ANHUI].actor("county_colleague"))
    refuse = {"receiving_authority_result": "refuse", "receiving_authority_opinion": "学位已满"}
    ok(colleague.post(f"/tasks/{tasks[1]}/completion", {"values": refuse}))
    application.jobs.run_pending()
    path = f"/batches/{begun['id']}/results"
    results = ok(county.get(path))["items"]
    assert [(found["task_id"], found["state"]) for found in results] == [
        (tasks[0], "done"), (tasks[1], "failed"), (tasks[2], "done"), (999, "failed"),
    ]  # fmt: skip
    assert results[1]["error"]["code"] == "already_done"
    assert results[1]["error"]["message"]
    assert results[3]["error"]["code"] == "not_found"
    failed = ok(county.get(path, state="failed", limit=1))
    assert [found["position"] for found in failed["items"]] == [2]
    assert [found["position"] for found in ok(county.get(path, state="failed", cursor=failed["next"]))["items"]] == [4]


def test_sent_twice_it_is_one_batch(application, county, tasks):
    bodies = [county.post("/batches", {"tasks": tasks, "values": AGREE}, key="one") for _ in range(2)]
    assert bodies[0].data == bodies[1].data
    assert bodies[0].headers["Location"] == bodies[1].headers["Location"]
    assert application.jobs.run_pending() == 1


def test_what_can_not_be_decided_together_is_refused_at_once(database, world, clock, county, program_of, tasks):
    refused(county.post("/batches", {"tasks": [], "values": AGREE}), 422, "invalid")
    refused(county.post("/batches", {"tasks": list(range(1, 1002)), "values": AGREE}), 422, "invalid")
    error = refused(county.post("/batches", {"tasks": tasks, "values": {}}), 422, "invalid")
    assert set(error["fields"]) == {"receiving_authority_result"}
    [single] = play.open_tasks(database, play.apply(database, world, ANHUI, HENAN, clock()))
    reviewer = program_of(play.actor_for(database, world, single))
    refused(reviewer.post("/batches", {"tasks": [single.id], "values": play.answers(single)}), 422, "no_batch")
    refused(program_of(world[ZHEJIANG].actor("county")).post("/batches", {"tasks": tasks, "values": AGREE}), 404)


def test_a_thousand_are_taken(county, tasks):
    begun = ok(county.post("/batches", {"tasks": [*tasks, *range(1001, 1998)], "values": AGREE}), 202)
    assert begun["total"] == 1000


def test_a_batch_is_its_authors_own(county, program_of, world, tasks):
    begun = ok(county.post("/batches", {"tasks": tasks, "values": AGREE}), 202)
    colleague = program_of(world[ANHUI].actor("county_colleague"))
    for path in ("", "/results"):
        refused(colleague.get(f"/batches/{begun['id']}{path}"), 404)
    assert ok(colleague.get("/batches"))["items"] == []
