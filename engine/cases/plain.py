"""Cases of plain procedures: one pool, one party, started by the form of its start event."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy.engine import Connection

from engine import procedures
from engine.audit import Actor
from engine.bpmn import forms
from engine.bpmn.graph import OWNER
from engine.cases.locked import create
from engine.errors import N_, NotFound
from engine.permissions import require
from engine.procedures import Version


def startable(connection: Connection, actor: Actor, *, at: datetime) -> list[Version]:
    """The plain procedures of which the actor's organisation may start a case: those in force in its province."""
    require(actor, "work")
    return procedures.plain_serving(connection, actor.division_code, at=at)


def startable_as(connection: Connection, actor: Actor, kind: str, *, at: datetime) -> Version:
    """The one of this name among them. Raises `NotFound`."""
    require(actor, "work")
    found = procedures.serving(connection, actor.division_code, kind, at=at)
    if not found or kind == procedures.TRANSFER:
        raise NotFound(N_("There is no such procedure in force for your organisation."))
    return found[0]


def start_plain(
    connection: Connection, actor: Actor, version: Version, values: Mapping[str, Any], *, at: datetime
) -> int:
    """Start a case of a plain procedure; its one party is the organisation that starts it. Answers the case's id.

    Raises `Forbidden` for who does not work on cases, `Invalid` for values that the start event's form refuses.
    """
    require(actor, "work")
    pool = version.pool(None)
    assert pool.start is not None
    assert actor.organisation_id is not None
    checked = forms.check(pool.start.form, values)
    locked = create(connection, actor, version.kind, {None: version}, {OWNER: actor.organisation_id}, at=at)
    locked.open_to(actor.organisation_id)
    locked.start(None, forms.process_variables(pool.start.form, checked))
    locked.note("case.started", {"kind": version.kind, "version": version.id})
    locked.save()
    return locked.id
