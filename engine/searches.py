"""Searches that hold names or numbers: kept here under an opaque token, so that no address ever holds them."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from engine.audit import Actor
from engine.db import UtcDateTime, metadata
from engine.errors import N_, NotFound

saved_search = sa.Table(
    "saved_search",
    metadata,
    sa.Column("token", sa.String(22), primary_key=True),
    # Its author; to anybody else the token means nothing. No foreign key: a search is thrown away in days.
    sa.Column("person_id", sa.Integer, nullable=False),
    # The list that it filters: query, accounts, …
    sa.Column("kind", sa.String(20), nullable=False),
    sa.Column("values", sa.JSON, nullable=False),
    sa.Column("created_at", UtcDateTime, nullable=False, index=True),
)

KEPT_FOR = timedelta(days=7)


class SearchForgotten(NotFound):
    """Somebody else's search, or one of last week."""

    code = "search_forgotten"
    message = N_("This search is no longer kept.")
    remedy = N_("Enter it again.")


def keep(connection: Connection, actor: Actor, kind: str, values: Mapping[str, Any], *, at: datetime) -> str:
    """Keep what was searched for, and return the token that stands for it in an address."""
    token = secrets.token_urlsafe(16)
    connection.execute(
        saved_search.insert(),
        {"token": token, "person_id": actor.person_id, "kind": kind, "values": dict(values), "created_at": at},
    )
    return token


def kept(connection: Connection, actor: Actor, kind: str, token: str) -> dict[str, Any]:
    """What the actor searched for. Raises `SearchForgotten` for anybody else's token."""
    values: dict[str, Any] | None = connection.scalar(
        sa.select(saved_search.c["values"]).where(
            saved_search.c.token == token,
            saved_search.c.person_id == actor.person_id,
            saved_search.c.kind == kind,
        )
    )
    if values is None:
        raise SearchForgotten()
    return values


def forget_old(connection: Connection, *, at: datetime) -> None:
    """Throw away what is older than `KEPT_FOR`."""
    connection.execute(saved_search.delete().where(saved_search.c.created_at < at - KEPT_FOR))
