"""Applying for a transfer: what is refused and why, what is told before saving, and one application is one case."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine import audit, cases, inbox, procedures, transfers
from engine.audit import SYSTEM
from engine.errors import Forbidden, Invalid, NotFound
from engine.registry import classes, organisations
from engine.registry.classes import NoVacancy
from engine.registry.lookups import StudentNotFound, TooManyLookUps
from engine.registry.tables import school_class, student, student_lookup
from engine.transfers import (
    AlreadyDeclined,
    AlreadyHere,
    AlreadyStarted,
    BadAttachment,
    CheckFailed,
    Closed,
    DataDiffer,
)
from engine.transfers.tables import application_draft, attachment, transfer
from tests.integration import play
from tests.integration.test_races import at_once
from tests.integration.world import PLACES, id_number, name_of

ANHUI, HENAN, ZHEJIANG = "340000", "410000", "330000"
PDF = b"%PDF-1.7 proof"


class Desk:
    """A school's operator with an application form: `enter` by what fields are bound to, then `save`."""

    def __init__(self, database, world, clock, origin: str = HENAN, target: str = ANHUI, serial: int = 1) -> None:
        self.database, self.world, self.clock, self.origin = database, world, clock, origin
        self.actor = play.applicant(world, origin, target)
        with database.reading() as connection:
            self.application = transfers.prepare(connection, self.actor, origin, at=clock())
        self.values = play.entries(world, origin, target, self.application, serial)

    def enter(self, **by_binding: Any) -> Desk:
        for binding, value in by_binding.items():
            field = self.application.field(binding.replace("__", "."))
            assert field is not None, binding
            self.values[field] = value
        return self

    def save(self, *, draft: str | None = None, per_hour: int = 100, actor=None) -> int:
        return transfers.apply(
            self.database, actor or self.actor, self.origin, self.values, at=self.clock(), per_hour=per_hour,
            draft=draft,
        )  # fmt: skip

    def keep(self, uid: str | None = None, actor=None) -> str:
        with self.database.transaction() as connection:
            return transfers.save_draft(
                connection, actor or self.actor, self.origin, self.values, uid=uid, at=self.clock()
            )

    def refusal(self, **more: Any) -> dict[str, str]:
        """What is wrong, by what the fields are bound to; else by their ids."""
        with pytest.raises(Invalid) as refused:
            self.save(**more)
        bound = {item.id: item.binds for item in self.application.form}
        return {bound.get(name) or name: error.message for name, error in refused.value.fields.items()}


@pytest.fixture
def desk(database, world, clock):
    def desk(origin: str = HENAN, target: str = ANHUI, serial: int = 1) -> Desk:
        return Desk(database, world, clock, origin, target, serial)

    return desk


def count(database, table: sa.Table, *where) -> int:
    with database.reading() as connection:
        return connection.scalar(sa.select(sa.func.count()).select_from(table).where(*where)) or 0


def mark(database, student_id: int, **values: Any) -> None:
    with database.transaction() as connection:
        connection.execute(student.update().where(student.c.id == student_id).values(values))


# The form --------------------------------------------------------------------------------------------------------


def test_the_students_province_decides_which_procedures_apply(database, world, clock):
    with database.reading() as connection:
        actor = world[ANHUI].actor("operator")
        across = transfers.prepare(connection, actor, HENAN, at=clock())
        within = transfers.prepare(connection, actor, ANHUI, at=clock())
    assert [across.receiving_rule.regime, across.releasing_rule.regime] == ["anhui", "national"]
    assert [within.receiving_rule.basis, within.releasing_rule.basis] == ["inferred", "inferred"]
    assert across.form[0].id == "review_application__on"


def test_only_a_schools_operator_opens_the_form(database, world, clock):
    for name in ("reviewer", "school_admin", "county", "county_auditor", "province"):
        with database.reading() as connection, pytest.raises(Forbidden):
            transfers.prepare(connection, world[ANHUI].actor(name), HENAN, at=clock())


@pytest.mark.parametrize("origin", ["", "340104", "990000", "abc", "110000 "])
def test_there_is_no_form_for_what_is_no_province(database, world, clock, origin):
    with database.reading() as connection, pytest.raises(NotFound):
        transfers.prepare(connection, world[ANHUI].actor("operator"), origin, at=clock())


