"""变动查询: found by what the documents ask for, nothing personal in an address, nothing exported without a reason."""

from __future__ import annotations

import csv
import html
import io
import re
from urllib.parse import parse_qs, urlsplit

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from engine import audit, transfers
from engine.registry.tables import student
from tests.integration import play
from tests.integration.world import id_number, name_of
from web.query import as_csv

ANHUI, HENAN, ZHEJIANG = "340000", "410000", "330000"


@pytest.fixture
def played(database, world, clock) -> dict[str, int]:
    """Into Anhui and out of it, one refused, one that the releasing side has not seen yet."""
    found = {
        "in": play.apply(database, world, HENAN, ANHUI, clock(), serial=1),
        "out": play.apply(database, world, ANHUI, HENAN, clock(), serial=2),
        "refused": play.apply(database, world, ZHEJIANG, ANHUI, clock(), serial=3),
        "unseen": play.apply(database, world, ANHUI, ZHEJIANG, clock(), serial=4),
    }
    play.step(database, world, found["in"], clock())
    play.step(database, world, found["out"], clock())
    play.step(database, world, found["out"], clock())
    play.step(database, world, found["refused"], clock(), refuse=True)
    return found


@pytest.fixture
def county(visitor_of, world):
    return visitor_of(world[ANHUI].actor("county"))


@pytest.fixture
def ministry(visitor_of, world):
    return visitor_of(world.ministry_actors["operator"])


def words(page: str) -> str:
    return re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]+>", " ", page)))


def found_in(page: str) -> list[int]:
    """The transfers that a page lists, in its order."""
    return [int(case_id) for case_id in re.findall(r'class="main"><a href="/transfers/(\d+)"', page)]


def asked(visitor, **form):
    """Send the filters, and follow to the list."""
    answer = visitor.post("/query", form)
    assert answer.status_code == 303, answer.text
    return visitor.get(answer.location)


def exports(database) -> list[dict]:
    entry = audit.audit_entry.c
    with database.reading() as connection:
        return list(connection.scalars(sa.select(entry.after).where(entry.action == "transfers.exported")))


# The list --------------------------------------------------------------------------------------------------------


def test_a_row_has_the_columns_of_the_documents_masked_and_leads_to_the_transfer(county, played):
    page = county.get("/query").text
    assert found_in(page) == [played["refused"], played["out"], played["in"]]
    row = words(page.split(f'href="/transfers/{played["in"]}"')[1].split("</tr>")[0])
    assert f"G{id_number('410105', 1)[:10]}****" in row
    for told in (
        name_of(1), "男", "2015-03-08", "转学(入)", "2026-09-21",
        "测试410000第一小学 小学三年级 (1)班 测试340000第一小学 小学三年级 (1)班", "办理中", "测试410000第一小学",
    ):  # fmt: skip
        assert told in row
    assert id_number("410105", 1) not in page


def test_the_title_and_the_way_to_it_are_the_regimes_own_words(county, visitor_of, world, ministry):
    assert "信息查询 变动查询" in words(county.get("/query").text)
    assert "学籍管理 跨省转学 跨省转学查询" in words(visitor_of(world[HENAN].actor("county")).get("/query").text)
    assert "跨省转学查询" in words(ministry.get("/query").text)


def test_everybody_finds_their_own_jurisdiction_and_no_more(visitor_of, world, ministry, played):
    def seen_by(actor):
        return set(found_in(visitor_of(actor).get("/query").text))

    assert seen_by(world[ANHUI].actor("county_auditor")) == {played["in"], played["out"], played["refused"]}
    assert seen_by(world[HENAN].actor("operator")) == {played["in"], played["out"]}
    assert seen_by(world[ANHUI].actor("other_operator")) == set()
    assert set(found_in(ministry.get("/query").text)) == set(played.values())


def test_an_empty_list_says_what_will_come_or_what_to_change(visitor_of, world, county):
    nobody = visitor_of(world[ANHUI].actor("other_operator"))
    assert "暂无转学。" in nobody.get("/query").text
    assert "管辖范围内没有符合条件的转学" in county.get("/query?state=withdrawn").text


# Filters ---------------------------------------------------------------------------------------------------------


def test_each_filter_narrows(county, ministry, world, played):
    assert found_in(asked(county, kind="in").text) == [played["refused"], played["in"]]
    assert found_in(asked(county, kind="out").text) == [played["out"]]
    assert found_in(asked(county, state="refused").text) == [played["refused"]]
    assert found_in(asked(county, year="2026").text) == [played["refused"], played["out"], played["in"]]
    assert found_in(asked(county, year="2025").text) == []
    assert found_in(asked(county, holder="releasing_school").text) == [played["in"]]
    assert found_in(asked(county, holder="own").text) == [played["out"]]
    assert found_in(asked(ministry, within=[world[HENAN].province]).text) == [
        played["out"], played["in"],
    ]  # fmt: skip


def test_only_late_ones(county, visitor_of, world, clock, played):
    assert found_in(county.get("/query?late=true").text) == []
    clock.turn(days=40)
    # The other one is at the releasing school, which has no time limit.
    page = visitor_of(world[ANHUI].actor("county")).get("/query?late=true").text
    assert found_in(page) == [played["out"]]
    assert "已逾期" in page


def test_what_can_not_be_read_narrows_nothing(county, played):
    page = county.get("/query?year=abc&kind=sideways&state=nothing&holder=nobody")
    assert page.status_code == 200
    assert len(found_in(page.text)) == 3


