"""A school's program starts a transfer, and follows it to its end or takes it back."""

from __future__ import annotations

import io
import uuid
from dataclasses import replace

import pytest
import sqlalchemy as sa

from engine import accounts, audit, cases, idempotency, transfers
from engine.registry.tables import student_lookup
from tests.integration import play
from tests.integration.api.conftest import Program, answers_at_once, ok, refused
from tests.integration.world import id_number, name_of

ANHUI, HENAN, ZHEJIANG = "340000", "410000", "330000"


@pytest.fixture
def school(program_of, world):
    return program_of(world[ANHUI].actor("operator"))


@pytest.fixture
def entries(database, world, clock):
    """What Anhui's form asks, by field id."""

    def enter(serial: int = 1, **more):
        with database.reading() as connection:
            application = transfers.prepare(connection, world[ANHUI].actor("operator"), HENAN, at=clock())
        return {"origin": HENAN, "values": play.entries(world, HENAN, ANHUI, application, serial), **more}

    return enter


def log_of(database, action: str) -> int:
    with database.reading() as connection:
        entries = sa.select(sa.func.count()).where(audit.audit_entry.c.action == action)
        return connection.scalar(entries)


# The form


def test_the_form_is_the_regimes_own_and_offers_what_can_be_chosen(school, world):
    assert {"value": HENAN, "label": {"zh": "河南省", "en": "河南省"}, "free": None} in ok(
        school.get("/applications/origins")
    )
    form = ok(school.post("/applications/form", {"origin": HENAN}))
    fields = {field["binds"]: field for field in form["form"]["fields"]}
    grade, school_field = fields["target.grade"]["id"], fields["origin.school"]["id"]
    assert fields["target.grade"]["label"]["zh"]
    assert form["choices"][school_field] == []
    assert [choice["value"] for choice in form["choices"][grade]] == ["13"]
    assert form["choices"][grade][0]["free"] > 0
    assert [found["side"] for found in form["procedures"]] == ["receiving", "releasing"]
    region = fields["origin.division"]["id"]
    chosen = ok(school.post("/applications/form", {"origin": HENAN, "values": {region: "410000", grade: "13"}}))
    assert str(world[HENAN].school) in [choice["value"] for choice in chosen["choices"][school_field]]
    assert chosen["choices"][fields["target.class"]["id"]][0]["free"] == 33
    assert {"410100"} <= {choice["value"] for choice in ok(school.get("/applications/regions/410000"))}


def test_an_origin_that_is_no_province_has_no_form(school):
    refused(school.post("/applications/form", {"origin": "990000"}), 404)
    refused(school.post("/applications/form", {"origin": "410105"}), 422, "invalid")


# The student


def test_a_student_is_found_by_number_and_name_and_shown_masked(database, school, entries):
    answer = school.post("/applications/student", entries())
    found = ok(answer)
    assert found["student"]["name"] == name_of(1)
    assert id_number("410105", 1) not in answer.text
    assert (found["stands_against"], found["differences"]) == ([], {})
    assert found["ahead"][0]["organisation"]["zh"].startswith("测试340104")


def test_no_match_and_a_wrong_name_answer_alike(database, school, entries):
    wrong_name, no_such = entries(), entries()
    name, number = (
        next(key for key, value in wrong_name["values"].items() if value == wanted)
        for wanted in (name_of(1), f"G{id_number('410105', 1)}")
    )
    wrong_name["values"][name] = "别人"
    no_such["values"][number] = f"G{id_number('410105', 77)}"
    answers = [school.post("/applications/student", body) for body in (wrong_name, no_such)]
    assert answers[0].json == answers[1].json
    refused(answers[0], 404, "2001")


