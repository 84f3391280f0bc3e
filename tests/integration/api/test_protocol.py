"""What holds of every route: tokens, errors in one shape, requests that arrive twice, and sizes."""

from __future__ import annotations

import base64
import io
import json
from datetime import timedelta

import pytest
import sqlalchemy as sa

from engine import accounts, cases, idempotency, inbox
from engine.accounts.tables import api_token, membership
from tests.integration import play
from tests.integration.api.conftest import Program, answers_at_once, ok, refused

ANHUI, HENAN, ZHEJIANG = "340000", "410000", "330000"
AGREE = {"values": {"receiving_authority_result": "agree", "receiving_authority_opinion": ""}}


@pytest.fixture
def case_id(database, world, clock) -> int:
    return play.apply(database, world, HENAN, ANHUI, clock())


@pytest.fixture
def task_id(database, case_id) -> int:
    return play.open_tasks(database, case_id)[0].id


@pytest.fixture
def county(program_of, world) -> Program:
    return program_of(world[ANHUI].actor("county"))


# Tokens


def test_without_a_token_nothing_is_told(stranger, task_id):
    for method, path in (("GET", "/inbox"), ("POST", f"/tasks/{task_id}/completion"), ("GET", "/me")):
        answer = stranger.send(method, path)
        refused(answer, 401, "token_required")
        assert answer.headers["WWW-Authenticate"] == "Bearer"


@pytest.mark.parametrize(
    "header", ["Bearer", "Bearer ", "Bearer xueji_wrong", "Basic dTpw", "xueji_wrong", "", "Bearer \x80"]
)
def test_a_token_that_does_not_hold_is_refused_even_beside_a_session(session_of, world, task_id, header):
    visitor = session_of(world[ANHUI].actor("county"))
    ok(visitor.get("/me"))
    refused(visitor.send("GET", "/me", headers={"Authorization": header}), 401, "token_refused")
    refused(visitor.send("POST", "/notices/read", headers={"Authorization": header}), 401, "token_refused")


def test_a_token_tells_who_it_acts_for(county, world, clock):
    me = ok(county.get("/me"))
    actor = world[ANHUI].actor("county")
    assert (me["person_id"], me["membership"]["organisation_id"]) == (actor.person_id, world[ANHUI].county)
    assert me["capabilities"] == ["work", "query"]
    assert [found["id"] for found in me["memberships"]] == [actor.membership_id]
    assert me["token_ends_at"].startswith("2027-09-22")


def test_a_token_that_has_ended_or_was_revoked_opens_nothing(app, application, world, clock, token_of):
    actor = world[ANHUI].actor("county")
    ended, revoked = Program(app.test_client(), token_of(actor, "a")), Program(app.test_client(), token_of(actor, "b"))
    with application.database.transaction() as connection:
        [token] = [token for token in accounts.tokens_of(connection, actor, at=clock()) if token.name == "b"]
        accounts.revoke_token(connection, actor, token.id, at=clock())
    refused(revoked.get("/me"), 401, "token_refused")
    ok(ended.get("/me"))
    clock.turn(days=365)
    refused(ended.get("/me"), 401, "token_refused")


def test_what_has_changed_about_a_token_holds_for_its_very_next_request(database, county, world, task_id):
    assert ok(county.get("/me"))["capabilities"] == ["work", "query"]
    with database.transaction() as connection:
        own = membership.c.id == world[ANHUI].actor("county").membership_id
        connection.execute(membership.update().where(own).values(duty="auditor"))
    refused(county.post(f"/tasks/{task_id}/completion", AGREE), 403, "not_yours")
    assert ok(county.get("/me"))["membership"]["duty"] == "auditor"


def test_a_file_is_read_whole_however_the_token_has_changed(database, program_of, world):
    school, pdf = program_of(world[ANHUI].actor("operator")), b"%PDF-1.4 " + b"x" * 100
    for locale in ("en", "zh"):
        ok(school.get("/me"))
        with database.transaction() as connection:
            accounts.choose_locale(connection, world[ANHUI].actor("operator"), locale)
        files = {"file": (io.BytesIO(pdf), "证明.pdf")}
        ok(school.send("POST", "/attachments", data=files, content_type="multipart/form-data"), 201)


def test_nobody_waits_twice_for_a_database_that_is_away(county, monkeypatch):
    ok(county.get("/me"))
    asked = []

    def wait(*_, **__):
        asked.append(1)
        raise sa.exc.TimeoutError

    monkeypatch.setattr(inbox, "steps", wait)
    assert county.get("/inbox/steps").status_code == 503
    assert asked == [1]


def test_its_use_is_noted_once_a_minute(database, county, clock):
    def used():
        with database.reading() as connection:
            return connection.scalar(sa.select(api_token.c.last_used_at))

    assert used() is None
    county.get("/me")
    assert used() == clock()
    noted = clock()
    county.get("/me") if clock.turn(seconds=59) else None
    assert used() == noted
    county.get("/me") if clock.turn(seconds=1) else None
    assert used() == noted + timedelta(minutes=1)


