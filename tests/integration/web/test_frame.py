"""The frame around every page: what stands there for whom, how errors read, and what binds the browser."""

from __future__ import annotations

import logging
import re

import pytest
from flask import Flask

from engine.bpmn.forms import FieldError
from engine.errors import Invalid
from web import create_app
from web.context import public
from web.flash import flash
from web.navigation import Group, Link, Menus


@pytest.fixture
def app(application) -> Flask:
    """Of the test's own, since views are added to it."""
    return create_app(application)


@pytest.fixture
def place(country):
    return country["340000"]


def left_side(page: str) -> list[str]:
    side = page[page.index('id="side"') : page.index("</nav>", page.index('id="side"'))]
    return re.findall(r'<a href="([^"]+)"', side)


WORK = ["/inbox", "/inbox/done", "/inbox/started"]
ALL = ["/notices", "/query", "/procedures", "/compare"]
ADMINISTRATION = ["/incidents", "/accounts", "/organisations", "/calendar", "/regimes"]


@pytest.mark.parametrize(
    ("name", "paths"),
    [
        ("operator", WORK + ALL),
        ("reviewer", WORK + ALL),
        ("county", WORK + ALL),
        ("county_admin", ALL + ADMINISTRATION),
        ("county_auditor", [*ALL, "/practice", "/audit"]),
        ("policy", [*ALL, "/practice"]),
    ],
)
def test_the_left_side_offers_what_the_duty_can_do(visitor_of, place, name, paths):
    assert left_side(visitor_of(place.actor(name)).get("/account").text) == paths


def test_the_menus_of_the_regime_stand_between_the_lists_and_the_rest(app, visitor_of, place):
    menus = Menus(
        12,
        (
            Group("变动审批", (Link("转入审批", "/inbox?menu=1", 7), Link("转出审批", "/inbox?menu=2", 5))),
            Group("信息查询", (Link("变动查询", "/query"),)),
        ),
    )
    app.extensions["xueji"].menus = lambda connection, actor: menus
    page = visitor_of(place.actor("county")).get("/account").text
    assert left_side(page) == [*WORK, "/notices", "/inbox?menu=1", "/inbox?menu=2", "/query", "/procedures", "/compare"]
    assert "<h2>变动审批</h2>" in page
    assert re.search(r"待办 <span class=\"count\">12</span>", page)


def test_the_present_line_is_the_one_that_leads_here_most_exactly(app, visitor_of, place):
    @app.get("/inbox/done")
    def done():
        return app.jinja_env.from_string('{% extends "base.html" %}').render()

    page = visitor_of(place.actor("operator")).get("/inbox/done").text
    assert re.findall(r'<a href="([^"]+)" aria-current="page"', page) == ["/inbox/done"]


def test_it_is_always_visible_who_acts_for_whom(visitor_of, place):
    page = visitor_of(place.actor("county")).get("/account").text
    assert "测试340000-county · 340104教育局 · 经办" in page


def test_the_search_is_posted(visitor_of, place):
    assert (
        '<form class="search" method="post" action="/query"' in visitor_of(place.actor("county")).get("/account").text
    )


# Errors


def test_an_error_says_what_happened_and_what_to_do_next(visitor_of, place):
    answer = visitor_of(place.actor("operator")).get("/accounts")
    assert answer.status_code == 403
    assert "您当前的职责不能办理此事项。" in answer.text
    assert "请切换到有此权限的身份，或联系管理员。" in answer.text
    assert 'href="/inbox"' in answer.text


def test_programs_are_told_in_one_json_shape(visitor_of, place):
    answer = visitor_of(place.actor("operator")).get("/accounts", headers={"Accept": "application/json"})
    assert (answer.status_code, answer.mimetype) == (403, "application/json")
    assert answer.json == {
        "error": {
            "code": "forbidden",
            "message": "您当前的职责不能办理此事项。",
            "remedy": "请切换到有此权限的身份，或联系管理员。",
            "fields": {},
            "details": {},
            "causes": [],
        }
    }


