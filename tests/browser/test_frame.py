"""The frame in a real browser: at a desk and on a telephone, in both languages, on light and dark ground."""

from __future__ import annotations

import pytest
from flask import Response, render_template_string

from engine import accounts
from engine.application import Application
from engine.audit import SYSTEM
from engine.settings import Settings, processes_folder
from tests.integration import offices
from web import create_app

from .conftest import AXE, NARROW, WIDE

pytestmark = pytest.mark.browser

LIST = """
{% extends "base.html" %}{% from "_macros.html" import badge, control, empty, errors, pagination with context %}
{% block title %}转出审批{% endblock %}
{% block content %}
<form method="post" action="/batch" data-batch>{{ csrf() }}
<table class="rows" data-keys>
  <thead><tr><th class="tick" scope="col"><input type="checkbox" data-tick-all aria-label="全选"></th>
  <th scope="col">学生</th><th scope="col">学校</th><th scope="col">状态</th></tr></thead>
  <tbody>{% for name in ("梅小雨", "石大山", "江流") %}<tr>
    <td class="tick"><input type="checkbox" name="task" value="{{ name }}" aria-label="{{ name }}"
      data-tick data-group="{{ loop.index // 2 }}"></td>
    <td class="main"><a href="/opened/{{ loop.index }}">{{ name }}</a></td>
    <td>新疆生产建设兵团第六师五家渠市第一中学</td><td class="aside">{{ badge("overdue") }}</td></tr>
  {% endfor %}</tbody>
</table>
<div class="batch-bar" hidden><span>已选 <b data-ticked></b> 人（<span data-groups></span> 所学校）</span>
<div class="actions"><button class="primary">同意</button></div></div>
</form>
{% for state in STATES %}{{ badge(state) }}{% endfor %}{{ empty("暂无待办。") }}
{% endblock %}
"""

FORM = """
{% extends "base.html" %}{% from "_macros.html" import control with context %}
{% block title %}决定{% endblock %}
{% block content %}
<form class="form" method="post" action="/decided" data-draft="task-1">{{ csrf() }}
{{ control("result", "结果", type="enum", required=true, options=[("agree", "同意"), ("refuse", "不同意")]) }}
{{ control("reason", "理由", multiline=true, shown_when="result=refuse") }}
{{ control("note", "备注", required_when="result=agree") }}
<button class="primary">审批</button></form>
{% endblock %}
"""

DIAGRAM = """
{% extends "base.html" %}{% from "_macros.html" import diagram with context %}
{% block title %}流程{% endblock %}
{% block styles %}{{ super() }}<link rel="stylesheet" href="{{ asset('diagram.css') }}">{% endblock %}
{% block scripts %}{{ super() }}<script type="module" src="{{ asset('diagram.js') }}"></script>{% endblock %}
{% block content %}
{{ diagram("d", "/national.bpmn", "转出方", participant="releasing_side", clauses="clauses",
           marks={"release_requested_received": "done", "decide_releasing_school": "current"}) }}
<ul id="clauses"><li data-element="decide_releasing_school" tabindex="0">转出学校在学籍系统中核办。</li></ul>
{% endblock %}
"""


@pytest.fixture
def application(sqlite_url, clock):
    """A demonstration with two accounts: a school's operator, and a county's administrator."""
    application = Application(Settings(database_url=sqlite_url, demo=True, secure_cookies=False), clock=clock)
    with application.database.transaction() as connection:
        place = offices.build(connection, clock())["340000"]
        for login, name, organisation, duty in (
            ("demo-school", "张演示", place.school, "operator"),
            ("demo-county", "王演示", place.county, "administrator"),
            ("demo-audit", "李演示", place.county, "auditor"),
        ):
            accounts.add_person(connection, SYSTEM, login, name, organisation, duty, at=clock(), demo=True)
    yield application
    application.database.dispose()


@pytest.fixture
def address(application, serve, not_here):
    if not AXE.exists():
        not_here("The front end's packages are not installed: npm ci in web/frontend.")
    app = create_app(application)
    app.add_url_rule("/list", "list", lambda: render_template_string(LIST))
    app.add_url_rule("/form", "form", lambda: render_template_string(FORM))
    app.add_url_rule("/decided", "decided", lambda: render_template_string(LIST), methods=["POST"])
    app.add_url_rule("/opened/<int:number>", "opened", lambda number: render_template_string(FORM))
    app.add_url_rule("/diagram", "diagram", lambda: render_template_string(DIAGRAM))
    source = (processes_folder() / "national" / "transfer.bpmn").read_text()
    app.add_url_rule("/national.bpmn", "national", lambda: Response(source, mimetype="application/xml"))
    return serve(app)


def enter(window, address, login="demo-school", path="/list"):
    page = window.page
    page.goto(f"{address}/login?next={path}")
    with page.expect_navigation(wait_until="networkidle"):
        page.click(f"main button[value={login}]")
    return page


PAGES = [
    ("demo-school", "/list"),
    ("demo-school", "/form"),
    ("demo-school", "/diagram"),
    ("demo-school", "/account"),
    ("demo-county", "/accounts"),
    ("demo-county", "/accounts/new"),
    ("demo-county", "/accounts/5"),
    ("demo-county", "/organisations"),
    ("demo-county", "/organisations/3/new"),
    ("demo-county", "/organisations/4"),
    ("demo-audit", "/audit"),
]