def test_look_ups_are_limited_and_logged_even_if_nothing_is_found(database, app, world, school, entries):
    application = app.extensions["xueji"].application
    application.settings = replace(application.settings, lookups_per_hour=2)
    body = entries(serial=77)
    for _ in range(2):
        refused(school.post("/applications/student", body), 404)
    refused(school.post("/applications/student", body), 429, "too_many_lookups")
    refused(school.post("/transfers", body), 429, "too_many_lookups")
    with database.reading() as connection:
        assert connection.scalar(sa.select(sa.func.count()).select_from(student_lookup)) == 2


# Saving


def test_saving_starts_the_case_and_says_who_has_it(database, world, school, entries):
    answer = school.post("/transfers", entries(), key="one")
    started = ok(answer, 201)
    assert started["number"].startswith("ZX2026")
    assert started["holders"][0]["organisation_id"] == world[ANHUI].county
    transfer = ok(school.get(answer.headers["Location"]))
    assert (transfer["id"], transfer["state"], transfer["may_withdraw"]) == (started["case_id"], "pending", True)
    assert transfer["student"]["number"].endswith("****")
    again = school.post("/transfers", entries(), key="one")
    assert again.data == answer.data
    assert again.headers["Location"] == answer.headers["Location"]
    refused(school.post("/transfers", entries(), key="two"), 409, "2002")


def test_an_application_by_a_token_just_revoked_looks_nobody_up(database, world, school, entries, clock):
    ok(school.get("/me"))
    actor = world[ANHUI].actor("operator")
    with database.transaction() as connection:
        [token] = accounts.tokens_of(connection, actor, at=clock())
        accounts.revoke_token(connection, actor, token.id, at=clock())
    refused(school.post("/transfers", entries()), 401, "token_refused")
    with database.reading() as connection:
        assert connection.scalar(sa.select(sa.func.count()).select_from(student_lookup)) == 0


def test_what_is_wrong_is_said_at_once_and_nothing_begins(database, school, entries):
    body = entries()
    body["values"] = dict.fromkeys(body["values"], "")
    error = refused(school.post("/transfers", body), 422, "invalid")
    assert len(error["fields"]) > 3
    with database.reading() as connection:
        assert connection.scalar(sa.select(sa.func.count()).select_from(cases.case)) == 0


def test_only_a_schools_operator_applies(program_of, world, entries):
    for name in ("reviewer", "county", "school_admin"):
        program = program_of(world[ANHUI].actor(name))
        for path in ("/transfers", "/applications/form", "/applications/student", "/drafts"):
            refused(program.post(path, entries()), 403, "forbidden")


def test_a_proof_is_attached_and_opened_by_its_own_side(database, world, clock, school, program_of, entries):
    pdf = b"%PDF-1.7 proof"
    sent = school.send("POST", "/attachments", data={"file": (io.BytesIO(pdf), "证明.pdf")})
    uid = ok(sent, 201)["uid"]
    body = entries()
    with database.reading() as connection:
        application = transfers.prepare(connection, world[ANHUI].actor("operator"), HENAN, at=clock())
    body["values"][application.field("transfer.proof")] = uid
    case_id = ok(school.post("/transfers", body), 201)["case_id"]
    play.step(database, world, case_id, clock())
    opened = program_of(world[ANHUI].actor("county")).get(f"/attachments/{uid}")
    assert (opened.data, opened.mimetype) == (pdf, "application/pdf")
    disposition = opened.headers["Content-Disposition"]
    assert disposition.startswith("attachment;")
    assert "filename*=UTF-8''%E8%AF%81%E6%98%8E.pdf" in disposition
    assert log_of(database, "attachment.viewed") == 1
    refused(program_of(world[HENAN].actor("county")).get(f"/attachments/{uid}"), 404)
    answers = [answer for step in ok(school.get(f"/transfers/{case_id}/history")) for answer in step["answers"]]
    assert uid in [answer["attachment"] for answer in answers]


