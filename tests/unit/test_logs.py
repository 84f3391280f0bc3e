"""The log says what happened, to people or to programs, and never what somebody wrote."""

from __future__ import annotations

import json
import logging
import sys
from typing import Any

import pytest

from engine import logs
from engine.errors import Conflict
from engine.logs import JsonLines, Lines

NUMBER = "340104201503080011"


def record(name: str, words: str, *filling: object, error: Exception | None = None, **facts: Any) -> logging.LogRecord:
    caught = (type(error), error, error.__traceback__) if error else None
    made = logging.LogRecord(name, logging.WARNING, __file__, 7, words, filling, caught, func="here")
    made.__dict__.update(logs.facts(**facts))
    return made


def test_a_line_for_programs_has_its_words_and_its_facts() -> None:
    with logs.around(job="sweep:every"):
        line = json.loads(JsonLines().format(record("engine.jobs", "Took %s.", "long", seconds=2.5)))
    assert line.pop("time").endswith("+00:00")
    assert line == {
        "level": "warning", "logger": "engine.jobs", "message": "Took long.", "job": "sweep:every", "seconds": 2.5,
    }  # fmt: skip


def test_a_line_for_people_says_the_same() -> None:
    line = Lines().format(record("web.errors", "Away.", seconds=1))
    assert line.endswith(" warning web.errors Away. seconds=1")


def test_what_is_said_around_one_deed_is_not_said_around_the_next() -> None:
    with logs.around(job="one"):
        pass
    assert "job" not in json.loads(JsonLines().format(record("engine.jobs", "Done.")))


@pytest.mark.parametrize("formatter", [JsonLines(), Lines()])
def test_the_words_of_libraries_are_left_out(formatter: logging.Formatter) -> None:
    for name in ("sqlalchemy.pool", "dbos", "engineering"):
        line = formatter.format(record(name, "Row %s exists.", NUMBER))
        assert NUMBER not in line
        assert "test_logs.py:7 here" in line


@pytest.mark.parametrize("formatter", [JsonLines(), Lines()])
@pytest.mark.parametrize("error", [ValueError(f"{NUMBER} exists"), Conflict("%(person)s was faster.", person=NUMBER)])
def test_an_error_is_its_kind_and_its_place(formatter: logging.Formatter, error: Exception) -> None:
    try:
        raise error
    except Exception:
        caught = sys.exc_info()[1]
    assert isinstance(caught, Exception)
    line = formatter.format(record("web", "Failed.", error=caught))
    assert type(error).__name__ in line
    assert "test_an_error_is_its_kind_and_its_place" in line
    assert NUMBER not in line
