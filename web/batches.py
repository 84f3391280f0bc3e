"""Many tasks decided in the background: how far they are, and which of them could not be done."""

from __future__ import annotations

from dataclasses import dataclass

from flask import Blueprint, render_template
from flask.typing import ResponseReturnValue
from sqlalchemy.engine import Connection

from engine import batches, inbox, transfers
from engine.audit import Actor
from engine.batches import Item
from engine.inbox import Task
from engine.transfers import Transfer
from web.context import current_actor, reading, requires
from web.inbox import Listing, why
from web.paging import PAGE_SIZE, Page, offset_of, page_number
from web.words import decided

blueprint = Blueprint("batches", __name__, url_prefix="/inbox/batches")


@dataclass(frozen=True)
class Row:
    """One task that could not be done. The task is missing if it never was one of the organisation's."""

    item: Item
    task: Task | None
    transfer: Transfer | None

    @property
    def reason(self) -> str:
        assert self.item.error is not None
        return why(self.item.error)


@blueprint.get("/<int:batch_id>")
@requires("work")
def page(batch_id: int) -> ResponseReturnValue:
    """While it is worked on, the page asks again by itself."""
    actor = current_actor()
    with reading() as connection:
        batch = batches.get(connection, actor, batch_id)
        first = batches.items(connection, actor, batch_id, size=1)
        failed = batches.items(
            connection, actor, batch_id, state="failed", size=PAGE_SIZE, offset=offset_of(page_number())
        )
        rows = _rows(connection, actor, failed)
        task = next(iter(inbox.some(connection, actor, [item.task_id for item in first])), None)
    return render_template(
        "batches/page.html",
        batch=batch,
        result=decided(task.act[-1], batch.result) if task else "",
        act=task.act if task else (),
        rows=rows,
        page=Page(rows, batch.failed, page_number()),
        listing=Listing.asked(),
    )


def _rows(connection: Connection, actor: Actor, failed: list[Item]) -> list[Row]:
    tasks = {task.id: task for task in inbox.some(connection, actor, [item.task_id for item in failed])}
    known = transfers.summaries(connection, actor, [task.case_id for task in tasks.values()])
    rows = []
    for item in failed:
        task = tasks.get(item.task_id)
        rows.append(Row(item, task, known.get(task.case_id) if task else None))
    return rows
