"""Deciding many tasks at once, in the background."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from flask import Blueprint, url_for
from pydantic import Field
from sqlalchemy.engine import Connection

from engine import batches, inbox
from engine.db import LARGEST_ID
from engine.errors import Invalid
from engine.inbox import MOST_AT_ONCE
from web.api import cursors
from web.api.endpoints import reads, writes
from web.api.shapes import Listed, LongId, Paged, Reason, Sent, Shape, Values
from web.context import current_actor, now, xueji
from web.locales import message_of, remedy_of

blueprint = Blueprint("batches", __name__)


class Beginning(Sent):
    """Tasks of one step, and what is entered at each of them."""

    tasks: Annotated[list[LongId], Field(min_length=1, max_length=MOST_AT_ONCE)]
    values: Values
    """By field id, as the form of each of these tasks says; they have the same."""


class BatchShape(Shape):
    """How far a batch is."""

    id: int
    state: str
    """working or finished"""
    result: str | None
    """What is decided."""
    total: int
    done: int
    failed: int
    pending: int
    begun_at: datetime
    finished_at: datetime | None

    @classmethod
    def of(cls, batch: batches.Batch) -> BatchShape:
        return cls(**vars(batch), pending=batch.pending)


class Result(Shape):
    """What became of one task."""

    position: int
    """Its place in the batch, from 1 on."""
    task_id: int
    state: str
    """pending, done or failed"""
    at: datetime | None
    error: Reason | None
    """Why it stands as before."""

    @classmethod
    def of(cls, item: batches.Item) -> Result:
        error = item.error
        told = Reason(code=error.code, message=message_of(error), remedy=remedy_of(error)) if error else None
        return cls(position=item.position, task_id=item.task_id, state=item.state, at=item.at, error=told)


class Results(Paged):
    state: Literal["", "pending", "done", "failed"] = ""
    """Only those in this state."""


@blueprint.post("/batches")
@writes(status=202, requires="work", raises=(inbox.NotAlike, inbox.NoBatch, Invalid))
def begin(connection: Connection, body: Beginning) -> tuple[BatchShape, str]:
    """Have up to 1,000 tasks of one step completed alike, each case by itself. Ask the batch how far it is."""
    actor = current_actor()
    batch_id = batches.begin(connection, xueji().application.jobs, actor, body.tasks, body.values, at=now())
    return BatchShape.of(batches.get(connection, actor, batch_id)), url_for(".batch", batch_id=batch_id)


@blueprint.get("/batches")
@reads(requires="work", raises=(cursors.BadCursor,))
def begun(connection: Connection, query: Paged) -> Listed[BatchShape]:
    """The person's own batches in this organisation, newest first."""
    after = cursors.read(query, "batch", LARGEST_ID)
    found = batches.begun_by(connection, current_actor(), after=after[0] if after else None, size=query.limit + 1)
    return cursors.listed(found, query, BatchShape.of, "batch", lambda batch: [batch.id])


@blueprint.get("/batches/<id:batch_id>")
@reads(requires="work")
def batch(connection: Connection, batch_id: int) -> BatchShape:
    """How far one of the own batches is."""
    return BatchShape.of(batches.get(connection, current_actor(), batch_id))


@blueprint.get("/batches/<id:batch_id>/results")
@reads(requires="work", raises=(cursors.BadCursor,))
def results(connection: Connection, batch_id: int, query: Results) -> Listed[Result]:
    """What became of each task, in the order in which they were sent."""
    after = cursors.read(query, "position", LARGEST_ID)
    found = batches.items(
        connection,
        current_actor(),
        batch_id,
        state=query.state or None,
        after=after[0] if after else 0,
        size=query.limit + 1,
    )
    return cursors.listed(found, query, Result.of, "position", lambda item: [item.position])
