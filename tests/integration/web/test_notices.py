"""Notices: what an organisation was told, in words, and what of it has been read."""

from __future__ import annotations

import html
import re

import pytest

from engine import cases, transfers
from tests.integration import play
from tests.integration.world import id_number

ANHUI, HENAN = "340000", "410000"


def rows_of(page: str) -> list[str]:
    body = re.search(r"<tbody>(.*?)</tbody>", page, re.DOTALL)
    found = re.findall(r"<tr.*?</tr>", body[1], re.DOTALL) if body else []
    return [re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]+>", " ", row))).strip() for row in found]


def fire_all(database, clock) -> None:
    with database.reading() as connection:
        due = cases.due_deadlines(connection, at=clock())
    for deadline, _due in due:
        with database.transaction() as connection:
            cases.fire_deadline(connection, deadline, at=clock())


@pytest.fixture
def case_id(database, world, clock):
    """A student leaves Anhui for Henan, decided as far as the releasing authority."""
    case_id = play.apply(database, world, ANHUI, HENAN, clock())
    while play.open_tasks(database, case_id)[0].node.id != "check_with_releasing_school":
        play.step(database, world, case_id, clock())
    return case_id


def test_each_party_is_told_in_words_what_concerns_it(visitor_of, database, world, clock, case_id):
    play.play(database, world, case_id, clock())

    def told(place: str, name: str) -> list[str]:
        rows = rows_of(visitor_of(world[place].actor(name)).get("/notices").text)
        return [row.removeprefix("未读： ").split(" ")[0] for row in rows]

    assert sorted(told(ANHUI, "operator")) == [
        "转入学校已调取学籍电子档案。", "转入方申请将学生转出。", "转学已办结。",
    ]  # fmt: skip
    assert sorted(told(HENAN, "operator")) == ["转出方已同意。", "转学已办结。"]
    assert told(HENAN, "county") == ["转学已办结。"]


def test_a_late_authority_and_the_one_above_it_are_told_which_step_is_late(visitor_of, database, world, clock, case_id):
    clock.turn(days=30)
    fire_all(database, clock)
    rows = rows_of(visitor_of(world[ANHUI].actor("county")).get("/notices").text)
    assert any("“与转出学校核对”办理期限将到。" in row for row in rows)
    [above] = rows_of(visitor_of(world[ANHUI].actor("province")).get("/notices").text)
    assert "测试340104教育局办理“与转出学校核对”已逾期。" in above
    english = visitor_of(world[ANHUI].actor("province_admin"))
    english.post("/locale", {"locale": "en"})
    assert "The time for “Check with the releasing school” at 测试340104教育局 is over." in html.unescape(
        english.get("/notices").text
    )


def test_a_notice_leads_to_its_transfer_and_masks_its_student(visitor_of, world, case_id):
    page = visitor_of(world[ANHUI].actor("operator")).get("/notices").text
    assert f'href="/transfers/{case_id}"' in page
    assert f"G{id_number('340104', 1)[:10]}****" in page
    assert id_number("340104", 1) not in page


def test_nobody_reads_another_organisations_notices(visitor_of, world, case_id):
    assert len(rows_of(visitor_of(world[ANHUI].actor("operator")).get("/notices").text)) == 1
    for actor in (world[ANHUI].actor("other_operator"), world["330000"].actor("operator")):
        assert rows_of(visitor_of(actor).get("/notices").text) == []


def test_what_a_colleague_has_read_is_read(visitor_of, database, world, clock, case_id):
    operator, colleague = (visitor_of(world[ANHUI].actor(name)) for name in ("operator", "colleague"))
    [row] = rows_of(operator.get("/notices?unread=1").text)
    assert row.startswith("未读：")
    answer = operator.post("/notices?unread=1", {"notice": re.search(r'name="notice" value="(\d+)"',
                           operator.get("/notices").text)[1]})  # fmt: skip
    assert answer.location == "/notices?unread=1"
    assert "没有未读通知" in colleague.follow(answer).text
    [row] = rows_of(colleague.get("/notices").text)
    assert not row.startswith("未读：")


def test_the_left_side_counts_what_nobody_has_read_and_all_can_be_read_at_once(visitor_of, database, world, clock):
    for serial in (1, 2):
        case_id = play.apply(database, world, ANHUI, HENAN, clock(), serial=serial)
        with database.transaction() as connection:
            transfers.withdraw(connection, world[HENAN].actor("operator"), case_id, "家长放弃", at=clock())
    operator = visitor_of(world[HENAN].actor("operator"))
    assert re.search(r'通知 <span class="count">2</span>', operator.get("/inbox").text)
    page = operator.follow(operator.post("/notices")).text
    assert "通知已全部标为已读。" in page
    assert not re.search(r'通知 <span class="count">', page)
    assert len(rows_of(page)) == 2


def test_another_organisations_notice_stays_unread(visitor_of, database, world, clock, case_id):
    [id] = re.findall(r'name="notice" value="(\d+)"', visitor_of(world[ANHUI].actor("operator")).get("/notices").text)
    visitor_of(world[HENAN].actor("operator")).post("/notices", {"notice": id})
    [row] = rows_of(visitor_of(world[ANHUI].actor("operator")).get("/notices").text)
    assert row.startswith("未读：")
