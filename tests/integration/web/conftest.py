"""The pages over a small world, and visitors who use them as a browser would."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from engine import accounts
from engine.audit import Actor
from tests import snapshots
from tests.integration import offices
from tests.integration.offices import Country

ADDRESS = "https://xueji.example"


class Visitor:
    """One browser: it keeps cookies, and sends the token that its pages carry."""

    def __init__(self, client: FlaskClient) -> None:
        self.client = client
        self.csrf = ""

    def get(self, path: str, **more: Any) -> TestResponse:
        return self._seen(self.client.get(path, base_url=ADDRESS, **more))

    def post(self, path: str, form: dict[str, Any] | None = None, **more: Any) -> TestResponse:
        if not self.csrf:
            self.get("/login")
        data = {"csrf": self.csrf, **(form or {})}
        return self._seen(self.client.post(path, data=data, base_url=ADDRESS, **more))

    def follow(self, answer: TestResponse) -> TestResponse:
        assert answer.status_code in (302, 303), answer.text
        return self.get(answer.location)

    def _seen(self, answer: TestResponse) -> TestResponse:
        if token := re.search(r'name="csrf" value="(\w+)"', answer.text if answer.mimetype == "text/html" else ""):
            self.csrf = token[1]
        if "Set-Cookie" in answer.headers and answer.status_code == 302:
            self.csrf = ""  # another session, perhaps: the next page brings its token
        return answer


@pytest.fixture
def stranger(app) -> Visitor:
    """A browser that nobody has logged in with."""
    return Visitor(app.test_client())


@pytest.fixture
def visitor_of(app, application, clock) -> Callable[[Actor], Visitor]:
    """A browser in which this actor is logged in."""

    def enter(actor: Actor) -> Visitor:
        with application.database.transaction() as connection:
            token = accounts.open_session(connection, actor.person_id, settings=application.settings, at=clock())
        visitor = Visitor(app.test_client())
        visitor.client.set_cookie("__Host-session", token, domain="xueji.example", secure=True)
        visitor.get("/account")
        return visitor

    return enter


@pytest.fixture
def country(database, clock) -> Country:
    """Offices and schools with people in every duty; see `tests/integration/offices.py`."""

    def build() -> Country:
        with database.transaction() as connection:
            return offices.build(connection, clock())

    return snapshots.once(database, ("offices", clock()), build)
