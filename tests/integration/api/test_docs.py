"""docs/api.md works: its commands are run as they stand there, and what it shows is what they print."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import threading
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from werkzeug.serving import make_server

from tests.integration import play
from tests.integration.world import id_number, name_of
from web.api.document import describe

ANHUI, HENAN = "340000", "410000"
PAGE = (Path(__file__).parents[3] / "docs" / "api.md").read_text("utf-8")
# In the first block everybody fills in their own.
BLOCKS = [
    (kind, text)
    for kind, text in re.findall(r"^```(shell|json)\n(.*?)^```$", PAGE, re.M | re.S)
    if "SCHOOL=xueji_…" not in text
]
END_OF_BLOCK = "--- end of block ---"


@pytest.fixture
def address(app, application) -> Iterator[str]:
    """Where the interface is served, with its background work, for as long as the test runs."""
    server = make_server("127.0.0.1", 0, app, threaded=True)
    over = threading.Event()

    def work() -> None:
        while not over.wait(0.05):
            application.jobs.run_pending()

    threads = [threading.Thread(target=server.serve_forever), threading.Thread(target=work)]
    for thread in threads:
        thread.start()
    yield f"http://127.0.0.1:{server.port}/api/v1"
    server.shutdown()
    over.set()
    for thread in threads:
        thread.join()
    server.server_close()


@pytest.fixture
def three_to_release(database, world, clock) -> None:
    """What Anhui's county has to decide for the releasing side, several at once."""
    for serial in (1, 2, 3):
        case_id = play.apply(database, world, ANHUI, HENAN, clock(), serial=serial)
        while play.open_tasks(database, case_id)[0].node.id != "check_with_releasing_school":
            play.step(database, world, case_id, clock())


def test_the_worked_case_works(address, world, token_of, three_to_release, tmp_path, not_here):
    for program in ("bash", "curl", "jq"):
        if not shutil.which(program):
            not_here(f"docs/api.md: there is no {program} on this machine.")
    given = {
        "XUEJI": address,
        "SCHOOL": token_of(world[HENAN].actor("operator")),
        "REVIEWER": token_of(world[HENAN].actor("reviewer")),
        "COUNTY": token_of(world[ANHUI].actor("county")),
        "NAME": name_of(9),
        "NUMBER": f"G{id_number('340104', 9)}",
    }
    commands = [text for kind, text in BLOCKS if kind == "shell"]
    script = "set -euo pipefail\n" + "".join(f"{text}\necho '{END_OF_BLOCK}'\n" for text in commands)
    done = subprocess.run(
        ["bash", "-c", script], env=os.environ | given, cwd=tmp_path, capture_output=True, text=True, timeout=120
    )
    printed = done.stdout.split(END_OF_BLOCK)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    position = -1
    for kind, text in BLOCKS:
        if kind == "shell":
            position += 1
        else:
            differs = difference(json.loads(text), json.loads(printed[position]))
            assert not differs, f"after\n{commands[position]}\n{differs}\n{printed[position]}"


def difference(shown: Any, printed: Any) -> str:
    """Where what was printed is not of the form that the page shows: `…` stands for anything, a number for another."""
    if isinstance(shown, dict):
        missing = shown.keys() - printed.keys()
        found = [difference(shown[name], printed[name]) for name in shown.keys() & printed.keys()]
        return f"missing: {missing}" if missing else next(filter(None, found), "")
    if isinstance(shown, list):
        return next(filter(None, map(difference, shown, printed)), "") if len(shown) <= len(printed) else "too few"
    if isinstance(shown, str) and "…" in shown:
        pattern = ".*".join(map(re.escape, shown.split("…")))
        return "" if isinstance(printed, str) and re.fullmatch(pattern, printed) else f"{shown!r} is {printed!r}"
    if isinstance(shown, int) and not isinstance(shown, bool):
        return "" if isinstance(printed, int) else f"{shown!r} is {printed!r}"
    return "" if shown == printed else f"{shown!r} is {printed!r}"


def test_the_page_names_every_path_and_no_other(app):
    table = PAGE.partition("## All that can be asked")[2]
    named = set(re.findall(r"`(/[\w/{}-]+)`", table))
    assert named == set(describe(app)["paths"])


def test_every_shown_answer_follows_a_command():
    kinds = [kind for kind, _text in BLOCKS]
    assert all(before == "shell" for before, kind in pairwise(kinds) if kind == "json")
