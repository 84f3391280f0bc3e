"""People, memberships and sessions: who gets in, as whom, for how long, and who may change that."""

from __future__ import annotations

from datetime import timedelta

import pytest
import sqlalchemy as sa

from engine import accounts
from engine.accounts import AdministeredElsewhere, LastMembership, LoginTaken, login_session, person
from engine.audit import SYSTEM, audit_entry
from engine.errors import Forbidden, Invalid, NotFound
from engine.settings import Settings
from tests.integration import offices

SETTINGS = Settings()
RIGHT = "a good long one"


@pytest.fixture(scope="module")
def right_hash():
    return accounts.hash_password(RIGHT, "li.wei")


@pytest.fixture
def connection(database):
    with database.transaction() as connection:
        yield connection


@pytest.fixture
def country(connection, clock):
    return offices.build(connection, clock())


@pytest.fixture
def place(country):
    return country["340000"]


@pytest.fixture
def elsewhere(country):
    return country["410000"]


@pytest.fixture
def li(connection, place, clock, right_hash):
    """A person with a password, in the school."""
    return accounts.add_person(
        connection, SYSTEM, "Li.Wei", "李伟", place.school, "operator", at=clock(), password_hash=right_hash
    )


def log_in(connection, password, at, login="li.wei"):
    credentials = accounts.credentials_of(connection, login)
    return accounts.log_in(connection, credentials, credentials.match(password), settings=SETTINGS, at=at)


def deeds(connection):
    return list(connection.scalars(sa.select(audit_entry.c.action).order_by(audit_entry.c.id)))


# Logging in


def test_the_right_password_opens_a_session_that_makes_an_actor(connection, place, li, clock):
    token = log_in(connection, RIGHT, clock(), login=" LI.Wei ")
    actor = accounts.actor_of(connection, token, at=clock())
    assert (actor.person_id, actor.organisation_id, actor.duty) == (li, place.school, "operator")
    assert actor.organisation_level == "school"
    assert deeds(connection)[-1] == "session.opened"


def test_a_wrong_password_and_an_unknown_login_open_nothing(connection, li, clock):
    assert log_in(connection, "another one", clock()) is None
    assert log_in(connection, RIGHT, clock(), login="nobody") is None


def test_the_database_holds_neither_password_nor_token(connection, li, clock):
    token = log_in(connection, RIGHT, clock())
    kept = str(connection.execute(sa.select(person)).all()) + str(connection.execute(sa.select(login_session)).all())
    assert RIGHT not in kept
    assert token not in kept


def test_failures_in_a_row_lock_the_account_for_a_while(connection, li, clock):
    for _attempt in range(SETTINGS.lockout_failures):
        log_in(connection, "wrong", clock())
    assert deeds(connection)[-1] == "person.locked_out"
    assert log_in(connection, RIGHT, clock()) is None
    clock.turn(minutes=SETTINGS.lockout_minutes)
    assert log_in(connection, RIGHT, clock()) is not None


def test_one_right_password_forgives_the_failures_before_it(connection, li, clock):
    for _attempt in range(3):
        for _failure in range(SETTINGS.lockout_failures - 1):
            assert log_in(connection, "wrong", clock()) is None
        assert log_in(connection, RIGHT, clock()) is not None


def test_a_password_that_was_right_does_not_open_an_account_locked_in_the_meantime(connection, li, clock):
    credentials = accounts.credentials_of(connection, "li.wei")
    for _attempt in range(SETTINGS.lockout_failures):
        log_in(connection, "wrong", clock())
    assert accounts.log_in(connection, credentials, True, settings=SETTINGS, at=clock()) is None


def test_an_account_without_a_password_lets_nobody_in(connection, place, clock):
    accounts.add_person(connection, SYSTEM, "new", "新人", place.school, "operator", at=clock())
    assert not accounts.credentials_of(connection, "new").match("")
    assert not accounts.credentials_of(connection, "nobody").match("")


@pytest.mark.parametrize("password", ["short", "li.wei is my name", "LI.WEI12345"])
def test_passwords_that_are_guessed_first_are_refused(password):
    with pytest.raises(Invalid):
        accounts.hash_password(password, "li.wei")


