"""What the browser may know of a form's rules: which fields depend on which choice."""

from __future__ import annotations

import re

from flask import Flask

_TERM = re.compile(r"""\s*(\w+)\s*==\s*(?:'([^']*)'|"([^"]*)"|(true|false))\s*""")


def shown_when(expression: str) -> str:
    """`result == 'refuse' || result == 'return'` as `result=refuse|return`, for `data-shown-when`.

    Empty where the rule is another: then the field is always shown, and the server alone decides.
    """
    terms = [_TERM.fullmatch(term) for term in expression.split("||")]
    if not all(terms):
        return ""
    names = {term[1] for term in terms if term}
    values = [next(value for value in term.groups()[1:] if value is not None) for term in terms if term]
    return f"{names.pop()}={'|'.join(values)}" if len(names) == 1 else ""


def register(app: Flask) -> None:
    app.jinja_env.filters["shown_when"] = shown_when
