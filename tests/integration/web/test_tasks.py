"""A task's page: what is asked and why, who sees what, the decision, and what happens when somebody was faster."""

from __future__ import annotations

import html
import re

import pytest
import sqlalchemy as sa

from engine import audit, cases, inbox, procedures, transfers
from engine.audit import SYSTEM
from engine.registry.tables import student
from tests.integration import play
from tests.integration.world import id_number, name_of
from tests.unit.bpmn import diagrams

ANHUI, HENAN = "340000", "410000"
NUMBER = id_number("340104", 1)
MASKED = f"G{NUMBER[:10]}****"


@pytest.fixture
def case_id(database, world, clock):
    """A student leaves Anhui for Henan."""
    return play.apply(database, world, ANHUI, HENAN, clock())


@pytest.fixture
def reviewer(visitor_of, world):
    return visitor_of(world[HENAN].actor("reviewer"))


def task_of(database, case_id) -> int:
    return play.open_tasks(database, case_id)[0].id


def play_to(database, world, clock, case_id, node) -> int:
    """Play until a step is open, and answer its task."""
    while play.open_tasks(database, case_id)[0].node.id != node:
        play.step(database, world, case_id, clock())
    return task_of(database, case_id)


def words(page: str) -> str:
    return re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]+>", " ", page)))


def looks(database, case_id) -> list[int]:
    """Who has looked at the student of a case."""
    entry = audit.audit_entry.c
    with database.reading() as connection:
        return list(
            connection.scalars(
                sa.select(entry.person_id).where(entry.action == "student.viewed", entry.case_id == case_id)
            )
        )


# What is shown, and to whom


def test_the_page_says_what_is_asked_of_whom_and_why(reviewer, database, case_id):
    page = words(reviewer.get(f"/tasks/{task_of(database, case_id)}").text)
    assert "测试生1申请从测试340000第一小学转入测试410000第一小学。" in page
    assert "请办理：转入学校核办。" in page
    assert "对于同意接收的，转入学校通过学籍系统发起办理转学手续并核办。" in page
    assert "教基一司函〔2013〕68号 · 附件一.3" in page
    assert "自动核验通过" in page
    assert "随父母工作调动" in page


def test_whoever_has_to_decide_sees_the_numbers_in_full_and_that_is_logged(reviewer, database, world, case_id):
    page = reviewer.get(f"/tasks/{task_of(database, case_id)}").text
    assert f"G{NUMBER}" in page
    assert looks(database, case_id) == [world[HENAN].actor("reviewer").person_id]


def test_another_desk_of_the_same_school_sees_them_masked_and_can_not_decide(visitor_of, database, world, case_id):
    task_id = task_of(database, case_id)
    operator = visitor_of(world[HENAN].actor("operator"))
    answer = operator.get(f"/tasks/{task_id}")
    assert answer.status_code == 200
    assert MASKED in answer.text
    assert NUMBER not in answer.text
    assert "由其他岗位办理" in answer.text
    assert looks(database, case_id) == []
    assert operator.post(f"/tasks/{task_id}", {"receiving_school_result": "agree"}).status_code == 403
    assert task_of(database, case_id) == task_id


def test_for_everybody_else_the_task_does_not_exist(visitor_of, database, world, case_id):
    task_id = task_of(database, case_id)
    for actor in (
        world[ANHUI].actor("county"), world[HENAN].actor("county"), world[HENAN].actor("other_operator"),
        world[HENAN].actor("province_admin"), world.ministry_actors["operator"],
    ):  # fmt: skip
        visitor = visitor_of(actor)
        assert visitor.get(f"/tasks/{task_id}").status_code == 404
        assert visitor.post(f"/tasks/{task_id}", {"receiving_school_result": "agree"}).status_code == 404
    assert looks(database, case_id) == []


def test_a_task_that_is_over_shows_no_full_number(reviewer, database, case_id):
    task_id = task_of(database, case_id)
    reviewer.post(f"/tasks/{task_id}", {"receiving_school_result": "agree"})
    seen = looks(database, case_id)
    page = reviewer.get(f"/tasks/{task_id}").text
    assert MASKED in page
    assert NUMBER not in page
    assert looks(database, case_id) == seen


def test_the_other_sides_decisions_are_shown_without_its_persons_and_files(visitor_of, database, world, clock, case_id):
    task_id = play_to(database, world, clock, case_id, "check_with_releasing_school")
    page = words(visitor_of(world[ANHUI].actor("county")).get(f"/tasks/{task_id}").text)
    assert "转入学校学籍主管部门核办 同意 测试410105教育局" in page
    assert "测试410000-county" not in page
    assert "填写内容" not in page


