"""Regimes and versions: what is kept, what comes into force when, and that a changed diagram is obeyed."""

from __future__ import annotations

import re
import threading
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from engine import audit, cases, inbox, procedures, transfers
from engine.bpmn import checks
from engine.bpmn.reader import DiagramError
from engine.errors import Conflict, Forbidden, Invalid, NotFound
from engine.procedures import DoesNotFit, KeptElsewhere, NoneInForce, NotDeployable
from engine.settings import processes_folder
from tests.integration import diagrams, play

ANHUI, HENAN, ZHEJIANG = "340000", "410000", "330000"


def variant(regime: str, word: str = "x") -> bytes:
    """The shipped diagram under another hash."""
    process = '<bpmn:process id="receiving"'
    return diagrams.edited(regime, (process, f"<!-- {word} -->{process}"))


@pytest.fixture
def editor(world):
    return world.ministry_actors["policy_editor"]


@pytest.fixture
def administrator(world):
    return world.ministry_actors["administrator"]


def upload(database, actor, diagram, at, *, regime="anhui", **more):
    with database.transaction() as connection:
        return procedures.upload(connection, actor, regime, "transfer", diagram, at=at, **more)


def in_force(database, regime, at):
    with database.reading() as connection:
        return procedures.in_force(connection, regime, "transfer", at=at).number


def states(database, at, regime="anhui"):
    """The state of each version by its number."""
    with database.reading() as connection:
        return {item.number: item.state for item in procedures.standings(connection, at=at) if item.regime == regime}


# Versions --------------------------------------------------------------------------------------------------------


def test_a_version_is_kept_to_the_byte_with_its_hash_its_note_and_its_author(database, world, clock, editor):
    diagram = variant("anhui")
    version = upload(database, editor, diagram, clock(), note="  改了一处  ")
    with database.reading() as connection:
        kept = procedures.load(connection, version.id)
        standing = procedures.standing(connection, version.id, at=clock())
    assert kept.diagram == diagram
    assert (standing.number, standing.state, standing.note) == (2, "draft", "改了一处")
    assert standing.uploaded_by == editor.person_name
    assert len(standing.sha256) == 64


def test_without_a_document_the_newest_one_is_taken_over(database, world, clock, editor):
    version = upload(database, editor, variant("anhui"), clock())
    assert any("安徽省教育厅" in sentence.text for sentence in version.sentences)
    assert version.findings() == []


def test_the_same_file_is_not_taken_twice_but_may_come_back_once_retired(database, world, clock, editor):
    diagram = variant("anhui")
    version = upload(database, editor, diagram, clock())
    with pytest.raises(Conflict) as same:
        upload(database, editor, diagram, clock())
    assert same.value.values["number"] == 2
    with database.transaction() as connection:
        procedures.deploy(connection, editor, version.id, at=clock())
        procedures.retire(connection, editor, version.id, at=clock())
    assert upload(database, editor, diagram, clock()).number == 3


def test_a_date_decides_when_new_cases_start_under_a_version(database, world, clock, editor):
    since = clock() + timedelta(days=3)
    diagrams.deploy(database, editor, "anhui", variant("anhui"), clock(), since=since)
    assert states(database, clock()) == {1: "in_force", 2: "scheduled"}
    assert in_force(database, "anhui", clock()) == 1
    assert in_force(database, "anhui", since - timedelta(seconds=1)) == 1
    assert in_force(database, "anhui", since) == 2
    assert states(database, since) == {1: "superseded", 2: "in_force"}
    with database.reading() as connection:
        first = procedures.standings(connection, at=clock())[1]
    assert (first.number, first.until) == (1, since)


def test_nothing_comes_into_force_in_the_past(database, world, clock, editor):
    version = upload(database, editor, variant("anhui"), clock())
    with pytest.raises(Invalid) as past, database.transaction() as connection:
        procedures.deploy(connection, editor, version.id, effective_from=clock() - timedelta(seconds=1), at=clock())
    assert "effective_from" in past.value.fields


