"""Every page over the full demo world: accessible, nothing to complain about, no wider than its window."""

from __future__ import annotations

import pytest
import sqlalchemy as sa
from playwright.sync_api import expect

from engine import accounts, batches, cases, inbox
from engine.accounts import membership, person
from engine.cases import task
from engine.procedures import procedure_version
from engine.registry.tables import organisation
from engine.transfers.tables import transfer

from .conftest import NARROW, WIDE

pytestmark = pytest.mark.browser

# By the address's rule: who looks at it, and what stands in its place.
PAGES = {
    "/login": [("", "/login")],
    "/account": [("yunduo-operator", "/account")],
    "/accounts": [("shushan-administrator", "/accounts")],
    "/accounts/new": [("shushan-administrator", "/accounts/new")],
    "/accounts/<int:person_id>": [("shushan-administrator", "/accounts/5")],
    "/organisations": [("anhui-administrator", "/organisations")],
    "/organisations/<int:organisation_id>": [("anhui-administrator", "/organisations/{yunduo}")],
    "/organisations/<int:parent_id>/new": [("anhui-administrator", "/organisations/{shushan}/new")],
    "/audit": [("anhui-auditor", "/audit")],
    "/calendar": [("moe-administrator", "/calendar")],
    "/calendar/notice": [("moe-administrator", "/calendar/notice")],
    "/compare": [("anhui-policy", "/compare")],
    "/compare/<a>/<b>": [
        ("anhui-policy", "/compare/{national}/{anhui}"),
        ("shushan-operator", "/compare/{anhui}/{anhui}"),
    ],
    "/regimes": [("moe-administrator", "/regimes")],
    "/regimes/<province>": [("moe-administrator", "/regimes/340000")],
    "/incidents": [("anhui-administrator", "/incidents")],
    "/inbox": [("shushan-operator", "/inbox"), ("jinshui-operator", "/inbox"), ("haiwang-operator", "/inbox")],
    "/inbox/batches/<int:batch_id>": [
        ("shushan-operator", "/inbox/batches/{working}"),
        ("shushan-operator", "/inbox/batches/{finished}"),
    ],
    "/inbox/done": [("shushan-operator", "/inbox/done")],
    "/inbox/started": [("yunduo-operator", "/inbox/started")],
    "/notices": [("shushan-operator", "/notices")],
    "/numbers/<int:a>/<int:b>": [("anhui-policy", "/numbers/{national}/{anhui}")],
    "/query": [("shushan-operator", "/query"), ("moe-operator", "/query?state=refused")],
    "/tasks/<long:task_id>": [
        ("shushan-operator", "/tasks/{check}"),
        ("zhiyuan-reviewer", "/tasks/{review}"),
        ("shushan-operator", "/tasks/{decided}"),
    ],
    "/transfers/new": [
        ("yunduo-operator", "/transfers/new"),
        ("yunduo-operator", "/transfers/new?origin=410000"),
        ("zhiyuan-operator", "/transfers/new?origin=340000"),
    ],
    "/transfers/drafts": [
        ("yunduo-operator", "/transfers/drafts"),
        ("yunduo-operator", "/transfers/drafts?state=declined"),
    ],
    "/transfers/<int:case_id>": [
        ("shushan-operator", "/transfers/{mixed}"),
        ("anhui-administrator", "/transfers/{halted}"),
        ("moe-operator", "/transfers/{completed}"),
    ],
    "/transfers/<int:case_id>/history": [("moe-operator", "/transfers/{refused}/history")],
    "/transfers/<int:case_id>/student": [("moe-operator", "/transfers/{completed}/student")],
    "/transfers/<int:case_id>/log": [("moe-auditor", "/transfers/{completed}/log")],
    "/practice": [("anhui-policy", "/practice"), ("moe-auditor", "/practice")],
    "/procedures": [("anhui-policy", "/procedures")],
    "/procedures/<int:version_id>": [("anhui-policy", "/procedures/{anhui}"), ("moe-policy", "/procedures/{national}")],
    "/procedures/<int:version_id>/check": [("anhui-policy", "/procedures/{anhui}/check")],
    "/procedures/<int:version_id>/document": [("anhui-policy", "/procedures/{anhui}/document")],
    "/procedures/<int:version_id>/forms": [("anhui-policy", "/procedures/{anhui}/forms")],
    "/procedures/<int:version_id>/practice": [
        ("moe-auditor", "/procedures/{anhui}/practice"),
        ("anhui-policy", "/procedures/{national}/practice?heat=days"),
    ],
    "/procedures/new/<regime_key>": [("anhui-policy", "/procedures/new/anhui")],
    # A page that is not there, and one that is not theirs.
    "404": [("yunduo-operator", "/transfers/999999")],
    "403": [("yunduo-operator", "/accounts")],
}  # fmt: skip
# What is no page of its own: redirects, files, and parts of pages.
OTHERS = {
    "/", "/healthz", "/readyz", "/static/<path:filename>", "/attachments/<uid>", "/organisations/choices",
    "/query/places",
    "/compare/<a>/<b>/report.<form>", "/compare/files/<reference>/diagram.bpmn",
    "/procedures/<int:version_id>/diagram.bpmn", "/procedures/<int:version_id>/document.csv",
    "/transfers/<int:case_id>/diagrams/<side>",
}  # fmt: skip
# A diagram is fetched after the page has been loaded.
UNDRAWN = "[data-diagram]:not(:has(.djs-element))"


