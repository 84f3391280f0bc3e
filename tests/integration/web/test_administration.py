"""The administrators' and auditors' pages: who reaches whom, and what a page shows once."""

from __future__ import annotations

import re

import pytest

from engine import accounts


@pytest.fixture
def place(country):
    return country["340000"]


@pytest.fixture
def elsewhere(country):
    return country["410000"]


@pytest.fixture
def administrator(visitor_of, place):
    return visitor_of(place.actor("county_admin"))


def error_of(answer) -> str:
    """The text beside the field that is marked as wrong."""
    found = re.search(r'class="error".*?<span>(.*?)</span>', answer.text, re.DOTALL)
    return found[1] if found else ""


# Accounts


def test_an_administrator_reads_the_own_people_and_searches_them_without_a_name_in_the_address(administrator):
    page = administrator.get("/accounts").text
    assert "测试340000-operator" in page
    assert "测试410000-operator" not in page
    answer = administrator.post("/accounts/search", {"text": "340000-review"})
    assert re.fullmatch(r"/accounts\?search=[\w-]{22}", answer.location)
    page = administrator.follow(answer).text
    assert "测试340000-reviewer" in page
    assert "测试340000-operator" not in page


def test_a_search_sent_to_a_colleague_opens_nothing(administrator, visitor_of, place):
    address = administrator.post("/accounts/search", {"text": "340000-review"}).location
    answer = visitor_of(place.actor("school_admin")).get(address)
    assert answer.status_code == 404
    assert "该查询条件已失效。" in answer.text


def test_pages_of_a_list_keep_its_search(administrator, application, place, clock):
    with application.database.transaction() as connection:
        for number in range(25):
            accounts.add_person(
                connection, place.actor("county_admin"), f"many-{number}", "张三", place.school, "operator", at=clock()
            )
    page = administrator.follow(administrator.post("/accounts/search", {"text": "many"})).text
    assert "共 25 条 · 每页 20" in page
    second = re.search(r'href="([^"]+)" rel="next"', page)[1].replace("&amp;", "&")
    assert administrator.get(second).text.count("many-") == 5


def test_a_first_password_is_shown_once_and_opens_the_account(administrator, stranger, place):
    form = {"name": "新人", "login": "New.One", "organisation_id": place.school, "duty": "operator"}
    answer = administrator.post("/accounts/new", form)
    assert answer.status_code == 200
    password = re.search(r"[a-z2-9]{4}-[a-z2-9]{4}-[a-z2-9]{4}", answer.text)[0]
    person = re.search(r"/accounts/(\d+)", answer.text)[0]
    assert password not in administrator.get(person).text
    assert stranger.post("/login", {"login": "new.one", "password": password}).status_code == 302


def test_what_was_entered_stays_when_something_is_wrong(administrator, elsewhere):
    form = {"name": "新人", "login": "new", "organisation_id": elsewhere.school, "duty": "operator"}
    answer = administrator.post("/accounts/new", form)
    assert answer.status_code == 422
    assert 'value="新人"' in answer.text
    assert error_of(answer) == "请选择本辖区内的机构。"


def test_memberships_come_and_go(administrator, place):
    person = f"/accounts/{place.actor('operator').person_id}"
    membership = {"organisation_id": place.other_school, "duty": "reviewer"}
    assert "340000第二小学" in administrator.follow(administrator.post(f"{person}/memberships", membership)).text
    removals = re.findall(rf'action="({person}/memberships/\d+/remove)"', administrator.get(person).text)
    assert len(removals) == 2
    assert administrator.post(removals[1]).status_code == 302
    answer = administrator.post(removals[0])
    assert answer.status_code == 409
    assert "这是该账号唯一的身份。" in answer.text


def test_an_account_is_closed_and_opened_again(administrator, place):
    person = f"/accounts/{place.actor('operator').person_id}"
    assert "已停用" in administrator.follow(administrator.post(f"{person}/close")).text
    assert "使用中" in administrator.follow(administrator.post(f"{person}/open")).text


def test_a_locked_account_is_shown_and_unlocked(administrator, stranger, settings, place):
    for _attempt in range(settings.lockout_failures):
        stranger.post("/login", {"login": "340000-operator", "password": "wrong"})
    person = f"/accounts/{place.actor('operator').person_id}"
    assert "已锁定" in administrator.get("/accounts").text
    assert "锁定至 2026年9月22日 09:15" in administrator.get(person).text
    assert "已锁定" not in administrator.follow(administrator.post(f"{person}/unlock")).text


def test_sessions_of_a_person_are_ended(administrator, visitor_of, place):
    operator = visitor_of(place.actor("operator"))
    assert operator.get("/account").status_code == 200
    administrator.post(f"/accounts/{place.actor('operator').person_id}/sessions")
    assert operator.get("/account").status_code == 302


@pytest.mark.parametrize("path", ["", "/password", "/unlock", "/close", "/open", "/sessions", "/memberships"])
def test_people_outside_of_the_jurisdiction_do_not_exist(administrator, elsewhere, path):
    person = f"/accounts/{elsewhere.actor('operator').person_id}"
    answer = administrator.post(person + path) if path else administrator.get(person)
    assert answer.status_code == 404
    assert "410000" not in answer.text


