"""An upgrade without a pause: the next version's migration is run while this version's programs are at work.

They go on, and a process of this version that starts afterwards works as well, beside those of the next one.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.runtime.migration import MigrationContext

from engine import migrations
from engine.db import Database
from tests.faults.load import assert_kept, at_work, token_of
from tests.faults.processes import status, until

HENAN = "410000"
# What a first half of a change looks like: it adds, and asks nothing of who does not know of it.
NEXT = """
import sqlalchemy as sa
from alembic import op

revision = "next"
down_revision = {head!r}


def upgrade():
    with op.batch_alter_table("task") as task:
        task.add_column(sa.Column("weight", sa.Integer(), nullable=True))
    op.create_index("ix_task_weight", "task", ["weight"])
    op.create_table("weighing", sa.Column("id", sa.Integer(), primary_key=True), sa.Column("scale", sa.String(20)))
"""


def upgrade_to_the_next_version(database: Database, folder: Path) -> None:
    """As `migrations.upgrade` of the next version will."""
    shutil.copytree(migrations.FOLDER, folder / "migrations", ignore=shutil.ignore_patterns("__pycache__"))
    with database.reading() as connection:
        head = MigrationContext.configure(connection).get_current_revision()
    (folder / "migrations" / "versions" / "next.py").write_text(NEXT.format(head=head))
    with migrations._exclusively(database) as connection:
        config = migrations.config(connection)
        config.set_main_option("script_location", str(folder / "migrations"))
        command.upgrade(config, "head")


@pytest.fixture
def back_to_this_version(database: Database) -> Iterator[None]:
    """On PostgreSQL the next tests are given the same tables."""
    yield
    if not database.is_sqlite:
        with database.transaction() as connection:
            connection.execute(sa.text("DROP TABLE IF EXISTS weighing"))
            connection.execute(sa.text("ALTER TABLE task DROP COLUMN IF EXISTS weight"))
            connection.execute(sa.text("DELETE FROM alembic_version"))
            command.stamp(migrations.config(connection), "head")


@pytest.mark.usefixtures("back_to_this_version")
def test_the_old_version_works_on_beside_the_next_one(database, world, served, tmp_path):
    token = token_of(database, world[HENAN].actor("operator"))
    served.start()
    with at_work(served.port, token, programs=4) as ledger:
        until(lambda: len(ledger.tasks) > 20)
        upgrade_to_the_next_version(database, tmp_path)
        await_twenty_more(ledger)
        assert served.command.end() == 0
        served.start()
        await_twenty_more(ledger)
        assert status(f"{served.address}/readyz") == 200
    with database.transaction() as connection:  # what the next version does meanwhile
        weighed = connection.execute(sa.text("UPDATE task SET weight = 1 WHERE state = 'done' RETURNING id")).all()
        connection.execute(sa.text("INSERT INTO weighing (id, scale) VALUES (1, 'coarse')"))
    assert assert_kept(database, ledger).completions == len(weighed)
    migrations.upgrade(database)  # by this version: nothing is undone
    assert sa.inspect(database.engine).has_table("weighing")


def await_twenty_more(ledger) -> None:
    before = len(ledger.tasks)
    until(lambda: len(ledger.tasks) > before + 20 or bool(ledger.wrong))
