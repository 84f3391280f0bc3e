"""The plain pool over HTTP with a bearer token: clients and server on the same cores, the floor between their turns."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context
from typing import Any

from engine import accounts
from engine.application import Application
from engine.audit import Actor
from engine.bench.completions import COMPLETED_WITH, STARTED_WITH, STEPS
from engine.bench.floor import Floor
from engine.bench.measuring import Result, Stopwatch
from engine.errors import XuejiError
from engine.procedures import Version

CLIENTS = (1, 8)
# Cases of each client in one turn.
_TURN = 5
_PATIENCE_SECONDS = 30


def measure(application: Application, version: Version, actor: Actor, *, rounds: int) -> Iterator[Result]:
    """With one client and with eight. A client finds the open task in the answer to what it sent before."""
    database = application.database
    with database.transaction() as connection:
        at = application.clock()
        secret = accounts.make_token(connection, actor, "bench", actor.membership_id or 0, 30, at=at)
    floor = Floor(database, version.id, actor.organisation_id or 0)
    with _server(database.url.render_as_string(hide_password=False)) as port:
        for clients in CLIENTS:
            yield _measure(port, secret, floor, clients, rounds, database.url.get_backend_name())
    floor.close()


def _measure(port: int, secret: str, floor: Floor, clients: int, rounds: int, database: str) -> Result:
    ours, other, laps = Stopwatch(), Stopwatch(), Stopwatch()
    with ProcessPoolExecutor(clients, mp_context=get_context("spawn")) as pool:
        turns = max(rounds // (_TURN * clients), 3)
        asked = [(port, secret, _TURN)] * clients
        list(pool.map(_play, asked))
        for _ in range(turns):
            with ours.lap():
                for seconds in pool.map(_play, asked):
                    laps.seconds += seconds
            with other.lap():
                for _ in range(_TURN):
                    floor.case(STEPS)
    completed = len(laps.seconds)
    per_second, floor_per_second = completed / ours.total, turns * _TURN * STEPS / other.total
    return Result(
        "plain_http", database, clients, completed // STEPS, per_second, laps.percentile_ms(0.5),
        laps.percentile_ms(0.95), floor_per_second, per_second / floor_per_second,
    )  # fmt: skip


# One for each client's process: it is kept open, as programs do.
_connections: dict[int, http.client.HTTPConnection] = {}


def _play(asked: tuple[int, str, int]) -> list[float]:
    """So many cases from their start to their end; the seconds of each completion."""
    port, secret, rounds = asked
    watch = Stopwatch()
    for _ in range(rounds):
        became = _post(port, secret, "/api/v1/cases", {"kind": "bench", "values": STARTED_WITH})
        for _ in range(STEPS):
            [task_id] = became["next"]
            with watch.lap():
                became = _post(port, secret, f"/api/v1/tasks/{task_id}/completion", {"values": COMPLETED_WITH})
    return watch.seconds


def _post(port: int, secret: str, path: str, body: dict[str, Any]) -> Any:
    connection = _connections.get(port)
    if connection is None:
        connection = _connections[port] = http.client.HTTPConnection("127.0.0.1", port)
        connection.connect()
        connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    headers = {"Authorization": f"Bearer {secret}", "Content-Type": "application/json"}
    connection.request("POST", path, json.dumps(body), headers)
    answer = connection.getresponse()
    content = answer.read()
    if answer.status >= 300:
        raise XuejiError(f"{path} answered {answer.status}: {content.decode()}")
    return json.loads(content)


@contextmanager
def _server(url: str) -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [sys.executable, "-c", "from engine.cli import main; main()", "serve", "--port", str(port)]
    environment = os.environ | {"XUEJI_DATABASE_URL": url, "XUEJI_LOG_LEVEL": "warning"}
    with subprocess.Popen([*command, "--workers", "2"], env=environment) as server:  # noqa: S603
        try:
            _wait_for(server, port)
            yield port
        finally:
            server.send_signal(signal.SIGINT)
            server.wait(_PATIENCE_SECONDS)


def _wait_for(server: subprocess.Popen[bytes], port: int) -> None:
    until = time.monotonic() + _PATIENCE_SECONDS
    while server.poll() is None and time.monotonic() < until:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise XuejiError("The server does not answer.")