def test_who_will_decide_is_told_before_saving(database, world, clock, desk):
    national = desk(ANHUI, HENAN)
    with database.transaction() as connection:
        found = transfers.look_up(
            connection, national.actor, national.application, national.values, at=clock(), per_hour=9
        )
    with database.reading() as connection:
        unknown = transfers.ahead(connection, national.application)
        known = transfers.ahead(connection, national.application, found.found())
    assert [step.party for step in known] == ["receiving_school", "receiving_authority", "releasing_authority"]
    assert [step.organisation and step.organisation.id for step in known] == [
        world[HENAN].school, world[HENAN].county, world[ANHUI].county,
    ]  # fmt: skip
    assert unknown[-1].organisation is None
    case_id = national.save()
    assert play.open_tasks(database, case_id)[0].node.id == known[0].node.id


# What is refused -------------------------------------------------------------------------------------------------


def test_everything_that_is_wrong_is_said_at_once(desk):
    form = desk().enter(
        student__name="", student__record_number=f"G{id_number('410105', 1)[:-1]}A", origin__school="²",
        target__class="99999999999999999999", transfer__date="gestern",
    )  # fmt: skip
    assert set(form.refusal()) == {
        "student.name", "origin.school", "target.class", "transfer.date",
    }  # fmt: skip


def test_a_number_that_can_not_be_right_is_refused_before_anything_is_looked_up(database, desk):
    number = id_number("410105", 1)
    wrong = number[:-1] + ("0" if number[-1] != "0" else "1")
    assert set(desk().enter(student__record_number=f"G{wrong}").refusal()) == {"student.record_number"}
    assert count(database, student_lookup) == 0


def test_a_number_of_no_known_kind_may_be_a_passports(desk):
    with pytest.raises(StudentNotFound):
        desk().enter(student__record_number="E12345678").save()


def test_a_wrong_name_and_an_unknown_number_are_answered_alike(world, desk):
    with pytest.raises(StudentNotFound) as wrong_name:
        desk().enter(student__name="王小明").save()
    with pytest.raises(StudentNotFound) as no_match:
        desk().enter(student__record_number=f"G{id_number('410105', 77)}").save()
    elsewhere = str(world[HENAN].other_school)
    with pytest.raises(StudentNotFound) as wrong_school:
        desk().enter(origin__school=elsewhere).save()
    assert str(wrong_name.value) == str(no_match.value) == str(wrong_school.value)
    assert {error.value.code for error in (wrong_name, no_match, wrong_school)} == {"2001"}


@pytest.mark.parametrize(
    ("binding", "value"),
    [("student__gender", "2"), ("student__birth_date", "2015-03-09"), ("origin__grade", "14"), ("origin__class", "1")],
)
def test_what_the_form_says_of_the_student_must_be_what_the_record_says(database, desk, binding, value):
    form = desk().enter(**{binding: value})
    if binding == "origin__class":
        form.enter(origin__class=str(form.world[HENAN].full_class))
    with pytest.raises(DataDiffer) as differ:
        form.save()
    assert differ.value.code == "2001"
    assert list(differ.value.fields) == [form.application.field(binding.replace("__", "."))]
    assert count(database, transfer) == 0


@pytest.mark.parametrize(
    ("state", "code"),
    [({"open_business": "休学办理中"}, "2002"), ({"problem": True}, "2003"), ({"status": "02"}, "status")],
)
def test_what_would_be_refused_later_is_said_before_saving(database, world, clock, desk, state, code):
    child = world[HENAN].students[0]
    mark(database, child, **state)
    with database.reading() as connection:
        [failure] = transfers.stands_against(connection, child, school_id=world[HENAN].school)
    with pytest.raises(CheckFailed) as refused:
        desk().save()
    assert failure.code == refused.value.code == code
    assert failure.remedy
    assert count(database, cases.case) == 0


def test_a_student_is_in_one_open_transfer_at_a_time(database, world, clock, desk):
    case_id = desk().save()
    with pytest.raises(CheckFailed) as refused:
        desk(HENAN, ZHEJIANG).save()
    assert refused.value.code == "2002"
    with database.transaction() as connection:
        transfers.withdraw(connection, world[ANHUI].actor("operator"), case_id, "误填", at=clock())
    assert desk(HENAN, ZHEJIANG).save() != case_id


