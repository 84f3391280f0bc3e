"""The command `xueji`: what people do at a terminal. Each command parses, calls the engine, and says what came of it.

Errors speak the terminal's language, from the pages' translations; everything else is English.
"""

from __future__ import annotations

import errno
import gc
import json
import os
import re
import signal
import socket
import sqlite3
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, nullcontext
from dataclasses import asdict, replace
from datetime import datetime
from multiprocessing.util import Finalize
from pathlib import Path
from typing import Any

import click
import sqlalchemy as sa
from babel import default_locale
from babel.support import NullTranslations, Translations
from flask import Flask
from granian.constants import Interfaces, Loops
from granian.log import LogLevels
from granian.server.mp import MPServer
from sqlalchemy.engine import Connection

import web
from engine import accounts, bench, comparison, demo, eventlog, logs, metrics, migrations, procedures, reports
from engine.application import Application, system_clock
from engine.audit import SYSTEM
from engine.bpmn.checks import Finding, blocks
from engine.comparison import Side, Words
from engine.errors import Conflict, NotFound, XuejiError
from engine.outages import is_outage
from engine.permissions import DUTIES
from engine.registry import organisations
from engine.registry.organisations import Organisation
from engine.registry.tables import organisation
from engine.settings import Settings, processes_folder
from engine.workdays import SHANGHAI

_HOST = click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
_PORT = click.option("--port", default=8000, show_default=True, help="The port to listen on.")
_FORMAT = click.option(
    "--format", "form", type=click.Choice(["text", "json"]), default="text", show_default=True, help="How to print it."
)


# Sent by the server to its processes, in which it means nothing else.
_DRAIN = signal.SIGUSR1
# Seconds in which what a killed server has left is gone.
_PORT_PATIENCE = 5.0
_LOG_LIKE_THE_REST = {
    "formatters": {},
    "handlers": {},
    "loggers": {"_granian": {"handlers": [], "propagate": True}},
}


