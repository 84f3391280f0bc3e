"""The description of the interface: complete, valid, and made of the routes themselves."""

from __future__ import annotations

import json
import re

import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from tests.integration.api.conftest import as_described, ok
from web.api.document import describe

# The description itself needs no description.
ITSELF = "api.description"


@pytest.fixture
def document(app):
    return describe(app)


def routes(app) -> set[tuple[str, str]]:
    return {
        (method, as_described(rule.rule))
        for rule in app.url_map.iter_rules()
        if rule.rule.startswith("/api/") and rule.endpoint != ITSELF
        for method in rule.methods - {"HEAD", "OPTIONS"}
    }


def operations(document):
    return [
        (method.upper(), path, operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    ]


def test_anybody_reads_it(stranger, document):
    assert ok(stranger.get("/openapi.json")) == json.loads(json.dumps(document))


def test_it_is_valid_openapi_3_1(document):
    assert document["openapi"] == "3.1.0"
    OpenAPIV31SpecValidator(document).validate()


def test_every_route_is_described_and_every_description_is_a_route(app, document):
    assert routes(app) == {(method, path) for method, path, _operation in operations(document)}


def test_every_operation_says_what_it_does_takes_and_answers(document):
    names = [operation["operationId"] for _method, _path, operation in operations(document)]
    assert len(names) == len(set(names))
    tags = {tag["name"] for tag in document["tags"]}
    for method, path, operation in operations(document):
        assert operation["summary"].endswith("."), path
        assert set(operation["tags"]) <= tags
        named = {parameter["name"] for parameter in operation["parameters"] if parameter["in"] == "path"}
        assert named == set(re.findall(r"{(\w+)}", path))
        assert {"401", "403", "500"} <= set(operation["responses"])
        assert ("requestBody" in operation) <= (method in ("POST", "PUT"))


def test_what_changes_something_takes_a_key(document):
    keyed = {
        (method, path)
        for method, path, operation in operations(document)
        if any(parameter["name"] == "Idempotency-Key" for parameter in operation["parameters"])
    }
    looks = {
        "/inbox/search", "/transfers/search", "/applications/form", "/applications/student", "/procedures/check",
            "/comparisons",
        "/transfers/{case_id}/student", "/transfers/{case_id}/records/{record_id}",
    }  # fmt: skip
    writing = {(method, path) for method, path, _operation in operations(document) if method != "GET"}
    assert keyed == {(method, path) for method, path in writing if path not in looks}


def test_no_name_or_number_of_a_child_can_stand_in_an_address(document):
    for _method, path, operation in operations(document):
        named = {parameter["name"] for parameter in operation["parameters"] if parameter["in"] != "header"}
        assert not named & {"name", "number", "record_number", "id_number", "text"}, path


def test_every_reference_leads_somewhere_and_nothing_is_left_over(document):
    text = json.dumps(document)
    referred = set(re.findall(r'"#/components/schemas/(\w+)"', text))
    assert referred == set(document["components"]["schemas"])
