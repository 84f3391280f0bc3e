"""Two provinces' offices and schools with people in every duty: for what needs neither students nor cases."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy.engine import Connection

from engine import accounts
from engine.audit import SYSTEM, Actor
from engine.registry import organisations

AT = {"340000": "340104", "410000": "410105"}
PEOPLE = {
    "operator": ("school", "operator"),
    "colleague": ("school", "operator"),
    "reviewer": ("school", "reviewer"),
    "school_admin": ("school", "administrator"),
    "other_operator": ("other_school", "operator"),
    "county": ("county", "operator"),
    "county_admin": ("county", "administrator"),
    "county_auditor": ("county", "auditor"),
    "province": ("province", "operator"),
    "province_admin": ("province", "administrator"),
    "policy": ("province", "policy_editor"),
}


@dataclass
class Offices:
    """One province: ids of its organisations by name, and somebody for each duty."""

    province: int
    county: int
    school: int
    other_school: int
    actors: dict[str, Actor] = field(default_factory=dict)

    def actor(self, name: str) -> Actor:
        return self.actors[name]


@dataclass
class Country:
    ministry: int
    ministry_actors: dict[str, Actor]
    provinces: dict[str, Offices]

    def __getitem__(self, province: str) -> Offices:
        return self.provinces[province]


def build(connection: Connection, at: datetime) -> Country:
    ministry = organisations.add(connection, SYSTEM, level="ministry", name="教育部", name_en="The Ministry", at=at).id
    actors = {
        duty: _person(connection, f"ministry-{duty}", ministry, duty, at)
        for duty in ("administrator", "auditor", "operator")
    }
    return Country(ministry, actors, {code: _offices(connection, code, ministry, at) for code in AT})


def _offices(connection: Connection, code: str, ministry: int, at: datetime) -> Offices:
    def add(level: str, name: str, division: str, parent: int, **more: str) -> int:
        values = {"level": level, "name": name, "division_code": division, "parent_id": parent, **more}
        return organisations.add(connection, SYSTEM, **values, at=at).id

    province = add("province", f"{code}教育厅", code, ministry)
    county = add("county", f"{AT[code]}教育局", AT[code], province)
    school = add("school", f"{code}第一小学", AT[code], county, code=f"21{code[:2]}000001")
    other = add("school", f"{code}第二小学", AT[code], county, code=f"21{code[:2]}000002")
    offices = Offices(province, county, school, other)
    for name, (place, duty) in PEOPLE.items():
        offices.actors[name] = _person(connection, f"{code}-{name}", getattr(offices, place), duty, at)
    return offices


def _person(connection: Connection, login: str, organisation_id: int, duty: str, at: datetime) -> Actor:
    person_id = accounts.add_person(connection, SYSTEM, login, f"测试{login}", organisation_id, duty, at=at)
    return accounts.actor_of_membership(connection, accounts.memberships_of(connection, person_id)[0].id)
