"""Who may do what, and where: one rule gives both the yes/no answer and the filter of a list."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import sqlalchemy as sa

from engine.audit import SYSTEM, Actor
from engine.errors import Forbidden
from engine.registry.tables import organisation_ancestor

# What a membership is held for. `reviewer` is the 审核人员 of the national procedure.
DUTIES = ("operator", "reviewer", "administrator", "policy_editor", "auditor")


def _one_of(*duties: str) -> Callable[[Actor], bool]:
    return lambda actor: actor.duty in duties


CAPABILITIES: dict[str, Callable[[Actor], bool]] = {
    "start_transfer": lambda actor: actor.is_school and actor.duty == "operator",
    "work": _one_of("operator", "reviewer"),
    "query": _one_of(*DUTIES),
    "administer": _one_of("administrator"),
    # What holds for the whole deployment: the calendar, the table of regimes, background work that was set aside.
    "administer_deployment": lambda actor: actor.organisation_level == "ministry" and actor.duty == "administrator",
    "edit_procedures": _one_of("policy_editor"),
    "audit": _one_of("auditor"),
}


def may(actor: Actor, capability: str) -> bool:
    """Whether the actor's duty allows it at all; the system may do all. Where, is `jurisdiction`'s to say."""
    return actor == SYSTEM or CAPABILITIES[capability](actor)


def require(actor: Actor, capability: str) -> None:
    """Raises `Forbidden` unless `may`."""
    if not may(actor, capability):
        raise Forbidden()


def jurisdiction(actor: Actor, column: sa.ColumnElement[Any]) -> sa.ColumnElement[bool]:
    """The condition that `column`, an organisation's id, is the actor's organisation or lies below it."""
    below = sa.select(organisation_ancestor.c.descendant_id).where(
        organisation_ancestor.c.ancestor_id == actor.organisation_id
    )
    return column.in_(below)
