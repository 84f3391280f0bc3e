"""The small world that completions are measured in: a school with its authorities on each side, children to move."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path

from sqlalchemy.engine import Connection

from engine import accounts, procedures
from engine.audit import SYSTEM, Actor
from engine.procedures import Version
from engine.registry import classes, numbers, organisations, records, students

# The releasing side works by the national procedure, the receiving side by Anhui's.
RELEASING, RECEIVING = ("410000", "410105"), ("340000", "340104")
PLAIN = Path(__file__).with_name("data") / "plain.bpmn"
_BORN = date(2015, 3, 8)
_GRADE = "13"
# As many as one class will ever be asked to hold here.
_ROOM = 100_000


@dataclass
class Office:
    """A school or its authority, and who works there, by duty."""

    id: int
    actors: dict[str, Actor] = field(default_factory=dict)


@dataclass
class World:
    schools: dict[str, Office]
    counties: dict[str, Office]
    classes: dict[str, int]

    def actor(self, organisation_id: int, duty: str) -> Actor:
        offices = [*self.schools.values(), *self.counties.values()]
        return next(office.actors[duty] for office in offices if office.id == organisation_id)


def build(connection: Connection, children: int, *, at: datetime) -> World:
    """Fill an empty database that has the shipped procedures in force."""
    ministry = organisations.add(connection, SYSTEM, level="ministry", name="教育部", at=at)
    world = World({}, {}, {})
    for province, county in (RELEASING, RECEIVING):
        _add_side(connection, world, province, county, ministry.id, at)
    releasing = RELEASING[0]
    for serial in range(children):
        _add_child(connection, serial, world.classes[releasing], world.schools[releasing].id, at)
    return world


def deploy_plain(connection: Connection, *, at: datetime) -> Version:
    """Put the pool in force that other engines were measured on."""
    version = procedures.upload(connection, SYSTEM, "national", "bench", PLAIN.read_bytes(), "", at=at)
    procedures.deploy(connection, SYSTEM, version.id, at=at)
    return version


def _add_side(connection: Connection, world: World, province: str, county: str, ministry: int, at: datetime) -> None:
    above = organisations.add(
        connection, SYSTEM, level="province", name=f"测速{province}教育厅", division_code=province, parent_id=ministry,
        at=at,
    )  # fmt: skip
    authority = organisations.add(
        connection, SYSTEM, level="county", name=f"测速{county}教育局", division_code=county, parent_id=above.id, at=at
    )
    school = organisations.add(
        connection, SYSTEM, level="school", name=f"测速{province}小学", division_code=county, parent_id=authority.id,
        code=f"21{province[:2]}000001", at=at,
    )  # fmt: skip
    world.counties[province] = _staffed(connection, authority.id, ("operator",), at)
    world.schools[province] = _staffed(connection, school.id, ("operator", "reviewer"), at)
    own = classes.add(connection, SYSTEM, school_id=school.id, grade=_GRADE, name="(1)班", capacity=_ROOM, at=at)
    world.classes[province] = own.id


def _staffed(connection: Connection, organisation_id: int, duties: Sequence[str], at: datetime) -> Office:
    office = Office(organisation_id)
    for duty in duties:
        login = f"bench-{organisation_id}-{duty}"
        person = accounts.add_person(connection, SYSTEM, login, f"测速{duty}", organisation_id, duty, at=at)
        [membership] = accounts.memberships_of(connection, person)
        actor = accounts.actor_of_membership(connection, membership.id)
        assert actor is not None
        office.actors[duty] = actor
    return office


def name_of(serial: int) -> str:
    return f"测速生{serial}"


def number_of(serial: int) -> str:
    """An ID number; a birthday for each thousand, since the serial number of a day has three digits."""
    stem = f"{RELEASING[1]}{_born(serial):%Y%m%d}{serial % 999 + 1:03d}"
    return stem + numbers.check_digit(stem)


def _add_child(connection: Connection, serial: int, class_id: int, school_id: int, at: datetime) -> None:
    number = number_of(serial)
    child = students.register(
        connection, SYSTEM, class_id=class_id, at=at, name=name_of(serial),
        gender="2" if serial % 999 % 2 else "1", birth_date=_born(serial), id_type="1", id_number=number,
        record_number=f"G{number}", guardian_name="测速家长",
    )  # fmt: skip
    parts = [records.Part("基本信息", "基本信息", {"序号": serial})]
    records.create(connection, SYSTEM, student_id=child, school_id=school_id, parts=parts, at=at)


def _born(serial: int) -> date:
    return date.fromordinal(_BORN.toordinal() + serial // 999)
