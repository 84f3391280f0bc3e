"""For developers: write the next migration from what the tables have become, then format it.

    python -m engine.migrations "Say why a case was withdrawn"
    python -m engine.migrations --first

The second form writes the first migration anew, and is right only while nobody runs a database made by it.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from alembic import command
from alembic.script import Script

from engine.db import Database
from engine.migrations import FOLDER, all_tables, config

VERSIONS = FOLDER / "versions"


def main(words: list[str]) -> None:
    if words == ["--first"]:
        message = "The first schema"
        for old in VERSIONS.glob("*.py"):
            old.unlink()
    else:
        (message,) = words
    all_tables()
    number = f"{len(list(VERSIONS.glob('*.py'))) + 1:04}"
    with tempfile.TemporaryDirectory() as folder:
        database = Database(f"sqlite:///{Path(folder) / 'empty.db'}")
        with database.transaction() as connection:
            command.upgrade(config(connection), "head")
            script = command.revision(config(connection), message, autogenerate=True, rev_id=number)
        database.dispose()
    assert isinstance(script, Script)
    path = Path(script.path)
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(line for line in lines if "Alembic" not in line))  # its remarks to whoever ran it


if __name__ == "__main__":
    main(sys.argv[1:])
