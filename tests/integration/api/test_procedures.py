"""Procedures, incidents and background work, for the programs of policy editors and administrators."""

from __future__ import annotations

import io

import pytest
import sqlalchemy as sa

from engine import cases
from engine.jobs import failed_job
from engine.settings import processes_folder
from tests.integration import play
from tests.integration.api.conftest import ok, refused

ANHUI, HENAN, ZHEJIANG = "340000", "410000", "330000"
DIAGRAM = (processes_folder() / "anhui" / "transfer.bpmn").read_bytes()
DOCUMENT = (processes_folder() / "anhui" / "document.csv").read_bytes()
CHANGED = DIAGRAM.replace("转入学校学籍主管部门审核".encode(), "转入学校学籍主管部门复核".encode())


@pytest.fixture
def editor(program_of, world):
    return program_of(world.ministry_actors["policy_editor"])


def upload(program, regime: str = "anhui", diagram: bytes = CHANGED, **more):
    data = {"diagram": (io.BytesIO(diagram), "transfer.bpmn")} | more
    return program.send("POST", f"/procedures/{regime}/transfer/versions", data=data)


def test_everybody_reads_every_version(program_of, world):
    program = program_of(world[ANHUI].actor("county_auditor"))
    regimes = ok(program.get("/procedures"))
    assert {regime["key"] for regime in regimes} == {"national", "anhui"}
    [version] = next(regime for regime in regimes if regime["key"] == "anhui")["versions"]
    assert (version["state"], version["number"], version["running"]) == ("in_force", 1, 0)
    detail = ok(program.get(f"/procedures/versions/{version['id']}"))
    receiving = next(pool for pool in detail["pools"] if pool["side"] == "receiving")
    assert receiving["steps"][0]["party"] == "receiving_school"
    assert any(step["clauses"] for step in receiving["steps"])
    assert {fact["key"] for fact in detail["facts"]} >= {"number", "issuer"}
    diagram = program.get(f"/procedures/versions/{version['id']}/diagram")
    assert (diagram.data, diagram.mimetype) == (DIAGRAM, "application/xml")
    assert program.get(f"/procedures/versions/{version['id']}/document").data == DOCUMENT
    refused(program.get("/procedures/versions/999"), 404)


def test_a_version_is_uploaded_deployed_and_retired(editor, world, database, clock):
    answer = upload(editor, note="换个说法")
    draft = ok(answer, 201)
    assert (draft["number"], draft["state"], draft["note"]) == (2, "draft", "换个说法")
    assert [finding for finding in draft["findings"] if finding["severity"] == "error"] == []
    path = answer.headers["Location"]
    deployed = ok(editor.post(f"{path}/deployment", {}))
    assert deployed["state"] == "in_force"
    refused(editor.post(f"{path}/deployment", {}), 409)
    assert play.open_tasks(database, play.apply(database, world, HENAN, ANHUI, clock()))[0].node.name.endswith("复核")
    assert ok(editor.post(f"{path}/retirement"))["state"] == "retired"
    refused(editor.delete(path), 409)


def test_it_comes_into_force_at_an_instant(editor):
    path = upload(editor).headers["Location"]
    too_far = ("9999-12-31T23:59:59Z", "9999-12-31T23:59:59-23:59", "2036-12-01T00:00:00Z")
    for wrong in ("2026-10-01T00:00:00", "soon", "2020-01-01T00:00:00+08:00", *too_far):
        assert set(refused(editor.post(f"{path}/deployment", {"effective_from": wrong}), 422)["fields"]) == {
            "effective_from"
        }
    scheduled = ok(editor.post(f"{path}/deployment", {"effective_from": "2026-10-01T00:00:00+08:00"}))
    assert (scheduled["state"], scheduled["effective_from"]) == ("scheduled", "2026-09-30T16:00:00Z")


