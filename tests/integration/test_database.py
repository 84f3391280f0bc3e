"""Transactions: what stands, what falls, and who waits for whom. The same promises on both dialects."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import psycopg
import pytest
import sqlalchemy as sa

from engine import audit
from engine.audit import NEW_ENTRY, SYSTEM, audit_entry
from engine.db import Database, UtcDateTime, clear, savepoint
from engine.errors import describe
from engine.outages import is_outage
from engine.prepared import Prepared, among

MORNING = datetime(2026, 9, 22, 9, 0, tzinfo=ZoneInfo("Asia/Shanghai"))


def record(connection: sa.Connection, action: str = "task.completed") -> None:
    audit.record(connection, SYSTEM, action, "task", 1, at=MORNING)


def count(database: Database) -> int:
    with database.reading() as connection:
        return connection.scalar(sa.select(sa.func.count()).select_from(audit_entry)) or 0


def test_what_a_transaction_wrote_stands_when_it_ends(database: Database) -> None:
    with database.transaction() as connection:
        record(connection)
    assert count(database) == 1


def test_nothing_of_a_transaction_that_raised_remains(database: Database) -> None:
    def fail() -> None:
        with database.transaction() as connection:
            record(connection)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert count(database) == 0


def test_a_reader_can_not_write(database: Database) -> None:
    with pytest.raises(sa.exc.DBAPIError), database.reading() as connection:
        record(connection)
    assert count(database) == 0


def test_an_error_of_the_database_quotes_no_values(database: Database) -> None:
    with pytest.raises(sa.exc.IntegrityError) as error, database.transaction() as connection:
        connection.execute(audit_entry.insert(), {"at": MORNING, "duty": "机密", "action": None})
    assert "机密" not in describe(error.value)


ROW = audit.entry(SYSTEM, "task.completed", "task", 1, at=MORNING)
COUNT = Prepared(sa.select(sa.func.count().label("number")).select_from(audit_entry))


def actions(connection: sa.Connection) -> list[str]:
    return list(connection.scalars(sa.select(audit_entry.c.action).order_by(audit_entry.c.id)))


def test_what_is_written_later_is_there_for_whoever_asks_next_in_its_order(database: Database) -> None:
    with database.transaction() as connection:
        for action in ("task.completed", "task.opened"):
            NEW_ENTRY.later(connection, ROW | {"action": action})
        assert actions(connection) == ["task.completed", "task.opened"]
        NEW_ENTRY.later(connection, ROW | {"action": "case.ended"})
        NEW_ENTRY.run(connection, ROW | {"action": "case.started"})
        NEW_ENTRY.later(connection, ROW | {"action": "case.seen"})
    with database.reading() as connection:
        assert actions(connection) == ["task.completed", "task.opened", "case.ended", "case.started", "case.seen"]


def test_what_is_asked_later_is_told_before_the_next_answer(database: Database) -> None:
    told: list[int] = []
    with database.transaction() as connection:
        NEW_ENTRY.later(connection, ROW)
        COUNT.later_rows(connection, {}, lambda rows: told.append(rows[0].number))
        NEW_ENTRY.later(connection, ROW)
        assert COUNT.rows(connection, {}, last=True)[0].number == 2
    assert told == [1]


@pytest.mark.parametrize("last", [False, True], ids=["at its end", "with the last question"])
def test_whoever_is_told_late_can_still_prevent_the_transaction(database: Database, last: bool) -> None:
    def refuse(_rows: list[Any]) -> None:
        raise RuntimeError

    def fail() -> None:
        with database.transaction() as connection:
            COUNT.later_rows(connection, {}, refuse)
            NEW_ENTRY.later(connection, ROW)
            if last:
                COUNT.rows(connection, {}, last=True)

    with pytest.raises(RuntimeError):
        fail()
    assert count(database) == 0
    with database.transaction() as connection:
        record(connection)
    assert count(database) == 1


def test_who_waits_for_an_answer_is_told_it_even_if_what_travelled_with_it_was_refused(database: Database) -> None:
    """Otherwise the transaction would end without whoever could prevent it."""
    told: list[int] = []
    with suppress(sa.exc.DBAPIError), database.transaction() as connection:
        COUNT.later_rows(connection, {}, lambda rows: told.append(rows[0].number))
        with suppress(sa.exc.IntegrityError), savepoint(connection):
            NEW_ENTRY.run(connection, ROW | {"duty": None})
        NEW_ENTRY.later(connection, ROW)
    assert count(database) == len(told[:1])


@pytest.mark.parametrize("others", [0, 1], ids=["alone", "with another"])
def test_a_row_that_is_refused_takes_its_transaction_with_it(database: Database, others: int) -> None:
    def fail() -> None:
        with database.transaction() as connection:
            record(connection)
            for row in [ROW] * others + [ROW | {"duty": None}]:
                NEW_ENTRY.later(connection, row)

    with pytest.raises(sa.exc.IntegrityError) as error:
        fail()
    assert "task.completed" not in describe(error.value)
    assert count(database) == 0
    with database.transaction() as connection:
        record(connection)
    assert count(database) == 1


def test_what_is_written_later_in_a_transaction_that_raises_is_never_written(database: Database) -> None:
    def fail() -> None:
        with database.transaction() as connection:
            NEW_ENTRY.later(connection, ROW)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    with database.transaction() as connection:
        NEW_ENTRY.later(connection, ROW | {"action": "task.opened"})
    with database.reading() as connection:
        assert actions(connection) == ["task.opened"]


def test_the_last_question_of_a_transaction_sees_what_it_wrote_and_all_of_it_stands(database: Database) -> None:
    with database.transaction() as connection:
        NEW_ENTRY.later(connection, ROW)
        assert [row.number for row in COUNT.rows(connection, {}, last=True)] == [1]
    assert count(database) == 1


def test_where_the_last_question_finds_a_row_refused_nothing_stands(database: Database) -> None:
    def fail() -> None:
        with database.transaction() as connection:
            NEW_ENTRY.later(connection, ROW)
            NEW_ENTRY.later(connection, ROW | {"duty": None})
            COUNT.rows(connection, {}, last=True)

    with pytest.raises(sa.exc.IntegrityError):
        fail()
    assert count(database) == 0


@pytest.mark.parametrize("write", [Prepared.run, Prepared.later], ids=["at once", "later"])
def test_what_is_tried_in_vain_is_undone_alone(database: Database, write: Callable[..., None]) -> None:
    def tried(connection: sa.Connection, *rows: dict[str, Any], fail: bool = False) -> None:
        with savepoint(connection):
            for row in rows:
                write(NEW_ENTRY, connection, row)
            if fail:
                raise ZeroDivisionError

    with database.transaction() as connection:
        tried(connection)
        NEW_ENTRY.later(connection, ROW)
        with pytest.raises(sa.exc.IntegrityError):
            tried(connection, ROW | {"action": "task.lost"}, ROW | {"duty": None})
        with pytest.raises(ZeroDivisionError):
            tried(connection, ROW | {"action": "task.lost"}, fail=True)
        if write is Prepared.later and not database.is_sqlite:
            # Never sent, and so never refused.
            with pytest.raises(ZeroDivisionError):
                tried(connection, ROW, ROW | {"duty": None}, fail=True)
        tried(connection, ROW | {"action": "task.opened"})
    with database.reading() as connection:
        assert actions(connection) == ["task.completed", "task.opened"]


def test_whoever_is_interrupted_at_the_commit_leaves_nothing_to_the_next(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    if database.is_sqlite:
        return

    def interrupted(*_: Any) -> None:
        raise KeyboardInterrupt

    def fail(act: Callable[[sa.Connection], None]) -> None:
        with database.transaction() as connection:
            record(connection)
            NEW_ENTRY.later(connection, ROW)
            with monkeypatch.context() as patched:
                patched.setattr(psycopg.Connection, "wait", interrupted)
                act(connection)

    for act in (sa.Connection.commit, clear):
        with pytest.raises(KeyboardInterrupt):
            fail(act)
        with database.transaction() as connection:
            assert actions(connection) == []


def test_a_statement_that_the_server_has_forgotten_is_prepared_anew(database: Database) -> None:
    if database.is_sqlite:
        return

    def ask() -> None:
        with database.transaction() as connection:
            COUNT.first(connection, {})
            connection.execute(sa.text("DEALLOCATE ALL"))

    ask()
    with pytest.raises(sa.exc.DBAPIError):
        ask()
    ask()


@pytest.mark.parametrize("write", [Prepared.run, Prepared.later], ids=["at once", "later"])
def test_a_connection_that_the_server_has_ended_is_an_outage_and_the_next_one_works(
    database: Database, write: Callable[..., None]
) -> None:
    if database.is_sqlite:
        return

    def fail() -> None:
        with database.transaction() as connection:
            pid = connection.scalar(sa.text("SELECT pg_backend_pid()"))
            with database.reading() as other:
                other.execute(sa.text("SELECT pg_terminate_backend(:pid, 5000)"), {"pid": pid})
            with savepoint(connection):
                write(NEW_ENTRY, connection, ROW)

    with pytest.raises(sa.exc.OperationalError) as error:
        fail()
    assert is_outage(error.value)
    with database.transaction() as connection:
        write(NEW_ENTRY, connection, ROW)
    assert count(database) == 1


def test_a_prepared_statement_answers_as_it_would_by_itself(database: Database) -> None:
    columns = audit_entry.c
    selected = sa.select(columns.at, columns.duty, columns.after, columns.case_id).where(
        columns.action == sa.bindparam("of_action"), columns.subject_kind == "task"
    )
    with database.transaction() as connection:
        NEW_ENTRY.run(connection, ROW | {"after": {"opinion": "同意"}, "case_id": None})
    with database.reading() as connection:
        [row] = Prepared(selected).rows(connection, {"of_action": "task.completed"})
        assert tuple(row) == tuple(connection.execute(selected, {"of_action": "task.completed"}).one())
        assert row.after == {"opinion": "同意"}
        assert row.at.tzinfo is UTC
        assert Prepared(selected).first(connection, {"of_action": "task.opened"}) is None


@pytest.mark.parametrize("kind", ["it's", "5 %", "%s", "%(of_action)s", "?", "100%%s"])
def test_what_a_prepared_statement_compares_with_is_part_of_its_text(database: Database, kind: str) -> None:
    columns = audit_entry.c
    selected = sa.select(columns.action).where(
        columns.action == sa.bindparam("of_action"), columns.subject_kind == kind, columns.duty == "operator"
    )
    with database.transaction() as connection:
        NEW_ENTRY.run(connection, ROW | {"subject_kind": kind, "duty": "operator"})
        NEW_ENTRY.run(connection, ROW | {"subject_kind": "another", "duty": "operator"})
    heard: list[Any] = []
    sa.event.listen(database._reader, "before_cursor_execute", lambda *heard_of: heard.append(heard_of[3]))
    with database.reading() as connection:
        assert Prepared(selected).rows(connection, {"of_action": ROW["action"]}) == [(ROW["action"],)]
    assert [len(values) for values in heard] == [1]


@pytest.mark.parametrize("wanted", [[], [7], [9, 7, 9, 404, 2**40]])
def test_what_is_among_some_ids_is_found_by_one_text_for_any_number_of_them(
    database: Database, wanted: list[int]
) -> None:
    with database.transaction() as connection:
        for case_id in (7, 8, 9):
            NEW_ENTRY.run(connection, ROW | {"case_id": case_id})
    chosen = Prepared(sa.select(audit_entry.c.case_id).where(among(audit_entry.c.case_id, "wanted")))
    with database.reading() as connection:
        found = [row.case_id for row in chosen.rows(connection, {"wanted": wanted})]
    assert sorted(found) == sorted({7, 8, 9} & set(wanted))


def test_a_prepared_statement_asks_for_every_value(database: Database) -> None:
    selected = sa.select(audit_entry).where(audit_entry.c.action == sa.bindparam("of_action"))
    with pytest.raises(KeyError, match="of_action"), database.reading() as connection:
        Prepared(selected).rows(connection, {})


def test_an_instant_comes_back_aware_and_in_utc(database: Database) -> None:
    with database.transaction() as connection:
        record(connection)
    with database.reading() as connection:
        at = connection.scalar(sa.select(audit_entry.c.at))
    assert at == MORNING
    assert at.tzinfo is UTC


def test_an_instant_without_its_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="time zone"):
        UtcDateTime().process_bind_param(datetime(2026, 9, 22), sa.create_engine("sqlite://").dialect)  # noqa: DTZ001


def test_a_writer_that_read_first_waits_for_its_turn_and_loses_nothing(database: Database) -> None:
    """Two writers read, then write. On SQLite a transaction that had not begun as a writer would fail at once."""
    with database.transaction() as connection:
        record(connection)
    read, errors = threading.Barrier(2, timeout=20), []

    def read_then_write() -> None:
        try:
            read.wait()
            with database.transaction() as connection:
                row = sa.select(audit_entry.c.id, audit_entry.c.subject_id).with_for_update()
                found = connection.execute(row).one()
                connection.execute(audit_entry.update().values(subject_id=found.subject_id + 1))
        except Exception as error:  # a thread's error would be lost
            errors.append(error)

    writers = [threading.Thread(target=read_then_write) for _ in range(2)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert not errors
    with database.reading() as connection:
        assert connection.scalar(sa.select(audit_entry.c.subject_id)) == 3


def test_a_writer_waits_for_another_process_and_says_so_where_that_takes_too_long(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not database.is_sqlite:
        return

    def write() -> None:
        with database.transaction() as connection:
            record(connection)

    waits, sleep = threading.Event(), time.sleep
    monkeypatch.setattr(time, "sleep", lambda seconds: (waits.set(), sleep(seconds)))
    # As another process has it: with nothing in common but the file.
    other = Database(database.url.render_as_string(hide_password=False))
    with other.transaction() as connection:
        record(connection)
        with monkeypatch.context() as patched:
            patched.setattr("engine.db._WAIT_SECONDS", 0.01)
            with pytest.raises(sa.exc.OperationalError) as error:
                write()
        assert is_outage(error.value)
        waits.clear()
        writer = threading.Thread(target=write)
        writer.start()
        assert waits.wait(20)
    writer.join()
    other.dispose()
    assert count(database) == 2


def test_a_reference_into_nothing_is_refused(database: Database) -> None:
    with database.transaction() as connection:
        connection.exec_driver_sql("CREATE TABLE parent_of_test (id integer PRIMARY KEY)")
        connection.exec_driver_sql("CREATE TABLE child_of_test (parent integer REFERENCES parent_of_test (id))")
    try:
        with pytest.raises(sa.exc.IntegrityError), database.transaction() as connection:
            connection.exec_driver_sql("INSERT INTO child_of_test VALUES (7)")
    finally:
        with database.transaction() as connection:
            connection.exec_driver_sql("DROP TABLE child_of_test")
            connection.exec_driver_sql("DROP TABLE parent_of_test")


def test_each_test_finds_its_database_empty(database: Database) -> None:
    assert count(database) == 0


def test_a_bare_database_has_no_table(bare_database: Database) -> None:
    assert sa.inspect(bare_database.engine).get_table_names() == []


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_a_transaction_that_was_left_open_is_found_by_nobody(database):
    with database.engine.connect() as connection:
        # As if it had been interrupted between the two.
        connection.connection.driver_connection.execute("BEGIN IMMEDIATE")
    with database.transaction() as connection:
        assert connection.scalar(sa.select(1)) == 1
