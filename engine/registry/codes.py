"""The code tables of `data/`: small, fixed by national standards, read once. `data/SOURCES.md` names where from."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import MappingProxyType


@dataclass(frozen=True)
class Code:
    """One code in both languages; the page chooses."""

    code: str
    name: str
    name_en: str


@cache
def table(name: str) -> Mapping[str, Code]:
    """A code table in its own order: `ethnicity`, `gender`, `grade`, `id_type`, `political_status` or `status`."""
    return MappingProxyType({row["code"]: Code(row["code"], row["name"], row["name_en"]) for row in rows(name)})


@cache
def rows(name: str) -> tuple[dict[str, str], ...]:
    """A file of `data/`, as it stands there."""
    with (Path(__file__).parent / "data" / f"{name}.csv").open(encoding="utf-8", newline="") as file:
        return tuple(csv.DictReader(file))