def test_errors_of_fields_are_told_too(app, visitor_of, place):
    @app.get("/api/v1/broken")
    def broken():
        raise Invalid(
            fields={"opinion": FieldError("At most %(longest)s characters; there are %(length)s.", longest=5, length=6)}
        )

    answer = visitor_of(place.actor("operator")).get("/api/v1/broken")
    assert answer.status_code == 422
    assert list(answer.json["error"]["fields"]) == ["opinion"]
    assert "5" in answer.json["error"]["fields"]["opinion"]


def test_a_program_without_a_session_gets_401_and_no_page(stranger):
    answer = stranger.get("/account", headers={"Accept": "application/json"})
    assert (answer.status_code, answer.json["error"]["code"]) == (401, "login_required")


def test_an_unknown_address_reads_as_outside_the_jurisdiction(visitor_of, place, stranger):
    for visitor in (visitor_of(place.actor("operator")), stranger):
        answer = visitor.get("/nowhere")
        assert answer.status_code == 404
        assert "没有找到，或不在您的管辖范围内。" in answer.text


def test_a_mistake_of_ours_shows_a_number_that_the_log_explains(app, visitor_of, place, caplog):
    @app.get("/broken")
    def broken():
        raise RuntimeError("the secret of the house")

    with caplog.at_level(logging.ERROR, logger="web.errors"):
        answer = visitor_of(place.actor("operator")).get("/broken?name=梅小雨")
    assert answer.status_code == 500
    assert "secret" not in answer.text
    assert "RuntimeError" not in answer.text
    reference = re.search(r"编号 (\w{8})", answer.text)[1]
    assert reference in caplog.text
    assert re.search(r"test_frame\.py:\d+ broken", caplog.text)
    assert "the secret of the house" not in caplog.text
    assert "梅小雨" not in caplog.text


def test_what_happened_is_told_once_and_not_by_a_forged_cookie(app, visitor_of, place):
    @app.get("/deed")
    def deed():
        flash("已办结。")
        return ""

    visitor = visitor_of(place.actor("operator"))
    visitor.get("/deed")
    assert "已办结。" in visitor.get("/account").text
    assert "已办结。" not in visitor.get("/account").text
    visitor.client.set_cookie("notice", "0.W1siZm9yZ2VkIiwgImRvbmUiLCAiIiwgIiJdXQ==", domain="xueji.example")
    assert "forged" not in visitor.get("/account").text


# What binds the browser


def test_every_answer_forbids_foreign_and_inline_code(app, stranger, visitor_of, place):
    for answer in (stranger.get("/login"), stranger.get("/nowhere"), visitor_of(place.actor("county")).get("/account")):
        policy = dict(part.strip().split(" ", 1) for part in answer.headers["Content-Security-Policy"].split(";"))
        assert policy["default-src"] == "'none'"
        assert policy["script-src"] == policy["style-src"] == policy["form-action"] == "'self'"
        assert policy["frame-ancestors"] == policy["base-uri"] == "'none'"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Cache-Control"] == "no-store"


def test_static_files_are_kept_for_ever_under_the_hash_of_their_content(stranger):
    address = re.search(r'href="(/static/favicon.svg\?v=\w+)"', stranger.get("/login").text)[1]
    with stranger.get(address) as answer:
        assert "immutable" in answer.headers["Cache-Control"]


def test_everything_but_a_few_pages_wants_a_login(app):
    """A new page is closed to strangers unless it says otherwise."""
    open_to_all = {
        rule.rule for rule in app.url_map.iter_rules() if getattr(app.view_functions[rule.endpoint], "public", False)
    }
    assert open_to_all == {"/", "/login", "/healthz", "/readyz", "/locale", "/demo/enter", "/api/v1/openapi.json"}


@pytest.mark.parametrize("path", ["/account", "/accounts", "/accounts/new", "/organisations", "/audit", "/inbox"])
def test_strangers_are_led_to_the_login(stranger, path):
    assert stranger.get(path).status_code in (302, 404)
    if path != "/inbox":
        assert stranger.get(path).location.startswith("/login")


def test_health_is_told_to_anybody(stranger):
    assert stranger.get("/healthz").json == {"status": "ok"}


def test_a_public_page_must_say_so(app, stranger):
    @app.get("/closed")
    def closed():
        return "closed"

    @app.get("/open")
    @public
    def open_():
        return "open"

    assert stranger.get("/open").text == "open"
    assert stranger.get("/closed").status_code == 302
