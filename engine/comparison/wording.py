"""How like two texts are: pairs of characters, with words of one meaning made one by `data/synonyms.csv`."""

from __future__ import annotations

import csv
import re
import unicodedata
from collections.abc import Collection, Mapping, Sequence
from functools import cache, lru_cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from scipy import sparse

Matrix = Any  # numpy.ndarray of floats; the library's own types say less than this name
# A concept is one sign, so that a pair of signs holds it and its neighbour: a letter of a script that no text here has.
_FIRST_CONCEPT = 0xA000
_CONCEPT = re.compile("[\ua000-\ua48c]")
_SILENT = re.compile(r"[\W_]+")


@cache
def _concepts() -> Mapping[str, str]:
    """The sign of each concept."""
    return {row["concept"]: chr(_FIRST_CONCEPT + number) for number, row in enumerate(_rows())}


@cache
def _rows() -> tuple[dict[str, str], ...]:
    with (Path(__file__).parent / "data" / "synonyms.csv").open(encoding="utf-8", newline="") as file:
        return tuple(csv.DictReader(file))


@cache
def _synonyms() -> tuple[Mapping[str, str], re.Pattern[str]]:
    """The sign of each term, and what finds the longest term at each place."""
    terms = {term: _concepts()[row["concept"]] for row in _rows() for term in row["terms"].split()}
    longest = sorted(terms, key=len, reverse=True)
    # A Latin word counts as a whole, lest `end` be found in `sending`.
    patterns = [rf"\b{term}\b" if term.isascii() else re.escape(term) for term in longest]
    return terms, re.compile("|".join(patterns))


@lru_cache(maxsize=65536)
def normal(text: str) -> str:
    """A text without case, punctuation and spaces, and with one sign for all words of one meaning."""
    terms, pattern = _synonyms()
    told = unicodedata.normalize("NFKC", text).lower()
    return _SILENT.sub("", pattern.sub(lambda found: terms[found[0]], told))


def says(text: str, concept: str) -> bool:
    """Whether a text has a word of this concept."""
    return _concepts()[concept] in normal(text)


@lru_cache(maxsize=65536)
def grams(text: str) -> frozenset[str]:
    """The pairs of characters in a text, and its concepts."""
    told = normal(text)
    if len(told) < 2:
        return frozenset(told)
    return frozenset(map("".join, pairwise(told))) | frozenset(_CONCEPT.findall(told))


def script(text: str) -> str:
    """`han` or `latin`, by what most of a text is written in; empty for an empty one."""
    han = sum("\u4e00" <= sign <= "\u9fff" for sign in text)
    if not text.strip():
        return ""
    # A Chinese sign says about as much as three letters.
    return "han" if 3 * han >= sum(sign.isalpha() and sign.isascii() for sign in text) else "latin"


def likeness(one: str, other: str) -> float:
    """From 0, nothing in common, to 1, the same words."""
    first, second = grams(one), grams(other)
    if not first or not second:
        return float(normal(one) == normal(other))
    return 2 * len(first & second) / (len(first) + len(second))


def covered(part: str, whole: str) -> float:
    """How much of one text stands in another, from 0 to 1."""
    wanted = grams(part)
    return len(wanted & grams(whole)) / len(wanted) if wanted else 0.0


def most_covered(parts: Sequence[str], wholes: Sequence[str]) -> list[float]:
    """How much of each text stands in whichever of others has most of it."""
    if not parts or not wholes:
        return [0.0] * len(parts)
    common = shared([grams(part) for part in parts], [grams(whole) for whole in wholes]).max(axis=1)
    return [float(count) / max(1, len(grams(part))) for count, part in zip(common, parts, strict=True)]


def covered_as_written(part: str, whole: str) -> float:
    """The same by the signs that are written, whatever they mean; 0 for scripts in which two signs say little."""
    if script(part) != "han":
        return 0.0
    wanted = set(map("".join, pairwise(part)))
    return len(wanted & set(map("".join, pairwise(whole)))) / len(wanted) if wanted else 0.0


def likenesses(one: Sequence[str], other: Sequence[str]) -> Matrix:
    """The likeness of every text of one list to every text of the other.

    What stands in many of them (转入学校) counts less than what tells them apart.
    """
    table = _table([grams(text) for text in (*one, *other)])
    seldom = 1 + np.log(table.shape[0] / np.maximum(1, np.asarray(table.sum(axis=0)).ravel()))
    table = table @ sparse.diags(seldom)
    lengths = np.sqrt(np.asarray(table.multiply(table).sum(axis=1)).ravel())
    table = sparse.diags(1 / np.where(lengths > 0, lengths, 1)) @ table
    return np.clip((table[: len(one)] @ table[len(one) :].T).toarray(), 0, 1)


def shared(one: Sequence[Collection[str]], other: Sequence[Collection[str]]) -> Matrix:
    """How many words every set of one list has in common with every set of the other."""
    table = _table([*one, *other])
    return (table[: len(one)] @ table[len(one) :].T).toarray()


def alike(one: Sequence[str], other: Sequence[str]) -> Matrix:
    """`likeness` of every text of one list and every text of the other."""
    sets = [[grams(text) for text in texts] for texts in (one, other)]
    sizes = [np.array([len(words) for words in half]) for half in sets]
    return 2 * shared(*sets) / np.maximum(1, np.add.outer(*sizes))


def _table(sets: Sequence[Collection[str]]) -> sparse.csr_matrix:
    """A row for each set, a column for each word that any of them has."""
    known: dict[str, int] = {}
    columns = [known.setdefault(word, len(known)) for words in sets for word in words]
    bounds = np.cumsum([0, *map(len, sets)])
    return sparse.csr_matrix((np.ones(len(columns)), columns, bounds), shape=(len(sets), max(1, len(known))))
