"""The page of a comparison: what it says, where it proves it, who may correct it, and what of it is kept."""

from __future__ import annotations

import io
import json
import re
import zipfile

import pytest
import sqlalchemy as sa

from engine import audit, procedures, reports
from engine.reports.stored import compared_file, comparison
from tests.integration import diagrams

ANHUI, HENAN = "340000", "410000"
FOREIGN = b"""<?xml version="1.0"?>
<definitions xmlns="http://www.omg.org/spec/BPMN/20100524/MODEL" id="d" targetNamespace="t">
  <process id="p"><startEvent id="s"/><task id="t" name="Check the file"/><endEvent id="e"/>
  <sequenceFlow id="f1" sourceRef="s" targetRef="t"/><sequenceFlow id="f2" sourceRef="t" targetRef="e"/></process>
</definitions>"""


@pytest.fixture
def versions(database, world, clock) -> dict[str, int]:
    with database.reading() as connection:
        return {item.regime: item.id for item in procedures.standings(connection, at=clock())}


@pytest.fixture
def path(versions) -> str:
    return f"/compare/{versions['national']}/{versions['anhui']}"


@pytest.fixture
def editor(visitor_of, world):
    return visitor_of(world.ministry_actors["policy_editor"])


@pytest.fixture
def reader(visitor_of, world):
    return visitor_of(world[ANHUI].actor("operator"))


def send(visitor, **form):
    answer = visitor.post("/compare", form)
    # The test client keeps what it sent in a file, and leaves it open.
    answer.request.environ["wsgi.input"].close()
    return answer


def kept(database) -> int:
    with database.reading() as connection:
        return connection.scalar(sa.select(sa.func.count()).select_from(comparison))


# Reading


def test_everybody_is_offered_what_is_in_force_side_by_side(reader, path):
    page = reader.get("/compare").text
    assert f'href="{path}"' in page
    assert "全国与安徽" in page
    assert 'href="/compare"' in reader.get("/procedures").text


def test_a_draft_is_offered_beside_what_it_would_take_the_place_of(database, world, clock, editor, versions):
    with database.transaction() as connection:
        actor = world.ministry_actors["policy_editor"]
        change = ('menu" value="变动审批/转入审批"', 'menu" value="变动审批/审批"')
        draft = procedures.upload(connection, actor, "anhui", "transfer", diagrams.edited("anhui", change), at=clock())
    page = editor.get("/compare").text
    assert f"/compare/{versions['anhui']}/{draft.id}" in page
    link = f'href="/compare/{versions["anhui"]}/{draft.id}"'
    assert link in editor.get(f"/procedures/{draft.id}").text
    told = editor.get(f"/compare/{versions['anhui']}/{draft.id}").text
    assert "安徽第1版与安徽第2版" in told
    assert "变动审批/审批" in told


def test_the_page_has_both_documents_then_the_verdict_then_its_proofs(reader, path):
    page = reader.get(path).text
    parts = ["教基一司函〔2013〕68号", "皖教秘基〔2014〕2号", "结论", "步骤对照", "差异", "谁可以使流程终止", "数量"]
    parts += ["两份流程图", "相同之处", "待定问题"]
    places = [page.index(f">{part}") for part in parts]
    assert places == sorted(places)
    assert "影响效力的差异有7项" in page
    assert "安徽的文件转发或引用了全国的文件" in page
    assert "转出学校学籍主管部门与转出学校核对，并在学籍系统中审核。" in page


def test_every_difference_is_on_the_page_and_can_be_narrowed_down(reader, path, database, world, clock):
    with database.reading() as connection:
        pair = reports.pair(connection, world[ANHUI].actor("operator"), *path.split("/")[-2:])
    found = reports.find(pair)
    page = reader.get(path).text
    assert [item["id"] for item in found["differences"] if item["text"]["zh"] not in page] == []
    narrowed = reader.get(f"{path}?party=releasing_school&severity=legal_effect").text
    cards = re.findall(r'<p class="told">(.*?)</p>', narrowed)
    assert len(cards) == 1
    assert "安徽未载明其可以不同意" in cards[0]
    assert "没有符合所选条件的差异" in reader.get(f"{path}?kind=nothing").text


def test_a_run_can_be_played_in_the_words_of_its_diagram(reader, path):
    page = reader.get(f"{path}?kind=refusal").text
    run = json.loads(re.search(r'data-play="([^"]*)"', page)[1].replace("&#34;", '"').replace("&#39;", "'"))
    assert run["side"] == "a"
    assert run["moves"][-1]["words"] == "转出学校核办：不同意"
    assert run["moves"][0]["tokens"]


def test_sides_are_swapped_by_a_link(reader, path, versions):
    turned = f"/compare/{versions['anhui']}/{versions['national']}"
    assert f'href="{turned}"' in reader.get(path).text
    assert "安徽与全国" in reader.get(turned).text


def test_it_is_found_once_and_kept(reader, editor, path, database, monkeypatch):
    reader.get(path)
    assert kept(database) == 1
    monkeypatch.setattr(reports, "find", lambda pair: pytest.fail("found again"))
    assert editor.get(path).status_code == 200


