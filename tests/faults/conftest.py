"""Faults, provoked: in a short form with all the other tests, in full by `make faults`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from engine import transfers
from engine.db import Database
from tests.faults import load
from tests.faults.processes import Served
from tests.integration import world as worlds
from tests.integration.world import World


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--long", action="store_true", help="The full numbers, as docs/reliability.md has them.")


@pytest.fixture
def scale(request: pytest.FixtureRequest) -> Callable[[int, int], int]:
    """The short number, or the long one."""
    is_long = request.config.getoption("--long", False)
    return lambda short, long: long if is_long else short


@pytest.fixture
def tell(record_property: Callable[[str, object], None], request: pytest.FixtureRequest) -> Callable[..., None]:
    """Note figures for the summary at the end."""

    def tell(**figures: object) -> None:
        words = ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in figures.items())
        record_property("figures", f"{request.node.name}: {words}")

    return tell


@pytest.fixture
def world(database: Database) -> World:
    """The world of the other tests, today."""
    transfers.register()
    return worlds.build(database, datetime.now(UTC))


@pytest.fixture
def served(database: Database, world: World) -> Iterator[Served]:
    """A server that is not started yet, over the world and a procedure of eight steps."""
    load.deploy_chain(database, datetime.now(UTC))
    served = Served(database.url.render_as_string(hide_password=False))
    yield served
    served.stop()


def pytest_terminal_summary(terminalreporter: Any) -> None:
    reports = terminalreporter.getreports("passed")
    told = [figures for report in reports for name, figures in report.user_properties if name == "figures"]
    if told:
        terminalreporter.section("what was counted")
        for line in told:
            terminalreporter.write_line(line)
