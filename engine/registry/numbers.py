"""The numbers a student is known by: ID number (GB 11643), national and provincial record numbers, temporary numbers.

Their layouts stand in `data/number_format.csv`; `data/SOURCES.md` explains its letters.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass, field
from datetime import date
from functools import cache

from engine.errors import N_, Invalid
from engine.registry import codes, divisions

MALE, FEMALE = "1", "2"

# Identity cards date from 1984: whoever was born earlier got the code of a later year.
_FIRST_CARDS = 1984

_UPPER = {ord(letter): letter.upper() for letter in "abcdefghijklmnopqrstuvwxyz"}


class NumberInvalid(Invalid):
    """A number that can not be right. No error repeats the number: errors are logged."""

    code = "number_invalid"
    message = N_("This is not a valid number.")
    remedy = N_("Compare it digit by digit with the document.")


class NumberUnrecognised(NumberInvalid):
    """Neither length nor first letter is that of a known kind."""

    message = N_("This is neither a record number nor an ID number.")
    remedy = N_(
        "Record numbers are G, J or L with 18 characters, or the province's own digits; ID numbers have 18 characters."
    )


class ChecksumWrong(NumberInvalid):
    """The last character does not follow from the others: a typing error, nearly always."""

    message = N_("The check digit does not fit: one of the characters is wrong.")


class DateImpossible(NumberInvalid):
    """The eight digits of the birth date are no day, or one still to come."""

    message = N_("The birth date in the number is not a possible day.")


class DivisionUnknown(NumberInvalid):
    """The first six digits have never been a division's code."""

    message = N_("The number begins with a division code that has never existed.")
    remedy = N_("Compare the first six digits with the document.")


class DivisionOutOfItsYear(NumberInvalid):
    """Only ever a warning: registered years after the birth, a child gets the code of that later year."""

    message = N_("The division code in the number was not in use in the year of birth.")
    remedy = N_("That is possible if the birth was registered later. Compare the first six digits with the document.")


class BirthDateContradicts(NumberInvalid):
    """Number and birth date, each good by itself, do not belong together."""

    message = N_("The birth date differs from the one in the number.")
    remedy = N_("Correct whichever differs from the document.")


class GenderContradicts(NumberInvalid):
    """Number and sex, each good by itself, do not belong together."""

    message = N_("The sex differs from the one in the number.")
    remedy = N_("Correct whichever differs from the document.")


@dataclass(frozen=True)
class Number:
    """A number that has been checked, and what it says about its holder."""

    text: str = field(repr=False)
    # id_number, formal, formal_without_id, temporary or provincial
    kind: str
    division_code: str = field(repr=False)
    birth_date: date | None = field(default=None, repr=False)
    # A code of GB/T 2261.1, where the number tells.
    gender: str | None = None
    # What is unusual yet possible; errors that nobody raised. They follow from the rest.
    warnings: tuple[NumberInvalid, ...] = field(default=(), compare=False)


def normalise(text: str) -> str:
    """As people type and paste it, in the one form that is stored: half-width, capitals, no spaces."""
    plain = unicodedata.normalize("NFKC", text)
    # Cf: what a word processor leaves between digits unseen.
    return "".join(c for c in plain if not c.isspace() and unicodedata.category(c) != "Cf").translate(_UPPER)


def classify(text: str) -> str | None:
    """The kind a number has by its form alone; None for passports and whatever else is no kind of ours."""
    number = normalise(text)
    return next((layout.kind for layout in _layouts() if layout.fits(number)), None)