def test_findings_are_told_before_anything_is_kept(editor, database):
    broken = DIAGRAM.replace(b'camunda:topic="check_student"', b'camunda:topic="nothing"')
    data = {"diagram": (io.BytesIO(broken), "transfer.bpmn"), "document": (io.BytesIO(DOCUMENT), "document.csv")}
    findings = ok(editor.send("POST", "/procedures/check", data=data))
    assert [finding["rule"] for finding in findings if finding["severity"] == "error"] != []
    path = upload(editor, diagram=broken).headers["Location"]
    error = refused(editor.post(f"{path}/deployment", {}), 422, "not_deployable")
    assert {cause["rule"] for cause in error["causes"]} >= {
        finding["rule"] for finding in findings if finding["severity"] == "error"
    }
    ok(editor.delete(path), 204)
    refused(editor.send("POST", "/procedures/check", data={"diagram": (io.BytesIO(b"<x/>"), "a")}), 422, "diagram")
    refused(editor.send("POST", "/procedures/check", data={}, content_type="multipart/form-data"), 422)


def test_a_regime_is_kept_by_its_own_policy_staff(program_of, world):
    anhui, henan = (program_of(world[place].actor("policy")) for place in (ANHUI, HENAN))
    refused(upload(henan), 403, "kept_elsewhere")
    refused(upload(anhui, regime="national"), 403, "kept_elsewhere")
    refused(upload(program_of(world[ANHUI].actor("province"))), 403, "forbidden")
    ok(upload(anhui), 201)
    refused(upload(anhui, regime="nowhere"), 404)


def test_an_administrator_retries_what_stopped_a_case(database, world, clock, program_of, monkeypatch):
    from engine.registry import records

    case_id = play.apply(database, world, HENAN, ANHUI, clock())
    with monkeypatch.context() as patched:
        patched.setattr(records, "retrieve", lambda *_args, **_more: 1 // 0)
        while not play_on(database, world, case_id, clock):
            pass
    administrator = program_of(world[ANHUI].actor("county_admin"))
    [incident] = ok(administrator.get("/incidents"))["items"]
    assert (incident["case_id"], incident["code"], incident["resolved_at"]) == (case_id, "technical", None)
    refused(program_of(world[HENAN].actor("county_admin")).post(f"/incidents/{incident['id']}/retry"), 404)
    refused(program_of(world[ANHUI].actor("county")).get("/incidents"), 403)
    assert ok(administrator.post(f"/incidents/{incident['id']}/retry")) == {"went_on": True}
    refused(administrator.post(f"/incidents/{incident['id']}/retry"), 409, "mended")
    assert ok(administrator.get("/incidents"))["items"] == []
    [over] = ok(administrator.get("/incidents", resolved="true"))["items"]
    assert over["id"] == incident["id"]


def play_on(database, world, case_id, clock) -> bool:
    """Do the next step. Whether an incident has stopped the case."""
    play.step(database, world, case_id, clock())
    with database.reading() as connection:
        return bool(connection.scalar(sa.select(sa.func.count()).select_from(cases.incident)))


def test_background_work_that_was_set_aside_is_the_ministrys(database, clock, program_of, world):
    row = {
        "job": "clean:1", "name": "clean", "arguments": {}, "attempts": 5, "error": "OSError\n/srv/x.py:1 f",
        "failed_at": clock(), "set_aside": True,
    }  # fmt: skip
    with database.transaction() as connection:
        connection.execute(failed_job.insert(), row)
    ministry = program_of(world.ministry_actors["administrator"])
    [job] = ok(ministry.get("/failed-jobs"))
    assert (job["name"], job["attempts"]) == ("clean", 5)
    assert "/srv" not in job["error"]
    refused(program_of(world[ANHUI].actor("province_admin")).get("/failed-jobs"), 403)
    ok(ministry.post(f"/failed-jobs/{job['id']}/retry", key="one"), 204)
    ok(ministry.post(f"/failed-jobs/{job['id']}/retry", key="one"), 204)
    refused(ministry.post(f"/failed-jobs/{job['id']}/retry"), 404)
