"""Cases of plain procedures: those without two sides, run by the organisation that starts them."""

from __future__ import annotations

from datetime import datetime

from flask import Blueprint, url_for
from pydantic import Field
from sqlalchemy.engine import Connection

from engine import cases, inbox
from engine.errors import Invalid
from engine.procedures import Version
from web.api.endpoints import is_last, reads, writes
from web.api.inbox import Completed, TaskRow, rows
from web.api.shapes import Form, Holder, Line, Sent, Shape, Values
from web.context import current_actor, now

blueprint = Blueprint("cases", __name__)


class Startable(Shape):
    """A procedure of which a case can be started, with the form of its start event."""

    kind: str
    regime: str
    procedure_version: int
    number: int
    form: Form

    @classmethod
    def of(cls, version: Version) -> Startable:
        start = version.pool(None).start
        assert start is not None
        return cls(
            kind=version.kind,
            regime=version.regime,
            procedure_version=version.id,
            number=version.number,
            form=Form.of((start,)),
        )


class CaseShape(Shape):
    """Where a case stands."""

    id: int
    kind: str
    """transfer, or the name of a plain procedure"""
    state: str
    """open or ended"""
    outcome: str | None
    """completed, refused or withdrawn; null while it is open"""
    revision: int
    started_at: datetime
    ended_at: datetime | None
    holders: list[Holder]
    """Who has it now."""


class Starting(Sent):
    kind: Line
    """Which procedure."""
    values: Values = Field(default_factory=dict)
    """What the form of its start event asks."""


@blueprint.get("/cases/startable")
@reads(requires="work")
def startable(connection: Connection) -> list[Startable]:
    """The plain procedures in force in the own province, with the forms by which they start."""
    return [Startable.of(version) for version in cases.startable(connection, current_actor(), at=now())]


@blueprint.post("/cases")
@writes(status=201, requires="work", raises=(Invalid,))
def start(connection: Connection, body: Starting) -> tuple[Completed, str]:
    """Start a case of a plain procedure; the own organisation is its owner."""
    actor = current_actor()
    version = cases.startable_as(connection, actor, body.kind, at=now())
    case_id = cases.start_plain(connection, actor, version, body.values, at=now())
    became = inbox.completion(connection, case_id, last=is_last())
    return Completed.of(became, actor), url_for(".case", case_id=case_id)


@blueprint.get("/cases/<id:case_id>")
@reads()
def case(connection: Connection, case_id: int) -> CaseShape:
    """Where a case stands, and who has it."""
    found = cases.get(connection, current_actor(), case_id)
    holders = inbox.completion(connection, case_id).holders
    return CaseShape(**vars(found), holders=[Holder.of(holder) for holder in holders])


@blueprint.get("/cases/<id:case_id>/tasks")
@reads(requires="work")
def tasks(connection: Connection, case_id: int) -> list[TaskRow]:
    """What of a case waits for this membership; nothing where nothing does."""
    actor = current_actor()
    return rows(connection, actor, inbox.waiting_of(connection, actor, case_id))
