"""The pages of procedures: who reads and who changes them, what an upload says, and what a deployment promises."""

from __future__ import annotations

import io
import re

import pytest

from engine import procedures
from tests.integration import diagrams, play

ANHUI, HENAN = "340000", "410000"
DUE = 'name="转入学校学籍主管部门审核" camunda:dueDate="${workdays(10)}"'
SHORTER = DUE.replace("10", "5")
BROKEN = ('camunda:topic="check_student"', 'camunda:topic="guess_student"')


@pytest.fixture
def editor(visitor_of, world):
    return visitor_of(world.ministry_actors["policy_editor"])


@pytest.fixture
def reader(visitor_of, world):
    return visitor_of(world[ANHUI].actor("operator"))


def standings(database, clock):
    with database.reading() as connection:
        return [item for item in procedures.standings(connection, at=clock()) if item.regime == "anhui"]


def shipped_id(database, clock) -> int:
    return standings(database, clock)[-1].id


def send(visitor, diagram: bytes, *, regime="anhui", document: bytes | None = None, **form: str):
    files = {"diagram": (io.BytesIO(diagram), "transfer.bpmn")}
    if document is not None:
        files["document"] = (io.BytesIO(document), "document.csv")
    answer = visitor.post(f"/procedures/new/{regime}", form | files)
    # The test client keeps what it sent in a file, and leaves it open.
    answer.request.environ["wsgi.input"].close()
    return answer


def draft(database, world, clock, *changes: tuple[str, str]) -> int:
    with database.transaction() as connection:
        editor = world.ministry_actors["policy_editor"]
        diagram = diagrams.edited("anhui", *(changes or ((DUE, SHORTER),)))
        return procedures.upload(connection, editor, "anhui", "transfer", diagram, at=clock()).id


# Reading


def test_everybody_reads_every_regime_and_version_with_its_running_cases(database, world, clock, reader):
    play.apply(database, world, HENAN, ANHUI, clock())
    page = reader.get("/procedures").text
    assert "全国" in page
    assert "皖教秘基〔2014〕2号" in page
    assert "现行" in page
    assert re.search(r'data-label="在办件数">1<', page)
    assert "上传新版本" not in page


def test_nobody_reads_them_without_a_login(stranger, world):
    assert stranger.get("/procedures").status_code == 302


def test_a_version_shows_each_step_with_its_sentences_and_how_sure_they_are(database, world, clock, reader):
    page = reader.get(f"/procedures/{shipped_id(database, clock)}").text
    item = re.search(r'data-element="check_with_releasing_school">(.*?)</div>', page, re.DOTALL)[1]
    assert "与转出学校核对" in item
    assert "转出学校学籍主管部门与转出学校核对，并在学籍系统中审核。" in item
    assert "推断" in item
    assert "10 个工作日" in item
    assert "可批量办理" in item
    assert 'data-clauses="clauses"' in page


def test_every_element_of_the_diagram_stands_in_the_list(database, world, clock, reader):
    page = reader.get(f"/procedures/{shipped_id(database, clock)}").text
    with database.reading() as connection:
        version = procedures.load(connection, shipped_id(database, clock))
    for pool in version.graph.executable:
        for node in pool.nodes:
            assert page.count(f'data-element="{node.id}"') == 1


def test_forms_are_tables_with_type_binding_and_basis(database, world, clock, reader):
    page = reader.get(f"/procedures/{shipped_id(database, clock)}/forms").text
    assert "身份证件类型" in page
    assert "图示" in page
    assert "最多 500 字" in page
    assert "审批结果为“审批不通过”时必填" in page
    assert "学生姓名" in page


def test_the_whole_document_says_what_stands_for_each_sentence_or_why_nothing_does(database, world, clock, reader):
    page = reader.get(f"/procedures/{shipped_id(database, clock)}/document").text
    assert "主送机关，不是办理步骤" in page
    assert "文件事项：发文机关" in page
    assert "未载明" in page
    assert "勾选需要审批的学生名单，可勾选多条记录，同时对多个学生进行审批。" in page


def test_english_pages_are_complete(database, world, clock, editor):
    editor.post("/locale", {"locale": "en"})
    for part in ("", "/forms", "/document", "/check"):
        page = editor.get(f"/procedures/{shipped_id(database, clock)}{part}").text
        assert "Decision of the receiving authority" in page or part == "/check"
    assert "Put it into force" in editor.get(f"/procedures/{draft(database, world, clock)}/check").text


