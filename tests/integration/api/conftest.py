"""The interface over a small world, and programs that act by tokens."""

from __future__ import annotations

import json
import re
import threading
import uuid
from collections.abc import Callable
from functools import cache
from typing import Any, ClassVar

import jsonschema
import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.exceptions import HTTPException
from werkzeug.test import TestResponse

from engine import accounts
from engine.application import Application
from engine.audit import Actor
from web.api.document import describe

PREFIX = "/api/v1"


class Program:
    """One program with its token. Paths are those of the description, below /api/v1."""

    def __init__(self, client: FlaskClient, token: str | None) -> None:
        self.client = client
        self.headers = {"Authorization": f"Bearer {token}"} if token is not None else {}

    def get(self, path: str, **query: Any) -> TestResponse:
        return self.send("GET", path, query_string=query)

    def post(self, path: str, body: Any = None, *, key: str | None = None, **more: Any) -> TestResponse:
        return self.send("POST", path, json=body, key=key, **more)

    def put(self, path: str, body: Any, **more: Any) -> TestResponse:
        return self.send("PUT", path, json=body, **more)

    def delete(self, path: str, **more: Any) -> TestResponse:
        return self.send("DELETE", path, **more)

    def send(self, method: str, path: str, *, key: str | None = None, headers: Any = (), **more: Any) -> TestResponse:
        sent = self.headers | dict(headers) | ({"Idempotency-Key": key} if key is not None else {})
        path = PREFIX + path.removeprefix(PREFIX)
        if more.get("json", 0) is None:
            del more["json"]
        answer = self.client.open(path, method=method, headers=sent, base_url="https://xueji.example", **more)
        Described(self.client.application).check(method, path, answer)
        return answer


class Described:
    """Holds every answer of every test against the description of the interface."""

    # The same for every application of this version.
    document: ClassVar[dict[str, Any]] = {}

    def __init__(self, app: Flask) -> None:
        self.app = app
        if not self.document:
            self.document.update(describe(app))

    def check(self, method: str, path: str, answer: TestResponse) -> None:
        try:
            rule, _values = self.app.url_map.bind("xueji.example").match(path, method=method, return_rule=True)
        except HTTPException:
            return  # no route, so nothing is said of it
        operation = self.document["paths"].get(as_described(rule.rule), {}).get(method.lower())
        if operation is None:
            return
        responses = operation["responses"]
        assert str(answer.status_code) in responses, f"{method} {path}: {answer.status_code} is not described"
        response = responses[str(answer.status_code)]
        content = response.get("content", {})
        if content and answer.data:
            assert answer.mimetype in content, f"{method} {path}: {answer.mimetype}"
        if answer.status_code >= 400:
            codes = {code for listed in re.findall("`([^`]+)`", response["description"]) for code in listed.split(", ")}
            assert answer.json["error"]["code"] in codes, f"{method} {path}: {answer.json['error']['code']}"
        if "application/json" in content and answer.mimetype == "application/json":
            _validator(json.dumps(content["application/json"]["schema"])).validate(answer.json)
        elif not content:
            assert answer.data == b"", f"{method} {path}"


@cache
def _validator(schema: str) -> jsonschema.Draft202012Validator:
    return jsonschema.Draft202012Validator(json.loads(schema) | {"components": Described.document["components"]})


def as_described(rule: str) -> str:
    """A route's path as the description writes it."""
    return re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule).removeprefix(PREFIX)


def answers_at_once(send: Callable[[], TestResponse], times: int = 4) -> set[tuple[int, bytes]]:
    """What is answered to a request that is sent several times at the same moment: status and body."""
    answers: set[tuple[int, bytes]] = set()
    barrier = threading.Barrier(times)

    def run() -> None:
        barrier.wait()
        answer = send()
        answers.add((answer.status_code, answer.data))

    threads = [threading.Thread(target=run) for _ in range(times)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers


def ok(answer: TestResponse, status: int = 200) -> Any:
    """The answer's JSON, if it has this status."""
    assert answer.status_code == status, answer.text
    return answer.json if answer.data else None


def refused(answer: TestResponse, status: int, code: str = "") -> Any:
    """The error that was answered, in the one shape that errors have."""
    assert answer.status_code == status, answer.text
    assert answer.mimetype == "application/json"
    assert set(answer.json) == {"error"}
    error = answer.json["error"]
    assert set(error) == {"code", "message", "remedy", "fields", "details", "causes"}
    assert code in ("", error["code"]), error
    return error


@pytest.fixture
def token_of(application, clock) -> Callable[[Actor], str]:
    """A token that acts as this actor."""

    def make(actor: Actor, name: str = "测试程序") -> str:
        with application.database.transaction() as connection:
            assert actor.membership_id is not None
            return accounts.make_token(connection, actor, name, actor.membership_id, 365, at=clock())

    return make


@pytest.fixture
def program_of(app, token_of) -> Callable[[Actor], Program]:
    """A program that acts as this actor."""
    return lambda actor: Program(app.test_client(), token_of(actor, uuid.uuid4().hex))


@pytest.fixture
def stranger(app) -> Program:
    """A program without a token."""
    return Program(app.test_client(), None)


@pytest.fixture
def session_of(app: Flask, application: Application, clock: Any) -> Callable[[Actor], Program]:
    """A program in a browser: it has a session's cookie, and no token."""

    def enter(actor: Actor) -> Program:
        with application.database.transaction() as connection:
            secret = accounts.open_session(connection, actor.person_id, settings=application.settings, at=clock())
        client = app.test_client()
        client.set_cookie("__Host-session", secret, domain="xueji.example", secure=True)
        return Program(client, None)

    return enter
