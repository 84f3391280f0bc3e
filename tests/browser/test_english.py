"""A transfer through all parties in English: what is left in Chinese is data, names and the documents' own words."""

from __future__ import annotations

import re

import pytest
import sqlalchemy as sa
from playwright.sync_api import Page, expect

from engine import transfers
from engine.accounts import person
from engine.procedures import serving
from engine.registry import divisions
from engine.registry.tables import organisation, school_class, student

from .walker import Walker

pytestmark = pytest.mark.browser

# Texts, and attributes that are read out or shown, outside of the documents' sentences and the diagrams.
TEXTS = """() => {
  const found = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT | NodeFilter.SHOW_ELEMENT);
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    const element = node.nodeType === Node.TEXT_NODE ? node.parentElement : node;
    if (element.closest("svg, blockquote, template, script, style, noscript, textarea")) continue;
    if (node.nodeType === Node.TEXT_NODE) found.push(node.data.trim());
    else for (const name of ["aria-label", "title", "placeholder"]) found.push(node.getAttribute(name) ?? "");
  }
  return found.filter((text) => /[\\u4e00-\\u9fff]/.test(text));
}"""
CHINESE = re.compile(r"[\u4e00-\u9fff]+")


@pytest.fixture
def data(demo_world) -> re.Pattern[str]:
    """Everything that has no English: people, classes, places, the documents' numbers, what the walker types."""
    known = {"中文", "随父母工作调动"}
    with demo_world.database.reading() as connection:
        written = [column for column in student.c if isinstance(column.type, sa.String)]
        for column in (*written, person.c.name, school_class.c.name):
            known |= set(connection.scalars(sa.select(column).where(column.is_not(None)).distinct()))
        codes = set(
            connection.scalars(sa.select(organisation.c.division_code).where(organisation.c.division_code.is_not(None)))
        )
        places = {divisions.province_of(code) for code in codes} | {f"{code[:4]}00" for code in codes}
        for place in places:
            known |= {choice.name for choice in transfers.regions(place)}
        known |= {choice.name for choice in transfers.provinces()}
        known |= {divisions.full_name(code) or "" for code in codes}
        for province in ("340000", "410000"):
            for version in serving(connection, province, "transfer", at=demo_world.application.clock()):
                known.add(version.graph.properties["document.number"])
                known |= {sentence.clause for sentence in version.sentences}
    return re.compile("|".join(re.escape(name) for name in sorted(known - {""}, key=len, reverse=True)))


def test_a_transfer_is_taken_through_all_parties_in_english(demo_world, open_window, data):
    page = open_window().page
    left: dict[str, set[str]] = {}

    def look(page: Page) -> None:
        texts = [data.sub("", text) for text in page.evaluate(TEXTS)]
        if found := {text for text in texts if CHINESE.search(text)}:
            left[page.locator("h1").inner_text()] = found

    page.goto(f"{demo_world.address}/login")
    with page.expect_navigation():
        page.click("form.locale button")
    look(page)
    walker = Walker(page, look=look)
    walker.apply("yunduo-operator", "Receiving school", "Paper Kite Primary School, Zhengzhou")
    while walker.go_on():
        pass
    expect(page.locator(".standing .badge")).to_have_text("Completed")
    for tab in ("History of decisions", "Student and record"):
        page.get_by_role("link", name=tab).click()
        expect(page.get_by_role("link", name=tab)).to_have_attribute("aria-current", "page")
        look(page)
    for path in ("/inbox", "/inbox/done", "/notices", "/query", "/procedures"):
        page.goto(demo_world.address + path)
        look(page)
    assert left == {}