def test_a_student_of_the_school_itself_does_not_apply_to_it(database, world, clock):
    form = Desk(database, world, clock, ANHUI, ANHUI)
    form.actor = world[ANHUI].actor("operator")
    with database.reading() as connection:
        form.application = transfers.prepare(connection, form.actor, ANHUI, at=clock())
    form.enter(target__school=str(world[ANHUI].school), target__class=str(world[ANHUI].to_class))
    with pytest.raises(AlreadyHere):
        form.save()


def test_a_full_class_takes_nobody(database, world, desk):
    with pytest.raises(NoVacancy):
        desk().enter(target__class=str(world[ANHUI].full_class)).save()
    assert count(database, cases.case) == 0


@pytest.mark.parametrize(
    ("entries", "wrong"),
    [
        ({"target__class": "another school's"}, "target.class"),
        ({"target__class": "9"}, "target.class"),
        ({"target__class": "² "}, "target.class"),
        ({"target__grade": "14"}, "target.class"),
        ({"target__school": "1"}, "target.school"),
        ({"origin__division": "330106"}, "origin.division"),
        ({"origin__division": "999999"}, "origin.division"),
        ({"origin__division": "410102"}, "origin.school"),
        ({"origin__school": "county"}, "origin.school"),
        ({"transfer__date": "2099-12-01"}, "transfer.date"),
        ({"transfer__date": "2016-08-31"}, "transfer.date"),
    ],
)
def test_choices_that_do_not_fit_each_other_are_refused_where_they_were_made(world, desk, entries, wrong):
    named = {"another school's": world[HENAN].to_class, "county": world[HENAN].county, "9": 999}
    form = desk().enter(**{binding: str(named.get(value, value)) for binding, value in entries.items()})
    assert set(form.refusal()) == {wrong}


def test_a_school_outside_the_chosen_province_would_run_under_the_wrong_procedure(world, desk):
    """The form was opened for Henan, so the releasing side would run Henan's procedure in a school of Zhejiang."""
    form = desk().enter(origin__school=str(world[ZHEJIANG].school))
    assert set(form.refusal()) == {"origin.school"}
    national = desk(ANHUI, HENAN).enter(origin__province=ZHEJIANG)
    assert set(national.refusal()) == {"origin.province"}


def test_in_a_closed_window_an_application_can_be_kept_but_not_saved(database, world, clock, desk):
    clock.turn(to=datetime(2026, 7, 20, 9, 0, tzinfo=ZoneInfo("Asia/Shanghai")))
    with database.transaction() as connection:
        connection.execute(procedures.procedure_version.update().values(effective_from=clock()))
    form = desk(ANHUI, HENAN)
    uid = form.keep()
    with pytest.raises(Closed):
        form.save(draft=uid)
    clock.turn(to=datetime(2026, 8, 15, 9, 0, tzinfo=ZoneInfo("Asia/Shanghai")))
    assert form.save(draft=uid)


def test_a_closed_school_receives_nobody(database, world, clock, desk):
    form = desk()
    with database.transaction() as connection:
        organisations.set_active(connection, SYSTEM, world[ANHUI].school, active=False, at=clock())
    with pytest.raises(transfers.SchoolClosed):
        form.save()


# Looking up ------------------------------------------------------------------------------------------------------


def test_a_look_up_stays_logged_whatever_becomes_of_the_application(database, world, desk):
    with pytest.raises(StudentNotFound):
        desk().enter(student__name="王小明").save()
    with pytest.raises(NoVacancy):
        desk().enter(target__class=str(world[ANHUI].full_class)).save()
    assert count(database, student_lookup) == 2
    assert count(database, student_lookup, student_lookup.c.student_id.is_(None)) == 1


def test_look_ups_are_limited(desk):
    for _ in range(2):
        with pytest.raises(StudentNotFound):
            desk().enter(student__name="王小明").save(per_hour=2)
    with pytest.raises(TooManyLookUps):
        desk().save(per_hour=2)