def test_a_large_one_is_found_in_the_background_and_says_how_far_it_is(reader, path, application, monkeypatch):
    monkeypatch.setattr("engine.reports.stored.QUICK", 10)
    assert "排队等候" in reader.get(path).text
    assert reader.get(f"{path}/report.pdf").status_code == 302
    application.jobs.run_pending()
    assert "结论" in reader.get(path).text
    poll = reader.get(f"{path}?waiting=1", headers={"HX-Request": "true"})
    assert poll.headers["HX-Refresh"] == "true"


def test_what_is_not_there_is_not_found(reader, versions):
    for path in ("/compare/1/999", "/compare/f1/1", "/compare/x/1", f"/compare/1/{'9' * 30}", "/compare/ff1/1"):
        assert reader.get(path).status_code == 404, path


def test_it_is_complete_in_english(reader, path):
    reader.post("/locale", {"locale": "en", "next": path})
    page = reader.get(path).text
    assert "Differences of legal effect: 7" in page
    assert "Who can stop a case" in page


# The report


@pytest.mark.parametrize(("form", "begins"), [("docx", b"PK"), ("pdf", b"%PDF"), ("json", b"{")])
def test_it_is_handed_on_as_a_file(reader, path, form, begins):
    answer = reader.get(f"{path}/report.{form}")
    assert answer.data.startswith(begins)
    assert f".{form}" in answer.headers["Content-Disposition"]


def test_it_says_how_long_cases_take(reader, path):
    with zipfile.ZipFile(io.BytesIO(reader.get(f"{path}/report.docx").data)) as parts:
        text = re.sub("<[^>]+>", "|", parts.read("word/document.xml").decode())
    national, anhui = map(float, re.search(r"平均\|+([\d.]+) ± [\d.]+\|+([\d.]+) ±", text).groups())
    assert 5 < anhui < national < 30


def test_there_are_no_other_reports(reader, path):
    assert reader.get(f"{path}/report.exe").status_code == 404


# Files


def test_a_file_is_compared_with_a_version_for_its_sender_alone(reader, editor, versions, database, clock):
    form = {"a": "file", "a_diagram": (io.BytesIO(FOREIGN), "Intake 2026.bpmn"), "b": str(versions["anhui"])}
    answer = send(reader, **form)
    assert answer.status_code == 303
    page = reader.get(answer.location).text
    assert "Intake 2026" in page
    assert "Check the file" in page
    reference = answer.location.split("/")[2]
    assert reader.get(f"/compare/files/{reference}/diagram.bpmn").data == FOREIGN
    assert editor.get(answer.location).status_code == 404
    assert editor.get(f"/compare/files/{reference}/diagram.bpmn").status_code == 404
    clock.turn(days=31)
    with database.transaction() as connection:
        reports.forget_old(connection, at=clock())
        assert connection.scalar(sa.select(sa.func.count()).select_from(compared_file)) == 0


def test_what_can_not_be_compared_is_said_on_the_form(reader, versions):
    form = {"a": "file", "b": str(versions["anhui"])}
    assert send(reader, **form).status_code == 422
    letter = send(reader, **form, a_diagram=(io.BytesIO(b"Dear Sir"), "letter.bpmn"))
    assert letter.status_code == 422
    assert "流程对照" in letter.text


# Correcting


def test_a_policy_editor_corrects_the_matching_and_it_is_remembered(editor, reader, path, database):
    said = {"a": ["decide_releasing_school"], "b": ["send_paper_file"]}
    answer = editor.post(f"{path}/matches", said)
    assert answer.status_code == 303
    with database.reading() as connection:
        rows = connection.execute(sa.select(audit.audit_entry).where(audit.audit_entry.c.action.like("comparison%")))
        entry = rows.mappings().one()
    assert entry["action"] == "comparison.match_corrected"
    assert entry["after"]["steps_a"] == ["decide_releasing_school"]
    told = json.loads(reader.get(f"{path}/report.json").data)
    assert {"a": ["decide_releasing_school"], "b": ["send_paper_file"], "confidence": 1.0} in told["pairs"]
    swapped = "/compare/" + "/".join(reversed(path.split("/")[-2:]))
    turned = json.loads(reader.get(f"{swapped}/report.json").data)
    assert {"a": ["send_paper_file"], "b": ["decide_releasing_school"], "confidence": 1.0} in turned["pairs"]
    page = editor.get(path).text
    assert "确认：转出学校核办" in page
    removal = re.search(r'action="([^"]*/removal)"', page)[1]
    assert editor.post(removal).status_code == 303
    assert json.loads(reader.get(f"{path}/report.json").data)["pairs"] != told["pairs"]


def test_saying_it_again_takes_the_place_of_what_was_said_before(editor, path):
    editor.post(f"{path}/matches", {"a": ["decide_releasing_school"], "b": ["send_paper_file"]})
    editor.post(f"{path}/matches", {"a": ["decide_releasing_school"], "b": []})
    page = editor.get(path).text
    assert page.count("/removal") == 1
    assert "没有对应的步骤" in page


def test_a_correction_names_steps_that_are_there(editor, path):
    assert editor.post(f"{path}/matches", {}).status_code == 422
    answer = editor.post(f"{path}/matches", {"a": ["nothing"], "b": []})
    assert answer.status_code == 422
    assert "请至少勾选一个步骤" in answer.text


def test_who_keeps_no_procedures_corrects_nothing(reader, path):
    assert "更正步骤对应" not in reader.get(path).text
    assert reader.post(f"{path}/matches", {"a": ["apply"], "b": ["apply"]}).status_code == 403
