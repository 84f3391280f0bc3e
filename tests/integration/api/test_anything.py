"""Whatever a program sends, it is answered as the description says: never by a mistake of ours."""

from __future__ import annotations

import io
import json
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.integration import play
from tests.integration.api.conftest import Described, Program

ANHUI, HENAN, ZHEJIANG = "340000", "410000", "330000"
TEXTS = st.text(max_size=12) | st.sampled_from(
    ["", "13", "410000", "2026-09-22", "agree", "refuse", "\ud800", "\0", "%"]
)
NUMBERS = st.integers() | st.sampled_from([2**31 - 1, 2**31, 2**53, 2**63 - 1, 2**63, -1])
ANYTHING: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | NUMBERS | st.floats() | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=6,
)
# Ids of what there is in the test world, and of fields in its forms, so that what is sent reaches the engine.
IDS = st.integers(1, 9)
FIELDS = st.sampled_from(
    ["receiving_authority_result", "receiving_authority_opinion", "origin_school", "record_number", "student_name"]
)


def mostly(usual: st.SearchStrategy[Any], seldom: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.sampled_from([True] * 12 + [False]).flatmap(lambda chosen: usual if chosen else seldom)


def fitting(schema: dict[str, Any], components: dict[str, Any]) -> st.SearchStrategy[Any]:
    """What a schema allows, and now and then what it does not."""
    return mostly(_fitting(schema, components), ANYTHING)


def _fitting(schema: dict[str, Any], components: dict[str, Any]) -> st.SearchStrategy[Any]:
    if "$ref" in schema:
        return fitting(components["schemas"][schema["$ref"].rpartition("/")[2]], components)
    if "anyOf" in schema:
        return st.one_of([fitting(one, components) for one in schema["anyOf"]])
    if "enum" in schema or "const" in schema:
        return st.sampled_from(schema.get("enum", [schema.get("const")]))
    return _OF_TYPE[schema.get("type", "string")](schema, components)


def _object(schema: dict[str, Any], components: dict[str, Any]) -> st.SearchStrategy[Any]:
    properties, needed = schema.get("properties"), schema.get("required", ())
    if properties is None:
        return st.dictionaries(
            mostly(FIELDS, TEXTS), st.sampled_from(["agree", "同意", "13", ""]) | ANYTHING, max_size=4
        )
    known = {name: fitting(one, components) for name, one in properties.items()}
    return st.fixed_dictionaries(
        {name: one for name, one in known.items() if name in needed},
        optional={name: one for name, one in known.items() if name not in needed},
    )


def _text(schema: dict[str, Any], _components: dict[str, Any]) -> st.SearchStrategy[Any]:
    if schema.get("format") == "date-time":
        return st.sampled_from(["2026-10-01T00:00:00+08:00", "2026-10-01T00:00:00", "2020-01-01T00:00:00Z"])
    if "pattern" in schema:
        return TEXTS | st.sampled_from(["410000", "a" * 32]) | st.from_regex(schema["pattern"], fullmatch=True)
    return TEXTS


_OF_TYPE = {
    "object": _object,
    "array": lambda schema, components: st.lists(fitting(schema["items"], components), max_size=4),
    "integer": lambda schema, _components: st.integers(schema.get("minimum"), schema.get("maximum")) | IDS,
    "boolean": lambda _schema, _components: st.booleans(),
    "null": lambda _schema, _components: st.none(),
    "string": _text,
}


@st.composite
def requests(draw, document: dict[str, Any]) -> tuple[str, str, str, dict[str, Any]]:
    path = draw(st.sampled_from(sorted(document["paths"])))
    method = draw(st.sampled_from(sorted(document["paths"][path])))
    operation, components = document["paths"][path][method], document["components"]
    query = {}
    for parameter in operation["parameters"]:
        if parameter["in"] == "path":
            texts = st.sampled_from(["410000", "anhui", "transfer"]) | TEXTS
            value = draw(mostly(IDS, NUMBERS) if parameter["schema"]["type"] == "integer" else texts)
            path = path.replace(f"{{{parameter['name']}}}", quote(as_text(value).replace("/", ""), safe="") or "x")
        elif parameter["in"] == "query" and draw(st.booleans()):
            query[parameter["name"]] = draw(fitting(parameter["schema"], components))
    more: dict[str, Any] = {"query_string": {name: as_text(value) for name, value in query.items()}}
    if "requestBody" in operation:
        [(media, content)] = operation["requestBody"]["content"].items()
        body = draw(fitting(content["schema"], components))
        more |= as_form(body) if media == "multipart/form-data" else as_json(body)
    if draw(st.booleans()):
        more["key"] = draw(st.uuids().map(str) | st.sampled_from(["one", ""]))
    return operation.get("x-capability", ""), method.upper(), path, more


def as_text(value: Any) -> str:
    return str(value).encode("utf-8", "replace").decode()


def as_json(body: Any) -> dict[str, Any]:
    return {"data": json.dumps(body), "content_type": "application/json"}


def as_form(body: Any) -> dict[str, Any]:
    parts = body if isinstance(body, dict) else {"file": body}
    data = {
        as_text(name) or "x": (io.BytesIO(as_text(value).encode()), "a.pdf") if name != "note" else as_text(value)
        for name, value in parts.items()
    }
    return {"data": data, "content_type": "multipart/form-data"}


@pytest.fixture
def programs(database, world, clock, program_of) -> dict[str, Program]:
    """One for each kind of work, over a world in which something waits for each."""
    for serial, (origin, target) in enumerate([(HENAN, ANHUI), (ANHUI, HENAN), (ZHEJIANG, ANHUI)], 1):
        play.apply(database, world, origin, target, clock(), serial=serial)
    ministry = world.ministry_actors
    return {
        "start_transfer": program_of(world[ANHUI].actor("operator")),
        "work": program_of(world[ANHUI].actor("county")),
        "edit_procedures": program_of(ministry["policy_editor"]),
        "administer": program_of(world[ANHUI].actor("county_admin")),
        "administer_deployment": program_of(ministry["administrator"]),
        "query": program_of(ministry["auditor"]),
    }


@settings(max_examples=250, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_every_answer_is_described(app, programs, data):
    capability, method, path, more = data.draw(requests(Described(app).document))
    anybody = st.sampled_from(sorted(programs))
    program = programs[data.draw(mostly(st.just(capability), anybody) if capability else anybody)]
    answer = program.send(method, path, **more)
    assert answer.status_code < 500, answer.text
