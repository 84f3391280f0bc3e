"""A country's transfers, written as fast as the database takes them: what lists are measured over.

The same country for every size: ten provinces with twenty counties of fifty schools each. One transfer in 25 is open,
the newest ones. Every row that a list reads is there; the audit log and the messages are left out.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from engine import accounts, procedures
from engine.accounts import membership, person
from engine.audit import Actor
from engine.bpmn.graph import SIDES, Node
from engine.cases import case, case_scope, instance, task
from engine.db import Database
from engine.procedures import Version
from engine.registry import divisions
from engine.registry.tables import enrolment, organisation, organisation_ancestor, school_class, student
from engine.transfers.tables import transfer

PROVINCES, COUNTIES, SCHOOLS = 10, 20, 50
_FIRST_SCHOOL = 10_000
_OPEN = 25
_CHUNK = 20_000
_STATE = b"x" * 120

_number = sa.table("bench_number", sa.column("value", sa.BigInteger))


@dataclass(frozen=True)
class Country:
    """Who looks at the lists, by level."""

    actors: dict[str, Actor]


def load(database: Database, size: int, *, at: datetime) -> Country:
    """Fill a database that has the shipped procedures in force and nothing else."""
    with database.transaction() as connection:
        country = _organisations(connection, at)
        versions = {
            regime: procedures.in_force(connection, regime, procedures.TRANSFER, at=at)
            for regime in ("national", "anhui")
        }
        connection.exec_driver_sql("CREATE TABLE bench_number (value integer PRIMARY KEY)")
        connection.execute(sa.insert(_number), [{"value": value} for value in range(_CHUNK)])
    for first in range(1, size + 1, _CHUNK):
        with database.transaction() as connection:
            began = at - timedelta(days=400) + timedelta(days=395) * (first / size)
            for statement in _transfers(versions, first, min(first + _CHUNK, size + 1), size, began):
                connection.execute(statement)
    with database.transaction() as connection:
        connection.exec_driver_sql("DROP TABLE bench_number")
    with database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql("ANALYZE" if database.is_sqlite else "VACUUM ANALYZE")
    return country


# The country -----------------------------------------------------------------------------------------------------


def _organisations(connection: Connection, at: datetime) -> Country:
    rows: list[dict[str, Any]] = [_office(1, "ministry", "教育部", None, None)]
    above: list[dict[str, Any]] = []

    def hang(identity: int, *superiors: int) -> None:
        above.extend(
            {"descendant_id": identity, "ancestor_id": ancestor, "depth": depth, "moved": False}
            for depth, ancestor in enumerate((identity, *superiors))
        )

    hang(1)
    school = _FIRST_SCHOOL
    for number, province in enumerate(_provinces(), 1):
        own = 10 + number
        rows.append(_office(own, "province", f"{province.name}教育厅（测速）", province.code, 1))
        hang(own, 1)
        for place, code in enumerate(islice(_counties(province.code), COUNTIES)):
            county = 1_000 + number * 100 + place
            rows.append(_office(county, "county", f"{divisions.name_at(code)}教育局（测速）", code, own))
            hang(county, own, 1)
            for _ in range(SCHOOLS):
                rows.append(_office(school, "school", f"测速第{school}小学", code, county, f"21{school:08d}"))
                hang(school, county, own, 1)
                school += 1
    connection.execute(organisation.insert(), rows)
    connection.execute(organisation_ancestor.insert(), above)
    connection.execute(school_class.insert(), [_class(row["id"]) for row in rows if row["level"] == "school"])
    looking = {"county": rows[2], "province": rows[1], "ministry": rows[0]}
    return Country({level: _person(connection, number, row, at) for number, (level, row) in enumerate(looking.items())})


def _provinces() -> list[divisions.Division]:
    """Anhui first, and nine others that have counties enough."""
    found = [area for area in divisions.children() if len(list(islice(_counties(area.code), COUNTIES))) == COUNTIES]
    return sorted(found, key=lambda area: area.code != "340000")[:PROVINCES]


def _counties(province: str) -> Iterator[str]:
    for prefecture in divisions.children(province):
        yield from (county.code for county in divisions.children(prefecture.code))


def _office(
    identity: int, level: str, name: str, division: str | None, parent: int | None, code: str | None = None
) -> dict[str, Any]:
    return {
        "id": identity, "level": level, "name": name, "division_code": division, "parent_id": parent, "code": code,
        "active": True,
    }  # fmt: skip


def _class(school_id: int) -> dict[str, Any]:
    return {
        "id": school_id, "school_id": school_id, "grade": "13", "name": "(1)班", "capacity": 10**6, "enrolled": 0,
        "reserved": 0,
    }  # fmt: skip


def _person(connection: Connection, number: int, office: dict[str, Any], at: datetime) -> Actor:
    identity = number + 1
    connection.execute(
        person.insert(),
        {
            "id": identity, "login": f"bench-{office['level']}", "name": "测速", "password_hash": "", "active": True,
            "created_at": at,
        },
    )  # fmt: skip
    connection.execute(
        membership.insert(),
        {"id": identity, "person_id": identity, "organisation_id": office["id"], "duty": "operator"},
    )
    actor = accounts.actor_of_membership(connection, identity)
    assert actor is not None
    return actor


# The transfers ---------------------------------------------------------------------------------------------------

# The case's number, and from it the two schools, anywhere in the country; a school's id says where it stands.
_id = (_number.c.value + sa.bindparam("first", type_=sa.BigInteger)).label("id")
_ALL = PROVINCES * COUNTIES * SCHOOLS


def _school(factor: int, shift: int) -> sa.ColumnElement[int]:
    return sa.literal_column(str(_FIRST_SCHOOL)) + (_id * factor + shift) % sa.literal_column(str(_ALL))


_receiving, _releasing = _school(7_919, 11), _school(10_007, 5_003)


def _county_of(school: sa.ColumnElement[int]) -> sa.ColumnElement[int]:
    province = (school - _FIRST_SCHOOL) // (COUNTIES * SCHOOLS)
    place = ((school - _FIRST_SCHOOL) // SCHOOLS) % COUNTIES
    return 1_000 + (province + 1) * 100 + place


def _transfers(
    versions: dict[str, Version], first: int, end: int, size: int, began: datetime
) -> Iterator[sa.Executable]:
    """Insertions of the transfers from `first` up to `end`, in an order that keeps every reference."""
    numbers = (
        sa.select(_id.label("id"), _receiving.label("receiving"), _releasing.label("releasing"))
        .where(_number.c.value < end - first)
        .params(first=first)
        .subquery("numbers")
    )
    n = numbers.c
    is_open = n.id > size - size // _OPEN
    state = sa.case((is_open, "pending"), else_="completed")
    outcome = sa.case((is_open, None), else_="completed")
    ended = sa.case((is_open, sa.null()), else_=_instant(began))

    yield _into(
        student, numbers, id=n.id, name=sa.literal("测速生") + sa.cast(n.id % 5_000, sa.String), gender="1",
        birth_date=began.date() - timedelta(days=4_000),
        record_number=sa.literal("G") + sa.cast(sa.literal(10**17, sa.BigInteger) + n.id, sa.String),
        only_child=False, out_of_district=False, from_elsewhere=False, migrant=False, boarding=False, status="01",
        problem=False,
    )  # fmt: skip
    yield _into(
        enrolment, numbers, id=n.id, student_id=n.id, school_id=n.releasing, class_id=n.releasing, grade="13",
        from_date=began.date() - timedelta(days=700), current=True,
    )  # fmt: skip
    yield _into(
        case, numbers, id=n.id, kind="transfer", state=sa.case((is_open, "open"), else_="ended"), outcome=outcome,
        parties=sa.cast(sa.literal(json.dumps({"receiving_school": 1}), sa.Text), sa.JSON), started_by=1,
        started_at=_instant(began), ended_at=ended,
    )  # fmt: skip
    for place, side in enumerate(SIDES):
        yield _into(
            instance, numbers, id=n.id * 2 + place, case_id=n.id, side=side, version_id=_version(versions, n, side),
            state=_STATE, revision=5, ended=~is_open, outcome=outcome,
        )  # fmt: skip
    yield _into(
        transfer, numbers, case_id=n.id, number=sa.literal("ZX2026") + sa.cast(10**8 + n.id, sa.String),
        student_id=n.id, receiving_school_id=n.receiving, releasing_school_id=n.releasing, from_class_id=n.releasing,
        to_class_id=n.receiving, reason="随父母工作调动", move="across", receiving_basis="text", releasing_basis="text",
        school_year=began.year if began.month >= 9 else began.year - 1, started_at=_instant(began), state=state,
        open=is_open, requested_at=_instant(began), ended_at=ended,
    )  # fmt: skip
    yield _scopes(numbers, state)
    for regime, version in versions.items():
        yield from _tasks(numbers, regime, version, is_open, began)


def _into(
    table: sa.Table, numbers: sa.Subquery, where: sa.ColumnElement[bool] | None = None, **values: Any
) -> sa.Insert:
    columns = [table.c[name] for name in values]
    selected = [
        value if isinstance(value, sa.ColumnElement) else sa.literal(value, column.type)
        for value, column in zip(values.values(), columns, strict=True)
    ]
    chosen = sa.select(*selected).select_from(numbers)
    return table.insert().from_select(columns, chosen if where is None else chosen.where(where), include_defaults=False)


def _instant(at: datetime) -> sa.ColumnElement[datetime]:
    return sa.literal(at, case.c.started_at.type)


def _in_anhui(school: sa.ColumnElement[int]) -> sa.ColumnElement[bool]:
    return school < _FIRST_SCHOOL + COUNTIES * SCHOOLS


def _version(versions: dict[str, Version], n: Any, side: str) -> sa.ColumnElement[int]:
    return sa.case((_in_anhui(n[side]), versions["anhui"].id), else_=versions["national"].id)


def _scopes(numbers: sa.Subquery, state: sa.ColumnElement[Any]) -> sa.Insert:
    n, above = numbers.c, organisation_ancestor.c
    stands = sa.func.max(sa.case((above.descendant_id == n.receiving, 1), else_=0))
    from_ = sa.func.max(sa.case((above.descendant_id == n.releasing, 1), else_=0))
    selected = (
        sa.select(above.ancestor_id, n.id, stands == 1, from_ == 1, state)
        .select_from(numbers.join(organisation_ancestor, above.descendant_id.in_((n.receiving, n.releasing))))
        .group_by(above.ancestor_id, n.id, state)
    )
    columns = case_scope.c
    return case_scope.insert().from_select(
        [columns.organisation_id, columns.case_id, columns.receiving, columns.releasing, columns.state], selected
    )


def _tasks(
    numbers: sa.Subquery, regime: str, version: Version, is_open: sa.ColumnElement[bool], began: datetime
) -> Iterator[sa.Insert]:
    """One row for each human step that a case has behind it; of an open case one of them is open."""
    n = numbers.c
    for place, side in enumerate(SIDES):
        school = n[side]
        here = _in_anhui(school) if regime == "anhui" else ~_in_anhui(school)
        pool = version.pool(side)
        steps: list[Node] = [node for node in pool.nodes if node.is_human]
        for key, node in enumerate(steps):
            waits = is_open & (n.id % len(steps) == key) & (n.id % 2 == place)
            late = n.id % 10 == 0
            yield _into(
                task, numbers, here, case_id=n.id, instance_id=n.id * 2 + place, key=key, version_id=version.id,
                side=side, node=node.id, menu=node.menu("zh"), party=pool.party(node.id),
                organisation_id=school if pool.party(node.id).endswith("school") else _county_of(school),
                duty=node.duty, state=sa.case((waits, "open"), else_="done"), opened_at=_instant(began),
                due_at=sa.case((late, _instant(began)), else_=_instant(began + timedelta(days=60))),
                due_provisional=False, closed_at=sa.case((waits, sa.null()), else_=_instant(began)),
                person_id=sa.case((waits, sa.null()), else_=1), result=sa.case((waits, sa.null()), else_="agree"),
            )  # fmt: skip
