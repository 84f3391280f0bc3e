"""The page of a transfer: who has it, how long each party took, what happened, and what only some may see or do."""

from __future__ import annotations

import html
import re

import pytest
import sqlalchemy as sa

from engine import audit, cases, transfers
from engine.registry.tables import electronic_record, record_part, student
from tests.integration import play
from tests.integration.world import id_number, name_of

ANHUI, HENAN, ZHEJIANG = "340000", "410000", "330000"
NUMBER = id_number("410105", 1)
MASKED = f"G{NUMBER[:10]}****"
TABS = ("", "/history", "/student")


@pytest.fixture
def case_id(database, world, clock) -> int:
    """From Henan to Anhui, at the receiving authority."""
    return play.apply(database, world, HENAN, ANHUI, clock())


@pytest.fixture
def operator(visitor_of, world):
    """The receiving school's."""
    return visitor_of(world[ANHUI].actor("operator"))


@pytest.fixture
def other_side(visitor_of, world):
    """The releasing authority's operator."""
    return visitor_of(world[HENAN].actor("county"))


def words(page: str) -> str:
    """What is to be read on a page: without what scripts and closed templates hold."""
    page = re.sub(r"<template>.*?</template>", " ", page, flags=re.DOTALL)
    return re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]+>", " ", page)))


def in_english(visitor):
    visitor.post("/locale", {"locale": "en"})
    return visitor


def deeds(database, *actions: str) -> list[tuple[str, int, int]]:
    entry = audit.audit_entry.c
    with database.reading() as connection:
        rows = connection.execute(
            sa.select(entry.action, entry.person_id, entry.case_id).where(entry.action.in_(actions)).order_by(entry.id)
        )
        return [tuple(row) for row in rows]


# Head and ribbon -------------------------------------------------------------------------------------------------


def test_the_head_says_whom_it_is_about_who_has_it_since_when_and_how_long_still(operator, case_id):
    page = words(operator.get(f"/transfers/{case_id}").text)

    assert f"{name_of(1)}的转学" in page
    assert "办理中 测试410000第一小学 测试340000第一小学" in page
    assert "现由测试340104教育局办理 · 转入学校学籍主管部门审核 还剩 10 个工作日" in page
    assert "自2026年9月22日" in page
    assert MASKED in page


def test_the_page_shows_no_full_number_anywhere(visitor_of, world, database, clock, case_id):
    play.play(database, world, case_id, clock())
    for actor in (world[ANHUI].actor("operator"), world[HENAN].actor("county"), world.ministry_actors["auditor"]):
        for tab in TABS:
            assert NUMBER not in visitor_of(actor).get(f"/transfers/{case_id}{tab}").text


def test_the_ribbon_says_in_words_and_numbers_what_its_bars_show(visitor_of, world, clock, case_id):
    clock.turn(days=23)  # 15 October: the twelfth working day after, since the national holiday lies between
    page = words(visitor_of(world[ANHUI].actor("operator")).get(f"/transfers/{case_id}").text)

    assert "转入学校 测试340000第一小学 当日" in page
    assert "转入学校学籍主管部门 测试340104教育局 12 个工作日 / 时限 10 超期 2 个" in page
    assert "2026-09-22 – 今天" in page
    assert "已逾期" in page


def test_a_refusal_is_told_in_the_diagrams_words_with_its_reasons(operator, database, world, clock, case_id):
    play.step(database, world, case_id, clock(), refuse=True)
    page = words(operator.get(f"/transfers/{case_id}").text)

    assert "不同意" in page
    assert "测试340104教育局 · 审批不通过 学位已满，无法接收" in page
    assert "还剩" not in page


def test_what_the_automatic_check_refused_is_told_with_the_remedy(operator, database, world, clock, case_id):
    with database.transaction() as connection:
        connection.execute(student.update().where(student.c.id == world[HENAN].students[0]).values(problem=True))
    play.step(database, world, case_id, clock())

    for tab in ("", "/history"):
        page = words(operator.get(f"/transfers/{case_id}{tab}").text)
        assert "自动核验未通过，转学流程终止" in page
        assert "2003" in page


# Who sees it -----------------------------------------------------------------------------------------------------


