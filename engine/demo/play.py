"""The transfers of the demo world, played by the engine itself on a clock that is turned through the past weeks.

`transfers.csv` says of each from which school to which, how many working days ago it was started, how many its people
let pass between two steps, and where it stands today. Which steps there are, who does them and what they fill in is
read from the tasks that open, as everywhere.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, time, timedelta
from heapq import heappop, heappush
from random import Random

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from engine import cases, inbox, transfers
from engine.audit import Actor
from engine.bpmn.catalogue import AGREE, REFUSE
from engine.bpmn.graph import Field
from engine.demo.tables import file, rows, texts
from engine.demo.world import Pupil, World
from engine.registry import classes
from engine.registry.organisations import Organisation
from engine.registry.tables import electronic_record, record_part, student
from engine.transfers import applications
from engine.workdays import SHANGHAI, Calendar, load

# The endings of `transfers.csv`; without one a transfer goes on until nobody has anything left to do. A draft and what
# the school declined never became one.
WAITS, REFUSED, WITHDRAWN, DRAFT, DECLINED = "waits", "refused", "withdrawn", "draft", "declined"
# What becomes of the student or the record after the application.
PROBLEM, DAMAGED = "problem", "damaged"
# Nobody is slowed down by the limit that keeps strangers from trying out numbers.
_LOOK_UPS = 10_000


@dataclass
class _Story:
    """One transfer: its row of the table, and how far it has come."""

    origin: str
    target: str
    # Working days: ago when it was started, and between two steps.
    started: int
    pace: int
    # The step at which it ends as `ending` says.
    node: str
    ending: str
    trouble: str
    steps: int = 0
    case_id: int | None = None


@dataclass
class _Stage:
    connection: Connection
    world: World
    random: Random
    calendar: Calendar
    now: datetime
    # How often each kind of words has been used: each in turn, so that all of them occur.
    _used: dict[str, int] = field(default_factory=dict)

    def words(self, kind: str) -> str:
        found = texts("texts", kind)
        self._used[kind] = self._used.get(kind, -1) + 1
        return found[self._used[kind] % len(found)] if found else ""

    def at(self, story: _Story) -> datetime:
        """When the story's next step is done; of two on one day the later one is later."""
        minutes = 50 * (story.steps % 9) + self.random.randrange(40)
        return moment(self.calendar, self.now, story.started - story.pace * story.steps) + timedelta(minutes=minutes)

    def somebody(self, organisation_id: int, duty: str) -> Actor:
        return self.random.choice(self.world.actors[organisation_id, duty])


def moment(calendar: Calendar, now: datetime, workdays_ago: int) -> datetime:
    """Half past eight on the n-th working day before today."""
    day = calendar.add(now.astimezone(SHANGHAI).date(), -workdays_ago)
    return datetime.combine(day, time(8, 30), SHANGHAI)


def perform(connection: Connection, world: World, random: Random, *, now: datetime) -> None:
    """Play every transfer of the table, all in the order of time, and what falls due between their steps."""
    stage = _Stage(connection, world, random, load(connection), now)
    agenda: list[tuple[datetime, int, _Story]] = []
    for place, row in enumerate(rows("transfers")):
        story = _story(row)
        heappush(agenda, (stage.at(story), place, story))
    midnight = agenda[0][0]
    while agenda:
        at, place, story = heappop(agenda)
        midnight = _sweep(stage, midnight, at)
        if _step(stage, story, at):
            story.steps += 1
            heappush(agenda, (stage.at(story), place, story))
    _sweep(stage, midnight, now)


def _story(row: dict[str, str]) -> _Story:
    return _Story(
        row["from"], row["to"], int(row["started"]), int(row["pace"]), row["node"], row["ending"], row["trouble"]
    )


def _sweep(stage: _Stage, since: datetime, until: datetime) -> datetime:
    """What the background work would have done by then. Everything falls due at midnight, so it is done once a day."""
    if since.astimezone(SHANGHAI).date() == until.astimezone(SHANGHAI).date():
        return since
    deadline = cases.deadline.c
    due = sa.select(deadline.id, deadline.at).where(deadline.state == "pending", deadline.at <= until)
    for row in stage.connection.execute(due.order_by(deadline.at, deadline.id)).all():
        cases.fire_deadline(stage.connection, row.id, at=row.at)
    cases.find_unstaffed(stage.connection, at=until)
    return until


# One step of one transfer ----------------------------------------------------------------------------------------


def _step(stage: _Stage, story: _Story, at: datetime) -> bool:
    """Do what is next. Whether something comes after it."""
    if story.case_id is None:
        return _begin(stage, story, at)
    waiting = [item for item in inbox.of_case(stage.connection, story.case_id) if item.state == "open"]
    if not waiting:
        return False
    [item] = waiting
    here = item.node.id == story.node
    if here and story.ending == WAITS:
        return False
    if here and story.ending == WITHDRAWN:
        actor = stage.somebody(stage.world.organisations[story.target].id, "operator")
        transfers.withdraw(stage.connection, actor, story.case_id, stage.words("withdrawal"), at=at)
        return False
    actor = stage.somebody(item.organisation_id, item.duty)
    cases.read_notices(stage.connection, actor, at=at)
    entered = _answers(stage, item, at, refuse=here and story.ending == REFUSED)
    inbox.complete(stage.connection, actor, item.id, entered, at=at)
    return True


