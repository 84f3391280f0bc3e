"""What waits, what was done, and completing it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Literal

from flask import Blueprint
from pydantic import Field
from sqlalchemy.engine import Connection

from engine import cases, inbox, metrics, transfers
from engine.audit import Actor
from engine.db import LARGEST_ID, LARGEST_LONG_ID
from engine.errors import Invalid
from engine.inbox import NotYours
from engine.transfers import Transfer, Waiting
from web.api import cursors
from web.api.endpoints import is_last, reads, writes
from web.api.shapes import (
    Clause,
    Due,
    Form,
    Holder,
    Id,
    Line,
    Listed,
    Paged,
    Reason,
    Revision,
    Sent,
    Shape,
    Step,
    Values,
)
from web.api.transfers import Party, TransferRow
from web.context import current_actor, now
from web.deadlines import prepare_calendar

blueprint = Blueprint("inbox", __name__)


# Lists -----------------------------------------------------------------------------------------------------------


class Narrowed(Paged):
    """What of the inbox is listed; what is left out does not narrow."""

    menu: Line | None = None
    """A menu of the diagrams, for example 变动审批/转入审批; empty for steps without one."""
    step: Line = ""
    """The id of a step."""
    school: Id | None = None
    """The school of the own side."""
    region: Annotated[str, Field(pattern=r"^([1-9][0-9]{5})?$")] = ""
    """The division of the other side's school."""
    late: bool = False
    """Only what is overdue."""
    sort: Literal["due", "arrived", "latest"] = "due"
    """The most urgent first, the longest waiting first, or the newest first."""


class InboxSearch(Narrowed):
    """The same, and whom it is about. These are sent in a body, as no address may hold a name or a number."""

    name: Line = ""
    """The student's full name."""
    number: Line = ""
    """A record number, an ID number or a transfer's number."""


class TaskRow(Shape):
    """One task."""

    id: int
    case_id: int
    side: str | None
    """receiving or releasing; null in a plain procedure."""
    party: str
    """Whose step it is: receiving_school, receiving_authority, releasing_school, releasing_authority or owner"""
    duty: str
    steps: list[Step]
    """The step, or the manual steps and the one that they prepare, which are done in one act."""
    state: str
    """open, done or cancelled"""
    batch: bool
    """Whether several of these may be decided at once."""
    opened_at: datetime
    due: Due | None
    closed_at: datetime | None
    result: str | None
    """What was decided."""
    transfer: TransferRow | None
    """What it is about; null in a plain procedure."""

    @classmethod
    def of(cls, task: inbox.Task, transfer: Transfer | None) -> TaskRow:
        return cls(
            id=task.id,
            case_id=task.case_id,
            side=task.side,
            party=task.party,
            duty=task.duty,
            steps=[Step.of(node) for node in task.act],
            state=task.state,
            batch=task.batch,
            opened_at=task.opened_at,
            due=Due.of(task),
            closed_at=task.closed_at,
            result=task.result,
            transfer=TransferRow.of(transfer) if transfer else None,
        )


class WaitingStep(Shape):
    """A step in which something waits."""

    steps: list[Step]
    """With the manual steps before it."""
    procedure_version: int
    open: int
    late: int
    """How many of them are overdue."""


@blueprint.get("/inbox")
@reads(requires="work", raises=(cursors.BadCursor,))
def waiting(connection: Connection, query: Narrowed) -> Listed[TaskRow]:
    """待办: the tasks that wait for the membership."""
    return _waiting(connection, query, Waiting(query.school, query.region))


@blueprint.post("/inbox/search")
@writes(requires="work", keyed=False, raises=(cursors.BadCursor,))
def search(connection: Connection, body: InboxSearch) -> Listed[TaskRow]:
    """待办, narrowed also by a student's name or number."""
    return _waiting(connection, body, Waiting(body.school, body.region, body.name, body.number))


def _waiting(connection: Connection, asked: Narrowed, whose: Waiting) -> Listed[TaskRow]:
    actor = current_actor()
    found = inbox.waiting_after(
        connection,
        actor,
        menu=asked.menu,
        node=asked.step or None,
        late_at=now() if asked.late else None,
        where=transfers.waiting_where(whose),
        sort=asked.sort,
        after=cursors.read(asked, asked.sort, datetime, LARGEST_LONG_ID),
        size=asked.limit + 1,
    )
    return _listed(connection, actor, found, asked, asked.sort)


@blueprint.get("/inbox/steps")
@reads(requires="work")
def steps(connection: Connection) -> list[WaitingStep]:
    """In which steps something waits for the membership, and how much of it is overdue."""
    return [
        WaitingStep(
            steps=[Step.of(node) for node in step.act],
            procedure_version=step.version.id,
            open=step.open,
            late=step.late,
        )
        for step in inbox.steps(connection, current_actor(), at=now())
    ]


