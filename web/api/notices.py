"""What the own organisation was told without having to do anything."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from flask import Blueprint
from sqlalchemy.engine import Connection

from engine import cases
from engine.db import LARGEST_LONG_ID
from web.api import cursors
from web.api.endpoints import reads, writes
from web.api.shapes import Listed, Paged, Shape, Step
from web.context import current_actor, now

blueprint = Blueprint("notices", __name__)


class Notice(Shape):
    """One thing that the organisation was told."""

    id: int
    case_id: int
    case_kind: str
    """transfer, or the name of a plain procedure"""
    kind: str
    """A message of the exchange contract, due_soon, overdue, completed, refused, withdrawn, or what a diagram says"""
    values: dict[str, Any]
    at: datetime
    read_at: datetime | None
    step: Step | None
    """The step that it speaks of."""

    @classmethod
    def of(cls, notice: cases.Notice) -> Notice:
        return cls(**vars(notice) | {"step": Step.of(notice.step) if notice.step else None})


class Asked(Paged):
    unread: bool = False
    """Only what nobody has read."""


class Read(Shape):
    read: int
    """How many were unread before."""


@blueprint.get("/notices")
@reads(raises=(cursors.BadCursor,))
def notices(connection: Connection, query: Asked) -> Listed[Notice]:
    """What the organisation was told, newest first."""
    found = cases.notices_after(
        connection,
        current_actor(),
        unread=query.unread,
        after=cursors.read(query, "notice", datetime, LARGEST_LONG_ID),
        size=query.limit + 1,
    )
    return cursors.listed(found, query, Notice.of, "notice", cases.notice_place)


@blueprint.post("/notices/read")
@writes()
def read_all(connection: Connection) -> Read:
    """Mark all notices of the organisation as read."""
    return Read(read=cases.read_notices(connection, current_actor(), at=now()))


@blueprint.post("/notices/<long:notice_id>/read")
@writes()
def read(connection: Connection, notice_id: int) -> Read:
    """Mark one notice as read."""
    return Read(read=cases.read_notices(connection, current_actor(), notice_id, at=now()))
