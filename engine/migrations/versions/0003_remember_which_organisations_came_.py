"""Remember which organisations came together by a move.

Of what was there before nobody knows it, so that all of it counts as moved once anything has. A program of the version
before enters no value; what it adds counts as moved, too.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("organisation_ancestor", sa.Column("moved", sa.Boolean(), server_default=sa.true(), nullable=False))
    pair = sa.table("organisation_ancestor", sa.column("moved", sa.Boolean()))
    entry = sa.table("audit_entry", sa.column("action", sa.String()))
    has_moved = sa.select(sa.true()).select_from(entry).where(entry.c.action == "organisation.moved").exists()
    op.execute(pair.update().where(~has_moved).values(moved=sa.false()))


def downgrade() -> None:
    op.drop_column("organisation_ancestor", "moved")
