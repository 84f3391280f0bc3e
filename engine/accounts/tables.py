"""The tables of people, their memberships, their sessions and the tokens of their programs."""

from __future__ import annotations

import sqlalchemy as sa

import engine.registry.tables  # noqa: F401 - the foreign keys below point there
from engine.db import UtcDateTime, metadata

person = sa.Table(
    "person",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    # Kept in lower case, so that it is found however it is typed.
    sa.Column("login", sa.String(60), nullable=False, unique=True),
    sa.Column("name", sa.String(60), nullable=False),
    # Argon2, with its own salt and costs. Empty: nobody logs in by password yet.
    sa.Column("password_hash", sa.String(200)),
    # Set by an administrator, so the person chooses another one before anything else.
    sa.Column("password_temporary", sa.Boolean, nullable=False, default=False),
    # Wrong passwords in a row; back to 0 with the right one.
    sa.Column("failures", sa.Integer, nullable=False, default=0),
    sa.Column("locked_until", UtcDateTime),
    # zh_Hans_CN or en; empty until the person has chosen.
    sa.Column("locale", sa.String(20)),
    # Off: kept for the history, and no way in.
    sa.Column("active", sa.Boolean, nullable=False, default=True),
    # Entered by one click where the deployment is a demonstration, and nowhere else.
    sa.Column("demo", sa.Boolean, nullable=False, default=False),
)

membership = sa.Table(
    "membership",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("person_id", sa.ForeignKey("person.id"), nullable=False),
    sa.Column("organisation_id", sa.ForeignKey("organisation.id"), nullable=False),
    sa.Column("duty", sa.String(20), nullable=False),
    sa.UniqueConstraint("person_id", "organisation_id", "duty"),
    sa.Index("ix_membership_organisation_id_duty", "organisation_id", "duty"),
)

login_session = sa.Table(
    "login_session",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    # SHA-256 of the token: who reads the database can not act as anybody.
    sa.Column("token_hash", sa.LargeBinary(32), nullable=False, unique=True),
    sa.Column("person_id", sa.ForeignKey("person.id"), nullable=False),
    # The membership acted in; a switch changes it.
    sa.Column("membership_id", sa.ForeignKey("membership.id", ondelete="CASCADE"), nullable=False),
    sa.Column("created_at", UtcDateTime, nullable=False),
    sa.Column("last_seen_at", UtcDateTime, nullable=False),
    # The earlier of both limits, hours since the login and minutes since the last request; written with `last_seen_at`.
    sa.Column("ends_at", UtcDateTime, nullable=False),
    sa.Column("revoked_at", UtcDateTime),
    sa.Index("ix_login_session_person_id", "person_id"),
)

api_token = sa.Table(
    "api_token",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    # SHA-256 of the token, as for sessions.
    sa.Column("token_hash", sa.LargeBinary(32), nullable=False, unique=True),
    sa.Column("person_id", sa.ForeignKey("person.id"), nullable=False),
    # The one membership that its programs act in, chosen when it is made.
    sa.Column("membership_id", sa.ForeignKey("membership.id", ondelete="CASCADE"), nullable=False),
    # What its owner calls it: the program or machine that has it.
    sa.Column("name", sa.String(60), nullable=False),
    sa.Column("created_at", UtcDateTime, nullable=False),
    sa.Column("ends_at", UtcDateTime, nullable=False),
    # To the minute; empty until it is used.
    sa.Column("last_used_at", UtcDateTime),
    sa.Column("revoked_at", UtcDateTime),
    sa.Index("ix_api_token_person_id", "person_id"),
)
