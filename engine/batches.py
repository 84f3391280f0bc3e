"""Many tasks decided at once, in the background: up to a thousand, each case in its own transaction, with its result.

A batch is written with the job that works it off. Killed at any moment, it is gone on with where it stood: a task is
completed and its result written in one transaction.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from engine import accounts, audit, inbox, metrics
from engine.audit import Actor
from engine.db import Database, UtcDateTime, metadata
from engine.errors import N_, Forbidden, NotFound, XuejiError, describe
from engine.inbox import Unfinished
from engine.jobs import Interrupted, Jobs
from engine.outages import is_outage
from engine.permissions import require
from engine.prepared import Prepared

log = logging.getLogger(__name__)

# The handler of its job.
JOB = "work_off_batch"
# How long a finished batch and its results can be looked at.
KEPT_FOR = timedelta(days=90)
PAGE = 20

_BigId = sa.BigInteger().with_variant(sa.Integer, "sqlite")

batch = sa.Table(
    "batch",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    # Who decides, in which membership; no foreign keys, as for audit entries.
    sa.Column("person_id", sa.Integer, nullable=False),
    sa.Column("membership_id", sa.Integer, nullable=False),
    sa.Column("organisation_id", sa.Integer, nullable=False),
    # What was entered for all of them; gone when the batch has finished, since the tasks have it then.
    sa.Column("values", sa.JSON, nullable=False),
    # Of the values, what the decision is known by.
    sa.Column("result", sa.String(10)),
    sa.Column("total", sa.Integer, nullable=False),
    sa.Column("begun_at", UtcDateTime, nullable=False),
    sa.Column("finished_at", UtcDateTime),
    sa.Index("ix_batch_person_id_begun_at", "person_id", "begun_at"),
)

batch_item = sa.Table(
    "batch_item",
    metadata,
    sa.Column("batch_id", sa.ForeignKey("batch.id"), primary_key=True),
    # Its place in the batch, from 1 on.
    sa.Column("position", sa.Integer, primary_key=True),
    sa.Column("task_id", _BigId, nullable=False),
    # pending, done, failed.
    sa.Column("state", sa.String(10), nullable=False),
    sa.Column("at", UtcDateTime),
    # Of a failed one: the error's code, its words, and what they are filled with.
    sa.Column("code", sa.String(40)),
    sa.Column("message", sa.String(500)),
    sa.Column("remedy", sa.String(500)),
    sa.Column("values", sa.JSON(none_as_null=True)),
    sa.UniqueConstraint("batch_id", "task_id"),
)


class MembershipEnded(Forbidden):
    """A batch whose author has lost the membership before its end."""

    code = "membership_ended"
    message = N_("Whoever decided this no longer holds the duty.")
    remedy = N_("Somebody who holds it can decide it.")


@dataclass(frozen=True)
class Batch:
    """How far a batch is."""

    id: int
    # working, finished.
    state: str
    result: str | None
    total: int
    done: int
    failed: int
    begun_at: datetime
    finished_at: datetime | None

    @property
    def pending(self) -> int:
        return self.total - self.done - self.failed


@dataclass(frozen=True)
class Item:
    """What became of one task of a batch. `error` says why it stands as before."""

    position: int
    task_id: int
    # pending, done, failed.
    state: str
    at: datetime | None
    error: XuejiError | None


# Beginning -------------------------------------------------------------------------------------------------------


def begin(
    connection: Connection, jobs: Jobs, actor: Actor, task_ids: Sequence[int], entered: Mapping[str, Any], *,
    at: datetime,
) -> int:  # fmt: skip
    """Have all these tasks completed with the same entries in the background. Answers the batch's id.

    Raises `NotAlike`, `NoBatch`, `Invalid` or `NotFound` before anything is begun, as `inbox.check_batch` does.
    """
    require(actor, "work")
    task_ids = list(dict.fromkeys(task_ids))
    values, result = inbox.check_batch(connection, actor, task_ids, entered)
    batch_id: int = connection.execute(
        batch.insert().returning(batch.c.id),
        {
            "person_id": actor.person_id, "membership_id": actor.membership_id, "result": result,
            "organisation_id": actor.organisation_id, "values": values, "total": len(task_ids), "begun_at": at,
        },
    ).scalar_one()  # fmt: skip
    connection.execute(
        batch_item.insert(),
        [
            {"batch_id": batch_id, "position": position, "task_id": task_id, "state": "pending"}
            for position, task_id in enumerate(task_ids, 1)
        ],
    )
    jobs.enqueue(connection, JOB, {"batch_id": batch_id}, key=str(batch_id))
    after = {"tasks": len(task_ids), "result": result}
    audit.record(connection, actor, "batch.begun", "batch", batch_id, at=at, after=after)
    return batch_id


# Working off -----------------------------------------------------------------------------------------------------


def work_off(
    database: Database, batch_id: int, *, clock: Callable[[], datetime], is_stopping: Callable[[], bool] = lambda: False
) -> None:
    """Do what a batch has still to do. Raises what the database raises, and is then tried again; `Interrupted`."""
    with database.reading() as connection:
        row = connection.execute(sa.select(batch).where(batch.c.id == batch_id)).one_or_none()
        pending = connection.execute(
            sa.select(batch_item.c.position, batch_item.c.task_id)
            .where(batch_item.c.batch_id == batch_id, batch_item.c.state == "pending")
            .order_by(batch_item.c.position)
        ).all()
    if row is None or row.finished_at is not None:
        return
    for item in pending:
        _complete_one(database, row, item, clock())
        if is_stopping():
            raise Interrupted
    with database.transaction() as connection:
        over = batch.update().where(batch.c.id == batch_id, batch.c.finished_at.is_(None))
        connection.execute(over.values(finished_at=clock(), values={}))


def _complete_one(database: Database, of: Any, item: Any, at: datetime) -> None:
    try:
        with database.transaction() as connection:
            actor = accounts.actor_of_membership(connection, of.membership_id)
            if actor is None:
                raise MembershipEnded
            inbox.complete(connection, actor, item.task_id, of.values, at=at)
            connection.execute(_result(of, item, state="done", at=at))
        metrics.TASKS_COMPLETED.inc()
        return
    except XuejiError as error:
        failed = error
    except Exception as error:
        if is_outage(error):  # or it asks to try again: that is no result of this task
            raise
        log.error("Task %s of batch %s failed: %s", item.task_id, of.id, describe(error))
        failed = Unfinished()
    values = {name: value if isinstance(value, int) else str(value) for name, value in failed.values.items()}
    words = {"code": failed.code, "message": failed.message, "remedy": failed.remedy, "values": values or None}
    with database.transaction() as connection:
        connection.execute(_result(of, item, state="failed", at=at, **words))


def _result(of: Any, item: Any, **values: Any) -> sa.Update:
    # Where two processes have taken the same job, the second finds the task done by itself; the first one's word stays.
    columns = batch_item.c
    own = (columns.batch_id == of.id, columns.position == item.position, columns.state == "pending")
    return batch_item.update().where(*own).values(values)


# Looking ---------------------------------------------------------------------------------------------------------


def get(connection: Connection, actor: Actor, batch_id: int) -> Batch:
    """One of the actor's own batches. Raises `NotFound`."""
    found = _batches(connection.execute(_selected(batch.c.id == batch_id), _whose(actor)))
    if not found:
        raise NotFound
    return found[0]