def test_names_and_numbers_stand_in_no_address(county, played):
    for form in ({"name": name_of(1)}, {"number": f"g{id_number('410105', 1)}"}, {"text": name_of(1)}):
        answer = county.post("/query", form)
        assert answer.status_code == 303
        parameters = parse_qs(urlsplit(answer.location).query)
        assert set(parameters) == {"search"}
        assert found_in(county.get(answer.location).text) == [played["in"]], form


def test_a_kept_search_is_its_authors_alone(county, visitor_of, world, played):
    address = county.post("/query", {"name": name_of(1)}).location
    other = visitor_of(world[ANHUI].actor("county_colleague"))
    assert other.get(address).status_code == 404


def test_what_was_asked_for_stands_in_the_form_again(county, played):
    page = asked(county, name=name_of(1), kind="in", late="true").text
    assert f'value="{name_of(1)}"' in page
    assert re.search(r'<option value="in" selected>', page)
    assert re.search(r'name="late"[^>]* checked', page)


def test_the_search_of_the_frame_leads_a_transfers_number_straight_to_it(county, visitor_of, world, played):
    number = f"ZX2026{played['in']:08d}"
    for text in (number, f" {number.lower()} "):
        answer = county.post("/query", {"text": text})
        assert (answer.status_code, answer.location) == (303, f"/transfers/{played['in']}")
    # Outside the jurisdiction it is a search that finds nothing.
    stranger = visitor_of(world[ZHEJIANG].actor("county"))
    assert found_in(asked(stranger, text=number).text) == []


# Places ----------------------------------------------------------------------------------------------------------


def test_places_are_chosen_level_by_level_within_the_jurisdiction(ministry, visitor_of, world):
    page = ministry.get("/query").text
    assert [name for name in ("安徽省", "河南省", "浙江省") if name in page] == ["安徽省", "河南省", "浙江省"]
    assert "金水区" not in page

    answer = ministry.get(f"/query/places?within={world[HENAN].province}").text
    assert "金水区" in answer
    assert "测试410000第一小学" not in answer
    answer = ministry.get(f"/query/places?within={world[HENAN].province}&within={world[HENAN].county}").text
    assert "测试410000第一小学" in answer
    assert "<html" not in answer

    school = visitor_of(world[ANHUI].actor("operator")).get("/query").text
    assert 'name="within"' not in school


def test_a_leftover_of_another_branch_is_dropped(ministry, world, played):
    answer = ministry.post("/query", {"within": [world[ANHUI].province, world[HENAN].county]})
    assert parse_qs(urlsplit(answer.location).query)["within"] == [str(world[ANHUI].province)]
    answer = ministry.post("/query", {"within": ["x", world[HENAN].county]})
    assert "within" not in parse_qs(urlsplit(answer.location).query)


def test_a_place_outside_the_jurisdiction_is_not_found(county, world, played):
    assert county.get(f"/query?within={world[HENAN].school}").status_code == 404
    assert county.post(f"/query/export?within={world[HENAN].school}", {"reason": "统计"}).status_code == 404


# Export ----------------------------------------------------------------------------------------------------------


def test_nothing_is_exported_without_a_reason(county, database, played):
    answer = county.post("/query/export", {"reason": " "})
    assert answer.status_code == 422
    assert re.search(r'<dialog id="export"[^>]* data-open', answer.text)
    assert exports(database) == []


def test_a_file_has_the_rows_of_the_list_masked_and_is_logged(county, database, played):
    listed = asked(county, kind="in", name=name_of(1))
    path = re.search(r'action="(/query/export[^"]*)"', listed.text)[1]
    answer = county.post(html.unescape(path), {"reason": "学年统计"})

    assert answer.mimetype == "text/csv"
    assert answer.headers["Content-Disposition"].startswith('attachment; filename="xueji-20260922')
    assert answer.data.startswith(b"\xef\xbb\xbf")
    rows = list(csv.DictReader(io.StringIO(answer.data.decode("utf-8-sig"))))
    assert [(row["转学编号"], row["姓名"], row["变动类别"]) for row in rows] == [
        (f"ZX2026{played['in']:08d}", name_of(1), "转学(入)")
    ]
    assert rows[0]["学籍号"].endswith("****")
    assert id_number("410105", 1) not in answer.text
    [after] = exports(database)
    assert after["reason"] == "学年统计"
    assert name_of(1) not in str(after)


def test_too_many_are_refused_in_words(county, database, played, monkeypatch):
    monkeypatch.setattr(transfers.query, "COUNTED", 2)
    answer = county.post("/query/export", {"reason": "统计"})
    assert answer.status_code == 422
    assert "符合条件的转学超过 2 条" in answer.text
    assert exports(database) == []


def test_a_name_that_is_a_formula_is_only_a_name_in_the_file(county, database, world, played):
    with database.transaction() as connection:
        connection.execute(student.update().where(student.c.name == name_of(1)).values(name='=HYPERLINK("x")'))
    answer = county.post("/query/export", {"reason": "统计"})
    assert """'=HYPERLINK""" in answer.text.replace('""', '"').replace("\"'=", "'=")


@given(st.lists(st.lists(st.text(max_size=12), min_size=1, max_size=4), max_size=5))
def test_no_cell_of_a_file_is_a_formula_and_every_cell_comes_back(rows):
    text = as_csv(rows)
    again = list(csv.reader(io.StringIO(text.removeprefix("\ufeff"), newline="")))
    cells = [cell for row in again for cell in row]
    assert not any(
        cell.lstrip().startswith(("=", "+", "-", "@")) or cell.startswith(("\t", "\r", "\n")) for cell in cells
    )
    assert [[cell.removeprefix("'") for cell in row] for row in again] == [
        [cell.removeprefix("'") for cell in row] for row in rows
    ]
