"""The tables of the demo world, in `data/`: what is invented stands there, and nothing of it in the code."""

from __future__ import annotations

import csv
from functools import cache
from pathlib import Path

_DATA = Path(__file__).parent / "data"


@cache
def rows(name: str) -> tuple[dict[str, str], ...]:
    """A table, as it stands there."""
    with (_DATA / f"{name}.csv").open(encoding="utf-8", newline="") as table:
        return tuple(csv.DictReader(table))


@cache
def file(name: str) -> bytes:
    """A file that is no table."""
    return (_DATA / name).read_bytes()


@cache
def texts(name: str, kind: str) -> tuple[str, ...]:
    """The words of one kind, in a file with the columns `kind` and `text`."""
    return tuple(row["text"] for row in rows(name) if row["kind"] == kind)
