"""The translations: none missing, none that says something else than the text."""

from __future__ import annotations

import re

import pytest

from web import catalogue
from web.locales import LOCALES

TRANSLATED = sorted(set(LOCALES) - {"en"})
PLACE = re.compile(r"%\((\w+)\)[sd]|(%%)")


@pytest.mark.parametrize("locale", TRANSLATED)
def test_every_text_is_translated(locale):
    assert catalogue.missing(locale) == [], "run python -m web.catalogue, then fill in what it names"


@pytest.mark.parametrize("locale", TRANSLATED)
def test_nothing_is_translated_that_nobody_says(locale):
    said = {message.id for message in catalogue.collect()}
    assert [message.id for message in catalogue.read(locale) if message.id and message.id not in said] == []


@pytest.mark.parametrize("locale", TRANSLATED)
def test_a_translation_fills_the_same_places(locale):
    for message in catalogue.read(locale):
        texts = message.id if isinstance(message.id, tuple) else (message.id,)
        strings = message.string if isinstance(message.string, tuple) else (message.string,)
        for string in strings:
            if message.id and string:
                assert set(PLACE.findall(string)) == set(PLACE.findall(texts[-1])), message.id


@pytest.mark.parametrize("locale", TRANSLATED)
def test_chinese_has_no_spaces_between_words_nor_western_marks(locale):
    """A full stop, comma or bracket of Latin between Chinese characters is a slip of the keyboard."""
    for message in catalogue.read(locale):
        for string in message.string if isinstance(message.string, tuple) else (message.string,):
            slip = re.search(r"[一-鿿][,;!?:]|[一-鿿]\.$", string) if message.id else None
            assert not slip, f"{message.id!r}: {slip and slip[0]!r}"
