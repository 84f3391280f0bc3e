"""Numbers: what is valid, what a number says, and what a list may show of it. All numbers here are invented."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.registry import divisions, numbers

dates = st.dates(min_value=date(1984, 1, 1), max_value=date(2026, 12, 31))
counties = st.sampled_from(
    [county.code for province in divisions.children() for county in divisions.children(province.code)]
)
serials = st.integers(min_value=0, max_value=999).map("{:03d}".format)


def id_number(division: str, born: date, serial: str) -> str:
    seventeen = f"{division}{born:%Y%m%d}{serial}"
    return seventeen + numbers.check_digit(seventeen)


id_numbers = st.builds(id_number, counties, dates, serials)
temporary_numbers = st.builds(
    lambda division, born, four: f"L{division}{born:%Y%m%d}{four:04d}", counties, dates, st.integers(0, 9999)
)
provincial_numbers = st.builds(
    lambda year, district, feature, serial: f"340104{year:02d}{district:03d}{feature}{serial:04d}",
    st.integers(0, 99),
    st.integers(0, 999),
    st.integers(1, 8),
    st.integers(0, 9999),
)
any_number = st.one_of(
    id_numbers,
    id_numbers.map("G{}".format),
    id_numbers.map("J{}".format),
    temporary_numbers,
    provincial_numbers,
)


def test_the_check_digit_is_that_of_the_standard():
    # The example of GB 11643 itself.
    assert numbers.check_digit("11010519491231002") == "X"
    assert numbers.check_digit("44052418800101001") == "4"


@given(counties, dates, serials)
def test_an_id_number_says_what_it_was_made_of(division: str, born: date, serial: str):
    number = numbers.parse(id_number(division, born, serial))
    assert (number.kind, number.division_code, number.birth_date) == ("id_number", division, born)
    assert number.gender == (numbers.MALE if int(serial) % 2 else numbers.FEMALE)


@given(any_number, st.data())
def test_full_width_digits_spaces_and_small_letters_make_no_difference(text: str, data: st.DataObject):
    typed = "".join(
        data.draw(st.sampled_from([c, c.lower(), chr(ord(c) + 0xFEE0), f" {c}", f"{c}\u200b", f"{c}\u3000"]))
        for c in text
    )
    assert numbers.normalise(typed) == text
    assert numbers.parse(typed) == numbers.parse(text)


@given(id_numbers, st.integers(0, 17), st.integers(0, 9))
def test_one_wrong_digit_is_always_noticed(text: str, place: int, digit: int):
    wrong = text[:place] + str(digit) + text[place + 1 :]
    if wrong != text:
        with pytest.raises(numbers.NumberInvalid):
            numbers.parse(wrong)


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("340104201509083729", "id_number"),
        ("G340104201509083729", "formal"),
        ("J340104201509083729", "formal_without_id"),
        ("L340104201509083729", "temporary"),
        ("3401040000319261", "provincial"),
        ("4101040000319261", None),  # sixteen digits are a number of that one province alone
        ("340104150908372", None),
        ("E12345678", None),
        ("G34010420150908372", None),
        ("L34010420150908372X", None),
        ("", None),
    ],
)
def test_the_form_tells_the_kind(text: str, kind: str | None):
    assert numbers.classify(text) == kind


def test_a_temporary_number_has_no_check_digit_and_tells_no_sex():
    number = numbers.parse("l340104201509081234")
    assert (number.kind, number.birth_date, number.gender) == ("temporary", date(2015, 9, 8), None)


def test_a_provincial_number_tells_the_sex_by_its_feature_digit():
    assert numbers.parse("3401040000319261").gender == numbers.MALE
    assert numbers.parse("3401040000329261").gender == numbers.FEMALE


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("12345", numbers.NumberUnrecognised),
        (id_number("340104", date(2015, 9, 8), "372")[:-1] + "?", numbers.NumberUnrecognised),
        ("G" + id_number("999999", date(2015, 9, 8), "372"), numbers.DivisionUnknown),
        (id_number("340199", date(2015, 9, 8), "372"), numbers.DivisionUnknown),
        ("L340199201509081234", numbers.DivisionUnknown),
        ("L340104201502301234", numbers.DateImpossible),
        ("L340104180002011234", numbers.DateImpossible),
    ],
)
def test_what_can_not_be_right_says_so(text: str, error: type[numbers.NumberInvalid]):
    with pytest.raises(error):
        numbers.parse(text)


def test_a_wrong_check_digit_is_its_own_error():
    good = id_number("340104", date(2015, 9, 8), "372")
    with pytest.raises(numbers.ChecksumWrong):
        numbers.parse(good[:-1] + ("1" if good[-1] != "1" else "2"))


def test_nobody_is_born_tomorrow():
    tomorrow = id_number("340104", date(2026, 9, 23), "372")
    assert numbers.parse(tomorrow, on=date(2026, 9, 23)).birth_date == date(2026, 9, 23)
    with pytest.raises(numbers.DateImpossible):
        numbers.parse(tomorrow, on=date(2026, 9, 22))


def test_a_division_is_judged_by_the_year_of_birth():
    # 枞阳 had one code until 2015 and has another since.
    assert not numbers.parse(id_number("340823", date(2006, 8, 5), "372")).warnings
    assert not numbers.parse(id_number("340722", date(2016, 8, 5), "372")).warnings


@pytest.mark.parametrize(("division", "year"), [("340823", 2018), ("340722", 2006), ("110104", 2012), ("110118", 2003)])
def test_a_division_of_another_year_is_a_warning_alone(division: str, year: int):
    (warning,) = numbers.parse(id_number(division, date(year, 8, 5), "372")).warnings
    assert isinstance(warning, numbers.DivisionOutOfItsYear)


@pytest.mark.parametrize("division", ["440301", "810000", "820000", "830000"])
def test_codes_that_no_list_has_but_real_numbers_do(division: str):
    assert not numbers.parse(id_number(division, date(2015, 8, 5), "372")).warnings


def test_those_born_before_identity_cards_are_judged_by_the_first_of_them():
    assert not numbers.parse(id_number("340104", date(1962, 8, 5), "372")).warnings


def test_a_contradiction_is_found_in_birth_date_and_in_sex():
    number = numbers.parse(id_number("340104", date(2015, 9, 8), "372"))
    assert numbers.contradictions(number, birth_date=date(2015, 9, 8), gender="2") == ()
    assert numbers.contradictions(number, birth_date=date(2015, 9, 8), gender="9") == ()
    found = numbers.contradictions(number, birth_date=date(2015, 8, 9), gender="1")
    assert [type(each) for each in found] == [numbers.BirthDateContradicts, numbers.GenderContradicts]


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("340104209901010000", "3401042099****"),
        ("G34010420990101000X", "G3401042099****"),
        ("J340104209901010000", "J3401042099****"),
        ("L340104209901010000", "L3401042099****"),
        ("3401040000319261", "3401040000****"),
        ("３４０１０４ ２０９９０１０１００００", "3401042099****"),
        ("E12345678", "E1****"),
        ("12", "****"),
        ("", ""),
        (None, ""),
    ],
)
def test_a_list_shows_a_masked_number(text: str | None, masked: str):
    assert numbers.mask(text) == masked


@given(any_number, st.integers(0, 999999))
def test_a_mask_never_reveals_day_or_serial(text: str, other: int):
    # Whatever the last digits are, the mask is the same: so it says nothing of them.
    assert numbers.mask(text) == numbers.mask(f"{text[:-6]}{other:06d}")


@given(any_number)
def test_neither_errors_nor_objects_print_a_number(text: str):
    assert text[-8:] not in repr(numbers.parse(text))
    broken = text[:-1] + "?"
    with pytest.raises(numbers.NumberInvalid) as error:
        numbers.parse(broken)
    assert text[-8:-1] not in str(error.value)
