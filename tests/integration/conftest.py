from __future__ import annotations

import pytest

from engine import transfers
from engine.db import Database
from tests.integration import world as worlds
from tests.integration.world import World


@pytest.fixture
def world(database: Database, clock) -> World:
    """A small world in an empty database, on each dialect; see `world.py`."""
    transfers.register()
    return worlds.build(database, clock())
