"""The inbox: what waits for whom under which menu, what of it is shown, and deciding several at once."""

from __future__ import annotations

import html
import re

import pytest
import sqlalchemy as sa

from engine import audit, cases, inbox
from tests.integration import play
from tests.integration.world import id_number, name_of

ANHUI, HENAN, ZHEJIANG = "340000", "410000", "330000"
RELEASES = "变动审批/转出审批"


@pytest.fixture
def apply(database, world, clock):
    """Starts transfers, by default of students who leave Anhui for Henan."""

    def start(*serials: int, origin: str = ANHUI, target: str = HENAN) -> list[int]:
        return [play.apply(database, world, origin, target, clock(), serial=serial) for serial in serials]

    return start


@pytest.fixture
def waiting_to_be_released(database, world, clock, apply):
    """Three transfers whose next step is that of Anhui's releasing authority."""
    case_ids = apply(1, 2, 3)
    for case_id in case_ids:
        while play.open_tasks(database, case_id)[0].node.id != "check_with_releasing_school":
            play.step(database, world, case_id, clock())
    return case_ids


@pytest.fixture
def county(visitor_of, world):
    return visitor_of(world[ANHUI].actor("county"))


def tasks_of(database, case_ids) -> list[int]:
    return [play.open_tasks(database, case_id)[0].id for case_id in case_ids]


def rows_of(page: str) -> list[str]:
    """The rows of the table, in their order, as text."""
    body = re.search(r"<tbody>(.*?)</tbody>", page, re.DOTALL)
    found = re.findall(r"<tr.*?</tr>", body[1], re.DOTALL) if body else []
    return [html.unescape(re.sub(r"<[^>]+>|\s+", " ", row)) for row in found]


def side_of(page: str) -> str:
    return re.sub(r"<[^>]+>|\s+", " ", re.search(r'<nav class="side".*?</nav>', page, re.DOTALL)[0])


def decision(**more: str) -> dict[str, object]:
    """What the releasing authority of Anhui enters for a batch."""
    return {
        "check_with_releasing_school__on": "2026-09-22",
        "check_with_releasing_school__how": "电话",
        "releasing_authority_result": "agree",
        "releasing_authority_opinion": "",
    } | more


# Menus


def test_the_left_side_speaks_as_the_regime_does(visitor_of, world, waiting_to_be_released, apply):
    apply(4, origin=ANHUI, target=ZHEJIANG)
    anhui = side_of(visitor_of(world[ANHUI].actor("county")).get("/inbox").text)
    assert re.search(r"变动审批 +转入审批 +0 +转出审批 +3 +信息查询 +变动查询", anhui)
    henan = side_of(visitor_of(world[HENAN].actor("county")).get("/inbox").text)
    assert "学籍管理 / 跨省转学" in henan
    assert "跨省转学审核" in henan
    assert "变动审批" not in henan


def test_a_menu_lists_its_own_steps(county, waiting_to_be_released, apply):
    apply(1, origin=HENAN, target=ANHUI)
    assert len(rows_of(county.get("/inbox").text)) == 4
    page = county.get("/inbox", query_string={"menu": RELEASES}).text
    assert len(rows_of(page)) == 3
    assert "与转出学校核对" in page


def test_whoever_has_no_inbox_is_led_to_the_notices(visitor_of, world):
    administrator = visitor_of(world[ANHUI].actor("county_admin"))
    assert administrator.get("/inbox").location == "/notices"
    for path in ("/inbox/done", "/inbox/started"):
        assert administrator.get(path).status_code == 403


# What is listed


def test_only_the_own_desk_is_listed(visitor_of, world, waiting_to_be_released):
    for name in ("province", "operator", "reviewer", "other_operator"):
        assert rows_of(visitor_of(world[ANHUI].actor(name)).get("/inbox").text) == []
    assert rows_of(visitor_of(world[HENAN].actor("county")).get("/inbox").text) == []


def test_numbers_are_masked(county, waiting_to_be_released):
    page = county.get("/inbox").text
    number = id_number("340104", 1)
    assert f"G{number[:10]}****" in page
    assert number not in page
    assert name_of(1) in page


