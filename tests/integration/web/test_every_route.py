"""Every role against every route, across jurisdictions: nothing of a case outside its sides, nothing beyond a duty.

A route that is not in the table fails the test, so nobody adds one without saying who may use it. The routes of the
interface for programs have a table of their own (`tests/integration/api`).
"""

from __future__ import annotations

import pytest
from werkzeug.routing import Rule

from engine.audit import Actor
from tests.integration import play
from tests.integration import world as worlds

ANHUI, HENAN, ZHEJIANG = "340000", "410000", "330000"

# Who may: `public` anybody, `person` anybody logged in, `case` who stands in its scope, else who holds a duty.
ROUTES = {
    "static": "public",
    "sessions.start": "person",
    "health.alive": "public",
    "health.ready": "public",
    "sessions.login": "public",
    "sessions.log_in": "public",
    "sessions.log_out": "public",
    "sessions.choose_locale": "public",
    "sessions.enter_demo": "demo",
    "sessions.account": "person",
    "sessions.change_password": "person",
    "sessions.revoke_others": "person",
    "sessions.revoke": "person",
    "sessions.switch": "person",
    "tokens.make": "person",
    "tokens.revoke": "person",
    "accounts.people": "administrator",
    "accounts.person": "administrator",
    "accounts.close": "administrator",
    "accounts.add_membership": "administrator",
    "accounts.remove_membership": "administrator",
    "accounts.open_again": "administrator",
    "accounts.set_password": "administrator",
    "accounts.end_sessions": "administrator",
    "accounts.unlock": "administrator",
    "accounts.new": "administrator",
    "accounts.add": "administrator",
    "accounts.search": "administrator",
    "attachments.attach": "worker",
    "attachments.page": "person",
    "audit.entries": "auditor",
    "audit.search": "auditor",
    "calendar.page": "administrator",
    "calendar.set_day": "deployment",
    "calendar.clear_day": "deployment",
    "calendar.notice": "deployment",
    "calendar.publish": "deployment",
    "calendar.retract": "deployment",
    "compare.chooser": "person",
    "compare.choose": "person",
    "compare.page": "person",
    "compare.diagram": "person",
    "compare.report": "person",
    "compare.correct": "policy_editor",
    "compare.take_back": "policy_editor",
    "batches.page": "worker",
    "inbox.page": "worker",
    "inbox.decide_many": "worker",
    "inbox.done": "worker",
    "inbox.narrow": "worker",
    "inbox.started": "worker",
    "incidents.page": "administrator",
    "incidents.retry": "administrator",
    "incidents.retry_job": "deployment",
    "notices.page": "person",
    "notices.read": "person",
    "numbers.page": "person",
    "numbers.simulate": "person",
    "organisations.all_below": "administrator",
    "organisations.one": "administrator",
    "organisations.add_class": "administrator",
    "organisations.set_capacity": "administrator",
    "organisations.close": "administrator",
    "organisations.rename": "administrator",
    "organisations.open_again": "administrator",
    "organisations.new": "administrator",
    "organisations.add": "administrator",
    "organisations.choices": "administrator",
    "practice.page": "log",
    "practice.export": "log",
    "procedures.practice": "log",
    "procedures.overview": "person",
    "procedures.page": "person",
    "procedures.check": "person",
    "procedures.diagram": "person",
    "procedures.document": "person",
    "procedures.document_file": "person",
    "procedures.forms": "person",
    "procedures.deploy": "policy_editor",
    "procedures.discard": "policy_editor",
    "procedures.retire": "policy_editor",
    "procedures.new": "policy_editor",
    "procedures.upload": "policy_editor",
    "query.page": "person",
    "query.search": "person",
    "query.export": "person",
    "query.places": "person",
    "regimes.page": "administrator",
    "regimes.rules_of": "deployment",
    "regimes.set_rule": "deployment",
    "regimes.remove_rule": "deployment",
    "regimes.set_window": "deployment",
    "tasks.page": "desk",
    "tasks.complete": "desk",
    "transfers.progress": "case",
    "transfers.diagram": "case",
    "transfers.history": "case",
    "transfers.log": "case",
    "transfers.record": "case",
    "transfers.student": "case",
    "transfers.reveal": "case",
    "transfers.withdraw": "case",
    "applications.drafts": "applicant",
    "applications.decline": "applicant",
    "applications.discard": "applicant",
    "applications.page": "applicant",
    "applications.save": "applicant",
    "applications.decline_new": "applicant",
    "applications.save_draft": "applicant",
    "applications.choose": "applicant",
    "applications.number": "applicant",
    "applications.look_up": "applicant",
}
# Beyond their own right these ask for a duty or a party, so that even some of the case's people are refused.
NARROWER = {"transfers.log", "transfers.record", "transfers.reveal", "transfers.withdraw"}


