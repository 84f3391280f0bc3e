"""Requests that may arrive twice: whoever sent one names it by a key, and a second arrival gets the first one's answer.

The key is taken and the answer kept in the transaction of the deed itself, so there is never one without the other. Of
a request that failed nothing is kept, and it may be tried again under the same key.
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Connection

from engine.audit import Actor
from engine.db import UtcDateTime, metadata
from engine.errors import N_, XuejiError

idempotency_key = sa.Table(
    "idempotency_key",
    metadata,
    sa.Column("id", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True),
    # Whose key it is; to anybody else it means nothing. No foreign key: it is thrown away in days.
    sa.Column("person_id", sa.Integer, nullable=False),
    # SHA-256: programs put all kinds of things into their keys.
    sa.Column("key_hash", sa.LargeBinary(32), nullable=False),
    # Of what was asked; keyed by the key, so that nothing can be guessed from it.
    sa.Column("request_hash", sa.LargeBinary(32), nullable=False),
    # What was answered. Empty for nobody to see, since the transaction that takes the key fills them in.
    sa.Column("status", sa.SmallInteger),
    sa.Column("body", sa.LargeBinary),
    sa.Column("location", sa.String(200)),
    sa.Column("created_at", UtcDateTime, nullable=False, index=True),
    sa.UniqueConstraint("person_id", "key_hash"),
)

KEPT_FOR = timedelta(days=2)


class KeyReused(XuejiError):
    """One key for two different requests: a mistake of the program, which would lose the second one."""

    status = 422
    code = "idempotency_key_reused"
    message = N_("This idempotency key has been used for another request.")
    remedy = N_("Make a new key for each request, and send the same one only with the same request.")


@dataclass(frozen=True)
class Answer:
    """What a request was answered."""

    status: int
    body: bytes
    location: str | None


@dataclass(frozen=True)
class Request:
    """What was asked, under which key."""

    key: str
    content: bytes

    @property
    def key_hash(self) -> bytes:
        return hashlib.sha256(self.key.encode()).digest()

    @property
    def hash(self) -> bytes:
        return hmac.digest(self.key.encode(), self.content, "sha256")


def answered(connection: Connection, actor: Actor, request: Request) -> Answer | None:
    """What this request was answered before; None for a new one. Raises `KeyReused`."""
    columns = idempotency_key.c
    row = connection.execute(
        sa.select(columns.request_hash, columns.status, columns.body, columns.location).where(*_own(actor, request))
    ).one_or_none()
    if row is None:
        return None
    if row.request_hash != request.hash:
        raise KeyReused
    return Answer(row.status, row.body, row.location)


def take(connection: Connection, actor: Actor, request: Request, *, at: datetime) -> Answer | None:
    """Take the key for this transaction, or return what the request was answered before. Raises `KeyReused`.

    Of two at once the second waits for the first one's end.
    """
    insert = sqlite.insert if connection.dialect.name == "sqlite" else postgresql.insert
    row = {"person_id": actor.person_id, "key_hash": request.key_hash, "request_hash": request.hash, "created_at": at}
    taken = insert(idempotency_key).on_conflict_do_nothing().returning(idempotency_key.c.id)
    if connection.scalar(taken, row) is not None:
        return None
    return answered(connection, actor, request)


def keep(connection: Connection, actor: Actor, request: Request, answer: Answer) -> None:
    """Keep the answer beside the key that this transaction has taken."""
    values = {"status": answer.status, "body": answer.body, "location": answer.location}
    connection.execute(idempotency_key.update().where(*_own(actor, request)).values(values))


def forget_old(connection: Connection, *, at: datetime) -> None:
    """Throw away what is older than `KEPT_FOR`."""
    connection.execute(idempotency_key.delete().where(idempotency_key.c.created_at < at - KEPT_FOR))


def _own(actor: Actor, request: Request) -> tuple[sa.ColumnElement[bool], ...]:
    columns = idempotency_key.c
    return columns.person_id == actor.person_id, columns.key_hash == request.key_hash
