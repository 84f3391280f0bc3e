"""What an application form offers to choose from, by what its fields are bound to: regions, schools, grades, classes.

Each choice depends on the one above it: region → school → grade → class. Where nothing is chosen above, nothing is
offered below. Schools and classes of the origin are public; students are never offered (`lookups`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy.engine import Connection

from engine.registry import classes, codes, divisions, organisations
from engine.registry.classes import Vacancies
from engine.transfers.applications import Application
from engine.transfers.values import id_of


@dataclass(frozen=True)
class Choice:
    """One value with its words, and the free places (学位空额) where it takes one."""

    value: str
    name: str
    name_en: str = ""
    free: int | None = None

    def label(self, locale: str) -> str:
        return self.name_en or self.name if locale.startswith("en") else self.name


def provinces() -> tuple[Choice, ...]:
    """Where a student may come from."""
    return _divisions(None)


def regions(within: str) -> tuple[Choice, ...]:
    """The divisions directly below one."""
    return _divisions(within)


def offered(
    connection: Connection, application: Application, values: Mapping[str, Any]
) -> dict[str, tuple[Choice, ...]]:
    """What each field of the form that names something of the registry offers now, by the field's id.

    The fields that a chosen value depends on need not be there: without a region all schools of the province are
    offered, without a grade all classes of the school.
    """
    now = _Offered(connection, application, application.bound(values))
    bindings = {
        "origin.school": now.schools,
        "origin.grade": now.origin_grades,
        "origin.class": now.origin_classes,
        "target.grade": now.target_grades,
        "target.class": now.target_classes,
    }
    return {item.id: bindings[item.binds]() for item in application.node.form if item.binds in bindings}


class _Offered:
    """The choices for one state of a form."""

    def __init__(self, connection: Connection, application: Application, bound: Mapping[str, Any]) -> None:
        self.connection = connection
        self.application = application
        self.bound = bound

    def schools(self) -> tuple[Choice, ...]:
        region = self.bound.get("origin.division")
        if not region and self.application.field("origin.division"):
            return ()
        found = organisations.schools_in(self.connection, region or self.application.origin_province)
        own = self.application.school.id
        return tuple(Choice(str(school.id), school.name, school.name_en or "") for school in found if school.id != own)

    def origin_grades(self) -> tuple[Choice, ...]:
        return tuple(_code(each.grade) for each in self._vacancies("origin"))

    def origin_classes(self) -> tuple[Choice, ...]:
        return tuple(Choice(str(found.id), found.name) for each in self._of_grade("origin") for found in each.classes)

    def target_grades(self) -> tuple[Choice, ...]:
        return tuple(_code(each.grade, each.free) for each in self._vacancies("target"))

    def target_classes(self) -> tuple[Choice, ...]:
        return tuple(
            Choice(str(found.id), found.name, free=found.vacancies)
            for each in self._of_grade("target")
            for found in each.classes
        )

    def _vacancies(self, end: str) -> list[Vacancies]:
        school = self.application.school.id if end == "target" else id_of(self.bound.get("origin.school"))
        return classes.vacancies(self.connection, school) if school else []

    def _of_grade(self, end: str) -> list[Vacancies]:
        grade = self.bound.get(f"{end}.grade")
        if not grade and self.application.field(f"{end}.grade"):
            return []
        return [each for each in self._vacancies(end) if grade in (None, "", each.grade.code)]


def _code(code: codes.Code, free: int | None = None) -> Choice:
    return Choice(code.code, code.name, code.name_en, free)


def _divisions(within: str | None) -> tuple[Choice, ...]:
    return tuple(Choice(division.code, division.name) for division in divisions.children(within))
