"""What a simulation takes for granted: how many people there are, how fast, how often they refuse.

No document says any of it. The values are those of a table, `data/assumptions.csv`, until somebody moves a slider or a
deployment's own cases give better ones.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from types import MappingProxyType

from engine.comparison.findings import party_words
from engine.comparison.sentences import Words, templates

# Where a value comes from.
ASSUMED, MEASURED, CHOSEN = "assumed", "measured", "chosen"


@dataclass(frozen=True)
class Assumption:
    """One number: what it is about, its default, and between what it may be moved."""

    # `staff`, `refusal` …; the party that it holds for, "" where it holds for all.
    name: str
    party: str
    default: float
    low: float
    high: float
    step: float

    @property
    def key(self) -> str:
        return f"{self.name}.{self.party}" if self.party else self.name

    @property
    def label(self) -> Words:
        return templates()[f"assumption.{self.name}"]

    def unit(self, value: float) -> Words:
        """What a value counts, after the number."""
        many = f"assumption.{self.name}.unit"
        return templates().get(f"{many}.one" if value == 1 else many) or templates()[many]

    @property
    def holder(self) -> Words:
        """Whom it holds for."""
        return party_words(self.party) if self.party else templates()["assumption.all"]


@cache
def assumptions() -> Mapping[str, Assumption]:
    """Every assumption by its key, in the order in which they are told."""
    with (Path(__file__).parent.parent / "data" / "assumptions.csv").open(encoding="utf-8", newline="") as file:
        rows = [
            Assumption(row["name"], row["party"], *(float(row[name]) for name in ("value", "low", "high", "step")))
            for row in csv.DictReader(file)
        ]
    return MappingProxyType({row.key: row for row in rows})


@dataclass(frozen=True)
class Assumptions:
    """A value for every assumption, and where those come from that are not the table's."""

    values: Mapping[str, float]
    origins: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def defaults(cls) -> Assumptions:
        return cls({key: item.default for key, item in assumptions().items()})

    def with_(self, changed: Mapping[str, float], origin: str = CHOSEN) -> Assumptions:
        """These with some values changed, as far as each may be moved. Names that are no assumption are passed over."""
        known = assumptions()
        moved = {
            key: min(max(value, known[key].low), known[key].high)
            for key, value in changed.items()
            if key in known and value != self.values[key]
        }
        return Assumptions({**self.values, **moved}, {**self.origins, **dict.fromkeys(moved, origin)})

    def origin(self, key: str) -> str:
        return self.origins.get(key, ASSUMED)

    def of(self, name: str, party: str) -> float:
        """The value for a party; for one that the table does not know, as for a receiving school."""
        found = self.values.get(f"{name}.{party}")
        return self.values[f"{name}.receiving_school"] if found is None else found