def test_what_is_no_picture_is_not_attached(school):
    for content in (b"#!/bin/sh", b""):
        answer = school.send("POST", "/attachments", data={"file": (io.BytesIO(content), "a.pdf")})
        refused(answer, 422, "bad_attachment")
    refused(school.send("POST", "/attachments", data={"file": "text"}, content_type="multipart/form-data"), 422)
    key = {"key": "one"}
    pictures = [b"\x89PNG\r\n\x1a\n1", b"\x89PNG\r\n\x1a\n1", b"\x89PNG\r\n\x1a\n2"]
    answers = [
        school.send("POST", "/attachments", data={"file": (io.BytesIO(content), "a.png")}, **key)
        for content in pictures
    ]
    assert answers[0].json == answers[1].json
    refused(answers[2], 422, "idempotency_key_reused")


# Drafts


def test_a_draft_is_kept_changed_and_becomes_one_case(database, world, school, program_of, entries):
    answer = school.post("/drafts", entries())
    draft = ok(answer, 201)
    assert draft["revision"] == 1
    path = answer.headers["Location"]
    colleague = program_of(world[ANHUI].actor("colleague"))
    assert [found["uid"] for found in ok(colleague.get("/drafts"))] == [draft["uid"]]
    changed = ok(colleague.put(path, entries() | {"revision": 1}))
    assert (changed["revision"], changed["saved_by"]) == (2, world[ANHUI].actor("colleague").person_name)
    error = refused(school.put(path, entries() | {"revision": 1}), 409, "stale")
    assert error["details"]["person"] == world[ANHUI].actor("colleague").person_name
    case_id = ok(school.post("/transfers", entries(draft=draft["uid"])), 201)["case_id"]
    error = refused(school.post("/transfers", entries(draft=draft["uid"])), 409, "already_started")
    assert error["details"]["case_id"] == case_id
    refused(school.get(path), 409, "already_started")


def test_what_a_colleague_has_saved_is_overwritten_by_nothing(school, entries):
    uid = ok(school.post("/drafts", entries()), 201)["uid"]
    ok(school.put(f"/drafts/{uid}", entries(serial=2)))
    stale = {"revision": 1}
    refused(school.put(f"/drafts/{uid}", entries() | stale), 409, "stale")
    refused(school.post("/transfers", entries(draft=uid, draft_revision=1)), 409, "stale")
    refused(school.post(f"/drafts/{uid}/declined", {"reason": "学位已满"} | stale), 409, "stale")
    refused(school.delete(f"/drafts/{uid}", query_string=stale), 409, "stale")
    kept = ok(school.get(f"/drafts/{uid}"))
    assert (kept["revision"], kept["values"]) == (2, entries(serial=2)["values"])
    ok(school.delete(f"/drafts/{uid}", query_string={"revision": 2}), 204)
    refused(school.put(f"/drafts/{uid}", entries()), 404)


def test_whatever_a_program_keeps_as_a_draft_the_pages_can_show(school, session_of, world, entries):
    body = entries()
    for name, odd in zip(body["values"], (5, True, None, "", 0, False), strict=False):
        body["values"][name] = odd
    body["values"]["nonsense"] = None
    uid = ok(school.post("/drafts", body), 201)["uid"]
    assert all(isinstance(value, str) for value in ok(school.get(f"/drafts/{uid}"))["values"].values())
    browser = session_of(world[ANHUI].actor("operator")).client
    for page in ("/transfers/drafts", f"/transfers/new?draft={uid}"):
        assert browser.get(page, base_url="https://xueji.example").status_code == 200
    assert set(refused(school.post("/drafts", {"origin": "990000"}), 422)["fields"]) == {"origin"}


def test_the_same_application_sent_twice_at_once_is_answered_alike(app, world, token_of, school, entries):
    uid = ok(school.post("/drafts", entries()), 201)["uid"]
    token, body = token_of(world[ANHUI].actor("operator")), entries(draft=uid)
    [answer] = answers_at_once(lambda: Program(app.test_client(), token).post("/transfers", body, key="one"))
    assert answer[0] == 201


