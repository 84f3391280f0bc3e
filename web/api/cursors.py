"""Where a program reads on in a list: what the list is sorted by, of the last row that was sent, without a name in it.

A cursor belongs to its list and order. It is no secret and opens nothing; the list is asked again for what may be seen.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any, TypeVar

from engine.errors import N_, Invalid
from engine.keyset import Place
from web.api.shapes import Listed, Paged

Row = TypeVar("Row")
# Of a part of a place: an instant, or a number up to this one.
Kind = type[datetime] | int


class BadCursor(Invalid):
    """A cursor that no page of this list has given."""

    code = "bad_cursor"
    message = N_("This cursor belongs to another list or order.")
    remedy = N_("Begin again without a cursor.")


def listed(
    rows: Sequence[Row], asked: Paged, shape: Callable[[Row], Any], order: str, place: Callable[[Row], Place]
) -> Listed[Any]:
    """One page of rows that were read with one more than were asked for."""
    page, following = cut(rows, asked, order, place)
    return Listed(items=[shape(row) for row in page], next=following)


def cut(
    rows: Sequence[Row], asked: Paged, order: str, place: Callable[[Row], Place]
) -> tuple[Sequence[Row], str | None]:
    """The rows of the page, and the cursor of the next one if there is any."""
    page = rows[: asked.limit]
    return page, write(order, place(page[-1])) if len(rows) > asked.limit else None


def write(order: str, place: Place) -> str:
    """The cursor of a place in a list of this order."""
    parts = [part.isoformat() if isinstance(part, datetime) else part for part in place]
    return base64.urlsafe_b64encode(json.dumps([order, *parts]).encode()).decode().rstrip("=")


def read(asked: Paged, order: str, *kinds: Kind) -> Place | None:
    """The place that a cursor stands for, of values of these kinds; None at the beginning. Raises `BadCursor`.

    A number's kind is the largest that its column holds: `LARGEST_ID`, `LARGEST_LONG_ID`.

    A time may be missing: what has no due date comes last.
    """
    if not asked.cursor:
        return None
    try:
        named, *parts = json.loads(base64.urlsafe_b64decode(asked.cursor + "=" * (-len(asked.cursor) % 4)))
        if named != order:
            raise BadCursor
        return [_value(part, kind) for part, kind in zip(parts, kinds, strict=True)]
    except (ValueError, TypeError, OverflowError, binascii.Error):
        raise BadCursor from None


def _value(part: Any, kind: Kind) -> Any:
    if isinstance(kind, int):
        if type(part) is not int or not 0 <= part <= kind:
            raise BadCursor
        return part
    moment = None if part is None else datetime.fromisoformat(part)
    if moment is not None and moment.tzinfo is None:
        raise BadCursor
    return moment and moment.astimezone(UTC)
