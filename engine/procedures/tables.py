"""Regimes, the rules that say which of them serves whom, and the versions of their procedures."""

from __future__ import annotations

import sqlalchemy as sa

from engine.db import UtcDateTime, metadata

# Which kind of case has two pools, one for each side.
TRANSFER = "transfer"
# The general rule's province, and the moves that rules speak of.
EVERYWHERE = "*"
MOVES = ("across", "within")
regime = sa.Table(
    "regime",
    metadata,
    sa.Column("key", sa.String(40), primary_key=True),
    sa.Column("name", sa.String(60), nullable=False),
    sa.Column("name_en", sa.String(60), nullable=False),
    sa.Column("position", sa.Integer, nullable=False),
    # Closed for new applications each year, both days included, as MM-DD; empty where never.
    sa.Column("closed_from", sa.String(5)),
    sa.Column("closed_until", sa.String(5)),
)
# Which regime a side of a transfer runs under.
regime_rule = sa.Table(
    "regime_rule",
    metadata,
    # The side's own province; `EVERYWHERE` for every province without a rule of its own.
    sa.Column("province", sa.String(6), primary_key=True),
    # within: both schools in this province; across: they lie in two.
    sa.Column("move", sa.String(10), primary_key=True),
    sa.Column("regime", sa.ForeignKey("regime.key"), nullable=False),
    # text, picture, practice, inferred: how sure it is that a document says so.
    sa.Column("basis", sa.String(10), nullable=False),
    sa.Column("reason", sa.String(300), nullable=False),
)
procedure_version = sa.Table(
    "procedure_version",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("regime", sa.ForeignKey("regime.key"), nullable=False),
    # What its cases are: `transfer`, or a plain procedure's own name.
    sa.Column("kind", sa.String(40), nullable=False),
    # 1, 2, 3 … within a regime and kind.
    sa.Column("number", sa.Integer, nullable=False),
    # draft, deployed, retired. Only a draft is ever deleted; nothing else about a version changes but its state.
    sa.Column("state", sa.String(10), nullable=False),
    # From when new cases start under it; the latest one before now is in force.
    sa.Column("effective_from", UtcDateTime),
    sa.Column("retired_at", UtcDateTime),
    sa.Column("sha256", sa.String(64), nullable=False),
    sa.Column("diagram", sa.LargeBinary, nullable=False),
    # The document as CSV: clause, text, modelled.
    sa.Column("document", sa.Text, nullable=False),
    # What its author says about it.
    sa.Column("note", sa.String(500), nullable=False),
    sa.Column("uploaded_by", sa.Integer),
    sa.Column("uploaded_at", UtcDateTime, nullable=False),
    sa.UniqueConstraint("regime", "kind", "number"),
)
