"""Starting a transfer through the page, as a browser without scripts does it: fill in, refresh, look up, save."""

from __future__ import annotations

import html
import re
from html.parser import HTMLParser
from io import BytesIO
from typing import Any

import pytest
import sqlalchemy as sa

from engine import accounts, audit, procedures
from engine.audit import SYSTEM
from engine.registry.tables import school_class, student, student_lookup
from engine.settings import processes_folder
from engine.transfers.tables import application_draft, transfer
from tests.integration import play
from tests.integration.world import PLACES, id_number, name_of

ANHUI, HENAN, ZHEJIANG = "340000", "410000", "330000"
NEW = "/transfers/new"
PDF = b"%PDF-1.7 proof"


class _Controls(HTMLParser):
    """What a browser would send of the form, and what its choices offer."""

    def __init__(self) -> None:
        super().__init__()
        self.sent: dict[str, Any] = {}
        self.offered: dict[str, list[tuple[str, str, bool]]] = {}
        self._inside = False
        self._select = self._textarea = ""
        self._option: tuple[str, bool] | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag == "form":
            self._inside = given.get("id") == "application" or "data-begins" in given
        if not self._inside:
            return
        name, value = given.get("name") or "", given.get("value") or ""
        if tag == "input" and name == "recorded":
            self.sent.setdefault(name, []).append(value)
        elif tag == "input" and name and given.get("type") not in ("radio", "checkbox", "file"):
            self.sent[name] = value
        if tag == "input" and given.get("type") in ("radio", "checkbox") and "checked" in given:
            self.sent[name] = value
        if tag == "textarea":
            self._textarea, self.sent[name] = name, ""
        if tag == "select":
            self._select, self.sent[name] = name, ""
            self.offered[name] = []
        if tag == "option":
            self._option = (value, "disabled" in given)
            if "selected" in given:
                self.sent[self._select] = value

    def handle_data(self, data: str) -> None:
        if self._option and self._option[0]:
            self.offered[self._select].append((self._option[0], data.strip(), self._option[1]))
        elif self._textarea:
            self.sent[self._textarea] += data

    def handle_endtag(self, tag: str) -> None:
        if tag == "option":
            self._option = None
        if tag == "textarea":
            self._textarea = ""
        if tag == "form":
            self._inside = False


class Form:
    """One application in one browser."""

    def __init__(self, visitor) -> None:
        self.visitor = visitor
        self.answer = None
        self.controls = _Controls()
        self.entered: dict[str, object] = {}

    def open(self, path: str = NEW) -> Form:
        return self._seen(self.visitor.get(path))

    def enter(self, **entries: object) -> Form:
        self.entered |= entries
        return self

    def send(self, path: str = NEW, **more: object):
        """Press a button: everything in the form goes along."""
        form = {**self.controls.sent, **self.entered, **more}
        self._seen(self.visitor.post(path, form, content_type="multipart/form-data"))
        return self.answer

    def refresh(self) -> Form:
        assert self.send(f"{NEW}/form").status_code == 200
        return self

    def look_up(self) -> str:
        self.send(f"{NEW}/student")
        return self.found

    @property
    def found(self) -> str:
        """The words of the part that says whom the look-up has found."""
        return text_of(re.search(r'<div id="found".*?<button', self.text, re.DOTALL)[0])

    @property
    def text(self) -> str:
        return self.answer.text

    @property
    def words(self) -> str:
        return text_of(self.text)

    def sent(self, name: str) -> str:
        return self.controls.sent.get(name, "")

    def offered(self, name: str) -> dict[str, str]:
        return {words: value for value, words, _disabled in self.controls.offered[name]}

    def errors(self) -> dict[str, str]:
        found = re.findall(r'id="(\w+)-error">(.*?)</p>', self.text, re.DOTALL)
        return {name: text_of(words) for name, words in found}

    def _seen(self, answer) -> Form:
        self.answer = answer
        if answer.mimetype == "text/html":
            controls = _Controls()
            controls.feed(answer.text)
            if controls.sent:
                self.controls, self.entered = controls, {}
        return self


