"""What was entered is shown in words, by what a field is bound to, and numbers only as far as they may be seen."""

from __future__ import annotations

import pytest

from engine import transfers
from engine.bpmn.graph import Field, Option
from tests.integration import world as worlds

ANHUI = "340000"


def bound(binding: str, *, type: str = "string", **more) -> Field:
    return Field("it", "字段", {"binds": binding}, type=type, **more)


@pytest.fixture
def say(database):
    """One value in words."""

    def say(field: Field, value: object, locale: str = "zh_Hans_CN", **more) -> str:
        with database.reading() as connection:
            return transfers.shown(connection, field, value, locale, **more)

    return say


def test_ids_and_codes_become_names(say, world):
    place = world[ANHUI]
    assert say(bound("origin.province"), "410000") == "河南省"
    assert say(bound("origin.division"), "340104") == "安徽省合肥市蜀山区"
    assert say(bound("origin.school"), str(place.school)) == "测试340000第一小学"
    assert say(bound("target.school"), place.school) == "测试340000第一小学"
    assert say(bound("target.grade"), "13") == "小学三年级"
    assert say(bound("target.grade"), "13", "en") == "Primary grade 3"
    assert say(bound("origin.class"), str(place.full_class)) == "(2)班"


def test_the_diagrams_own_word_for_an_option_comes_before_the_code_tables(say):
    field = bound("student.gender", type="enum", options=(Option("1", "男生", "Boy"),))
    assert (say(field, "1"), say(field, "1", "en")) == ("男生", "Boy")
    assert (say(field, "2"), say(field, "2", "en")) == ("女", "Female")


def test_dates_and_ticks_are_written_as_the_language_writes_them(say):
    assert say(bound("transfer.date", type="date"), "2026-09-05") == "2026年9月5日"
    assert say(bound("transfer.date", type="date"), "2026-09-05", "en") == "5 September 2026"
    assert [say(Field("x", "", type="boolean"), value) for value in (True, False)] == ["是", "否"]


@pytest.mark.parametrize("binding", ["student.record_number", "student.id_number"])
def test_numbers_are_masked_unless_the_reader_may_see_all(say, binding):
    number = f"G{worlds.id_number('340104', 1)}"
    assert say(bound(binding), number) == f"{number[:11]}****"
    assert say(bound(binding), number, full=True) == number


def test_a_file_is_called_as_its_owner_called_it(database, world, clock, say):
    with database.transaction() as connection:
        uid = transfers.attach(connection, world[ANHUI].actor("operator"), "证明.pdf", b"%PDF-1.7", at=clock())
    assert say(Field("proof", "", type="file"), uid) == "证明.pdf"


@pytest.mark.parametrize("value", ["(3)班", "99999999999999999999", "²", "0"])
def test_what_was_written_by_hand_is_shown_as_it_stands(say, world, value):
    assert say(bound("origin.class"), value) == value
    assert say(bound("origin.school"), value) == value
    assert say(bound("origin.division"), value) == value


def test_a_whole_form_is_said_in_its_own_order_without_what_it_does_not_have(database, world):
    fields = (Field("b", "乙"), Field("gone", "隐"), Field("a", "甲", {"binds": "target.grade"}))
    with database.reading() as connection:
        said = transfers.shown_all(connection, fields, {"a": "13", "b": None}, "zh_Hans_CN")
    assert list(said.items()) == [("b", ""), ("a", "小学三年级")]
