"""Ids as people and programs send them. One that is larger than its column is nobody's, and no database is asked."""

from __future__ import annotations

from flask import Flask
from werkzeug.routing import IntegerConverter, Map

from engine.db import LARGEST_ID, LARGEST_LONG_ID


def an_id(text: str) -> int:
    """For `request.form.get(name, type=an_id)`. Raises `ValueError`."""
    return _up_to(LARGEST_ID, text)


def a_long_id(text: str) -> int:
    """The same for the tables that grow by each step."""
    return _up_to(LARGEST_LONG_ID, text)


def _up_to(largest: int, text: str) -> int:
    number = int(text)
    if not 0 <= number <= largest:
        raise ValueError
    return number


def register(app: Flask) -> None:
    # `int` is Werkzeug's own, and has no end.
    app.url_map.converters.update({"int": _Id, "id": _Id, "long": _LongId})


class _Id(IntegerConverter):
    def __init__(self, map: Map) -> None:
        super().__init__(map, max=LARGEST_ID)


class _LongId(IntegerConverter):
    def __init__(self, map: Map) -> None:
        super().__init__(map, max=LARGEST_LONG_ID)
