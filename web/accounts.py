"""Accounts, as administrators see them: the people of their own jurisdiction, their memberships and their ways in."""

from __future__ import annotations

import secrets

from flask import Blueprint, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from engine import accounts
from engine.errors import XuejiError
from engine.permissions import DUTIES
from web.context import current_actor, now, reading, requires, transaction
from web.errors import shown_again_by
from web.flash import flash
from web.gettext import gettext as _
from web.ids import an_id
from web.paging import PAGE_SIZE, Page, offset_of, page_number
from web.searches import posted_search, recalled_search
from web.words import duty, options

blueprint = Blueprint("accounts", __name__, url_prefix="/accounts")

# Letters and digits that nobody confuses when a password is read out on the telephone.
READABLE = "abcdefghjkmnpqrstuvwxyz23456789"


@blueprint.get("")
@requires("administer")
def people() -> ResponseReturnValue:
    values = recalled_search("accounts")
    number = page_number()
    with reading() as connection:
        found, total = accounts.find_people(
            connection,
            current_actor(),
            text=values.get("text", ""),
            duty=request.args.get("duty") or None,
            organisation_id=request.args.get("organisation", type=an_id),
            limit=PAGE_SIZE,
            offset=offset_of(number),
        )
    return render_template(
        "accounts/people.html", page=Page(found, total, number), values=values, duties=options(DUTIES, duty), now=now()
    )


@blueprint.post("/search")
@requires("administer")
def search() -> ResponseReturnValue:
    kept = posted_search("accounts", ("text",))
    return redirect(url_for(".people", **kept, duty=request.form.get("duty") or None))


@blueprint.get("/new")
@requires("administer")
def new(error: XuejiError | None = None) -> str:
    return render_template("accounts/new.html", error=error, duties=options(DUTIES, duty))


@blueprint.post("/new")
@requires("administer")
@shown_again_by(new)
def add() -> ResponseReturnValue:
    form = request.form
    password = new_password()
    password_hash = accounts.hash_password(password, "")
    with transaction() as connection:
        person_id = accounts.add_person(
            connection,
            current_actor(),
            form.get("login", ""),
            form.get("name", ""),
            form.get("organisation_id", 0, type=an_id),
            form.get("duty", ""),
            at=now(),
            password_hash=password_hash,
        )
    return _shown_once(person_id, password, _("The account has been opened."))


@blueprint.get("/<int:person_id>")
@requires("administer")
def person(person_id: int, error: XuejiError | None = None) -> str:
    with reading() as connection:
        found = accounts.get_person(connection, current_actor(), person_id)
        sessions = accounts.open_sessions(connection, person_id, at=now())
    return render_template(
        "accounts/person.html", person=found, sessions=sessions, error=error, duties=options(DUTIES, duty), now=now()
    )


@blueprint.post("/<int:person_id>/memberships")
@requires("administer")
@shown_again_by(person)
def add_membership(person_id: int) -> ResponseReturnValue:
    organisation_id = request.form.get("organisation_id", 0, type=an_id)
    with transaction() as connection:
        accounts.add_membership(
            connection, current_actor(), person_id, organisation_id, request.form.get("duty", ""), at=now()
        )
    flash(_("The membership has been added."))
    return _back(person_id)


@blueprint.post("/<int:person_id>/memberships/<int:membership_id>/remove")
@requires("administer")
@shown_again_by(person)
def remove_membership(person_id: int, membership_id: int) -> ResponseReturnValue:
    with transaction() as connection:
        accounts.remove_membership(connection, current_actor(), membership_id, at=now())
    flash(_("The membership has been removed. Sessions that acted in it have ended."))
    return _back(person_id)


@blueprint.post("/<int:person_id>/password")
@requires("administer")
@shown_again_by(person)
def set_password(person_id: int) -> ResponseReturnValue:
    password = new_password()
    password_hash = accounts.hash_password(password, "")
    with transaction() as connection:
        accounts.set_password(connection, current_actor(), person_id, password_hash, at=now())
    return _shown_once(person_id, password, _("The password has been replaced, and all sessions have ended."))


@blueprint.post("/<int:person_id>/unlock")
@requires("administer")
@shown_again_by(person)
def unlock(person_id: int) -> ResponseReturnValue:
    with transaction() as connection:
        accounts.unlock(connection, current_actor(), person_id, at=now())
    flash(_("The account can be used again."))
    return _back(person_id)


@blueprint.post("/<int:person_id>/close")
@requires("administer")
@shown_again_by(person)
def close(person_id: int) -> ResponseReturnValue:
    with transaction() as connection:
        accounts.set_active(connection, current_actor(), person_id, False, at=now())
    flash(_("The account has been closed, and its sessions have ended."))
    return _back(person_id)


@blueprint.post("/<int:person_id>/open")
@requires("administer")
@shown_again_by(person)
def open_again(person_id: int) -> ResponseReturnValue:
    with transaction() as connection:
        accounts.set_active(connection, current_actor(), person_id, True, at=now())
    flash(_("The account can be used again."))
    return _back(person_id)


@blueprint.post("/<int:person_id>/sessions")
@requires("administer")
@shown_again_by(person)
def end_sessions(person_id: int) -> ResponseReturnValue:
    with transaction() as connection:
        accounts.end_sessions(connection, current_actor(), person_id, at=now())
    flash(_("The person has been logged out everywhere."))
    return _back(person_id)


def new_password() -> str:
    """Three groups of four, about 59 bits: to be told once and replaced at the first login."""
    return "-".join("".join(secrets.choice(READABLE) for _place in range(4)) for _group in range(3))


def _shown_once(person_id: int, password: str, words: str) -> ResponseReturnValue:
    """The answer to the post itself: a redirect would have to carry the password."""
    with reading() as connection:
        found = accounts.get_person(connection, current_actor(), person_id)
    return render_template("accounts/password.html", person=found, password=password, words=words)


def _back(person_id: int) -> ResponseReturnValue:
    return redirect(url_for(".person", person_id=person_id))
