"""Offices are named in the reader's language wherever they stand, and in Chinese where they have no other name."""

from __future__ import annotations

import html
import re

import pytest

from engine.audit import SYSTEM
from engine.registry import organisations
from tests.integration import play

ANHUI, HENAN = "340000", "410000"


@pytest.fixture
def case_id(database, world, clock) -> int:
    """From a school without an English name to one with it, at the receiving authority, which has one too."""
    with database.transaction() as connection:
        for office, name in ((world[ANHUI].school, "Cloud Primary"), (world[ANHUI].county, "Shushan Bureau")):
            old = organisations.get(connection, office).name
            organisations.rename(connection, SYSTEM, office, name=old, name_en=name, at=clock())
    return play.apply(database, world, HENAN, ANHUI, clock())


@pytest.fixture
def shown(visitor_of, world):
    """What the receiving authority reads at an address, in a language."""
    visitor = visitor_of(world[ANHUI].actor("county"))

    def read(path: str, locale: str) -> str:
        visitor.post("/locale", {"locale": locale})
        page = visitor.get(path).text
        return html.unescape(re.sub(r"<[^>]+>", " ", page[page.index("<main") :]))

    return read


@pytest.mark.parametrize("place", ["/inbox", "/tasks/{task}", "/transfers/{case}", "/transfers/{case}/history",
                                   "/transfers/{case}/student", "/query"])  # fmt: skip
def test_an_office_is_named_in_the_readers_language(database, case_id, shown, place):
    [task] = play.open_tasks(database, case_id)
    path = place.format(task=task.id, case=case_id)
    english, chinese = shown(path, "en"), shown(path, "zh_Hans_CN")
    assert "Cloud Primary" in english
    assert "测试340000第一小学" not in english
    assert "测试410000第一小学" in english
    assert "测试340000第一小学" in chinese
    assert "Cloud Primary" not in chinese


def test_who_has_it_now_is_named_so_too(case_id, shown):
    assert "Now with Shushan Bureau" in shown(f"/transfers/{case_id}", "en")
    assert "测试340104教育局" not in shown("/query", "en")