def test_a_token_is_no_way_into_the_pages(county):
    answer = county.client.get("/inbox", headers=county.headers, base_url="https://xueji.example")
    assert answer.status_code == 302
    assert "/login" in answer.location


def test_a_program_needs_no_forms_token_but_a_session_does(session_of, world, county, task_id):
    visitor = session_of(world[ANHUI].actor("county"))
    path = f"/tasks/{task_id}/completion"
    refused(visitor.post(path, AGREE), 403, "stale_form")
    refused(visitor.send("POST", path, json=AGREE, headers={"X-CSRF-Token": "guessed"}), 403, "stale_form")
    page = visitor.client.get("/account", base_url="https://xueji.example").text
    token = page.partition('name="csrf" value="')[2].partition('"')[0]
    ok(visitor.send("POST", path, json=AGREE, headers={"X-CSRF-Token": token}))


def test_whoever_has_a_temporary_password_chooses_another_one_first(database, session_of, world):
    actor = world[ANHUI].actor("county")
    visitor = session_of(actor)
    with database.transaction() as connection:
        connection.execute(accounts.person.update().values(password_temporary=True))
    refused(visitor.get("/me"), 403, "password_temporary")


# Errors


def test_errors_have_one_shape_whatever_goes_wrong(app, county, stranger, task_id, monkeypatch):
    completion = f"/tasks/{task_id}/completion"
    refused(county.get("/nowhere"), 404, "not_found")
    refused(stranger.get("/nowhere"), 404, "not_found")
    refused(county.get("/tasks/999999"), 404, "not_found")
    refused(county.get(f"/tasks/{2**63 - 1}"), 404)
    refused(county.get(f"/tasks/{2**63}"), 404)
    refused(county.get(f"/transfers/{2**31}"), 404)
    answer = county.put(completion, {})
    refused(answer, 405, "method_not_allowed")
    assert "POST" in answer.headers["Allow"]
    refused(county.send("POST", completion, data="{", content_type="application/json"), 400, "bad_request")
    refused(county.send("POST", completion, data=b"\xff", content_type="application/json"), 400, "bad_request")
    refused(county.send("POST", completion, data="", content_type="application/json"), 400, "bad_request")
    refused(county.send("POST", completion, data="a=1"), 415, "wrong_media_type")
    refused(county.send("POST", completion, data={"a": "1"}), 415, "wrong_media_type")
    refused(county.post("/attachments", {}), 415, "wrong_media_type")
    big = '{"values": {"a": "' + "x" * 2**20 + '"}}'
    refused(county.send("POST", completion, data=big, content_type="application/json"), 413, "too_large")
    monkeypatch.setattr(inbox, "complete", lambda *_args, **_more: 1 // 0)
    error = refused(county.post(completion, AGREE), 500, "unexpected")
    assert error["details"]["reference"] in error["remedy"]


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        ({}, {"values"}),
        ({"values": []}, {"values"}),
        ({"values": {}, "more": 1}, {"more"}),
        ({"values": {"a": [1]}}, {"a"}),
        ({"values": {"a": 1.5}}, {"a"}),
        ({"values": {"a": "\0"}}, {"a"}),
        ({"values": {"a": 2**60}}, {"a"}),
        ({"values": {}, "revision": "1"}, {"revision"}),
        ({"values": {}, "revision": -1}, {"revision"}),
    ],
)
def test_what_is_wrong_is_said_entry_by_entry(county, task_id, body, fields):
    error = refused(county.post(f"/tasks/{task_id}/completion", body), 422, "invalid")
    assert set(error["fields"]) == fields
    assert all(error["fields"].values())


@pytest.mark.parametrize("body", [[], "text", 5])
def test_a_body_that_is_no_object_can_not_be_read(county, task_id, body):
    refused(county.post(f"/tasks/{task_id}/completion", body), 400, "bad_request")


def test_a_misspelt_parameter_is_no_filter(county):
    assert set(refused(county.get("/inbox", mneu="x"), 422)["fields"]) == {"mneu"}
    assert set(refused(county.get("/inbox", limit="101"), 422)["fields"]) == {"limit"}
    # Where there are none, and where one comes twice.
    assert set(refused(county.get("/me", state="x"), 422)["fields"]) == {"state"}
    assert set(refused(county.post("/notices/read?state=x"), 422)["fields"]) == {"state"}
    assert set(refused(county.send("GET", "/inbox?limit=5&limit=6"), 422)["fields"]) == {"limit"}


def test_a_misspelt_entry_of_a_form_is_not_dropped_without_a_word(database, county, task_id):
    values = AGREE["values"] | {"opinon": "同意转入"}
    assert set(refused(county.post(f"/tasks/{task_id}/completion", {"values": values}), 422)["fields"]) == {"opinon"}
    with database.reading() as connection:
        assert connection.scalar(sa.select(cases.task.c.state).where(cases.task.c.id == task_id)) == "open"


