"""The JSON keeps to its schema, and the schema and the kinds to their documentation."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

import engine.comparison
from engine.comparison import Comparison, as_json, compare
from engine.comparison.findings import KINDS, MIRRORED
from engine.comparison.model import SEVERITIES, STANDINGS, Difference
from engine.comparison.sentences import templates
from tests.unit.comparison.sides import national_and_anhui, shipped

ROOT = Path(__file__).parents[3]
DOCUMENTED = (ROOT / "docs" / "comparison.md").read_text("utf-8")
SCHEMA = json.loads((Path(engine.comparison.__file__).parent / "data" / "schema.json").read_text("utf-8"))


def keys(text: str) -> set[str]:
    """The names in the first column of a table."""
    cells = re.findall(r"^\| (`.+?`) \|", text, re.MULTILINE)
    return {name for cell in cells for name in re.findall(r"`([^`]+)`", cell)}


def section(title: str) -> str:
    return DOCUMENTED.split(f"## {title}\n")[1].split("\n## ")[0]


@pytest.mark.parametrize("documented", [True, False])
def test_the_json_keeps_to_its_schema(documented):
    Draft202012Validator.check_schema(SCHEMA)
    found = json.loads(json.dumps(as_json(national_and_anhui(documented=documented))))
    assert list(Draft202012Validator(SCHEMA).iter_errors(found)) == []


def test_every_part_of_the_json_is_documented():
    said = section("JSON")
    whole, difference = said.split("A difference:")
    assert keys(whole) == set(SCHEMA["properties"])
    assert keys(difference) == set(SCHEMA["$defs"]["difference"]["properties"])


def test_every_kind_is_documented_and_in_the_schema_and_there_is_no_other():
    assert keys(section("Kinds of differences")) == set(KINDS)
    assert set(SCHEMA["$defs"]["difference"]["properties"]["kind"]["enum"]) == set(KINDS)
    assert {item.kind for item in national_and_anhui().differences} <= set(KINDS)
    assert set(MIRRORED) <= set(KINDS)


def test_severities_and_standings_are_those_of_the_schema():
    properties = SCHEMA["$defs"]["difference"]["properties"]
    assert properties["severity"]["enum"] == list(SEVERITIES)
    assert properties["standing"]["enum"] == list(STANDINGS)
    assert keys(section("How sure it is")) == set(STANDINGS)
    for name in (
        *(f"severity.{severity}" for severity in SEVERITIES),
        *(f"standing.{standing}" for standing in STANDINGS),
    ):
        assert templates()[name].zh
        assert templates()[name].en


def test_each_difference_has_an_id_of_its_own_and_a_cause_that_is_there():
    ids = [item["id"] for item in as_json(national_and_anhui())["differences"]]
    assert len(set(ids)) == len(ids)
    assert {item.cause for item in national_and_anhui().differences} - {None} <= set(ids)


def test_the_most_severe_comes_first_and_a_consequence_behind_its_cause():
    seen: list[Difference] = []
    for item in national_and_anhui().differences:
        if item.cause:
            assert item.cause in (seen[-1].key, seen[-1].cause)
        seen.append(item)
    ranks = [SEVERITIES.index(item.severity) for item in seen if not item.cause]
    assert ranks == sorted(ranks)


def test_quotes_have_the_sentences():
    (refusal,) = [item for item in as_json(national_and_anhui())["differences"] if item["kind"] == "refusal"]
    ((quote,), nothing) = (refusal["quotes"]["a"], refusal["quotes"]["b"])
    assert quote["clause"] == "附件二.3.2"
    assert quote["text"].startswith("如果转出学校同意")
    assert nothing == []


def test_templates_speak_both_languages_of_the_same():
    for name, words in templates().items():
        assert words.zh, name
        assert words.en, name
        assert set(re.findall(r"{(\w+)}", words.zh)) == set(re.findall(r"{(\w+)}", words.en)), name


def test_a_comparison_of_a_thing_with_itself_can_be_exported_too():
    found: Comparison = compare(shipped("anhui"), shipped("anhui"))
    assert as_json(found)["differences"] == []