def test_findings_that_are_errors_block_deployment_and_say_which(database, world, clock, editor):
    broken = diagrams.edited("anhui", ('camunda:topic="check_student"', 'camunda:topic="guess_student"'))
    version = upload(database, editor, broken, clock())
    with pytest.raises(NotDeployable) as refused, database.transaction() as connection:
        procedures.deploy(connection, editor, version.id, at=clock())
    assert "check_student" in {finding.element for finding in refused.value.findings}
    assert states(database, clock())[2] == "draft"


def test_a_transfer_needs_both_pools(database, world, clock, editor):
    plain = b"""<definitions xmlns="http://www.omg.org/spec/BPMN/20100524/MODEL" id="d" targetNamespace="t">
      <process id="p" isExecutable="true"><startEvent id="s"/><endEvent id="e"/>
      <sequenceFlow id="f" sourceRef="s" targetRef="e"/></process></definitions>"""
    version = upload(database, editor, plain, clock(), document="")
    with pytest.raises(NotDeployable) as refused, database.transaction() as connection:
        procedures.deploy(connection, editor, version.id, at=clock())
    assert [finding.rule for finding in refused.value.findings] == ["kind"]


def test_a_deployed_version_is_never_changed_discarded_or_deployed_again(database, world, clock, editor):
    version = diagrams.deploy(database, editor, "anhui", variant("anhui"), clock())
    for change in (procedures.discard, procedures.deploy):
        with pytest.raises(Conflict), database.transaction() as connection:
            change(connection, editor, version.id, at=clock())


def test_a_draft_can_be_discarded_and_is_gone(database, world, clock, editor):
    version = upload(database, editor, variant("anhui"), clock())
    with database.transaction() as connection:
        procedures.discard(connection, editor, version.id, at=clock())
    assert states(database, clock()) == {1: "in_force"}
    with pytest.raises(NotFound), database.reading() as connection:
        procedures.load(connection, version.id)


def test_retiring_brings_the_version_before_back_and_never_leaves_none(database, world, clock, editor):
    version = diagrams.deploy(database, editor, "anhui", variant("anhui"), clock())
    with database.reading() as connection:
        known = procedures.standings(connection, at=clock())
    assert procedures.heir(known, known[0]) == known[1]
    with database.transaction() as connection:
        procedures.retire(connection, editor, version.id, at=clock())
    assert states(database, clock()) == {1: "in_force", 2: "retired"}
    with pytest.raises(Conflict), database.transaction() as connection:
        procedures.retire(connection, editor, known[1].id, at=clock())


def test_a_version_that_is_not_in_force_yet_can_be_taken_back(database, world, clock, editor):
    since = clock() + timedelta(days=3)
    version = diagrams.deploy(database, editor, "anhui", variant("anhui"), clock(), since=since)
    with database.transaction() as connection:
        procedures.retire(connection, editor, version.id, at=clock())
    assert in_force(database, "anhui", since) == 1


def test_two_who_retire_at_once_leave_one_in_force(database, world, clock, editor):
    first = diagrams.deploy(database, editor, "anhui", variant("anhui", "one"), clock())
    second = diagrams.deploy(database, editor, "anhui", variant("anhui", "two"), clock())
    with database.reading() as connection:
        shipped = procedures.standings(connection, at=clock())[2].id
    with database.transaction() as connection:
        procedures.retire(connection, editor, shipped, at=clock())
    refused = []

    def retire(version_id: int) -> None:
        try:
            with database.transaction() as connection:
                procedures.retire(connection, editor, version_id, at=clock())
        except Conflict as error:
            refused.append(error)

    together([lambda: retire(first.id), lambda: retire(second.id)])
    assert len(refused) == 1
    assert list(states(database, clock()).values()).count("in_force") == 1


def test_two_who_upload_at_once_get_two_numbers(database, world, clock, editor):
    together([lambda word=word: upload(database, editor, variant("anhui", word), clock()) for word in ("one", "two")])
    assert sorted(states(database, clock())) == [1, 2, 3]


