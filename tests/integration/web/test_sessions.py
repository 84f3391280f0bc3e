"""Coming and going in a browser: logging in and out, switching, the language, the own account."""

from __future__ import annotations

from dataclasses import replace

import pytest
import sqlalchemy as sa

from engine import accounts
from engine.accounts import login_session
from engine.audit import SYSTEM
from web import create_app

from .conftest import Visitor

RIGHT = "a good long one"


@pytest.fixture(scope="module")
def right_hash():
    return accounts.hash_password(RIGHT, "li.wei")


@pytest.fixture
def place(country):
    return country["340000"]


@pytest.fixture
def li(application, place, clock, right_hash):
    with application.database.transaction() as connection:
        li = accounts.add_person(
            connection, SYSTEM, "li.wei", "李伟", place.school, "operator", at=clock(), password_hash=right_hash
        )
        connection.execute(accounts.person.update().values(password_temporary=False))
        return li


def log_in(visitor, password=RIGHT, **more):
    return visitor.post("/login", {"login": "li.wei", "password": password, **more})


def test_a_stranger_is_led_to_the_login_and_back(stranger, li):
    answer = stranger.get("/account?x=1")
    assert answer.location == "/login?next=/account?x%3D1"
    page = stranger.follow(answer)
    assert 'name="next" value="/account?x=1"' in page.text
    assert log_in(stranger, next="/account?x=1").location == "/account?x=1"
    assert "李伟" in stranger.get("/account").text


def test_who_sends_a_form_after_the_session_has_ended_comes_back_to_its_page(stranger, li, clock, settings):
    log_in(stranger)
    clock.turn(hours=settings.session_hours)
    answer = stranger.post("/account/password", {}, headers={"Referer": "https://xueji.example/account?x=1"})
    assert answer.location == "/login?next=/account?x%3D1"


def test_nobody_is_led_to_another_site(stranger, li):
    assert log_in(stranger, next="https://elsewhere.example/").location == "/inbox"


def test_a_wrong_password_an_unknown_login_and_a_lock_read_the_same(stranger, li, settings):
    pages = {stranger.post("/login", {"login": "nobody", "password": RIGHT}).text.replace("nobody", "li.wei")}
    for _attempt in range(settings.lockout_failures):
        answer = log_in(stranger, "wrong")
        assert answer.status_code == 401
        pages.add(answer.text)
    pages.add(log_in(stranger).text)
    assert len(pages) == 1
    assert "登录名或密码不正确。" in pages.pop()


def test_the_login_name_is_kept_after_a_wrong_password_the_password_is_not(stranger, li):
    page = log_in(stranger, "wrong but typed").text
    assert 'value="li.wei"' in page
    assert "wrong but typed" not in page


def test_the_cookie_is_out_of_reach_of_scripts_and_of_plain_http(stranger, li):
    cookie = next(line for line in log_in(stranger).headers.getlist("Set-Cookie") if "session" in line)
    assert cookie.startswith("__Host-session=")
    assert {"Secure", "HttpOnly", "SameSite=Lax", "Path=/"} <= {part.strip() for part in cookie.split(";")}


def test_a_login_replaces_the_session_before_it(application, stranger, li):
    for _time in range(2):
        log_in(stranger)
    with application.database.reading() as connection:
        ended = connection.scalars(sa.select(login_session.c.revoked_at).order_by(login_session.c.id)).all()
    assert [at is None for at in ended] == [False, True]


def test_who_has_logged_out_is_a_stranger_again_even_with_the_old_cookie(stranger, li):
    log_in(stranger)
    stranger.get("/account")
    token = stranger.client.get_cookie("__Host-session", domain="xueji.example").value
    assert stranger.post("/logout").location == "/login"
    stranger.client.set_cookie("__Host-session", token, domain="xueji.example", secure=True)
    assert stranger.get("/account").status_code == 302


@pytest.mark.parametrize("path", ["/login", "/logout", "/switch", "/locale", "/account/password", "/demo/enter"])
def test_a_form_from_elsewhere_is_refused(stranger, li, path):
    log_in(stranger)
    for form, headers in (({}, {}), ({"csrf": "0" * 64}, {}), ({}, {"Authorization": "Bearer x"})):
        answer = stranger.client.post(path, data=form, headers=headers, base_url="https://xueji.example")
        assert answer.status_code == 403
        assert "未能提交" in answer.text


@pytest.mark.parametrize(
    ("path", "query", "form"), [("/login\0", "", {}), ("/login", "next=%00", {}), ("/login", "", {"login": "\0"})]
)
def test_what_no_keyboard_writes_is_refused(stranger, path, query, form):
    assert stranger.post(path, form, query_string=query).status_code == 400


def test_a_form_of_another_session_is_refused(app, stranger, li):
    other = Visitor(app.test_client())
    log_in(other)
    other.get("/account")
    log_in(stranger)
    stranger.csrf = other.csrf
    assert stranger.post("/logout").status_code == 403


def test_a_session_in_use_stays_and_one_left_alone_ends(stranger, li, clock, settings):
    log_in(stranger)
    for _hour in range(3):
        clock.turn(minutes=settings.session_idle_minutes - 1)
        assert stranger.get("/account").status_code == 200
    clock.turn(minutes=settings.session_idle_minutes)
    assert stranger.get("/account").status_code == 302