def text_of(markup: str) -> str:
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", markup)).split())


@pytest.fixture
def form(visitor_of, world):
    """A form in the browser of a school's operator."""

    def form(place: str = ANHUI, who: str = "operator") -> Form:
        return Form(visitor_of(world[place].actor(who)))

    return form


@pytest.fixture
def anhui(form, world):
    """Anhui's form for a student of Henan, filled in but for the target and the date."""

    def anhui(serial: int = 1) -> Form:
        filled = form().open(f"{NEW}?origin={HENAN}").enter(origin_division__upper="410100").refresh()
        filled.enter(origin_division=PLACES[HENAN]).refresh().enter(origin_school=str(world[HENAN].school)).refresh()
        return filled.enter(student_name=name_of(serial), record_number=number(HENAN, serial))

    return anhui


@pytest.fixture
def complete(anhui, world):
    """The same form with everything that saving needs."""

    def complete(serial: int = 1) -> Form:
        filled = anhui(serial)
        filled.look_up()
        filled.enter(receiving_grade="13").refresh()
        return filled.enter(receiving_class=str(world[ANHUI].to_class), transfer_date="2026-09-21")

    return complete


def number(province: str, serial: int) -> str:
    return f"G{id_number(PLACES[province], serial)}"


def count(database, table: sa.Table) -> int:
    with database.reading() as connection:
        return connection.scalar(sa.select(sa.func.count()).select_from(table)) or 0


def mark(database, student_id: int, **values: object) -> None:
    with database.transaction() as connection:
        connection.execute(student.update().where(student.c.id == student_id).values(values))


# The form --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("who", ["reviewer", "school_admin", "county", "county_auditor", "province", "policy"])
@pytest.mark.parametrize("path", [NEW, "/transfers/drafts"])
def test_only_a_schools_operator_starts_a_transfer(visitor_of, world, who, path):
    assert visitor_of(world[ANHUI].actor(who)).get(path).status_code == 403


@pytest.mark.parametrize("path", [NEW, f"{NEW}/form", f"{NEW}/student", f"{NEW}/draft", f"{NEW}/declined"])
def test_nobody_else_posts_one_either(database, visitor_of, world, path):
    visitor = visitor_of(world[ANHUI].actor("county"))
    assert visitor.post(path, {"origin": HENAN, "decline_reason": "x"}).status_code == 403
    assert count(database, application_draft) == count(database, student_lookup) == 0


def test_the_province_comes_first_and_opening_creates_nothing(database, form):
    first = form().open()
    assert list(first.offered("origin"))[:2] == ["北京市", "天津市"]
    assert "student_name" not in first.controls.sent
    # The province is the only entry that may stand in the address.
    assert 'method="get" action="/transfers/new" data-begins' in first.text
    assert "student_name" in first.open(f"{NEW}?origin={HENAN}").controls.sent
    assert count(database, application_draft) == 0


def test_each_regime_has_its_own_form_in_its_own_words_and_order(form):
    anhui, national = form(ANHUI).open(f"{NEW}?origin={HENAN}"), form(HENAN).open(f"{NEW}?origin={ANHUI}")

    def sections(shown: Form) -> list[str]:
        return re.findall(r'<fieldset id="section-(\w+)"', shown.text)

    assert sections(anhui) == ["start", "review_application", "origin", "student", "target", "transfer"]
    assert sections(national) == ["start", "review_application", "student", "target", "transfer"]
    for words in (
        "学籍变动 跨省转入",
        "学籍号或身份证号",
        "变动日期",
        "转入学校依据相关规定和学校学位空额等情况审核。",
    ):
        assert words in anhui.words
    for words in ("学籍管理 跨省转学 跨省转学申请", "学籍号（无正式学籍号的输入临时学籍号或身份证件号）", "转学理由"):
        assert words in national.words
    # Only Anhui's form names the receiving school, and only pictures show the sex.
    assert anhui.sent("receiving_school")
    assert "receiving_school" not in national.controls.sent
    assert "性别 图示" in anhui.words
    assert national.sent("releasing_province") == ANHUI


