"""SIGTERM: what has begun is answered, and the server ends with status 0."""

from __future__ import annotations

import sqlite3
import threading
import urllib.request

import pytest
import sqlalchemy as sa

from tests.faults.load import token_of
from tests.faults.processes import until

HENAN = "410000"


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_a_request_that_has_begun_is_answered(database, world, served):
    token = token_of(database, world[HENAN].actor("operator"))
    command = served.start()
    address = f"{served.address}/api/v1/cases"
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    request = urllib.request.Request(address, b'{"kind": "chain", "values": {}}', headers)
    answers: list[int] = []

    def ask() -> None:
        with urllib.request.urlopen(request, timeout=60) as response:
            answers.append(response.status)

    path = sa.make_url(str(database.url)).database
    with sqlite3.connect(path, isolation_level=None) as writer:
        writer.execute("BEGIN IMMEDIATE")
        asking = threading.Thread(target=ask)
        asking.start()
        until(lambda: served_is_busy(command))
        ending = threading.Thread(target=command.end)
        ending.start()
        ending.join(1)
        assert ending.is_alive()
        writer.execute("ROLLBACK")
    writer.close()
    asking.join()
    ending.join()
    assert answers == [201]
    assert command.process.exitcode == 0


def served_is_busy(command: object) -> bool:
    """The request is on its way: nothing from outside tells, so give it the time of a few thousand statements."""
    threading.Event().wait(0.5)
    return True