def test_who_was_found_is_shown_again_without_another_look_up_but_only_with_the_same_entries(
    database, world, clock, desk
):
    form = desk()
    with database.transaction() as connection:
        form.values["record_number"] = f" {form.values['record_number']} "
        found = transfers.look_up(connection, form.actor, form.application, form.values, at=clock(), per_hour=9)

    def again(actor=form.actor, **entries: str):
        form.enter(**entries)
        with database.reading() as connection:
            return transfers.looked_up(connection, actor, form.application, form.values, at=clock())

    assert again() == found.found()
    assert again(actor=world[ANHUI].actor("colleague")) is None
    assert again(student__name=name_of(2)) is None
    assert again(student__name=name_of(2), student__record_number=f"G{id_number('410105', 2)}") is None
    assert again(student__name=name_of(1), student__record_number=id_number("410105", 1)) is None
    assert again(student__record_number=f"G{id_number('410105', 1)}") is not None
    clock.turn(minutes=61)
    assert again() is None
    assert count(database, student_lookup) == 1


def test_without_a_school_where_the_form_asks_for_one_nothing_is_looked_up(database, clock, desk):
    form = desk().enter(origin__school="", origin__division="")
    with database.transaction() as connection, pytest.raises(Invalid) as refused:
        transfers.look_up(connection, form.actor, form.application, form.values, at=clock(), per_hour=9)
    assert set(refused.value.fields) == {form.application.field(f"origin.{part}") for part in ("division", "school")}


# Choices ---------------------------------------------------------------------------------------------------------


def test_each_choice_depends_on_the_one_above_it(database, world, desk):
    form = desk()

    def offered(binding: str, **entries: str) -> list[str]:
        form.enter(**entries)
        with database.reading() as connection:
            _, choices = transfers.fitting(connection, form.application, form.values)
        return [choice.value for choice in choices[form.application.field(binding)]]

    schools = {str(world[HENAN].school), str(world[HENAN].other_school)}
    assert set(offered("origin.school", origin__division=PLACES[HENAN])) == schools
    assert offered("origin.school", origin__division="410102") == []
    assert offered("origin.grade", origin__division=PLACES[HENAN]) == ["13"]
    assert offered("origin.class", origin__grade="") == []
    assert len(offered("origin.class", origin__grade="13")) == 2
    assert offered("target.class", target__grade="14") == []


def test_vacancies_stand_beside_the_grade_and_the_class_of_the_receiving_school_alone(database, desk):
    form = desk()
    with database.reading() as connection:
        _, choices = transfers.fitting(connection, form.application, form.values)
    free = {binding: [c.free for c in choices[form.application.field(binding)]] for binding in (
        "target.grade", "target.class", "origin.grade", "origin.class",
    )}  # fmt: skip
    assert free == {"target.grade": [33], "target.class": [33, 0], "origin.grade": [None], "origin.class": [None, None]}


def test_what_falls_away_above_takes_with_it_what_stands_below(database, desk):
    form = desk().enter(origin__division="410102")
    with database.reading() as connection:
        values, _ = transfers.fitting(connection, form.application, form.values)
    fields = [form.application.field(f"origin.{part}") for part in ("school", "grade", "class")]
    assert [values[field] for field in fields] == ["", "", ""]
    assert values[form.application.field("student.name")] == name_of(1)


# Drafts ----------------------------------------------------------------------------------------------------------


def test_a_draft_is_the_schools_and_creates_no_case(database, world, clock, desk):
    form = desk()
    uid = form.keep()
    assert form.keep(uid, actor=world[ANHUI].actor("colleague")) == uid
    with database.reading() as connection:
        [draft] = transfers.drafts_of_school(connection, world[ANHUI].actor("operator"))
        assert (draft.uid, draft.origin_province, draft.values) == (uid, HENAN, form.values)
        assert draft.person == world[ANHUI].actor("colleague").person_name
        assert transfers.drafts_of_school(connection, world[ANHUI].actor("other_operator")) == []
        for stranger in (world[ANHUI].actor("other_operator"), world[HENAN].actor("operator")):
            with pytest.raises(NotFound):
                transfers.draft(connection, stranger, uid)
        for duty in ("reviewer", "school_admin"):
            with pytest.raises(Forbidden):
                transfers.drafts_of_school(connection, world[ANHUI].actor(duty))
    assert count(database, cases.case) == 0