def test_the_files_come_back_as_they_were_sent_and_never_to_be_run(database, world, clock, reader):
    answer = reader.get(f"/procedures/{shipped_id(database, clock)}/diagram.bpmn")
    assert answer.data == diagrams.shipped("anhui")
    assert answer.headers["Content-Disposition"] == 'attachment; filename="anhui-transfer-1.bpmn"'
    known = {"If-None-Match": answer.headers["ETag"]}
    again = reader.get(f"/procedures/{shipped_id(database, clock)}/diagram.bpmn", headers=known)
    assert again.status_code == 304
    document = reader.get(f"/procedures/{shipped_id(database, clock)}/document.csv")
    assert document.data.startswith(b"\xef\xbb\xbfclause,text,modelled")


@pytest.mark.parametrize("part", ["", "/forms", "/document", "/check", "/diagram.bpmn", "/document.csv"])
def test_what_is_not_there_is_not_found(world, reader, part):
    assert reader.get(f"/procedures/4711{part}").status_code == 404


# Uploading


def test_an_upload_becomes_a_draft_and_its_findings_and_changes_are_read_in_words(database, world, clock, editor):
    answer = send(editor, diagrams.edited("anhui", (DUE, SHORTER)), note="缩短期限")
    assert answer.status_code == 303
    page = editor.get(answer.location).text
    assert "已保存为第 2 版草稿" in page
    assert "检查通过，没有错误和提示。" in page
    assert "10 个工作日" in page
    assert "5 个工作日" in page
    assert "缩短期限" in page
    assert [item.state for item in standings(database, clock)] == ["draft", "in_force"]


def test_findings_name_their_element_and_lead_to_it(database, world, clock, editor):
    version_id = draft(database, world, clock, BROKEN)
    page = editor.get(f"/procedures/{version_id}/check").text
    assert "该版本有错误，不能启用" in page
    item = re.search(r'<li data-element="check_student">(.*?)</li>', page, re.DOTALL)[1]
    assert "guess_student" in item
    assert 'data-shows="check_student">核验学生信息<' in item
    assert "&#34;check_student&#34;: &#34;wrong&#34;" in page
    assert editor.post(f"/procedures/{version_id}/deployment").status_code == 422
    assert standings(database, clock)[0].state == "draft"


def test_a_document_of_a_spreadsheet_is_taken(database, world, clock, editor):
    document = "clause,text,modelled\r\n附件一.1,学生申请。,yes\r\n".encode("gb18030")
    page = editor.get(send(editor, diagrams.edited("anhui", (DUE, SHORTER)), document=document).location).text
    assert "“附件一.2”" in page
    assert "“附件一.1”" not in page


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"<!DOCTYPE d [<!ENTITY a 'x'>]><definitions>&a;</definitions>", "DOCTYPE"),
        (b"<html xmlns='http://www.w3.org/1999/xhtml'><script>alert(1)</script></html>", "BPMN"),
        (b"x" * (3 * 1024 * 1024), "2 MB"),
        (b"<definitions", "XML"),
    ],
    ids=["entities", "script", "3MB", "broken"],
)
def test_hostile_files_get_a_clear_answer_and_nothing_is_kept(database, world, clock, editor, content, said):
    answer = send(editor, content, note="我的说明")
    assert answer.status_code == 422
    assert said in answer.text
    assert "alert(1)" not in answer.text
    assert "我的说明" in answer.text
    assert len(standings(database, clock)) == 1


def test_a_file_above_the_limit_of_all_requests_is_refused_too(database, world, clock, editor):
    answer = send(editor, b"x" * (9 * 1024 * 1024))
    assert answer.status_code == 413
    assert "文件过大" in answer.text
    assert len(standings(database, clock)) == 1


def test_nothing_chosen_and_a_bad_document_are_said_at_their_fields(world, editor):
    assert "请选择文件。" in editor.post("/procedures/new/anhui", {"note": "x"}).text
    answer = send(editor, diagrams.edited("anhui", (DUE, SHORTER)), document=b"\xff\xff\xff")
    assert answer.status_code == 422
    assert "UTF-8" in answer.text


def test_the_same_file_again_is_named(world, editor):
    answer = send(editor, diagrams.shipped("anhui"))
    assert answer.status_code == 409
    assert "第 1 版" in answer.text or "版本 1" in answer.text


