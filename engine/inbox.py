"""Human tasks: what waits for whom, and completing it, alone or many at once.

A task row names an organisation and a duty; permission is membership in both. Manual steps are confirmed together with
the step that they prepare (`Pool.act`), each with its own row and audit entry.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from engine import cases, procedures
from engine.accounts import person
from engine.audit import Actor
from engine.bpmn import forms
from engine.bpmn.graph import Field, Node
from engine.bpmn.runtime import Opened
from engine.cases import AlreadyDone, Gone, Locked, case, task, visible
from engine.db import Database
from engine.errors import N_, Forbidden, Invalid, NotFound, XuejiError
from engine.keyset import Order, Place
from engine.prepared import Prepared, among
from engine.procedures import Version
from engine.registry.tables import organisation

log = logging.getLogger(__name__)

PAGE = 20
# Counting stops here: beyond it a list says 10,000+.
COUNTED = 10_000
MOST_AT_ONCE = 1_000


class NotYours(Forbidden):
    """A task of the actor's own jurisdiction, but of another organisation or duty."""

    code = "not_yours"
    message = N_("This step belongs to another organisation or duty.")


class NotAlike(Invalid):
    """A batch over several steps or forms."""

    code = "not_alike"
    message = N_("Only tasks of the same step can be decided at once.")
    remedy = N_("Choose tasks of one step.")


class NoBatch(Invalid):
    """A batch of a step that its diagram does not allow in batches."""

    code = "no_batch"
    message = N_("This step is decided one by one.")


class Unfinished(XuejiError):
    """One task of a batch that failed for a technical reason, which must not hold up the others."""

    status = 500
    code = "unfinished"
    message = N_("This one could not be completed for a technical reason. It stands as before.")
    remedy = N_("Try it again; if it stays, tell your administrator.")


@dataclass(frozen=True)
class Quote:
    """A sentence that a step rests on, and how sure it is that the step stands in it."""

    clause: str
    text: str
    basis: str


@dataclass(frozen=True)
class Task:
    """One row of the inbox."""

    id: int
    case_id: int
    side: str | None
    node: Node
    version: Version
    menu: str
    party: str
    organisation_id: int
    duty: str
    state: str
    opened_at: datetime
    due_at: datetime | None
    due_provisional: bool
    closed_at: datetime | None
    person_id: int | None
    result: str | None
    opinion: str | None
    values: dict[str, Any] | None

    @property
    def act(self) -> tuple[Node, ...]:
        """The steps that are done together with this one."""
        return self.version.pool(self.side).act(self.node.id)

    @property
    def form(self) -> tuple[Field, ...]:
        """The fields of the whole act: those of a manual step's confirmation first."""
        return act_form(self.act)

    @property
    def batch(self) -> bool:
        """Whether several may be done at once: where every step of the act says so, manual ones as their step."""
        return self.act[-1].batch

    @property
    def decides(self) -> bool:
        return self.act[-1].bound("decision.result") is not None

    @property
    def quotes(self) -> list[Quote]:
        """What the document says of the act."""
        return quotes(self.version, self.act)


def quotes(version: Version, nodes: Sequence[Node]) -> list[Quote]:
    """What the document says of these steps, each sentence once, by the step that it is said of most plainly."""
    found: dict[str, Quote] = {}
    for node in nodes:
        for sentence in version.quote(node):
            if sentence.text not in found or node.basis == "text":
                found[sentence.text] = Quote(sentence.clause, sentence.text, node.basis)
    return list(found.values())


def confirmation(node: Node) -> tuple[Field, Field]:
    """What a manual step asks: when it was done, and how."""
    return (
        Field(f"{node.id}__on", "完成日期", {"label.en": "Done on"}, type="date", required=True),
        Field(f"{node.id}__how", "办理方式", {"label.en": "How it was done", "multiline": "true"}, max_length=200),
    )


def act_form(nodes: Sequence[Node]) -> tuple[Field, ...]:
    """The fields of an act in its order."""
    fields: list[Field] = []
    for node in nodes:
        fields += confirmation(node) if node.kind == "manualTask" else node.form
    return tuple(fields)


# Listing ---------------------------------------------------------------------------------------------------------


def mine(actor: Actor) -> sa.ColumnElement[bool]:
    """The condition that a task waits for the actor: organisation and duty."""
    return _waits_for(actor.organisation_id, actor.duty)


def _waits_for(organisation_id: Any, duty: Any) -> sa.ColumnElement[bool]:
    return sa.and_(task.c.state == "open", task.c.organisation_id == organisation_id, task.c.duty == duty)


