"""A deputy director's question answered on one page: open it, narrow it down, play a run, correct, swap, hand it on."""

from __future__ import annotations

import re
import zipfile

import pytest
from playwright.sync_api import expect

from .conftest import NARROW

pytestmark = pytest.mark.browser

PAGE = re.compile(r"/compare/\d+/\d+")


def open_first(demo_world, page, login: str) -> None:
    demo_world.enter(page, login, "/compare")
    page.get_by_role("link", name="全国与安徽").click()
    page.wait_for_url(PAGE)


def diagrams_are_drawn(page) -> None:
    expect(page.locator("[data-diagram]:not(:has(.djs-element))")).to_have_count(0)


def test_the_verdict_stands_on_the_first_screen(demo_world, open_window):
    page = open_window().page
    open_first(demo_world, page, "moe-policy")
    verdict = page.locator(".verdict")
    box = verdict.bounding_box()
    assert box is not None
    assert box["y"] + box["height"] <= 900
    expect(verdict.locator("dd")).to_have_count(3)


def test_differences_are_narrowed_down_without_leaving_the_page(demo_world, open_window):
    page = open_window().page
    open_first(demo_world, page, "shushan-operator")
    filters = page.locator(".filters")
    filters.get_by_label("涉及单位").select_option(label="转出学校")
    filters.get_by_label("性质").select_option(label="效力")
    expect(page.locator("#cards .card")).to_have_count(1)
    expect(page.locator("#cards .card .told")).to_contain_text("安徽未载明其可以不同意")
    assert "party=releasing_school" in page.url
    page.reload()
    expect(page.locator("#cards .card")).to_have_count(1)


def test_a_run_is_played_on_both_diagrams(demo_world, open_window):
    page = open_window(reduced_motion="reduce").page
    open_first(demo_world, page, "shushan-operator")
    diagrams_are_drawn(page)
    card = page.locator(".card", has_text="全国的转出学校在“转出学校核办”时可以不同意")
    card.get_by_role("button", name="在图上推演").click()
    player = page.locator("#player")
    expect(player).to_contain_text("1 / 7")
    while player.get_by_role("button", name="下一步").is_enabled():
        player.get_by_role("button", name="下一步").click()
    expect(player).to_contain_text("7 / 7")
    expect(player).to_contain_text("转出学校核办：不同意")
    # Passed on the side that is played; on the other side what it has of the same, which no school there decides.
    for side, times in (("a", 1), ("b", 0)):
        expect(page.locator(f'#diagram-{side} [data-element-id="decide_releasing_school"].is-passed')).to_have_count(
            times
        )
        assert page.locator(f'#diagram-{side} [data-element-id="apply"].is-passed').count() == 1
    player.get_by_role("button", name="关闭").click()
    expect(player).to_be_hidden()
    expect(page.locator(".is-passed")).to_have_count(0)


def test_both_diagrams_move_together_by_keys(demo_world, open_window):
    page = open_window().page
    open_first(demo_world, page, "shushan-operator")
    diagrams_are_drawn(page)

    def shown() -> list[list[float]]:
        """How large each picture is drawn, and where."""
        at = "side => document.querySelector(`#diagram-${side} .viewport`).getAttribute('transform') ?? ''"
        found = [re.findall(r"-?[\d.]+", page.evaluate(at, side)) for side in ("a", "b")]
        return [[round(float(number), 1) for number in numbers] for numbers in found]

    before = shown()
    page.locator("#diagram-a").focus()
    for key in ("+", "+", "ArrowRight"):
        page.keyboard.press(key)
    after = shown()
    assert before[0] != after[0]
    assert after[0] == after[1]
    page.keyboard.press("0")
    assert shown() == before


def test_a_policy_editor_corrects_a_match_and_takes_it_back(demo_world, open_window):
    page = open_window().page
    open_first(demo_world, page, "moe-policy")
    page.get_by_text("更正步骤对应").click()
    correcting = page.locator(".correcting")
    correcting.get_by_role("group", name="全国").get_by_label("转出学校核办 转出学校", exact=True).check()
    correcting.get_by_role("button", name="记住").click()
    expect(page.locator(".notice.is-agreed")).to_contain_text("已记住")
    expect(page.locator(".corrected")).to_contain_text("转出学校核办 — 没有对应的步骤")
    alone = page.locator(".ladder tr.alone", has_text="转出学校核办")
    expect(alone).to_contain_text("无此步骤")
    page.get_by_role("button", name="撤回").click()
    expect(page.locator(".corrected")).to_have_count(0)


def test_sides_are_swapped_and_the_report_is_handed_on(demo_world, open_window, tmp_path):
    page = open_window().page
    open_first(demo_world, page, "shushan-operator")
    page.get_by_role("link", name="左右互换").click()
    expect(page.locator("h1")).to_have_text("安徽与全国")
    for words, begins in (("对照报告 · Word", b"PK"), ("PDF", b"%PDF")):
        with page.expect_download() as waiting:
            page.get_by_role("link", name=words, exact=True).click()
        path = tmp_path / waiting.value.suggested_filename
        waiting.value.save_as(path)
        assert path.read_bytes().startswith(begins)
    with zipfile.ZipFile(next(tmp_path.glob("*.docx"))) as parts:
        assert "对照报告：安徽与全国" in parts.read("word/document.xml").decode()


def test_a_file_of_another_tool_is_compared_on_a_telephone(demo_world, open_window, tmp_path):
    drawing = tmp_path / "Enrolment.bpmn"
    drawing.write_text(
        '<definitions xmlns="http://www.omg.org/spec/BPMN/20100524/MODEL" id="d" targetNamespace="t"><process id="p">'
        '<startEvent id="s"/><task id="t" name="Enrol"/><endEvent id="e"/><sequenceFlow id="f" sourceRef="s"'
        ' targetRef="t"/><sequenceFlow id="g" sourceRef="t" targetRef="e"/></process></definitions>'
    )
    window = open_window(NARROW)
    # Nothing is drawn in a file without a picture, and the browser is told so.
    page = window.page
    demo_world.enter(page, "shushan-operator", "/compare")
    page.get_by_label("甲方").select_option(label="上传文件…")
    page.locator("input[name=a_diagram]").set_input_files(drawing)
    page.get_by_label("乙方").select_option(index=1)
    page.get_by_role("button", name="对照", exact=True).click()
    expect(page.locator("h1")).to_contain_text("Enrolment")
    expect(page.locator("#diagram-a")).to_contain_text("图未能载入")
    assert not window.is_wider_than_itself()
    window.complaints.clear()