def test_both_procedures_and_who_decides_next_are_told_before_saving(form):
    across = form(HENAN).open(f"{NEW}?origin={ANHUI}").words
    assert "转入方 全国 · 教基一司函〔2013〕68号 · 第 1 版" in across
    assert "转出方 安徽 · 皖教秘基〔2014〕2号 · 第 1 版" in across
    assert "下一步：转入学校 · 审核 测试410000第一小学" in across
    within = form(ANHUI, "other_operator").open(f"{NEW}?origin={ANHUI}").words
    assert within.count("未载明 · 推断") == 2
    assert "下一步：转入学校学籍主管部门 测试340104教育局" in within


def test_the_form_is_complete_in_english(database, world, form):
    with database.transaction() as connection:
        accounts.choose_locale(connection, world[ANHUI].actor("operator"), "en")
    words = form().open(f"{NEW}?origin={HENAN}").words
    for text in ("Start a transfer", "Record number or ID number", "Receiving class", "Anhui", "Look up the student"):
        assert text in words
    chinese = re.sub(r"<(option|blockquote).*?</\1>", "", form().open(f"{NEW}?origin={HENAN}").text, flags=re.DOTALL)
    left = set(
        re.findall(r"[\u4e00-\u9fff]+", text_of(re.search(r"<form id=.application.*</form>", chinese, re.DOTALL)[0]))
    )
    assert left <= {"测试", "教育局", "第一小学"}


def test_a_changed_diagram_changes_the_form(database, clock, form):
    """The field's label, a field of no binding and the section it stands in follow from the diagram alone."""
    source = (processes_folder() / "national" / "transfer.bpmn").read_text("utf-8")
    added = '<camunda:formField id="boarding" label="是否住校" type="boolean" />'
    changed = source.replace('label="转学理由"', 'label="转学缘由"').replace(
        '<camunda:formField id="transfer_reason"', f'{added}<camunda:formField id="transfer_reason"'
    )
    with database.transaction() as connection:
        version = procedures.upload(connection, SYSTEM, "national", "transfer", changed.encode(), at=clock())
        procedures.deploy(connection, SYSTEM, version.id, at=clock())
    shown = form(HENAN).open(f"{NEW}?origin={ANHUI}")
    assert "转学缘由" in shown.words
    assert "第 2 版" in shown.words
    assert re.findall(r'<fieldset id="section-(\w+)"', shown.text)[-2:] == ["more", "transfer"]
    assert 'name="boarding"' in shown.text


# Choices ---------------------------------------------------------------------------------------------------------


def test_region_school_grade_and_class_follow_from_each_other(form, world):
    shown = form().open(f"{NEW}?origin={HENAN}")
    assert "郑州市" in shown.offered("origin_division__upper")
    assert shown.offered("origin_school") == {}
    shown.enter(origin_division__upper="410100", student_name=name_of(1)).refresh()
    assert {"金水区": "410105", "郑州市（不分区县）": "410100"}.items() <= shown.offered("origin_division").items()
    shown.enter(origin_division="410105").refresh()
    assert "测试410000第一小学" in shown.offered("origin_school")
    shown.enter(origin_school=str(world[HENAN].school)).refresh()
    assert list(shown.offered("origin_grade")) == ["小学三年级"]
    shown.enter(origin_grade="13").refresh()
    assert list(shown.offered("origin_class")) == ["(1)班", "(2)班"]
    # Another region takes away what stood below the first one, and nothing else.
    shown.enter(origin_division__upper="410200").refresh()
    assert [shown.sent(name) for name in ("origin_division", "origin_school", "origin_grade")] == ["", "", ""]
    assert shown.sent("student_name") == name_of(1)


def test_a_city_without_counties_is_a_region_by_itself(form):
    shown = form().open(f"{NEW}?origin=440000").enter(origin_division__upper="441900").refresh()
    assert shown.sent("origin_division") == "441900"


