"""In a demonstration: students whom the visitor's school may apply for, each with what the form needs to find them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import groupby

from sqlalchemy.engine import Connection

from engine import demo, transfers
from engine.audit import Actor
from engine.demo import Example
from engine.registry import classes, divisions, organisations
from engine.registry.organisations import Organisation
from engine.transfers import Application
from web.context import now


@dataclass(frozen=True)
class Trial:
    """A student to try it with. `fields` are posted, as they are when somebody has typed them."""

    example: Example
    school: Organisation
    province: str
    fields: Mapping[str, str]


def examples_for(connection: Connection, actor: Actor, province: str = "") -> dict[str, list[Trial]]:
    """By province, or of this one alone: one student of each other school, of a grade with a free place here."""
    assert actor.organisation_id is not None
    open_grades = {each.grade.code for each in classes.vacancies(connection, actor.organisation_id) if each.free > 0}
    fitting = [
        each
        for each in demo.examples(connection)
        if each.grade in open_grades
        and each.school_id != actor.organisation_id
        and province in ("", divisions.province_of(each.division_code))
    ]
    chosen = [next(several) for _, several in groupby(fitting, lambda each: each.school_id)]
    schools = organisations.named(connection, {each.school_id for each in chosen})
    found: dict[str, list[Trial]] = {}
    for example in chosen:
        origin = divisions.province_of(example.division_code)
        application = transfers.prepare(connection, actor, origin, at=now())
        trial = Trial(example, schools[example.school_id], origin, _fields(application, example))
        found.setdefault(divisions.full_name(origin) or origin, []).append(trial)
    return found


def _fields(application: Application, example: Example) -> dict[str, str]:
    known = {
        "origin.province": application.origin_province,
        "origin.division": example.division_code,
        "origin.school": str(example.school_id),
        "student.name": example.name,
    }
    asked = {item.id: known[item.binds] for item in application.node.form if item.binds in known}
    return asked | {application.number_field: example.number}