def test_what_is_late_comes_first_and_says_so(visitor_of, world, clock, waiting_to_be_released, apply):
    clock.turn(days=25)
    apply(1, origin=HENAN, target=ANHUI)
    county = visitor_of(world[ANHUI].actor("county"))
    rows = rows_of(county.get("/inbox").text)
    assert [bool("已逾期" in row) for row in rows] == [True, True, True, False]
    assert "还剩 10 个工作日" in rows[3]
    assert len(rows_of(county.get("/inbox?late=1").text)) == 3
    assert "还剩" in rows_of(county.get("/inbox?sort=latest").text)[0]


def test_names_and_numbers_stand_in_no_address(county, visitor_of, world, waiting_to_be_released):
    for text in (name_of(2), f"G{id_number('340104', 2)}", id_number("340104", 2)):
        answer = county.post("/inbox/filter", {"menu": RELEASES, "text": text})
        assert re.fullmatch(r"/inbox\?menu=[\w%/]+&search=[\w-]{22}", answer.location)
        [row] = rows_of(county.follow(answer).text)
        assert name_of(2) in row
    # A colleague opens the list, but not what somebody else searched for.
    assert visitor_of(world[ANHUI].actor("county_colleague")).get(answer.location).status_code == 404


def test_filters_narrow_by_own_school_and_by_the_other_sides_province(county, world, waiting_to_be_released, apply):
    apply(1, origin=ZHEJIANG, target=ANHUI)
    apply(11, origin=ANHUI, target=ANHUI)
    assert len(rows_of(county.get("/inbox").text)) == 5
    assert len(rows_of(county.get("/inbox?region=330000").text)) == 1
    assert len(rows_of(county.get("/inbox?region=410000").text)) == 3
    assert len(rows_of(county.get(f"/inbox?school={world[ANHUI].other_school}").text)) == 1
    assert "没有符合条件的待办" in county.get("/inbox?region=650000").text


def test_a_page_of_many_costs_no_more_statements_than_a_page_of_few(county, database, apply):
    def statements() -> int:
        sent = []
        sa.event.listen(database.engine, "before_cursor_execute", lambda *a: sent.append(a[2]))
        assert county.get("/inbox").status_code == 200
        return len(sent)

    apply(1, origin=HENAN, target=ANHUI)
    few = statements()
    apply(2, 3, 4, 5, 6, 7, 8, 9, origin=HENAN, target=ANHUI)
    assert statements() == few


# Batches


def test_several_schools_students_are_decided_in_one_act(county, database, world, clock, waiting_to_be_released):
    page = county.get("/inbox", query_string={"menu": RELEASES}).text
    task_ids = tasks_of(database, waiting_to_be_released)
    assert all(re.search(rf'name="task" value="{task_id}"', page) for task_id in task_ids)

    answer = county.post(f"/inbox/batch?menu={RELEASES}", decision(task=task_ids[:2]))
    shown = rows_of(county.follow(answer).text)

    assert len(shown) == 3
    assert all("审批通过" in row and "现由" in row for row in shown[:2])
    with database.reading() as connection:
        done = [inbox.of_case(connection, case_id) for case_id in waiting_to_be_released]
    assert [[item.state for item in tasks if item.party == "releasing_authority"] for tasks in done] == [
        ["done", "done"], ["done", "done"], ["open"],
    ]  # fmt: skip
    assert done[0][-3].values == {
        "check_with_releasing_school__on": "2026-09-22",
        "check_with_releasing_school__how": "电话",
    }


def test_each_of_a_batch_is_audited_by_itself(county, database, waiting_to_be_released):
    county.post("/inbox/batch", decision(task=tasks_of(database, waiting_to_be_released)))
    entry = audit.audit_entry.c
    with database.reading() as connection:
        found = connection.execute(
            sa.select(entry.case_id, entry.after["node"].as_string())
            .where(entry.action == "task.completed", entry.case_id.in_(waiting_to_be_released))
            .order_by(entry.id.desc())
            .limit(6)
        ).all()
    assert {(row[0], row[1]) for row in found} == {
        (case_id, node)
        for case_id in waiting_to_be_released
        for node in ("check_with_releasing_school", "decide_releasing_authority")
    }


