"""A newcomer takes a transfer through all parties, for each pairing of the two procedures, with the pages alone."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import expect

from .conftest import NARROW, WIDE
from .walker import Walker

pytestmark = pytest.mark.browser

TO_SCHOOL, TO_REVIEWER, TO_AUTHORITY = "转入学校 · 经办", "转入学校 · 审核", "转入学校学籍主管部门 · 经办"
FROM_SCHOOL, FROM_AUTHORITY = "转出学校 · 经办", "转出学校学籍主管部门 · 经办"

# What the documents ask of each side, in their order and words.
NATIONAL_RECEIVES = [(TO_SCHOOL, "发起转学"), (TO_REVIEWER, "转入学校核办"), (TO_AUTHORITY, "转入学校学籍主管部门核办")]
NATIONAL_RELEASES = [(FROM_SCHOOL, "转出学校核办"), (FROM_AUTHORITY, "转出学校学籍主管部门核办")]
ANHUI_RECEIVES = [(TO_SCHOOL, "发起转学"), (TO_AUTHORITY, "转入学校学籍主管部门审核")]
# The check with the school is confirmed together with the decision.
ANHUI_RELEASES = [(FROM_AUTHORITY, "转出学校学籍主管部门审核")]
AFTERWARDS = [
    (TO_SCHOOL, "通知学生报到入学"),
    (TO_SCHOOL, "调取学生学籍电子档案"),
    (FROM_SCHOOL, "按照与家长商定的方式，将学生的纸质学籍档案转出"),
]
# Who receives, from which school, and what is asked of whom.
PAIRINGS = {
    "national to national": ("mianhuatang-operator", "郑州市纸鸢小学", NATIONAL_RECEIVES + NATIONAL_RELEASES),
    "national to Anhui": ("yunduo-operator", "郑州市纸鸢小学", ANHUI_RECEIVES + NATIONAL_RELEASES),
    "Anhui to national": ("zhiyuan-operator", "合肥市星河路实验学校", NATIONAL_RECEIVES + ANHUI_RELEASES),
    "Anhui to Anhui": ("yunduo-operator", "合肥市萤火虫小学", ANHUI_RECEIVES + ANHUI_RELEASES),
}
ON_A_TELEPHONE = "Anhui to Anhui"
# The tutorial has its reader click what the walker clicks.
TUTORIAL, TAUGHT = Path(__file__).parents[2] / "docs" / "tutorial.md", "national to Anhui"


@pytest.mark.parametrize("pairing", PAIRINGS)
def test_a_newcomer_takes_a_transfer_through_all_parties(demo_world, open_window, record_property, pairing):
    login, former_school, asked = PAIRINGS[pairing]
    page = open_window(NARROW if pairing == ON_A_TELEPHONE else WIDE).page
    page.goto(f"{demo_world.address}/login")
    walker = Walker(page)
    walker.apply(login, TO_SCHOOL, former_school)
    while walker.go_on():
        pass
    walker.rest()
    assert walker.steps == asked + AFTERWARDS
    if pairing == TAUGHT:
        # All but the student, whose name the tutorial leaves open.
        assert walker.clicked[:2] + walker.clicked[3:] == re.findall("「([^」]+)」", TUTORIAL.read_text("utf-8"))
    expect(page.locator(".standing .badge")).to_have_text("已办结")
    for party, effort in walker.efforts.items():
        record_property("walk", [pairing, party, effort.clicks, effort.entries, round(effort.seconds, 1)])