def test_who_names_the_draft_that_was_read_overwrites_no_colleague(database, world, clock, desk):
    form = desk()
    uid = form.keep()
    colleague = world[ANHUI].actor("colleague")
    with database.transaction() as connection:
        read = transfers.draft(connection, form.actor, uid).revision
        transfers.save_draft(connection, colleague, HENAN, {"reason": "甲"}, uid=uid, revision=read, at=clock())
    with database.transaction() as connection, pytest.raises(transfers.DraftChanged) as changed:
        transfers.save_draft(connection, form.actor, HENAN, {"reason": "乙"}, uid=uid, revision=read, at=clock())
    assert changed.value.values["person"] == colleague.person_name
    with database.transaction() as connection:
        assert transfers.draft(connection, form.actor, uid).values == {"reason": "甲"}
        with pytest.raises(NotFound):
            transfers.save_draft(
                connection, form.actor, HENAN, {}, uid=transfers.new_uid(), revision=1, at=clock()
            )  # fmt: skip


def test_nobody_writes_into_another_schools_draft(database, world, desk):
    uid = desk().keep()
    stranger = desk(ANHUI, HENAN)
    with pytest.raises(NotFound):
        stranger.keep(uid)
    with pytest.raises(NotFound):
        stranger.save(draft=uid)
    assert count(database, cases.case) == 0


@pytest.mark.parametrize("uid", ["x", "é" * 32, "a" * 33, "' OR 1=1 --".ljust(32)])
def test_a_drafts_name_is_one_of_ours(desk, uid):
    with pytest.raises(NotFound):
        desk().keep(uid)


def test_a_refused_application_is_kept_as_a_draft(database, world, clock, desk):
    mark(database, world[HENAN].students[0], problem=True)
    form, uid = desk(), transfers.new_uid()
    with pytest.raises(CheckFailed):
        form.save(draft=uid)
    with database.reading() as connection:
        assert transfers.draft(connection, form.actor, uid).values == form.values


def test_a_draft_becomes_one_case_however_often_it_is_sent(database, clock, desk):
    form, uid = desk(), transfers.new_uid()
    case_id = form.save(draft=uid)
    with pytest.raises(AlreadyStarted) as again:
        form.save(draft=uid)
    with pytest.raises(AlreadyStarted):
        form.keep(uid)
    with database.reading() as connection, pytest.raises(AlreadyStarted):
        transfers.draft(connection, form.actor, uid)
    assert again.value.case_id == case_id
    assert again.value.values["number"].startswith("ZX2026")
    # The case has what was entered; the draft keeps no copy.
    with database.reading() as connection:
        assert connection.scalar(sa.select(application_draft.c["values"])) == {}


def test_a_school_declines_with_a_reason_and_no_case_arises(database, world, clock, desk):
    form = desk()
    uid = form.keep()
    with database.transaction() as connection, pytest.raises(Invalid):
        transfers.decline(connection, form.actor, uid, "  ", at=clock())
    with database.transaction() as connection, pytest.raises(Forbidden):
        transfers.decline(connection, world[ANHUI].actor("school_admin"), uid, "学位已满", at=clock())
    with database.transaction() as connection:
        transfers.decline(connection, form.actor, uid, " 学位已满 ", at=clock())
    with database.reading() as connection:
        [declined] = transfers.drafts_of_school(connection, form.actor, state="declined")
        assert declined.decline_reason == "学位已满"
        assert transfers.drafts_of_school(connection, form.actor) == []
        actions = set(connection.scalars(sa.select(audit.audit_entry.c.action)))
    assert "application.declined" in actions
    assert count(database, cases.case) == 0
    with pytest.raises(AlreadyDeclined):
        form.save(draft=uid)


def test_a_draft_can_be_deleted_and_old_ones_go_by_themselves(database, clock, desk):
    form = desk()
    deleted, old, declined = form.keep(), form.keep(), form.keep()
    with database.transaction() as connection:
        transfers.discard(connection, form.actor, deleted, at=clock())
        transfers.decline(connection, form.actor, declined, "学位已满", at=clock())
    with database.transaction() as connection, pytest.raises(NotFound):
        transfers.discard(connection, form.actor, deleted, at=clock())
    clock.turn(days=170)
    recent = form.keep()
    clock.turn(days=20)
    with database.transaction() as connection:
        transfers.forget_drafts(connection, at=clock())
        left = {draft.uid for draft in transfers.drafts_of_school(connection, form.actor)}
        assert left == {recent}
        assert old not in left
        assert len(transfers.drafts_of_school(connection, form.actor, state="declined")) == 1


