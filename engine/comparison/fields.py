"""Which fields of two forms ask for the same: by what they are bound to, then by their words, never by their ids."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from engine.bpmn.graph import Field, Option
from engine.comparison.wording import likeness

# Two labels below it are two matters. Fields that are bound to two matters must be more alike than that to be one.
_ALIKE, _ALIKE_THOUGH_BOUND = 0.5, 0.6
# Options that every decision has, whatever its words.
_FIXED = frozenset({"agree", "refuse"})

Item = TypeVar("Item", Field, Option)


def matched_fields(mine: Sequence[Field], theirs: Sequence[Field]) -> list[tuple[Field, Field]]:
    """The fields of two forms that ask for the same, in the order of the first."""
    found = _matched(mine, theirs, _field_score)
    found |= _in_place(mine, theirs, found)
    return [(mine[row], theirs[column]) for row, column in sorted(found.items())]


def matched_options(one: Field, other: Field) -> list[tuple[Option, Option]]:
    """The options of two fields that mean the same."""
    found = _matched(one.options, other.options, _option_score)
    if len(one.options) == len(other.options):
        left = [[n for n in range(len(one.options)) if n not in taken] for taken in (found, set(found.values()))]
        found |= dict(zip(*left, strict=True))
    return [(one.options[row], other.options[column]) for row, column in sorted(found.items())]


def names(pairs: Sequence[tuple[Field, Field]]) -> dict[str, str]:
    """What a condition on the second form's fields calls them and their options on the first."""
    found = {other.id: one.id for one, other in pairs}
    for one, other in pairs:
        found |= {f'"{theirs.id}"': f'"{mine.id}"' for mine, theirs in matched_options(one, other)}
    return found


def _matched(mine: Sequence[Item], theirs: Sequence[Item], score: Callable[[Item, Item], float]) -> dict[int, int]:
    """The best pairs first; of equal ones those nearest to each other's place."""
    scores = sorted(
        (
            (score(one, other), -abs(row - column), -row, -column)
            for row, one in enumerate(mine)
            for column, other in enumerate(theirs)
        ),
        reverse=True,
    )
    found: dict[int, int] = {}
    for points, _, row, column in scores:
        if points >= _ALIKE and -row not in found and -column not in found.values():
            found[-row] = -column
    return found


def _field_score(one: Field, other: Field) -> float:
    alike = _alike(one.name, other.name, one.properties.get("label.en", ""), other.properties.get("label.en", ""))
    if one.binds and other.binds and one.binds != other.binds:
        return alike if alike >= _ALIKE_THOUGH_BOUND else 0.0
    return alike + (1.0 if one.binds == other.binds != "" else 0.0)


def _option_score(one: Option, other: Option) -> float:
    if one.id in _FIXED or other.id in _FIXED:
        return 1.0 if one.id == other.id else 0.0
    return _alike(one.name, other.name, one.name_en, other.name_en)


def _alike(name: str, other: str, english: str, other_english: str) -> float:
    return max(likeness(name, other), likeness(english, other_english) if english and other_english else 0.0)


def _in_place(mine: Sequence[Field], theirs: Sequence[Field], found: dict[int, int]) -> dict[int, int]:
    """A field in the same place and of the same make is the same, though its words be wholly others."""
    if len(mine) != len(theirs):
        return {}
    taken = set(found.values())
    return dict(_same_make(mine, theirs, [row for row in range(len(mine)) if row not in found and row not in taken]))


def _same_make(mine: Sequence[Field], theirs: Sequence[Field], rows: Sequence[int]) -> Iterator[tuple[int, int]]:
    for row in rows:
        one, other = mine[row], theirs[row]
        if not (one.binds and other.binds) and (one.type, len(one.options)) == (other.type, len(other.options)):
            yield row, row