def test_the_own_school_is_not_a_school_of_origin(form, world):
    shown = form(ANHUI, "other_operator").open(f"{NEW}?origin={ANHUI}")
    shown.enter(origin_division__upper="340100").refresh().enter(origin_division=PLACES[ANHUI]).refresh()
    assert list(shown.offered("origin_school")) == ["测试340000第一小学"]


def test_vacancies_stand_beside_grades_and_classes_and_a_full_one_can_not_be_taken(form, world):
    shown = form().open(f"{NEW}?origin={HENAN}")
    assert list(shown.offered("receiving_grade")) == ["小学三年级 · 空额 33 个"]
    shown.enter(receiving_grade="13").refresh()
    assert [(words, disabled) for _, words, disabled in shown.controls.offered["receiving_class"]] == [
        ("(1)班 · 空额 33 个", False), ("(2)班 · 已满", True),
    ]  # fmt: skip


# Looking up ------------------------------------------------------------------------------------------------------


def test_the_student_is_filled_in_masked_and_read_only(database, world, anhui):
    shown = anhui()
    found = shown.look_up()
    assert f"{name_of(1)} {number(HENAN, 1)[:11]}****" in found
    assert "测试410000第一小学" in found
    assert "小学三年级 (1)班" in found
    assert "在读" in found
    assert "学籍中没有妨碍转学的情况。" in found
    # The number that was typed stays in its own field; no other number of the student is there.
    assert shown.text.count(number(HENAN, 1)) == 1
    assert id_number(PLACES[HENAN], 1) not in shown.text.replace(number(HENAN, 1), "")
    assert [shown.sent(name) for name in ("student_gender", "student_birth_date", "origin_grade")] == [
        "1", "2015-03-08", "13",
    ]  # fmt: skip
    assert "男 据学籍信息" in shown.words
    with database.reading() as connection:
        [logged] = connection.execute(sa.select(student_lookup)).all()
    assert (logged.student_id, logged.person_id) == (
        world[HENAN].students[0], world[ANHUI].actor("operator").person_id,
    )  # fmt: skip


def test_what_was_found_stays_while_the_form_is_refreshed_and_goes_with_another_name(database, anhui):
    shown = anhui()
    shown.look_up()
    assert name_of(1) in shown.refresh().found
    shown.enter(student_name=name_of(2)).refresh()
    assert "****" not in shown.found
    # What the record had filled in belongs to the student who is not there any more.
    assert [shown.sent(name) for name in ("student_gender", "student_birth_date", "origin_class")] == ["", "", ""]
    assert count(database, student_lookup) == 1


@pytest.mark.parametrize("entries", [{"student_name": "王小明"}, {"record_number": number(HENAN, 77)}])
def test_no_match_and_a_wrong_name_are_answered_alike(database, anhui, entries):
    shown = anhui().enter(**entries)
    answer = shown.send(f"{NEW}/student")
    assert answer.status_code == 404
    assert shown.errors() == {"record_number": "转出方没有学籍号与姓名均相符的学生。"}
    assert "****" not in shown.found
    assert count(database, student_lookup) == 1


def test_a_look_up_asks_for_both_and_for_the_school_where_the_form_does(database, form):
    shown = form().open(f"{NEW}?origin={HENAN}").enter(record_number=number(HENAN, 1))
    assert shown.send(f"{NEW}/student").status_code == 422
    assert set(shown.errors()) >= {"student_name", "origin_school"}
    assert shown.sent("record_number") == number(HENAN, 1)
    assert count(database, student_lookup) == 0


@pytest.mark.parametrize(
    ("state", "words"),
    [
        ({"open_business": "休学办理中"}, "（2002）"),
        ({"problem": True}, "（2003）"),
        ({"status": "02"}, "休学"),
    ],
)
def test_what_would_be_refused_later_is_said_now_with_its_remedy(database, world, anhui, state, words):
    mark(database, world[HENAN].students[0], **state)
    found = anhui().look_up()
    assert words.strip("（）") in found
    assert "没有妨碍" not in found


def test_another_open_transfer_is_said_now(database, world, clock, anhui):
    play.apply(database, world, HENAN, ZHEJIANG, clock())
    found = anhui().look_up()
    assert "2002" in found
    assert "查看转学" not in found  # another school's