def test_before_the_request_no_tab_exists_for_the_releasing_side(other_side, database, world, clock, case_id):
    paths = [*TABS, "/diagrams/receiving"]
    for path in paths:
        assert other_side.get(f"/transfers/{case_id}{path}").status_code == 404
    assert other_side.post(f"/transfers/{case_id}/student").status_code == 404

    play.step(database, world, case_id, clock())
    for path in paths:
        assert other_side.get(f"/transfers/{case_id}{path}").status_code == 200


def test_a_case_that_is_no_transfer_and_one_that_is_none_at_all_are_not_found(operator, case_id):
    for path in ("/transfers/999999", "/transfers/999999/history", f"/transfers/{case_id}/diagrams/elsewhere"):
        assert operator.get(path).status_code == 404


def test_the_other_side_is_shown_by_its_offices_and_decisions_without_its_persons(
    operator, other_side, database, world, clock, case_id
):
    play.play(database, world, case_id, clock())
    mine, theirs = world[ANHUI].actor("operator").person_name, world[HENAN].actor("county").person_name

    page = words(operator.get(f"/transfers/{case_id}/history").text)
    assert mine in page
    assert theirs not in page
    assert "转出学校学籍主管部门 测试410105教育局 对方人员不显示 转出学校学籍主管部门核办 同意" in page

    page = words(other_side.get(f"/transfers/{case_id}/history").text)
    assert theirs in page
    assert mine not in page
    assert page.count("办理方式") == 1  # of the paper file, which its own school sent; how others worked is their own


# Progress --------------------------------------------------------------------------------------------------------


def test_each_pool_is_drawn_from_its_own_sides_version(operator, database, world, clock, case_id):
    play.step(database, world, case_id, clock())
    page = operator.get(f"/transfers/{case_id}").text
    for side, participant in (("receiving", "receiving_side"), ("releasing", "releasing_side")):
        assert f'data-diagram="/transfers/{case_id}/diagrams/{side}"' in page
        assert f'data-participant="{participant}"' in page
    with database.reading() as connection:
        versions = {stand.side: stand.version for stand in cases.stands(connection, case_id)}
    for side, version in versions.items():
        answer = operator.get(f"/transfers/{case_id}/diagrams/{side}")
        assert answer.data == version.diagram
        again = operator.get(f"/transfers/{case_id}/diagrams/{side}", headers={"If-None-Match": answer.headers["ETag"]})
        assert again.status_code == 304
    assert versions["receiving"].regime == "anhui"
    assert versions["releasing"].regime == "national"


def test_the_steps_are_listed_in_words_beside_the_drawing(operator, database, world, clock, case_id):
    page = words(operator.get(f"/transfers/{case_id}").text)
    assert "对于同意接收的，通过我省自建学籍系统发起办理转学手续 已完成 · 2026-09-22" in page
    assert "转入学校学籍主管部门审核 当前步骤" in page
    assert "调取学生学籍电子档案 未到" in page
    assert "申请尚未送达该方。" in page

    play.step(database, world, case_id, clock())
    page = words(operator.get(f"/transfers/{case_id}").text)
    assert "转入学校学籍主管部门审核 已完成 · 2026-09-22 · 审批通过" in page
    assert "等待转出方审核 等待中" in page
    assert "转出学校核办 当前步骤" in page

    play.step(database, world, case_id, clock(), refuse=True)
    assert "调取学生学籍电子档案 未进行" in words(operator.get(f"/transfers/{case_id}").text)


def test_the_current_steps_clause_is_quoted_from_the_document_of_its_side(operator, database, world, clock, case_id):
    page = words(operator.get(f"/transfers/{case_id}").text)
    assert "转入学校学籍主管部门在学籍系统中审核。 皖教秘基〔2014〕2号 · 附件一.4" in page


def test_the_messages_between_the_pools_are_listed_in_time(operator, database, world, clock, case_id):
    assert "尚无往来" in words(operator.get(f"/transfers/{case_id}").text)
    while play.open_tasks(database, case_id):
        play.step(database, world, case_id, clock.turn(minutes=5))
    page = words(operator.get(f"/transfers/{case_id}").text).split("双方往来")[1]
    order = [page.index(told) for told in ("提请审核", "同意信息", "学籍系统同时通知转出学校", "通知转入学校")]
    assert order == sorted(order)
    assert "校验值" in page


