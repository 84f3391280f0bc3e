from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from flask import Flask

from engine import transfers
from engine.application import Application
from engine.db import Database
from engine.settings import Settings
from tests import snapshots
from tests.integration import world as worlds
from tests.integration.world import World
from web import create_app


@pytest.fixture
def world(database: Database, clock) -> World:
    """A small world in an empty database, on each dialect; see `world.py`."""
    transfers.register()
    return snapshots.once(database, ("world", clock()), lambda: worlds.build(database, clock()))


# What programs and visitors ask ------------------------------------------------------------------------------------


@pytest.fixture
def settings(database: Database) -> Settings:
    return Settings(database_url=database.url.render_as_string(hide_password=False))


@pytest.fixture
def application(settings: Settings, clock) -> Iterator[Application]:
    application = Application(settings, clock=clock)
    yield application
    application.database.dispose()


@pytest.fixture(scope="session")
def _pages() -> Flask:
    """Made once, as their routes and templates take longer than most tests."""
    nothing: Any = None
    pages = create_app(nothing)
    pages.extensions["as made"] = pages.extensions["xueji"]
    return pages


@pytest.fixture
def app(_pages: Flask, application: Application) -> Flask:
    """The pages over the test's own application. A module whose tests add views has pages of its own."""
    _pages.extensions["xueji"] = replace(_pages.extensions["as made"], application=application, tokens={})
    return _pages