def test_every_page_is_looked_at(demo_world):
    rules = {str(rule) for rule in demo_world.app.url_map.iter_rules() if "GET" in (rule.methods or ())}
    pages = {rule for rule in rules if not rule.startswith("/api/")}
    assert pages == (PAGES.keys() | OTHERS) - {"403", "404"}


@pytest.fixture
def places(demo_world) -> dict[str, int]:
    """What the addresses speak of, by the words in them."""

    def first(column, *conditions):
        return connection.scalar(sa.select(column).where(*conditions).order_by(column).limit(1))

    def task_at(node, state="open", of="shushan"):
        return first(task.c.id, task.c.node == node, task.c.state == state, task.c.organisation_id == offices[of])

    def case_in(state):
        return first(transfer.c.case_id, transfer.c.state == state)

    working, finished = _batches(demo_world)
    with demo_world.database.reading() as connection:
        named = {"shushan": "合肥市蜀山区教育局", "yunduo": "合肥市云朵小学", "zhiyuan": "郑州市纸鸢小学"}
        offices = {key: first(organisation.c.id, organisation.c.name == name) for key, name in named.items()}
        check = task_at("check_with_releasing_school")
        return offices | {
            "working": working,
            "finished": finished,
            "check": check,
            "review": task_at("decide_receiving_school", of="zhiyuan"),
            "decided": task_at("decide_receiving_authority", "done"),
            "mixed": first(task.c.case_id, task.c.id == check),
            "halted": first(cases.incident.c.case_id, cases.incident.c.resolved_at.is_(None)),
            "completed": case_in("completed"),
            "refused": case_in("refused"),
            "anhui": first(procedure_version.c.id, procedure_version.c.regime == "anhui"),
            "national": first(procedure_version.c.id, procedure_version.c.regime == "national"),
        }  # fmt: skip


def _batches(demo_world) -> tuple[int, int]:
    """The same tasks decided in two batches of which only the later is worked off, and a colleague had one of them."""
    application = demo_world.application
    at = application.clock()
    with application.database.transaction() as connection:
        of = {
            login: accounts.actor_of_membership(
                connection, connection.scalar(sa.select(membership.c.id).join(person).where(person.c.login == login))
            )
            for login in ("shushan-operator", "shushan-colleague")
        }
        operator = of["shushan-operator"]
        here = (task.c.organisation_id == operator.organisation_id, task.c.state == "open")
        found = sa.select(task.c.id).where(*here, task.c.node == "check_with_releasing_school").order_by(task.c.id)
        first, *others = connection.scalars(found).all()
        asked = inbox.get(connection, operator, first)
        entered = {field.id: "2026-09-22" for field in asked.form if field.type == "date"}
        entered[asked.act[-1].bound("decision.result").id] = "agree"
        working, finished = (
            batches.begin(connection, application.jobs, operator, others, entered, at=at) for _ in range(2)
        )
        inbox.complete(connection, of["shushan-colleague"], others[0], entered, at=at)
    batches.work_off(application.database, finished, clock=application.clock)
    return working, finished


@pytest.mark.parametrize(
    ("viewport", "language", "ground"),
    [(WIDE, "zh_Hans_CN", "light"), (NARROW, "zh_Hans_CN", "dark"), (WIDE, "en", "dark"), (NARROW, "en", "light")],
    ids=["desk", "telephone, dark", "desk, English, dark", "telephone, English"],
)
def test_every_page_is_accessible_and_fits(demo_world, open_window, places, viewport, language, ground):
    window = open_window(viewport, color_scheme=ground)
    window.expected |= {403, 404}
    window.page.context.add_cookies([{"name": "locale", "value": language, "url": demo_world.address}])
    looked_at_as = ""
    wrong = {}
    for login, template in (page for pages in PAGES.values() for page in pages):
        path = template.format(**places)
        if login in ("", looked_at_as):
            window.page.goto(demo_world.address + path)
        else:
            demo_world.enter(window.page, login, path)
            looked_at_as = login
        expect(window.page.locator(UNDRAWN)).to_have_count(0)
        found = window.violations() + ["wider than its window"] * window.is_wider_than_itself() + window.complaints
        window.complaints.clear()
        if found:
            wrong[path] = found
    assert wrong == {}
