"""What the deployment's administrators keep: incidents, the calendar, the table of regimes."""

from __future__ import annotations

import re
from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
import sqlalchemy as sa

from engine import accounts, cases, procedures, workdays
from engine.jobs import failed_job
from engine.registry.tables import record_part
from tests.integration import play

ANHUI, HENAN = "340000", "410000"


@pytest.fixture
def ministry(visitor_of, world):
    return visitor_of(world.ministry_actors["administrator"])


@pytest.fixture
def county(visitor_of, world):
    return visitor_of(world[ANHUI].actor("county_admin"))


@pytest.fixture
def province(visitor_of, world):
    return visitor_of(world[ANHUI].actor("province_admin"))


PAGES = ["/incidents", "/calendar", "/regimes"]
CHANGES = [
    "/calendar/days", "/calendar/days/2026-09-28/removal", "/calendar/notice", "/calendar/years/2027/retraction",
    "/regimes/410000/across", "/regimes/340000/across/removal", "/regimes/seasons/anhui", "/incidents/jobs/1/retry",
]  # fmt: skip


@pytest.mark.parametrize("name", ["operator", "reviewer", "county", "county_auditor", "policy"])
def test_only_administrators_read_these_pages(visitor_of, world, name):
    visitor = visitor_of(world[ANHUI].actor(name))
    assert [visitor.get(page).status_code for page in PAGES] == [403] * len(PAGES)
    assert visitor.post("/incidents/1/retry").status_code == 403


def test_administrators_below_the_ministry_read_and_change_nothing(world, county, province):
    for visitor in (county, province):
        assert [visitor.get(page).status_code for page in PAGES] == [200] * len(PAGES)
        assert [visitor.post(path).status_code for path in CHANGES] == [403] * len(CHANGES)
        assert visitor.get("/calendar/notice").status_code == 403
        assert visitor.get("/regimes/410000").status_code == 403
    assert "本表由部级管理员维护。" in province.get("/regimes").text
    assert "录入单个日期" not in province.get("/calendar").text


# Incidents


@pytest.fixture
def stopped(database, world, clock) -> int:
    """A transfer into Anhui that could not retrieve the record."""
    case_id = play.apply(database, world, HENAN, ANHUI, clock())
    with database.transaction() as connection:
        connection.execute(record_part.update().values(content={"序号": 0}))
    while play.step(database, world, case_id, clock()) != "retrieve":
        pass
    return case_id


def incident(database) -> int:
    with database.reading() as connection:
        return connection.scalar(sa.select(cases.incident.c.id))


def test_an_incident_is_told_in_words_with_its_case_and_retried(database, world, county, stopped):
    page = county.get("/incidents").text
    assert "ZX2026" in page
    assert f'href="/transfers/{stopped}"' in page
    assert "电子档案在系统之外被改动，校验不符。" in page
    assert "测试340000第一小学" in page
    answer = county.post(f"/incidents/{incident(database)}/retry")
    assert answer.status_code == 303
    page = county.get(answer.location).text
    assert "重试仍未成功" in page
    assert 'data-label="尝试次数">2<' in page


def test_what_was_repaired_goes_on_and_stands_among_the_dealt_with(database, world, clock, county, stopped):
    with database.transaction() as connection:
        # The student of the transfer is the first of the world.
        connection.execute(record_part.update().values(content={"序号": 1}))
    answer = county.post(f"/incidents/{incident(database)}/retry")
    assert "重试成功，已继续办理。" in county.get(answer.location).text
    assert "ZX2026" not in county.get("/incidents").text.split("<main")[1].split("</table>")[0]
    assert "ZX2026" in county.get("/incidents?state=resolved").text
    answer = county.post(f"/incidents/{incident(database)}/retry")
    assert answer.status_code == 409
    assert "该异常已结束" in answer.text


def test_the_left_side_counts_what_waits_for_an_administrator(world, county, visitor_of, stopped):
    assert re.search(r'href="/incidents"[^>]*>[^<]*<span class="count">1<', county.get("/calendar").text)
    other = visitor_of(world[HENAN].actor("county_admin")).get("/calendar").text
    assert not re.search(r'href="/incidents"[^>]*>[^<]*<span class="count">', other)


