"""The pages. `create_app` is all that a server or a test needs; each module beside it is one feature's blueprint."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flask import Flask
from jinja2 import StrictUndefined

from web import (
    accounts,
    api,
    applications,
    assets,
    attachments,
    audit,
    batches,
    calendar,
    compare,
    context,
    deadlines,
    errors,
    flash,
    forms,
    frame,
    health,
    ids,
    inbox,
    incidents,
    locales,
    macros,
    menus,
    notices,
    numbers,
    observation,
    organisations,
    paging,
    practice,
    procedures,
    query,
    regimes,
    security,
    sessions,
    tasks,
    tokens,
    transfers,
    words,
)
from web.context import Application, Xueji

FEATURES = (
    health, sessions, tokens, inbox, batches, tasks, notices, applications, attachments, transfers, query, procedures,
    compare, incidents, accounts, organisations, calendar, regimes, audit, numbers, practice, api,
)  # fmt: skip
# The first one sees all that the others do.
PARTS = (
    observation, locales, context, security, errors, assets, flash, frame, macros, menus, deadlines, forms, paging,
    words, ids,
)  # fmt: skip


class _Pages(Flask):
    """Flask for views that are plain functions."""

    def ensure_sync(self, func: Callable[..., Any]) -> Callable[..., Any]:
        # Asked of everything that every request calls, and never so: it took longer than most of what is called.
        return func


def create_app(application: Application) -> Flask:
    """The pages over a wired engine."""
    app = _Pages(__name__, static_folder="static")
    app.config.update(MAX_CONTENT_LENGTH=8 * 1024 * 1024, MAX_FORM_MEMORY_SIZE=2 * 1024 * 1024)
    app.extensions["xueji"] = Xueji(application)
    # A misspelt variable is a mistake to be found by the first test, not a gap on the page.
    app.jinja_env.undefined = StrictUndefined
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True
    for part in PARTS:
        part.register(app)
    for feature in FEATURES:
        app.register_blueprint(feature.blueprint)
    return app