# Student and record ----------------------------------------------------------------------------------------------


def test_the_student_is_masked_until_a_party_asks_and_each_look_is_logged(operator, database, world, case_id):
    path, person = f"/transfers/{case_id}/student", world[ANHUI].actor("operator").person_id
    page = operator.get(path).text
    assert MASKED in page
    assert "测试家长" not in page
    assert deeds(database, "student.viewed") == []

    for _ in range(2):
        page = operator.post(path).text
        assert f"G{NUMBER}" in page
        assert "测试家长" in page
        assert "已留痕" in page
    assert deeds(database, "student.viewed") == [("student.viewed", person, case_id)] * 2


def test_whoever_does_not_work_on_it_is_neither_offered_nor_given_the_full_data(visitor_of, world, database, case_id):
    for actor in (
        world[ANHUI].actor("school_admin"), world[ANHUI].actor("county_auditor"), world[ANHUI].actor("province"),
        world.ministry_actors["operator"],
    ):  # fmt: skip
        visitor = visitor_of(actor)
        assert f'action="/transfers/{case_id}/student#who"' not in visitor.get(f"/transfers/{case_id}/student").text
        answer = visitor.post(f"/transfers/{case_id}/student")
        assert answer.status_code == 403
        assert NUMBER not in answer.text
    assert deeds(database, "student.viewed") == []


def test_the_record_is_opened_by_its_school_and_the_backup_says_that_it_is_one(
    operator, other_side, database, world, clock, case_id
):
    play.play(database, world, case_id, clock())
    with database.reading() as connection:
        found = transfers.get(connection, world[ANHUI].actor("operator"), case_id)
        held = {row.state: row.id for row in connection.execute(sa.select(electronic_record).where(
            electronic_record.c.student_id == found.student.id))}  # fmt: skip

    page = words(operator.get(f"/transfers/{case_id}/student").text)
    assert "测试340000第一小学 · 在用" in page
    assert "测试410000第一小学 · 备份，只读" in page
    assert found.record_hash in page
    assert "序号" not in page

    answer = operator.post(f"/transfers/{case_id}/records/{held['current']}")
    assert "序号" in answer.text
    assert "只能查看" not in answer.text
    assert operator.post(f"/transfers/{case_id}/records/{held['backup']}").status_code == 404

    page = words(other_side.post(f"/transfers/{case_id}/records/{held['backup']}").text)
    assert "这是原学校留存的备份，只能查看。" in page
    assert "校验结果 是" in page
    assert [deed[0] for deed in deeds(database, "record.viewed")] == ["record.viewed"] * 2


def test_a_record_that_was_altered_says_so(operator, database, world, clock, case_id):
    play.play(database, world, case_id, clock())
    with database.transaction() as connection:
        connection.execute(record_part.update().values(content={"序号": "改过"}))
        found = transfers.get(connection, world[ANHUI].actor("operator"), case_id)
        held = transfers.holdings(connection, world[ANHUI].actor("operator"), found)

    page = words(operator.post(f"/transfers/{case_id}/records/{held[0].record_id}").text)

    assert "不符：档案在系统之外被改动。" in page


# Log -------------------------------------------------------------------------------------------------------------


def test_the_log_is_for_auditors_and_shows_their_own_jurisdiction(
    visitor_of, operator, database, world, clock, case_id
):
    play.play(database, world, case_id, clock())
    auditor = visitor_of(world[ANHUI].actor("county_auditor"))

    assert "操作记录" in auditor.get(f"/transfers/{case_id}").text
    page = words(auditor.get(f"/transfers/{case_id}/log").text)
    assert "发起了转学" in page or "发起转学" in page
    assert world[ANHUI].actor("operator").person_name in page
    assert world[HENAN].actor("county").person_name not in page

    assert "操作记录" not in words(operator.get(f"/transfers/{case_id}").text)
    assert operator.get(f"/transfers/{case_id}/log").status_code == 403


# Withdrawal ------------------------------------------------------------------------------------------------------


