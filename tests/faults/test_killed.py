"""kill -9 of the web process in mid-commit: every answered success is there, everything else is all or nothing."""

from __future__ import annotations

import random

from tests.faults.load import assert_kept, at_work, token_of
from tests.faults.processes import DeathAt, until

HENAN = "410000"


def test_the_web_process_killed_in_mid_commit(database, world, served, scale, tell):
    chance, kills = random.Random(20140110), scale(4, 500)
    token = token_of(database, world[HENAN].actor("operator"))
    with at_work(served.port, token, programs=4) as ledger:
        kept = 0
        for _ in range(kills):
            process = served.start(DeathAt.somewhere(chance)).process
            process.join(60)
            assert process.exitcode == -9
            kept += assert_kept(database, ledger).unanswered
            database.dispose()
        served.start()
        answered = len(ledger.tasks)
        until(lambda: len(ledger.tasks) >= answered + 20 or bool(ledger.wrong))
    found = assert_kept(database, ledger)
    tell(kills=kills, completions=found.completions, cut_off=ledger.unanswered, of_these_kept=kept)