def test_the_other_sides_administrators_neither_see_nor_retry_it(database, world, visitor_of, stopped):
    other = visitor_of(world[HENAN].actor("county_admin"))
    page = other.get("/incidents").text
    assert "ZX2026" not in page
    assert "暂无异常" in page
    assert other.post(f"/incidents/{incident(database)}/retry").status_code == 404


def test_a_duty_that_nobody_holds_leads_to_the_accounts(database, world, clock, visitor_of):
    admin = world[HENAN].actor("school_admin")
    with database.transaction() as connection:
        accounts.set_active(connection, admin, world[HENAN].actor("reviewer").person_id, False, at=clock())
    play.apply(database, world, ANHUI, HENAN, clock())
    with database.transaction() as connection:
        cases.find_unstaffed(connection, at=clock())
    page = visitor_of(admin).get("/incidents").text
    assert "该单位没有人员担任本步骤所需的职责。" in page
    assert f'href="/accounts?organisation={world[HENAN].school}"' in page


@pytest.fixture
def aside(database, clock) -> None:
    """A job that has failed for the last time."""
    with database.transaction() as connection:
        connection.execute(
            failed_job.insert(),
            {
                "job": "fire_deadline:1", "name": "fire_deadline", "arguments": {"deadline_id": 1}, "attempts": 5,
                "error": "OperationalError\n/app/cases.py:12 fire", "failed_at": clock(), "set_aside": True,
            },
        )  # fmt: skip


def test_jobs_that_were_set_aside_are_shown_to_the_ministry_and_put_back(
    database, ministry, county, aside, application
):
    page = ministry.get("/incidents").text
    assert "期限到期处理（提醒或上报）" in page
    assert "任务因技术原因失败。" in page
    assert "期限到期处理" not in county.get("/incidents").text
    answer = ministry.post("/incidents/jobs/1/retry")
    assert "任务已重新排队" in ministry.get(answer.location).text
    assert application.jobs.run_pending() == 1
    assert ministry.post("/incidents/jobs/1/retry").status_code == 404


# Calendar


def test_the_calendar_says_where_each_year_is_known_from(ministry):
    assert "该年放假安排由系统自带。" in ministry.get("/calendar").text
    assert "2027 年放假安排尚未公布" in ministry.get("/calendar?year=2027").text
    assert "春节" in ministry.get("/calendar?year=2026").text


def test_a_day_is_entered_and_taken_back_and_the_page_says_how_many_cases_moved(database, world, clock, ministry):
    case_id = play.apply(database, world, HENAN, ANHUI, clock())
    form = {"day": "2026-09-28", "kind": "free", "name": "台风停课", "source": "省厅通知"}
    answer = ministry.post("/calendar/days", form)
    page = ministry.get(answer.location).text
    assert "1 件在办转学的期限随之变动。" in page
    assert "台风停课" in page
    [task] = play.open_tasks(database, case_id)
    assert task.due_at == datetime(2026, 10, 15, tzinfo=ZoneInfo("Asia/Shanghai"))
    answer = ministry.post("/calendar/days/2026-09-28/removal")
    assert "期限随之变动" in ministry.get(answer.location).text
    assert "台风停课" not in ministry.get("/calendar").text


@pytest.mark.parametrize(
    "form",
    [
        {"day": "bald", "kind": "free", "name": "某日"},
        {"day": "2026-09-28", "kind": "perhaps", "name": "某日"},
        {"day": "2026-09-28", "kind": "free", "name": " "},
        {"day": "2026-09-28", "kind": "free", "name": "长" * 61},
    ],
)
def test_a_day_that_can_not_be_entered_is_refused_with_what_was_typed(database, ministry, form):
    answer = ministry.post("/calendar/days", form | {"source": "某号通知"})
    assert answer.status_code == 422
    assert "某号通知" in answer.text
    with database.reading() as connection:
        assert workdays.load(connection).days == {}


NOTICE = (
    "一、元旦：1月1日（周五）至3日（周日）放假，共3天。\n二、春节：2月5日至11日放假调休，共7天。1月31日（周日）上班。"
)


