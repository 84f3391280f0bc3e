"""Schools and authorities, as their administrators keep them; and the choice of one of them inside other forms."""

from __future__ import annotations

from flask import Blueprint, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from engine.errors import XuejiError
from engine.registry import classes, codes, divisions, organisations
from engine.registry.organisations import LEVELS, Organisation
from web.context import current_actor, now, reading, requires, transaction
from web.errors import shown_again_by
from web.flash import flash
from web.gettext import gettext as _
from web.locales import own_name
from web.paging import PAGE_SIZE, Page, offset_of, page_number
from web.words import level as level_name
from web.words import options

blueprint = Blueprint("organisations", __name__, url_prefix="/organisations")

# As many as fit below a field without scrolling.
CHOICES = 8


@blueprint.get("")
@requires("administer")
def all_below() -> ResponseReturnValue:
    below = current_actor().organisation_id
    assert below is not None
    text, level, number = request.args.get("text", ""), request.args.get("level") or None, page_number()
    with reading() as connection:
        found = organisations.search(
            connection, below=below, text=text, level=level, limit=PAGE_SIZE, offset=offset_of(number)
        )
        total = organisations.count(connection, below=below, text=text, level=level)
    return render_template(
        "organisations/list.html",
        page=Page(found, total, number),
        levels=options(LEVELS, level_name),
        full_name=divisions.full_name,
    )


@blueprint.get("/choices")
@requires("administer")
def choices() -> ResponseReturnValue:
    """A part of a page: what fits the text, to choose from. Names of organisations may stand in an address."""
    below = current_actor().organisation_id
    assert below is not None
    text = request.args.get("organisation_text", "")
    with reading() as connection:
        found = organisations.search(connection, below=below, text=text, limit=CHOICES)
        total = organisations.count(connection, below=below, text=text)
    return render_template(
        "organisations/_choices.html", found=found, total=total, chosen=request.args.get("chosen", type=int)
    )


@blueprint.get("/<int:organisation_id>")
@requires("administer")
def one(organisation_id: int, error: XuejiError | None = None) -> str:
    with reading() as connection:
        organisations.require_administration(connection, current_actor(), organisation_id)
        found = organisations.get(connection, organisation_id)
        superiors = organisations.superiors(connection, organisation_id)
        grades = classes.vacancies(connection, organisation_id) if found.is_school else []
    grade_names = {code: own_name(grade.name, grade.name_en) for code, grade in codes.table("grade").items()}
    return render_template(
        "organisations/one.html",
        organisation=found,
        superiors=superiors,
        grades=grades,
        grade_names=grade_names,
        grade_options=list(grade_names.items()),
        full_name=divisions.full_name,
        error=error,
    )


@blueprint.get("/<int:parent_id>/new")
@requires("administer")
def new(parent_id: int, error: XuejiError | None = None) -> str:
    with reading() as connection:
        organisations.require_administration(connection, current_actor(), parent_id)
        parent = organisations.get(connection, parent_id)
    return render_template(
        "organisations/new.html",
        parent=parent,
        levels=options(LEVELS[LEVELS.index(parent.level) + 1 :], level_name),
        error=error,
    )


@blueprint.post("/<int:parent_id>/new")
@requires("administer")
@shown_again_by(new)
def add(parent_id: int) -> ResponseReturnValue:
    form = request.form
    with transaction() as connection:
        added: Organisation = organisations.add(
            connection,
            current_actor(),
            level=form.get("level", ""),
            name=form.get("name", "").strip(),
            name_en=form.get("name_en", "").strip() or None,
            code=form.get("code", "").strip() or None,
            division_code=form.get("division_code", "").strip() or None,
            parent_id=parent_id,
            at=now(),
        )
    flash(_("%(name)s has been added.", name=added.name))
    return _back(added.id)


@blueprint.post("/<int:organisation_id>/name")
@requires("administer")
@shown_again_by(one)
def rename(organisation_id: int) -> ResponseReturnValue:
    name, name_en = request.form.get("name", "").strip(), request.form.get("name_en", "").strip() or None
    with transaction() as connection:
        organisations.rename(connection, current_actor(), organisation_id, name=name, name_en=name_en, at=now())
    flash(_("The name has been changed."))
    return _back(organisation_id)


@blueprint.post("/<int:organisation_id>/open")
@requires("administer")
@shown_again_by(one)
def open_again(organisation_id: int) -> ResponseReturnValue:
    return _set_active(organisation_id, True, _("It is offered to new transfers again."))


@blueprint.post("/<int:organisation_id>/close")
@requires("administer")
@shown_again_by(one)
def close(organisation_id: int) -> ResponseReturnValue:
    return _set_active(organisation_id, False, _("It has been closed, and is offered to no new transfer."))


@blueprint.post("/<int:organisation_id>/classes")
@requires("administer")
@shown_again_by(one)
def add_class(organisation_id: int) -> ResponseReturnValue:
    form = request.form
    with transaction() as connection:
        classes.add(
            connection,
            current_actor(),
            school_id=organisation_id,
            grade=form.get("grade", ""),
            name=form.get("name", "").strip(),
            capacity=form.get("capacity", 0, type=int),
            at=now(),
        )
    flash(_("The class has been added."))
    return _back(organisation_id)


@blueprint.post("/<int:organisation_id>/classes/<int:class_id>")
@requires("administer")
@shown_again_by(one)
def set_capacity(organisation_id: int, class_id: int) -> ResponseReturnValue:
    capacity = request.form.get("capacity", 0, type=int)
    with transaction() as connection:
        classes.set_capacity(connection, current_actor(), class_id, capacity=capacity, at=now())
    flash(_("The number of places has been changed."))
    return _back(organisation_id)


def _set_active(organisation_id: int, active: bool, words: str) -> ResponseReturnValue:
    with transaction() as connection:
        organisations.set_active(connection, current_actor(), organisation_id, active=active, at=now())
    flash(words)
    return _back(organisation_id)


def _back(organisation_id: int) -> ResponseReturnValue:
    return redirect(url_for(".one", organisation_id=organisation_id))