# Organisations


def test_an_administrator_sees_what_lies_below(administrator, place, elsewhere):
    page = administrator.get("/organisations").text
    assert "340000第一小学" in page
    assert "410000第一小学" not in page
    assert "340000教育厅" not in page
    for hidden in (elsewhere.school, place.province):
        assert administrator.get(f"/organisations/{hidden}").status_code == 404
    assert "340000第二小学" not in administrator.get("/organisations?text=第一").text


def test_a_school_is_added_below_its_authority_and_gets_classes(administrator, place):
    form = {"level": "school", "name": "新城小学", "code": "2134000003", "division_code": "340104"}
    answer = administrator.post(f"/organisations/{place.county}/new", form)
    assert "已添加新城小学。" in administrator.follow(answer).text
    classes = {"grade": "11", "name": "(1)班", "capacity": "45"}
    page = administrator.follow(administrator.post(f"{answer.location}/classes", classes)).text
    assert "小学一年级" in page
    change = re.search(rf'action="({answer.location}/classes/\d+)"', page)[1]
    assert 'value="40"' in administrator.follow(administrator.post(change, {"capacity": "40"})).text


def test_a_school_without_its_code_is_refused_with_the_remedy(administrator, place):
    form = {"level": "school", "name": "新城小学", "division_code": "340104"}
    answer = administrator.post(f"/organisations/{place.county}/new", form)
    assert answer.status_code == 422
    assert "请按学校标识码证书填写。" in answer.text
    assert 'value="新城小学"' in answer.text


def test_an_organisation_is_renamed_closed_and_opened_again(administrator, place):
    school = f"/organisations/{place.school}"
    names = {"name": "更名小学", "name_en": "Renamed School"}
    assert "更名小学" in administrator.follow(administrator.post(f"{school}/name", names)).text
    assert "已停用" in administrator.follow(administrator.post(f"{school}/close")).text
    assert "使用中" in administrator.follow(administrator.post(f"{school}/open")).text


def test_organisations_are_offered_while_one_types(administrator, elsewhere):
    found = administrator.get("/organisations/choices?organisation_text=第二").text
    assert "340000第二小学" in found
    assert "410000" not in found


@pytest.mark.parametrize("path", ["/new", "/name", "/close", "/open", "/classes"])
def test_organisations_elsewhere_are_not_administered(administrator, elsewhere, path):
    assert administrator.post(f"/organisations/{elsewhere.county}{path}").status_code == 404


# Who may at all


@pytest.mark.parametrize("name", ["operator", "reviewer", "county", "county_auditor", "policy"])
@pytest.mark.parametrize("path", ["/accounts", "/accounts/new", "/organisations", "/organisations/choices"])
def test_other_duties_do_not_administer(visitor_of, place, name, path):
    assert visitor_of(place.actor(name)).get(path).status_code == 403


@pytest.mark.parametrize("name", ["operator", "county", "county_admin", "policy"])
def test_other_duties_do_not_read_the_audit_log(visitor_of, place, name):
    assert visitor_of(place.actor(name)).get("/audit").status_code == 403


# The audit log


def test_an_auditor_finds_who_did_what(visitor_of, administrator, place):
    administrator.post(f"/accounts/{place.actor('operator').person_id}/close")
    auditor = visitor_of(place.actor("county_auditor"))
    page = auditor.get("/audit").text
    assert "停用账号" in page
    assert "测试340000-county_admin" in page
    answer = auditor.post("/audit", {"action": "person.closed", "person": "340000-county_admin"})
    assert "340000" not in answer.location
    assert auditor.follow(answer).text.count("停用账号") == 2  # in the list, and among the choices
    assert "没有符合条件的记录" in auditor.follow(auditor.post("/audit", {"until": "2026-09-21"})).text
    assert "停用账号" in auditor.follow(auditor.post("/audit", {"since": "2026-09-22", "until": "2026-09-22"})).text


def test_a_page_of_a_case_leads_to_its_entries(visitor_of, place):
    page = visitor_of(place.actor("county_auditor")).get("/audit?case_id=7").text
    assert 'value="7"' in page
    assert "没有符合条件的记录" in page


@pytest.mark.parametrize("typed", ["2147483648", "9" * 30, "ZX209900000001", "nonsense"])
def test_what_is_no_cases_number_finds_nothing(visitor_of, place, typed):
    auditor = visitor_of(place.actor("county_auditor"))
    assert "没有符合条件的记录" in auditor.follow(auditor.post("/audit", {"case_id": typed})).text


def test_an_auditor_sees_nothing_of_another_jurisdiction(visitor_of, country, place, elsewhere):
    visitor_of(elsewhere.actor("operator"))
    assert "410000" not in visitor_of(place.actor("county_auditor")).get("/audit").text
    assert "410000" in visitor_of(country.ministry_actors["auditor"]).get("/audit").text
