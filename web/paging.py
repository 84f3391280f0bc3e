"""Pages of a list, as people know them: 共 128 条 · 每页 20."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from flask import Flask, request, url_for

PAGE_SIZE = 20
# Beyond this a total is not counted any further: who turns 500 pages needs a filter.
COUNTED = 10_000


@dataclass(frozen=True)
class Page:
    """One page of a list. `total` is exact up to `COUNTED`; count with a limit of `COUNTED + 1`."""

    items: Sequence[Any]
    total: int
    number: int = 1
    size: int = PAGE_SIZE

    @property
    def is_exact(self) -> bool:
        return self.total <= COUNTED

    @property
    def last(self) -> int:
        return max(1, -(-min(self.total, COUNTED) // self.size))

    @property
    def numbers(self) -> list[int | None]:
        """The numbers to offer; None stands for a gap."""
        near = {1, self.last, *range(self.number - 2, self.number + 3)}
        offered = sorted(number for number in near if 1 <= number <= self.last)
        numbers: list[int | None] = []
        for before, number in zip([0, *offered], offered, strict=False):
            if number - before > 1:
                numbers.append(None)
            numbers.append(number)
        return numbers


def page_number() -> int:
    """The page asked for by `?page=`."""
    return max(1, min(request.args.get("page", 1, type=int), COUNTED // PAGE_SIZE))


def offset_of(number: int) -> int:
    return (number - 1) * PAGE_SIZE


def address(**changes: Any) -> str:
    """The present address with some of its parameters changed; None takes one away."""
    assert request.endpoint
    parameters = {**request.args.to_dict(flat=False), **(request.view_args or {}), **changes}
    return url_for(request.endpoint, **{name: value for name, value in parameters.items() if value is not None})


def register(app: Flask) -> None:
    app.jinja_env.globals["address"] = address