# Sessions


def test_a_session_ends_when_nobody_uses_it(connection, li, clock):
    token = log_in(connection, RIGHT, clock())
    clock.turn(minutes=SETTINGS.session_idle_minutes)
    assert accounts.actor_of(connection, token, at=clock()) is None


def test_use_keeps_a_session_open_but_not_for_ever(connection, li, clock):
    token = log_in(connection, RIGHT, clock())
    opened = clock()
    while session := accounts.session_of(connection, token, at=clock()):
        accounts.see(connection, session, settings=SETTINGS, at=clock())
        clock.turn(minutes=SETTINGS.session_idle_minutes - 1)
    assert clock() - opened >= timedelta(hours=SETTINGS.session_hours)
    assert clock() - opened < timedelta(hours=SETTINGS.session_hours + 1)


def test_a_look_is_noted_at_most_once_a_minute(connection, li, clock):
    token = log_in(connection, RIGHT, clock())
    session = accounts.session_of(connection, token, at=clock())
    assert not accounts.is_seen_due(session, at=clock.turn(seconds=59))
    assert accounts.is_seen_due(session, at=clock.turn(seconds=1))


def test_who_acts_is_found_with_one_query(connection, li, clock):
    token = log_in(connection, RIGHT, clock())
    asked = []
    sa.event.listen(connection, "before_cursor_execute", lambda *arguments: asked.append(arguments[2]))
    assert accounts.actor_of(connection, token, at=clock())
    assert len(asked) == 1


@pytest.mark.parametrize("token", ["", "x", "0" * 43])
def test_an_invented_token_makes_no_actor(connection, li, clock, token):
    log_in(connection, RIGHT, clock())
    assert accounts.actor_of(connection, token, at=clock()) is None


def test_a_closed_account_acts_no_more(connection, place, li, clock):
    token = log_in(connection, RIGHT, clock())
    accounts.set_active(connection, place.actor("county_admin"), li, False, at=clock())
    assert accounts.actor_of(connection, token, at=clock()) is None
    assert log_in(connection, RIGHT, clock()) is None
    accounts.set_active(connection, place.actor("county_admin"), li, True, at=clock())
    assert accounts.actor_of(connection, token, at=clock()) is None
    assert log_in(connection, RIGHT, clock()) is not None


def test_a_person_switches_between_their_own_memberships_alone(connection, place, li, clock):
    second = accounts.add_membership(connection, SYSTEM, li, place.other_school, "reviewer", at=clock())
    token = log_in(connection, RIGHT, clock())
    session = accounts.session_of(connection, token, at=clock())
    accounts.switch_membership(connection, session, second, at=clock())
    actor = accounts.actor_of(connection, token, at=clock())
    assert (actor.organisation_id, actor.duty) == (place.other_school, "reviewer")
    with pytest.raises(NotFound):
        accounts.switch_membership(connection, session, place.actor("county").membership_id, at=clock())


def test_one_session_or_all_others_can_be_ended(connection, li, clock):
    tokens = [log_in(connection, RIGHT, clock()) for _device in range(4)]
    sessions = [accounts.session_of(connection, token, at=clock()) for token in tokens]
    accounts.revoke_session(connection, sessions[0].actor, sessions[1].id, at=clock())
    accounts.revoke_others(connection, sessions[0], at=clock())
    assert [accounts.actor_of(connection, token, at=clock()) is not None for token in tokens] == [True] + [False] * 3
    with pytest.raises(NotFound):
        accounts.revoke_session(connection, sessions[0].actor, sessions[1].id, at=clock())


def test_nobody_ends_the_session_of_another(connection, place, li, clock):
    session = accounts.session_of(connection, log_in(connection, RIGHT, clock()), at=clock())
    with pytest.raises(NotFound):
        accounts.revoke_session(connection, place.actor("county_admin"), session.id, at=clock())


