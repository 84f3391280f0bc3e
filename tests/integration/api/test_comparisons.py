"""Comparisons for programs: of versions by their ids, of any files, and as reports."""

from __future__ import annotations

import io

import pytest
import sqlalchemy as sa

from engine.reports.stored import compared_file, comparison
from engine.settings import processes_folder
from tests.integration.api.conftest import ok, refused

ANHUI = "340000"
DIAGRAM = (processes_folder() / "anhui" / "transfer.bpmn").read_bytes()
DOCUMENT = (processes_folder() / "anhui" / "document.csv").read_bytes()


@pytest.fixture
def program(program_of, world):
    return program_of(world[ANHUI].actor("operator"))


@pytest.fixture
def ids(program) -> tuple[int, int]:
    versions = {regime["key"]: regime["versions"][0]["id"] for regime in ok(program.get("/procedures"))}
    return versions["national"], versions["anhui"]


def file(content: bytes, name: str):
    return io.BytesIO(content), name


def compare(program, **data):
    return program.send("POST", "/comparisons", data=data, content_type="multipart/form-data")


def test_two_versions_are_compared_and_the_answer_keeps_to_its_schema(program, ids, database):
    found = ok(program.get("/comparisons/{}/{}".format(*ids)))
    assert {item["kind"] for item in found["differences"]} >= {"refusal", "moved", "merged"}
    assert found["verdict"][0]["zh"].startswith("影响效力的差异有7项")
    assert ok(program.get("/comparisons/{}/{}".format(*ids))) == found
    with database.reading() as connection:
        assert connection.scalar(sa.select(sa.func.count()).select_from(comparison)) == 1


@pytest.mark.parametrize(
    ("form", "media_type"),
    [
        ("pdf", "application/pdf"),
        ("text", "text/plain"),
        ("docx", "application/vnd.openxmlformats-officedocument.wordprocessingml.document"),
    ],
)
def test_a_report_is_asked_for_by_its_name_or_by_accept(program, ids, form, media_type):
    path = "/comparisons/{}/{}".format(*ids)
    for answer in (program.get(path, format=form), program.send("GET", path, headers={"Accept": media_type})):
        assert (answer.status_code, answer.mimetype) == (200, media_type)
        assert answer.data


def test_a_report_speaks_the_language_that_is_asked_for(program, ids):
    path = "/comparisons/{}/{}".format(*ids)
    english = program.send("GET", path, query_string={"format": "text"}, headers={"Accept-Language": "en"})
    assert "Comparison report" in english.text
    assert "对照报告" in program.get(path, format="text").text


def test_a_report_on_versions_says_how_long_cases_take_and_one_on_files_does_not(program, ids):
    assert "平均" in program.get("/comparisons/{}/{}".format(*ids), format="text").text
    files = {"a": str(ids[0]), "b_diagram": file(DIAGRAM, "anhui.bpmn"), "format": "text"}
    assert "平均" not in compare(program, **files).text


def test_files_are_compared_with_versions_and_with_each_other_and_nothing_is_kept(program, ids, database):
    sent = {"a": str(ids[0]), "b_diagram": file(DIAGRAM, "anhui.bpmn"), "b_document": file(DOCUMENT, "document.csv")}
    found = ok(compare(program, **sent))
    assert found["b"]["label"]["zh"] == "anhui"
    assert found["b"]["documented"]
    other = ok(compare(program, a_diagram=file(DIAGRAM, "one.bpmn"), b_diagram=file(DIAGRAM, "two.bpmn")))
    assert other["differences"] == []
    with database.reading() as connection:
        for table in (comparison, compared_file):
            assert connection.scalar(sa.select(sa.func.count()).select_from(table)) == 0


def test_what_can_not_be_compared_is_refused(program, ids):
    refused(program.get("/comparisons/1/999"), 404)
    refused(program.get("/comparisons/{}/{}".format(*ids), format="exe"), 422)
    assert "b" in refused(compare(program, a=str(ids[0])), 422)["fields"]
    refused(compare(program, a=str(ids[0]), b_diagram=file(b"Dear Sir", "letter.bpmn")), 422)
