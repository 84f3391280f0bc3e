"""Every role against every route of the interface, across jurisdictions: what the pages refuse, it refuses.

A route that is not in the table fails the test, so nobody adds one without saying who may use it.
"""

from __future__ import annotations

import json

import pytest
import sqlalchemy as sa

from engine import accounts
from engine.audit import Actor, audit_entry
from tests.integration import play
from tests.integration import world as worlds
from tests.integration.api.conftest import Program, as_described
from tests.integration.web.test_every_route import may, roles
from tests.integration.world import id_number

ANHUI, HENAN, ZHEJIANG = "340000", "410000", "330000"

# Who may: `person` anybody with a token, `case` who stands in its scope, `desk` its own organisation and duty, else who
# holds a duty.
ROUTES = {
    "account.me": "person",
    "inbox.waiting": "worker",
    "inbox.search": "worker",
    "inbox.steps": "worker",
    "inbox.done": "worker",
    "inbox.started": "worker",
    "inbox.task": "desk",
    "inbox.complete": "desk",
    "batches.begin": "worker",
    "batches.begun": "worker",
    "batches.batch": "worker",
    "batches.results": "worker",
    "applications.origins": "applicant",
    "applications.regions": "applicant",
    "applications.form": "applicant",
    "applications.look_up": "applicant",
    "applications.attach": "worker",
    "applications.attachment": "person",
    "applications.drafts": "applicant",
    "applications.new_draft": "applicant",
    "applications.draft": "applicant",
    "applications.save_draft": "applicant",
    "applications.discard_draft": "applicant",
    "applications.decline": "applicant",
    "applications.start": "applicant",
    "transfers.query": "person",
    "transfers.search": "person",
    "transfers.transfer": "case",
    "transfers.history": "case",
    "transfers.ribbon": "case",
    "transfers.progress": "case",
    "transfers.student": "case",
    "transfers.record": "case",
    "transfers.withdraw": "case",
    "cases.startable": "worker",
    "cases.start": "worker",
    "cases.case": "case",
    "cases.tasks": "worker",
    "notices.notices": "person",
    "notices.read": "person",
    "notices.read_all": "person",
    "organisations.found": "person",
    "procedures.overview": "person",
    "procedures.version": "person",
    "procedures.diagram": "person",
    "procedures.document": "person",
    "procedures.check": "policy_editor",
    "procedures.upload": "policy_editor",
    "procedures.deploy": "policy_editor",
    "procedures.retire": "policy_editor",
    "procedures.discard": "policy_editor",
    "comparisons.comparison": "person",
    "comparisons.compare": "person",
    "incidents.incidents": "administrator",
    "incidents.retry": "administrator",
    "incidents.failed_jobs": "deployment",
    "incidents.retry_job": "deployment",
}
# Beyond their own right these ask for a duty or a party, so that even some of the case's people are refused.
NARROWER = {"transfers.student", "transfers.record", "transfers.withdraw", "inbox.task", "inbox.complete"}
# These look at a full student or record; everywhere else numbers are masked.
FULL = {"transfers.student", "transfers.record"}


@pytest.fixture
def case_id(database, world, clock) -> int:
    """From Henan to Anhui, and decided by the receiving authority, so that both sides stand in its scope."""
    found = play.apply(database, world, HENAN, ANHUI, clock())
    play.step(database, world, found, clock())
    return found


@pytest.fixture
def routes(app, case_id, database):
    """Each route with an address of something that is there, as far as it names a case."""
    task_id = play.open_tasks(database, case_id)[0].id
    values = {"case_id": case_id, "task_id": task_id, "version_id": 1, "regime": "national", "kind": "transfer"}
    found = []
    for rule in app.url_map.iter_rules():
        if rule.endpoint.startswith("api.") and rule.endpoint != "api.description":
            path = as_described(rule.rule).format(**dict.fromkeys(rule.arguments, 1) | values)
            for method in sorted(rule.methods - {"HEAD", "OPTIONS"}):
                found.append((rule.endpoint.removeprefix("api."), method, path))
    return found


def test_the_table_knows_every_route(routes):
    assert {endpoint for endpoint, _method, _path in routes} == set(ROUTES)


def test_nobody_gets_in_without_a_token(routes, stranger):
    for _endpoint, method, path in routes:
        assert stranger.send(method, path).status_code == 401, path


def test_a_token_that_was_used_a_moment_ago_gets_nobody_in_once_it_is_revoked(
    routes, app, application, token_of, world, database, clock
):
    def entries() -> int:
        with database.reading() as connection:
            return connection.scalar(sa.select(sa.func.count()).select_from(audit_entry))

    actor, wrong = world[ANHUI].actor("county"), []
    for endpoint, method, path in routes:
        program = Program(app.test_client(), token_of(actor, f"{method} {endpoint}"))
        assert program.get("/me").status_code == 200
        with application.database.transaction() as connection:
            [token] = accounts.tokens_of(connection, actor, at=clock())
            accounts.revoke_token(connection, actor, token.id, at=clock())
        before = entries()
        if (status := ask(program, method, path).status_code) != 401 or entries() != before:
            wrong.append(f"{method} {path} -> {status}")
    assert not wrong, "\n".join(wrong)


def test_every_role_against_every_route(routes, program_of, world):
    wrong = []
    number = id_number(worlds.PLACES[HENAN], 1)
    for name, actor, in_case in roles(world):
        program = program_of(actor)
        for endpoint, method, path in routes:
            answer = ask(program, method, path)
            if not _right(answer.status_code, endpoint, actor, in_case):
                wrong.append(f"{name}: {method} {path} -> {answer.status_code}")
            if endpoint not in FULL and number in answer.text:
                wrong.append(f"{name}: {method} {path} tells a full number")
    assert not wrong, "\n".join(wrong)


def ask(program: Program, method: str, path: str):
    """With a body that changes nothing, so that the case stays where it is."""
    if path in ("/attachments", "/comparisons", "/procedures/check") or path.endswith("/versions"):
        return program.send(method, path, data={}, content_type="multipart/form-data")
    return program.send(method, path, **({"json": {}} if method in ("POST", "PUT") else {}))


def _right(status: int, endpoint: str, actor: Actor, in_case: bool) -> bool:
    right = ROUTES[endpoint]
    if status >= 500:
        return False
    if right == "desk":
        # Nobody of these sits at the task's desk: its own organisation may look, others of the case know there is one.
        return status in ((200, 403, 404, 422) if in_case else (404, 422))
    if right == "case" and not in_case:
        # Outside its scope a case does not exist; what is sent is read before it is looked for.
        return status in (404, 422) or (status == 403 and endpoint in NARROWER)
    if not may(actor, right, in_case=in_case):
        return status in (403, 404)
    return status != 403 or endpoint in NARROWER


def test_the_interface_and_the_pages_agree_on_what_there_is(program_of, app, application, world, case_id, clock):
    """The same people see the same cases."""
    for _name, actor, in_case in roles(world):
        with application.database.transaction() as connection:
            secret = accounts.open_session(connection, actor.person_id, settings=application.settings, at=clock())
        client = app.test_client()
        client.set_cookie("__Host-session", secret, domain="xueji.example", secure=True)
        page = client.get(f"/transfers/{case_id}", base_url="https://xueji.example")
        answer = program_of(actor).get(f"/transfers/{case_id}")
        assert page.status_code == answer.status_code == (200 if in_case else 404)
        listed = [row["id"] for row in json.loads(program_of(actor).get("/transfers").data)["items"]]
        assert listed == ([case_id] if in_case else [])
