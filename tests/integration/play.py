"""Plays transfers through the engine as the people of the test world would: fill in, decide, confirm."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import sqlalchemy as sa

from engine import cases, inbox, procedures, transfers
from engine.audit import SYSTEM, Actor
from engine.bpmn.graph import Field
from engine.db import Database
from engine.registry import students
from tests.integration.world import PLACES, World, id_number, name_of


def entries(world: World, origin: str, target: str, application: transfers.Application, serial: int) -> dict[str, Any]:
    """What somebody would enter into the application form of whichever regime, by what its fields are bound to."""
    place, to = world[origin], world[target]
    school, to_class = (to.other_school, to.other_class) if origin == target else (to.school, to.to_class)
    number = _number(origin, serial)
    by_binding = {
        "origin.province": origin,
        "origin.division": f"{origin[:2]}0000",
        "origin.school": str(place.school),
        "origin.grade": "13",
        "origin.class": str(place.to_class),
        "student.name": name_of(serial),
        "student.record_number": f"G{number}",
        "target.school": str(school),
        "target.grade": "13",
        "target.class": str(to_class),
        "transfer.reason": "随父母工作调动",
        "transfer.date": "2026-09-21",
    }
    return {item.id: _entry(item, by_binding) for item in application.form}


def _number(origin: str, serial: int) -> str:
    return id_number(PLACES[origin], serial)


def _entry(item: Field, by_binding: dict[str, str]) -> Any:
    if item.binds:
        return by_binding.get(item.binds, "")
    if item.id.endswith("__on"):
        return "2026-09-22"
    return "电话" if item.id.endswith("__how") else ""


def apply(database: Database, world: World, origin: str, target: str, at: datetime, *, serial: int = 1) -> int:
    """A school's operator enters an application; within a province it is the second school's. Answers the case."""
    actor = applicant(world, origin, target)
    with database.reading() as connection:
        application = transfers.prepare(connection, actor, origin, at=at)
    values = entries(world, origin, target, application, serial)
    return transfers.apply(database, actor, origin, values, at=at, per_hour=100)


def applicant(world: World, origin: str, target: str) -> Actor:
    return world[target].actor("other_operator" if origin == target else "operator")


def open_tasks(database: Database, case_id: int) -> list[inbox.Task]:
    with database.reading() as connection:
        return [item for item in inbox.of_case(connection, case_id) if item.state == "open"]


def actor_for(database: Database, world: World, item: inbox.Task) -> Actor:
    """Somebody of the organisation and duty that a task waits for."""
    for place in world.places.values():
        for actor in place.actors.values():
            if actor.organisation_id == item.organisation_id and actor.duty == item.duty:
                return actor
    raise LookupError(item)


def answers(item: inbox.Task, *, refuse: bool = False) -> dict[str, Any]:
    """Fill in a task's form: agree, or refuse with reasons."""
    found: dict[str, Any] = {}
    for field in item.form:
        if field.binds == "decision.result":
            found[field.id] = "refuse" if refuse else "agree"
        elif field.binds == "decision.opinion":
            found[field.id] = "学位已满，无法接收" if refuse else "同意"
        elif field.type == "date":
            found[field.id] = "2026-09-22"
        else:
            found[field.id] = "电话核对"
    return found


def step(database: Database, world: World, case_id: int, at: datetime, *, refuse: bool = False) -> str:
    """Do the one open task of a case. Answers its element."""
    [item] = open_tasks(database, case_id)
    with database.transaction() as connection:
        inbox.complete(connection, actor_for(database, world, item), item.id, answers(item, refuse=refuse), at=at)
    return item.node.id


def play(database: Database, world: World, case_id: int, at: datetime, *, refuse_at: str = "") -> list[str]:
    """Do one task after the other until the case has ended. Answers the elements in order."""
    done = []
    while waiting := open_tasks(database, case_id):
        act = {node.id for node in waiting[0].act}
        done.append(step(database, world, case_id, at, refuse=refuse_at in act))
    return done


def outcome(database: Database, case_id: int) -> str | None:
    with database.reading() as connection:
        return connection.scalar(sa.select(cases.case.c.outcome).where(cases.case.c.id == case_id))


def school_of(database: Database, student_id: int) -> int:
    with database.reading() as connection:
        place = students.summary(connection, student_id).place
    assert place is not None
    return place.school_id


def start_plain(database: Database, actor: Actor, kind: str, diagram: bytes, at: datetime) -> int:
    """A case of a plain procedure that is uploaded and deployed for it. Answers the case's id."""
    with database.transaction() as connection:
        version = procedures.upload(connection, SYSTEM, "national", kind, diagram, at=at)
        assert [str(finding) for finding in version.findings()] == []
        procedures.deploy(connection, SYSTEM, version.id, at=at)
    with database.transaction() as connection:
        return cases.start_plain(connection, actor, version, {}, at=at)
