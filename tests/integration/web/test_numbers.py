"""Two versions in numbers: what was counted, the figures under whatever sliders say, the precise ones afterwards."""

from __future__ import annotations

import re

import pytest

from engine import eventlog, procedures, simulations
from engine.comparison.simulation import assumptions
from tests.integration import play

ANHUI, HENAN, ZHEJIANG = "340000", "410000", "330000"


@pytest.fixture
def path(database, clock, world):
    with database.reading() as connection:
        a, b = (procedures.in_force(connection, key, "transfer", at=clock()).id for key in ("national", "anhui"))
    return f"/numbers/{a}/{b}"


@pytest.fixture
def reader(visitor_of, world):
    return visitor_of(world[ANHUI].actor("operator"))


def row(page: str, label: str) -> list[str]:
    """The cells behind a row's label, as one reads them."""
    rows = re.findall(r"<tr[^>]*>(.*?)</tr>", page, re.DOTALL)
    [found] = [part for part in rows if re.search(f'"row">{label} ?<', part)]
    return [" ".join(re.sub(r"<[^>]+>", " ", cell).split()) for cell in re.findall(r"<td>(.*?)</td>", found, re.DOTALL)]


def test_what_was_counted_stands_beside_each_other_with_what_it_was(reader, path):
    page = reader.get(path).text
    assert [cell.split()[0] for cell in row(page, "作出决定的环节")] == ["4", "2"]
    assert "转出学校核办" in row(page, "作出决定的环节")[0]
    assert [cell.split()[0] for cell in row(page, "须作出决定的单位")] == ["4", "2"]
    assert page.count("20 个工作日") == 4
    assert "5 个环节没有时限" in page


def test_every_assumption_has_a_slider_that_moves_the_figures(reader, path):
    page = reader.get(path).text
    for key in assumptions():
        assert f'name="{key}"' in page
    slower = reader.get(f"{path}?attention.receiving_authority=9").text
    before, after = (float(row(text, "平均")[0].split()[0]) for text in (page, slower))
    assert after > before + 4
    assert "已调整" in slower
    senseless = reader.get(f"{path}?attention.receiving_authority=nonsense&x=1&peak=nan").text
    assert row(senseless, "平均") == row(page, "平均")


def test_a_refusal_of_everybody_leaves_no_figure_that_means_nothing(reader, path):
    page = reader.get(f"{path}?check_failure=30&refusal.receiving_authority=50&cases=50").text
    assert float(row(page, "已办结")[0].split()[0]) < 40


def test_many_cases_are_simulated_once_asked_for_and_the_page_waits_for_them(reader, path, application, monkeypatch):
    monkeypatch.setattr(simulations, "WHOLE", 3_000)
    monkeypatch.setattr(simulations, "_PROCESSES", 1)
    answer = reader.post(f"{path}?peak=3")
    assert answer.status_code == 303
    assert answer.location.endswith("?peak=3#durations")
    assert 'hx-trigger="every 1s"' in reader.get(f"{path}?peak=3").text
    assert 'hx-trigger="every 1s"' not in reader.get(path).text
    reader.post(f"{path}?peak=3")
    assert application.jobs.run_pending() == 2
    page = reader.get(f"{path}?peak=3").text
    assert 'hx-trigger="every 1s"' not in page
    assert "每一方模拟 100,000 件" in page


def test_the_assumptions_come_from_the_own_cases_of_whom_they_concern(
    database, world, clock, visitor_of, reader, path, monkeypatch
):
    monkeypatch.setattr("engine.eventlog.measuring.FEWEST", 3)
    for serial in (1, 2, 3):
        case_id = play.apply(database, world, HENAN, ANHUI, clock(), serial=serial)
        clock.turn(days=14)
        play.step(database, world, case_id, clock(), refuse=serial == 3)
    auditor = world[ANHUI].actor("county_auditor")
    with database.reading() as connection:
        found = eventlog.measured(connection, auditor)
        assert eventlog.measured(connection, world[ZHEJIANG].actor("county_auditor")) == {}
    assert set(found) == {"attention.receiving_authority", "refusal.receiving_authority"}
    assert found["refusal.receiving_authority"] == 33
    page = visitor_of(auditor).get(f"{path}?measured=1").text
    assert page.count("取自实际办件") == 2
    assert re.search(r'name="refusal.receiving_authority"[^>]* value="33.0"', page)
    # Who has no right to the log sees the assumptions.
    assert "取自实际办件" not in reader.get(f"{path}?measured=1").text


def test_a_version_that_is_not_there_has_no_numbers(reader, path):
    assert reader.get("/numbers/1/4711").status_code == 404