def test_words_in_a_diagram_are_words_and_never_markup(database, world, clock, editor):
    evil = 'name="&lt;img src=x onerror=alert(1)&gt;" camunda:dueDate="${workdays(10)}"'
    version_id = draft(database, world, clock, (DUE, evil))
    for part in ("", "/forms", "/document", "/check"):
        page = editor.get(f"/procedures/{version_id}{part}").text
        assert "<img src=x" not in page


# Deploying


def test_the_page_says_before_deploying_how_many_finish_under_theirs(database, world, clock, editor):
    play.apply(database, world, HENAN, ANHUI, clock(), serial=1)
    play.apply(database, world, HENAN, ANHUI, clock(), serial=2)
    page = editor.get(f"/procedures/{draft(database, world, clock)}/check").text
    assert "第 1 版在办 2 件，仍按第 1 版办完。" in page
    assert "自所选日期起，新发起的转学按本版本办理。" in page


def test_today_deploys_at_once_and_new_cases_start_under_it(database, world, clock, editor):
    version_id = draft(database, world, clock)
    answer = editor.post(f"/procedures/{version_id}/deployment", {"effective_from": "2026-09-22"})
    assert answer.status_code == 303
    assert "新发起的转学即按本版本办理" in editor.get(answer.location).text
    case_id = play.apply(database, world, HENAN, ANHUI, clock())
    assert play.open_tasks(database, case_id)[0].version.id == version_id


def test_a_later_day_begins_at_midnight_in_china(database, world, clock, editor):
    version_id = draft(database, world, clock)
    editor.post(f"/procedures/{version_id}/deployment", {"effective_from": "2026-10-01"})
    [scheduled, current] = standings(database, clock)
    assert (scheduled.state, current.state) == ("scheduled", "in_force")
    assert scheduled.effective_from.isoformat() == "2026-09-30T16:00:00+00:00"
    assert "待施行" in editor.get("/procedures").text


@pytest.mark.parametrize("day", ["2026-09-21", "morgen", "2026-13-01"])
def test_a_day_that_can_not_be_is_refused_at_its_field(database, world, clock, editor, day):
    answer = editor.post(f"/procedures/{draft(database, world, clock)}/deployment", {"effective_from": day})
    assert answer.status_code == 422
    assert 'id="effective_from-error"' in answer.text
    assert standings(database, clock)[0].state == "draft"


def test_a_draft_is_deleted_and_a_version_retired_in_words(database, world, clock, editor):
    version_id = draft(database, world, clock)
    assert "草稿已删除。" in editor.get(editor.post(f"/procedures/{version_id}/discard").location).text
    version_id = draft(database, world, clock)
    editor.post(f"/procedures/{version_id}/deployment")
    assert "恢复按第 1 版办理" in editor.get(f"/procedures/{version_id}/check").text
    assert "已停用" in editor.get(editor.post(f"/procedures/{version_id}/retirement").location).text
    answer = editor.post(f"/procedures/{shipped_id(database, clock)}/retirement")
    assert answer.status_code == 409
    assert "唯一" in answer.text


# Who may


@pytest.mark.parametrize("name", ["operator", "county", "province_admin"])
def test_others_see_no_way_to_change_and_find_none(database, world, clock, visitor_of, name):
    visitor = visitor_of(world[ANHUI].actor(name))
    version_id = draft(database, world, clock)
    page = visitor.get(f"/procedures/{version_id}/check").text
    assert "启用本版本" not in page
    assert visitor.get("/procedures/new/anhui").status_code == 403
    assert send(visitor, diagrams.edited("anhui", BROKEN)).status_code == 403
    for deed in ("deployment", "retirement", "discard"):
        assert visitor.post(f"/procedures/{version_id}/{deed}").status_code == 403
    assert [item.state for item in standings(database, clock)] == ["draft", "in_force"]


def test_a_provinces_policy_staff_keep_its_own_regime_alone(database, world, clock, visitor_of):
    own, other = visitor_of(world[ANHUI].actor("policy")), visitor_of(world[HENAN].actor("policy"))
    assert own.get("/procedures/new/anhui").status_code == 200
    assert own.get("/procedures/new/national").status_code == 404
    assert other.get("/procedures/new/anhui").status_code == 404
    version_id = draft(database, world, clock)
    assert "启用本版本" in own.get(f"/procedures/{version_id}/check").text
    assert other.post(f"/procedures/{version_id}/deployment").status_code == 403