def together(works) -> None:
    errors = []

    def run(work) -> None:
        try:
            work()
        except Exception as error:  # a thread's error would be lost
            errors.append(error)

    threads = [threading.Thread(target=run, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []


def test_everything_that_happens_to_a_version_is_audited(database, world, clock, editor):
    version = diagrams.deploy(database, editor, "anhui", variant("anhui"), clock())
    with database.transaction() as connection:
        procedures.retire(connection, editor, version.id, at=clock())
        draft = procedures.upload(connection, editor, "anhui", "transfer", variant("anhui", "y"), at=clock())
        procedures.discard(connection, editor, draft.id, at=clock())
        entry = audit.audit_entry.c
        deeds = connection.scalars(
            sa.select(entry.action).where(entry.person_id == editor.person_id).order_by(entry.id)
        )
        assert list(deeds) == [
            "procedure.uploaded", "procedure.deployed", "procedure.retired", "procedure.uploaded",
            "procedure.discarded",
        ]  # fmt: skip


# Who may ---------------------------------------------------------------------------------------------------------


def test_only_policy_staff_change_versions(database, world, clock):
    for actor in (world.ministry_actors["administrator"], world[ANHUI].actor("county"), world[ANHUI].actor("operator")):
        with pytest.raises(Forbidden):
            upload(database, actor, variant("anhui"), clock())


def test_a_province_keeps_the_regime_that_serves_it_alone(database, world, clock, administrator):
    upload(database, world[ANHUI].actor("policy"), variant("anhui"), clock())
    with pytest.raises(KeptElsewhere):
        upload(database, world[ANHUI].actor("policy"), variant("national"), clock(), regime="national")
    with pytest.raises(KeptElsewhere):
        upload(database, world[HENAN].actor("policy"), variant("anhui", "y"), clock())
    with database.transaction() as connection:
        procedures.set_rule(connection, administrator, HENAN, "within", "anhui", "河南试用", at=clock())
    with pytest.raises(KeptElsewhere):
        upload(database, world[ANHUI].actor("policy"), variant("anhui", "z"), clock())


@pytest.mark.parametrize("change", [procedures.deploy, procedures.retire, procedures.discard])
def test_others_can_neither_deploy_nor_retire_nor_discard(database, world, clock, editor, change):
    version = upload(database, editor, variant("anhui"), clock())
    with pytest.raises(Forbidden), database.transaction() as connection:
        change(connection, world[HENAN].actor("policy"), version.id, at=clock())


# What is no diagram or document ----------------------------------------------------------------------------------

ENTITIES = "".join(f'<!ENTITY e{n} "{f"&e{n - 1};" * 10}">' for n in range(1, 10))
BOMB = f'<?xml version="1.0"?><!DOCTYPE d [<!ENTITY e0 "ha">{ENTITIES}]><definitions id="&e9;">&e9;</definitions>'
EXTERNAL = '<!DOCTYPE d [<!ENTITY e SYSTEM "file:///etc/passwd">]><definitions>&e;</definitions>'
SCRIPT = "<html xmlns='http://www.w3.org/1999/xhtml'><script>alert(1)</script></html>"


@pytest.mark.parametrize(
    "content",
    [
        BOMB.encode(), BOMB.encode("utf-16"), EXTERNAL.encode(), SCRIPT.encode(), b"", b"\x00\xff\xfe",
        b"x" * (3 * 1024 * 1024), b"<definitions/>", b"<a" + b" b" * 1000 + b">", "转学".encode(),
    ],
    ids=["bomb", "bomb-utf16", "external", "script", "empty", "bytes", "3MB", "no-bpmn", "attributes", "words"],
)  # fmt: skip
def test_what_is_no_diagram_is_refused_in_words_and_nothing_is_kept(database, world, clock, editor, content):
    with pytest.raises(DiagramError) as refused:
        upload(database, editor, content, clock())
    assert refused.value.message
    assert refused.value.remedy
    assert states(database, clock()) == {1: "in_force"}


@pytest.mark.parametrize(
    "document",
    [
        "a,b\n1,2\n",
        "clause,text,modelled\n附件一.1\n",
        'clause,text,modelled\n1,"' + "x" * 140_000,
        "clause\0,text,modelled",
    ],
    ids=["columns", "short-row", "endless-cell", "nul"],
)
def test_what_is_no_document_is_refused(database, world, clock, editor, document):
    with pytest.raises(Invalid):
        upload(database, editor, variant("anhui"), clock(), document=document)
    assert states(database, clock()) == {1: "in_force"}


def test_a_document_is_read_as_spreadsheets_save_it():
    text = "clause,text,modelled\r\n附件一.1,学生申请。,yes\r\n\r\n,,\r\n"
    for content in (text.encode(), b"\xef\xbb\xbf" + text.encode(), text.encode("gb18030")):
        [sentence] = procedures.read_document(procedures.decode_document(content))
        assert (sentence.clause, sentence.text, sentence.modelled) == ("附件一.1", "学生申请。", "yes")
    for content in (b"\xff\xff\xff", b" " * (2 * 1024 * 1024)):
        with pytest.raises(Invalid):
            procedures.decode_document(content)


def test_a_note_that_does_not_fit_is_refused_at_its_field(database, world, clock, editor):
    with pytest.raises(Invalid) as refused:
        upload(database, editor, variant("anhui"), clock(), note="长" * 501)
    assert set(refused.value.fields) == {"note"}


def test_clauses_are_found_missing_unused_and_repeated(database, world, clock, editor):
    document = "clause,text,modelled\n附件一.1,甲,yes\n多余,乙,yes\n多余,丙,不是步骤\n"
    findings = upload(database, editor, variant("anhui"), clock(), document=document).findings()
    said = {(finding.severity, finding.values["clause"]) for finding in findings if finding.rule == "clause"}
    assert ("error", "附件一.2") in said
    assert ("error", "通知.首部") in said  # a fact's reference
    assert ("warning", "多余") in said
    assert ("error", "附件一.1") not in said


def test_two_documents_differ_by_their_clauses(database, world, clock, editor):
    one = upload(database, editor, variant("anhui"), clock(), document="clause,text,modelled\n一,甲,yes\n二,乙,yes\n")
    other = upload(database, editor, variant("anhui"), clock(), document="clause,text,modelled\n一,甲,yes\n三,丙,yes\n")
    differing = procedures.changed_sentences(one, other)
    assert [(old and old.clause, new and new.clause) for old, new in differing] == [(None, "三"), ("二", None)]


# Rules -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def rule(database, clock):
    """The rule by which a side in a province would run now."""

    def rule(province, *, within):
        with database.reading() as connection:
            return procedures.routes(connection, [province], within=within, at=clock())[province].rule

    return rule


def test_the_table_says_under_which_regime_a_side_runs(world, rule):
    assert rule(HENAN, within=False).regime == "national"
    assert (rule(ANHUI, within=False).regime, rule(ANHUI, within=False).basis) == ("anhui", "text")
    assert rule(ANHUI, within=True).basis == "inferred"


def test_the_ministry_changes_the_table_and_new_transfers_follow(database, world, clock, administrator, rule):
    before = play.apply(database, world, HENAN, ZHEJIANG, clock(), serial=1)
    with database.transaction() as connection:
        procedures.set_rule(connection, administrator, ZHEJIANG, "across", "anhui", "浙江采用安徽做法", at=clock())
    assert rule(ZHEJIANG, within=False).basis == "inferred"
    after = play.apply(database, world, HENAN, ZHEJIANG, clock(), serial=2)
    assert regimes_of(database, before) == ["national", "national"]
    assert regimes_of(database, after) == ["anhui", "national"]
    with database.transaction() as connection:
        procedures.remove_rule(connection, administrator, ZHEJIANG, "across", at=clock())
    assert rule(ZHEJIANG, within=False).regime == "national"


def regimes_of(database, case_id):
    with database.reading() as connection:
        return [stand.version.regime for stand in cases.stands(connection, case_id)]


def test_the_general_rule_can_be_changed_but_not_removed(database, world, clock, administrator, rule):
    with database.transaction() as connection:
        procedures.set_rule(connection, administrator, "*", "within", "anhui", "统一", basis="text", at=clock())
    assert rule(HENAN, within=True).regime == "anhui"
    with pytest.raises(Invalid), database.transaction() as connection:
        procedures.remove_rule(connection, administrator, "*", "within", at=clock())
    with pytest.raises(NotFound), database.transaction() as connection:
        procedures.remove_rule(connection, administrator, HENAN, "within", at=clock())


def test_a_rule_needs_a_province_a_regime_and_a_reason(database, world, clock, administrator):
    def set_rule(province, move, regime, reason, **more):
        with database.transaction() as connection:
            procedures.set_rule(connection, administrator, province, move, regime, reason, at=clock(), **more)

    for province, move in (("340100", "across"), ("000000", "across"), (HENAN, "sideways")):
        with pytest.raises(NotFound):
            set_rule(province, move, "anhui", "理由")
    with pytest.raises(Invalid) as refused:
        set_rule(HENAN, "across", "nowhere", "", basis="guess")
    assert set(refused.value.fields) == {"regime", "basis", "reason"}


def test_only_the_ministrys_administrators_change_rules_and_windows(database, world, clock, editor):
    for actor in (editor, world[ANHUI].actor("province_admin"), world.ministry_actors["operator"]):
        with pytest.raises(Forbidden), database.transaction() as connection:
            procedures.set_rule(connection, actor, HENAN, "across", "anhui", "理由", at=clock())
        with pytest.raises(Forbidden), database.transaction() as connection:
            procedures.remove_rule(connection, actor, ANHUI, "across", at=clock())
        with pytest.raises(Forbidden), database.transaction() as connection:
            procedures.set_window(connection, actor, "anhui", "07-15", "08-14", at=clock())


def test_a_closed_season_takes_no_new_application_and_leaves_the_rest_alone(database, world, clock, administrator):
    case_id = play.apply(database, world, HENAN, ANHUI, clock(), serial=1)
    with database.transaction() as connection:
        procedures.set_window(connection, administrator, "anhui", "09-01", "10-31", at=clock())
    with pytest.raises(transfers.Closed):
        play.apply(database, world, HENAN, ANHUI, clock(), serial=2)
    play.play(database, world, case_id, clock())
    assert play.outcome(database, case_id) == "completed"
    with database.transaction() as connection:
        procedures.set_window(connection, administrator, "anhui", "", "", at=clock())
    play.apply(database, world, HENAN, ANHUI, clock(), serial=2)


@pytest.mark.parametrize("days", [("07-15", ""), ("7-15", "08-14"), ("02-30", "03-01"), ("07-15", "15 August")])
def test_a_season_needs_two_days_of_the_year(database, world, clock, administrator, days):
    with pytest.raises(Invalid), database.transaction() as connection:
        procedures.set_window(connection, administrator, "anhui", *days, at=clock())


def test_without_a_version_in_force_no_case_starts(database, world, clock):
    with pytest.raises(NoneInForce), database.reading() as connection:
        procedures.in_force(connection, "anhui", "transfer", at=datetime(2000, 1, 1, tzinfo=UTC))


# A changed diagram is obeyed -------------------------------------------------------------------------------------


def test_running_cases_finish_under_their_version_and_new_ones_follow_the_new_one(database, world, clock, editor):
    old = play.apply(database, world, HENAN, ANHUI, clock(), serial=1)
    diagrams.deploy(database, editor, "anhui", diagrams.edited("anhui", *FIVE_DAYS), clock())
    new = play.apply(database, world, HENAN, ANHUI, clock(), serial=2)
    with database.reading() as connection:
        running = procedures.standings(connection, at=clock())
        counts = cases.running(connection)
    assert [counts.get(item.id, 0) for item in running if item.regime == "anhui"] == [1, 1]
    [task_of_old], [task_of_new] = play.open_tasks(database, old), play.open_tasks(database, new)
    assert task_of_old.due_at - task_of_new.due_at > timedelta(days=5)
    for case_id in (old, new):
        play.play(database, world, case_id, clock())
        assert play.outcome(database, case_id) == "completed"


FIVE_DAYS = (
    (
        'name="转入学校学籍主管部门审核" camunda:dueDate="${workdays(10)}"',
        'name="转入学校学籍主管部门审核" camunda:dueDate="${workdays(5)}"',
    ),
)


def test_another_party_acts_where_the_diagram_says_so(database, world, clock, editor):
    """The receiving authority tells the student, instead of the school."""
    told = "<bpmn:flowNodeRef>tell_student_to_enrol</bpmn:flowNodeRef>"
    first_of_authority = "<bpmn:flowNodeRef>decide_receiving_authority</bpmn:flowNodeRef>"
    moved = diagrams.edited("anhui", (told, ""), (first_of_authority, told + first_of_authority))
    diagrams.deploy(database, editor, "anhui", moved, clock())
    case_id = play.apply(database, world, HENAN, ANHUI, clock())
    while play.open_tasks(database, case_id)[0].node.id != "tell_student_to_enrol":
        play.step(database, world, case_id, clock())
    [task] = play.open_tasks(database, case_id)
    assert (task.party, task.organisation_id) == ("receiving_authority", world[ANHUI].county)
    play.play(database, world, case_id, clock())
    assert play.outcome(database, case_id) == "completed"


def test_another_duty_acts_where_the_diagram_says_so(database, world, clock, editor):
    retrieve = '<bpmn:userTask id="retrieve" '
    as_reviewer = diagrams.edited("anhui", (retrieve, f'{retrieve} camunda:candidateGroups="reviewer" '))
    diagrams.deploy(database, editor, "anhui", as_reviewer, clock())
    case_id = play.apply(database, world, HENAN, ANHUI, clock())
    while play.open_tasks(database, case_id)[0].node.id != "retrieve":
        play.step(database, world, case_id, clock())
    assert play.open_tasks(database, case_id)[0].duty == "reviewer"


def led(source: str, before: str, now: str) -> tuple[str, str]:
    """The flow from one element to another leads elsewhere."""
    return f'sourceRef="{source}" targetRef="{before}"', f'sourceRef="{source}" targetRef="{now}"'


def test_the_order_is_the_diagrams(database, world, clock, editor):
    """The authority decides first, then the school's reviewer."""
    swapped = diagrams.edited(
        "national",
        led("apply", "decide_receiving_school", "decide_receiving_authority"),
        led("receiving_school_agrees", "decide_receiving_authority", "check_student"),
        led("receiving_authority_agrees", "check_student", "decide_receiving_school"),
    )
    diagrams.deploy(database, editor, "national", swapped, clock())
    case_id = play.apply(database, world, ANHUI, HENAN, clock())
    done = play.play(database, world, case_id, clock())
    assert done[:2] == ["decide_receiving_authority", "decide_receiving_school"]
    assert play.outcome(database, case_id) == "completed"


def test_a_step_that_is_only_passed_by_is_found_hanging_in_the_air(database, world, clock, editor):
    skipped = diagrams.edited("national", led("apply", "decide_receiving_school", "decide_receiving_authority"))
    version = upload(database, editor, skipped, clock(), regime="national")
    unreachable = {finding.element for finding in version.findings() if finding.rule == "unreachable"}
    assert "decide_receiving_school" in unreachable


FIELD = """<camunda:formField id="interview_held" label="已面谈" type="boolean">
  <camunda:properties><camunda:property id="label.en" value="Interview held" />
  <camunda:property id="basis" value="practice" /></camunda:properties></camunda:formField>
  <camunda:formField id="house_number" label="房产证号" type="string">
  <camunda:properties><camunda:property id="label.en" value="Title deed" />
  <camunda:property id="basis" value="practice" /></camunda:properties>
  <camunda:validation><camunda:constraint name="required" /><camunda:constraint name="maxlength" config="20" />
  </camunda:validation></camunda:formField>
  <camunda:formField id="receiving_authority_opinion" """


def test_a_new_field_is_asked_for_checked_and_kept_and_its_text_stays_out_of_the_state(database, world, clock, editor):
    more = diagrams.edited("anhui", ('<camunda:formField id="receiving_authority_opinion" ', FIELD))
    diagrams.deploy(database, editor, "anhui", more, clock())
    case_id = play.apply(database, world, HENAN, ANHUI, clock())
    [task] = play.open_tasks(database, case_id)
    answers = play.answers(task) | {"interview_held": "true"}

    def complete(**entered):
        with database.transaction() as connection:
            inbox.complete(connection, world[ANHUI].actor("county"), task.id, answers | entered, at=clock())

    for wrong in ("", "号" * 21):
        with pytest.raises(Invalid) as refused:
            complete(house_number=wrong)
        assert set(refused.value.fields) == {"house_number"}
    complete(house_number="皖A-1234")
    with database.reading() as connection:
        [kept] = [item for item in inbox.of_case(connection, case_id) if item.id == task.id]
        saved = connection.scalars(sa.select(cases.instance.c.state).where(cases.instance.c.case_id == case_id)).all()
    assert (kept.values["interview_held"], kept.values["house_number"]) == (True, "皖A-1234")
    assert not any("皖A-1234".encode() in state for state in saved)
    assert any(b"interview_held" in state for state in saved)


def test_a_condition_can_lead_another_way(database, world, clock, editor):
    """Where no interview was held the case ends, whatever was decided."""
    agreed = 'receiving_authority_result == "agree"'
    end = "</bpmn:conditionExpression>"
    conditional = diagrams.edited(
        "anhui",
        ('<camunda:formField id="receiving_authority_opinion" ', FIELD),
        (agreed + end, f"{agreed} &amp;&amp; interview_held{end}"),
    )
    diagrams.deploy(database, editor, "anhui", conditional, clock())
    for serial, held, outcome in ((1, "", "refused"), (2, "true", None)):
        case_id = play.apply(database, world, HENAN, ANHUI, clock(), serial=serial)
        [task] = play.open_tasks(database, case_id)
        with database.transaction() as connection:
            entered = play.answers(task) | {"house_number": "1", "interview_held": held}
            inbox.complete(connection, world[ANHUI].actor("county"), task.id, entered, at=clock())
        assert play.outcome(database, case_id) == outcome


def test_the_deadline_is_the_diagrams(database, world, clock, editor):
    diagrams.deploy(database, editor, "anhui", diagrams.edited("anhui", *FIVE_DAYS), clock())
    case_id = play.apply(database, world, HENAN, ANHUI, clock())
    [task] = play.open_tasks(database, case_id)
    # Five working days after Tuesday 22 September, over the Mid-Autumn weekend.
    assert task.due_at == datetime(2026, 9, 30, 16, tzinfo=UTC)


MENU = '<camunda:property name="menu" value="变动审批/转入审批" />'
MENU_EN = '<camunda:property name="menu.en" value="Approval of changes/Approval of transfers in" />'
BATCH = '\n          <camunda:property name="batch" value="true" />'


@pytest.mark.parametrize("allowed", [True, False])
def test_several_are_decided_at_once_only_where_the_diagram_says_so(database, world, clock, editor, allowed):
    if not allowed:
        single = diagrams.edited("anhui", (MENU_EN + BATCH, MENU_EN))
        diagrams.deploy(database, editor, "anhui", single, clock())
    case_ids = [play.apply(database, world, HENAN, ANHUI, clock(), serial=serial) for serial in (1, 2)]
    tasks = [play.open_tasks(database, case_id)[0] for case_id in case_ids]

    def decide():
        ids = [task.id for task in tasks]
        return inbox.complete_many(database, world[ANHUI].actor("county"), ids, play.answers(tasks[0]), at=clock())

    if allowed:
        assert [outcome.error for outcome in decide()] == [None, None]
    else:
        with pytest.raises(inbox.NoBatch):
            decide()


def test_words_and_menus_are_the_diagrams(database, world, clock, editor):
    reworded = diagrams.edited(
        "anhui",
        ('name="转入学校学籍主管部门审核"', 'name="转入学校学籍主管部门核准"'),
        (MENU, MENU.replace("转入审批", "转入核准")),
        (MENU_EN, MENU_EN.replace("Approval of changes/Approval of transfers in", "Changes/Transfers in")),
    )
    diagrams.deploy(database, editor, "anhui", reworded, clock())
    case_id = play.apply(database, world, HENAN, ANHUI, clock())
    [task] = play.open_tasks(database, case_id)
    assert task.node.label("zh") == "转入学校学籍主管部门核准"
    assert (task.menu, task.node.menu("en")) == ("变动审批/转入核准", "Changes/Transfers in")
    with database.reading() as connection:
        waiting = inbox.waiting(connection, world[ANHUI].actor("county"), menu="变动审批/转入核准")
    assert [item.id for item in waiting.tasks] == [task.id]


def test_the_shipped_procedures_are_installed_once(database, world, clock):
    with database.transaction() as connection:
        procedures.install_shipped(connection, processes_folder(), at=clock())
    assert states(database, clock()) == {1: "in_force"}


# Pairs -----------------------------------------------------------------------------------------------------------


# Flows, where they lead, and where they lead in a procedure whose releasing side agrees only after the retrieval.
TURNED = (
    ("request_release_to_await_release", "await_release", "announce_retrieval"),
    ("change_enrolment_to_announce_retrieval", "announce_retrieval", "completed_receiving"),
    ("announce_retrieval_to_completed_receiving", "completed_receiving", "await_release"),
    ("releasing_authority_agrees_to_announce_agreement", "announce_agreement", "record_retrieved_received"),
    ("announce_agreement_to_record_retrieved_received", "record_retrieved_received", "send_paper_file"),
    ("record_retrieved_received_to_send_paper_file", "send_paper_file", "announce_agreement"),
)


def agrees_only_after_the_retrieval() -> bytes:
    """The national procedure turned round: its halves fit each other, and no other half."""
    text = diagrams.shipped("national").decode()
    arrives = {target: flow for flow, _, target in TURNED}
    for flow, target, new in TURNED:
        text = re.sub(rf'(id="{flow}"[^>]* targetRef=)"{target}"', rf'\1"{new}"', text)
        text = text.replace(f"<bpmn:incoming>{flow}<", f"<bpmn:incoming>new {arrives[target]}<")
    return text.replace("<bpmn:incoming>new ", "<bpmn:incoming>").encode()


def test_what_waits_for_ever_for_another_regimes_half_does_not_come_into_force(database, world, clock, editor):
    version = upload(database, editor, agrees_only_after_the_retrieval(), clock(), regime="national")
    assert not checks.blocks(version.findings())
    with pytest.raises(DoesNotFit) as refused, database.transaction() as connection:
        procedures.deploy(connection, editor, version.id, at=clock())
    assert refused.value.values["regime"] == "安徽"
    assert "release_requested" in refused.value.values["run"]
    assert {finding.rule for finding in refused.value.findings} == {"deadlock"}
    assert states(database, clock(), "national") == {1: "in_force", 2: "draft"}


def test_what_fits_every_other_half_comes_into_force(database, world, clock, editor):
    version = upload(database, editor, variant("national"), clock(), regime="national")
    with database.transaction() as connection:
        procedures.deploy(connection, editor, version.id, at=clock())
    assert states(database, clock(), "national") == {1: "superseded", 2: "in_force"}
