"""Who did what, when, in which duty, to what: written in the transaction of the deed itself, and never changed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from engine.db import UtcDateTime, metadata
from engine.prepared import Prepared


@dataclass(frozen=True)
class Actor:
    """Somebody acting in one membership. Operations take it as an argument; nobody reads it from a request."""

    person_id: int | None
    person_name: str
    membership_id: int | None
    organisation_id: int | None
    organisation_name: str
    organisation_level: str  # ministry, province, prefecture, county, school; "" for the system
    division_code: str | None  # where the organisation stands; the ministry and the system stand in no division
    duty: str  # operator, reviewer, administrator, policy_editor, auditor; "system"

    @property
    def is_school(self) -> bool:
        return self.organisation_level == "school"


# What happens without a person: deadlines, deliveries, the first start.
SYSTEM = Actor(None, "", None, None, "", "", None, "system")

audit_entry = sa.Table(
    "audit_entry",
    metadata,
    sa.Column("id", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True),
    sa.Column("at", UtcDateTime, nullable=False),
    # Nobody for the system. No foreign key: an entry outlives whatever it speaks of.
    sa.Column("person_id", sa.Integer),
    sa.Column("organisation_id", sa.Integer),
    sa.Column("duty", sa.String(20), nullable=False),
    # A noun and a verb, for example `task.completed`, `student.viewed`.
    sa.Column("action", sa.String(60), nullable=False),
    sa.Column("subject_kind", sa.String(30), nullable=False),
    sa.Column("subject_id", sa.BigInteger),
    # The case that it belongs to, if any, so that a case's page finds all of its entries.
    sa.Column("case_id", sa.Integer),
    # Ids, codes and states; never names or numbers of children.
    sa.Column("before", sa.JSON),
    sa.Column("after", sa.JSON),
    sa.Index("ix_audit_entry_at", "at"),
    sa.Index("ix_audit_entry_case_id", "case_id"),
    sa.Index("ix_audit_entry_person_id_at", "person_id", "at"),
    sa.Index("ix_audit_entry_organisation_id_at", "organisation_id", "at"),
)


NEW_ENTRY = Prepared(audit_entry.insert())


def entry(
    actor: Actor,
    action: str,
    subject_kind: str,
    subject_id: int | None,
    *,
    at: datetime,
    case_id: int | None = None,
    before: Any = None,
    after: Any = None,
) -> dict[str, Any]:
    """One entry as a row. The values of `before` and `after` must be free of personal data."""
    return {
        "at": at,
        "person_id": actor.person_id,
        "organisation_id": actor.organisation_id,
        "duty": actor.duty,
        "action": action,
        "subject_kind": subject_kind,
        "subject_id": subject_id,
        "case_id": case_id,
        "before": before,
        "after": after,
    }


def record(
    connection: Connection,
    actor: Actor,
    action: str,
    subject_kind: str,
    subject_id: int | None,
    *,
    at: datetime,
    case_id: int | None = None,
    before: Any = None,
    after: Any = None,
) -> None:
    """Write one entry, as `entry` has it."""
    row = entry(actor, action, subject_kind, subject_id, at=at, case_id=case_id, before=before, after=after)
    NEW_ENTRY.run(connection, row)
