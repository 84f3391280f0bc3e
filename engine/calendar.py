"""The calendar as administrators change it: with each change, what it moves is counted again in the same transaction.

Every operation answers in how many open cases a due date or a deadline moved.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime

from sqlalchemy.engine import Connection

from engine import cases, workdays
from engine.audit import Actor
from engine.permissions import require
from engine.workdays import Day


def set_day(
    connection: Connection, actor: Actor, day: date, is_workday: bool, name: str, *, at: datetime, source: str = ""
) -> int:
    """Say that one day is worked, or is free. Raises `Forbidden`, `Invalid`."""
    require(actor, "administer_deployment")
    workdays.set_day(connection, actor, day, is_workday, name, at=at, source=source)
    return cases.recount(connection, actor, at=at)


def clear_day(connection: Connection, actor: Actor, day: date, *, at: datetime) -> int:
    """Take back what was entered for a day. Raises `Forbidden`, `NotFound`."""
    require(actor, "administer_deployment")
    workdays.clear_day(connection, actor, day, at=at)
    return cases.recount(connection, actor, at=at)


def publish_year(
    connection: Connection, actor: Actor, year: int, days: Iterable[Day], source: str, *, at: datetime
) -> int:
    """Enter the State Council's notice for a year. Raises `Forbidden`, `Invalid`."""
    require(actor, "administer_deployment")
    workdays.publish_year(connection, actor, year, days, source, at=at)
    return cases.recount(connection, actor, at=at)


def retract_year(connection: Connection, actor: Actor, year: int, *, at: datetime) -> int:
    """Take back a year that was entered. Raises `Forbidden`, `NotFound`."""
    require(actor, "administer_deployment")
    workdays.retract_year(connection, actor, year, at=at)
    return cases.recount(connection, actor, at=at)
