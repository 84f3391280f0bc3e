"""Sentences in both languages from one template each. `data/sentences.csv` has them all.

A template names its values in braces. A value may itself be in two languages (`Words`), or a list, which is joined as
each language does it.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

LOCALES = ("zh", "en")


@dataclass(frozen=True)
class Words:
    """Something said in both languages. Where there is no English, the Chinese stands for it."""

    zh: str
    en: str = ""

    def text(self, locale: str) -> str:
        return self.en or self.zh if locale.startswith("en") else self.zh


NOTHING = Words("")
# What a template may be filled with; a list of any of them is joined.
Value = str | int | Words | tuple[str | int | Words, ...]


def joined(parts: Sequence[Words]) -> Words:
    """Several words after each other, as each language does it."""
    return Words("、".join(part.zh for part in parts), ", ".join(part.text("en") for part in parts))


@cache
def templates() -> Mapping[str, Words]:
    """Every template by its name."""
    with (Path(__file__).parent / "data" / "sentences.csv").open(encoding="utf-8", newline="") as file:
        return {row["name"]: Words(row["zh"], row["en"]) for row in csv.DictReader(file)}


def fill(name: str, values: Mapping[str, Value], locale: str) -> str:
    """The sentence of a template."""
    shown = {key: _shown(value, locale) for key, value in values.items()}
    return templates()[name].text(locale).format_map(shown)


def _shown(value: Value, locale: str) -> str:
    if isinstance(value, tuple):
        return (", " if locale.startswith("en") else "、").join(_shown(item, locale) for item in value)
    return value.text(locale) if isinstance(value, Words) else str(value)