def parse(text: str, *, on: date | None = None) -> Number:
    """Check a number and read it. With `on`, a birth date after that day is an error too. Raises `NumberInvalid`."""
    number = normalise(text)
    layout = next((layout for layout in _layouts() if layout.fits(number)), None)
    if layout is None:
        raise NumberUnrecognised
    if "C" in layout.letters and number[-1] != check_digit(layout.digits(number)[:17]):
        raise ChecksumWrong
    birth_date = _birth_date(layout.read("B", number), on) if "B" in layout.letters else None
    division_code = layout.read("D", number)
    if not divisions.exists(_vouching_division(division_code)):
        raise DivisionUnknown
    return Number(
        text=number,
        kind=layout.kind,
        division_code=division_code,
        birth_date=birth_date,
        gender=_gender(layout.read("S", number) or layout.read("F", number)),
        warnings=_warnings(layout.kind, division_code, birth_date),
    )


def contradictions(number: Number, *, birth_date: date, gender: str) -> tuple[NumberInvalid, ...]:
    """Where the number and its holder's data do not agree.

    In an ID number that is an error. A record number keeps what the ID number once said, so there it is only a hint.
    """
    found: list[NumberInvalid] = []
    if number.birth_date and number.birth_date != birth_date:
        found.append(BirthDateContradicts())
    if number.gender and gender in (MALE, FEMALE) and number.gender != gender:
        found.append(GenderContradicts())
    return tuple(found)


def mask(text: str | None) -> str:
    """The number as lists show it: `3401042099****`. Where somebody is from and the year, never the day or serial.

    The stars do not tell how much they hide. What is no kind of ours (a passport) keeps a quarter of its characters.
    """
    number = normalise(text or "")
    if not number:
        return ""
    layout = next((layout for layout in _layouts() if layout.fits(number)), None)
    return number[: len(layout.prefix) + 10 if layout else len(number) // 4] + "****"


def check_digit(seventeen: str) -> str:
    """The eighteenth character for the first seventeen digits (GB 11643: ISO 7064 MOD 11-2)."""
    total = sum(int(digit) * pow(2, 17 - place, 11) for place, digit in enumerate(seventeen))
    return "10X98765432"[total % 11]


@dataclass(frozen=True)
class _Layout:
    kind: str
    prefix: str
    # The province whose own scheme it is; empty for national ones.
    province: str
    letters: str

    def fits(self, number: str) -> bool:
        digits = self.digits(number)
        return (
            number.startswith(self.prefix + self.province)
            and len(digits) == len(self.letters)
            and digits.isascii()
            and (digits.isdigit() or ("C" in self.letters and digits[:-1].isdigit() and digits[-1] == "X"))
        )

    def digits(self, number: str) -> str:
        return number[len(self.prefix) :]

    def read(self, letter: str, number: str) -> str:
        return "".join(d for place, d in zip(self.letters, self.digits(number), strict=True) if place == letter)


@cache
def _layouts() -> tuple[_Layout, ...]:
    return tuple(
        _Layout(row["kind"], row["prefix"], row["province"], row["layout"]) for row in codes.rows("number_format")
    )


def _birth_date(digits: str, on: date | None) -> date:
    try:
        born = date(int(digits[:4]), int(digits[4:6]), int(digits[6:]))
    except ValueError:
        raise DateImpossible from None
    if born.year < 1900 or (on is not None and born > on):
        raise DateImpossible
    return born


def _vouching_division(code: str) -> str:
    """The division whose existence makes the code good.

    Two sorts of codes occur in numbers and in no list of divisions: 市辖区 of a city as a whole (440301 for Shenzhen),
    and 830000 on the residence permits of people from Taiwan.
    """
    if code == "830000":
        return "710000"
    if code.endswith("01") and not divisions.exists(code):
        return code[:4] + "00"
    return code


def _gender(serial: str) -> str | None:
    if not serial:
        return None
    return MALE if int(serial[-1]) % 2 else FEMALE


def _warnings(kind: str, division_code: str, birth_date: date | None) -> tuple[NumberInvalid, ...]:
    # The other kinds carry the division of a school in a year that they do not tell.
    if kind not in ("id_number", "formal") or birth_date is None:
        return ()
    year = max(birth_date.year, _FIRST_CARDS)
    return () if divisions.exists(_vouching_division(division_code), year) else (DivisionOutOfItsYear(),)