def test_a_new_password_ends_the_other_sessions_and_is_not_temporary(connection, li, clock):
    kept, lost = (log_in(connection, RIGHT, clock()) for _device in range(2))
    session = accounts.session_of(connection, kept, at=clock())
    assert session.password_temporary
    accounts.change_own_password(connection, session, accounts.hash_password("my very own", "li.wei"), at=clock())
    assert not accounts.session_of(connection, kept, at=clock()).password_temporary
    assert accounts.session_of(connection, lost, at=clock()) is None
    assert log_in(connection, "my very own", clock()) is not None


# Administration


def test_an_administrator_sees_the_people_of_the_own_jurisdiction(connection, country, place, elsewhere, clock):
    below, total = accounts.find_people(connection, place.actor("school_admin"), limit=100)
    assert total == len(below) == 4
    county, _total = accounts.find_people(connection, place.actor("county_admin"), limit=100)
    assert {found.id for found in below} < {found.id for found in county}
    everywhere, _total = accounts.find_people(connection, country.ministry_actors["administrator"], limit=100)
    assert {found.id for found in county} < {found.id for found in everywhere}
    stranger = elsewhere.actor("operator").person_id
    assert stranger not in {found.id for found in county}
    with pytest.raises(NotFound):
        accounts.get_person(connection, place.actor("county_admin"), stranger)


def test_people_are_found_by_name_login_duty_and_organisation(connection, place, li, clock):
    def ids(**filters):
        return [
            found.id for found in accounts.find_people(connection, place.actor("county_admin"), limit=9, **filters)[0]
        ]

    assert ids(text="李") == ids(text="LI.WEI") == [li]
    assert ids(text="%") == ids(text="李_") == []
    assert set(ids(duty="auditor")) == {place.actor("county_auditor").person_id}
    assert li not in ids(organisation_id=place.other_school)


def test_only_administrators_administer(connection, place, li, clock):
    for name in ("operator", "county", "county_auditor", "policy"):
        with pytest.raises(Forbidden):
            accounts.find_people(connection, place.actor(name), limit=1)
        with pytest.raises(Forbidden):
            accounts.set_password(connection, place.actor(name), li, "hash", at=clock())


def test_an_account_is_opened_inside_the_jurisdiction_alone(connection, place, elsewhere, clock):
    with pytest.raises(Invalid) as refused:
        accounts.add_person(
            connection, place.actor("county_admin"), "new", "新人", elsewhere.school, "operator", at=clock()
        )
    assert set(refused.value.fields) == {"organisation_id"}


def test_a_login_name_is_given_once(connection, place, li, clock):
    with pytest.raises(LoginTaken):
        accounts.add_person(connection, SYSTEM, "LI.WEI", "李薇", place.school, "operator", at=clock())


@pytest.mark.parametrize(
    ("login", "name", "wrong"), [("ab", "李伟", "login"), ("a b c", "李伟", "login"), ("abc", " ", "name")]
)
def test_what_can_not_be_a_login_or_a_name_is_said_beside_its_field(connection, place, clock, login, name, wrong):
    with pytest.raises(Invalid) as refused:
        accounts.add_person(connection, SYSTEM, login, name, place.school, "operator", at=clock())
    assert set(refused.value.fields) == {wrong}


def test_procedures_are_edited_by_the_ministry_and_the_provinces_alone(connection, place, li, clock):
    administrator = place.actor("province_admin")
    with pytest.raises(Invalid) as refused:
        accounts.add_membership(connection, administrator, li, place.county, "policy_editor", at=clock())
    assert set(refused.value.fields) == {"duty"}
    accounts.add_membership(connection, administrator, li, place.province, "policy_editor", at=clock())


def test_a_duty_is_held_once_in_one_place(connection, place, li, clock):
    with pytest.raises(Invalid):
        accounts.add_membership(connection, SYSTEM, li, place.school, "operator", at=clock())


def test_a_removed_membership_ends_the_sessions_that_act_in_it(connection, place, li, clock):
    administrator = place.actor("county_admin")
    first = accounts.memberships_of(connection, li)[0].id
    with pytest.raises(LastMembership):
        accounts.remove_membership(connection, administrator, first, at=clock())
    token = log_in(connection, RIGHT, clock())
    accounts.add_membership(connection, administrator, li, place.other_school, "operator", at=clock())
    accounts.remove_membership(connection, administrator, first, at=clock())
    assert accounts.actor_of(connection, token, at=clock()) is None
    assert (
        accounts.actor_of(connection, log_in(connection, RIGHT, clock()), at=clock()).organisation_id
        == place.other_school
    )


