"""The three lists of every office: 待办, 已办, 我发起的; and deciding several tasks of one step at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from flask import Blueprint, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy.engine import Connection
from werkzeug.datastructures import MultiDict

from engine import batches, inbox, metrics, searches, transfers
from engine.audit import Actor
from engine.bpmn.graph import Field, Node
from engine.cases import AlreadyDone
from engine.errors import XuejiError
from engine.inbox import Menu, Outcome, Step, Task
from engine.permissions import may
from engine.registry import divisions, organisations
from engine.searches import SearchForgotten
from engine.transfers import Transfer, Waiting
from web.context import current_actor, database, now, reading, requires, transaction, xueji
from web.errors import shown_again_by
from web.flash import flash
from web.gettext import gettext as _
from web.gettext import ngettext
from web.ids import an_id
from web.locales import message_of, moment_in_words, own_name, remedy_of
from web.menus import open_steps, own_menus
from web.paging import PAGE_SIZE, Page, page_number
from web.searches import PARAMETER, posted_search, recalled_search

blueprint = Blueprint("inbox", __name__)

KIND = "inbox"
BATCH = "batch"
SORTS = ("arrived", "latest")


@dataclass(frozen=True)
class Listing:
    """What of the inbox is looked at; all of it stands in the address, so that a list can be sent to a colleague."""

    menu: str | None = None
    step: str = ""
    school: int | None = None
    region: str = ""
    late: bool = False
    # Most urgent first, or one of `SORTS`.
    sort: str = ""
    # The token of a search by name or number, and what it stands for.
    search: str = ""
    text: str = ""

    @classmethod
    def asked(cls) -> Listing:
        """The list that the present address names. Raises `SearchForgotten`."""
        search = request.args.get(PARAMETER, "")
        return cls.read(request.args, search=search, text=recalled_search(KIND).get("text", ""))

    @classmethod
    def read(cls, asked: MultiDict[str, str], *, search: str = "", text: str = "") -> Listing:
        """From an address or a form; what means nothing is left out."""
        region, sort = asked.get("region", ""), asked.get("sort", "")
        return cls(
            menu=asked.get("menu"),
            step=asked.get("step", ""),
            school=asked.get("school", type=an_id),
            region=region if divisions.exists(region) else "",
            late=bool(asked.get("late")),
            sort=sort if sort in SORTS else "",
            search=search,
            text=text,
        )

    @property
    def parameters(self) -> dict[str, Any]:
        """What leads back to this list."""
        named = {
            "menu": self.menu, "step": self.step, "school": self.school, "region": self.region,
            "late": "1" if self.late else "", "sort": self.sort, PARAMETER: self.search,
        }  # fmt: skip
        return {name: value for name, value in named.items() if value or (name == "menu" and value is not None)}

    @property
    def query(self) -> str:
        """The same, as the end of an address."""
        return f"?{urlencode(self.parameters, safe='/')}" if self.parameters else ""

    @property
    def is_narrowed(self) -> bool:
        """Whether anything but the menu and the order was chosen."""
        return bool(self.step or self.school or self.region or self.late or self.text)

    @property
    def order(self) -> str:
        return self.sort or "due"

    @property
    def where(self) -> Any:
        """The condition on the tasks' transfers. What is searched for is a number if it looks like one."""
        is_number = self.text.isascii() and any(character.isdigit() for character in self.text)
        name, number = ("", self.text) if is_number else (self.text, "")
        return transfers.waiting_where(Waiting(self.school, self.region, name, number))


@dataclass(frozen=True)
class Row:
    """One line of a list: a task, the transfer that it belongs to, and what became of it in a batch just now."""

    task: Task
    transfer: Transfer | None
    outcome: str = ""  # done, failed
    # What was decided, or why nothing was.
    detail: str = ""

    @property
    def own_school(self) -> int:
        """The school that the actor's side speaks for: what people count in a batch."""
        if self.transfer is None:
            return self.task.organisation_id
        receiving = self.task.side == "receiving"
        return self.transfer.receiving_school_id if receiving else self.transfer.releasing_school_id


@dataclass
class Batch:
    """The tasks of this page that can be done at once, since they have one form and their diagram allows it."""

    key: str
    act: tuple[Node, ...]
    form: tuple[Field, ...]
    tasks: list[int] = field(default_factory=list)
    # How many of the whole list it could be, on all pages.
    reach: int = 0

    @property
    def result(self) -> Field | None:
        return self.act[-1].bound("decision.result")

    @property
    def asks_first(self) -> bool:
        """Whether agreeing, too, needs more than a click."""
        return any(item.required and item is not self.result for item in self.form)


