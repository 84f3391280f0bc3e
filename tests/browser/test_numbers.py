"""Numbers of two versions while sliders move and many cases are simulated; real cases on the diagram and in a file."""

from __future__ import annotations

import pytest
import sqlalchemy as sa
from playwright.sync_api import Page, expect

from engine import simulations
from engine.procedures import procedure_version

pytestmark = pytest.mark.browser


@pytest.fixture
def versions(demo_world) -> dict[str, int]:
    columns = procedure_version.c
    with demo_world.database.reading() as connection:
        rows = connection.execute(sa.select(columns.regime, columns.id).where(columns.state == "deployed"))
        return {row.regime: row.id for row in rows}


def mean(page: Page) -> list[float]:
    cells = page.locator("#figures tr", has=page.get_by_role("rowheader", name="平均", exact=True)).locator("td")
    return [float(text.split()[0]) for text in cells.all_inner_texts()]


def test_a_slider_moves_the_figures_and_many_cases_make_them_precise(demo_world, open_window, versions, monkeypatch):
    monkeypatch.setattr(simulations, "WHOLE", 3_000)
    monkeypatch.setattr(simulations, "_PROCESSES", 1)
    page = open_window().page
    demo_world.enter(page, "anhui-policy", f"/numbers/{versions['national']}/{versions['anhui']}")
    before = mean(page)
    slider = page.get_by_role("group", name="转出学校", exact=True).get_by_label("到有人着手办理")
    with page.expect_response(lambda answer: "/numbers/" in answer.url):
        slider.press("PageUp")
    expect(page.locator("#given-attention-releasing_school-value")).not_to_have_text("2")
    # In Anhui the releasing school does nothing in the system.
    cell = page.locator("#figures tr", has=page.get_by_role("rowheader", name="平均", exact=True)).locator("td").first
    expect(cell).not_to_contain_text(f"{before[0]:.1f}")
    after = mean(page)
    assert after[0] > before[0]
    assert after[1] == before[1]

    page.get_by_role("button", name="模拟").click()
    expect(page.get_by_text("正在后台为每一方模拟")).to_be_visible()
    demo_world.application.jobs.run_pending()
    expect(page.get_by_text("每一方模拟 100,000 件")).to_be_visible()
    expect(page.get_by_role("progressbar")).to_have_count(0)


def test_real_cases_are_seen_on_the_diagram_and_go_into_a_file(demo_world, open_window, versions):
    page = open_window().page
    demo_world.enter(page, "moe-auditor", "/practice")
    with page.expect_download() as download:
        page.get_by_label("OCEL 2.0").check()
        page.get_by_label("导出用途").fill("年度检查")
        page.get_by_role("button", name="导出").click()
    assert download.value.suggested_filename.endswith(".jsonocel")
    page.get_by_role("link", name="安徽 · 第 1 版").click()
    expect(page.get_by_text("每一件都逐步按照")).to_be_visible()
    row = page.get_by_role("row", name="转入学校学籍主管部门审核").first
    done = row.locator("td").nth(2).inner_text()
    badge = page.locator('.djs-overlays[data-container-id="decide_receiving_authority"] .heat-text')
    expect(badge).to_have_text(done)
    page.get_by_role("link", name="停留时间").click()
    expect(badge).to_contain_text(".")
