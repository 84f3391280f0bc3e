"""One decision on many cases, in the background as the inbox does it."""

from __future__ import annotations

from engine import batches, inbox
from engine.application import Application
from engine.bench.completions import answers, start_transfer
from engine.bench.floor import Floor
from engine.bench.measuring import Result, Stopwatch
from engine.bench.world import RECEIVING, World
from engine.errors import XuejiError
from engine.procedures import Version


def measure(application: Application, world: World, version: Version, size: int, *, first: int) -> Result:
    """Let Anhui's receiving authority agree to so many transfers at once; beside it the floor of as many completions.

    A batch's laps are not known one by one, so the percentiles are its time for each case.
    """
    database, at = application.database, application.clock()
    county = world.counties[RECEIVING[0]].actors["operator"]
    for serial in range(first, first + size):
        start_transfer(application, world, serial)
    with database.reading() as connection:
        waiting = inbox.waiting(connection, county, size=size).tasks
    with database.transaction() as connection:
        task_ids = [task.id for task in waiting]
        batch_id = batches.begin(connection, application.jobs, county, task_ids, answers(waiting[0], at), at=at)
    ours, other = Stopwatch(), Stopwatch()
    with ours.lap():
        batches.work_off(database, batch_id, clock=application.clock)
    with database.reading() as connection:
        done = batches.get(connection, county, batch_id).done
    if done != size:
        raise XuejiError(f"The batch decided {done} of {size}.")
    floor = Floor(database, version.id, county.organisation_id or 0)
    with other.lap():
        floor.case(size)
    floor.close()
    each = 1000 * ours.total / size
    return Result(
        "bulk", database.url.get_backend_name(), 1, size, size / ours.total, each, each, size / other.total,
        other.total / ours.total,
    )  # fmt: skip