@blueprint.get("/inbox")
def page(error: XuejiError | None = None) -> ResponseReturnValue:
    """待办. Whoever has no inbox is told what their organisation was told."""
    actor = current_actor()
    if not may(actor, "work"):
        return redirect(url_for("notices.page"))
    listing = Listing.asked()
    with reading() as connection:
        steps, menus = open_steps(connection, actor), own_menus(connection, actor)
        waiting = inbox.waiting(
            connection,
            actor,
            menu=listing.menu,
            node=listing.step or None,
            late_at=now() if listing.late else None,
            where=listing.where,
            sort=listing.order,
            page=page_number(),
            size=PAGE_SIZE,
        )
        schools = _schools_to_choose(connection, actor)
        rows = _rows(connection, actor, waiting.tasks)
        bars = _batches(rows)
        for bar in bars if waiting.total > waiting.size else ():
            bar.reach = _reach(connection, actor, listing, bar)
        working = batches.working(connection, actor)
    return render_template(
        "inbox/page.html",
        listing=listing,
        menus=[menu for menu in menus if menu.open or menu.path == listing.menu],
        chosen=_chosen(menus, listing),
        steps=_steps_to_choose(steps, listing),
        late=sum(step.late for step in steps if listing.menu in (None, step.menu)),
        schools=schools,
        provinces=[(province.code, province.name) for province in divisions.children()],
        rows=rows,
        page=Page(rows, waiting.total, waiting.number, waiting.size),
        batches=bars,
        working=working,
        most=inbox.MOST_AT_ONCE,
        may_start=may(actor, "start_transfer"),
        error=error,
        entered=request.form,
        ticked=set(request.form.getlist("task")) | {str(row.task.id) for row in rows if row.outcome == "failed"},
    )


@blueprint.post("/inbox/filter")
@requires("work")
def narrow() -> ResponseReturnValue:
    """Narrow the list. It is posted, since a name or number may not stand in the address."""
    parameters = Listing.read(request.form).parameters
    parameters.update(posted_search(KIND, ("text",)))
    return redirect(url_for(".page", **parameters), 303)


@blueprint.post("/inbox/batch")
@requires("work")
@shown_again_by(page)
def decide_many() -> ResponseReturnValue:
    """Decide the ticked tasks, each in its own transaction, and show in the list what became of each."""
    actor, listing = current_actor(), Listing.asked()
    task_ids = [int(text) for text in request.form.getlist("task") if text.isdecimal()]
    if "everything" in request.form:
        return _decide_everything(actor, listing, task_ids)
    outcomes = inbox.complete_many(database(), actor, task_ids, request.form, at=now())
    metrics.TASKS_COMPLETED.inc(sum(outcome.error is None for outcome in outcomes))
    with transaction() as connection:
        result = _result_of(inbox.some(connection, actor, task_ids[:1]))
        kept = {str(outcome.task_id): _told(outcome.error, result) for outcome in outcomes}
        token = searches.keep(connection, actor, BATCH, kept, at=now())
    _tell(outcomes)
    return redirect(url_for(".page", **listing.parameters, batch=token), 303)


def _decide_everything(actor: Actor, listing: Listing, task_ids: Sequence[int]) -> ResponseReturnValue:
    """Decide what is like the ticked tasks on all pages of the list; that takes its time, so in the background."""
    with transaction() as connection:
        ticked = inbox.some(connection, actor, task_ids[:1])
        alike = _alike(connection, actor, listing, ticked[0].form) if ticked else []
        batch_id = batches.begin(connection, xueji().application.jobs, actor, alike, request.form, at=now())
    return redirect(url_for("batches.page", batch_id=batch_id, **listing.parameters), 303)


@blueprint.get("/inbox/done")
@requires("work")
def done() -> ResponseReturnValue:
    """已办: what the person has completed in this membership."""
    actor = current_actor()
    with reading() as connection:
        found = inbox.done(connection, actor, page=page_number(), size=PAGE_SIZE)
        rows = _with_transfers(connection, actor, found.tasks)
    return render_template("inbox/done.html", page=Page(rows, found.total, found.number, found.size))


@blueprint.get("/inbox/started")
@requires("work")
def started() -> ResponseReturnValue:
    """我发起的: the transfers that the person has started."""
    actor = current_actor()
    with reading() as connection:
        found = transfers.started_by(connection, actor, page=page_number(), size=PAGE_SIZE)
    page = Page(found.transfers, found.total, found.number, found.size)
    return render_template("inbox/started.html", page=page, may_start=may(actor, "start_transfer"))


# Rows