@blueprint.get("/inbox/done")
@reads(requires="work", raises=(cursors.BadCursor,))
def done(connection: Connection, query: Paged) -> Listed[TaskRow]:
    """已办: what the person has completed in this membership, newest first."""
    actor, after = current_actor(), cursors.read(query, "closed", datetime, LARGEST_LONG_ID)
    found = inbox.done_after(connection, actor, after=after, size=query.limit + 1)
    return _listed(connection, actor, found, query, "closed")


@blueprint.get("/inbox/started")
@reads(requires="work", raises=(cursors.BadCursor,))
def started(connection: Connection, query: Paged) -> Listed[TransferRow]:
    """我发起的: the transfers that the person has started, newest first."""
    after = cursors.read(query, "case", LARGEST_ID)
    found = transfers.started_by_after(
        connection, current_actor(), after=after[0] if after else None, size=query.limit + 1
    )
    return cursors.listed(found, query, TransferRow.of, "case", lambda transfer: [transfer.case_id])


def rows(connection: Connection, actor: Actor, found: Sequence[inbox.Task]) -> list[TaskRow]:
    """Tasks as lists show them."""
    if any(task.due_at for task in found):
        prepare_calendar(connection)
    known = transfers.summaries(connection, actor, [task.case_id for task in found if task.side])
    return [TaskRow.of(task, known.get(task.case_id)) for task in found]


def _listed(
    connection: Connection, actor: Actor, found: Sequence[inbox.Task], asked: Paged, order: str
) -> Listed[TaskRow]:
    shown, following = cursors.cut(found, asked, order, inbox.SORTS[order].place)
    return Listed(items=rows(connection, actor, shown), next=following)


# One task --------------------------------------------------------------------------------------------------------


class Task(TaskRow):
    """One task with all that its decision needs."""

    revision: int
    """The case's revision: send it along, and a case that has gone on meanwhile is not decided."""
    form: Form
    clauses: list[Clause]
    """What the document says of the step."""
    source: str
    """The document's number."""
    checks: list[Reason]
    """What the automatic checks would say now, so that nobody agrees to what can not go on."""
    holders: list[Holder]
    parties: list[Party]


class Completing(Sent):
    """What is entered at a task."""

    values: Values
    """By field id, as the task's form says."""
    revision: Revision | None = None
    """Of the task as it was read; without it the task is completed if it is still open."""


class Completed(Shape):
    """What became of a case."""

    case_id: int
    revision: int
    outcome: str | None
    """completed, refused or withdrawn; null while it goes on."""
    holders: list[Holder]
    """Who has it now."""
    next: list[int]
    """What of it waits for this membership now: ids of tasks."""

    @classmethod
    def of(cls, became: inbox.Completion, actor: Actor) -> Completed:
        own = (actor.organisation_id, actor.duty)
        return cls(
            case_id=became.case_id,
            revision=became.revision,
            outcome=became.outcome,
            holders=[Holder.of(holder) for holder in became.holders],
            next=[holder.task_id for holder in became.holders if (holder.organisation_id, holder.duty) == own],
        )


@blueprint.get("/tasks/<long:task_id>")
@reads()
def task(connection: Connection, task_id: int) -> Task:
    """One task of the own organisation, open or over, with its form and the sentences that it rests on."""
    actor = current_actor()
    prepare_calendar(connection)
    found = inbox.get(connection, actor, task_id)
    transfer = transfers.summaries(connection, actor, [found.case_id]).get(found.case_id)
    holders = transfer.holders if transfer else inbox.completion(connection, found.case_id).holders
    return Task(
        **dict(TaskRow.of(found, transfer)),
        revision=cases.get(connection, actor, found.case_id).revision,
        form=Form.of(found.act),
        clauses=[Clause.of(quote) for quote in found.quotes],
        source=found.version.graph.properties.get("document.number", ""),
        checks=_checks(connection, found, transfer),
        holders=[Holder.of(holder) for holder in holders],
        parties=Party.all_of(connection, cases.parties(connection, actor, found.case_id)),
    )


def _checks(connection: Connection, task: inbox.Task, transfer: Transfer | None) -> list[Reason]:
    if transfer is None or transfer.state != "pending" or task.state != "open":
        return []
    failures = transfers.stands_against(
        connection, transfer.student.id, school_id=transfer.releasing_school_id, besides=transfer.case_id
    )
    return [Reason.of(failure) for failure in failures]


@blueprint.post("/tasks/<long:task_id>/completion")
@writes(raises=(cases.AlreadyDone, cases.Gone, cases.Stale, NotYours, Invalid))
def complete(connection: Connection, task_id: int, body: Completing) -> Completed:
    """Complete a task, together with the manual steps before it.

    Whether several officers or programs are at it at once: one completes it, the others are told who, when and how.
    """
    actor = current_actor()
    case_id = inbox.complete(connection, actor, task_id, body.values, revision=body.revision, at=now())
    became = inbox.completion(connection, case_id, last=is_last())
    metrics.TASKS_COMPLETED.inc()
    return Completed.of(became, actor)