# The same in statements that are prepared.
_MINE = _waits_for(sa.bindparam("whose"), sa.bindparam("of_duty"))


def _whose(actor: Actor) -> dict[str, Any]:
    return {"whose": actor.organisation_id, "of_duty": actor.duty}


@dataclass(frozen=True)
class Step:
    """A kind of task in the actor's inbox: the element, how many wait there, and how many of them are late."""

    version: Version
    side: str | None
    node: Node
    menu: str
    open: int
    late: int

    @property
    def act(self) -> tuple[Node, ...]:
        """The steps that are done together with this one."""
        return self.version.pool(self.side).act(self.node.id)


def steps(connection: Connection, actor: Actor, *, at: datetime) -> list[Step]:
    """The steps in which something waits for the actor, most first. A step of two versions counts as two."""
    found = []
    for row in _STEPS.rows(connection, _whose(actor) | {"at": at}):
        version = procedures.load(connection, row.version_id)
        found.append(Step(version, row.side, version.node(row.side, row.node), row.menu, row.waiting, row.late))
    return found


_waiting_there = sa.func.count().label("waiting")
_STEPS = Prepared(
    sa.select(
        *task.c["version_id", "side", "node", "menu"],
        _waiting_there,
        sa.func.count(sa.case((task.c.due_at <= sa.bindparam("at"), 1))).label("late"),
    )
    .where(_MINE)
    .group_by(*task.c["version_id", "side", "node", "menu"])
    .order_by(_waiting_there.desc(), task.c.node, task.c.version_id)
)


@dataclass(frozen=True)
class Menu:
    """One entry of the regime's own menu, with how many tasks wait under it and how many of them are late."""

    path: str
    path_en: str
    open: int
    late: int


def menus(waiting: Sequence[Step], standing: Sequence[Node] = ()) -> list[Menu]:
    """The menus of the steps in which something waits, after those of the `standing` steps, which may be empty."""
    nodes = [*standing, *(step.node for step in waiting)]
    english = {node.menu("zh"): node.menu("en") for node in reversed(nodes)}
    found = []
    for path in dict.fromkeys(node.menu("zh") for node in nodes):
        under = [step for step in waiting if step.menu == path]
        found.append(Menu(path, english[path], sum(step.open for step in under), sum(step.late for step in under)))
    return found


def duties_of(connection: Connection, actor: Actor, versions: Sequence[Version]) -> list[Node]:
    """The human steps of these versions that fall to the actor's organisation and duty, in the order of the case.

    An authority without schools of its own has none: nothing will ever wait for it.
    """
    if not actor.is_school and not _in_charge(connection, actor):
        return []
    kind = "school" if actor.is_school else "authority"
    return [
        node
        for version in versions
        for pool in version.graph.executable
        for node in pool.nodes
        if node.is_human and node.duty == actor.duty and pool.party(node.id) == f"{pool.side}_{kind}"
    ]


def _in_charge(connection: Connection, actor: Actor) -> bool:
    return bool(_SCHOOL_BELOW.rows(connection, {"whose": actor.organisation_id}))


_SCHOOL_BELOW = Prepared(
    sa.select(organisation.c.id)
    .where(organisation.c.parent_id == sa.bindparam("whose"), organisation.c.level == "school")
    .limit(1)
)


SORTS = {
    "due": Order((task.c.due_at, task.c.id)),
    "arrived": Order((task.c.opened_at, task.c.id)),
    "latest": Order((task.c.opened_at, task.c.id), downwards=True),
    "closed": Order((task.c.closed_at, task.c.id), downwards=True),
}


@dataclass(frozen=True)
class Page:
    """One page of a list. `total` is exact up to `COUNTED` and that number plus one beyond it."""

    tasks: list[Task]
    total: int
    number: int
    size: int


def waiting(
    connection: Connection,
    actor: Actor,
    *,
    menu: str | None = None,
    node: str | None = None,
    late_at: datetime | None = None,
    where: sa.ColumnElement[bool] | None = None,
    sort: str = "due",
    page: int = 1,
    size: int = PAGE,
) -> Page:
    """待办: the tasks that wait for the actor. `where` narrows them by what a room above knows of their cases."""
    return _page(connection, _waiting(actor, menu, node, late_at, where), sort, page, size)


def waiting_after(
    connection: Connection,
    actor: Actor,
    *,
    menu: str | None = None,
    node: str | None = None,
    late_at: datetime | None = None,
    where: sa.ColumnElement[bool] | None = None,
    sort: str = "due",
    after: Place | None = None,
    size: int = PAGE,
) -> list[Task]:
    """The same list from a place in it on, for readers who want no total."""
    return _from(connection, _waiting(actor, menu, node, late_at, where), sort, after, size)


