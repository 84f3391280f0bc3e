"""How long a task may still take, counted in working days by the calendar of the moment."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Any

from flask import Flask, g
from sqlalchemy.engine import Connection

from engine import workdays
from engine.workdays import Calendar, Due
from web.context import now, reading


@dataclass(frozen=True)
class Deadline:
    """The last day, and the working days left after today: 0 on that day, negative when it is over."""

    day: date
    days_left: int
    # Rests on a year whose holidays are not published yet.
    provisional: bool


def deadline_of(task: Any) -> Deadline | None:
    """The deadline of anything with `due_at`, and `due_provisional` where that is known; None without one.

    Counted once in a request for each instant: a list has many tasks and few days.
    """
    if task.due_at is None:
        return None
    due = Due(task.due_at, bool(getattr(task, "due_provisional", False)))
    known: dict[Due, Deadline] = g.setdefault("deadlines", {})
    if due not in known:
        known[due] = Deadline(due.day, calendar().remaining(now(), due), due.provisional)
    return known[due]


def calendar() -> Calendar:
    """The calendar, asked for once in a request."""
    if "calendar" not in g:
        with reading() as connection:
            g.calendar = workdays.load(connection)
    loaded: Calendar = g.calendar
    return loaded


def prepare_calendar(connection: Connection) -> None:
    """Load the calendar by a connection that is there already, before the first deadline is asked for."""
    g.calendar = workdays.load(connection)


def register(app: Flask) -> None:
    app.jinja_env.globals["deadline_of"] = deadline_of
