"""A small world for tests: two provinces with their authorities and schools, people for every duty, some students.

Anhui runs its own procedure, Henan and Zhejiang the national one, so all four pairings can be played.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path

from sqlalchemy.engine import Connection

from engine import accounts, procedures
from engine.audit import SYSTEM, Actor
from engine.db import Database
from engine.registry import classes, numbers, organisations, records, students
from engine.settings import processes_folder

BORN = date(2015, 3, 8)
# Each province of the tests with a county in it.
PLACES = {"340000": "340104", "410000": "410105", "330000": "330106"}


@dataclass
class Place:
    """One province's offices and a school, with somebody for each duty."""

    province: int
    county: int
    school: int
    other_school: int
    to_class: int
    full_class: int
    other_class: int
    students: list[int] = field(default_factory=list)
    actors: dict[str, Actor] = field(default_factory=dict)

    def actor(self, name: str) -> Actor:
        return self.actors[name]


@dataclass
class World:
    ministry: int
    ministry_actors: dict[str, Actor]
    places: dict[str, Place]

    def __getitem__(self, province: str) -> Place:
        return self.places[province]


def build(database: Database, at: datetime, folder: Path | None = None) -> World:
    """Fill an empty database."""
    with database.transaction() as connection:
        procedures.install_shipped(connection, folder or processes_folder(), at=at)
        ministry = organisations.add(connection, SYSTEM, level="ministry", name="教育部", at=at)
        actors = {
            duty: _person(connection, f"ministry-{duty}", ministry.id, duty, at)
            for duty in ("administrator", "policy_editor", "auditor", "operator")
        }
        places = {code: _place(connection, code, county, ministry.id, at) for code, county in PLACES.items()}
    return World(ministry.id, actors, places)


def _person(connection: Connection, login: str, organisation_id: int, duty: str, at: datetime) -> Actor:
    person = accounts.add_person(connection, SYSTEM, login, f"测试{login}", organisation_id, duty, at=at)
    return accounts.actor_of_membership(connection, accounts.memberships_of(connection, person)[0].id)


def _place(connection: Connection, code: str, county_code: str, ministry: int, at: datetime) -> Place:
    def add(level: str, name: str, division: str, parent: int, **more: str) -> int:
        return organisations.add(
            connection, SYSTEM, level=level, name=name, division_code=division, parent_id=parent, at=at, **more
        ).id

    province = add("province", f"测试{code}教育厅", code, ministry)
    county = add("county", f"测试{county_code}教育局", county_code, province)
    school = add("school", f"测试{code}第一小学", county_code, county, code=f"21{code[:2]}000001")
    other = add("school", f"测试{code}第二小学", county_code, county, code=f"21{code[:2]}000002")
    main = classes.add(connection, SYSTEM, school_id=school, grade="13", name="(1)班", capacity=45, at=at)
    full = classes.add(connection, SYSTEM, school_id=school, grade="13", name="(2)班", capacity=1, at=at)
    second = classes.add(connection, SYSTEM, school_id=other, grade="13", name="(1)班", capacity=45, at=at)
    place = Place(province, county, school, other, main.id, full.id, second.id)
    for name, organisation, duty in (
        ("operator", school, "operator"),
        ("colleague", school, "operator"),
        ("reviewer", school, "reviewer"),
        ("school_admin", school, "administrator"),
        ("other_operator", other, "operator"),
        ("county", county, "operator"),
        ("county_colleague", county, "operator"),
        ("county_admin", county, "administrator"),
        ("county_auditor", county, "auditor"),
        ("province", province, "operator"),
        ("province_admin", province, "administrator"),
        ("policy", province, "policy_editor"),
    ):
        place.actors[name] = _person(connection, f"{code}-{name}", organisation, duty, at)
    for serial in range(1, 13):
        place.students.append(student(connection, county_code, serial, main.id, school, at))
    student(connection, county_code, 99, full.id, school, at)
    return place


def id_number(county_code: str, serial: int) -> str:
    stem = f"{county_code}{BORN:%Y%m%d}{serial:03d}"
    return stem + numbers.check_digit(stem)


def student(
    connection: Connection, county_code: str, serial: int, class_id: int, school: int, at: datetime, **more: object
) -> int:
    """One enrolled student with an electronic record; the name follows from the serial."""
    number = id_number(county_code, serial)
    found = students.register(
        connection,
        SYSTEM,
        class_id=class_id,
        at=at,
        name=name_of(serial),
        gender="1" if serial % 2 else "2",
        birth_date=BORN,
        id_type="1",
        id_number=number,
        record_number=f"G{number}",
        guardian_name="测试家长",
        **more,
    )
    records.create(
        connection,
        SYSTEM,
        student_id=found,
        school_id=school,
        parts=[records.Part("基本信息", "基本信息", {"序号": serial})],
        at=at,
    )
    return found


def name_of(serial: int) -> str:
    return f"测试生{serial}"
