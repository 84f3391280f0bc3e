"""The State Council's notice of a year's holidays, read from its words."""

from __future__ import annotations

from datetime import date, timedelta
from itertools import groupby

import pytest

from engine import holidays, workdays
from engine.holidays import NoticeUnclear
from engine.workdays import Calendar, Day

WEEKDAYS = "一二三四五六日"
YEARS = sorted({day.year for day in workdays._SHIPPED})


def words_of(day: date, *, month: bool = True) -> str:
    return f"{f'{day.month}月' if month else ''}{day.day}日（周{WEEKDAYS[day.weekday()]}）"


def runs(days: list[date]) -> list[list[date]]:
    """Days that follow each other."""
    grouped = groupby(enumerate(sorted(days)), lambda pair: pair[1] - timedelta(days=pair[0]))
    return [[day for _, day in group] for _, group in grouped]


def written(year: int) -> str:
    """What the package knows of a year, in the form of a notice."""
    by_name: dict[str, list[Day]] = {}
    for day in Calendar().exceptions(year):
        by_name.setdefault(day.name, []).append(day)
    lines = []
    for number, (name, days) in enumerate(by_name.items()):
        sentences = []
        for run in runs([day.day for day in days if not day.is_workday]):
            first, last = run[0], run[-1]
            until = f"至{words_of(last, month=last.month != first.month)}" if last != first else ""
            sentences.append(f"{words_of(first)}{until}放假调休，共{len(run)}天。")
        if worked := [words_of(day.day) for day in days if day.is_workday]:
            sentences.append(f"{'、'.join(worked)}上班。")
        lines.append(f"{'一二三四五六七八九十'[number]}、{name}：{''.join(sentences)}")
    return "\n".join(lines)


@pytest.mark.parametrize("year", YEARS)
def test_every_year_that_the_package_knows_is_read_back_from_its_notice(year):
    expected = {day.day: day.is_workday for day in Calendar().exceptions(year)}
    assert {day.day: day.is_workday for day in holidays.read(year, written(year))} == expected


def test_a_line_names_days_that_are_free_and_days_that_are_worked():
    found = holidays.read(2027, "一、元旦：1月1日（周五、农历冬月廿四）至3日放假，共3天。1月9日（周六）上班。")
    assert [(day.day.day, day.is_workday, day.name) for day in found] == [
        (1, False, "元旦"), (2, False, "元旦"), (3, False, "元旦"), (9, True, "元旦"),
    ]  # fmt: skip


def test_a_long_holiday_may_begin_in_the_year_before():
    found = holidays.read(2027, "元旦：2026年12月31日至2027年1月2日放假调休，共3天。2026年12月27日上班。")
    assert [day.day.isoformat() for day in found] == ["2026-12-27", "2026-12-31", "2027-01-01", "2027-01-02"]


@pytest.mark.parametrize(
    ("notice", "line"),
    [
        ("", 1),
        ("各省、自治区、直辖市人民政府", 1),
        ("元旦：1月1日放假。\n\n春节：除夕至初六放假。", 3),
        ("元旦：1月1日休息。", 1),
        ("元旦：1月1日放假后上班。", 1),
        ("元旦：1月3日至1日放假。", 1),
        ("元旦：2月30日放假。", 1),
        ("元旦：1日放假。", 1),
        ("春节：2月1日至5月1日放假。", 1),
    ],
)
def test_what_does_not_say_which_days_is_refused_with_its_line(notice, line):
    with pytest.raises(NoticeUnclear) as refused:
        holidays.read(2027, notice)
    assert refused.value.values["line"] == line
