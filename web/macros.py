"""Help for the macros of the templates."""

from __future__ import annotations

from typing import Any

from flask import Flask, g


def once(macro: Any, *given: Any) -> str:
    """What a macro makes of this, made once in a request: a list has many rows and few states and days."""
    made: dict[tuple[Any, ...], str] = g.setdefault("made", {})
    # With their types: what is escaped already equals what is not.
    key = (macro, *((type(each), each) for each in given))
    if key not in made:
        made[key] = macro(*given)
    return made[key]


def register(app: Flask) -> None:
    app.jinja_env.globals["once"] = once
