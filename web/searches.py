"""Lists that are searched by names or numbers: the form is posted, kept, and stands in the address as a token.

@blueprint.post("/accounts/search")
def search():
    return redirect(url_for(".page", **posted_search("accounts", ("text", "duty"))))

values = recalled_search("accounts")        in the list's own view; empty without ?search=
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from flask import request

from engine import searches
from web.context import current_actor, now, reading, transaction

PARAMETER = "search"


def posted_search(kind: str, names: Iterable[str]) -> dict[str, Any]:
    """Keep the form's fields of these names, and return the parameter of an address that recalls them."""
    values = {name: value for name in names if (value := request.form.get(name, "").strip())}
    if not values:
        return {}
    with transaction() as connection:
        return {PARAMETER: searches.keep(connection, current_actor(), kind, values, at=now())}


def recalled_search(kind: str) -> dict[str, Any]:
    """What this address searches for. Raises `SearchForgotten` for a token that is not the reader's own."""
    token = request.args.get(PARAMETER)
    if not token:
        return {}
    with reading() as connection:
        return searches.kept(connection, current_actor(), kind, token)
