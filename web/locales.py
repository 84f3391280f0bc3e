"""The reader's language, and numbers, dates and names as that language writes them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime
from functools import wraps
from typing import Any

from flask import Flask, g, request
from flask_babel import Babel, format_date, format_datetime, get_locale
from jinja2 import pass_context
from markupsafe import Markup

from engine.errors import XuejiError
from engine.registry.numbers import mask
from engine.workdays import SHANGHAI
from web.context import current_session, current_token, is_for_programs, settings
from web.gettext import form_of, gettext

LOCALES = {"zh_Hans_CN": "中文", "en": "English"}
COOKIE = "locale"


def chosen_locale() -> str:
    """The person's own choice, before the login the browser's last one, else the deployment's.

    A program says by `Accept-Language` whose words it wants.
    """
    person = current_token() or current_session()
    asked = _asked_locale() if is_for_programs() else None
    wishes = (asked, person.locale if person else None, request.cookies.get(COOKIE), settings().default_locale)
    return next(wish for wish in wishes if wish in LOCALES)


def _asked_locale() -> str | None:
    """The best of our languages for `Accept-Language`, whatever country or script it names."""
    ours = {locale[:2]: locale for locale in LOCALES}
    return next((ours[tag[:2].lower()] for tag, _quality in request.accept_languages if tag[:2].lower() in ours), None)


def locale() -> str:
    """The reader's language, looked up once in a request: a page asks for it with every name."""
    try:
        found: str = g.locale
    except AttributeError:
        found = g.locale = str(get_locale())
    return found


def is_english() -> bool:
    return locale().startswith("en")


def label(described: Any) -> str:
    """The words of an element of a diagram, in the reader's language where it has them."""
    text: str = described.label(locale())
    return text


def own_name(name: str, name_en: str | None) -> str:
    """A name in the reader's language, where it has one there."""
    return name_en if name_en and is_english() else name


def own(named: Any, attribute: str = "name") -> str:
    """An attribute that has an English twin (`name_en` beside `name`) in the reader's language."""
    return own_name(getattr(named, attribute), getattr(named, f"{attribute}_en"))


def message_of(error: XuejiError) -> str:
    return _filled(error.message, error)


def remedy_of(error: XuejiError) -> str:
    return _filled(error.remedy, error) if error.remedy else ""


def day(value: date | datetime | None) -> str:
    """2026-09-22, for tables."""
    return _local(value).isoformat()[:10] if value else ""


def day_in_words(value: date | datetime | None) -> str:
    """2026年9月22日, for sentences."""
    return format_date(_local(value), "d MMMM y" if is_english() else "y年M月d日", rebase=False) if value else ""


def moment(value: datetime | None) -> str:
    """2026-09-22 14:05, for tables."""
    return _local(value).strftime("%Y-%m-%d %H:%M") if value else ""


def moment_in_words(value: datetime | None) -> str:
    """2026年9月22日 14:05, for sentences."""
    pattern = "d MMMM y, HH:mm" if is_english() else "y年M月d日 HH:mm"
    return format_datetime(_local(value), pattern, rebase=False) if value else ""


def offer(app: Flask, **filters: Callable[..., Any]) -> None:
    """Give the templates filters whose answer depends on the reader.

    Of other filters Jinja works out what they make of a constant when it makes a template: once for all readers.
    """
    app.jinja_env.filters.update({name: _when_asked(words) for name, words in filters.items()})


def _when_asked(words: Callable[..., Any]) -> Callable[..., Any]:
    @pass_context
    @wraps(words)
    def asked(_context: Any, *given: Any) -> Any:
        return words(*given)

    return asked


def register(app: Flask) -> None:
    Babel(app, default_locale="en", default_translation_directories="translations", locale_selector=chosen_locale)
    # What the extension for translations adds to it.
    words: Any = app.jinja_env
    words.install_gettext_callables(gettext, form_of, newstyle=True)
    # The extension would look `gettext` up for each word.
    app.jinja_env.globals["_"] = _word
    app.jinja_env.filters.update(date=day, datetime=moment, masked=mask)
    offer(
        app, date_words=day_in_words, datetime_words=moment_in_words, label=label, own=own, message=message_of,
        remedy=remedy_of,
    )  # fmt: skip
    app.jinja_env.globals.update(own_name=own_name, is_english=is_english)


def _word(text: str, /, **values: Any) -> Markup:
    """A text of a template; what is put into it is escaped."""
    found = Markup(gettext(text))  # noqa: S704 — the texts are ours
    return found % values if values else found


def _filled(text: str, error: XuejiError) -> str:
    return gettext(text, **error.values)


def _local(value: Any) -> Any:
    return value.astimezone(SHANGHAI) if isinstance(value, datetime) else value
