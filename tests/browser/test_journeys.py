"""What people do with the pages beside the plain way: many at once, refusing, withdrawing, being too late, mending."""

from __future__ import annotations

import re

import pytest
import sqlalchemy as sa
from playwright.sync_api import expect

from engine import accounts, inbox
from engine.accounts import person
from engine.audit import Actor
from engine.registry.tables import electronic_record, record_part
from engine.transfers.tables import transfer

from . import changed
from .conftest import NARROW
from .walker import TASK, TRANSFER, Walker

pytestmark = pytest.mark.browser

OUT = "/inbox?menu=变动审批/转出审批"


def actor(connection, login: str) -> Actor:
    """Somebody of the demo world in the first membership."""
    person_id = connection.execute(sa.select(person.c.id).where(person.c.login == login)).scalar_one()
    return accounts.actor_of_membership(connection, accounts.memberships_of(connection, person_id)[0].id)


def rows(page):
    return page.locator("table.rows tbody tr")


def open_first(page, step: str) -> None:
    """Open the first task of a step in the inbox."""
    rows(page).filter(has_text=step).first.locator("td.main a").click()
    page.wait_for_url(TASK)


# Many at once ----------------------------------------------------------------------------------------------------


def test_several_of_several_schools_are_decided_at_once_and_the_one_that_fails_stays_with_its_reason(
    demo_world, open_window
):
    page = open_window().page
    demo_world.enter(page, "shushan-operator", OUT)
    waiting = rows(page).count()
    for place in range(4):
        rows(page).nth(place).locator("[data-tick]").check()
    bar = page.locator(".batch-bar:visible")
    expect(bar).to_contain_text("已选 4 人（3 所学校）")
    bar.get_by_role("button", name="审批通过…").click()
    # The check with the releasing school is confirmed in the same act.
    dialog = page.get_by_role("dialog")
    expect(dialog.locator("legend").first).to_contain_text("与转出学校核对")
    expect(dialog.get_by_label("完成日期")).to_have_value("2026-09-22")
    faster = page.locator("[data-tick]:checked").nth(1).get_attribute("value")
    with demo_world.database.transaction() as connection:
        colleague = actor(connection, "shushan-colleague")
        task = inbox.get(connection, colleague, int(faster))
        entered = {item.id: "2026-09-22" for item in task.form if item.type == "date"}
        entered[task.act[-1].bound("decision.result").id] = "agree"
        inbox.complete(connection, colleague, task.id, entered, at=demo_world.application.clock())
    dialog.get_by_role("button", name="审批通过", exact=True).click()
    expect(page.locator(".notice", has_text="已办理 3 项")).to_be_visible()
    expect(rows(page).filter(has_text="审批通过")).to_have_count(3)
    failed = page.locator("tr.failed")
    expect(failed).to_have_count(1)
    expect(failed.locator(".reason")).to_contain_text("茴香")
    expect(page.locator(".tabs [aria-current] .count")).to_have_text(str(waiting - 4))


def test_an_authority_of_the_national_procedure_decides_one_by_one(demo_world, open_window):
    page = open_window().page
    demo_world.enter(page, "jinshui-operator")
    expect(rows(page).first).to_be_visible()
    expect(page.locator("[data-tick]")).to_have_count(0)


# Refusing, withdrawing -------------------------------------------------------------------------------------------


def test_a_refusal_needs_reasons_ends_the_transfer_and_is_told_to_the_other_side(demo_world, open_window):
    page = open_window().page
    demo_world.enter(page, "zhiyuan-operator")
    open_first(page, "转出学校核办")
    number = page.locator("main a[href^='/transfers/']", has_text="ZX").inner_text()
    receiving = (
        page.locator(".facts")
        .get_by_text("转入学校", exact=True)
        .locator("xpath=following-sibling::dd[1]")
        .inner_text()
    )
    decision = page.locator(".decision")
    decision.get_by_role("button", name="不同意…").click()
    decision.get_by_role("button", name="不同意", exact=True).click()
    reasons = decision.locator("textarea:focus")
    assert reasons.evaluate("control => control.validity.valueMissing")
    reasons.fill("该生有未结清的在办业务，请家长先到校办理。")
    decision.get_by_role("button", name="不同意", exact=True).click()
    expect(page.locator(".notice.is-agreed")).to_contain_text("转学流程终止")
    operators = {"杭州市棉花糖小学": "mianhuatang-operator", "合肥市星河路实验学校": "xinghe-operator"}
    demo_world.enter(page, operators[receiving], "/notices?unread=1")
    rows(page).first.locator("td.main a").click()
    expect(page.locator(".standing .badge")).to_have_text("不同意")
    expect(page.locator(".standing")).to_contain_text("该生有未结清的在办业务")
    expect(page.locator(".standing")).to_contain_text(number)


def test_the_receiving_school_withdraws_while_nothing_is_retrieved(demo_world, open_window):
    page = open_window().page
    demo_world.enter(page, "yunduo-operator", "/inbox/started")
    rows(page).filter(has_text="办理中").first.locator("td.main a").click()
    page.get_by_role("button", name="撤回…").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("撤回理由").fill("家长决定不再转学。")
    dialog.get_by_role("button", name="撤回转学").click()
    expect(page.locator(".standing .badge")).to_have_text("已撤回")
    expect(page.locator(".standing")).to_contain_text("家长决定不再转学。")
    expect(page.get_by_role("button", name="撤回…")).to_have_count(0)