def test_the_own_schools_open_transfer_is_led_to(database, world, clock, anhui):
    case_id = play.apply(database, world, HENAN, ANHUI, clock())
    found = anhui().look_up()
    assert "2002" in found
    assert f"查看转学 ZX2026{case_id:08d}" in found


def test_the_limit_of_look_ups_is_said_in_words(application, anhui):
    object.__setattr__(application.settings, "lookups_per_hour", 0)
    shown = anhui()
    assert shown.send(f"{NEW}/student").status_code == 429
    assert "一小时内查询学生次数过多" in shown.words


def test_what_was_chosen_must_be_what_the_record_says(world, anhui):
    shown = anhui().enter(student_gender="2", origin_grade="13").refresh()
    shown.enter(origin_class=str(world[HENAN].full_class))
    shown.look_up()
    assert set(shown.errors()) == {"student_gender", "origin_class"}
    assert shown.sent("student_gender") == "2"


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        (number(HENAN, 1), "号码格式正确"),
        (f"g {id_number(PLACES[HENAN], 1)} ", "号码格式正确"),
        (f"G{id_number(PLACES[HENAN], 2)[:-1]}{id_number(PLACES[HENAN], 3)[-1]}", "校验码"),
        ("E1234567", "这不是学籍号"),
        ("", ""),
    ],
)
def test_a_number_is_checked_while_it_is_typed(visitor_of, world, typed, words):
    visitor = visitor_of(world[ANHUI].actor("operator"))
    answer = visitor.post(f"{NEW}/number", {"record_number": typed}).text
    assert words in text_of(answer)
    assert not typed or typed not in answer


# Saving ----------------------------------------------------------------------------------------------------------


def test_saving_starts_the_transfer_and_says_who_has_it_now(database, complete):
    shown = complete()
    answer = shown.send()
    assert answer.status_code == 303
    with database.reading() as connection:
        row = connection.execute(sa.select(transfer)).one()
    assert answer.location == f"/transfers/{row.case_id}"
    page = text_of(shown.visitor.get("/account").text)
    assert f"申请已保存，转学编号 {row.number}。" in page
    assert "测试340104教育局" in page
    assert "2026年10月13日" in page


def test_the_national_form_is_saved_with_fewer_entries(database, world, form):
    shown = form(HENAN).open(f"{NEW}?origin={ANHUI}")
    shown.enter(student_name=name_of(4), record_number=id_number(PLACES[ANHUI], 4), receiving_grade="13").refresh()
    shown.enter(receiving_class=str(world[HENAN].to_class), transfer_reason="随父母工作调动")
    assert shown.send().status_code == 303
    assert count(database, transfer) == 1


def test_nothing_is_lost_by_an_error_and_all_of_them_stand_at_their_fields(database, complete):
    shown = complete()
    assert shown.send(student_name="", transfer_date="", transfer_reason="随父母\n工作调动").status_code == 422
    assert shown.errors() == {"student_name": "此项必填。", "transfer_date": "此项必填。"}
    assert shown.sent("transfer_reason") == "随父母\n工作调动"
    assert shown.sent("record_number") == number(HENAN, 1)
    assert shown.sent("receiving_class")
    with database.reading() as connection:
        [draft] = connection.execute(sa.select(application_draft)).all()
    assert draft.values["transfer_reason"] == "随父母\n工作调动"


def test_a_place_that_has_just_gone_is_said_at_the_class(database, world, complete):
    shown = complete()
    with database.transaction() as connection:
        taken = school_class.c.enrolled
        connection.execute(
            school_class.update().where(school_class.c.id == world[ANHUI].to_class).values(capacity=taken)
        )
    assert shown.send().status_code == 409
    assert "没有空余学位" in shown.errors()["receiving_class"]
    assert shown.sent("receiving_class") == str(world[ANHUI].to_class)
    assert count(database, transfer) == 0


