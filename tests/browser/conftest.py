"""A served Xueji and a browser in front of it. Whatever the browser complains about fails the test."""

from __future__ import annotations

import fcntl
import shutil
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import sqlalchemy as sa
from flask import Flask
from playwright.sync_api import Browser, Page, expect, sync_playwright
from werkzeug.serving import WSGIRequestHandler, make_server

from engine import accounts, demo, migrations
from engine.accounts import person
from engine.application import Application
from engine.settings import Settings
from engine.workdays import SHANGHAI
from web import create_app

AXE = Path(__file__).parents[2] / "web/frontend/node_modules/axe-core/axe.min.js"
WIDE, NARROW = {"width": 1440, "height": 900}, {"width": 390, "height": 844}
# Milliseconds after which something does not come any more; a busy machine is slow.
PATIENCE = 10_000
# The demo world's today: a Tuesday in term.
TODAY = datetime(2026, 9, 22, 9, 0, tzinfo=SHANGHAI)


class _Silent(WSGIRequestHandler):
    def log(self, *arguments: Any) -> None:
        pass


@pytest.fixture
def serve() -> Iterator[Callable[[Flask], str]]:
    """Serve an application, and return its address."""
    servers = []

    def start(app: Flask) -> str:
        server = make_server("127.0.0.1", 0, app, threaded=True, request_handler=_Silent)
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        servers.append((server, thread))
        return f"http://127.0.0.1:{server.server_port}"

    yield start
    for server, thread in servers:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture(scope="session")
def browser(chromium: str) -> Iterator[Browser]:
    expect.set_options(timeout=PATIENCE)
    with sync_playwright() as playwright:
        # Without the sandbox it runs as root too, as it must in containers.
        arguments = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
        browser = playwright.chromium.launch(executable_path=chromium, args=arguments)
        yield browser
        browser.close()


@dataclass
class Window:
    """A window that remembers what the browser complained about: scripts, styles, files that are not there."""

    page: Page
    complaints: list[str] = field(default_factory=list)
    # Answers that a test asks for on purpose, of which the browser would complain.
    expected: set[int] = field(default_factory=set)

    def hear(self, text: str) -> None:
        if not any(f"the server responded with a status of {status} " in text for status in self.expected):
            self.complaints.append(text)

    def violations(self) -> list[str]:
        """What axe-core finds against the rules of accessibility on a page that has loaded."""
        # Evaluated by the debugger: the page's own Content-Security-Policy would refuse it.
        session = self.page.context.new_cdp_session(self.page)
        expression = (
            AXE.read_text() + ";axe.run().then(found => found.violations.map(it => `${it.id}: ${it.nodes[0].html}`))"
        )
        answer = session.send(
            "Runtime.evaluate", {"expression": expression, "awaitPromise": True, "returnByValue": True}
        )
        session.detach()
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        found: list[str] = answer["result"]["value"]
        return found

    def is_wider_than_itself(self) -> bool:
        """Whether one would have to scroll sideways."""
        root = "document.documentElement"
        return bool(self.page.evaluate(f"{root}.scrollWidth > {root}.clientWidth"))


@pytest.fixture
def open_window(browser: Browser) -> Iterator[Callable[..., Window]]:
    """Open a window of a size; at the end nothing must have been complained about."""
    windows: list[Window] = []

    def open_(viewport: dict[str, int] = WIDE, **more: Any) -> Window:
        context = browser.new_context(viewport=viewport, locale="zh-CN", **more)
        context.set_default_timeout(PATIENCE)
        window = Window(context.new_page())
        window.page.on("pageerror", lambda error: window.hear(str(error)))
        window.page.on("console", lambda line: window.hear(line.text) if line.type in ("error", "warning") else None)
        windows.append(window)
        return window

    yield open_
    complaints = [complaint for window in windows for complaint in window.complaints]
    for window in windows:
        window.page.context.close()
    assert complaints == []


# The demo world --------------------------------------------------------------------------------------------------


@dataclass
class Demo:
    """A served demo world that belongs to one test."""

    address: str
    application: Application
    app: Flask

    @property
    def database(self) -> Any:
        return self.application.database

    def enter(self, page: Page, login: str, path: str = "/inbox") -> None:
        """Open a page as somebody, without the login page: for whoever is not offered there, and for speed."""
        with self.database.transaction() as connection:
            person_id = connection.scalar(sa.select(person.c.id).where(person.c.login == login))
            settings, at = self.application.settings, self.application.clock()
            token = accounts.open_session(connection, person_id, settings=settings, at=at)
        page.context.add_cookies([{"name": "session", "value": token, "url": self.address}])
        page.goto(self.address + quote(path, safe="/?=&"))


@pytest.fixture(scope="session")
def demo_file(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Path:
    """A database with the demo world, filled once in a run: the workers share it, and each test copies it."""
    folder = tmp_path_factory.getbasetemp()
    folder = folder if worker_id == "master" else folder.parent
    file = folder / "demo.db"
    with (folder / "demo.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not file.exists():
            unfinished = file.with_suffix(".unfinished")
            application = Application(_demo_settings(unfinished), clock=lambda: TODAY)
            migrations.upgrade(application.database)
            demo.seed(application)
            application.close()
            unfinished.rename(file)
    return file


@pytest.fixture
def demo_world(
    demo_file: Path, tmp_path: Path, clock: Any, serve: Callable[[Flask], str], not_here: Callable[[str], None]
) -> Iterator[Demo]:
    if not AXE.exists():
        not_here("The front end's packages are not installed: npm ci in web/frontend.")
    file = tmp_path / "demo.db"
    shutil.copy(demo_file, file)
    clock.turn(to=TODAY)
    application = Application(_demo_settings(file), clock=clock)
    application.prepare()
    app = create_app(application)
    yield Demo(serve(app), application, app)
    application.close()


def _demo_settings(file: Path) -> Settings:
    return Settings(database_url=f"sqlite:///{file}", demo=True, secure_cookies=False)