def test_ones_own_side_sees_what_was_entered_and_by_whom(reviewer, database, case_id):
    page = words(reviewer.get(f"/tasks/{task_of(database, case_id)}").text)
    assert "测试410000-operator" in page
    assert re.search(r"填写内容 .*转学理由 随父母工作调动", page)


def test_what_stands_against_the_transfer_is_said_before_anybody_agrees(reviewer, database, case_id):
    with database.transaction() as connection:
        connection.execute(student.update().where(student.c.name == name_of(1)).values(problem=True))
    page = words(reviewer.get(f"/tasks/{task_of(database, case_id)}").text)
    assert "2003" in page
    assert "自动核验通过" not in page


def test_words_of_the_procedure_come_in_the_readers_language(visitor_of, database, world, clock, case_id):
    task_id = play_to(database, world, clock, case_id, "check_with_releasing_school")
    county = visitor_of(world[ANHUI].actor("county"))
    county.post("/locale", {"locale": "en"})
    page = words(county.get(f"/tasks/{task_id}").text)
    assert "First: Check with the releasing school. Then: Decision of the releasing authority." in page
    assert "Do not approve" in page
    assert "Automatic checks passed" in page


def test_a_link_from_a_colleagues_search_opens_the_task_all_the_same(reviewer, database, case_id):
    assert reviewer.get(f"/tasks/{task_of(database, case_id)}?search=not-mine").status_code == 200


# Deciding


def number_of(case_id: int) -> str:
    return f"ZX2026{case_id:08d}"


def test_after_a_decision_the_next_of_the_same_step_is_open_already(reviewer, database, world, clock, case_id):
    clock.turn(minutes=1)
    other = play.apply(database, world, ANHUI, HENAN, clock(), serial=2)
    answer = reviewer.post(f"/tasks/{task_of(database, case_id)}", {"receiving_school_result": "agree"})
    assert answer.status_code == 303
    assert answer.location == f"/tasks/{task_of(database, other)}"
    page = words(reviewer.follow(answer).text)
    assert (
        f"{number_of(case_id)} 已办理：同意。现由测试410105教育局办理：转入学校学籍主管部门核办，期限2026年10月13日。"
        in page
    )
    assert "返回列表" in page


def test_after_the_last_one_the_list_says_what_happened(reviewer, database, case_id):
    answer = reviewer.post(
        f"/tasks/{task_of(database, case_id)}?menu=x",
        {"receiving_school_result": "refuse", "receiving_school_opinion": "学位已满"},
    )
    assert answer.location == "/inbox?menu=x"
    page = words(reviewer.follow(answer).text)
    assert f"{number_of(case_id)} 已办理：不同意。转学流程终止，理由已告知各方。" in page
    assert "查看本次转学" in page
    assert play.outcome(database, case_id) == "refused"


def test_a_refusal_needs_its_reasons_and_loses_nothing(visitor_of, database, world, clock, case_id):
    task_id = play_to(database, world, clock, case_id, "check_with_releasing_school")
    answer = visitor_of(world[ANHUI].actor("county")).post(
        f"/tasks/{task_id}",
        {
            "check_with_releasing_school__on": "2026-09-21",
            "check_with_releasing_school__how": "当面核对",
            "releasing_authority_result": "refuse",
        },
    )
    assert answer.status_code == 422
    assert "此项必填" in answer.text
    assert "当面核对" in answer.text
    assert "2026-09-21" in answer.text
    # The refusal is still chosen, so its reasons are asked for.
    assert re.search(r'value="refuse" data-choice>', answer.text)
    assert play.outcome(database, case_id) is None


def test_a_manual_step_is_confirmed_and_decided_on_one_page(visitor_of, database, world, clock, case_id):
    task_id = play_to(database, world, clock, case_id, "check_with_releasing_school")
    county = visitor_of(world[ANHUI].actor("county"))
    # It was most often done today.
    assert 'value="2026-09-22"' in county.get(f"/tasks/{task_id}").text
    county.post(
        f"/tasks/{task_id}",
        {"check_with_releasing_school__on": "2026-09-22", "releasing_authority_result": "agree"},
    )
    with database.reading() as connection:
        done = [item.node.id for item in inbox.of_case(connection, case_id) if item.party == "releasing_authority"]
    assert done == ["check_with_releasing_school", "decide_releasing_authority"]


# Somebody was faster


