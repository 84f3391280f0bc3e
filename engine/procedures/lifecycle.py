"""Where each version stands in the life of its procedure: a draft, in force, superseded, retired."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from engine.accounts import person
from engine.errors import NotFound
from engine.procedures.tables import procedure_version


@dataclass(frozen=True)
class Standing:
    """Where a version stands in the life of its procedure."""

    id: int
    regime: str
    kind: str
    number: int
    # draft; scheduled: in force from a later day; in_force; superseded: another one is in force now; retired.
    state: str
    effective_from: datetime | None
    # From when another one is in force, as far as that is known now, or when it was retired.
    until: datetime | None
    sha256: str
    note: str
    # The name of whoever uploaded it; None for the versions that came with the product.
    uploaded_by: str | None
    uploaded_at: datetime


def standings(connection: Connection, *, at: datetime) -> list[Standing]:
    """Every version of every procedure, the newest first."""
    columns = procedure_version.c
    rows = connection.execute(
        sa.select(
            columns.id, columns.regime, columns.kind, columns.number, columns.state, columns.effective_from,
            columns.retired_at, columns.sha256, columns.note, columns.uploaded_at, person.c.name,
        )
        .join(person, columns.uploaded_by == person.c.id, isouter=True)
        .order_by(columns.regime, columns.kind, columns.number.desc())
    ).all()  # fmt: skip
    states = _states(rows, at)
    return [
        Standing(
            row.id, row.regime, row.kind, row.number, *states[row.id], row.sha256, row.note, row.name, row.uploaded_at
        )
        for row in rows
    ]


def _states(rows: Sequence[Any], at: datetime) -> dict[int, tuple[str, datetime | None, datetime | None]]:
    """State, first and last day of each version, by its id."""
    found = {row.id: (row.state, row.effective_from, row.retired_at) for row in rows}
    lines: dict[tuple[str, str], list[Any]] = {}
    for row in sorted(
        (row for row in rows if row.state == "deployed"), key=lambda row: (row.effective_from, row.number)
    ):
        lines.setdefault((row.regime, row.kind), []).append(row)
    for line in lines.values():
        for row, after in zip(line, [*line[1:], None], strict=True):
            until = after.effective_from if after else None
            begun, over = row.effective_from <= at, until is not None and until <= at
            state = "superseded" if over else "in_force" if begun else "scheduled"
            found[row.id] = (state, row.effective_from, until)
    return found


def standing(connection: Connection, version_id: int, *, at: datetime) -> Standing:
    """Where one version stands. Raises `NotFound`."""
    found = next((item for item in standings(connection, at=at) if item.id == version_id), None)
    if found is None:
        raise NotFound
    return found


def heir(known: Sequence[Standing], of: Standing) -> Standing | None:
    """The version that would be in force if this one were retired now."""
    before = [item for item in known if (item.regime, item.kind, item.state) == (of.regime, of.kind, "superseded")]
    return max(before, key=lambda item: (item.effective_from, item.number), default=None)
