"""Coming and going: log in, log out, switch the membership or the language, one's own account."""

from __future__ import annotations

from flask import Blueprint, g, make_response, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from engine import accounts
from engine.accounts import LoginRefused
from engine.errors import N_, Invalid, XuejiError
from engine.registry import organisations
from web.context import (
    before_password,
    current_actor,
    current_session,
    give_token,
    now,
    own_session,
    public,
    reading,
    safe_target,
    settings,
    take_token,
    transaction,
)
from web.errors import START, shown_again_by
from web.flash import SWITCHED, flash
from web.gettext import gettext as _
from web.ids import an_id
from web.locales import COOKIE, LOCALES, own
from web.words import duty

blueprint = Blueprint("sessions", __name__)


@blueprint.get("/")
@public
def start() -> ResponseReturnValue:
    return redirect(START if current_session() else url_for(".login"))


@blueprint.get("/login")
@public
def login(error: XuejiError | None = None) -> ResponseReturnValue:
    offered = []
    if settings().demo:
        with reading() as connection:
            offered = accounts.demo_accounts(connection)
    return render_template("sessions/login.html", error=error, target=_target(), offered=offered)


@blueprint.post("/login")
@public
@shown_again_by(login)
def log_in() -> ResponseReturnValue:
    with reading() as connection:
        credentials = accounts.credentials_of(connection, request.form.get("login", ""))
    matches = credentials.match(request.form.get("password", ""))
    with transaction() as connection:
        token = accounts.log_in(connection, credentials, matches, settings=settings(), at=now())
    if token is None:
        raise LoginRefused(failures=settings().lockout_failures, minutes=settings().lockout_minutes)
    return _enter(token, _target())


@blueprint.post("/demo/enter")
@public
def enter_demo() -> ResponseReturnValue:
    login = request.form.get("login", "")
    with transaction() as connection:
        token = accounts.enter_demo(connection, login, settings=settings(), at=now())
        entered = next(found for found in accounts.demo_accounts(connection) if found.login == login).membership
    if current_session():
        _tell_switch(own(entered, "organisation_name"), entered.duty)
    return _enter(token, _target())


@blueprint.post("/logout")
def log_out() -> ResponseReturnValue:
    with transaction() as connection:
        accounts.revoke_session(connection, current_actor(), own_session().id, at=now())
    response = make_response(redirect(url_for(".login")))
    take_token(response)
    return response


@blueprint.post("/switch")
def switch() -> ResponseReturnValue:
    membership_id = request.form.get("membership_id", 0, type=an_id)
    with transaction() as connection:
        actor = accounts.switch_membership(connection, own_session(), membership_id, at=now())
        office = organisations.get(connection, actor.organisation_id or 0)
    _tell_switch(own(office), actor.duty)
    return redirect(_target() or START)


@blueprint.post("/locale")
@public
def choose_locale() -> ResponseReturnValue:
    locale = request.form.get("locale", "")
    if locale not in LOCALES:
        raise Invalid(fields={"locale": Invalid(N_("Choose one of the values given."))})
    if current_session():
        with transaction() as connection:
            accounts.choose_locale(connection, current_actor(), locale)
    response = make_response(redirect(_target() or START))
    response.set_cookie(
        COOKIE, locale, max_age=31536000, secure=settings().secure_cookies, httponly=True, samesite="Lax"
    )
    return response


@blueprint.get("/account")
@before_password
def account(error: XuejiError | None = None, made: str = "") -> str:
    """One's own account. `made` is the secret of a token that has just been made."""
    session = own_session()
    assert session.actor.person_id is not None
    with reading() as connection:
        sessions = accounts.open_sessions(connection, session.actor.person_id, at=now())
        tokens = accounts.tokens_of(connection, session.actor, at=now())
        memberships = accounts.memberships_of(connection, session.actor.person_id)
    return render_template(
        "sessions/account.html",
        error=error,
        sessions=sessions,
        minimum=accounts.MINIMUM_PASSWORD,
        tokens=tokens,
        memberships=memberships,
        lifetimes=accounts.LIFETIMES,
        made=made,
    )


@blueprint.post("/account/password")
@before_password
@shown_again_by(account)
def change_password() -> ResponseReturnValue:
    session = own_session()
    assert session.actor.person_id is not None
    with reading() as connection:
        credentials = accounts.credentials_of_person(connection, session.actor.person_id)
    if not credentials.match(request.form.get("old", "")):
        raise Invalid(fields={"old": Invalid(N_("This is not your present password."))})
    if request.form.get("password") != request.form.get("again"):
        raise Invalid(fields={"again": Invalid(N_("The two entries differ."))})
    password_hash = new_password_hash(credentials.login)
    with transaction() as connection:
        accounts.change_own_password(connection, session, password_hash, at=now())
    flash(_("Your password has been changed. Your other sessions have ended."))
    return redirect(START if session.password_temporary else url_for(".account"))


def new_password_hash(login: str) -> str:
    """The hash of the form's new password; what is wrong with it belongs to its field."""
    try:
        return accounts.hash_password(request.form.get("password", ""), login)
    except Invalid as error:
        raise Invalid(fields={"password": error}) from None


@blueprint.post("/account/sessions/<int:session_id>")
def revoke(session_id: int) -> ResponseReturnValue:
    with transaction() as connection:
        accounts.revoke_session(connection, current_actor(), session_id, at=now())
    flash(_("The session has ended."))
    return redirect(url_for(".account"))


@blueprint.post("/account/sessions")
def revoke_others() -> ResponseReturnValue:
    with transaction() as connection:
        accounts.revoke_others(connection, own_session(), at=now())
    flash(_("All your other sessions have ended."))
    return redirect(url_for(".account"))


def _tell_switch(office: str, duty_code: str) -> None:
    """Say who acts now; a page that is not theirs then leads to their inbox."""
    flash(_("You now act for %(organisation)s as %(duty)s.", organisation=office, duty=duty(duty_code)), SWITCHED)


def _enter(token: str, target: str | None) -> ResponseReturnValue:
    if session := current_session():
        with transaction() as connection:
            accounts.revoke_session(connection, session.actor, session.id, at=now())
    g.new_token = token
    response = make_response(redirect(target or START))
    give_token(response, token)
    return response


def _target() -> str | None:
    """Where the reader was, sent along by the form or the address."""
    return safe_target(request.form.get("next") or request.args.get("next"))
