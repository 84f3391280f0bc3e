"""The State Council's yearly notice of holidays, read from its own words, so that nobody types thirty days one by one.

    一、元旦：1月1日（周四）至3日（周六）放假调休，共3天。1月4日（周日）上班。

A sentence names days and says that they are free (放假) or worked (上班); what stands before the colon is their name.
What can not be read is refused with its line: a day too few would be a deadline too early.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date, timedelta

from engine.errors import N_, Invalid
from engine.workdays import Day

_LINE = re.compile(
    r"\s*(?:[一二三四五六七八九十]+、|\d+[.、．]|（[一二三四五六七八九十]+）)?\s*([^：:]{1,40})[：:](.+)"
)
_BRACKETS = re.compile(r"（[^（）]*）|\([^()]*\)")
_DAY = r"(?:(?P<{0}year>\d{{4}})年)?(?:(?P<{0}month>\d{{1,2}})月)?(?P<{0}day>\d{{1,2}})日"
_DAYS = re.compile(_DAY.format("") + r"(?:\s*[至到—－-]\s*" + _DAY.format("last_") + ")?")


class NoticeUnclear(Invalid):
    """A line of the notice that does not say which days are free or worked."""

    code = "notice_unclear"
    message = N_("Line %(line)s of the notice can not be read: “%(text)s”.")
    remedy = N_("Write it like this: 元旦：1月1日（周四）至3日（周六）放假调休，共3天。1月4日（周日）上班。")


def read(year: int, text: str) -> list[Day]:
    """The days that a notice names, in their order. Raises `NoticeUnclear`."""
    found: dict[date, Day] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        if line.strip():
            for day in _read_line(year, number, line):
                found[day.day] = day
    if not found:
        raise NoticeUnclear(line=1, text="")
    return [found[day] for day in sorted(found)]


def _read_line(year: int, number: int, line: str) -> Iterator[Day]:
    unclear = NoticeUnclear(line=number, text=line.strip()[:60])
    # 2月15日（农历腊月二十八、周日）: what stands in brackets says nothing new.
    matched = _LINE.fullmatch(_BRACKETS.sub("", line))
    if matched is None:
        raise unclear
    name, said = matched[1].strip(), matched[2]
    named = [(sentence, days) for sentence in re.split("[。；;]", said) for days in _DAYS.finditer(sentence)]
    if not named:
        raise unclear
    for sentence, days in named:
        if ("上班" in sentence) == ("放假" in sentence):
            raise unclear
        try:
            yield from (Day(day, "上班" in sentence, name) for day in _span(year, days))
        except ValueError:
            raise unclear from None


def _span(year: int, days: re.Match[str]) -> list[date]:
    """From the first day to the last, which may leave out the month or the year that it shares with the first."""
    if days["month"] is None:
        raise ValueError
    first = date(int(days["year"] or year), int(days["month"]), int(days["day"]))
    if days["last_day"] is None:
        return [first]
    last = date(int(days["last_year"] or year), int(days["last_month"] or first.month), int(days["last_day"]))
    length = (last - first).days
    if not 0 < length < 20:
        raise ValueError
    return [first + timedelta(days=n) for n in range(length + 1)]