def test_nobody_takes_over_a_person_who_belongs_above_them(connection, place, li, clock):
    """A county administrator who could set this password would act in the province."""
    accounts.add_membership(connection, SYSTEM, li, place.province, "administrator", at=clock())
    for act in (
        lambda: accounts.set_password(connection, place.actor("county_admin"), li, "hash", at=clock()),
        lambda: accounts.set_active(connection, place.actor("county_admin"), li, False, at=clock()),
        lambda: accounts.unlock(connection, place.actor("county_admin"), li, at=clock()),
        lambda: accounts.end_sessions(connection, place.actor("county_admin"), li, at=clock()),
    ):
        with pytest.raises(AdministeredElsewhere):
            act()
    accounts.set_password(connection, place.actor("province_admin"), li, "hash", at=clock())
    seen = accounts.get_person(connection, place.actor("county_admin"), li)
    assert [held.organisation_id for held in seen.memberships] == [place.school]


def test_a_replaced_password_lifts_the_lock_and_ends_all_sessions(connection, place, li, clock):
    token = log_in(connection, RIGHT, clock())
    for _attempt in range(SETTINGS.lockout_failures):
        log_in(connection, "wrong", clock())
    replaced = accounts.hash_password("told on the telephone", "")
    accounts.set_password(connection, place.actor("school_admin"), li, replaced, at=clock())
    assert accounts.actor_of(connection, token, at=clock()) is None
    opened = log_in(connection, "told on the telephone", clock())
    assert accounts.session_of(connection, opened, at=clock()).password_temporary


def test_an_administrator_lifts_a_lock(connection, place, li, clock):
    for _attempt in range(SETTINGS.lockout_failures):
        log_in(connection, "wrong", clock())
    accounts.unlock(connection, place.actor("school_admin"), li, at=clock())
    assert log_in(connection, RIGHT, clock()) is not None


def test_nobody_closes_their_own_account(connection, place, clock):
    administrator = place.actor("county_admin")
    with pytest.raises(Forbidden):
        accounts.set_active(connection, administrator, administrator.person_id, False, at=clock())


def test_what_was_done_to_an_account_is_audited_without_its_name(connection, place, li, clock):
    administrator = place.actor("county_admin")
    accounts.add_membership(connection, administrator, li, place.other_school, "reviewer", at=clock())
    accounts.set_password(connection, administrator, li, "hash", at=clock())
    entries = connection.execute(sa.select(audit_entry).where(audit_entry.c.subject_id == li)).all()
    assert {"person.added", "membership.added", "person.password_set"} <= {entry.action for entry in entries}
    assert "李伟" not in str(entries)


# Demonstrations


def test_demo_accounts_open_by_a_click_in_a_demonstration_alone(connection, place, li, clock):
    accounts.add_person(connection, SYSTEM, "demo", "演示", place.school, "operator", at=clock(), demo=True)
    demonstration = Settings(demo=True)
    assert [account.login for account in accounts.demo_accounts(connection)] == ["demo"]
    assert accounts.enter_demo(connection, "demo", settings=demonstration, at=clock())
    for login, settings in (("demo", SETTINGS), ("li.wei", demonstration), ("nobody", demonstration)):
        with pytest.raises(NotFound):
            accounts.enter_demo(connection, login, settings=settings, at=clock())


def test_ended_sessions_are_thrown_away_after_a_while(connection, li, clock):
    log_in(connection, RIGHT, clock())
    accounts.forget_ended(connection, at=clock.turn(days=29))
    assert connection.scalar(sa.select(sa.func.count()).select_from(login_session)) == 1
    accounts.forget_ended(connection, at=clock.turn(days=2))
    assert connection.scalar(sa.select(sa.func.count()).select_from(login_session)) == 0
