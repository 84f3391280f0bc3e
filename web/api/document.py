"""The description of the interface, OpenAPI 3.1, made of its routes and their types."""

from __future__ import annotations

import re
from collections.abc import Iterator
from http import HTTPStatus
from inspect import cleandoc
from types import UnionType
from typing import Any, get_args, get_origin

from flask import Flask
from pydantic import BaseModel, TypeAdapter
from werkzeug.routing import Rule

from engine.db import LARGEST_ID, LARGEST_LONG_ID
from engine.errors import Forbidden, NotFound, XuejiError
from web.api.endpoints import FORM, JSON, KEY_HEADER, LONGEST_KEY, BadKey, Content, Endpoint
from web.api.shapes import SentForm, Shape
from web.context import PasswordTemporary, TokenRefused, TokenRequired
from web.errors import TooLarge, Unavailable, Unexpected, Unreadable, WrongMediaType
from web.security import StaleForm

VERSION = "1.0.0"
PREFIX = "/api/v1"
REFERENCE = "#/components/schemas/{model}"


class ErrorCause(Shape):
    """One of several things that led to an error; more than these two where there is more to say."""

    message: str


class ErrorBody(Shape):
    code: str
    """Its name for programs; it does not change."""
    message: str
    """What happened, in the language asked for by Accept-Language: zh or en."""
    remedy: str
    """What to do next."""
    fields: dict[str, str]
    """What is wrong with each field of a form, or with each entry of the body."""
    details: dict[str, Any]
    """Facts, for example who was faster and when."""
    causes: list[ErrorCause]


class Error(Shape):
    """The one shape of an error."""

    error: ErrorBody


def describe(app: Flask) -> dict[str, Any]:
    """The whole document."""
    routes = sorted(_routes(app), key=lambda route: (route[0].rule, route[1]))
    schemas = _Schemas()
    paths: dict[str, dict[str, Any]] = {}
    for rule, method, endpoint in routes:
        paths.setdefault(_path(rule), {})[method.lower()] = _operation(rule, method, endpoint, schemas)
    schemas.reference(Error)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Xueji (学籍转接)", "version": VERSION, "description": cleandoc(_INTRODUCTION)},
        "servers": [{"url": PREFIX}],
        "security": [{"token": []}],
        "tags": [{"name": name, "description": text} for name, text in _tags(app)],
        "paths": paths,
        "components": {
            "securitySchemes": {
                "token": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "A token made on the page of one's account.",
                }
            },
            "schemas": schemas.found,
        },
    }


_INTRODUCTION = """
    What people do in the inbox, programs do here, by the same operations and permissions. A token acts for its owner
    in one membership.

    Lists are read on with the cursor `next`. Numbers of students are masked everywhere but where a full student or
    record is asked for; each such look is logged. Names and numbers stand in no address.
    """


def _routes(app: Flask) -> Iterator[tuple[Rule, str, Endpoint]]:
    for rule in app.url_map.iter_rules():
        endpoint = getattr(app.view_functions[rule.endpoint], "endpoint", None)
        if isinstance(endpoint, Endpoint):
            for method in sorted((rule.methods or set()) - {"HEAD", "OPTIONS"}):
                yield rule, method, endpoint


def _tags(app: Flask) -> Iterator[tuple[str, str]]:
    seen: set[str] = set()
    for rule, _method, endpoint in _routes(app):
        name = _tag(rule)
        if name not in seen:
            seen.add(name)
            module = __import__(endpoint.view.__module__, fromlist=["__doc__"])
            yield name, (module.__doc__ or "").strip().splitlines()[0]


def _tag(rule: Rule) -> str:
    tag: str = rule.endpoint.split(".")[-2]
    return tag


def _path(rule: Rule) -> str:
    """As OpenAPI writes it."""
    return re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule.rule).removeprefix(PREFIX)


def _operation(rule: Rule, method: str, endpoint: Endpoint, schemas: _Schemas) -> dict[str, Any]:
    summary, _, more = cleandoc(endpoint.view.__doc__ or "").partition("\n\n")
    described: dict[str, Any] = {
        "operationId": ".".join(rule.endpoint.split(".")[-2:]),
        "tags": [_tag(rule)],
        "summary": " ".join(summary.split()),
        "parameters": [*_in_path(rule), *_in_query(endpoint, schemas), *_in_header(endpoint)],
        "responses": _responses(rule, endpoint, schemas),
    }
    if more:
        described["description"] = " ".join(more.split())
    if endpoint.capability:
        described["x-capability"] = endpoint.capability
    if endpoint.body:
        media = FORM if issubclass(endpoint.body, SentForm) else JSON
        schema = schemas.reference(endpoint.body, "validation")
        described["requestBody"] = {"required": True, "content": {media: {"schema": schema}}}
    return described


