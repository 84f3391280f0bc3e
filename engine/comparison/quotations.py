"""Where a document says something, and how sure that is."""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from engine.comparison.model import Side, Step
from engine.comparison.wording import covered, normal

# Nothing but our reading stands behind these.
OURS = frozenset({"practice", "inferred"})
# From here on words stand in a sentence.
_STANDS = 0.7
# The clause of a picture, of which the document's file says nothing but which page it shows.
_PICTURE = "图"


@dataclass(frozen=True)
class Said:
    """That a side says something: in which clauses, and on which basis."""

    clauses: tuple[str, ...] = ()
    basis: str = "text"


def standing(a: Said | None, b: Said | None) -> str:
    """Whether both say something, or one is silent, or it is our reading."""
    said = [item for item in (a, b) if item is not None]
    if any(item.basis in OURS for item in said):
        return "inferred"
    return "differs" if len(said) == 2 else "unstated"


def said(side: Side, step: Step, aspect: str, clauses: Sequence[str] = (), basis: str = "") -> Said:
    """What a step's sentences say of one aspect of it: those that speak of it, else the first."""
    own = tuple(clauses) or step.clauses
    pattern = patterns().get(aspect)
    telling = [item.clause for item in side.quote(own) if pattern and pattern.search(item.text)]
    return Said(tuple(telling) or own[:1], basis or step.basis)


def where(side: Side, words: str, clauses: Sequence[str]) -> tuple[str, ...]:
    """The first clause in which most of the words stand; where there is none, the first one."""
    found = (item.clause for item in side.quote(clauses) if covered(words, item.text) >= _STANDS)
    first = next(found, None)
    return (first,) if first else tuple(clauses[:1])


def said_menu(side: Side, steps: Sequence[Step]) -> Said:
    """Where the menu of an act is named, its last step first. A menu that no sentence names is our reading."""
    for step in reversed(steps):
        last = step.menu.zh.rpartition("/")[2]
        named = tuple(item.clause for item in side.quote(step.clauses) if last and last in item.text)
        if named:
            return Said(named, step.basis)
    return Said((), "inferred" if side.sentences else steps[-1].basis)


def pictured(side: Side, step: Step, words: str) -> str | None:
    """The clause of a picture beside a step's sentences whose note says that it shows these words, though unused."""
    before = ""
    for sentence in side.sentences:
        is_picture = sentence.clause.endswith(_PICTURE)
        if is_picture and before in step.clauses and normal(words) in normal(sentence.modelled):
            return sentence.clause
        before = before if is_picture else sentence.clause
    return None


@cache
def patterns() -> Mapping[str, re.Pattern[str]]:
    with (Path(__file__).parent / "data" / "evidence.csv").open(encoding="utf-8", newline="") as file:
        return {row["aspect"]: re.compile(row["pattern"]) for row in csv.DictReader(file) if row["pattern"]}