def waiting_alike(
    connection: Connection,
    actor: Actor,
    alike: Sequence[Step],
    *,
    menu: str | None = None,
    node: str | None = None,
    late_at: datetime | None = None,
    where: sa.ColumnElement[bool] | None = None,
    sort: str = "due",
) -> list[int]:
    """What of the list is in one of these steps: the ids, in its order, at most `MOST_AT_ONCE`."""
    of_step = (
        sa.and_(task.c.version_id == step.version.id, task.c.side == step.side, task.c.node == step.node.id)
        for step in alike
    )
    conditions = [*_waiting(actor, menu, node, late_at, where), sa.or_(sa.false(), *of_step)]
    order = SORTS[sort].by
    return list(connection.scalars(sa.select(task.c.id).where(*conditions).order_by(*order).limit(MOST_AT_ONCE)))


def alike(waiting: Sequence[Step], form: tuple[Field, ...]) -> list[Step]:
    """The steps that have this form and may be decided at once."""
    return [step for step in waiting if step.act[-1].batch and act_form(step.act) == form]


def waiting_of(connection: Connection, actor: Actor, case_id: int) -> list[Task]:
    """What of one case waits for the actor, in the order in which it opened."""
    return [_task(connection, row) for row in _WAITING_OF.rows(connection, _whose(actor) | {"of_case": case_id})]


_WAITING_OF = Prepared(sa.select(task).where(task.c.case_id == sa.bindparam("of_case"), _MINE).order_by(task.c.id))


def _waiting(
    actor: Actor,
    menu: str | None,
    node: str | None,
    late_at: datetime | None,
    where: sa.ColumnElement[bool] | None,
) -> list[sa.ColumnElement[bool]]:
    conditions = [mine(actor)]
    if menu is not None:
        conditions.append(task.c.menu == menu)
    if node is not None:
        conditions.append(task.c.node == node)
    if late_at is not None:
        conditions.append(task.c.due_at <= late_at)
    if where is not None:
        conditions.append(where)
    return conditions


def done(connection: Connection, actor: Actor, *, page: int = 1, size: int = PAGE) -> Page:
    """已办: what the person has completed in this membership, newest first; of an act of several steps the last."""
    return _page(connection, _done(actor), "closed", page, size)


def done_after(connection: Connection, actor: Actor, *, after: Place | None = None, size: int = PAGE) -> list[Task]:
    """The same list from a place in it on."""
    return _from(connection, _done(actor), "closed", after, size)


def _done(actor: Actor) -> list[sa.ColumnElement[bool]]:
    later = task.alias("later")
    prepared = sa.exists().where(
        later.c.case_id == task.c.case_id,
        later.c.person_id == task.c.person_id,
        later.c.closed_at == task.c.closed_at,
        later.c.id > task.c.id,
    )
    return [
        ~prepared,
        task.c.person_id == actor.person_id,
        task.c.organisation_id == actor.organisation_id,
        task.c.duty == actor.duty,
        task.c.state == "done",
    ]


def _page(connection: Connection, conditions: list[sa.ColumnElement[bool]], sort: str, page: int, size: int) -> Page:
    counted = sa.select(task.c.id).where(*conditions).limit(COUNTED + 1).subquery()
    total = connection.scalar(sa.select(sa.func.count()).select_from(counted)) or 0
    rows = connection.execute(
        sa.select(task).where(*conditions).order_by(*SORTS[sort].by).limit(size).offset((max(page, 1) - 1) * size)
    )
    return Page([_task(connection, row) for row in rows], total, max(page, 1), size)


def _from(
    connection: Connection, conditions: list[sa.ColumnElement[bool]], sort: str, after: Place | None, size: int
) -> list[Task]:
    order = SORTS[sort]
    if after is not None:
        conditions.append(order.after(after))
    rows = connection.execute(sa.select(task).where(*conditions).order_by(*order.by).limit(size))
    return [_task(connection, row) for row in rows]


def _task(connection: Connection, row: Any) -> Task:
    version = procedures.load(connection, row.version_id)
    return Task(
        row.id, row.case_id, row.side, version.node(row.side, row.node), version, row.menu, row.party,
        row.organisation_id, row.duty, row.state, row.opened_at, row.due_at, row.due_provisional, row.closed_at,
        row.person_id, row.result, row.opinion, row.values,
    )  # fmt: skip


