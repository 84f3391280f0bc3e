"""What an application form offers to choose from, by what its fields are bound to: regions, schools, grades, classes.

Each choice depends on the one above it: region → school → grade → class. Where nothing is chosen above, nothing is
offered below. Schools and classes of the origin are public; students are never offered (`lookups`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy.engine import Connection

from engine.registry import classes, codes, divisions, organisations
from engine.registry.classes import SchoolClass, Vacancies
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


def fitting(
    connection: Connection, application: Application, values: Mapping[str, Any]
) -> tuple[dict[str, Any], dict[str, tuple[Choice, ...]]]:
    """A form's values without what is not offered below what was chosen above, and what is offered, by field.

    The choices above need not be fields of the form: without a region all schools of the province are offered, without
    a grade all classes of the school.
    """
    kept, choices = dict(values), {}
    for binding, offer in _OFFERS.items():
        field = application.field(binding)
        offered = offer(connection, application, application.bound(kept)) if field else None
        if field and offered is not None:
            choices[field] = offered
            if kept.get(field) not in {choice.value for choice in offered}:
                kept[field] = ""
    return kept, choices


Bound = Mapping[str, Any]


def _schools(connection: Connection, application: Application, bound: Bound) -> tuple[Choice, ...]:
    region = bound.get("origin.division")
    if application.field("origin.division") and not divisions.exists(region or ""):
        return ()
    found = organisations.schools_in(connection, region or application.origin_province)
    own = application.school.id
    return tuple(Choice(str(each.id), each.name, each.name_en or "") for each in found if each.id != own)


def _origin_grades(connection: Connection, application: Application, bound: Bound) -> tuple[Choice, ...]:
    if not application.field("origin.school"):
        return tuple(_grade(code) for code in codes.table("grade").values())
    return tuple(_grade(each.grade) for each in _vacancies(connection, id_of(bound.get("origin.school"))))


def _origin_classes(connection: Connection, application: Application, bound: Bound) -> tuple[Choice, ...] | None:
    if not application.field("origin.school"):
        return None  # to be written by hand
    found = _vacancies(connection, id_of(bound.get("origin.school")))
    return tuple(Choice(str(each.id), each.name) for each in _of_grade("origin.grade", found, application, bound))


def _target_grades(connection: Connection, application: Application, bound: Bound) -> tuple[Choice, ...]:
    return tuple(_grade(each.grade, each.free) for each in _vacancies(connection, application.school.id))


def _target_classes(connection: Connection, application: Application, bound: Bound) -> tuple[Choice, ...]:
    found = _vacancies(connection, application.school.id)
    in_grade = _of_grade("target.grade", found, application, bound)
    return tuple(Choice(str(each.id), each.name, free=each.vacancies) for each in in_grade)


# From above to below, so that what falls away above takes with it what stands below.
_OFFERS: dict[str, Callable[[Connection, Application, Bound], tuple[Choice, ...] | None]] = {
    "origin.school": _schools,
    "origin.grade": _origin_grades,
    "origin.class": _origin_classes,
    "target.grade": _target_grades,
    "target.class": _target_classes,
}


def _vacancies(connection: Connection, school_id: int | None) -> list[Vacancies]:
    return classes.vacancies(connection, school_id) if school_id else []


def _of_grade(binding: str, found: list[Vacancies], application: Application, bound: Bound) -> list[SchoolClass]:
    grade = bound.get(binding)
    if not grade and application.field(binding):
        return []
    return [each for of_grade in found if grade in (None, "", of_grade.grade.code) for each in of_grade.classes]


def _grade(code: codes.Code, free: int | None = None) -> Choice:
    return Choice(code.code, code.name, code.name_en, free)


def _divisions(within: str | None) -> tuple[Choice, ...]:
    return tuple(Choice(division.code, division.name) for division in divisions.children(within))
