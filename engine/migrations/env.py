"""What Alembic runs for each of its commands; `engine.migrations` calls them and hands over the connection."""

from __future__ import annotations

from typing import Any, Literal

import sqlalchemy as sa
from alembic import context

from engine.db import metadata


def is_ours(name: str | None, type_: str, parents: Any) -> bool:
    """Leave DBOS's tables alone, and whatever else is not in our metadata."""
    return type_ != "table" or name in metadata.tables


def render(type_: str, item: Any, _context: Any) -> str | Literal[False]:
    """Write our own column types as what they are in the database, so that a migration outlives our code."""
    if type_ == "type" and isinstance(item, sa.types.TypeDecorator):
        return f"sa.{item.impl_instance!r}"
    return False


context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    include_name=is_ours,
    render_item=render,
    render_as_batch=True,
)
with context.begin_transaction():
    context.run_migrations()
