"""Tokens: each acts in one membership, for a time, until it is revoked; what is kept of it opens nothing."""

from __future__ import annotations

from datetime import timedelta

import pytest
import sqlalchemy as sa

from engine import accounts, audit
from engine.accounts.tables import api_token
from engine.audit import SYSTEM
from engine.errors import Invalid, NotFound
from tests.integration import offices

ANHUI, HENAN = "340000", "410000"


@pytest.fixture
def country(database, clock):
    with database.transaction() as connection:
        return offices.build(connection, clock())


@pytest.fixture
def operator(country):
    return country[ANHUI].actor("operator")


def make(database, actor, at, *, name="接口程序", membership_id=None, days=90) -> str:
    with database.transaction() as connection:
        return accounts.make_token(connection, actor, name, membership_id or actor.membership_id, days, at=at)


def use(database, secret, at):
    with database.reading() as connection:
        return accounts.token_use(connection, accounts.fingerprint(secret), at=at)


def tokens(database, actor, at):
    with database.reading() as connection:
        return accounts.tokens_of(connection, actor, at=at)


def test_a_token_acts_in_the_membership_it_was_made_for(database, country, operator, clock):
    with database.transaction() as connection:
        other = accounts.add_membership(
            connection, SYSTEM, operator.person_id, country[ANHUI].county, "operator", at=clock()
        )
    assert use(database, make(database, operator, clock()), clock()).actor == operator
    there = use(database, make(database, operator, clock(), name="县里", membership_id=other), clock()).actor
    assert (there.person_id, there.organisation_id) == (operator.person_id, country[ANHUI].county)


def test_the_database_keeps_nothing_that_opens_it(database, operator, clock):
    secret = make(database, operator, clock())
    with database.reading() as connection:
        kept = connection.execute(sa.select(api_token)).one()
        written = connection.execute(sa.select(audit.audit_entry)).all()
    assert secret.startswith("xueji_")
    assert secret not in str(kept)
    assert secret not in str(written)
    assert kept.token_hash != secret.encode()


def test_it_ends_when_its_time_is_over(database, operator, clock):
    secret = make(database, operator, clock(), days=30)
    assert use(database, secret, clock() + timedelta(days=30, seconds=-1))
    assert use(database, secret, clock() + timedelta(days=30)) is None
    assert tokens(database, operator, clock() + timedelta(days=30)) == []


def test_its_owner_ends_it_at_once_and_nobody_else_does(database, country, operator, clock):
    secret = make(database, operator, clock())
    [token] = tokens(database, operator, clock())
    with database.transaction() as connection, pytest.raises(NotFound):
        accounts.revoke_token(connection, country[ANHUI].actor("colleague"), token.id, at=clock())
    assert use(database, secret, clock())
    with database.transaction() as connection:
        accounts.revoke_token(connection, operator, token.id, at=clock())
    assert use(database, secret, clock()) is None
    with database.transaction() as connection, pytest.raises(NotFound):
        accounts.revoke_token(connection, operator, token.id, at=clock())


@pytest.mark.parametrize("deed", [accounts.end_sessions, accounts.set_password, accounts.set_active])
def test_who_is_shut_out_leaves_no_program_behind(database, country, operator, clock, deed):
    secret = make(database, operator, clock())
    administrator = country[ANHUI].actor("county_admin")
    more = {accounts.set_password: ("hash",), accounts.set_active: (False,)}.get(deed, ())
    with database.transaction() as connection:
        deed(connection, administrator, operator.person_id, *more, at=clock())
    assert use(database, secret, clock()) is None
    with database.transaction() as connection:
        accounts.set_active(connection, administrator, operator.person_id, True, at=clock())
    assert use(database, secret, clock()) is None, "an account that is opened again has no old tokens"


def test_it_goes_with_its_membership(database, country, operator, clock):
    with database.transaction() as connection:
        other = accounts.add_membership(
            connection, SYSTEM, operator.person_id, country[ANHUI].county, "operator", at=clock()
        )
    kept = make(database, operator, clock())
    gone = make(database, operator, clock(), name="县里", membership_id=other)
    with database.transaction() as connection:
        accounts.remove_membership(connection, SYSTEM, other, at=clock())
    assert use(database, gone, clock()) is None
    assert use(database, kept, clock())


def test_it_is_made_in_an_own_membership_with_a_name_of_its_own(database, country, operator, clock):
    make(database, operator, clock())
    wrong = {
        "name": {"name": "接口程序"},
        "membership_id": {"name": "别人的", "membership_id": country[ANHUI].actor("colleague").membership_id},
        "days": {"name": "永久", "days": 36500},
    }
    for field, values in wrong.items():
        with pytest.raises(Invalid) as refused:
            make(database, operator, clock(), **values)
        assert set(refused.value.fields) == {field}
    with pytest.raises(Invalid):
        make(database, operator, clock(), name=" ")
    assert len(tokens(database, operator, clock())) == 1


def test_its_last_use_is_noted_to_the_minute(database, operator, clock):
    secret = make(database, operator, clock())
    first = use(database, secret, clock())
    assert accounts.is_use_due(first, at=clock())
    with database.transaction() as connection:
        accounts.note_use(connection, first, at=clock())
    again = use(database, secret, clock.turn(seconds=59))
    assert not accounts.is_use_due(again, at=clock())
    assert accounts.is_use_due(again, at=clock.turn(seconds=1))


def test_what_ended_long_ago_is_forgotten(database, operator, clock):
    make(database, operator, clock(), days=30)
    make(database, operator, clock(), name="年", days=365)
    with database.transaction() as connection:
        accounts.forget_tokens(connection, at=clock() + timedelta(days=61))
        assert connection.scalar(sa.select(sa.func.count()).select_from(api_token)) == 1
