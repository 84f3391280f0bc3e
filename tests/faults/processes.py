"""Processes to be killed. They run the command itself, forked from one that has imported everything already."""

from __future__ import annotations

import multiprocessing
import os
import random
import resource
import signal
import socket
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa

from engine.cli import main
from engine.jobs import Jobs

_forks = multiprocessing.get_context("forkserver")
_forks.set_forkserver_preload([__name__])
PATIENCE = 60.0


@dataclass
class DeathAt:
    """Kills its process and the server around it in the middle of a commit: so long after it was sent."""

    commit: int
    seconds: float
    seen: int = field(default=0)
    process: int = field(default=0)

    @classmethod
    def somewhere(cls, chance: random.Random) -> DeathAt:
        """From the first milliseconds of the first commit on; before the fourth is the start of the server."""
        return cls(chance.randrange(4, 24), chance.uniform(0, 0.004))

    def install(self) -> None:
        sa.event.listen(sa.Engine, "commit", self._note)

    def _note(self, _connection: Any) -> None:
        if os.getpid() != self.process:
            self.process, self.seen = os.getpid(), 0
        self.seen += 1
        if self.seen == self.commit:
            threading.Thread(target=self._die, daemon=True).start()

    def _die(self) -> None:
        time.sleep(self.seconds)
        os.killpg(0, signal.SIGKILL)


@dataclass
class SmallFiles:
    """No file of the process grows beyond so many bytes: a full disk, where none can be had."""

    bytes: int

    def install(self) -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (self.bytes, self.bytes))


@dataclass
class Haste:
    """A worker that gives a sign of life so often, so that a minute of its life takes a second."""

    pulse: float

    def install(self) -> None:
        assert Jobs.__init__.__kwdefaults__
        names = ("pulse_seconds", "poll_seconds", "first_pause")
        Jobs.__init__.__kwdefaults__ |= dict.fromkeys(names, self.pulse)


# What is wrong with a process from its beginning on.
Fault = DeathAt | SmallFiles | Haste | None


class Command:
    """`xueji …` as a group of processes, so that a server goes with the processes that it has started."""

    def __init__(self, *words: str, fault: Fault = None, **settings: str) -> None:
        environment = {f"XUEJI_{name.upper()}": value for name, value in settings.items()}
        self.process = _forks.Process(target=_run, args=(words, environment, fault))
        self.process.start()

    def kill(self) -> None:
        self.send(signal.SIGKILL)
        self.process.join()

    def end(self) -> int | None:
        """Ask it to end, and answer its status."""
        assert self.process.pid is not None
        os.kill(self.process.pid, signal.SIGTERM)
        self.process.join(PATIENCE)
        return self.process.exitcode

    def send(self, number: signal.Signals) -> None:
        assert self.process.pid is not None
        try:
            os.killpg(self.process.pid, number)
        except ProcessLookupError:
            if self.process.is_alive():  # it has not yet become a group of its own
                os.kill(self.process.pid, number)


def _run(words: tuple[str, ...], environment: dict[str, str], fault: Fault) -> None:
    os.setsid()
    multiprocessing.set_start_method("fork", force=True)
    os.environ |= {"XUEJI_LOG_LEVEL": "error"} | environment
    if fault:
        fault.install()
    main(words, standalone_mode=False)


class Served:
    """`xueji serve` on one port, again and again."""

    def __init__(self, url: str, **settings: str) -> None:
        self.port = free_port()
        self.address = f"http://127.0.0.1:{self.port}"
        self._settings = {"database_url": url, "run_jobs": "0", **settings}
        self.command: Command | None = None

    def start(self, fault: Fault = None) -> Command:
        self.command = Command("serve", "--port", str(self.port), fault=fault, **self._settings)
        until(lambda: status(f"{self.address}/healthz") == 200 or not self.command.process.is_alive(), 0.01)
        return self.command

    def stop(self) -> None:
        if self.command:
            self.command.kill()


def free_port() -> int:
    """A port that the system gives to nobody who calls: it stays free while the server that has it is started anew."""
    while True:
        port = random.randrange(10_000, 32_000)
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


def status(address: str) -> int:
    """0 where nobody answers."""
    try:
        with urllib.request.urlopen(address, timeout=10) as response:
            return int(response.status)
    except urllib.error.HTTPError as error:
        error.close()
        return error.code
    except OSError:
        return 0


def until(holds: Callable[[], bool], pause: float = 0.05, patience: float = PATIENCE) -> None:
    deadline = time.monotonic() + patience
    while not holds():
        assert time.monotonic() < deadline, "It did not come true."
        time.sleep(pause)
