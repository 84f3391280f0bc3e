"""Human tasks completed in process by one client: on the plain pool, and on whole transfers of two pools."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from engine import cases, inbox, transfers
from engine.application import Application
from engine.audit import Actor
from engine.bench.floor import Floor
from engine.bench.measuring import Result, Stopwatch, in_turn
from engine.bench.twin import Twin, differing
from engine.bench.world import RECEIVING, RELEASING, World, name_of, number_of
from engine.bpmn.graph import Field
from engine.cases import instance, task
from engine.errors import XuejiError
from engine.procedures import Version

# The start event's ten values, and each task's two.
STARTED_WITH: dict[str, Any] = {
    "student_name": "测速生", "student_no": 1, "grade": 3, "class_no": 1, "from_school": "测速一小",
    "to_school": "测速二小", "reason": "随父母工作调动", "apply_date": "2026-09-01", "guardian_phone": "0551-0000000",
    "score_avg": "91.5",
}  # fmt: skip
COMPLETED_WITH = {"decision": "agree", "by": "bench"}
STEPS = 8


def measure_plain(application: Application, version: Version, actor: Actor, *, rounds: int, warm_up: int) -> Result:
    """Start a case, then eight times find its open task and complete it; beside it the floor, case by case."""
    database, watch, sizes = application.database, Stopwatch(), Sizes(application)

    def ours() -> None:
        at = application.clock()
        with database.transaction() as connection:
            case_id = cases.start_plain(connection, actor, version, STARTED_WITH, at=at)
        for _ in range(STEPS):
            sizes.look(case_id)
            with watch.lap():
                with database.reading() as connection:
                    [found] = inbox.waiting_of(connection, actor, case_id)
                with database.transaction() as connection:
                    inbox.complete(connection, actor, found.id, COMPLETED_WITH, at=at)

    floor = Floor(database, version.id, actor.organisation_id or 0)
    result = _measured("plain", application, ours, lambda: floor.case(STEPS), watch, sizes, rounds, warm_up)
    floor.close()
    return result


def measure_transfers(
    application: Application, other: Application, world: World, *, rounds: int, warm_up: int
) -> Result:
    """Whole transfers from the national procedure to Anhui's; each part in the inbox of whoever does it.

    `other` has the same world; its database takes the floor. Raises `XuejiError` if both do not end up alike.
    """
    database, watch, sizes = application.database, Stopwatch(), Sizes(application)
    serials = iter(range(rounds + warm_up))
    turns: list[Actor] = []

    def ours() -> None:
        case_id = start_transfer(application, world, next(serials))
        for actor in turns or _learned(turns, application, world, case_id):
            sizes.look(case_id)
            with watch.lap():
                at = application.clock()
                with database.reading() as connection:
                    [found] = inbox.waiting_of(connection, actor, case_id)
                with database.transaction() as connection:
                    inbox.complete(connection, actor, found.id, answers(found, at), at=at)

    twin = Twin(other.database)
    with twin.listening(application):
        result = _measured("transfer", application, ours, twin.replay, watch, sizes, rounds, warm_up)
    twin.close()
    with database.reading() as connection:
        if connection.scalar(sa.select(sa.func.count()).where(task.c.state == "open")):
            raise XuejiError("Not every transfer came to its end.")
    if differ := differing(database, other.database):
        raise XuejiError(f"The floor wrote other rows than ours: {differ}")
    return result


class Sizes:
    """How many bytes the engine keeps for a running pool, looked at in one round and not while time is taken."""

    def __init__(self, application: Application) -> None:
        self._database = application.database
        self.looking = True
        self.seen: list[int] = []

    def look(self, case_id: int) -> None:
        if self.looking:
            size = sa.func.length(instance.c.state)
            with self._database.reading() as connection:
                found = sa.select(size).where(instance.c.case_id == case_id, ~instance.c.ended, size > 0)
                self.seen += connection.scalars(found)


def _measured(
    work: str, application: Application, ours: Callable[[], None], floor: Callable[[], None], watch: Stopwatch,
    sizes: Sizes, rounds: int, warm_up: int,
) -> Result:  # fmt: skip
    for _ in range(warm_up):
        ours()
        floor()
    sizes.looking = False
    watch.seconds.clear()
    one, other = in_turn(ours, floor, rounds)
    steps = len(watch.seconds) // rounds
    return Result(
        work, application.database.url.get_backend_name(), 1, rounds, steps / one, watch.percentile_ms(0.5),
        watch.percentile_ms(0.95), steps / other, other / one, max(sizes.seen),
    )  # fmt: skip


# Transfers -------------------------------------------------------------------------------------------------------


def start_transfer(application: Application, world: World, serial: int) -> int:
    """Let the receiving school apply for one child. Answers the case's id."""
    at = application.clock()
    actor = world.schools[RECEIVING[0]].actors["operator"]
    with application.database.reading() as connection:
        form = transfers.prepare(connection, actor, RELEASING[0], at=at)
    entered = {item.id: _entered(item, world, serial, at) for item in form.form}
    return transfers.apply(application.database, actor, RELEASING[0], entered, at=at, per_hour=10**9)


def _entered(item: Field, world: World, serial: int, at: datetime) -> str:
    bound = {
        "origin.province": RELEASING[0], "origin.division": RELEASING[0],
        "origin.school": str(world.schools[RELEASING[0]].id), "origin.grade": "13",
        "origin.class": str(world.classes[RELEASING[0]]), "student.name": name_of(serial),
        "student.record_number": f"G{number_of(serial)}", "target.school": str(world.schools[RECEIVING[0]].id),
        "target.grade": "13", "target.class": str(world.classes[RECEIVING[0]]),
        "transfer.reason": "随父母工作调动", "transfer.date": f"{at:%Y-%m-%d}",
    }  # fmt: skip
    return bound.get(item.binds, "") if item.binds else _confirmed(item, at)


def answers(asked: inbox.Task, at: datetime) -> dict[str, str]:
    """Agree to whatever is asked."""
    decided = {"decision.result": "agree", "decision.opinion": "同意"}
    return {item.id: decided.get(item.binds, "") or _confirmed(item, at) for item in asked.form}


def _confirmed(item: Field, at: datetime) -> str:
    return f"{at:%Y-%m-%d}" if item.type == "date" else "电话"


def _learned(turns: list[Actor], application: Application, world: World, case_id: int) -> Iterator[Actor]:
    """Whose turn it is until the case ends. All transfers here take the same way, so that later ones need not ask."""
    whose = sa.select(task.c.organisation_id, task.c.duty).where(task.c.case_id == case_id, task.c.state == "open")
    while True:
        with application.database.reading() as connection:
            found = connection.execute(whose).one_or_none()
        if found is None:
            return
        actor = world.actor(*found)
        turns.append(actor)
        yield actor
