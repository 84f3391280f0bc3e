"""Keep comparisons, the files sent for them, and what was said of their matching."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "compared_file",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("person_id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=120), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("diagram", sa.LargeBinary(), nullable=False),
        sa.Column("document", sa.Text(), nullable=False),
        sa.Column("sent_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_compared_file")),
    )
    with op.batch_alter_table("compared_file", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_compared_file_sent_at"), ["sent_at"], unique=False)

    op.create_table(
        "comparison",
        sa.Column("key", sa.String(length=64), nullable=False),
        sa.Column("phase", sa.Integer(), nullable=False),
        sa.Column("found", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("begun_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_comparison")),
    )
    with op.batch_alter_table("comparison", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_comparison_begun_at"), ["begun_at"], unique=False)

    op.create_table(
        "match_correction",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("one", sa.String(length=64), nullable=False),
        sa.Column("other", sa.String(length=64), nullable=False),
        sa.Column("steps_one", sa.JSON(), nullable=False),
        sa.Column("steps_other", sa.JSON(), nullable=False),
        sa.Column("person_id", sa.Integer(), nullable=True),
        sa.Column("made_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_match_correction")),
    )
    with op.batch_alter_table("match_correction", schema=None) as batch_op:
        batch_op.create_index("ix_match_correction_one_other", ["one", "other"], unique=False)


def downgrade() -> None:
    with op.batch_alter_table("match_correction", schema=None) as batch_op:
        batch_op.drop_index("ix_match_correction_one_other")

    op.drop_table("match_correction")
    with op.batch_alter_table("comparison", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_comparison_begun_at"))

    op.drop_table("comparison")
    with op.batch_alter_table("compared_file", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_compared_file_sent_at"))

    op.drop_table("compared_file")
