"""Which regime serves a side of a case, under which version, and when it takes no applications."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from engine import audit
from engine.audit import Actor
from engine.bpmn.graph import BASES
from engine.errors import N_, Invalid, NotFound
from engine.permissions import require
from engine.prepared import Prepared
from engine.procedures.entries import bad_text, refuse
from engine.procedures.tables import EVERYWHERE, MOVES, TRANSFER, procedure_version, regime, regime_rule
from engine.procedures.versions import NEWEST, NoneInForce, Version, load
from engine.registry import divisions


@dataclass(frozen=True)
class Regime:
    key: str
    name: str
    name_en: str
    closed_from: str | None = None
    closed_until: str | None = None

    def is_closed(self, day: date) -> bool:
        """Whether new applications are closed on this day; a window may reach over the new year."""
        if not self.closed_from or not self.closed_until:
            return False
        today = f"{day:%m-%d}"
        if self.closed_from <= self.closed_until:
            return self.closed_from <= today <= self.closed_until
        return today >= self.closed_from or today <= self.closed_until

    def label(self, locale: str) -> str:
        return self.name_en if locale.startswith("en") else self.name


@dataclass(frozen=True)
class Rule:
    """Why a side runs under a regime."""

    province: str
    move: str
    regime: str
    basis: str
    reason: str


def regimes(connection: Connection) -> dict[str, Regime]:
    """All regimes by key, in their order."""
    rows = _REGIMES.rows(connection, {})
    return {row.key: Regime(row.key, row.name, row.name_en, row.closed_from, row.closed_until) for row in rows}


def rules(connection: Connection) -> list[Rule]:
    """The table of regimes, general rules last."""
    return [Rule(row.province, row.move, row.regime, row.basis, row.reason) for row in _RULES.rows(connection, {})]


_REGIMES = Prepared(sa.select(regime).order_by(regime.c.position, regime.c.key))
_RULES = Prepared(sa.select(regime_rule).order_by(regime_rule.c.province.desc(), regime_rule.c.move))


@dataclass(frozen=True)
class Route:
    """Under what a side of a transfer that begins now would run."""

    rule: Rule
    regime: Regime
    version: Version


def routes(connection: Connection, provinces: Iterable[str], *, within: bool, at: datetime) -> dict[str, Route]:
    """The route of a side in each of the provinces. Raises `NoneInForce` where there is none."""
    rows = {row.province: row for row in _ROUTES.rows(connection, {"of_move": _move(within), "at": at})}
    found = {}
    for province in provinces:
        row = rows.get(province) or rows.get(EVERYWHERE)
        if row is None or row.version_id is None:
            raise NoneInForce
        found[province] = Route(
            Rule(row.province, row.move, row.regime, row.basis, row.reason),
            Regime(row.regime, row.name, row.name_en, row.closed_from, row.closed_until),
            load(connection, row.version_id),
        )
    return found


_ROUTES = Prepared(
    sa.select(
        regime_rule,
        *regime.c["name", "name_en", "closed_from", "closed_until"],
        NEWEST.where(
            procedure_version.c.regime == regime_rule.c.regime, procedure_version.c.kind == TRANSFER
        ).scalar_subquery().label("version_id"),
    )
    .join(regime, regime.c.key == regime_rule.c.regime)
    .where(regime_rule.c.move == sa.bindparam("of_move"))
)  # fmt: skip


def _move(within: bool) -> str:
    return "within" if within else "across"


def serving(connection: Connection, division_code: str | None, kind: str, *, at: datetime) -> list[Version]:
    """The versions under which a side in this division would start now, those of moves across provinces first.

    The ministry stands in no division; the general rules are its own. None where nothing is in force, since whoever
    asks wants to show what there is.
    """
    province = divisions.province_of(division_code) if division_code else EVERYWHERE
    rows = _SERVING.rows(connection, {"in_province": province, "of_kind": kind, "at": at})
    newest = {(row.province, row.move): row.id for row in rows}
    chosen = (newest.get((province, move), newest.get((EVERYWHERE, move))) for move in ("across", "within"))
    return [load(connection, version_id) for version_id in dict.fromkeys(chosen) if version_id is not None]


_SERVING = Prepared(
    sa.select(regime_rule.c.province, regime_rule.c.move, procedure_version.c.id)
    .join(procedure_version, regime_rule.c.regime == procedure_version.c.regime)
    .where(
        regime_rule.c.province.in_([sa.bindparam("in_province"), EVERYWHERE]),
        procedure_version.c.kind == sa.bindparam("of_kind"),
        procedure_version.c.state == "deployed",
        procedure_version.c.effective_from <= sa.bindparam("at"),
    )
    .order_by(procedure_version.c.effective_from, procedure_version.c.number)
)


def plain_serving(connection: Connection, division_code: str | None, *, at: datetime) -> list[Version]:
    """The plain procedures that a case in this division may be started under now, by their names."""
    kinds = sa.select(procedure_version.c.kind).where(procedure_version.c.kind != TRANSFER).distinct()
    found = (serving(connection, division_code, kind, at=at) for kind in sorted(connection.scalars(kinds)))
    return [versions[0] for versions in found if versions]


def set_rule(
    connection: Connection,
    actor: Actor,
    province: str,
    move: str,
    regime_key: str,
    reason: str,
    *,
    basis: str = "inferred",
    at: datetime,
) -> None:
    """Let a province's side of a transfer run under another regime from now on. What runs is not changed.

    Without a document that says so it is somebody's decision, and its basis `inferred`. Raises `Invalid`.
    """
    require(actor, "administer_deployment")
    if not _is_place(province) or move not in MOVES:
        raise NotFound
    refuse(
        regime=N_("Choose a regime.") if regime_key not in regimes(connection) else "",
        basis=N_("Choose one of the values given.") if basis not in BASES else "",
        reason=bad_text(reason, 300) or ("" if reason.strip() else N_("This is required.")),
    )
    before = _take_out(connection, province, move)
    connection.execute(
        regime_rule.insert(),
        {"province": province, "move": move, "regime": regime_key, "basis": basis, "reason": reason.strip()},
    )
    audit.record(
        connection, actor, "regime_rule.set", "regime_rule", None, at=at,
        before={"province": province, "move": move, "regime": before},
        after={"province": province, "move": move, "regime": regime_key, "basis": basis},
    )  # fmt: skip


def remove_rule(connection: Connection, actor: Actor, province: str, move: str, *, at: datetime) -> None:
    """Let a province fall back to the general rule. Raises `Invalid` for the general rule itself."""
    require(actor, "administer_deployment")
    if province == EVERYWHERE:
        raise Invalid(N_("The general rule can be changed, but not removed."))
    before = _take_out(connection, province, move)
    if before is None:
        raise NotFound
    audit.record(
        connection, actor, "regime_rule.removed", "regime_rule", None, at=at,
        before={"province": province, "move": move, "regime": before},
    )  # fmt: skip


def _take_out(connection: Connection, province: str, move: str) -> str | None:
    """Delete a rule. Answers its regime, None where there was none."""
    here = (regime_rule.c.province == province) & (regime_rule.c.move == move)
    before = connection.scalar(sa.select(regime_rule.c.regime).where(here))
    connection.execute(regime_rule.delete().where(here))
    return before


def _is_place(province: str) -> bool:
    return province == EVERYWHERE or province in {division.code for division in divisions.children()}


def set_window(
    connection: Connection,
    actor: Actor,
    regime_key: str,
    closed_from: str | None,
    closed_until: str | None,
    *,
    at: datetime,
) -> None:
    """Close a regime for new applications each year from one day to another (MM-DD), or never.

    Raises `Invalid` for what is no day of the year, or for one without the other.
    """
    require(actor, "administer_deployment")
    before = regimes(connection).get(regime_key)
    if before is None:
        raise NotFound
    closed_from, closed_until = closed_from or None, closed_until or None
    days = {"closed_from": closed_from, "closed_until": closed_until}
    refuse(
        **{name: N_("Write a day of the year like 07-15.") for name, day in days.items() if day and not _is_day(day)}
    )
    if (closed_from is None) != (closed_until is None):
        raise Invalid(N_("Give both days, or neither."))
    connection.execute(regime.update().where(regime.c.key == regime_key).values(days))
    audit.record(
        connection, actor, "regime.window_set", "regime", None, at=at,
        before={"regime": regime_key, "closed": [before.closed_from, before.closed_until]},
        after={"regime": regime_key, "closed": [closed_from, closed_until]},
    )  # fmt: skip


def _is_day(text: str) -> bool:
    try:
        # A leap year, so that 02-29 is a day.
        return f"{date.fromisoformat(f'2024-{text}'):%m-%d}" == text
    except ValueError:
        return False
