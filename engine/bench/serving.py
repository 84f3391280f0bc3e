"""The plain pool over HTTP with a bearer token: clients and server on the same cores, the floor between their turns."""

from __future__ import annotations

import functools
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
    spawning = get_context("spawn")
    # Nobody begins while others are still being started.
    ready = spawning.Barrier(clients).wait
    with ProcessPoolExecutor(clients, mp_context=spawning, initializer=ready) as pool:
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


def _play(asked: tuple[int, str, int]) -> list[float]:
    """So many cases from their start to their end; the seconds of each completion."""
    port, secret, rounds = asked
    client, watch = _client(port, secret), Stopwatch()
    for _ in range(rounds):
        became = client.post("/api/v1/cases", {"kind": "bench", "values": STARTED_WITH})
        for _ in range(STEPS):
            [task_id] = became["next"]
            with watch.lap():
                became = client.post(f"/api/v1/tasks/{task_id}/completion", {"values": COMPLETED_WITH})
    return watch.seconds


class _Client:
    """A program with one connection, which it keeps open.

    It does no more than HTTP asks of it: Python's own client reads the header of an answer as if it were a mail, and
    on two cores its tenth of a millisecond would be the server's loss.
    """

    def __init__(self, port: int, secret: str) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=_PATIENCE_SECONDS)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._header = f"Host: 127.0.0.1:{port}\r\nAuthorization: Bearer {secret}\r\nContent-Type: application/json\r\n"

    def post(self, path: str, body: dict[str, Any]) -> Any:
        """What is answered. Raises `XuejiError` for anything but a success."""
        content = json.dumps(body).encode()
        header = f"POST {path} HTTP/1.1\r\n{self._header}Content-Length: {len(content)}\r\n\r\n"
        self._socket.sendall(header.encode() + content)
        answer = bytearray()
        while (end := answer.find(b"\r\n\r\n")) < 0:
            answer += self._received()
        status, fields = answer[:end].lower().split(b"\r\n", 1)
        length = int(fields.partition(b"content-length:")[2].split(b"\r\n", 1)[0])
        while len(answer) < end + 4 + length:
            answer += self._received()
        if not status.startswith(b"http/1.1 2"):
            raise XuejiError(f"{path} answered {answer.decode()}")
        return json.loads(answer[end + 4 :])

    def _received(self) -> bytes:
        received = self._socket.recv(65_536)
        if not received:
            raise XuejiError("The server has hung up.")
        return received


# One for each client's process.
_client = functools.cache(_Client)


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