def _answers(stage: _Stage, item: inbox.Task, at: datetime, *, refuse: bool) -> dict[str, str]:
    result = REFUSE if refuse else AGREE
    opinion = stage.words(f"{item.party}.{result}") if item.decides else ""
    return _fill_in(stage, item.form, {"decision.result": result, "decision.opinion": opinion}, at)


def _fill_in(stage: _Stage, form: Sequence[Field], bound: Mapping[str, str], at: datetime) -> dict[str, str]:
    """What somebody enters: bound fields by their binding, the days of confirmations, and words under a field's id."""
    today = _day(at)
    unbound = {item.id: today if item.type == "date" else stage.words(item.id) for item in form if not item.binds}
    return unbound | {item.id: bound.get(item.binds, "") for item in form if item.binds}


# The application -------------------------------------------------------------------------------------------------


def _begin(stage: _Stage, story: _Story, at: datetime) -> bool:
    """Enter the application of a student, or keep it as a draft. Whether a case has begun."""
    connection, world = stage.connection, stage.world
    origin, target = world.organisations[story.origin], world.organisations[story.target]
    assert origin.province_code is not None
    pupil, to_class = _choose(stage, story.origin, target.id)
    actor = stage.somebody(target.id, "operator")
    application = transfers.prepare(connection, actor, origin.province_code, at=at)
    bound = _known(origin, target, pupil, to_class) | {
        "transfer.date": _day(at),
        "transfer.reason": stage.words("reason"),
    }
    if story.ending in (DRAFT, DECLINED):
        _keep(stage, story, actor, application, bound, at)
        return False
    if application.field("transfer.proof"):
        bound["transfer.proof"] = transfers.attach(connection, actor, "居住证明.pdf", file("proof.pdf"), at=at)
    entered = _fill_in(stage, application.form, bound, at)
    values = applications.check(connection, application, entered, at=at)
    found = transfers.look_up(connection, actor, application, values, at=at, per_hour=_LOOK_UPS)
    story.case_id = transfers.start(connection, actor, application, values, found.found(), at=at)
    _make_trouble(stage, story, pupil)
    return True


def _known(origin: Organisation, target: Organisation, pupil: Pupil, to_class: int) -> dict[str, str]:
    """What the registry says, by the bindings of fields."""
    return {
        "student.name": pupil.name,
        "student.record_number": pupil.number,
        "student.gender": pupil.gender,
        "student.birth_date": pupil.birth_date.isoformat(),
        "origin.province": origin.province_code or "",
        "origin.division": origin.division_code or "",
        "origin.school": str(origin.id),
        "origin.grade": pupil.grade,
        "origin.class": str(pupil.class_id),
        "target.school": str(target.id),
        "target.grade": pupil.grade,
        "target.class": str(to_class),
    }


def _choose(stage: _Stage, origin: str, target_id: int) -> tuple[Pupil, int]:
    """A student of a grade in which the receiving school has a free place, and the class with the most of them."""
    grades = {found.grade.code: found for found in classes.vacancies(stage.connection, target_id) if found.free > 0}
    pupils = stage.world.pupils[origin]
    pupil = next(pupil for pupil in pupils if pupil.grade in grades)
    pupils.remove(pupil)
    return pupil, max(grades[pupil.grade].classes, key=lambda each: each.vacancies).id


def _keep(
    stage: _Stage,
    story: _Story,
    actor: Actor,
    application: transfers.Application,
    bound: dict[str, str],
    at: datetime,
) -> None:
    entered = _fill_in(stage, application.form, bound, at)
    uid = transfers.save_draft(stage.connection, actor, application.origin_province, entered, at=at)
    if story.ending == DECLINED:
        transfers.decline(stage.connection, actor, uid, stage.words("decline"), at=at + timedelta(minutes=5))


def _make_trouble(stage: _Stage, story: _Story, pupil: Pupil) -> None:
    """What goes wrong behind everybody's back: the engine has no operation for it, and meets it later."""
    if story.trouble == PROBLEM:
        stage.connection.execute(student.update().where(student.c.id == pupil.id).values(problem=True))
    elif story.trouble == DAMAGED:
        record = sa.select(electronic_record.c.id).where(electronic_record.c.student_id == pupil.id)
        part = sa.select(sa.func.max(record_part.c.id)).where(record_part.c.record_id.in_(record))
        stage.connection.execute(
            record_part.update().where(record_part.c.id == part.scalar_subquery()).values(content={"视力": 0})
        )


def _day(at: datetime) -> str:
    return at.astimezone(SHANGHAI).date().isoformat()