def test_the_same_form_sent_twice_says_that_it_is_done(reviewer, database, case_id):
    task_id = task_of(database, case_id)
    form = {"receiving_school_result": "agree", "receiving_school_opinion": "同意接收"}
    assert reviewer.post(f"/tasks/{task_id}", form).status_code == 303
    again = reviewer.post(f"/tasks/{task_id}", form)
    assert again.status_code == 409
    assert "您已于2026年9月22日 09:00办理，本次提交未作任何改变。" in words(again.text)
    with database.reading() as connection:
        assert [item.node.id for item in inbox.of_case(connection, case_id) if item.state == "open"] == [
            "decide_receiving_authority"
        ]


def test_the_slower_of_two_learns_who_when_and_what_and_keeps_what_was_typed(
    visitor_of, database, world, clock, case_id
):
    task_id = play_to(database, world, clock, case_id, "decide_receiving_authority")
    slower = visitor_of(world[HENAN].actor("county_colleague"))
    with database.transaction() as connection:
        inbox.complete(
            connection, world[HENAN].actor("county"), task_id, {"receiving_authority_result": "agree"}, at=clock()
        )
    clock.turn(minutes=5)
    answer = slower.post(
        f"/tasks/{task_id}", {"receiving_authority_result": "refuse", "receiving_authority_opinion": "户籍不符"}
    )
    page = words(answer.text)
    assert answer.status_code == 409
    assert "测试410000-county已先行办理。" in page
    assert "2026年9月22日 09:00" in page
    assert re.search(r"已办 .*同意", page)
    assert re.search(r"您填写的内容 .*不同意 .*户籍不符", page)


def test_a_step_of_a_case_that_went_another_way_is_no_longer_needed(reviewer, database, world, clock, case_id):
    task_id = task_of(database, case_id)
    with database.transaction() as connection:
        transfers.withdraw(connection, world[HENAN].actor("operator"), case_id, "家长放弃", at=clock())
    answer = reviewer.post(f"/tasks/{task_id}", {"receiving_school_result": "agree"})
    assert answer.status_code == 409
    assert "无需再办" in answer.text
    assert reviewer.get(f"/tasks/{task_id}").status_code == 200


# Plain procedures

ERRAND = diagrams.plain(
    diagrams.start(),
    diagrams.manual("fetch", diagrams.properties(menu="内务/领取")),
    diagrams.user("note", diagrams.form(diagrams.field("remark", required="true")), name="登记"),
    diagrams.end(),
    diagrams.path("start", "fetch", "note", "end"),
)


def test_a_plain_procedure_waits_and_is_done_without_a_student(visitor_of, database, world, clock):
    actor = world[ANHUI].actor("operator")
    with database.transaction() as connection:
        version = procedures.upload(connection, SYSTEM, "anhui", "errand", ERRAND, at=clock())
        procedures.deploy(connection, SYSTEM, version.id, at=clock())
    with database.transaction() as connection:
        case_id = cases.start_plain(connection, actor, version, {}, at=clock())
    operator = visitor_of(actor)
    task_id = task_of(database, case_id)
    assert f"/tasks/{task_id}" in operator.get("/inbox").text
    page = words(operator.get(f"/tasks/{task_id}").text)
    assert "请办理：fetch。" in page
    assert "学生与学校" not in page
    operator.post(f"/tasks/{task_id}", {"fetch__on": "2026-09-22"})
    answer = operator.post(f"/tasks/{task_of(database, case_id)}", {"remark": "已登记"})
    assert "本件已办结。" in operator.follow(answer).text
    assert "登记" in operator.get("/inbox/done").text
    assert "测试340000-operator" in operator.get(f"/tasks/{task_id}").text
    assert looks(database, case_id) == []


def test_whoever_came_from_the_transfer_goes_back_to_it(database, world, clock, visitor_of):
    case_id = play.apply(database, world, HENAN, ANHUI, clock())
    play.apply(database, world, HENAN, ANHUI, clock(), serial=2)
    [task] = play.open_tasks(database, case_id)
    county = visitor_of(world[ANHUI].actor("county"))
    page = county.get(f"/transfers/{case_id}").text
    assert f'href="/tasks/{task.id}?back=transfer"' in page
    address = re.search(
        r'<form method="post" class="form" action="([^"]+)"', county.get(f"/tasks/{task.id}?back=transfer").text
    )[1]
    decided = county.post(html.unescape(address), play.answers(task))
    assert decided.location == f"/transfers/{case_id}"


def test_a_transfer_leads_nobody_but_its_holder_to_a_task(database, world, clock, visitor_of):
    case_id = play.apply(database, world, HENAN, ANHUI, clock())
    for name in ("operator", "county_admin", "province"):
        assert "?back=transfer" not in visitor_of(world[ANHUI].actor(name)).get(f"/transfers/{case_id}").text
