"""Regimes in force: under which one each province's side of a transfer runs, and when each takes no applications."""

from __future__ import annotations

from flask import Blueprint, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from engine import procedures
from engine.bpmn.graph import BASES
from engine.errors import NotFound, XuejiError
from engine.permissions import may
from engine.procedures import EVERYWHERE, MOVES, Rule
from engine.registry import divisions
from web.context import current_actor, now, reading, requires, transaction
from web.errors import shown_again_by
from web.flash import flash
from web.gettext import gettext as _
from web.locales import label
from web.words import basis_in_full, move

blueprint = Blueprint("regimes", __name__, url_prefix="/regimes")


@blueprint.get("")
@requires("administer")
def page(regime_key: str = "", error: XuejiError | None = None) -> ResponseReturnValue:
    """`regime_key` names the regime whose season was refused with `error`."""
    with reading() as connection:
        regimes = procedures.regimes(connection)
        rules = procedures.rules(connection)
    return render_template(
        "regimes/page.html",
        regimes=regimes,
        rules=_by_place(rules),
        # Those with a rule of their own, and those that follow the general one.
        own=[place for place in divisions.children() if any(rule.province == place.code for rule in rules)],
        others=[place for place in divisions.children() if all(rule.province != place.code for rule in rules)],
        may_change=may(current_actor(), "administer_deployment"),
        refused=regime_key,
        error=error,
    )


def _by_place(rules: list[Rule]) -> dict[tuple[str, str], Rule]:
    return {(rule.province, rule.move): rule for rule in rules}


@blueprint.get("/<province>")
@requires("administer_deployment")
def rules_of(province: str, move_name: str = "", error: XuejiError | None = None) -> str:
    """`move_name` names the rule that was refused with `error`."""
    if province != EVERYWHERE and divisions.at(province) not in divisions.children():
        raise NotFound
    with reading() as connection:
        regimes = procedures.regimes(connection)
        rules = _by_place(procedures.rules(connection))
    return render_template(
        "regimes/rules.html",
        place=place(province),
        province=province,
        moves=MOVES,
        rules=rules,
        regimes=regimes,
        regime_options=[(key, label(regime)) for key, regime in regimes.items()],
        basis_options=[(code, basis_in_full(code)) for code in BASES],
        refused=move_name,
        error=error,
    )


@blueprint.post("/<province>/<move_name>")
@requires("administer_deployment")
@shown_again_by(rules_of)
def set_rule(province: str, move_name: str) -> ResponseReturnValue:
    with transaction() as connection:
        procedures.set_rule(
            connection,
            current_actor(),
            province,
            move_name,
            request.form.get("regime", ""),
            request.form.get("reason", ""),
            basis=request.form.get("basis", ""),
            at=now(),
        )
    flash(_("%(place)s, %(move)s: new transfers follow the new rule.", place=place(province), move=move(move_name)))
    return redirect(url_for(".page"), 303)


@blueprint.post("/<province>/<move_name>/removal")
@requires("administer_deployment")
@shown_again_by(rules_of)
def remove_rule(province: str, move_name: str) -> ResponseReturnValue:
    with transaction() as connection:
        procedures.remove_rule(connection, current_actor(), province, move_name, at=now())
    flash(_("%(place)s, %(move)s: the general rule holds again.", place=place(province), move=move(move_name)))
    return redirect(url_for(".page"), 303)


@blueprint.post("/seasons/<regime_key>")
@requires("administer_deployment")
@shown_again_by(page)
def set_window(regime_key: str) -> ResponseReturnValue:
    with transaction() as connection:
        procedures.set_window(
            connection,
            current_actor(),
            regime_key,
            request.form.get("closed_from", "").strip(),
            request.form.get("closed_until", "").strip(),
            at=now(),
        )
        regime = procedures.regimes(connection)[regime_key]
    flash(_("The closed season of %(regime)s has been changed.", regime=label(regime)))
    return redirect(url_for(".page"), 303)


def place(province: str) -> str:
    """A province's name, or the words for all that have no rule of their own."""
    return str(_("All other provinces")) if province == EVERYWHERE else divisions.name_at(province) or province