def test_a_student_whom_another_school_was_faster_with_is_refused_and_the_draft_kept(database, world, clock, complete):
    shown = complete()
    play.apply(database, world, HENAN, ZHEJIANG, clock())
    assert shown.send().status_code == 409
    assert "2002" in shown.found
    assert shown.sent("student_name") == name_of(1)
    page = text_of(shown.visitor.get("/transfers/drafts").text)
    assert name_of(1) in page


def test_the_same_form_sent_twice_leads_to_the_same_transfer(database, complete):
    shown = complete()
    sent = dict(shown.controls.sent | shown.entered)
    first = shown.send()
    second = shown.send(**sent)
    assert (first.status_code, second.status_code) == (303, 303)
    assert first.location == second.location
    assert count(database, transfer) == 1
    assert "该申请已保存" in text_of(shown.visitor.get("/account").text)


def test_a_form_with_a_foreign_schools_class_or_another_school_is_refused(database, world, complete):
    shown = complete()
    assert shown.send(receiving_class=str(world[HENAN].to_class)).status_code == 422
    assert "receiving_class" in shown.errors()
    assert shown.send(receiving_school=str(world[HENAN].school)).status_code == 422
    assert count(database, transfer) == 0


def test_names_and_numbers_stand_in_no_address(complete):
    shown = complete()
    paths = re.findall(r'(?:action|formaction|href|hx-post|data-keeps)="([^"]*)"', shown.text)
    paths.append(shown.send().location)
    assert not any(name_of(1) in html.unescape(path) or number(HENAN, 1) in path for path in paths)


# Drafts ----------------------------------------------------------------------------------------------------------


def test_the_script_keeps_a_draft_and_a_colleague_goes_on_with_it(database, world, form, anhui):
    shown = anhui()
    uid = shown.sent("draft")
    answer = shown.visitor.post(
        f"{NEW}/draft", {**shown.controls.sent, **shown.entered}, headers={"Accept": "application/json"}
    )
    assert "09:00" in answer.json["words"]
    continued = form(ANHUI, "colleague").open(f"{NEW}?draft={uid}")
    assert continued.sent("student_name") == name_of(1)
    assert continued.sent("origin_division") == PLACES[HENAN]
    assert continued.sent("origin_division__upper") == "410100"
    assert continued.sent("draft") == uid
    assert form(ANHUI, "other_operator").open(f"{NEW}?draft={uid}").answer.status_code == 404
    assert count(database, application_draft) == 1


def test_the_list_of_drafts_masks_numbers(anhui):
    shown = anhui()
    assert shown.send(f"{NEW}/draft").status_code == 303
    page = shown.visitor.get("/transfers/drafts").text
    assert name_of(1) in page
    assert number(HENAN, 1) not in page
    assert f"{number(HENAN, 1)[:11]}****" in page


def test_a_draft_that_has_become_a_transfer_leads_there(complete):
    shown = complete()
    uid = shown.sent("draft")
    saved = shown.send()
    assert shown.visitor.get(f"{NEW}?draft={uid}").location == saved.location


def test_declining_needs_a_reason_and_starts_nothing(database, anhui):
    shown = anhui()
    assert shown.send(f"{NEW}/declined").status_code == 422
    assert "decline_reason" in shown.errors()
    answer = shown.enter(decline_reason="学位已满").send(f"{NEW}/declined")
    assert answer.status_code == 303
    page = text_of(shown.visitor.get(answer.location).text)
    assert "学位已满" in page
    assert name_of(1) in page
    assert count(database, transfer) == 0
    with database.reading() as connection:
        entry = connection.execute(
            sa.select(audit.audit_entry).where(audit.audit_entry.c.action == "application.declined")
        ).one()
    # Reasons and names stay with the application.
    assert (entry.before, entry.after) == (None, None)