def may(actor: Actor, right: str, *, in_case: bool) -> bool:
    if right in ("public", "person"):
        return True
    if right == "case":
        return in_case
    if right == "worker":
        return actor.duty in ("operator", "reviewer")
    if right == "desk":
        # Its own organisation may look; who else stands in the case's scope has other pages.
        return False
    if right == "applicant":
        return actor.duty == "operator" and actor.organisation_level == "school"
    if right == "log":
        return actor.duty in ("auditor", "policy_editor")
    if right == "deployment":
        return actor.duty == "administrator" and actor.organisation_level == "ministry"
    return actor.duty == right


@pytest.fixture
def case_id(database, world, clock) -> int:
    """From Henan to Anhui, and decided by the receiving authority, so that both sides stand in its scope."""
    found = play.apply(database, world, HENAN, ANHUI, clock())
    play.step(database, world, found, clock())
    return found


def address(rule, world: worlds.World, case_id: int, task_id: int) -> str:
    values = {
        "case_id": case_id,
        "task_id": task_id,
        "person_id": world[ANHUI].actor("colleague").person_id,
        "membership_id": world[ANHUI].actor("colleague").membership_id,
        "organisation_id": world[ANHUI].school,
        "parent_id": world[ANHUI].county,
        "class_id": world[ANHUI].to_class,
        "version_id": 1,
        "regime_key": "national",
        "province": ANHUI,
        "move_name": "within",
        "side": "receiving",
        "filename": "favicon.svg",
        # Nobody's: to end one's own session would end the test.
        "session_id": 999_999,
    }
    text = rule.rule
    for argument in rule.arguments:
        converter = next(each for each in ("<int:", "<long:", "<path:", "<") if f"{each}{argument}>" in text)
        text = text.replace(f"{converter}{argument}>", str(values.get(argument, 1)))
    return text


def roles(world: worlds.World) -> list[tuple[str, Actor, bool]]:
    """One of each kind, with whether they stand in the scope of a case from Henan to Anhui."""
    found = [(f"ministry {duty}", actor, True) for duty, actor in world.ministry_actors.items()]
    found += [(f"{ANHUI} {name}", actor, name != "other_operator") for name, actor in world[ANHUI].actors.items()]
    found += [(f"{HENAN} {name}", world[HENAN].actor(name), True) for name in ("operator", "reviewer", "county")]
    strangers = ("operator", "reviewer", "county", "county_admin", "county_auditor")
    found += [(f"{ZHEJIANG} {name}", world[ZHEJIANG].actor(name), False) for name in strangers]
    twins = ("colleague", "county_colleague")
    return [role for role in found if not role[0].endswith(twins)]


def pages(app) -> list[Rule]:
    return [rule for rule in app.url_map.iter_rules() if not rule.endpoint.startswith("api.")]


def test_the_table_knows_every_route(app):
    assert {rule.endpoint for rule in pages(app)} == set(ROUTES)


def test_nobody_gets_in_without_a_login(app, stranger, world, case_id, database):
    task_id = play.open_tasks(database, case_id)[0].id
    for rule in pages(app):
        if ROUTES[rule.endpoint] in ("public", "demo"):
            continue
        path = address(rule, world, case_id, task_id)
        for method in rule.methods & {"GET", "POST"}:
            answer = stranger.get(path) if method == "GET" else stranger.post(path)
            assert answer.status_code in (302, 401), f"{method} {path}: {answer.status_code}"
            if answer.status_code == 302:
                assert "/login" in answer.location


def test_every_role_against_every_route(app, visitor_of, world, case_id, database):
    task_id = play.open_tasks(database, case_id)[0].id
    wrong = []
    for name, actor, in_case in roles(world):
        visitor = visitor_of(actor)
        for rule in pages(app):
            if rule.endpoint in ("static", "sessions.log_out", "sessions.revoke_others", "sessions.choose_locale"):
                continue
            path = address(rule, world, case_id, task_id)
            for method in rule.methods & {"GET", "POST"}:
                answer = visitor.get(path) if method == "GET" else visitor.post(path)
                if not _right(answer.status_code, rule.endpoint, actor, in_case):
                    wrong.append(f"{name}: {method} {path} -> {answer.status_code}")
    assert not wrong, "\n".join(wrong)


def _right(status: int, endpoint: str, actor: Actor, in_case: bool) -> bool:
    right = ROUTES[endpoint]
    if status >= 500:
        return False
    if right == "demo":
        return status == 404
    if right in ("case", "desk") and not in_case:
        # Outside its scope a case does not exist; a duty that has no such page is told so before anything is looked up.
        return status == 404 or (status == 403 and endpoint in NARROWER)
    if right == "desk":
        return status in (200, 403, 404, 422)
    if endpoint == "inbox.page" and not may(actor, right, in_case=in_case):
        # Everybody begins there: who has no inbox is sent on.
        return status == 302
    if not may(actor, right, in_case=in_case):
        return status in (403, 404)
    return status != 403 or endpoint in NARROWER
