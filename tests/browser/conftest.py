"""A served Xueji and a browser in front of it. Whatever the browser complains about fails the test."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from playwright.sync_api import Browser, Page, sync_playwright
from werkzeug.serving import WSGIRequestHandler, make_server

AXE = Path(__file__).parents[2] / "web/frontend/node_modules/axe-core/axe.min.js"
WIDE, NARROW = {"width": 1440, "height": 900}, {"width": 390, "height": 844}


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

    def violations(self) -> list[str]:
        """What axe-core finds against the rules of accessibility."""
        # Evaluated by the debugger: the page's own Content-Security-Policy would refuse it.
        session = self.page.context.new_cdp_session(self.page)
        expression = (
            AXE.read_text() + ";axe.run().then(found => found.violations.map(it => `${it.id}: ${it.nodes[0].html}`))"
        )
        answer = session.send(
            "Runtime.evaluate", {"expression": expression, "awaitPromise": True, "returnByValue": True}
        )
        session.detach()
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
        window = Window(context.new_page())
        window.page.on("pageerror", lambda error: window.complaints.append(str(error)))
        window.page.on(
            "console",
            lambda line: window.complaints.append(line.text) if line.type in ("error", "warning") else None,
        )
        windows.append(window)
        return window

    yield open_
    complaints = [complaint for window in windows for complaint in window.complaints]
    for window in windows:
        window.page.context.close()
    assert complaints == []
