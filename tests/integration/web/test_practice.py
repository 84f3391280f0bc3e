"""The pages of real cases: what they count, who reads them, who left the procedure and where, and the log as a file."""

from __future__ import annotations

import json
import re

import pytest
import sqlalchemy as sa

from engine import procedures
from engine.audit import audit_entry
from engine.cases import task
from tests.integration import play

ANHUI, HENAN, ZHEJIANG = "340000", "410000", "330000"


@pytest.fixture
def auditor(visitor_of, world):
    return visitor_of(world[ANHUI].actor("county_auditor"))


@pytest.fixture
def path(database, clock, world):
    with database.reading() as connection:
        return f"/procedures/{procedures.in_force(connection, 'anhui', 'transfer', at=clock()).id}/practice"


@pytest.fixture
def completed(database, world, clock):
    case_id = play.apply(database, world, HENAN, ANHUI, clock())
    play.play(database, world, case_id, clock.turn(minutes=10))
    return case_id


def heat(page: str) -> dict:
    return json.loads(re.search(r'data-heat="([^"]*)"', page)[1].replace("&#34;", '"').replace("&quot;", '"'))


def test_the_diagram_says_how_often_each_step_and_line_was_passed(auditor, path, completed):
    page = auditor.get(path).text
    assert "本辖区共有 1 件" in page
    assert "每一件都逐步按照" in page
    found = heat(page)
    assert found["decide_receiving_authority"]["text"] == "1"
    assert found["apply_to_decide_receiving_authority"] == {"level": 4, "text": "1"}
    # Of one case no duration is told, on the diagram or beside it.
    assert "data-heat" not in auditor.get(f"{path}?heat=days").text
    assert "件数太少" in page


def test_a_case_that_left_the_procedure_is_named_with_where(database, auditor, path, completed):
    with database.transaction() as connection:
        connection.execute(task.delete().where(task.c.node == "tell_student_to_enrol"))
    page = auditor.get(path).text
    assert "有 1 件没有按照" in page
    assert f'href="/transfers/{completed}"' in page
    assert "“调取学生学籍电子档案”已办理，而此前应先办理：通知学生报到入学。" in page


def test_regimes_stand_side_by_side_in_ones_own_jurisdiction(database, world, clock, visitor_of, auditor, completed):
    play.apply(database, world, HENAN, ZHEJIANG, clock(), serial=2)
    mine = auditor.get("/practice").text
    assert "安徽 → 全国" in mine
    assert "全国 → 全国" not in mine
    everything = visitor_of(world.ministry_actors["policy_editor"]).get("/practice").text
    assert "全国 → 全国" in everything


def test_a_county_without_cases_is_told_what_will_come(visitor_of, world, path):
    stranger = visitor_of(world[ZHEJIANG].actor("county_auditor"))
    assert "还没有适用本版本的办件" in stranger.get(path).text
    assert "还没有办件" in stranger.get("/practice").text


def test_only_those_who_may_read_the_log_find_the_way_to_it(visitor_of, world, path):
    operator = visitor_of(world[ANHUI].actor("operator"))
    assert operator.get(path).status_code == 403
    assert operator.get("/practice").status_code == 403
    for page in (operator.get("/procedures").text, operator.get(path.removesuffix("/practice")).text):
        assert "/practice" not in page


@pytest.mark.parametrize(("form", "end"), [("xes", "xes"), ("ocel2", "jsonocel")])
def test_the_log_is_a_file_of_ones_own_cases_with_a_reason(database, auditor, completed, clock, form, end):
    answer = auditor.post("/practice", {"format": form, "reason": "年度检查", "until": "2026-12-31"})
    assert answer.status_code == 200
    assert answer.headers["Content-Disposition"].endswith(f'.{end}"')
    assert f"case-{completed}" in answer.text
    refused = auditor.post("/practice", {"format": form, "reason": ""})
    assert refused.status_code == 422
    assert "Content-Disposition" not in refused.headers
    with database.reading() as connection:
        [kept] = connection.scalars(sa.select(audit_entry.c.after).where(audit_entry.c.action == "log.exported"))
    assert (kept["reason"], kept["format"]) == ("年度检查", form)