def test_withdrawal_is_offered_to_the_receiving_schools_operator_while_it_is_possible(
    visitor_of, operator, other_side, database, world, clock, case_id
):
    path = f"/transfers/{case_id}"
    assert 'id="withdrawal"' in operator.get(path).text
    for name in ("reviewer", "school_admin", "county"):
        assert 'id="withdrawal"' not in visitor_of(world[ANHUI].actor(name)).get(path).text
    while play.step(database, world, case_id, clock()) != "retrieve":
        pass
    assert 'id="withdrawal"' not in operator.get(path).text
    assert 'id="withdrawal"' not in other_side.get(path).text


def test_a_withdrawal_needs_a_reason_and_keeps_the_dialog_open_until_it_has_one(operator, database, case_id):
    answer = operator.post(f"/transfers/{case_id}/withdrawal", {"reason": "  "})
    assert answer.status_code == 422
    assert re.search(r'<dialog id="withdrawal"[^>]* data-open', answer.text)
    assert play.outcome(database, case_id) is None

    answer = operator.post(f"/transfers/{case_id}/withdrawal", {"reason": "家长改变主意"})
    assert (answer.status_code, answer.location) == (303, f"/transfers/{case_id}")
    page = words(operator.get(answer.location).text)
    assert "转学申请已撤回，并已告知参与办理的各方。" in page
    assert "转入学校已撤回 家长改变主意" in page
    assert play.outcome(database, case_id) == "withdrawn"


def test_a_withdrawal_that_comes_too_late_says_what_to_do_instead(operator, database, world, clock, case_id):
    while play.step(database, world, case_id, clock()) != "retrieve":
        pass
    answer = operator.post(f"/transfers/{case_id}/withdrawal", {"reason": "家长改变主意"})
    assert answer.status_code == 409
    assert "无法撤回" in answer.text or "不能撤回" in answer.text
    assert f"{name_of(1)}的转学" in answer.text


def test_nobody_else_can_withdraw_by_hand(visitor_of, database, world, clock, case_id):
    play.step(database, world, case_id, clock())
    for actor, status in (
        (world[ANHUI].actor("reviewer"), 403),
        (world[ANHUI].actor("county"), 403),
        (world[HENAN].actor("operator"), 403),
        (world[ZHEJIANG].actor("operator"), 404),
    ):
        assert visitor_of(actor).post(f"/transfers/{case_id}/withdrawal", {"reason": "x"}).status_code == status
    assert play.outcome(database, case_id) is None


# Incidents -------------------------------------------------------------------------------------------------------


def test_an_incident_is_told_on_its_own_side_and_administrators_are_led_to_it(
    visitor_of, operator, other_side, database, world, clock, case_id
):
    with database.transaction() as connection:
        connection.execute(record_part.update().values(content={"序号": "改过"}))
    while play.step(database, world, case_id, clock()) != "retrieve":
        pass

    page = operator.get(f"/transfers/{case_id}").text
    assert "转学在“调取学生电子档案到转入学校”这一步无法继续。" in words(page)
    assert 'href="/incidents"' not in page
    administrator = visitor_of(world[ANHUI].actor("school_admin")).get(f"/transfers/{case_id}").text
    assert 'href="/incidents">查看异常' in administrator
    assert "无法继续" not in other_side.get(f"/transfers/{case_id}").text


def test_it_is_as_complete_in_english(operator, database, world, clock, case_id):
    play.step(database, world, case_id, clock())
    visitor = in_english(operator)
    page = words(visitor.get(f"/transfers/{case_id}").text)
    for told in (
        f"Transfer of {name_of(1)}", "Current step", "allowed: 10", "Decision asked for", "Still to come",
        "Between the two sides", "Receiving authority", "Wait for the releasing side",
    ):  # fmt: skip
        assert told in page


def test_the_audit_log_is_searched_by_the_number_that_people_know(visitor_of, world, case_id):
    auditor = visitor_of(world[ANHUI].actor("county_auditor"))
    shown = auditor.follow(auditor.post("/audit", {"case_id": f"ZX2026{case_id:08d}"})).text
    assert f'href="/audit?case_id={case_id}"' in shown
