"""The exchange contract: what the two pools of a case say to each other, kept, delivered once, and shown in time.

A message for a pool that does not wait for it yet is kept until it does; one that a finished pool gets is recorded.
Later the same rows travel between two deployments: each message carries an id of its own.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from engine.bpmn.catalogue import MESSAGES
from engine.db import UtcDateTime, metadata
from engine.errors import N_, Invalid
from engine.prepared import Prepared, Write

message = sa.Table(
    "message",
    metadata,
    sa.Column("id", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True),
    # The message's own id, wherever it travels.
    sa.Column("uid", sa.String(32), nullable=False, unique=True),
    sa.Column("case_id", sa.Integer, nullable=False),
    sa.Column("name", sa.String(30), nullable=False),
    # The side that gets it: receiving or releasing.
    sa.Column("to_side", sa.String(10), nullable=False),
    # The party in whose lane it was sent.
    sa.Column("sender", sa.String(20), nullable=False),
    # What the contract lets it carry; the reason and the opinion may be personal, so it never leaves the case.
    sa.Column("payload", sa.JSON, nullable=False),
    sa.Column("sent_at", UtcDateTime, nullable=False),
    # waiting: its pool does not await it yet. delivered. recorded: its pool had finished.
    sa.Column("state", sa.String(10), nullable=False),
    sa.Column("arrived_at", UtcDateTime),
    sa.Index("ix_message_case_id", "case_id"),
)


class UnknownMessage(Invalid):
    code = "unknown_message"
    message = N_("“%(name)s” is no message of the exchange contract.")


@dataclass
class Message:
    """One message of a case."""

    # None before it is written.
    id: int | None
    name: str
    to_side: str
    sender: str
    payload: dict[str, Any]
    sent_at: datetime
    state: str
    arrived_at: datetime | None

    def arrive(self, state: str, at: datetime) -> None:
        """It is `delivered`, or `recorded` where nobody waits for it."""
        self.state, self.arrived_at = state, at


def new(name: str, sender: str, payload: dict[str, Any], *, at: datetime) -> Message:
    """A message that its side has not had yet. Raises `UnknownMessage`."""
    contract = MESSAGES.get(name)
    if contract is None:
        raise UnknownMessage(name=name)
    to_side = "releasing" if contract.sender == "receiving" else "receiving"
    return Message(None, name, to_side, sender, payload, at, "waiting", None)


def written(item: Message, case_id: int) -> Write:
    """A message of a case as what is to be written: a new row, or what has become of one."""
    arrived = {"state": item.state, "arrived_at": item.arrived_at}
    if item.id is not None:
        return _MARK, {"of_message": item.id} | arrived
    sent = {
        "uid": uuid.uuid4().hex, "case_id": case_id, "name": item.name, "sender": item.sender,
        "payload": item.payload, "sent_at": item.sent_at, "to_side": item.to_side,
    }  # fmt: skip
    return _NEW_MESSAGE, sent | arrived


def waiting(connection: Connection, case_id: int) -> list[Message]:
    """The messages that their side has not had yet, in the order in which they were sent."""
    return [Message(*row) for row in _WAITING.rows(connection, {"of_case": case_id})]


def of_case(connection: Connection, case_id: int) -> list[Message]:
    """All messages of a case, in time."""
    return [Message(*row) for row in _OF_CASE.rows(connection, {"of_case": case_id})]


_of_case = (
    sa.select(*message.c[("id", "name", "to_side", "sender", "payload", "sent_at", "state", "arrived_at")])
    .where(message.c.case_id == sa.bindparam("of_case"))
    .order_by(message.c.id)
)
_OF_CASE = Prepared(_of_case)
_WAITING = Prepared(_of_case.where(message.c.state == "waiting"))
_NEW_MESSAGE = Prepared(message.insert())
_MARK = Prepared(message.update().where(message.c.id == sa.bindparam("of_message")))
