"""The pictures of the documentation, taken anew: `make test TESTS=tests/browser/pictures.py`.

A palette of 256 colours makes them a third as large, before they are committed.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from .conftest import Demo
from .walker import Walker

pytestmark = pytest.mark.browser

FOLDER = Path(__file__).parents[2] / "docs" / "pictures"
DESK = {"width": 1280, "height": 800}


def take(page: Page, name: str) -> None:
    expect(page.locator("[data-diagram]:not(:has(.djs-element))")).to_have_count(0)
    page.screenshot(path=FOLDER / f"{name}.png")


def inbox(demo: Demo, page: Page) -> None:
    demo.enter(page, "shushan-operator", "/inbox?menu=变动审批/转出审批")
    for place in (0, 1, 3):
        page.locator("[data-tick]").nth(place).check()


def task(demo: Demo, page: Page) -> None:
    demo.enter(page, "shushan-operator", "/inbox?menu=变动审批/转入审批")
    page.locator("td.main a").first.click()


def procedure(demo: Demo, page: Page) -> None:
    demo.enter(page, "anhui-policy", "/procedures")
    page.locator("section", has_text="皖教秘基").locator("td.main a").first.click()
    page.locator("[data-element=decide_receiving_authority]").first.scroll_into_view_if_needed()
    page.locator("[data-element=decide_receiving_authority]").first.hover()


def students(demo: Demo, page: Page) -> None:
    demo.enter(page, "yunduo-operator", "/transfers/new")


def walk(demo: Demo, page: Page) -> None:
    page.goto(f"{demo.address}/login")
    walker = Walker(page)
    walker.apply("yunduo-operator", "转入学校", "郑州市纸鸢小学")
    page.locator(".party-chips button:has(svg)").click()


def transfer(demo: Demo, page: Page) -> None:
    demo.enter(page, "wujiaqu-operator")
    page.locator("td.main a").first.click()
    page.get_by_role("link", name="查看转学全程").click()


def compare(demo: Demo, page: Page) -> None:
    demo.enter(page, "anhui-policy", "/compare")
    page.get_by_role("link", name="全国与安徽").click()


@pytest.mark.parametrize(
    "picture", [inbox, task, procedure, students, walk, transfer, compare], ids=lambda picture: picture.__name__
)
def test_take(demo_world, open_window, picture):
    page = open_window(DESK).page
    picture(demo_world, page)
    page.wait_for_load_state("networkidle")
    take(page, picture.__name__)