# Files -----------------------------------------------------------------------------------------------------------


def attach(database, actor, clock, content: bytes = PDF, name: str = "证明.pdf") -> str:
    with database.transaction() as connection:
        return transfers.attach(connection, actor, name, content, at=clock())


def view(database, actor, uid: str, clock):
    with database.transaction() as connection:
        return transfers.open_attachment(connection, actor, uid, at=clock())


@pytest.mark.parametrize(
    "content", [b"", b"<html>", b"MZ executable", b"GIF89a", b"%PDF-" + b"x" * transfers.attachments.LARGEST]
)
def test_only_small_documents_and_pictures_are_kept_whatever_they_are_called(database, world, clock, content):
    with pytest.raises(BadAttachment):
        attach(database, world[ANHUI].actor("operator"), clock, content)


def test_whoever_fills_in_no_forms_attaches_nothing(database, world, clock):
    for duty in ("school_admin", "county_auditor", "policy"):
        with pytest.raises(Forbidden):
            attach(database, world[ANHUI].actor(duty), clock)


def test_a_file_is_named_without_the_folders_of_its_sender(database, world, clock):
    actor = world[ANHUI].actor("operator")
    uid = attach(database, actor, clock, name="C:\\Users\\王\\证明\n.pdf")
    assert view(database, actor, uid, clock).name == "证明.pdf"


def test_the_receiving_side_sees_the_proof_and_the_other_side_does_not(database, world, clock, desk):
    form = desk()
    uid = attach(database, world[ANHUI].actor("colleague"), clock)
    case_id = form.enter(transfer__proof=uid).save()
    play.step(database, world, case_id, clock())
    for name in ("operator", "reviewer", "county", "province"):
        assert view(database, world[ANHUI].actor(name), uid, clock).content == PDF
    for stranger in (
        world[HENAN].actor("operator"),
        world[HENAN].actor("county"),
        world[ANHUI].actor("other_operator"),
    ):
        with pytest.raises(NotFound):
            view(database, stranger, uid, clock)
    assert count(database, audit.audit_entry, audit.audit_entry.c.action == "attachment.viewed") == 4


@pytest.mark.parametrize("whose", ["another school's", "nobody's", "a case's"])
def test_a_file_that_is_not_there_to_be_attached_is_refused(database, world, clock, desk, whose):
    uid = "0" * 32
    if whose == "another school's":
        uid = attach(database, world[HENAN].actor("operator"), clock)
    if whose == "a case's":
        uid = attach(database, world[ANHUI].actor("operator"), clock)
        desk(serial=2).enter(transfer__proof=uid).save()
    assert set(desk().enter(transfer__proof=uid).refusal()) == {"transfer.proof"}
    assert count(database, transfer) == (1 if whose == "a case's" else 0)


def test_files_go_after_a_month_but_for_those_of_a_case_or_a_draft(database, world, clock, desk):
    actor = world[ANHUI].actor("operator")
    lost, in_draft, in_case = (attach(database, actor, clock) for _ in range(3))
    desk(serial=2).enter(transfer__proof=in_case).save()
    desk().enter(transfer__proof=in_draft).keep()
    clock.turn(days=31)
    with database.transaction() as connection:
        transfers.forget_orphans(connection, at=clock())
        assert set(connection.scalars(sa.select(attachment.c.uid))) == {in_draft, in_case}
    assert lost not in {in_draft, in_case}


# What saving does ------------------------------------------------------------------------------------------------


def test_saving_starts_the_case_reserves_a_place_and_completes_the_applications_step(database, world, clock, desk):
    form = desk()
    case_id = form.enter(student__gender="1").save()
    with database.reading() as connection:
        done = [item for item in inbox.of_case(connection, case_id) if item.state == "done"]
        found = transfers.get(connection, form.actor, case_id)
        assert classes.get(connection, world[ANHUI].to_class).reserved == 1
    assert [item.node.id for item in done] == ["review_application", "apply"]
    assert done[1].values[form.application.field("student.name")] == name_of(1)
    assert (found.state, found.number, found.move) == ("pending", f"ZX2026{case_id:08d}", "across")
    assert (found.changed_on.isoformat(), found.school_year) == ("2026-09-21", 2026)
    # Nothing is sent to the releasing side before it is asked.
    with database.reading() as connection, pytest.raises(NotFound):
        transfers.get(connection, world[HENAN].actor("county"), case_id)