def _rows(connection: Connection, actor: Actor, tasks: Sequence[Task]) -> list[Row]:
    """The tasks of a page, after those of the batch that was decided just now."""
    outcomes = _recalled_batch(connection, actor)
    decided = inbox.some(connection, actor, list(outcomes)) if outcomes else []
    rest = [task for task in tasks if task.id not in outcomes]
    rows = _with_transfers(connection, actor, [*decided, *rest])
    return [Row(row.task, row.transfer, *outcomes[row.task.id]) if row.task.id in outcomes else row for row in rows]


def _with_transfers(connection: Connection, actor: Actor, tasks: Sequence[Task]) -> list[Row]:
    known = transfers.summaries(connection, actor, [task.case_id for task in tasks])
    return [Row(task, known.get(task.case_id)) for task in tasks]


def _reach(connection: Connection, actor: Actor, listing: Listing, bar: Batch) -> int:
    """How many of the whole list could be decided with those of a bar."""
    if listing.where is not None:
        return len(_alike(connection, actor, listing, bar.form))
    steps = inbox.alike(open_steps(connection, actor), bar.form)
    listed = [step for step in steps if listing.menu in (None, step.menu) and listing.step in ("", step.node.id)]
    return min(sum(step.late if listing.late else step.open for step in listed), inbox.MOST_AT_ONCE)


def _alike(connection: Connection, actor: Actor, listing: Listing, form: tuple[Field, ...]) -> list[int]:
    return inbox.waiting_alike(
        connection,
        actor,
        inbox.alike(open_steps(connection, actor), form),
        menu=listing.menu,
        node=listing.step or None,
        late_at=now() if listing.late else None,
        where=listing.where,
        sort=listing.order,
    )


def _batches(rows: Sequence[Row]) -> list[Batch]:
    found: dict[tuple[Field, ...], Batch] = {}
    for row in rows:
        task = row.task
        if task.batch and task.state == "open":
            batch = found.setdefault(task.form, Batch(f"batch-{len(found) + 1}", task.act, task.form))
            batch.tasks.append(task.id)
    return list(found.values())


# What became of a batch, kept beside the searches: it is the list's own state, and nobody else's business.


def _result_of(tasks: Sequence[Task]) -> str:
    """What the batch's form decides; its tasks have one form."""
    asked = tasks[0].act[-1].bound("decision.result") if tasks else None
    return request.form.get(asked.id, "") if asked else ""


def _told(error: XuejiError | None, result: str) -> list[str]:
    return ["done", result] if error is None else ["failed", why(error)]


def why(error: XuejiError) -> str:
    """Why one of several tasks could not be done, in words for its row."""
    if error.code == AlreadyDone.code:
        at = moment_in_words(datetime.fromisoformat(str(error.values["at"])))
        return str(_("%(person)s has already done this on %(at)s.", person=error.values["person"], at=at))
    return " ".join(filter(None, (message_of(error), remedy_of(error))))


def _recalled_batch(connection: Connection, actor: Actor) -> Mapping[int, Sequence[str]]:
    token = request.args.get(BATCH)
    if not token or page_number() > 1:
        return {}
    try:
        kept = searches.kept(connection, actor, BATCH, token)
    except SearchForgotten:
        # A colleague's link, or an old one: the list itself is still good.
        return {}
    return {int(task_id): outcome for task_id, outcome in kept.items()}


def _tell(outcomes: Sequence[Outcome]) -> None:
    failed = sum(outcome.error is not None for outcome in outcomes)
    if completed := len(outcomes) - failed:
        flash(ngettext("%(num)d task has been done.", "%(num)d tasks have been done.", completed))
    if failed:
        flash(
            ngettext(
                "%(num)d task could not be done. The reason stands in its row.",
                "%(num)d tasks could not be done. The reason stands in each row.",
                failed,
            ),
            "warning",
        )


# What can be chosen


def _chosen(menus: Sequence[Menu], listing: Listing) -> Menu | None:
    """The menu of the address, also one that is nobody's any more."""
    if listing.menu is None:
        return None
    return next((menu for menu in menus if menu.path == listing.menu), Menu(listing.menu, listing.menu, 0, 0))


def _steps_to_choose(steps: Sequence[Step], listing: Listing) -> list[Step]:
    """One entry for each step under the menu, whichever version it is of; none where there is no choice."""
    found = {step.node.id: step for step in reversed(steps) if listing.menu in (None, step.menu)}
    return list(found.values()) if len(found) > 1 or listing.step else []


def _schools_to_choose(connection: Connection, actor: Actor) -> list[tuple[int, str]]:
    """The schools that the actor's organisation is in charge of; none where that is no choice."""
    assert actor.organisation_id is not None
    below = [] if actor.is_school else organisations.children(connection, actor.organisation_id)
    found = [(school.id, own_name(school.name, school.name_en)) for school in below if school.is_school]
    return found if len(found) > 1 else []