def test_a_draft_is_declined_or_deleted_from_the_list(database, form, anhui):
    first, second = anhui(1), anhui(2)
    uids = [shown.sent("draft") for shown in (first, second)]
    for shown in (first, second):
        shown.send(f"{NEW}/draft")
    refused = first.visitor.post(f"/transfers/drafts/{uids[0]}/declined", {"decline_reason": " "})
    assert refused.status_code == 422
    assert (
        first.visitor.post(f"/transfers/drafts/{uids[0]}/declined", {"decline_reason": "学位已满"}).status_code == 303
    )
    assert first.visitor.post(f"/transfers/drafts/{uids[1]}/discarded").status_code == 303
    assert "暂无草稿" in text_of(first.visitor.get("/transfers/drafts").text)
    assert first.visitor.post(f"/transfers/drafts/{uids[1]}/discarded").status_code == 404
    stranger = form(HENAN).visitor
    assert stranger.post(f"/transfers/drafts/{uids[0]}/discarded").status_code == 404


# Files -----------------------------------------------------------------------------------------------------------


def test_a_file_travels_alone_or_with_the_form_and_is_opened_by_its_side(database, world, visitor_of, complete):
    shown = complete()
    alone = shown.visitor.post(
        "/attachments", {"file": (BytesIO(PDF), "证明.pdf")}, content_type="multipart/form-data",
        headers={"Accept": "application/json"},
    )  # fmt: skip
    assert alone.status_code == 201
    shown.enter(transfer_proof__file=(BytesIO(PDF), "工作调动.pdf")).refresh()
    assert "工作调动.pdf" in shown.text
    uid = shown.sent("transfer_proof")
    assert uid != alone.json["uid"]
    shown.send()
    opened = visitor_of(world[ANHUI].actor("county")).get(f"/attachments/{uid}")
    assert (opened.status_code, opened.data, opened.mimetype) == (200, PDF, "application/pdf")
    assert opened.headers["X-Content-Type-Options"] == "nosniff"
    assert opened.headers["Cache-Control"] == "no-store"
    assert visitor_of(world[HENAN].actor("county")).get(f"/attachments/{uid}").status_code == 404
    with database.reading() as connection:
        viewed = sa.select(audit.audit_entry.c.case_id).where(audit.audit_entry.c.action == "attachment.viewed")
        assert connection.scalars(viewed).all() == [connection.scalar(sa.select(transfer.c.case_id))]


def test_a_file_that_can_not_be_taken_is_said_at_its_field_and_nothing_else_is_lost(database, complete):
    shown = complete()
    wrong = (BytesIO(b"MZ"), "证明.pdf")
    assert shown.send(transfer_proof__file=wrong).status_code == 422
    assert "PDF" in shown.errors()["transfer_proof"]
    assert shown.sent("student_name") == name_of(1)
    assert count(database, transfer) == 0
    alone = shown.visitor.post(
        "/attachments", {"file": (BytesIO(b"MZ"), "a.pdf")}, content_type="multipart/form-data",
        headers={"Accept": "application/json"},
    )  # fmt: skip
    assert (alone.status_code, alone.json["error"]["code"]) == (422, "bad_attachment")


def test_a_file_can_be_taken_away_again(anhui):
    shown = anhui().enter(transfer_proof__file=(BytesIO(PDF), "证明.pdf")).refresh()
    assert shown.sent("transfer_proof")
    assert shown.send(f"{NEW}/form", detach="transfer_proof").status_code == 200
    assert shown.sent("transfer_proof") == ""


def test_a_request_for_a_part_gets_the_form_alone(anhui):
    shown = anhui()
    answer = shown.visitor.post(
        f"{NEW}/student", {**shown.controls.sent, **shown.entered}, headers={"HX-Request": "true"}
    )
    assert answer.status_code == 200
    assert answer.text.lstrip().startswith("<form")
    assert 'id="found"' in answer.text


def test_a_window_that_is_closed_is_said_on_the_page(database, world, clock, form):
    with database.transaction() as connection:
        procedures.set_window(connection, SYSTEM, "anhui", "09-01", "09-30", at=clock())
    shown = form().open(f"{NEW}?origin={HENAN}")
    assert shown.answer.status_code == 200
    assert "09-01" in shown.words or "9月1日" in shown.words
    assert shown.send(f"{NEW}/draft", student_name=name_of(1)).status_code == 303