class _Group(click.Group):
    """Commands whose errors are told in words, with what to do next, and end with status 1."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except XuejiError as error:
            raise click.ClickException(_in_words(error)) from error


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="xueji")
def main() -> None:
    """Xueji (学籍转接): transfers of student records, run as BPMN diagrams through a web inbox.

    Settings are read from the environment: XUEJI_DATABASE_URL says where everything is kept, an SQLite file
    (sqlite:///var/xueji.db, the default) or PostgreSQL (postgresql+psycopg://user@host/name).
    """


# ---- serving


@main.command()
@_HOST
@_PORT
@click.option("--workers", default=1, show_default=True, help="How many processes answer requests.")
@click.option("--threads", default=4, show_default=True, help="How many requests each of them answers at a time.")
def serve(host: str, port: int, workers: int, threads: int) -> None:
    """Serve the pages.

    The background work is done in the same processes, unless XUEJI_RUN_JOBS=0 leaves it to `xueji worker`. The first
    start deploys the procedures that Xueji ships. TLS belongs in front of it. SIGTERM ends it: requests that have begun
    are answered, jobs have ten seconds to end.
    """
    _require_free(host, port)
    with _application() as application:
        logs.configure(application.settings)
        application.prepare()
        drain_seconds = application.settings.drain_seconds
    _serve(host, port, workers, threads, drain_seconds)


@main.command()
def worker() -> None:
    """Do the background work, and serve nothing.

    As many of these as there is work for may stand beside processes that serve, on one machine or on several. Whichever
    of all of them is the eldest makes the rounds; what a dead one has left, another one takes over.
    """
    ending = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ending.set())
    with _application() as application:
        logs.configure(application.settings)
        _offer_metrics(application)
        application.jobs.start()
        ending.wait()


@main.command("demo")
@_HOST
@_PORT
def play(host: str, port: int) -> None:
    """Serve a demo world.

    An empty database is filled with schools, students and transfers, a filled one is kept. Every account is offered
    on the login page with one click, and the session cookie travels without HTTPS. Never do this with real data.
    """
    _require_free(host, port)
    os.environ |= {"XUEJI_DEMO": "1", "XUEJI_SECURE_COOKIES": "0"}  # for the serving processes, which read it again
    os.environ.setdefault("XUEJI_LOG_LEVEL", "warning")
    with _application(must_suffice=False) as application:
        logs.configure(application.settings)
        migrations.upgrade(application.database)
        application.prepare()
        demo.seed(application)
        described = demo.describe(application)
    click.echo(f"\n{described}\n\nhttp://{host}:{port}   Ctrl+C ends the demo and keeps its data.\n")
    _serve(host, port, workers=1, threads=4)


def _require_free(host: str, port: int) -> None:
    """Two servers can share a port, and answer in turn: nobody would know which of two worlds is in view.

    The processes of a server that was killed hold its port until they have noticed. They are waited for, so that
    whatever has killed it can start it again at once.
    """
    patience = time.monotonic() + _PORT_PATIENCE
    while True:
        try:
            socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET).close()
            return
        except OSError as error:
            if error.errno != errno.EADDRINUSE or time.monotonic() > patience:
                raise click.ClickException(
                    f"Nothing can listen on {host}:{port} ({error.strerror}). Choose another port."
                ) from error
        time.sleep(0.1)


class _Server(MPServer):
    """The server, which is in no hurry to end: those who send requests here must first hear that they should not."""

    drain_seconds = 0

    def signal_handler_interrupt(self, *received: Any) -> None:
        if not self.drain_seconds or received[0] != signal.SIGTERM:
            super().signal_handler_interrupt(*received)  # type: ignore[no-untyped-call]
            return
        for serving in self.wrks:
            os.kill(serving.inner.pid, _DRAIN)
        end = threading.Timer(self.drain_seconds, super().signal_handler_interrupt, received)
        end.daemon = True
        end.start()
        self.drain_seconds = 0  # whoever asks twice means it


def _serve(host: str, port: int, workers: int, threads: int, drain_seconds: int = 0) -> None:
    server = _Server(
        "engine.cli:pages",
        factory=True,
        address=host,
        port=port,
        interface=Interfaces.WSGI,
        loop=Loops.asyncio,
        workers=workers,
        blocking_threads=threads,
        log_level=LogLevels.warning,
        respawn_failed_workers=True,
        # Running jobs have ten seconds to end, and a busy machine some more to say goodbye.
        workers_kill_timeout=30,
        log_dictconfig=_LOG_LIKE_THE_REST,
    )
    server.drain_seconds = drain_seconds
    server.serve()


def pages() -> Flask:
    """The WSGI application of one serving process, its background work begun."""
    application = Application(Settings.read())
    logs.configure(application.settings)
    signal.signal(_DRAIN, lambda *_: setattr(application, "draining", True))
    threading.Thread(target=_end_with, args=(os.getppid(),), daemon=True).start()
    _offer_metrics(application)
    if application.settings.run_jobs:
        application.jobs.start()
        # The server's processes are ended by multiprocessing, which calls this, and not `atexit`.
        Finalize(None, application.close, exitpriority=1)
    app = web.create_app(application)
    # What is there from the start stays: no request has to wait until all of it has been looked through for garbage.
    gc.collect()
    gc.freeze()
    return app


def _end_with(server: int) -> None:
    """End when the server that started this process is gone. It would go on for ever, on the port of the next one."""
    pause = threading.Event()
    while os.getppid() == server:
        pause.wait(1)
    os.kill(os.getpid(), signal.SIGTERM)


def _offer_metrics(application: Application) -> None:
    settings = application.settings
    if settings.metrics_port:
        metrics.serve(settings.metrics_host, settings.metrics_port, application.figures)


# ---- the database


@main.group(cls=_Group)
def db() -> None:
    """The database and its tables."""


@db.command()
def upgrade() -> None:
    """Create or update the tables.

    In the database that XUEJI_DATABASE_URL names. All of it or none; run it again at will, but make a backup first.
    """
    with _application(must_suffice=False) as application:
        migrations.upgrade(application.database)
    click.echo("The database is up to date.")


@db.command()
@click.argument("file", type=click.Path(exists=False, dir_okay=False, path_type=Path))
def backup(file: Path) -> None:
    """Copy an SQLite database into FILE.

    It may be in use meanwhile: the copy is of one moment. To restore it, put it in the place of the other one while
    nothing runs. Backups of PostgreSQL are made by its own pg_dump, and restored by pg_restore.
    """
    if file.exists():
        raise click.ClickException(f"{file} is there already.")
    with _application(must_suffice=False) as application:
        if not application.database.is_sqlite:
            raise click.ClickException("This is PostgreSQL. Run: pg_dump --format custom --file FILE DATABASE")
        with closing(sqlite3.connect(file)) as copy, application.database.reading() as connection:
            driver = connection.connection.driver_connection
            assert isinstance(driver, sqlite3.Connection)
            driver.backup(copy)
    click.echo(f"{file}: {file.stat().st_size / 1e6:.1f} MB.")


# ---- procedures


@main.group("procedures", cls=_Group)
def procedures_() -> None:
    """The procedures and their versions."""


@procedures_.command("list")
@_FORMAT
def list_versions(form: str) -> None:
    """List every version.

    Its regime, kind and number, its state, since when it is in force, and the beginning of its hash.
    """
    columns = procedures.procedure_version.c
    chosen = (columns.regime, columns.kind, columns.number, columns.state, columns.effective_from, columns.sha256)
    with _application() as application, application.database.reading() as connection:
        order = sa.select(*chosen).order_by(columns.regime, columns.kind, columns.number)
        versions = connection.execute(order).all()
    if form == "json":
        click.echo(json.dumps([_plain(version._asdict()) for version in versions], indent=2))
        return
    for version in versions:
        since = f"since {version.effective_from.astimezone(SHANGHAI):%Y-%m-%d %H:%M}" if version.effective_from else ""
        name = f"{version.regime}/{version.kind} {version.number}"
        click.echo(f"{name:<28}{version.state:<10}{since:<24}{version.sha256[:12]}")


@procedures_.command()
@click.argument("files", nargs=-1, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@_FORMAT
def check(files: tuple[Path, ...], form: str) -> None:
    """Check BPMN files.

    Says what would keep FILES from being deployed, and what else their author should know; without FILES, of those
    that Xueji ships. A document.csv beside a file is checked with it. Ends with status 1 if there is an error among
    the findings.
    """
    found = [(file, finding) for file in files or _shipped() for finding in _findings(file)]
    if form == "json":
        click.echo(json.dumps({"findings": [_as_json(*pair) for pair in found]}, ensure_ascii=False, indent=2))
    else:
        for file, finding in found:
            place = f"{file}#{finding.element}" if finding.element else str(file)
            click.echo(f"{place}: {finding.severity}: {_filled(finding.message, finding.values)} [{finding.rule}]")
        click.echo(f"{len(found)} findings.")
    sys.exit(blocks([finding for _, finding in found]))


@procedures_.command()
@click.argument("files", nargs=-1, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--regime", help="The regime's key. By default the name of the folder that the file lies in.")
@click.option("--note", default="", help="What is new, for those who read the list of versions.")
@click.option(
    "--from",
    "effective_from",
    type=click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M"]),
    help="From when new cases start under it, in China's time. By default now.",
)
def deploy(files: tuple[Path, ...], regime: str | None, note: str, effective_from: datetime | None) -> None:
    """Put BPMN files into force.

    FILES become new versions; without FILES, those that Xueji ships. FILE.bpmn holds the procedure of the kind
    FILE, and the document.csv beside it the document it models; where there is none, the newest version's is taken
    over. New cases start under it, running ones finish under theirs. A file that is deployed already is left as it
    is.
    """
    with _application() as application:
        for file in files or _shipped():
            with application.database.transaction() as connection:
                click.echo(_deploy(application, connection, file, regime or _regime(file), note, effective_from))


def _deploy(
    application: Application,
    connection: Connection,
    file: Path,
    regime: str,
    note: str,
    effective_from: datetime | None,
) -> str:
    at = application.clock()
    since = effective_from.replace(tzinfo=SHANGHAI) if effective_from else at
    try:
        version = procedures.upload(
            connection, SYSTEM, regime, file.stem, file.read_bytes(), _document(file), note=note, at=at
        )
    except Conflict as same:
        return f"{file}: {_in_words(same)}"
    procedures.deploy(connection, SYSTEM, version.id, effective_from=since, at=at)
    name = f"{regime}/{file.stem}"
    return f"{file}: version {version.number} of {name}, in force from {since.astimezone(SHANGHAI):%Y-%m-%d %H:%M}."


def _shipped() -> list[Path]:
    return sorted(processes_folder().glob("*/*.bpmn"))


def _regime(file: Path) -> str:
    return file.resolve().parent.name


def _document(file: Path) -> str | None:
    document = file.with_name("document.csv")
    return document.read_text("utf-8") if document.is_file() else None


def _findings(file: Path) -> list[Finding]:
    try:
        unsaved = procedures.Version(0, _regime(file), file.stem, 0, "", file.read_bytes(), _document(file) or "")
        return unsaved.findings()
    except XuejiError as error:
        return [Finding(error.code, "error", "", error.message, error.values)]


def _as_json(file: Path, finding: Finding) -> dict[str, str]:
    return {
        "file": str(file),
        "rule": finding.rule,
        "severity": finding.severity,
        "element": finding.element,
        "message": _filled(finding.message, finding.values),
    }


# ---- comparing


@main.command()
@click.argument("a", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.argument("b", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--format",
    "form",
    type=click.Choice(list(reports.FORMATS)),
    default="text",
    show_default=True,
    help="What to write it as; docx and pdf are reports to hand on.",
)
@click.option("--locale", type=click.Choice(["zh", "en"]), help="Its language. By default the terminal's.")
@click.option("--output", type=click.Path(dir_okay=False, path_type=Path), help="The file to write. By default none.")
def compare(a: Path, b: Path, form: str, locale: str | None, output: Path | None) -> None:
    """Compare two BPMN files.

    Says in what the procedures of A and B differ, for whom, and where their documents say so: any two files, whoever
    drew them. A document.csv beside a file is the document that it is quoted from. JSON has both languages, and its
    schema.
    """
    found = comparison.as_json(comparison.compare(*_sides(a, b)))
    content = reports.written(found, form, locale or _terminal_locale(), at=system_clock())
    if output is not None:
        output.write_bytes(content)
    elif reports.FORMATS[form].is_text:
        click.echo(content.decode(), nl=False)
    elif sys.stdout.isatty():
        raise click.UsageError(f"A {form} is not for a terminal. Name a file: --output {a.stem}-{b.stem}.{form}")
    else:
        click.echo(content, nl=False)


def _sides(a: Path, b: Path) -> tuple[Side, Side]:
    """Both files by their names; with their folders where the names are the same."""
    names = [file.stem if a.stem != b.stem else f"{file.resolve().parent.name}/{file.stem}" for file in (a, b)]
    one, other = (
        reports.side_of(file.read_bytes(), _document(file) or "", key=name)
        for file, name in zip((a, b), names, strict=True)
    )
    if one.label != other.label:
        return one, other
    # Two versions of one document go by their files.
    return replace(one, label=Words(names[0])), replace(other, label=Words(names[1]))


# ---- measuring


@main.command("bench")
@click.option("--quick", is_flag=True, help="Less of everything: ends within five minutes.")
@click.option(
    "--database",
    "kinds",
    multiple=True,
    type=click.Choice(bench.DATABASES),
    help="Only this one; may be given more than once. By default both.",
)
@click.option(
    "--work",
    "works",
    multiple=True,
    type=click.Choice(bench.WORKS),
    help="Only this; may be given more than once. By default all of it.",
)
@click.option("--postgresql", help="A server where a database may be made. By default one of its own, from the wheel.")
@click.option("--json", "file", type=click.Path(dir_okay=False, path_type=Path), help="Write the figures here too.")
def measure(
    quick: bool, kinds: tuple[str, ...], works: tuple[str, ...], postgresql: str | None, file: Path | None
) -> None:
    """Measure how fast Xueji works here.

    In databases of its own, which are gone afterwards; nothing of a real one is touched. Beside each figure stands the
    floor: what the bare driver needs for the same rows in the same minute. docs/performance.md explains every column.
    """
    extent = bench.QUICK if quick else bench.FULL
    click.echo(bench.HEADING)
    results = []
    for result in bench.run(
        extent, kinds or bench.DATABASES, works or bench.WORKS, postgresql, web.create_app, _say_on_stderr
    ):
        results.append(result)
        click.echo(bench.line(result))
        if file is not None:
            file.write_text(json.dumps([asdict(each) for each in results], indent=2) + "\n", "utf-8")


def _say_on_stderr(what: str) -> None:
    click.echo(f"… {what}", err=True)


# ---- the log of events


@main.group(cls=_Group)
def log() -> None:
    """What happened in the cases."""


@log.command("export")
@click.option(
    "--format", "form", type=click.Choice(list(eventlog.FORMATS)), default="xes", show_default=True, help="Its format."
)
@click.option("--reason", required=True, help="What it is needed for; it stands in the audit log.")
@click.option("--since", type=click.DateTime(["%Y-%m-%d"]), help="Of cases that began on this day or later.")
@click.option("--until", type=click.DateTime(["%Y-%m-%d"]), help="Of cases that began before this day.")
@click.option("--output", type=click.Path(dir_okay=False, path_type=Path), help="The file to write. By default none.")
def export_log(form: str, reason: str, since: datetime | None, until: datetime | None, output: Path | None) -> None:
    """Write the events of all cases for tools that look for patterns in them.

    In XES (IEEE 1849) or OCEL 2.0 (JSON). No child and no person is in it, and nothing that anybody wrote.
    """
    first, end = (day.replace(tzinfo=SHANGHAI) if day else None for day in (since, until))
    filters = eventlog.Filters(since=first, until=end)
    with _application() as application:
        with application.database.transaction() as connection:
            found = eventlog.export(connection, SYSTEM, form, filters, reason, at=application.clock())
        file = output.open("wb") if output else nullcontext(sys.stdout.buffer)
        with application.database.reading() as connection, file as sink:
            for piece in found.pieces(connection):
                sink.write(piece)


# ---- accounts


@main.group("accounts", cls=_Group)
def accounts_() -> None:
    """People and their duties.

    Most of this is done on the pages, once there is a first administrator.
    """


@accounts_.command()
@click.argument("login")
@click.option("--name", required=True, help="The person's name.")
@click.option("--duty", type=click.Choice(DUTIES), default="administrator", show_default=True, help="What they may do.")
@click.option(
    "--organisation",
    "where",
    help="A school's code or an organisation's full name. By default the ministry, which is entered if it is missing.",
)
def add(login: str, name: str, duty: str, where: str | None) -> None:
    """Open an account.

    LOGIN is the name it is opened with. Its first password is asked for, and its owner has to change it. Where the
    input is no terminal, the password is its first line.
    """
    password = _ask_password()
    with _application() as application, application.database.transaction() as connection:
        at = application.clock()
        place = _organisation(connection, where) if where else _ministry(connection, at)
        password_hash = accounts.hash_password(password, login)
        accounts.add_person(connection, SYSTEM, login, name, place.id, duty, at=at, password_hash=password_hash)
    click.echo(f"{login} is {duty} of {place.name}.")


def _ask_password() -> str:
    if not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\n")
    password: str = click.prompt("Password", hide_input=True, confirmation_prompt=True)
    return password


def _organisation(connection: Connection, where: str) -> Organisation:
    this_one = (organisation.c.code == where) | (organisation.c.name == where)
    found = connection.scalars(sa.select(organisation.c.id).where(this_one)).all()
    if len(found) != 1:
        raise NotFound(f"{len(found)} organisations are called {where}.", remedy="Name a school by its code.")
    return organisations.get(connection, found[0])


def _ministry(connection: Connection, at: datetime) -> Organisation:
    found = connection.scalar(sa.select(organisation.c.id).where(organisation.c.level == "ministry"))
    if found is not None:
        return organisations.get(connection, found)
    return organisations.add(
        connection, SYSTEM, level="ministry", name="教育部", name_en="Ministry of Education", at=at
    )


# ---- around every command


@contextmanager
def _application(*, must_suffice: bool = True) -> Iterator[Application]:
    """The wired engine for one command; whoever serves wires it again in its own process."""
    try:
        application = Application(Settings.read())
    except ValueError as error:
        raise click.ClickException(str(error)) from error
    except (sa.exc.ArgumentError, ImportError) as error:
        raise click.ClickException(
            "XUEJI_DATABASE_URL can not be used. Write sqlite:///folder/file.db or "
            "postgresql+psycopg://user:password@host/name, with %40 for @ and %2F for / in a password."
        ) from error
    try:
        url = application.database.url.render_as_string(hide_password=True)
        if must_suffice and not migrations.suffices(application.database):
            raise click.ClickException(f"The tables in {url} are not those of this Xueji. Run: xueji db upgrade")
        yield application
    except Exception as error:
        if not is_outage(error):
            raise
        # What a server says before anybody is let in speaks of users and databases alone.
        refusal = re.search(r"FATAL: +(.+)", str(getattr(error, "orig", "")))
        told = f"The database refuses ({refusal[1]})" if refusal else "The database does not answer"
        raise click.ClickException(f"{told}: {url}") from error
    finally:
        application.close()


def _terminal_locale() -> str:
    return "zh" if (default_locale("LC_MESSAGES") or "").startswith("zh") else "en"


def _translations() -> NullTranslations:
    language = "zh_Hans_CN" if _terminal_locale() == "zh" else "en"
    return Translations.load(str(Path(web.__file__).with_name("translations")), [language])


def _filled(message: str, values: dict[str, Any]) -> str:
    text = _translations().gettext(message)
    return text % values if values else text


def _in_words(error: XuejiError) -> str:
    fields = getattr(error, "fields", {})
    lines = [_filled(error.message, error.values)]
    lines += [f"  {name}: {_filled(inner.message, inner.values)}" for name, inner in fields.items()]
    if error.remedy and not fields:
        lines.append(_filled(error.remedy, error.values))
    return "\n".join(lines)


def _plain(values: dict[str, Any]) -> dict[str, Any]:
    return {name: value.isoformat() if isinstance(value, datetime) else value for name, value in values.items()}
