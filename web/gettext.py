"""Texts in the reader's language, from its catalogue in `web/translations`.

The extension would look the catalogue up for each text; a page has a hundred.
"""

from __future__ import annotations

from typing import Any

from babel.support import Translations
from flask import g
from flask_babel import get_translations


def gettext(text: str, /, **values: Any) -> str:
    """The text in the reader's language, with the values put in where it has places for them: `%(name)s`."""
    found: str = _catalogue().ugettext(text)
    return found % values if values else found


def ngettext(one: str, many: str, number: int, /, **values: Any) -> str:
    """A text that depends on a number, which it has as `%(num)d`."""
    return form_of(one, many, number) % {"num": number, **values}


def form_of(one: str, many: str, number: int) -> str:
    """Of a text that depends on a number the form for this one, with its places still empty."""
    found: str = _catalogue().ungettext(one, many, number)
    return found


def _catalogue() -> Translations:
    """The reader's, looked up once in a request."""
    try:
        found: Translations = g.catalogue
    except AttributeError:
        found = g.catalogue = get_translations()
    return found