@pytest.mark.parametrize(
    ("path", "cursor"),
    [
        ("/notices", ["notice", "0001-01-01T00:00:00+01:00", 1]),
        ("/inbox", ["due", "9999-12-31T23:59:59-23:59", 1]),
        ("/transfers", ["case", 2**31]),
        ("/inbox/started", ["case", 2**63 - 1]),
        ("/batches", ["batch", 2**31]),
        ("/inbox", ["due", None, 2**63]),
    ],
)
def test_a_cursor_beyond_all_that_there_is_is_none(county, path, cursor):
    sent = base64.urlsafe_b64encode(json.dumps(cursor).encode()).decode()
    refused(county.get(path, cursor=sent), 422, "bad_cursor")


def test_without_a_token_a_wrong_address_or_method_is_told_as_such(stranger):
    refused(stranger.send("DELETE", "/inbox"), 405)
    answer = stranger.send("POST", "/nowhere")
    refused(answer, 404)
    assert "Set-Cookie" not in answer.headers


def test_errors_speak_the_language_asked_for(county, world, database):
    for languages, words in (
        ("en", "There is nothing here"),
        ("zh-CN,en;q=0.5", "没有找到"),
        ("fr", "没有找到"),
    ):
        error = refused(county.send("GET", "/nowhere", headers={"Accept-Language": languages}), 404)
        assert error["message"].startswith(words)


# Requests that arrive twice


def test_a_request_that_arrives_twice_is_done_once_and_answered_the_same(database, county, task_id, case_id):
    path = f"/tasks/{task_id}/completion"
    first = county.post(path, AGREE, key="one")
    again = county.post(path, AGREE, key="one")
    assert (again.status_code, again.data, again.mimetype) == (first.status_code, first.data, first.mimetype)
    refused(county.post(path, AGREE, key="another"), 409, "already_done")
    refused(county.post(path, AGREE), 409, "already_done")


def test_the_order_of_entries_makes_no_other_request(county, task_id):
    path = f"/tasks/{task_id}/completion"
    ok(county.post(path, AGREE, key="one"))
    ok(county.post(path, {"values": dict(reversed(AGREE["values"].items()))}, key="one"))


def test_a_key_is_not_used_for_two_requests(county, task_id):
    path = f"/tasks/{task_id}/completion"
    ok(county.post(path, AGREE, key="one"))
    other = {"values": AGREE["values"] | {"receiving_authority_opinion": "同意"}}
    refused(county.post(path, other, key="one"), 422, "idempotency_key_reused")
    refused(county.post(f"/tasks/{task_id + 1}/completion", AGREE, key="one"), 422, "idempotency_key_reused")


def test_a_key_belongs_to_its_owner_and_membership(world, county, program_of, task_id):
    path = f"/tasks/{task_id}/completion"
    ok(county.post(path, AGREE, key="one"))
    refused(program_of(world[ANHUI].actor("county_colleague")).post(path, AGREE, key="one"), 409, "already_done")


def test_after_a_failure_the_same_key_is_tried_again(county, task_id):
    path = f"/tasks/{task_id}/completion"
    refused(county.post(path, {"values": {}}, key="one"), 422, "invalid")
    ok(county.post(path, AGREE, key="one"))


def test_a_key_is_a_short_visible_text(county, task_id):
    for key in ("", "x" * 201, "a\tb"):
        refused(county.post(f"/tasks/{task_id}/completion", AGREE, key=key), 422, "bad_idempotency_key")


def test_the_key_and_the_deed_stand_or_fall_together(database, county, task_id, monkeypatch):
    path = f"/tasks/{task_id}/completion"

    def fails(*_args, **_more):
        raise OSError("the disk is full")

    with monkeypatch.context() as patched:
        patched.setattr(idempotency, "keep", fails)
        refused(county.post(path, AGREE, key="one"), 500)
    with database.reading() as connection:
        assert connection.scalar(sa.select(cases.task.c.state).where(cases.task.c.id == task_id)) == "open"
    ok(county.post(path, AGREE, key="one"))


def test_of_many_at_once_one_is_done_and_all_are_answered_alike(app, world, token_of, task_id):
    token = token_of(world[ANHUI].actor("county"))
    path = f"/tasks/{task_id}/completion"
    [answer] = answers_at_once(lambda: Program(app.test_client(), token).post(path, AGREE, key="one"))
    assert answer[0] == 200


def test_no_answer_stays_in_a_shared_cache(county):
    assert county.get("/me").headers["Cache-Control"] == "no-store"


def test_a_program_finds_the_organisations_of_its_jurisdiction_and_no_others(program_of, world, county):
    below = ok(county.get("/organisations"))
    assert world[ANHUI].school in {office["id"] for office in below}
    assert {office["level"] for office in below} == {"school"}
    assert ok(county.get("/organisations", below=world[ANHUI].school)) == []
    refused(county.get("/organisations", below=world[HENAN].county), 404)
    ministry = program_of(world.ministry_actors["operator"])
    provinces = ok(ministry.get("/organisations"))
    assert {office["level"] for office in provinces} == {"province"}
    narrowed = ok(ministry.get("/transfers", within=provinces[0]["id"]))
    assert "items" in narrowed
