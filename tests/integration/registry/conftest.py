"""A small country: two provinces, two authorities in one of them, three schools, one student."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from engine.audit import SYSTEM, Actor, audit_entry
from engine.db import Database
from engine.registry import classes, numbers, organisations, records, students
from engine.registry.organisations import Organisation

AT = datetime(2026, 9, 22, 1, 0, tzinfo=UTC)


def id_number(division: str, born: date, serial: str) -> str:
    """An invented number that is valid."""
    seventeen = f"{division}{born:%Y%m%d}{serial}"
    return seventeen + numbers.check_digit(seventeen)


MEI_ID = id_number("410105", date(2015, 9, 8), "372")


@dataclass(frozen=True)
class World:
    ministry: Organisation
    anhui: Organisation
    hefei: Organisation
    shushan: Organisation
    baohe: Organisation
    henan: Organisation
    jinshui: Organisation
    # 合肥市蜀山区晨光小学, which receives, and its neighbour
    chenguang: Organisation
    qingshan: Organisation
    # 郑州市金水区柳林小学, which releases
    liulin: Organisation
    target_class: int
    origin_class: int
    # 梅小雨, in 柳林小学
    mei: int
    mei_record: int


def actor_of(organisation: Organisation, duty: str = "operator", person_id: int = 1) -> Actor:
    return Actor(
        person_id, "某人", 1, organisation.id, organisation.name, organisation.level, organisation.division_code, duty
    )


def mei_data() -> dict[str, object]:
    return {
        "name": "梅小雨",
        "gender": "2",
        "birth_date": date(2015, 9, 8),
        "id_type": "1",
        "id_number": MEI_ID,
        "record_number": f"G{MEI_ID}",
        "temporary_number": "L410105201509081234",
        "birth_division": "410105",
        "guardian_name": "梅长河",
    }


def mei_parts() -> list[records.Part]:
    return [
        records.Part("基本信息", "基本信息", {"姓名": "梅小雨", "民族": "01", "身高": 1.0}),
        records.Part("成绩", "2025-2026学年第一学期", {"语文": 92.5, "数学": 88, "备注": None}),
        records.Part("奖惩", "三好学生", {"年度": 2025, "级别": ["校", "区"]}),
    ]


@pytest.fixture
def world(database: Database) -> World:
    with database.transaction() as connection:
        return build(connection)


def build(connection: Connection) -> World:
    def add(level: str, name: str, parent: Organisation | None, division: str | None = None, code: str | None = None):
        return organisations.add(
            connection,
            SYSTEM,
            level=level,
            name=name,
            parent_id=parent.id if parent else None,
            division_code=division,
            code=code,
            at=AT,
        )

    ministry = add("ministry", "教育部", None)
    anhui = add("province", "安徽省教育厅", ministry, "340000")
    hefei = add("prefecture", "合肥市教育局", anhui, "340100")
    shushan = add("county", "合肥市蜀山区教育体育局", hefei, "340104")
    baohe = add("county", "合肥市包河区教育体育局", hefei, "340111")
    henan = add("province", "河南省教育厅", ministry, "410000")
    jinshui = add("county", "郑州市金水区教育局", henan, "410105")
    chenguang = add("school", "晨光小学", shushan, "340104", "2134000001")
    qingshan = add("school", "青山小学", shushan, "340104", "2134000002")
    liulin = add("school", "柳林小学", jinshui, "410105", "2141000001")
    target = classes.add(connection, SYSTEM, school_id=chenguang.id, grade="14", name="(1)班", capacity=45, at=AT)
    origin = classes.add(connection, SYSTEM, school_id=liulin.id, grade="14", name="(3)班", capacity=45, at=AT)
    mei = students.register(connection, SYSTEM, class_id=origin.id, from_date=date(2023, 9, 1), at=AT, **mei_data())
    record = records.create(connection, SYSTEM, student_id=mei, school_id=liulin.id, parts=mei_parts(), at=AT)
    return World(
        ministry=ministry,
        anhui=anhui,
        hefei=hefei,
        shushan=shushan,
        baohe=baohe,
        henan=henan,
        jinshui=jinshui,
        chenguang=chenguang,
        qingshan=qingshan,
        liulin=liulin,
        target_class=target.id,
        origin_class=origin.id,
        mei=mei,
        mei_record=record,
    )


@pytest.fixture
def actions(database: Database) -> Callable[[], list[str]]:
    """What the audit log says has been done, oldest first."""

    def read() -> list[str]:
        with database.reading() as connection:
            return list(connection.scalars(sa.select(audit_entry.c.action).order_by(audit_entry.c.id)))

    return read


@pytest.fixture
def logged(database: Database) -> Callable[[], str]:
    """Everything that the audit log holds, as one text."""

    def read() -> str:
        with database.reading() as connection:
            return repr(connection.execute(sa.select(audit_entry)).all())

    return read


@pytest.fixture
def operator(world: World) -> Actor:
    """The operator of the receiving school."""
    return actor_of(world.chenguang)


@pytest.fixture
def administrator(world: World) -> Actor:
    """The administrator of 合肥市教育局."""
    return replace(actor_of(world.hefei), duty="administrator")