def begun_by(connection: Connection, actor: Actor, *, after: int | None = None, size: int = PAGE) -> list[Batch]:
    """The actor's own batches, the latest first, from one of them on."""
    older = [] if after is None else [batch.c.id < after]
    return _batches(connection.execute(_selected(*older, size=size), _whose(actor)))


def working(connection: Connection, actor: Actor) -> list[Batch]:
    """The actor's own batches that are not finished."""
    return _batches(_WORKING.rows(connection, _whose(actor)))


def items(
    connection: Connection,
    actor: Actor,
    batch_id: int,
    *,
    state: str | None = None,
    after: int = 0,
    size: int = PAGE,
    offset: int = 0,
) -> list[Item]:
    """What became of the tasks of one of the actor's own batches, in their order, from a position or a page on.

    Raises `NotFound`.
    """
    get(connection, actor, batch_id)
    columns = batch_item.c
    conditions = [columns.batch_id == batch_id, columns.position > after]
    if state is not None:
        conditions.append(columns.state == state)
    selected = sa.select(batch_item).where(*conditions).order_by(columns.position).limit(size).offset(offset)
    rows = connection.execute(selected)
    return [Item(row.position, row.task_id, row.state, row.at, _error(row)) for row in rows]


def forget_old(connection: Connection, *, at: datetime) -> None:
    """Delete batches that finished long ago; what they decided stays with the tasks, and in the audit log."""
    old = sa.select(batch.c.id).where(batch.c.finished_at < at - KEPT_FOR)
    connection.execute(batch_item.delete().where(batch_item.c.batch_id.in_(old)))
    connection.execute(batch.delete().where(batch.c.finished_at < at - KEPT_FOR))


_OWN = batch.c.person_id == sa.bindparam("whose"), batch.c.organisation_id == sa.bindparam("where")


def _whose(actor: Actor) -> dict[str, Any]:
    return {"whose": actor.person_id, "where": actor.organisation_id}


def _selected(*conditions: sa.ColumnElement[bool], size: int | None = None) -> sa.Select[Any]:
    """Some of one's own batches."""
    found = sa.select(batch).where(*_OWN, *conditions).order_by(batch.c.id.desc()).limit(size).subquery()
    return (
        sa.select(
            found.c.id, found.c.result, found.c.total, found.c.begun_at, found.c.finished_at, _counted("done"),
            _counted("failed"),
        )
        .join(batch_item, batch_item.c.batch_id == found.c.id)
        .group_by(*found.c[("id", "result", "total", "begun_at", "finished_at")])
        .order_by(found.c.id.desc())
    )  # fmt: skip


def _batches(rows: Iterable[Any]) -> list[Batch]:
    return [
        Batch(
            row.id, "finished" if row.finished_at else "working", row.result, row.total, row.done, row.failed,
            row.begun_at, row.finished_at,
        )
        for row in rows
    ]  # fmt: skip


def _counted(state: str) -> sa.ColumnElement[int]:
    return sa.func.count(sa.case((batch_item.c.state == state, 1))).label(state)


_WORKING = Prepared(_selected(batch.c.finished_at.is_(None)))


def _error(row: Any) -> XuejiError | None:
    if row.state != "failed":
        return None
    error = XuejiError(row.message, remedy=row.remedy, **(row.values or {}))
    error.code = row.code
    return error