def _in_path(rule: Rule) -> list[dict[str, Any]]:
    largest = {"id": LARGEST_ID, "long": LARGEST_LONG_ID}
    found = []
    for converter, name in re.findall(r"<(?:(\w+):)?(\w+)>", rule.rule):
        number = {"type": "integer", "minimum": 0, "maximum": largest.get(converter, 0)}
        schema = number if converter in largest else {"type": "string"}
        found.append({"name": name, "in": "path", "required": True, "schema": schema})
    return found


def _in_query(endpoint: Endpoint, schemas: _Schemas) -> list[dict[str, Any]]:
    if not endpoint.query:
        return []
    schema = schemas.inline(endpoint.query)
    return [
        {"name": name, "in": "query", "required": name in schema.get("required", ()), "schema": one}
        | ({"description": one.pop("description")} if "description" in one else {})
        for name, one in schema["properties"].items()
    ]


def _in_header(endpoint: Endpoint) -> list[dict[str, Any]]:
    if not endpoint.keyed:
        return []
    text = "The request's own name. Sent a second time, it is answered as the first time, and nothing is done twice."
    schema = {"type": "string", "minLength": 1, "maxLength": LONGEST_KEY}
    return [{"name": KEY_HEADER, "in": "header", "required": False, "description": text, "schema": schema}]


def _responses(rule: Rule, endpoint: Endpoint, schemas: _Schemas) -> dict[str, Any]:
    success: dict[str, Any] = {"description": HTTPStatus(endpoint.status).phrase}
    shape = _shape(endpoint.answer)
    if shape is Content:
        success["content"] = {media: {"schema": _BINARY} for media in (endpoint.media_type, *endpoint.also)}
    elif shape is not type(None):
        success["content"] = {JSON: {"schema": schemas.reference(shape)}}
        success["content"] |= {media: {"schema": _BINARY} for media in endpoint.also}
    if endpoint.status in (201, 202):
        success["headers"] = {"Location": {"schema": {"type": "string"}, "description": "Its address."}}
    return {str(endpoint.status): success} | _errors(rule, endpoint)


_BINARY = {"type": "string", "format": "binary"}


def _shape(answer: Any) -> Any:
    """What is answered as JSON, without the address beside it or the files that it may be instead."""
    return get_args(answer)[0] if get_origin(answer) in (tuple, UnionType) else answer


def _errors(rule: Rule, endpoint: Endpoint) -> dict[str, Any]:
    raised: list[type[XuejiError]] = [Unreadable, TokenRequired, TokenRefused, Forbidden, *endpoint.raises]
    raised += [PasswordTemporary, Unexpected, Unavailable]
    if rule.arguments or endpoint.writes:
        raised.append(NotFound)
    if endpoint.body:
        raised += [WrongMediaType, TooLarge]
    if endpoint.writes:
        raised.append(StaleForm)
    if endpoint.keyed:
        raised.append(BadKey)
    by_status: dict[int, dict[str, str]] = {}
    for error in raised:
        by_status.setdefault(error.status, {})[error.code] = error.message
    by_status.setdefault(422, {}).setdefault("invalid", "Some entries need another look.")
    content = {JSON: {"schema": {"$ref": REFERENCE.format(model="Error")}}}
    return {
        str(status): {
            "description": "\n".join(f"- `{code}`: {words}" for code, words in by_status[status].items()),
            "content": content,
        }
        for status in sorted(by_status)
    }


class _Schemas:
    """The schemas that the document refers to."""

    def __init__(self) -> None:
        self.found: dict[str, Any] = {}

    def reference(self, shape: Any, mode: Any = "serialization") -> dict[str, Any]:
        """The schema of what is sent or answered, by a reference to it."""
        if hasattr(shape, "written_schemas"):
            for name, one in shape.written_schemas(REFERENCE).items():
                self._add(name, one)
            return {"$ref": REFERENCE.format(model=shape.__name__)}
        schema = TypeAdapter(shape).json_schema(mode=mode, ref_template=REFERENCE)
        for name, one in schema.pop("$defs", {}).items():
            self._add(name, one)
        if isinstance(shape, type) and issubclass(shape, BaseModel):
            name = re.sub(r"\W+", "_", shape.__name__).strip("_")  # Listed[TaskRow] has brackets
            self._add(name, schema)
            return {"$ref": REFERENCE.format(model=name)}
        return _plain(schema)

    def inline(self, shape: type[BaseModel]) -> dict[str, Any]:
        """The schema itself."""
        return _plain(shape.model_json_schema(mode="validation", ref_template=REFERENCE))

    def _add(self, name: str, schema: dict[str, Any]) -> None:
        schema = _plain(schema)
        assert self.found.setdefault(name, schema) == schema, f"Two shapes are called {name}."


def _plain(schema: dict[str, Any]) -> dict[str, Any]:
    """A schema without the titles that only repeat the names of its properties."""
    return {name: _untitled(part) for name, part in schema.items() if name != "title" or not isinstance(part, str)}


def _untitled(part: Any) -> Any:
    if isinstance(part, dict):
        return _plain(part)
    return [_untitled(each) for each in part] if isinstance(part, list) else part
