"""Reading on from a place in a sorted list, however long it is and whatever has been added or done meanwhile."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import sqlalchemy as sa

# The values of a row's sorting columns: after it reading goes on.
Place = Sequence[Any]


@dataclass(frozen=True)
class Order:
    """By these columns, the last of which tells all rows apart. Upwards what is empty comes last; downwards none is."""

    columns: tuple[sa.Column[Any], ...]
    downwards: bool = False

    @cached_property
    def by(self) -> tuple[sa.ColumnElement[Any], ...]:
        """For `order_by`."""
        if self.downwards:
            return tuple(column.desc() for column in self.columns)
        return tuple(sa.nulls_last(column.asc()) if column.nullable else column.asc() for column in self.columns)

    def after(self, place: Place) -> sa.ColumnElement[bool]:
        """The condition that a row comes after this place."""
        condition: sa.ColumnElement[bool] = sa.false()
        for column, value in reversed(list(zip(self.columns, place, strict=True))):
            same = column.is_(None) if value is None else column == value
            condition = sa.or_(self._beyond(column, value), sa.and_(same, condition))
        return condition

    def place(self, row: Any) -> Place:
        """Where a row stands, or anything that has the columns' names."""
        return [getattr(row, column.name) for column in self.columns]

    def _beyond(self, column: sa.Column[Any], value: Any) -> sa.ColumnElement[bool]:
        if value is None:
            return sa.false()
        beyond: sa.ColumnElement[bool] = column < value if self.downwards else column > value
        return sa.or_(beyond, column.is_(None)) if column.nullable and not self.downwards else beyond