# Too late, and found nothing -------------------------------------------------------------------------------------


def test_the_slower_of_two_colleagues_learns_who_was_faster_and_keeps_what_was_typed(demo_world, open_window):
    slow, fast = open_window(), open_window()
    slow.expected.add(409)
    demo_world.enter(slow.page, "shushan-operator")
    open_first(slow.page, "转入学校学籍主管部门审核")
    slow.page.locator(".decision textarea").fill("材料齐全。")
    demo_world.enter(fast.page, "shushan-colleague", slow.page.url.removeprefix(demo_world.address))
    fast.page.locator(".decision .primary").click()
    expect(fast.page.locator(".notice.is-agreed")).to_be_visible()
    slow.page.locator(".decision .primary").click()
    expect(slow.page.locator(".decision .notice")).to_contain_text("茴香已先行办理")
    expect(slow.page.locator(".decision")).to_contain_text("材料齐全。")
    expect(slow.page.get_by_role("link", name="办理下一件")).to_be_visible()


def test_a_student_is_found_by_number_and_name_together_or_not_at_all(demo_world, open_window):
    window = open_window()
    window.expected.add(404)
    page = window.page
    demo_world.enter(page, "zhiyuan-operator", "/transfers/new?origin=340000")
    example = page.locator(".examples input[name=record_number]").first.get_attribute("value")
    page.get_by_label("学生姓名").fill("查无此人")
    page.get_by_label("学籍号（").fill(example)
    page.get_by_role("button", name="查找学生").click()
    found = page.locator("#found")
    expect(found.locator(".wrong").first).to_contain_text("转出方没有学籍号与姓名均相符的学生")
    expect(found.locator(".found-head")).to_have_count(0)
    expect(page.get_by_label("学籍号（")).to_have_value(example)


def test_what_was_entered_is_kept_as_a_draft_and_taken_up_again(demo_world, open_window):
    page = open_window().page
    demo_world.enter(page, "yunduo-operator", "/transfers/new?origin=410000")
    page.get_by_label("学生姓名").fill("甲木星")
    expect(page.locator("#draft-state")).to_contain_text("草稿已于")
    demo_world.enter(page, "yunduo-operator", "/transfers/drafts")
    rows(page).filter(has_text="甲木星").locator("a").first.click()
    expect(page.get_by_label("学生姓名")).to_have_value("甲木星")


# The procedure changes -------------------------------------------------------------------------------------------


def test_a_changed_diagram_governs_new_cases_and_running_ones_finish_under_their_own(demo_world, open_window, tmp_path):
    file = tmp_path / "transfer.bpmn"
    file.write_bytes(changed.anhui())
    page = open_window().page

    def apply() -> str:
        page.goto(f"{demo_world.address}/login")
        walker = Walker(page)
        walker.apply("yunduo-operator", "转入学校", "郑州市纸鸢小学")
        page.wait_for_url(TRANSFER)
        return page.url

    def next_step() -> str:
        return page.locator(".standing-now").inner_text()

    running = apply()
    assert "转入学校学籍主管部门审核" in next_step()
    assert "还剩 10 个工作日" in next_step()

    demo_world.enter(page, "anhui-policy", "/procedures")
    page.get_by_role("link", name="上传新版本").click()
    page.get_by_label("流程图（.bpmn）").set_input_files(file)
    page.get_by_label("说明").fill("增加分管领导确认，审批时限改为五个工作日。")
    page.get_by_role("button", name="上传", exact=True).click()
    # Before it is deployed it is told what it changes.
    changes = page.locator("section", has=page.get_by_role("heading", name="与现行第 1 版相比")).locator("tbody tr")
    expect(changes.filter(has_text="转入学校分管领导确认").filter(has_text="新增")).not_to_have_count(0)
    renamed = changes.filter(has_text="转入学校学籍主管部门审批").first
    expect(renamed).to_contain_text("5")
    page.get_by_role("button", name="启用", exact=True).click()
    expect(page.locator("h1 .badge")).to_have_text("现行")

    new = apply()
    assert new != running
    assert "转入学校分管领导确认" in next_step()
    page.locator(".party-chips button:has(svg)").click()
    page.locator(".head .actions .primary").click()
    page.get_by_role("button", name="转入学校分管领导确认").click()
    page.wait_for_url(TRANSFER)
    assert "转入学校学籍主管部门审批" in next_step()
    assert "还剩 5 个工作日" in next_step()

    page.goto(running)
    assert "转入学校学籍主管部门审核" in next_step()
    expect(page.locator(".pool-version").first).to_contain_text("第 1 版")


