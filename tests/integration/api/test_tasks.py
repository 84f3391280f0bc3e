"""A program works as the people of the inbox do: it lists, reads, decides, and is told what became of it."""

from __future__ import annotations

import jsonschema
import pytest
import sqlalchemy as sa

from engine import audit, inbox
from tests.integration import play
from tests.integration.api.conftest import ok, refused
from tests.integration.world import id_number, name_of

ANHUI, HENAN, ZHEJIANG = "340000", "410000", "330000"
AGREE = {"receiving_authority_result": "agree", "receiving_authority_opinion": "同意"}


@pytest.fixture
def case_ids(database, world, clock) -> list[int]:
    """Three transfers that Anhui's receiving authority has to decide, one later than the others."""
    first = [play.apply(database, world, HENAN, ANHUI, clock(), serial=serial) for serial in (1, 2)]
    clock.turn(days=1)
    return [*first, play.apply(database, world, ZHEJIANG, ANHUI, clock(), serial=3)]


@pytest.fixture
def county(program_of, world):
    return program_of(world[ANHUI].actor("county"))


@pytest.fixture
def task_id(database, case_ids) -> int:
    return play.open_tasks(database, case_ids[0])[0].id


# Lists


def test_the_list_is_the_inboxs_own(county, program_of, world, case_ids):
    page = ok(county.get("/inbox"))
    assert [row["case_id"] for row in page["items"]] == case_ids
    assert page["next"] is None
    first = page["items"][0]
    assert first["steps"][-1]["label"] == {"zh": "转入学校学籍主管部门审核", "en": first["steps"][-1]["label"]["en"]}
    assert first["steps"][-1]["menu"]["zh"] == "变动审批/转入审批"
    assert first["due"]["days_left"] == 9
    assert first["batch"] is True
    assert ok(program_of(world[ANHUI].actor("province")).get("/inbox"))["items"] == []


def test_numbers_are_masked_in_lists_and_details(county, case_ids, task_id):
    number = id_number("410105", 1)
    for path in ("/inbox", f"/tasks/{task_id}", f"/transfers/{case_ids[0]}", f"/transfers/{case_ids[0]}/history"):
        text = county.get(path).text
        assert number not in text, path
        if "history" not in path:
            assert f"G{number[:10]}****" in text


def test_a_list_is_read_on_with_its_cursor_without_gaps_or_doubles(database, world, clock, county, case_ids):
    for sort in ("due", "arrived", "latest"):
        whole = ok(county.get("/inbox", sort=sort))["items"]
        read, cursor = [], ""
        while cursor is not None:
            page = ok(county.get("/inbox", sort=sort, limit=1, cursor=cursor))
            read += page["items"]
            cursor = page["next"]
        assert read == whole
    assert [row["case_id"] for row in whole] == case_ids[::-1]


def test_what_is_done_meanwhile_moves_nothing_on_the_next_page(database, world, clock, county, case_ids):
    page = ok(county.get("/inbox", limit=1))
    play.step(database, world, case_ids[0], clock())
    assert ok(county.get("/inbox", limit=1, cursor=page["next"]))["items"][0]["case_id"] == case_ids[1]


def test_a_cursor_belongs_to_its_list_and_order(county, case_ids):
    cursor = ok(county.get("/inbox", limit=1))["next"]
    assert cursor
    for path, query in (("/inbox", {"sort": "latest"}), ("/inbox/done", {}), ("/transfers", {}), ("/notices", {})):
        refused(county.get(path, cursor=cursor, **query), 422, "bad_cursor")
    for nonsense in ("x", "e30", "W10", "!", cursor[:-3]):
        refused(county.get("/inbox", cursor=nonsense), 422, "bad_cursor")


def test_filters_narrow_the_list(world, clock, county, case_ids, task_id):
    def listed(**query):
        return [row["case_id"] for row in ok(county.get("/inbox", **query))["items"]]

    assert listed(region="330000") == case_ids[2:]
    assert listed(school=world[ANHUI].school) == case_ids
    assert listed(school=world[ANHUI].other_school) == []
    assert listed(menu="变动审批/转入审批") == case_ids
    assert listed(menu="变动审批/转出审批") == []
    assert [row["case_id"] for row in ok(county.get(f"/cases/{case_ids[1]}/tasks"))] == case_ids[1:2]
    assert listed(late="true") == []
    clock.turn(days=30)
    assert listed(late="true") == case_ids


def test_names_and_numbers_are_searched_for_in_a_body(county, case_ids):
    for about in ({"name": name_of(2)}, {"number": f"g{id_number('410105', 2)}"}):
        [row] = ok(county.post("/inbox/search", about))["items"]
        assert row["transfer"]["student"]["name"] == name_of(2)
        refused(county.get("/inbox", **about), 422, "invalid")


def test_steps_say_how_much_waits(county, clock, case_ids):
    clock.turn(days=30)
    [step] = ok(county.get("/inbox/steps"))
    assert (step["open"], step["late"]) == (3, 3)


def test_what_was_done_and_started_is_listed_too(database, world, clock, county, program_of, case_ids, task_id):
    ok(county.post(f"/tasks/{task_id}/completion", {"values": AGREE}))
    [row] = ok(county.get("/inbox/done"))["items"]
    assert (row["id"], row["state"], row["result"]) == (task_id, "done", "agree")
    started = ok(program_of(world[ANHUI].actor("operator")).get("/inbox/started", limit=2))
    assert [row["id"] for row in started["items"]] == case_ids[:0:-1]


# One task