def test_a_notice_is_read_shown_and_only_then_entered(database, ministry):
    form = {"year": "2027", "source": "国办发明电〔2026〕9号", "text": NOTICE}
    answer = ministry.post("/calendar/notice", form)
    assert answer.status_code == 200
    assert "2027-02-05" in answer.text
    assert "共 11 天。" in answer.text
    with database.reading() as connection:
        assert workdays.load(connection).known_from(2027) is None
    answer = ministry.post("/calendar/notice", form | {"confirmed": "1"})
    assert answer.status_code == 303
    page = ministry.get(answer.location).text
    assert "2027 年放假通知已录入。" in page
    assert "国办发明电〔2026〕9号" in page
    with database.reading() as connection:
        assert workdays.load(connection).known_from(2027) == "notice"
    answer = ministry.post("/calendar/years/2027/retraction")
    assert "尚未公布" in ministry.get(answer.location).text


def test_a_notice_that_can_not_be_read_is_refused_with_its_line_and_kept_in_the_form(ministry):
    form = {"year": "2027", "source": "某号", "text": f"{NOTICE}\n端午节：农历五月初五放假。"}
    answer = ministry.post("/calendar/notice", form)
    assert answer.status_code == 422
    assert "第 3 行" in answer.text
    assert "农历五月初五" in answer.text
    assert ministry.post("/calendar/notice", form | {"year": "1999"}).status_code == 422
    assert ministry.post("/calendar/notice", form | {"source": ""}).status_code == 422


def test_a_year_far_away_shows_the_nearest_that_is_kept(ministry):
    assert "工作日历 2028" in ministry.get("/calendar?year=9999").text
    assert "工作日历 2004" in ministry.get("/calendar?year=1").text


# Regimes


def test_the_table_shows_the_exceptions_and_who_follows_the_general_rule(province):
    page = province.get("/regimes").text
    assert "皖教秘基〔2014〕2号只讲跨省转学" in page
    assert "推断" in page
    assert "新疆维吾尔自治区" in page


def test_a_province_gets_a_rule_of_its_own_and_loses_it_again(database, world, clock, ministry):
    def regime():
        with database.reading() as connection:
            return procedures.routes(connection, [HENAN], within=False, at=clock())[HENAN].rule.regime

    form = {"regime": "anhui", "basis": "inferred", "reason": "河南试用安徽做法"}
    answer = ministry.post("/regimes/410000/across", form)
    page = ministry.get(answer.location).text
    assert "河南省（跨省转学）：新发起的转学按新规则办理。" in page
    assert "河南试用安徽做法" in page
    assert regime() == "anhui"
    answer = ministry.post("/regimes/410000/across/removal")
    assert "已恢复适用通则。" in ministry.get(answer.location).text
    assert regime() == "national"


def test_what_is_missing_in_a_rule_is_said_at_its_field(database, ministry):
    answer = ministry.post("/regimes/410000/across", {"regime": "nowhere", "basis": "inferred", "reason": ""})
    assert answer.status_code == 422
    assert 'id="regime-across-error"' in answer.text or "请选择流程体系。" in answer.text
    assert 'id="reason-across-error"' in answer.text
    assert ministry.get("/regimes/999999").status_code == 404
    assert ministry.post("/regimes/410000/sideways", {"regime": "anhui", "reason": "x"}).status_code == 404
    answer = ministry.post("/regimes/*/across/removal")
    assert answer.status_code == 422


def test_a_closed_season_is_set_lifted_and_refused_at_its_field(database, ministry):
    def seasons():
        with database.reading() as connection:
            found = procedures.regimes(connection)["anhui"]
            return found.closed_from, found.closed_until

    answer = ministry.post("/regimes/seasons/anhui", {"closed_from": "07-15", "closed_until": "08-14"})
    assert "安徽的停办期已更新。" in ministry.get(answer.location).text
    assert seasons() == ("07-15", "08-14")
    answer = ministry.post("/regimes/seasons/anhui", {"closed_from": "7月15日", "closed_until": "08-14"})
    assert answer.status_code == 422
    assert "7月15日" in answer.text
    assert 'id="closed_from-anhui-error"' in answer.text
    ministry.post("/regimes/seasons/anhui", {"closed_from": "", "closed_until": ""})
    assert seasons() == (None, None)


def test_english_pages_are_complete(ministry, stopped, aside):
    ministry.post("/locale", {"locale": "en"})
    assert "Background work that was set aside" in ministry.get("/incidents").text
    assert "Enter one day" in ministry.get("/calendar").text
    assert "All other provinces" in ministry.get("/regimes").text
    assert "Grounds" in ministry.get("/regimes/410000").text
