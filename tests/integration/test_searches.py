"""Searches that hold names: an opaque token stands for them, and opens nothing to others."""

from __future__ import annotations

import pytest

from engine import searches
from engine.searches import SearchForgotten
from tests.integration import offices


@pytest.fixture
def connection(database):
    with database.transaction() as connection:
        yield connection


@pytest.fixture
def country(connection, clock):
    return offices.build(connection, clock())


def test_its_author_finds_the_search_again(connection, country, clock):
    actor = country["340000"].actor("operator")
    token = searches.keep(connection, actor, "query", {"name": "梅小雨"}, at=clock())
    assert "梅" not in token
    assert searches.kept(connection, actor, "query", token) == {"name": "梅小雨"}


def test_nobody_else_does_and_no_other_list(connection, country, clock):
    actor, colleague = (country["340000"].actor(name) for name in ("operator", "colleague"))
    token = searches.keep(connection, actor, "query", {"name": "梅小雨"}, at=clock())
    for reader, kind, opened in ((colleague, "query", token), (actor, "accounts", token), (actor, "query", "x")):
        with pytest.raises(SearchForgotten):
            searches.kept(connection, reader, kind, opened)


def test_old_ones_are_thrown_away(connection, country, clock):
    actor = country["340000"].actor("operator")
    old = searches.keep(connection, actor, "query", {"name": "梅小雨"}, at=clock())
    new = searches.keep(connection, actor, "query", {"name": "梅小雨"}, at=clock.turn(days=6))
    searches.forget_old(connection, at=clock.turn(days=2))
    assert searches.kept(connection, actor, "query", new)
    with pytest.raises(SearchForgotten):
        searches.kept(connection, actor, "query", old)