def test_a_task_comes_with_its_form_and_its_clauses(county, task_id):
    task = ok(county.get(f"/tasks/{task_id}"))
    result, opinion = task["form"]["fields"]
    assert (result["binds"], result["type"], result["required"]) == ("decision.result", "enum", True)
    assert [option["id"] for option in result["options"]] == ["agree", "refuse"]
    assert result["options"][0]["label"]["zh"] == "审批通过"
    assert result["options"][0]["label"]["en"].isascii()
    assert opinion["required_when"]
    assert any("10个工作日" in clause["text"] or "审核" in clause["text"] for clause in task["clauses"])
    assert task["source"]
    assert {party["party"] for party in task["parties"]} >= {"receiving_school", "releasing_authority"}
    jsonschema.Draft202012Validator.check_schema(task["form"]["json_schema"])
    jsonschema.validate(AGREE, task["form"]["json_schema"])


def test_what_stands_against_it_is_said_before_it_is_decided(database, county, task_id, case_ids):
    from engine.registry.tables import student

    with database.transaction() as connection:
        connection.execute(student.update().values(problem=True))
    assert [check["code"] for check in ok(county.get(f"/tasks/{task_id}"))["checks"]] == ["2003"]


def test_completing_it_says_who_has_it_now(database, county, task_id, case_ids):
    became = ok(county.post(f"/tasks/{task_id}/completion", {"values": AGREE}))
    assert (became["case_id"], became["outcome"]) == (case_ids[0], None)
    [holder] = became["holders"]
    assert holder["step"]["id"] == play.open_tasks(database, case_ids[0])[0].node.id
    entry = sa.select(audit.audit_entry.c.duty).where(audit.audit_entry.c.subject_id == task_id)
    with database.reading() as connection:
        assert connection.scalars(entry.where(audit.audit_entry.c.action == "task.completed")).all() == ["operator"]


def test_a_refusal_needs_its_reasons_and_ends_the_case(county, task_id):
    path = f"/tasks/{task_id}/completion"
    error = refused(county.post(path, {"values": {"receiving_authority_result": "refuse"}}), 422, "invalid")
    assert error["fields"] == {"receiving_authority_opinion": "此项必填。"}
    refuse = {"receiving_authority_result": "refuse", "receiving_authority_opinion": "学位已满"}
    assert ok(county.post(path, {"values": refuse}))["outcome"] == "refused"


def test_who_comes_second_learns_who_when_and_what(world, clock, county, program_of, task_id):
    ok(county.post(f"/tasks/{task_id}/completion", {"values": AGREE}))
    clock.turn(minutes=5)
    colleague = program_of(world[ANHUI].actor("county_colleague"))
    error = refused(colleague.post(f"/tasks/{task_id}/completion", {"values": AGREE}), 409, "already_done")
    assert error["details"]["person"] == world[ANHUI].actor("county").person_name
    assert error["details"]["result"] == "agree"
    assert error["details"]["at"].startswith("2026-09-23T01:00:00")


def test_a_case_that_has_gone_on_is_not_decided_by_what_was_read_before(
    database, world, clock, county, program_of, case_ids
):
    [first] = play.open_tasks(database, case_ids[0])
    read = ok(county.get(f"/tasks/{first.id}"))["revision"]
    # The timers of the same task move the case on and leave the task open.
    clock.turn(days=25)
    from engine import cases

    with database.reading() as connection:
        due = cases.due_deadlines(connection, at=clock())
    for deadline, _due in due:
        with database.transaction() as connection:
            cases.fire_deadline(connection, deadline, at=clock())
    path = f"/tasks/{first.id}/completion"
    error = refused(county.post(path, {"values": AGREE, "revision": read}), 409, "stale")
    assert error["details"]["what"] == "deadline.fired"
    assert error["details"]["at"]
    now = ok(county.get(f"/tasks/{first.id}"))["revision"]
    assert now > read
    assert ok(county.post(path, {"values": AGREE, "revision": now}))["revision"] > now


def test_a_program_for_a_school_reads_its_own_tasks_alone(program_of, world, county, task_id):
    refused(program_of(world[ANHUI].actor("operator")).get(f"/tasks/{task_id}"), 404)
    refused(program_of(world[ANHUI].actor("operator")).post(f"/tasks/{task_id}/completion", {"values": AGREE}), 403)
    refused(program_of(world[ZHEJIANG].actor("county")).post(f"/tasks/{task_id}/completion", {"values": AGREE}), 404)


def test_manual_steps_are_confirmed_in_the_same_act(database, world, clock, program_of):
    case_id = play.apply(database, world, ANHUI, HENAN, clock())
    while play.open_tasks(database, case_id)[0].node.id != "check_with_releasing_school":
        play.step(database, world, case_id, clock())
    [task] = play.open_tasks(database, case_id)
    county = program_of(world[ANHUI].actor("county"))
    read = ok(county.get(f"/tasks/{task.id}"))
    assert [step["kind"] for step in read["steps"]] == ["manualTask", "userTask"]
    assert {field["step"] for field in read["form"]["fields"]} == {step["id"] for step in read["steps"]}
    ok(county.post(f"/tasks/{task.id}/completion", {"values": play.answers(task)}))
    with database.reading() as connection:
        states = {item.node.id: item.state for item in inbox.of_case(connection, case_id)}
    assert {states[step["id"]] for step in read["steps"]} == {"done"}


def test_a_list_of_many_costs_no_more_statements_than_one_of_few(application, county, case_ids):
    def statements(limit: int) -> int:
        sent: list[str] = []
        listener = lambda *args: sent.append(args[2])  # noqa: E731
        for engine in {application.database.engine, application.database._reader}:
            sa.event.listen(engine, "before_cursor_execute", listener)
        assert county.get("/inbox", limit=limit).status_code == 200
        for engine in {application.database.engine, application.database._reader}:
            sa.event.remove(engine, "before_cursor_execute", listener)
        return len(sent)

    county.get("/inbox")
    assert statements(1) == statements(3) <= 8