def test_an_answer_that_came_meanwhile_is_given_instead_of_what_stands_against_it(school, entries, monkeypatch):
    uid = ok(school.post("/drafts", entries()), 201)["uid"]
    first = school.post("/transfers", entries(draft=uid), key="one")
    ok(first, 201)
    # As if the second request had asked before the first one was answered.
    asked = []
    answered = idempotency.answered

    def late(*arguments):
        asked.append(arguments)
        return None if len(asked) == 1 else answered(*arguments)

    monkeypatch.setattr(idempotency, "answered", late)
    again = school.post("/transfers", entries(draft=uid), key="one")
    assert (again.status_code, again.data, len(asked)) == (201, first.data, 2)


def test_a_draft_is_discarded_or_declined(school):
    kept = [ok(school.post("/drafts", {"origin": HENAN}), 201)["uid"] for _ in range(2)]
    ok(school.delete(f"/drafts/{kept[0]}", key="one"), 204)
    ok(school.delete(f"/drafts/{kept[0]}", key="one"), 204)
    refused(school.delete(f"/drafts/{kept[0]}"), 404)
    refused(school.post(f"/drafts/{kept[1]}/declined", {"reason": " "}), 422)
    ok(school.post(f"/drafts/{kept[1]}/declined", {"reason": "学位已满"}), 204)
    refused(school.get(f"/drafts/{kept[1]}"), 409, "already_declined")
    [declined] = ok(school.get("/drafts", state="declined"))
    assert (declined["uid"], declined["decline_reason"]) == (kept[1], "学位已满")
    assert ok(school.get("/drafts")) == []
    refused(school.get(f"/drafts/{uuid.uuid4().hex}"), 404)


# Following it


@pytest.fixture
def case_id(database, world, clock) -> int:
    return play.apply(database, world, HENAN, ANHUI, clock())


def test_it_is_followed_to_its_end(database, world, clock, school, program_of, case_id):
    play.play(database, world, case_id, clock())
    transfer = ok(school.get(f"/transfers/{case_id}"))
    assert (transfer["state"], transfer["may_withdraw"]) == ("completed", False)
    assert {record["state"] for record in transfer["records"]} == {"current", "backup"}
    history = ok(school.get(f"/transfers/{case_id}/history"))
    assert "release_requested" in [entry["message"] for entry in history]
    assert [entry["person"] for entry in history if entry["side"] == "releasing" and entry["step"]] != []
    assert {entry["person"] for entry in history if entry["side"] == "releasing" and entry["step"]} == {None}
    ribbon = ok(school.get(f"/transfers/{case_id}/ribbon"))
    assert ribbon[0]["party"] == "receiving_school"
    assert all(hold["state"] == "done" for hold in ribbon)
    pools = ok(school.get(f"/transfers/{case_id}/progress"))
    assert [(pool["side"], pool["regime"], pool["ended"]) for pool in pools] == [
        ("receiving", "anhui", True), ("releasing", "national", True),
    ]  # fmt: skip


def test_the_query_finds_it_by_what_the_pages_ask(world, school, program_of, case_id):
    ministry = program_of(world.ministry_actors["operator"])

    def found(program, **query):
        return [row["id"] for row in ok(program.get("/transfers", **query))["items"]]

    assert (
        found(ministry)
        == found(ministry, state="pending")
        == found(ministry, holder="receiving_authority")
        == [case_id]
    )
    assert found(ministry, within=world[ANHUI].province) == found(ministry, school_year=2026) == [case_id]
    assert found(ministry, kind="out", within=world[ANHUI].province) == []
    assert found(program_of(world[ZHEJIANG].actor("province"))) == []
    refused(program_of(world[ANHUI].actor("province")).get("/transfers", within=world[HENAN].province), 404)
    [row] = ok(ministry.post("/transfers/search", {"name": name_of(1)}))["items"]
    assert row["id"] == case_id
    assert ok(ministry.post("/transfers/search", {"number": f"G{id_number('410105', 1)}"}))["items"] == [row]
    assert ok(ministry.post("/transfers/search", {"name": name_of(2)}))["items"] == []