def test_the_one_that_a_colleague_has_done_tells_who_and_holds_up_no_other(
    county, database, world, clock, waiting_to_be_released
):
    task_ids = tasks_of(database, waiting_to_be_released)
    [first] = play.open_tasks(database, waiting_to_be_released[0])
    with database.transaction() as connection:
        inbox.complete(connection, world[ANHUI].actor("county_colleague"), first.id, play.answers(first), at=clock())

    rows = rows_of(county.follow(county.post("/inbox/batch", decision(task=task_ids))).text)

    assert "未办成" in rows[0]
    assert "测试340000-county_colleague已于2026年9月22日 09:00办理" in rows[0]
    assert all("审批通过" in row for row in rows[1:3])


def test_one_that_fails_stays_ticked_with_its_reason(county, database, world, waiting_to_be_released, monkeypatch):
    task_ids = tasks_of(database, waiting_to_be_released)
    broken = inbox.complete

    def complete(connection, actor, task_id, entered, *, at):
        if task_id == task_ids[1]:
            raise RuntimeError("out of order")
        return broken(connection, actor, task_id, entered, at=at)

    monkeypatch.setattr(inbox, "complete", complete)
    page = county.follow(county.post("/inbox/batch", decision(task=task_ids))).text

    assert "未办成" in rows_of(page)[1]
    assert "out of order" not in page
    assert re.search(rf'value="{task_ids[1]}"[^>]* checked', page)
    assert not re.search(rf'value="{task_ids[0]}"', page)
    with database.reading() as connection:
        assert [item.state for item in inbox.of_case(connection, waiting_to_be_released[1])][-1] == "open"


def test_refusing_several_needs_reasons_and_keeps_what_was_ticked_and_typed(county, database, waiting_to_be_released):
    task_ids = tasks_of(database, waiting_to_be_released)
    answer = county.post(
        "/inbox/batch", decision(task=task_ids[:2], releasing_authority_result="refuse",
                                 check_with_releasing_school__how="当面"),
    )  # fmt: skip
    assert answer.status_code == 422
    assert all(re.search(rf'value="{task_id}"[^>]* checked', answer.text) for task_id in task_ids[:2])
    assert not re.search(rf'value="{task_ids[2]}"[^>]* checked', answer.text)
    assert "此项必填" in answer.text
    assert "当面" in answer.text
    assert [play.outcome(database, case_id) for case_id in waiting_to_be_released] == [None, None, None]


# Batches over several pages


@pytest.fixture
def two_a_page(monkeypatch):
    monkeypatch.setattr("web.inbox.PAGE_SIZE", 2)


def everything(case_ids, database, **more: object) -> dict[str, object]:
    return {"task": tasks_of(database, case_ids)[:2], "everything": "1"} | decision(**more)


def test_what_is_ticked_on_all_pages_is_decided_in_the_background(
    application, county, database, waiting_to_be_released, two_a_page
):
    page = county.get("/inbox").text
    assert "连同其他页，共 3 件" in page
    answer = county.post("/inbox/batch", everything(waiting_to_be_released, database))
    page = county.follow(answer).text
    assert "已处理 0 件，共 3 件" in page
    assert 'hx-trigger="every 1s"' in page
    assert answer.location in county.get("/inbox").text, "whoever leaves the page finds the way back"
    application.jobs.run_pending()
    page = county.get(answer.location).text
    assert "已处理 3 件，共 3 件" in page
    assert "hx-trigger" not in page.partition('id="progress"')[2].partition(">")[0]
    assert answer.location not in county.get("/inbox").text
    assert {play.open_tasks(database, case_id)[0].side for case_id in waiting_to_be_released} == {"receiving"}


