"""The tables of a case: itself, its instances, who may see it, its tasks, deadlines, incidents and notices."""

from __future__ import annotations

import sqlalchemy as sa

from engine.db import UtcDateTime, metadata

_BigId = sa.BigInteger().with_variant(sa.Integer, "sqlite")

case = sa.Table(
    "case",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    # transfer, or the name of a plain procedure.
    sa.Column("kind", sa.String(40), nullable=False),
    # open, ended.
    sa.Column("state", sa.String(10), nullable=False),
    # completed, refused, withdrawn; empty while it is open.
    sa.Column("outcome", sa.String(10)),
    # Who is which party, fixed on the day the case started: {party: organisation id}.
    sa.Column("parties", sa.JSON, nullable=False),
    sa.Column("started_by", sa.Integer),
    sa.Column("started_at", UtcDateTime, nullable=False),
    sa.Column("ended_at", UtcDateTime),
)

instance = sa.Table(
    "instance",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("case_id", sa.ForeignKey("case.id"), nullable=False),
    # receiving, releasing; empty for a plain pool.
    sa.Column("side", sa.String(10)),
    # The version this pool was started under; only a migration changes it.
    sa.Column("version_id", sa.ForeignKey("procedure_version.id"), nullable=False),
    # SpiffWorkflow's tasks alone, as `bpmn.runtime` writes them; empty before the pool has started.
    sa.Column("state", sa.LargeBinary, nullable=False),
    # Rises with every change of the state.
    sa.Column("revision", sa.Integer, nullable=False),
    sa.Column("ended", sa.Boolean, nullable=False, default=False),
    sa.Column("outcome", sa.String(10)),
    sa.Index("ix_instance_case_id", "case_id"),
    sa.Index("ix_instance_version_id", "version_id"),
)

# Every organisation that may see a case: its parties, and all that stand above them.
case_scope = sa.Table(
    "case_scope",
    metadata,
    sa.Column("organisation_id", sa.ForeignKey("organisation.id"), primary_key=True),
    sa.Column("case_id", sa.ForeignKey("case.id"), primary_key=True),
    # On which side it stands; a superior of both stands on both.
    sa.Column("receiving", sa.Boolean, nullable=False),
    sa.Column("releasing", sa.Boolean, nullable=False),
    # Where the case stands, as its kind calls it: open, then its outcome; a transfer's own states. Repeated in each of
    # its rows, so that a list by state is one index, however many cases an organisation has.
    sa.Column("state", sa.String(10), nullable=False, default="open"),
    sa.Index("ix_case_scope_case_id", "case_id"),
    sa.Index(
        "ix_case_scope_organisation_id_state_case_id",
        "organisation_id",
        "state",
        "case_id",
        postgresql_include=["receiving", "releasing"],
    ),
)

task = sa.Table(
    "task",
    metadata,
    sa.Column("id", _BigId, primary_key=True),
    sa.Column("case_id", sa.ForeignKey("case.id"), nullable=False),
    sa.Column("instance_id", sa.ForeignKey("instance.id"), nullable=False),
    # Its id in the instance's saved state.
    sa.Column("key", sa.Integer, nullable=False),
    # The element's id in the version's diagram, and what the inbox sorts by.
    sa.Column("version_id", sa.ForeignKey("procedure_version.id"), nullable=False),
    sa.Column("side", sa.String(10)),
    sa.Column("node", sa.String(100), nullable=False),
    sa.Column("menu", sa.String(100), nullable=False),
    # Who it is for.
    sa.Column("party", sa.String(20), nullable=False),
    sa.Column("organisation_id", sa.ForeignKey("organisation.id"), nullable=False),
    sa.Column("duty", sa.String(20), nullable=False),
    # open, done, cancelled.
    sa.Column("state", sa.String(10), nullable=False),
    sa.Column("opened_at", UtcDateTime, nullable=False),
    sa.Column("due_at", UtcDateTime),
    # Some day counted towards it lies in a year whose holidays are not published yet.
    sa.Column("due_provisional", sa.Boolean, nullable=False, default=False),
    sa.Column("closed_at", UtcDateTime),
    sa.Column("person_id", sa.Integer),
    # What was entered, by field id; may be personal, so it never leaves this row.
    sa.Column("values", sa.JSON(none_as_null=True)),
    # Of the values, what a decision is known by.
    sa.Column("result", sa.String(10)),
    sa.Column("opinion", sa.Text),
    sa.UniqueConstraint("instance_id", "key"),
    sa.Index("ix_task_case_id", "case_id"),
    sa.Index("ix_task_person_id_closed_at", "person_id", "closed_at"),
    sa.Index(
        "ix_task_open",
        "organisation_id",
        "duty",
        "due_at",
        postgresql_where=sa.text("state = 'open'"),
        sqlite_where=sa.text("state = 'open'"),
    ),
    # Who has which case, and which are late, in the order of the cases: what a query of a whole country goes along.
    sa.Index(
        "ix_task_open_case_id",
        "case_id",
        "party",
        "organisation_id",
        "due_at",
        postgresql_where=sa.text("state = 'open'"),
        sqlite_where=sa.text("state = 'open'"),
    ),
)