def get(connection: Connection, actor: Actor, task_id: int) -> Task:
    """A task of the actor's own organisation, whatever its duty and state. Raises `NotFound`."""
    row = connection.execute(
        sa.select(task).where(task.c.id == task_id, task.c.organisation_id == actor.organisation_id)
    ).one_or_none()
    if row is None:
        raise NotFound
    return _task(connection, row)


def some(connection: Connection, actor: Actor, task_ids: Sequence[int]) -> list[Task]:
    """Those of these tasks that belong to the actor's organisation, in the order given, whatever became of them."""
    rows = connection.execute(
        sa.select(task).where(task.c.id.in_(task_ids), task.c.organisation_id == actor.organisation_id)
    )
    found = {row.id: _task(connection, row) for row in rows}
    return [found[task_id] for task_id in task_ids if task_id in found]


def of_case(connection: Connection, case_id: int) -> list[Task]:
    """Every task of a case in the order in which they opened. Who may see what of them is asked by the caller."""
    rows = connection.execute(sa.select(task).where(task.c.case_id == case_id).order_by(task.c.id))
    return [_task(connection, row) for row in rows]


def next_alike(
    connection: Connection,
    actor: Actor,
    like: Task,
    *,
    where: sa.ColumnElement[bool] | None = None,
    sort: str = "due",
) -> int | None:
    """The actor's next open task of the same step, in the order of the list that the actor works through."""
    conditions = [mine(actor), task.c.node == like.node.id, task.c.menu == like.menu, task.c.id != like.id]
    if where is not None:
        conditions.append(where)
    return connection.scalar(sa.select(task.c.id).where(*conditions).order_by(*SORTS[sort].by).limit(1))


# Completing ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Holder:
    """Who has a case now."""

    organisation_id: int
    name: str
    name_en: str | None
    step: Node
    due_at: datetime | None
    # The open task, and for whom in the organisation it is.
    task_id: int
    duty: str


@dataclass(frozen=True)
class Completion:
    """What became of a case when a task was completed."""

    case_id: int
    revision: int
    outcome: str | None
    holders: tuple[Holder, ...]


def complete(
    connection: Connection,
    actor: Actor,
    task_id: int,
    entered: Mapping[str, Any],
    *,
    revision: int | None = None,
    at: datetime,
) -> int:
    """Complete a task, together with the step that it prepares. Answers its case's id.

    With a `revision`, only if the case has not gone on since the actor read it. Raises `NotFound` outside the actor's
    jurisdiction, `NotYours` for another desk's task, `AlreadyDone` if somebody was faster, `Gone` if the case went
    another way, `Stale`, `Invalid` for what the form refuses.
    """
    locked, row = cases.lock_by_task(connection, actor, task_id, at=at)
    _permit(connection, actor, row)
    _refuse_closed(connection, row)
    locked.require_revision(revision)
    version = procedures.load(connection, row.version_id)
    pool = version.pool(row.side)
    act = pool.act(row.node)
    values = forms.check(act_form(act), entered)
    _complete_act(locked, row, act, values)
    locked.save()
    return locked.id


def _complete_act(locked: Locked, row: Any, act: Sequence[Node], values: Mapping[str, Any]) -> None:
    task_id: int | None = row.task_id
    opened = Opened(row.key, row.node)
    for node in act:
        now_open = complete_node(locked, row.side, opened, node, values, task_id)
        if node is not act[-1]:
            # The step that this one prepared was opened by it, in the same transaction.
            opened = next(item for item in now_open if item.node == act[act.index(node) + 1].id)
            task_id = None


def complete_node(
    locked: Locked, side: str | None, opened: Opened, node: Node, values: Mapping[str, Any], task_id: int | None
) -> list[Opened]:
    """Complete one step of an act with its part of the act's values."""
    own = {item.id: values[item.id] for item in act_form((node,)) if item.id in values}
    result, opinion = node.bound("decision.result"), node.bound("decision.opinion")
    return locked.complete(
        side,
        opened,
        forms.process_variables(node.form, own),
        own,
        task_id=task_id,
        result=own.get(result.id) if result else None,
        opinion=own.get(opinion.id) if opinion else None,
    )


def _permit(connection: Connection, actor: Actor, row: Any) -> None:
    if row.organisation_id == actor.organisation_id and row.duty == actor.duty:
        return
    if connection.scalar(sa.select(sa.literal(1)).where(visible(actor, sa.literal(row.case_id)))) is None:
        raise NotFound
    raise NotYours


def _refuse_closed(connection: Connection, row: Any) -> None:
    if row.task_state == "done":
        name = connection.scalar(sa.select(person.c.name).where(person.c.id == row.person_id))
        raise AlreadyDone(person=name, at=row.closed_at, result=row.result)
    if row.task_state != "open" or row.case_state != "open":
        raise Gone


