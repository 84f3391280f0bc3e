"""`xueji compare` and `xueji procedures check` on files, whoever drew them; neither needs a database."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from jsonschema import Draft202012Validator

import engine.comparison
from engine.cli import main
from engine.settings import processes_folder

SCHEMA = json.loads((Path(engine.comparison.__file__).parent / "data" / "schema.json").read_text("utf-8"))
NATIONAL, ANHUI = (processes_folder() / regime / "transfer.bpmn" for regime in ("national", "anhui"))
# As bpmn.io saves it: no namespace of ours, a process alone, nothing executable; its branches are chosen, then joined.
FOREIGN = """<?xml version="1.0" encoding="UTF-8"?>
<bpmn:definitions xmlns:bpmn="http://www.omg.org/spec/BPMN/20100524/MODEL" id="Definitions_1"
    targetNamespace="http://bpmn.io/schema/bpmn" exporter="bpmn-js" exporterVersion="18.0.0">
  <bpmn:process id="Process_1" isExecutable="false">
    <bpmn:startEvent id="Start"/><bpmn:task id="Check" name="Check it"/><bpmn:exclusiveGateway id="Split"/>
    <bpmn:task id="One" name="Stamp"/><bpmn:task id="Other" name="File"/><bpmn:parallelGateway id="Join"/>
    <bpmn:endEvent id="End"/>
    <bpmn:sequenceFlow id="f1" sourceRef="Start" targetRef="Check"/>
    <bpmn:sequenceFlow id="f2" sourceRef="Check" targetRef="Split"/>
    <bpmn:sequenceFlow id="f3" sourceRef="Split" targetRef="One"/>
    <bpmn:sequenceFlow id="f4" sourceRef="Split" targetRef="Other"/>
    <bpmn:sequenceFlow id="f5" sourceRef="One" targetRef="Join"/>
    <bpmn:sequenceFlow id="f6" sourceRef="Other" targetRef="Join"/>
    <bpmn:sequenceFlow id="f7" sourceRef="Join" targetRef="End"/>
  </bpmn:process>
</bpmn:definitions>"""


def xueji(*words: str | Path) -> Result:
    return CliRunner().invoke(main, [str(word) for word in words])


@pytest.fixture
def foreign(tmp_path: Path) -> tuple[Path, Path]:
    broken, mended = tmp_path / "broken.bpmn", tmp_path / "mended.bpmn"
    broken.write_text(FOREIGN)
    mended.write_text(FOREIGN.replace("parallelGateway", "exclusiveGateway"))
    return broken, mended


def test_two_shipped_files_are_told_with_their_documents() -> None:
    told = xueji("compare", NATIONAL, ANHUI, "--locale", "zh")
    assert told.exit_code == 0
    assert told.output.startswith("对照报告：教基一司函〔2013〕68号与皖教秘基〔2014〕2号")
    assert "安徽省教育厅" in told.output
    assert "如果转出学校同意，则点击“审核”按钮" in told.output


def test_json_keeps_to_its_schema(foreign: tuple[Path, Path]) -> None:
    for pair in ((NATIONAL, ANHUI), foreign):
        found = json.loads(xueji("compare", *pair, "--format", "json").output)
        assert list(Draft202012Validator(SCHEMA).iter_errors(found)) == []


def test_files_of_other_tools_go_by_their_names(foreign: tuple[Path, Path]) -> None:
    found = json.loads(xueji("compare", *foreign, "--format", "json").output)
    assert (found["a"]["label"]["zh"], found["b"]["label"]["zh"]) == ("broken", "mended")
    assert [item["kind"] for item in found["differences"]] == ["waits"]


@pytest.mark.parametrize(("form", "begins"), [("html", b"<!doctype html>"), ("docx", b"PK"), ("pdf", b"%PDF")])
def test_reports_are_written_to_a_file(tmp_path: Path, form: str, begins: bytes) -> None:
    output = tmp_path / f"report.{form}"
    assert xueji("compare", NATIONAL, ANHUI, "--format", form, "--output", output).output == ""
    assert output.read_bytes().startswith(begins)


def test_versions_of_one_document_are_told_apart(tmp_path: Path) -> None:
    folder = tmp_path / "draft"
    folder.mkdir()
    (folder / "transfer.bpmn").write_bytes(ANHUI.read_bytes())
    found = json.loads(xueji("compare", ANHUI, folder / "transfer.bpmn", "--format", "json").output)
    assert (found["a"]["label"]["zh"], found["b"]["label"]["zh"]) == ("anhui/transfer", "draft/transfer")


def test_what_is_no_diagram_is_said_in_words(tmp_path: Path) -> None:
    (tmp_path / "letter.bpmn").write_text("Dear Sir")
    refused = xueji("compare", tmp_path / "letter.bpmn", ANHUI)
    assert refused.exit_code == 1
    assert "Traceback" not in refused.output


def test_any_file_is_checked_and_its_runs_too(foreign: tuple[Path, Path]) -> None:
    findings = json.loads(xueji("procedures", "check", *foreign, "--format", "json").output)["findings"]
    told = {(Path(item["file"]).stem, item["rule"], item["element"]) for item in findings}
    assert {("broken", "deadlock", "Join"), ("broken", "never-happens", "End")} <= told
    assert not any(rule in ("deadlock", "never-happens") for name, rule, _ in told if name == "mended")
    assert all(item["severity"] in ("error", "warning") and item["message"] for item in findings)