def test_of_all_pages_only_what_is_listed_and_alike_is_decided(
    application, county, database, world, clock, waiting_to_be_released, apply, two_a_page
):
    [other] = apply(4, origin=HENAN, target=ANHUI)
    [elsewhere] = apply(5, origin=ANHUI, target=ZHEJIANG)
    while play.open_tasks(database, elsewhere)[0].node.id != "check_with_releasing_school":
        play.step(database, world, elsewhere, clock())
    county.post("/inbox/batch?region=410000", everything(waiting_to_be_released, database))
    application.jobs.run_pending()
    waiting = {row.case_id for row in county_tasks(database, world)}
    assert waiting == {other, elsewhere}


def county_tasks(database, world) -> list[inbox.Task]:
    with database.reading() as connection:
        return inbox.waiting_after(connection, world[ANHUI].actor("county"))


def test_those_that_failed_stand_there_with_their_reason(
    application, county, database, world, clock, waiting_to_be_released, two_a_page
):
    answer = county.post("/inbox/batch", everything(waiting_to_be_released, database))
    colleague = world[ANHUI].actor("county_colleague")
    [task] = play.open_tasks(database, waiting_to_be_released[0])
    with database.transaction() as connection:
        inbox.complete(connection, colleague, task.id, play.answers(task), at=clock())
    application.jobs.run_pending()
    page = county.get(answer.location).text
    assert "已办理 2 件；1 件未能办理" in page
    [row] = rows_of(page)
    assert name_of(1) in row
    assert id_number("340104", 1) not in page


def test_a_batch_on_all_pages_is_its_authors_own(
    visitor_of, county, database, world, waiting_to_be_released, two_a_page
):
    answer = county.post("/inbox/batch", everything(waiting_to_be_released, database))
    assert visitor_of(world[ANHUI].actor("county_colleague")).get(answer.location).status_code == 404


def test_on_all_pages_too_a_refusal_needs_reasons(county, database, waiting_to_be_released, two_a_page):
    form = everything(waiting_to_be_released, database, releasing_authority_result="refuse")
    assert county.post("/inbox/batch", form).status_code == 422


def test_where_one_page_holds_all_nothing_more_is_offered(county, waiting_to_be_released):
    assert "连同其他页" not in county.get("/inbox").text


def test_a_step_without_batch_has_nothing_to_tick(visitor_of, database, world, clock, apply):
    [case_id] = apply(1)
    reviewer = visitor_of(world[HENAN].actor("reviewer"))
    page = reviewer.get("/inbox").text
    assert len(rows_of(page)) == 1
    assert 'name="task"' not in page
    answer = reviewer.post("/inbox/batch", {"task": tasks_of(database, [case_id])})
    assert answer.status_code == 422
    assert play.open_tasks(database, case_id)[0].node.id == "decide_receiving_school"


def test_a_batch_touches_nobody_elses_tasks(visitor_of, database, world, waiting_to_be_released):
    other = visitor_of(world[ZHEJIANG].actor("county"))
    answer = other.post("/inbox/batch", decision(task=tasks_of(database, waiting_to_be_released)))
    assert answer.status_code == 404
    assert [play.outcome(database, case_id) for case_id in waiting_to_be_released] == [None, None, None]


# Done and started


def test_an_act_of_two_steps_is_one_line_of_what_was_done(county, database, waiting_to_be_released):
    county.post("/inbox/batch", decision(task=tasks_of(database, waiting_to_be_released)[:1]))
    [row] = rows_of(county.get("/inbox/done").text)
    assert "转出学校学籍主管部门审核" in row
    assert "审批通过" in row
    assert "测试410105" in row or "测试410000第一小学" in row


def test_the_applicant_finds_what_was_started_with_its_holder(visitor_of, database, world, clock, apply):
    apply(1)
    [row] = rows_of(visitor_of(world[HENAN].actor("operator")).get("/inbox/started").text)
    assert name_of(1) in row
    assert "测试410000第一小学" in row
    assert rows_of(visitor_of(world[HENAN].actor("colleague")).get("/inbox/started").text) == []


def test_a_withdrawn_case_leaves_the_inbox(county, database, world, clock, waiting_to_be_released):
    with database.transaction() as connection:
        locked = cases.lock(connection, world[HENAN].actor("operator"), waiting_to_be_released[0], at=clock())
        locked.cancel("withdrawn")
        locked.save()
    assert len(rows_of(county.get("/inbox").text)) == 2