_HOLDING = (
    task.c.case_id, task.c.organisation_id, organisation.c.name, organisation.c.name_en, task.c.version_id,
    task.c.side, task.c.node, task.c.due_at, task.c.id.label("task_id"), task.c.duty,
)  # fmt: skip
# One round trip, since it ends every completion.
_COMPLETION = Prepared(
    sa.select(cases.revision_of(case.c.id).label("revision"), case.c.outcome, *_HOLDING)
    .select_from(
        case.outerjoin(task, sa.and_(task.c.case_id == case.c.id, task.c.state == "open")).outerjoin(
            organisation, task.c.organisation_id == organisation.c.id
        )
    )
    .where(case.c.id == sa.bindparam("of_case"))
    .order_by(task.c.id)
)


def completion(connection: Connection, case_id: int, *, last: bool = False) -> Completion:
    """What became of a case: its outcome, or who has it now. It may be the `last` question of its transaction."""
    rows = _COMPLETION.rows(connection, {"of_case": case_id}, last=last)
    held = tuple(_holder(connection, row) for row in rows if row.case_id is not None)
    return Completion(case_id, rows[0].revision, rows[0].outcome, held)


def holders(connection: Connection, case_ids: Sequence[int]) -> dict[int, list[Holder]]:
    """当前处理单位: who has each case, in which step, until when."""
    found: dict[int, list[Holder]] = {}
    for row in _HOLDERS.rows(connection, {"case_ids": case_ids}):
        found.setdefault(row.case_id, []).append(_holder(connection, row))
    return found


_HOLDERS = Prepared(
    sa.select(*_HOLDING)
    .join(organisation, task.c.organisation_id == organisation.c.id)
    .where(among(task.c.case_id, "case_ids"), task.c.state == "open")
    .order_by(task.c.id)
)


def _holder(connection: Connection, row: Any) -> Holder:
    node = procedures.load(connection, row.version_id).node(row.side, row.node)
    return Holder(row.organisation_id, row.name, row.name_en, node, row.due_at, row.task_id, row.duty)


@dataclass(frozen=True)
class Outcome:
    """What became of one task of a batch: its case, or the error that left it where it was."""

    task_id: int
    case_id: int | None
    error: XuejiError | None = None


def complete_many(
    database: Database, actor: Actor, task_ids: Sequence[int], entered: Mapping[str, Any], *, at: datetime
) -> list[Outcome]:
    """Complete several tasks of one step with the same entries, each case in its own transaction.

    Raises `NotAlike`, `NoBatch` or `Invalid` before anything is done; afterwards each task has its own outcome.
    """
    with database.reading() as connection:
        check_batch(connection, actor, task_ids, entered)
    return [_complete_one(database, actor, task_id, entered, at) for task_id in task_ids]


def check_batch(
    connection: Connection, actor: Actor, task_ids: Sequence[int], entered: Mapping[str, Any]
) -> tuple[forms.Values, str | None]:
    """What must hold of a batch as a whole: tasks of one form, which its diagram allows in batches, filled in well.

    Answers the form's values, and the decision among them. Raises `NotAlike`, `NoBatch`, `Invalid`, `NotFound` where
    none of the tasks is the actor's organisation's.
    """
    if not task_ids or len(task_ids) > MOST_AT_ONCE:
        raise Invalid(N_("Choose between 1 and %(most)s tasks."), most=MOST_AT_ONCE)
    columns = task.c
    rows = connection.execute(
        sa.select(columns.version_id, columns.side, columns.node)
        .where(columns.id.in_(task_ids), columns.organisation_id == actor.organisation_id)
        .distinct()
    ).all()
    if not rows:
        raise NotFound
    acts = [procedures.load(connection, row.version_id).pool(row.side).act(row.node) for row in rows]
    if len({act_form(act) for act in acts}) > 1:
        raise NotAlike
    if not all(act[-1].batch for act in acts):
        raise NoBatch
    values = forms.check(act_form(acts[0]), entered)
    result = acts[0][-1].bound("decision.result")
    return values, values.get(result.id) if result else None


def _complete_one(database: Database, actor: Actor, task_id: int, entered: Mapping[str, Any], at: datetime) -> Outcome:
    try:
        with database.transaction() as connection:
            return Outcome(task_id, complete(connection, actor, task_id, entered, at=at))
    except XuejiError as error:
        return Outcome(task_id, None, error)
    except Exception as error:
        log.error("task %s of a batch failed", task_id, exc_info=error)
        return Outcome(task_id, None, Unfinished())