def test_the_query_is_read_on_by_its_cursor(database, world, clock, program_of, case_id):
    case_ids = [play.apply(database, world, HENAN, ANHUI, clock(), serial=serial) for serial in (2, 3)]
    ministry = program_of(world.ministry_actors["auditor"])
    page = ok(ministry.get("/transfers", limit=2))
    assert [row["id"] for row in page["items"]] == case_ids[::-1]
    page = ok(ministry.get("/transfers", limit=2, cursor=page["next"]))
    assert ([row["id"] for row in page["items"]], page["next"]) == ([case_id], None)


def test_a_full_student_is_for_the_parties_and_each_look_is_logged(database, world, program_of, case_id):
    number = id_number("410105", 1)
    county = program_of(world[ANHUI].actor("county"))
    assert ok(county.post(f"/transfers/{case_id}/student"))["id_number"] == number
    assert ok(county.post(f"/transfers/{case_id}/student"))["guardian_name"] == "测试家长"
    assert log_of(database, "student.viewed") == 2
    for actor in (
        world[ANHUI].actor("province"),
        world[ANHUI].actor("county_auditor"),
        world.ministry_actors["operator"],
    ):
        answer = program_of(actor).post(f"/transfers/{case_id}/student")
        refused(answer, 403)
        assert number not in answer.text
    assert log_of(database, "student.viewed") == 2


def test_a_record_is_opened_by_the_side_that_holds_it(database, world, program_of, case_id):
    [row] = ok(program_of(world[ANHUI].actor("county")).get(f"/transfers/{case_id}"))["records"]
    assert row["readable"] is False
    path = f"/transfers/{case_id}/records/{row['id']}"
    refused(program_of(world[ANHUI].actor("county")).post(path), 404)
    play_on = program_of(world[HENAN].actor("operator"))
    refused(play_on.post(path), 404)


def test_the_receiving_school_takes_it_back(database, world, clock, school, program_of, case_id):
    path = f"/transfers/{case_id}/withdrawal"
    refused(program_of(world[ANHUI].actor("county")).post(path, {"reason": "家长撤回"}), 403)
    refused(school.post(path, {"reason": " "}), 422)
    read = ok(school.get(f"/transfers/{case_id}"))["revision"]
    play.step(database, world, case_id, clock())
    error = refused(school.post(path, {"reason": "家长撤回", "revision": read}), 409, "stale")
    assert error["details"]["what"] == "task.completed"
    assert error["details"]["organisation"].startswith("测试340104")
    assert error["details"]["person"] is None
    now = ok(school.get(f"/transfers/{case_id}"))["revision"]
    answer = school.post(path, {"reason": "家长撤回", "revision": now}, key="one")
    assert ok(answer)["state"] == "withdrawn"
    assert school.post(path, {"reason": "家长撤回", "revision": now}, key="one").data == answer.data
    refused(school.post(path, {"reason": "家长撤回"}), 409, "ended")


def test_notices_are_read_and_read_back(database, world, clock, school, case_id):
    play.play(database, world, case_id, clock())
    page = ok(school.get("/notices", limit=1))
    assert page["items"][0]["read_at"] is None
    rest = ok(school.get("/notices", limit=100, cursor=page["next"]))["items"]
    first = page["items"][0]["id"]
    assert first not in [notice["id"] for notice in rest]
    assert ok(school.post(f"/notices/{first}/read")) == {"read": 1}
    assert first not in [notice["id"] for notice in ok(school.get("/notices", unread="true"))["items"]]
    assert ok(school.post("/notices/read"))["read"] == len(rest)
    assert ok(school.get("/notices", unread="true"))["items"] == []