def test_a_temporary_password_is_replaced_before_anything_else(application, stranger, place, li, clock, right_hash):
    with application.database.transaction() as connection:
        accounts.set_password(connection, place.actor("school_admin"), li, right_hash, at=clock())
    log_in(stranger)
    assert stranger.get("/organisations").location == "/account"
    own = {"old": RIGHT, "password": "my very own one", "again": "my very own one"}
    assert "请先修改密码" in stranger.get("/account").text
    assert stranger.post("/account/password", own).location == "/inbox"
    assert stranger.get("/organisations").status_code == 403  # an operator, but let in


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"old": "wrong"}, "当前密码不正确。"),
        ({"again": "another one"}, "两次输入不一致。"),
        ({"password": "short", "again": "short"}, "密码至少 10 个字符。"),
        ({"password": "I am li.wei", "again": "I am li.wei"}, "密码不能包含登录名。"),
    ],
)
def test_what_is_wrong_with_a_new_password_is_said_beside_its_field(stranger, li, changed, words):
    log_in(stranger)
    stranger.get("/account")
    answer = stranger.post(
        "/account/password", {"old": RIGHT, "password": "my own one", "again": "my own one", **changed}
    )
    assert answer.status_code == 422
    assert words in answer.text
    assert 'aria-invalid="true"' in answer.text


def test_other_sessions_are_listed_and_ended(app, stranger, li):
    telephone = Visitor(app.test_client())
    for visitor in (telephone, stranger):
        log_in(visitor)
    assert stranger.get("/account").text.count("/account/sessions/") == 1
    assert stranger.post("/account/sessions").status_code == 302
    assert telephone.get("/account").status_code == 302
    assert "其他登录均已退出。" in stranger.get("/account").text


def test_a_switch_of_membership_stays_on_the_page(application, stranger, place, li, clock):
    with application.database.transaction() as connection:
        second = accounts.add_membership(connection, SYSTEM, li, place.county, "administrator", at=clock())
    log_in(stranger)
    page = stranger.get("/account").text
    assert f'name="membership_id" value="{second}"' in page
    page = stranger.follow(stranger.post("/switch", {"membership_id": second, "next": "/account"})).text
    assert "当前身份已切换为：340104教育局 · 管理员。" in page
    assert stranger.get("/accounts").status_code == 200


def test_after_a_switch_a_page_of_the_other_membership_gives_way_to_the_inbox(application, stranger, place, li, clock):
    with application.database.transaction() as connection:
        second = accounts.add_membership(connection, SYSTEM, li, place.county, "administrator", at=clock())
        first = accounts.memberships_of(connection, li)[0].id
    log_in(stranger)
    stranger.get("/account")
    stranger.post("/switch", {"membership_id": second})
    stranger.get("/account")
    answer = stranger.follow(stranger.post("/switch", {"membership_id": first, "next": "/accounts"}))
    assert answer.location == "/inbox"
    stranger.get("/account")  # whose page shows the line, so that the next is an ordinary one
    assert stranger.get("/accounts").status_code == 403


def test_nobody_switches_to_a_membership_of_another(stranger, place, li):
    log_in(stranger)
    stranger.get("/account")
    answer = stranger.post("/switch", {"membership_id": place.actor("county_admin").membership_id})
    assert answer.status_code == 404


def test_the_language_is_the_persons_own_on_every_computer(app, stranger, li):
    assert '<html lang="zh-CN">' in stranger.get("/login").text
    log_in(stranger)
    stranger.get("/account")
    stranger.post("/locale", {"locale": "en", "next": "/account"})
    elsewhere = Visitor(app.test_client())
    assert '<html lang="zh-CN">' in elsewhere.get("/login").text
    log_in(elsewhere)
    assert "Change the password" in elsewhere.get("/account").text


def test_before_the_login_the_browser_remembers_the_language(stranger, li):
    stranger.get("/login")
    stranger.post("/locale", {"locale": "en", "next": "/login"})
    assert "Log in" in stranger.get("/login").text
    assert stranger.post("/locale", {"locale": "tlh"}).status_code == 422


def test_a_demonstration_opens_its_accounts_with_one_click(application, settings, place, clock):
    with application.database.transaction() as connection:
        accounts.add_person(connection, SYSTEM, "demo-a", "张演示", place.school, "operator", at=clock(), demo=True)
        accounts.add_person(connection, SYSTEM, "demo-b", "王演示", place.county, "operator", at=clock(), demo=True)
    application.settings = replace(settings, demo=True)
    visitor = Visitor(create_app(application).test_client())
    assert {"张演示", "王演示"} <= {name for name in ("张演示", "王演示") if name in visitor.get("/login").text}
    visitor.post("/demo/enter", {"login": "demo-a", "next": "/account"})
    assert "张演示" in visitor.get("/account").text
    assert visitor.post("/demo/enter", {"login": "demo-b", "next": "/account"}).location == "/account"
    assert "340104教育局 · 经办" in visitor.get("/account").text


def test_outside_of_a_demonstration_nobody_enters_by_a_click(application, stranger, place, clock):
    with application.database.transaction() as connection:
        accounts.add_person(connection, SYSTEM, "demo-a", "张演示", place.school, "operator", at=clock(), demo=True)
    assert "张演示" not in stranger.get("/login").text
    assert stranger.post("/demo/enter", {"login": "demo-a"}).status_code == 404
