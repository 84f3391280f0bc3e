"""The command, as somebody at a terminal meets it."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil
import pytest
import sqlalchemy as sa
from click.testing import CliRunner, Result

from engine import accounts, migrations
from engine.application import Application
from engine.audit import audit_entry
from engine.cli import main
from engine.db import Database
from engine.jobs import job_process
from engine.settings import Settings, processes_folder
from tests.faults.processes import free_port, status, until

ROOT = Path(__file__).parents[2]
Command = Callable[..., Result]


def url_of(database: Database) -> str:
    return database.url.render_as_string(hide_password=False)


@pytest.fixture
def xueji(bare_database: Database, monkeypatch: pytest.MonkeyPatch) -> Command:
    """The command on a database that is up to date."""
    migrations.upgrade(bare_database)
    return command_on(bare_database, monkeypatch)


def command_on(database: Database, monkeypatch: pytest.MonkeyPatch) -> Command:
    monkeypatch.setenv("XUEJI_DATABASE_URL", url_of(database))
    monkeypatch.setenv("LC_ALL", "en_US.UTF-8")
    return lambda *words, typed=None: CliRunner().invoke(main, words, input=typed)


def test_db_upgrade_makes_a_database_that_other_commands_accept(
    bare_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    xueji = command_on(bare_database, monkeypatch)
    refused = xueji("procedures", "list")
    assert refused.exit_code == 1
    assert "xueji db upgrade" in refused.output
    assert xueji("db", "upgrade").exit_code == 0
    assert xueji("procedures", "list").exit_code == 0


def test_a_setting_that_can_not_be_read_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XUEJI_DEMO", "perhaps")
    result = CliRunner().invoke(main, ["db", "upgrade"])
    assert (result.exit_code, "XUEJI_DEMO" in result.output) == (1, True)


@pytest.mark.parametrize("url", ["postgres://xueji@host/xueji", "postgresql+psycopg2://host/xueji", "xueji", "foo://"])
def test_an_address_that_leads_to_no_database_is_told_how_to_write_one(
    monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    monkeypatch.setenv("XUEJI_DATABASE_URL", url)
    refused = CliRunner().invoke(main, ["procedures", "list"])
    assert refused.exit_code == 1
    assert "Write sqlite:///" in refused.output


def test_a_server_that_refuses_is_told_from_one_that_is_away(
    postgresql_server: sa.URL, monkeypatch: pytest.MonkeyPatch
) -> None:
    refused_url = postgresql_server.set(drivername="postgresql+psycopg", database="nowhere")
    monkeypatch.setenv("XUEJI_DATABASE_URL", refused_url.render_as_string(hide_password=False))
    refused = CliRunner().invoke(main, ["procedures", "list"]).output
    assert 'refuses (database "nowhere" does not exist)' in refused
    monkeypatch.setenv("XUEJI_DATABASE_URL", "postgresql+psycopg://xueji@127.0.0.1:1/xueji")
    assert "does not answer" in CliRunner().invoke(main, ["procedures", "list"]).output


def test_a_port_that_there_is_not_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XUEJI_METRICS_PORT", "99999")
    result = CliRunner().invoke(main, ["db", "upgrade"])
    assert (result.exit_code, "XUEJI_METRICS_PORT" in result.output) == (1, True)


# ---- procedures


def test_the_shipped_procedures_pass_their_own_check(xueji: Command) -> None:
    result = xueji("procedures", "check")
    assert result.exit_code == 0, result.output


def test_a_file_that_is_no_diagram_is_a_finding(xueji: Command, tmp_path: Path) -> None:
    file = tmp_path / "broken.bpmn"
    file.write_text("<not>closed")
    result = xueji("procedures", "check", str(file), "--format", "json")
    assert result.exit_code == 1
    (finding,) = json.loads(result.output)["findings"]
    assert set(finding) == {"file", "rule", "severity", "element", "message"}
    assert finding["severity"] == "error"


def prepare(database: Database) -> None:
    """The first start, which deploys what is shipped."""
    application = Application(Settings(database_url=url_of(database)))
    application.prepare()
    application.close()


def in_force(xueji: Command) -> list[tuple[str, str, int, str]]:
    listed = json.loads(xueji("procedures", "list", "--format", "json").output)
    return [(version["regime"], version["kind"], version["number"], version["state"]) for version in listed]


def test_a_file_that_is_in_force_is_left_as_it_is(xueji: Command, bare_database: Database) -> None:
    prepare(bare_database)
    file = processes_folder() / "anhui" / "transfer.bpmn"
    assert ("anhui", "transfer", 1, "deployed") in in_force(xueji)
    assert "exactly this file" in xueji("procedures", "deploy", str(file)).output
    assert ("anhui", "transfer", 2, "deployed") not in in_force(xueji)


def test_a_changed_file_is_deployed_from_the_day_that_is_given(
    xueji: Command, bare_database: Database, tmp_path: Path
) -> None:
    prepare(bare_database)
    shipped = (processes_folder() / "anhui" / "transfer.bpmn").read_text("utf-8")
    file = tmp_path / "transfer.bpmn"
    file.write_text(shipped + "<!-- changed -->", "utf-8")
    day = f"{datetime.now(UTC).year + 5}-01-01"
    result = xueji("procedures", "deploy", str(file), "--regime", "anhui", "--from", day)
    assert result.exit_code == 0, result.output
    assert f"version 2 of anhui/transfer, in force from {day} 00:00" in result.output
    assert ("anhui", "transfer", 2, "deployed") in in_force(xueji)


def test_a_file_with_errors_is_not_deployed(xueji: Command, bare_database: Database, tmp_path: Path) -> None:
    prepare(bare_database)
    file = tmp_path / "transfer.bpmn"
    file.write_text("<not>closed")
    assert xueji("procedures", "deploy", str(file), "--regime", "anhui").exit_code == 1
    assert ("anhui", "transfer", 2, "draft") not in in_force(xueji)


# ---- accounts


def test_the_first_account_administers_the_ministry(xueji: Command, bare_database: Database) -> None:
    result = xueji("accounts", "add", "admin", "--name", "王小明", typed="correct horse battery\n")
    assert result.exit_code == 0, result.output
    assert "admin is administrator of 教育部." in result.output
    with bare_database.reading() as connection:
        person = connection.execute(sa.select(accounts.person)).one()
        (membership,) = accounts.memberships_of(connection, person.id)
    assert (person.login, person.password_temporary) == ("admin", True)
    assert (membership.organisation_level, membership.duty) == ("ministry", "administrator")
    assert xueji("accounts", "add", "second", "--name", "李明", typed="correct horse battery\n").exit_code == 0


def test_what_is_wrong_with_an_account_is_said_in_words(xueji: Command) -> None:
    for words, typed in [
        (("admin", "--name", "王小明"), "short\n"),
        (("a", "--name", "王小明"), "correct horse battery\n"),
        (("admin", "--name", "王小明", "--organisation", "nowhere"), "correct horse battery\n"),
    ]:
        result = xueji("accounts", "add", *words, typed=typed)
        assert result.exit_code == 1
        assert result.output.startswith("Error: ")
        assert "Traceback" not in result.output


# ---- serving


@pytest.fixture
def run(database_served: Database) -> Iterator[Callable[..., subprocess.Popen[bytes]]]:
    """Start the command as a process of its own; settings are given by their names."""
    processes = []

    def start(*words: str, **settings: str) -> subprocess.Popen[bytes]:
        given = {f"XUEJI_{name.upper()}": value for name, value in settings.items()}
        environment = {**os.environ, "XUEJI_DATABASE_URL": url_of(database_served), "PYTHONPATH": str(ROOT), **given}
        command = [sys.executable, "-c", "from engine.cli import main; main()", *words]
        processes.append(subprocess.Popen(command, env=environment))
        return processes[-1]

    yield start
    for process in processes:
        if process.poll() is None:
            process.kill()
            process.wait(30)


@pytest.fixture
def database_served(bare_database: Database) -> Database:
    migrations.upgrade(bare_database)
    return bare_database


def test_serving_begins_answers_and_ends_cleanly(run: Any, database_served: Database) -> None:
    port = free_port()
    address, process = f"http://127.0.0.1:{port}", run("serve", "--port", str(port))
    assert answer(f"{address}/healthz")[0] == 200
    with database_served.reading() as connection:
        assert connection.execute(sa.select(job_process)).all() != []
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == 0
    with database_served.reading() as connection:
        assert connection.execute(sa.select(job_process)).all() == []


def test_who_serves_may_leave_the_background_work_to_a_worker(run: Any, database_served: Database) -> None:
    port, metrics = free_port(), free_port()
    serving = run("serve", "--port", str(port), run_jobs="0", drain_seconds="2")
    assert answer(f"http://127.0.0.1:{port}/readyz")[0] == 200
    with database_served.reading() as connection:
        assert connection.execute(sa.select(job_process)).all() == []

    working = run("worker", metrics_port=str(metrics))
    rounds = 'xueji_job_seconds_count{end="done",name="sweep"}'
    until(lambda: rounds in answer(f"http://127.0.0.1:{metrics}/metrics")[1])
    working.send_signal(signal.SIGTERM)
    assert working.wait(60) == 0
    with database_served.reading() as connection:
        assert connection.execute(sa.select(job_process)).all() == []

    serving.send_signal(signal.SIGTERM)
    until(lambda: status(f"http://127.0.0.1:{port}/readyz") == 503)
    assert status(f"http://127.0.0.1:{port}/healthz") == 200
    assert serving.wait(60) == 0


@pytest.mark.parametrize("form", ["xes", "ocel2"])
def test_log_export_writes_a_file_and_says_so_in_the_audit_log(
    xueji: Command, bare_database: Database, tmp_path: Path, form: str
) -> None:
    file = tmp_path / "log"
    refused = xueji("log", "export", "--format", form)
    assert "--reason" in refused.output
    assert xueji("log", "export", "--format", form, "--reason", "年度检查", "--output", str(file)).exit_code == 0
    assert file.read_text("utf-8").rstrip().endswith("</log>" if form == "xes" else "}")
    assert xueji("log", "export", "--format", form, "--reason", "年度检查").stdout == file.read_text("utf-8")
    with bare_database.reading() as connection:
        assert connection.scalars(sa.select(audit_entry.c.action)).all() == ["log.exported"] * 2


def test_what_a_server_has_started_ends_with_it(run: Any, database_served: Database) -> None:
    port = free_port()
    server = run("serve", "--port", str(port))
    assert answer(f"http://127.0.0.1:{port}/healthz")[0] == 200
    serving = psutil.Process(server.pid).children()
    server.kill()
    assert psutil.wait_procs(serving, timeout=60)[1] == []
    with database_served.reading() as connection:
        assert connection.execute(sa.select(job_process)).all() == []


def answer(address: str) -> tuple[int, str]:
    pause = threading.Event()
    for _ in range(900):
        try:
            with urllib.request.urlopen(address, timeout=10) as response:
                return response.status, response.read().decode()
        except OSError:
            pause.wait(0.1)
    raise AssertionError("The server did not answer within a minute and a half.")


@pytest.mark.parametrize("command", ["demo", "serve"])
def test_a_server_shares_its_port_with_nobody(
    bare_database: Database, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    monkeypatch.setattr("engine.cli._PORT_PATIENCE", 0)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        refused = command_on(bare_database, monkeypatch)(command, "--port", str(taken.getsockname()[1]))
    assert refused.exit_code == 1
    assert "Choose another port." in refused.output
    assert not migrations.suffices(bare_database)


def test_a_port_that_a_killed_server_still_holds_is_waited_for(xueji: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    served: list[int] = []
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        monkeypatch.setattr("engine.cli.time.sleep", lambda _seconds: taken.close())
        monkeypatch.setattr("engine.cli._serve", lambda _host, port, *_: served.append(port))
        assert xueji("serve", "--port", str(port)).exit_code == 0
    assert served == [port]
