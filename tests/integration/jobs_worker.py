"""A process that works on jobs, to be killed by `test_jobs.py`. It says on its output what it does."""

from __future__ import annotations

import os
import sys
import threading
from typing import Any

import sqlalchemy as sa

from engine.db import Database
from engine.jobs import Jobs

url, mood = sys.argv[1:]
database = Database(url)
step = sa.table("step_of_test", sa.column("job"), sa.column("step"))


def say(*words: object) -> None:
    """One line in one piece, since several jobs speak at a time."""
    os.write(sys.stdout.fileno(), (" ".join(map(str, words)) + "\n").encode())


def write_steps(arguments: dict[str, Any]) -> None:
    """Four transactions, each guarded by its own row. A stubborn process stops half way and waits to be killed."""
    job = arguments["job"]
    for number in range(4):
        if mood == "stubborn" and number == 2:
            say("halfway", job)
            threading.Event().wait()
        with database.transaction() as connection:
            is_there = sa.select(step).where(step.c.job == job, step.c.step == number)
            if not connection.execute(is_there).first():
                connection.execute(step.insert(), {"job": job, "step": number})
    say("done", job)


def kill(arguments: dict[str, Any]) -> None:
    say("dying")
    os._exit(9)


handlers = {"write_steps": write_steps, "kill": kill, "tick": lambda _: say("tick")}
jobs = Jobs(database, handlers, {"tick": 0.05}, pulse_seconds=0.1, poll_seconds=0.05, attempts=2)
jobs.start()
say("started")
sys.stdin.read()
jobs.stop()
say("stopped")