def test_a_temporary_number_or_the_id_number_serves_as_well(database, desk):
    assert desk().enter(student__record_number=id_number("410105", 1).lower()).save()
    with database.reading() as connection:
        started = connection.scalar(
            sa.select(audit.audit_entry.c.after).where(audit.audit_entry.c.action == "transfer.started")
        )
    # The audit entry names the student by id alone.
    assert id_number("410105", 1) not in str(started)
    assert name_of(1) not in str(started)


# Several at once -------------------------------------------------------------------------------------------------


def test_the_same_application_sent_many_times_at_once_starts_once(database, desk):
    form, uid = desk(), transfers.new_uid()
    results = at_once([lambda: form.save(draft=uid)] * 6)
    started = [result for result in results if isinstance(result, int)]
    assert len(started) == 1
    assert all(isinstance(result, AlreadyStarted) for result in results if result not in started)
    assert {result.case_id for result in results if result not in started} <= set(started)
    assert count(database, cases.case) == count(database, transfer) == count(database, application_draft) == 1


def test_of_two_schools_at_once_the_slower_one_keeps_its_draft_and_learns_why(database, world, clock):
    forms = [Desk(database, world, clock, HENAN, target) for target in (ANHUI, ZHEJIANG)]
    uids = [transfers.new_uid() for _ in forms]
    results = at_once([lambda form=form, uid=uid: form.save(draft=uid) for form, uid in zip(forms, uids, strict=True)])
    [loser] = [position for position, result in enumerate(results) if isinstance(result, CheckFailed)]
    assert results[loser].code == "2002"
    with database.reading() as connection:
        assert transfers.draft(connection, forms[loser].actor, uids[loser]).values == forms[loser].values
    assert count(database, transfer) == 1


def test_the_last_place_goes_to_one_of_two_colleagues(database, world, clock, desk):
    with database.transaction() as connection:
        taken = school_class.c.enrolled + 1
        connection.execute(
            school_class.update().where(school_class.c.id == world[ANHUI].to_class).values(capacity=taken)
        )
    forms = [(desk(serial=1), "operator"), (desk(serial=2), "colleague")]
    results = at_once([lambda form=form, who=who: form.save(actor=world[ANHUI].actor(who)) for form, who in forms])
    assert sorted(type(result) for result in results if not isinstance(result, int)) == [NoVacancy]
    assert count(database, transfer) == 1


def test_saving_and_declining_at_once_leave_one_of_them(database, clock, desk):
    form = desk()
    uid = form.keep()

    def decline() -> None:
        with database.transaction() as connection:
            transfers.decline(connection, form.actor, uid, "学位已满", at=clock())

    saved, declined = at_once([lambda: form.save(draft=uid), decline])
    assert isinstance(saved, AlreadyDeclined) != isinstance(declined, AlreadyStarted)
    assert count(database, cases.case) == (1 if isinstance(saved, int) else 0)


# Whatever is entered ---------------------------------------------------------------------------------------------

_texts = st.one_of(st.text(max_size=40), st.sampled_from(["", "1", "13", "340104", "2026-09-22", "agree", "\x00", "١"]))


@given(data=st.data())
@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
def test_no_entry_is_ever_lost_or_breaks_the_form(database, world, clock, data):
    """Whatever somebody enters: it is saved, or refused in words and then all of it is in the draft."""
    form = Desk(database, world, clock)
    form.values |= data.draw(st.dictionaries(st.sampled_from(sorted(form.values)), _texts, min_size=1))
    uid = transfers.new_uid()
    try:
        case_id = form.save(draft=uid, per_hour=10_000)
    except (Invalid, StudentNotFound, CheckFailed, NoVacancy):
        with database.reading() as connection:
            assert transfers.draft(connection, form.actor, uid).values == form.values
            transfers.looked_up(connection, form.actor, form.application, form.values, at=clock())
            fitting, _ = transfers.fitting(connection, form.application, form.values)
            transfers.shown_all(connection, form.application.form, fitting, "zh_Hans_CN")
    else:
        with database.transaction() as connection:
            transfers.withdraw(connection, form.actor, case_id, "误填", at=clock())
