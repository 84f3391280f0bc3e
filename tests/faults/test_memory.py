"""The memory of a web process stays flat, however much it has done."""

from __future__ import annotations

import psutil

from tests.faults.load import at_work, token_of
from tests.faults.processes import until

HENAN = "410000"
MEGABYTE = 1024 * 1024


def test_memory_stays_flat(database, world, served, scale, tell):
    total = scale(100, 50_000)
    token = token_of(database, world[HENAN].actor("operator"))
    [serving] = psutil.Process(served.start().process.pid).children()
    seen = []
    with at_work(served.port, token, programs=4) as ledger:
        for number in range(1, 11):
            until(lambda number=number: len(ledger.tasks) >= total * number // 10, patience=600)
            seen.append(serving.memory_info().rss / MEGABYTE)
    # The first tenth fills what is kept once: connections, versions, statements, templates.
    assert max(seen[1:]) - seen[0] < max(8, 0.1 * seen[0])
    tell(completions=total, megabytes_after_each_tenth=" ".join(f"{size:.1f}" for size in seen))