@pytest.mark.parametrize(
    ("viewport", "ground", "language"),
    [(WIDE, "light", "zh"), (NARROW, "light", "zh"), (WIDE, "dark", "en"), (NARROW, "light", "en")],
    ids=["desk", "telephone", "desk, dark, English", "telephone, English"],
)
def test_every_page_is_accessible_and_fits(address, open_window, viewport, ground, language):
    window = open_window(viewport, color_scheme=ground)
    page = window.page
    page.goto(f"{address}/login")
    if language == "en":
        with page.expect_navigation(wait_until="networkidle"):
            page.click("form.locale button")
    assert window.violations() == []
    for login, path in PAGES:
        enter(window, address, login, path)
        assert (path, window.violations()) == (path, [])
        assert not window.is_wider_than_itself(), path


def test_a_menu_a_drawer_and_the_keys_open_and_close(address, open_window):
    page = enter(open_window(NARROW), address)
    page.click("[data-drawer]")
    assert page.locator("#side").get_by_text("已办").is_visible()
    page.keyboard.press("Escape")
    page.wait_for_function("getComputedStyle(document.getElementById('side')).visibility === 'hidden'")
    page.click("details.account summary")
    assert page.locator(".account").get_by_text("退出登录").is_visible()
    page.keyboard.press("Escape")
    assert not page.locator(".account").get_by_text("退出登录").is_visible()
    page.keyboard.press("?")
    assert page.locator("dialog#keys").is_visible()


def test_a_list_is_worked_by_keys(address, open_window):
    page = enter(open_window(), address)
    page.keyboard.press("/")
    assert page.evaluate("document.activeElement.name") == "text"
    page.keyboard.type("jkx")  # typing is typing
    page.evaluate("document.activeElement.blur()")
    for key in ("j", "j", "x", "k", "x"):
        page.keyboard.press(key)
    assert page.locator("tr.ticked").count() == 2
    assert page.locator(".batch-bar").inner_text().startswith("已选 2 人（2 所学校）")
    page.keyboard.press("Enter")
    page.wait_for_url("**/opened/1")


def test_a_row_stays_a_row_for_screen_readers_on_a_telephone(address, open_window):
    page = enter(open_window(NARROW), address)
    assert page.get_by_role("row").count() == 4
    assert page.get_by_role("cell", name="梅小雨").last.is_visible()


def test_what_depends_on_a_choice_is_shown_required_and_sent_with_it_alone(address, open_window):
    page = enter(open_window(), address, path="/form")
    reason, note = page.locator("#reason"), page.locator("#note")
    assert reason.is_hidden()
    assert reason.is_disabled()
    page.check("input[value=refuse]")
    assert reason.is_visible()
    assert note.get_attribute("required") is None
    page.check("input[value=agree]")
    assert reason.is_hidden()
    assert note.get_attribute("required") is not None


def test_what_was_typed_survives_until_it_has_arrived(address, open_window):
    page = enter(open_window(), address, path="/form")
    page.check("input[value=refuse]")
    page.fill("#reason", "名额已满")
    page.goto(f"{address}/list")
    page.goto(f"{address}/form")
    assert page.input_value("#reason") == "名额已满"
    page.click("form[data-draft] button.primary")
    page.wait_for_url("**/decided")
    page.goto(f"{address}/form")
    assert page.input_value("#reason") == ""


def test_logging_out_leaves_nothing_in_the_browser(address, open_window):
    page = enter(open_window(), address, path="/form")
    page.fill("#note", "梅小雨")
    page.click("details.account summary")
    page.get_by_text("退出登录").click()
    page.wait_for_url("**/login")
    assert page.evaluate("Object.values(sessionStorage).filter(kept => kept.includes('梅'))") == []


def test_a_diagram_shows_one_pool_its_states_and_its_clauses(address, open_window):
    page = enter(open_window(), address, path="/diagram")
    page.wait_for_selector(".diagram .djs-element.is-current")
    shown = page.locator('.diagram [data-element-id="decide_releasing_school"]')
    assert "is-current" in shown.get_attribute("class")
    assert page.locator('.diagram [data-element-id="apply"]').is_hidden()
    page.hover("[data-element=decide_releasing_school]")
    assert "lit" in shown.get_attribute("class")
    page.hover('.diagram [data-element-id="decide_releasing_school"] .djs-hit')
    assert page.locator("#clauses .lit").count() == 1


def test_the_watermark_of_the_viewer_is_visible_and_uncovered(address, open_window):
    for ground in ("light", "dark"):
        page = enter(open_window(color_scheme=ground), address, path="/diagram")
        mark = page.locator(".bjs-powered-by")
        mark.wait_for()
        box = mark.bounding_box()
        middle = [box["x"] + box["width"] / 2, box["y"] + box["height"] / 2]
        assert page.evaluate("([x, y]) => !!document.elementFromPoint(x, y).closest('.bjs-powered-by')", middle)


def test_a_demonstration_goes_on_as_somebody_else_with_one_click(address, open_window):
    page = enter(open_window(), address)
    page.click(".demo-bar summary")
    page.click(".demo-bar button[value=demo-county]")
    page.wait_for_url("**/list")
    assert "王演示" in page.locator(".account summary").inner_text()
