"""The tables of a transfer: the aggregate's own row, drafts of applications, and what was attached to them."""

from __future__ import annotations

import sqlalchemy as sa

from engine.bpmn.graph import SIDES
from engine.db import UtcDateTime, metadata

RECEIVING, RELEASING = SIDES

_BigId = sa.BigInteger().with_variant(sa.Integer, "sqlite")

transfer = sa.Table(
    "transfer",
    metadata,
    sa.Column("case_id", sa.ForeignKey("case.id"), primary_key=True, autoincrement=False),
    # What people call it by: ZX, the year, and the case's own number.
    sa.Column("number", sa.String(20), nullable=False, unique=True),
    sa.Column("student_id", sa.ForeignKey("student.id"), nullable=False),
    sa.Column("receiving_school_id", sa.ForeignKey("organisation.id"), nullable=False),
    sa.Column("releasing_school_id", sa.ForeignKey("organisation.id"), nullable=False),
    # The class that the student leaves, and the one in which a place is reserved.
    sa.Column("from_class_id", sa.ForeignKey("school_class.id"), nullable=False),
    sa.Column("to_class_id", sa.ForeignKey("school_class.id"), nullable=False),
    sa.Column("reason", sa.Text),
    sa.Column("changed_on", sa.Date),
    # within: both schools in one province; across: they lie in two.
    sa.Column("move", sa.String(10), nullable=False),
    # How sure it is that each side's document covers this move; `engine.procedures.Rule`.
    sa.Column("receiving_basis", sa.String(10), nullable=False),
    sa.Column("releasing_basis", sa.String(10), nullable=False),
    # The year in which the school year began: 2026 for 2026-2027.
    sa.Column("school_year", sa.Integer, nullable=False),
    sa.Column("started_at", UtcDateTime, nullable=False),
    # pending, retrieved (the record has moved, the paper file has not), completed, refused, withdrawn.
    sa.Column("state", sa.String(10), nullable=False),
    # A student is in one of these at a time; it ends when the record has moved, or the transfer otherwise.
    sa.Column("open", sa.Boolean, nullable=False, default=True),
    sa.Column("requested_at", UtcDateTime),
    sa.Column("retrieved_at", UtcDateTime),
    sa.Column("ended_at", UtcDateTime),
    # The seal of the electronic record that was retrieved.
    sa.Column("record_hash", sa.String(64)),
    # The codes of the checks that ended it, if any did.
    sa.Column("failed_checks", sa.JSON(none_as_null=True)),
    # Why the receiving school withdrew it.
    sa.Column("withdrawal_reason", sa.Text),
    sa.Index(
        "uq_transfer_open_student",
        "student_id",
        unique=True,
        postgresql_where=sa.text("open"),
        sqlite_where=sa.text("open"),
    ),
    sa.Index("ix_transfer_student_id", "student_id"),
    sa.Index("ix_transfer_school_year_case_id", "school_year", "case_id"),
    sa.Index("ix_transfer_receiving_school_id", "receiving_school_id"),
    sa.Index("ix_transfer_releasing_school_id", "releasing_school_id"),
)

application_draft = sa.Table(
    "application_draft",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    # The page's own name for it, given before the first saving, so that a repeated one is known.
    sa.Column("uid", sa.String(32), nullable=False, unique=True),
    # Who touched it last; it belongs to the school.
    sa.Column("person_id", sa.Integer, nullable=False),
    sa.Column("organisation_id", sa.ForeignKey("organisation.id"), nullable=False),
    # Where the student comes from: it decides which form is filled in.
    sa.Column("origin_province", sa.String(6), nullable=False),
    sa.Column("values", sa.JSON, nullable=False),
    # open, declined (the school does not accept the student, and no case arises), started.
    sa.Column("state", sa.String(10), nullable=False),
    # What it has become.
    sa.Column("case_id", sa.ForeignKey("case.id")),
    sa.Column("decline_reason", sa.Text),
    # Rises whenever it is saved; who must not overwrite a colleague's words names the one that was read.
    sa.Column("revision", sa.Integer, nullable=False, server_default="1"),
    sa.Column("saved_at", UtcDateTime, nullable=False),
    sa.Index("ix_application_draft_organisation_id", "organisation_id"),
)

attachment = sa.Table(
    "attachment",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    # By which a form refers to it; too long to be guessed.
    sa.Column("uid", sa.String(32), nullable=False, unique=True),
    # Empty until the application that it belongs to has become a case.
    sa.Column("case_id", sa.ForeignKey("case.id")),
    sa.Column("organisation_id", sa.ForeignKey("organisation.id"), nullable=False),
    sa.Column("person_id", sa.Integer, nullable=False),
    sa.Column("name", sa.String(200), nullable=False),
    sa.Column("media_type", sa.String(40), nullable=False),
    sa.Column("content", sa.LargeBinary, nullable=False),
    sa.Column("uploaded_at", UtcDateTime, nullable=False),
    sa.Index("ix_attachment_case_id", "case_id"),
)
