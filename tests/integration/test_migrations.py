"""The schema that the migrations make is the one that the code speaks of, on both dialects."""

from __future__ import annotations

import re
import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext

from engine import audit, jobs, migrations
from engine.audit import SYSTEM
from engine.db import Database
from engine.registry import organisations
from engine.registry.tables import organisation


def differences(database: Database) -> list[Any]:
    tables = migrations.all_tables()
    with database.engine.connect() as connection:
        ours = {"include_name": lambda name, kind, _: kind != "table" or name in tables.tables}
        return list(compare_metadata(MigrationContext.configure(connection, opts=ours), tables))


def test_the_migrations_make_what_the_code_defines(bare_database: Database) -> None:
    migrations.upgrade(bare_database)
    assert differences(bare_database) == []


def test_they_make_it_to_the_letter(tmp_path: Path) -> None:
    """Alembic compares neither checks nor the conditions of indexes; SQLite keeps the words of each statement."""

    def statements(database: Database) -> list[list[str]]:
        words = sa.text("SELECT sql FROM sqlite_master WHERE sql NOT NULL AND name <> 'alembic_version'")
        with database.reading() as connection:
            found = connection.scalars(words).all()
        database.dispose()
        # The order of a table's constraints means nothing.
        return sorted(sorted(re.split(r"[\s,()]+", statement)) for statement in found)

    migrated, created = Database(f"sqlite:///{tmp_path}/migrated.db"), Database(f"sqlite:///{tmp_path}/created.db")
    migrations.upgrade(migrated)
    migrations.all_tables().create_all(created.engine)
    jobs.create_tables(created)
    assert statements(migrated) == statements(created)


def test_the_code_knows_whether_the_schema_suffices(bare_database: Database) -> None:
    assert not migrations.suffices(bare_database)
    migrations.upgrade(bare_database)
    assert migrations.suffices(bare_database)


def test_a_second_upgrade_changes_nothing(bare_database: Database) -> None:
    migrations.upgrade(bare_database)
    before = sa.inspect(bare_database.engine).get_table_names()
    migrations.upgrade(bare_database)
    assert sa.inspect(bare_database.engine).get_table_names() == before


def test_two_upgrades_at_once_do_not_disturb_each_other(bare_database: Database) -> None:
    errors = []

    def upgrade() -> None:
        try:
            migrations.upgrade(bare_database)
        except Exception as error:  # a thread's error would be lost
            errors.append(error)

    threads = [threading.Thread(target=upgrade) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert migrations.suffices(bare_database)


def test_nothing_is_left_of_an_upgrade_that_failed(bare_database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    upgrade = command.upgrade

    def upgrade_and_fail(*arguments: Any) -> None:
        upgrade(*arguments)
        raise RuntimeError

    monkeypatch.setattr(command, "upgrade", upgrade_and_fail)
    with pytest.raises(RuntimeError):
        migrations.upgrade(bare_database)
    assert sa.inspect(bare_database.engine).get_table_names() == []


def test_an_upgrade_on_sqlite_leaves_no_reference_into_nothing(
    bare_sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = Database(bare_sqlite_url)

    def break_it(config: Any, _revision: str) -> None:
        connection = config.attributes["connection"]
        connection.exec_driver_sql("CREATE TABLE parent (id integer PRIMARY KEY)")
        connection.exec_driver_sql("CREATE TABLE child (parent integer REFERENCES parent (id))")
        connection.exec_driver_sql("INSERT INTO child VALUES (7)")

    monkeypatch.setattr(command, "upgrade", break_it)
    with pytest.raises(RuntimeError, match="reference into nothing"):
        migrations.upgrade(database)
    with database.reading() as connection:
        assert connection.exec_driver_sql("PRAGMA foreign_keys").scalar() == 1  # enforced again
    database.dispose()


def test_an_older_program_leaves_the_tables_of_a_newer_one_alone(bare_database: Database) -> None:
    migrations.upgrade(bare_database)
    with bare_database.transaction() as connection:
        connection.execute(sa.text("UPDATE alembic_version SET version_num = 'of the next version'"))
    assert migrations.suffices(bare_database)
    migrations.upgrade(bare_database)
    with bare_database.reading() as connection:
        assert connection.scalar(sa.text("SELECT version_num FROM alembic_version")) == "of the next version"


@pytest.mark.parametrize("has_moved", [False, True])
def test_what_lay_where_it_lies_before_moves_were_remembered_is_native_unless_anything_moved(
    bare_database: Database, has_moved: bool
) -> None:
    with bare_database.transaction() as connection:
        command.upgrade(migrations.config(connection), "0002")
        office = {"id": 1, "level": "ministry", "name": "教育部", "active": True}
        connection.execute(sa.insert(organisation), office)
        old = sa.table(
            "organisation_ancestor", *(sa.column(name) for name in ("descendant_id", "ancestor_id", "depth"))
        )
        connection.execute(sa.insert(old), {"descendant_id": 1, "ancestor_id": 1, "depth": 0})
        action = "organisation.moved" if has_moved else "organisation.renamed"
        audit.record(connection, SYSTEM, action, "organisation", 1, at=datetime(2026, 9, 1, tzinfo=UTC))
    migrations.upgrade(bare_database)
    with bare_database.transaction() as connection:
        assert organisations.is_native(connection, 1, 1) is not has_moved
        # What a program of the version before adds meanwhile.
        connection.execute(sa.insert(organisation), office | {"id": 2})
        connection.execute(sa.insert(old), {"descendant_id": 2, "ancestor_id": 2, "depth": 0})
        assert not organisations.is_native(connection, 2, 2)