def test_anybody_may_read_what_a_version_changed(demo_world, open_window, tmp_path):
    file = tmp_path / "transfer.bpmn"
    file.write_bytes(changed.anhui())
    page = open_window().page
    demo_world.enter(page, "anhui-policy", "/procedures/new/anhui")
    page.get_by_label("流程图（.bpmn）").set_input_files(file)
    page.get_by_role("button", name="上传", exact=True).click()
    page.get_by_role("button", name="启用", exact=True).click()
    expect(page.locator("h1 .badge")).to_have_text("现行")
    demo_world.enter(page, "jinshui-operator", "/procedures")
    page.locator("section", has_text="皖教秘基").get_by_role("link", name="第 1 版").click()
    page.get_by_role("link", name="检查").click()
    changes = page.locator("section", has_text="第 2 版").locator("tbody tr")
    expect(changes.filter(has_text="转入学校分管领导确认")).not_to_have_count(0)


# Those who keep it running, and those who look on ----------------------------------------------------------------


def test_an_administrator_retries_after_the_cause_is_gone(demo_world, open_window):
    page = open_window().page
    demo_world.enter(page, "yunduo-operator")
    open_first(page, "调取学生学籍电子档案")
    number = page.locator("main a[href^='/transfers/']", has_text="ZX").inner_text()
    with demo_world.database.transaction() as connection:
        part = _part_of(connection, number)
        content = connection.scalar(sa.select(record_part.c.content).where(record_part.c.id == part))
        _write(connection, part, {"视力": 0})
    page.locator(".decision .primary").click()
    demo_world.enter(page, "shushan-administrator", "/incidents")
    incident = rows(page).filter(has_text=number)
    incident.get_by_role("button", name="重试").click()
    expect(incident).to_contain_text("校验不符")  # nothing has been mended yet
    expect(incident.locator(".number")).to_have_text("2")
    with demo_world.database.transaction() as connection:
        _write(connection, part, content)
    incident.get_by_role("button", name="重试").click()
    expect(incident).to_have_count(0)
    page.goto(f"{demo_world.address}/incidents?state=resolved")
    page.get_by_role("link", name=number).click()
    expect(page.locator(".standing .badge")).to_have_text("已调档")


def _part_of(connection, number: str) -> int:
    """A part of the record that a transfer is about."""
    student = sa.select(transfer.c.student_id).where(transfer.c.number == number).scalar_subquery()
    records = sa.select(electronic_record.c.id).where(electronic_record.c.student_id == student)
    return connection.scalar(sa.select(sa.func.max(record_part.c.id)).where(record_part.c.record_id.in_(records)))


def _write(connection, part: int, content: dict[str, object]) -> None:
    """What somebody does to a record behind the system's back."""
    connection.execute(record_part.update().where(record_part.c.id == part).values(content=content))


def test_an_auditor_finds_who_looked_at_a_student(demo_world, open_window):
    page = open_window().page
    demo_world.enter(page, "shushan-operator")
    open_first(page, "转入学校学籍主管部门审核")
    demo_world.enter(page, "anhui-auditor", "/audit")
    page.get_by_label("姓名或登录名").fill("海棠")
    page.get_by_label("操作", exact=True).select_option(label="查看学生信息")
    page.get_by_role("button", name="查询").last.click()
    page.wait_for_load_state()
    expect(rows(page)).to_have_count(1)
    expect(rows(page).first).to_contain_text("shushan-operator")
    expect(rows(page).first).to_contain_text("合肥市蜀山区教育局 · 经办")
    assert "海棠" not in page.url


# By keys alone, and on a telephone -------------------------------------------------------------------------------


def test_an_inbox_is_worked_by_keys_alone(demo_world, open_window):
    page = open_window().page
    demo_world.enter(page, "shushan-operator", OUT)
    first, second = (rows(page).nth(place).locator(".name").inner_text() for place in (0, 1))
    for key in ("j", "j", "x", "k", "x"):
        page.keyboard.press(key)
    expect(page.locator(".batch-bar:visible")).to_contain_text("已选 2 人")
    for key in ("x", "j", "x", "k", "Enter"):
        page.keyboard.press(key)
    page.wait_for_url(TASK)
    expect(page.locator(".asked")).to_contain_text(first)
    agree = page.locator(".decision .primary")
    for _ in range(60):
        if agree.evaluate("button => button === document.activeElement"):
            break
        page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    # The next one of the same step is open already.
    expect(page.locator(".notice.is-agreed")).to_be_visible()
    expect(page.locator(".asked")).to_contain_text(second)


def test_a_reviewer_decides_on_a_telephone_on_one_screen(demo_world, open_window):
    page = open_window(NARROW, has_touch=True).page
    demo_world.enter(page, "zhiyuan-reviewer")
    rows(page).first.locator("td.main a").tap()
    page.wait_for_url(TASK)
    for part in (
        page.locator("h1"),
        page.locator(".asked"),
        page.locator(".facts").first,
        page.locator(".decision .primary"),
    ):
        expect(part).to_be_in_viewport()
    assert page.evaluate("scrollY") == 0
    box = page.locator(".decision .primary").bounding_box()
    assert box["height"] >= 44
    page.locator(".decision .primary").tap()
    expect(page.locator(".notice.is-agreed")).to_contain_text(re.compile("同意.*郑州市金水区教育局"))