deadline = sa.Table(
    "deadline",
    metadata,
    sa.Column("id", _BigId, primary_key=True),
    sa.Column("case_id", sa.ForeignKey("case.id"), nullable=False),
    sa.Column("instance_id", sa.ForeignKey("instance.id"), nullable=False),
    # The waiting timer: its key in the saved state and its element.
    sa.Column("key", sa.Integer, nullable=False),
    sa.Column("node", sa.String(100), nullable=False),
    # What it is counted from, so that a changed calendar can be applied again: a day, then days, then a shift.
    sa.Column("counted_from", UtcDateTime, nullable=False),
    sa.Column("workdays", sa.Integer, nullable=False),
    sa.Column("shift", sa.Integer, nullable=False),
    sa.Column("at", UtcDateTime, nullable=False),
    # pending, fired, cancelled.
    sa.Column("state", sa.String(10), nullable=False),
    sa.Column("fired_at", UtcDateTime),
    sa.Index("ix_deadline_instance_id", "instance_id"),
    sa.Index(
        "ix_deadline_pending",
        "at",
        postgresql_where=sa.text("state = 'pending'"),
        sqlite_where=sa.text("state = 'pending'"),
    ),
)

# The code of an incident that a task makes whose duty nobody holds.
UNSTAFFED = "unstaffed"

incident = sa.Table(
    "incident",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("case_id", sa.ForeignKey("case.id"), nullable=False),
    sa.Column("instance_id", sa.ForeignKey("instance.id"), nullable=False),
    sa.Column("node", sa.String(100), nullable=False),
    sa.Column("code", sa.String(40), nullable=False),
    # In words, filled from the values and translated where they are shown: what happened, and what to do about it.
    sa.Column("message", sa.String(500), nullable=False),
    sa.Column("remedy", sa.String(500), nullable=False),
    sa.Column("values", sa.JSON, nullable=False),
    sa.Column("opened_at", UtcDateTime, nullable=False),
    sa.Column("attempts", sa.Integer, nullable=False),
    sa.Column("resolved_at", UtcDateTime),
    sa.Index("ix_incident_case_id", "case_id"),
)

# What an organisation is told without having to do anything.
notice = sa.Table(
    "notice",
    metadata,
    sa.Column("id", _BigId, primary_key=True),
    sa.Column("organisation_id", sa.ForeignKey("organisation.id"), nullable=False),
    sa.Column("case_id", sa.ForeignKey("case.id"), nullable=False),
    # A message's name, `due_soon`, `overdue`, `refused`, `withdrawn` …; its words are the page's.
    sa.Column("kind", sa.String(40), nullable=False),
    sa.Column("values", sa.JSON, nullable=False),
    sa.Column("at", UtcDateTime, nullable=False),
    sa.Column("read_at", UtcDateTime),
    sa.Index("ix_notice_organisation_id_at", "organisation_id", "at"),
    # For the number on every page; most notices have been read.
    sa.Index(
        "ix_notice_unread",
        "organisation_id",
        postgresql_where=sa.text("read_at IS NULL"),
        sqlite_where=sa.text("read_at IS NULL"),
    ),
    sa.Index("ix_notice_case_id", "case_id"),
)
