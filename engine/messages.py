"""The exchange contract: what the two pools of a case say to each other, kept, delivered once, and shown in time.

A message for a pool that does not wait for it yet is kept until it does; one that a finished pool gets is recorded.
Later the same rows travel between two deployments: a message carries its own id, and a second arrival changes nothing.
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
from engine.prepared import Prepared

message = sa.Table(
    "message",
    metadata,
    sa.Column("id", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True),
    # The message's own id, by which a second delivery is known.
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


@dataclass(frozen=True)
class Message:
    """One message of a case."""

    id: int
    name: str
    to_side: str
    sender: str
    payload: dict[str, Any]
    sent_at: datetime
    state: str
    arrived_at: datetime | None


def send(
    connection: Connection, case_id: int, name: str, sender: str, payload: dict[str, Any], *, at: datetime,
    uid: str | None = None,
) -> bool:  # fmt: skip
    """Keep a message for its side. False when it has been here before. Raises `UnknownMessage`."""
    contract = MESSAGES.get(name)
    if contract is None:
        raise UnknownMessage(name=name)
    if uid is not None and connection.scalar(sa.select(message.c.id).where(message.c.uid == uid)) is not None:
        return False
    _NEW_MESSAGE.run(
        connection,
        {
            "uid": uid or uuid.uuid4().hex, "case_id": case_id, "name": name, "sender": sender, "payload": payload,
            "sent_at": at, "to_side": "releasing" if contract.sender == "receiving" else "receiving",
            "state": "waiting",
        },
    )  # fmt: skip
    return True


def waiting(connection: Connection, case_id: int) -> list[Message]:
    """The messages that their side has not had yet, in the order in which they were sent."""
    return [Message(*row) for row in _WAITING.rows(connection, {"of_case": case_id})]


def of_case(connection: Connection, case_id: int) -> list[Message]:
    """All messages of a case, in time."""
    return [Message(*row) for row in _OF_CASE.rows(connection, {"of_case": case_id})]


def mark(connection: Connection, message_id: int, state: str, *, at: datetime) -> None:
    """Say that a message was delivered or recorded."""
    _MARK.run(connection, {"of_message": message_id, "state": state, "arrived_at": at})


_of_case = (
    sa.select(*message.c[("id", "name", "to_side", "sender", "payload", "sent_at", "state", "arrived_at")])
    .where(message.c.case_id == sa.bindparam("of_case"))
    .order_by(message.c.id)
)
_OF_CASE = Prepared(_of_case)
_WAITING = Prepared(_of_case.where(message.c.state == "waiting"))
_NEW_MESSAGE = Prepared(message.insert())
_MARK = Prepared(message.update().where(message.c.id == sa.bindparam("of_message")))
