"""One's own tokens, on the page of the account: shown once, named, ended at will."""

from __future__ import annotations

import re

import pytest

from engine import accounts
from engine.audit import SYSTEM

ANHUI = "340000"


@pytest.fixture
def operator(country):
    return country[ANHUI].actor("operator")


@pytest.fixture
def visitor(visitor_of, operator):
    return visitor_of(operator)


def form(actor, **more: object) -> dict[str, object]:
    return {"name": "接口程序", "membership_id": actor.membership_id, "days": 90} | more


def secret_of(page: str) -> str:
    [found] = re.findall(r'value="(xueji_[\w-]+)"', page)
    return found


def test_a_token_is_shown_once_and_opens_the_interface(app, visitor, operator):
    answer = visitor.post("/account/tokens", form(operator))
    assert answer.status_code == 201
    secret = secret_of(answer.text)
    assert secret not in visitor.get("/account").text
    headers = {"Authorization": f"Bearer {secret}"}
    me = app.test_client().get("/api/v1/me", headers=headers, base_url="https://xueji.example")
    assert me.json["person_id"] == operator.person_id


def test_the_list_says_for_whom_how_long_and_when_it_was_used(app, visitor, operator, clock):
    secret = secret_of(visitor.post("/account/tokens", form(operator)).text)
    page = visitor.get("/account").text
    for words in ("接口程序", "340000第一小学 · 经办", "2026-09-22", "2026-12-21", "尚未使用"):
        assert words in page
    clock.turn(minutes=3)
    headers = {"Authorization": f"Bearer {secret}"}
    app.test_client().get("/api/v1/me", headers=headers, base_url="https://xueji.example")
    assert "2026-09-22 09:03" in visitor.get("/account").text


def test_it_is_ended_by_its_owner_alone(app, visitor, visitor_of, country, operator):
    secret = secret_of(visitor.post("/account/tokens", form(operator)).text)
    [path] = set(re.findall(r'action="(/account/tokens/\d+)"', visitor.get("/account").text))
    assert visitor_of(country[ANHUI].actor("colleague")).post(path).status_code == 404
    assert "令牌已注销" in visitor.follow(visitor.post(path)).text
    headers = {"Authorization": f"Bearer {secret}"}
    answer = app.test_client().get("/api/v1/me", headers=headers, base_url="https://xueji.example")
    assert answer.status_code == 401


def test_a_page_that_is_loaded_again_makes_no_second_token(visitor, operator):
    visitor.post("/account/tokens", form(operator))
    again = visitor.post("/account/tokens", form(operator))
    assert again.status_code == 422
    assert "您已有一个同名的令牌" in again.text
    assert "xueji_" not in again.text
    assert len(set(re.findall(r'action="(/account/tokens/\d+)"', again.text))) == 1


def test_what_was_typed_stays_in_a_form_that_is_refused(visitor, operator):
    answer = visitor.post("/account/tokens", form(operator, days=7))
    assert answer.status_code == 422
    assert 'value="接口程序"' in answer.text


def test_every_membership_can_be_chosen_and_no_other(database, visitor_of, country, operator, clock):
    with database.transaction() as connection:
        other = accounts.add_membership(
            connection, SYSTEM, operator.person_id, country[ANHUI].county, "operator", at=clock()
        )
    visitor = visitor_of(operator)
    assert f'value="{other}"' in visitor.get("/account").text
    assert visitor.post("/account/tokens", form(operator, membership_id=other)).status_code == 201
    foreign = country[ANHUI].actor("colleague").membership_id
    assert visitor.post("/account/tokens", form(operator, name="别人的", membership_id=foreign)).status_code == 422
