"""A request that arrives twice is done once, and answered the same."""

from __future__ import annotations

import contextlib
from datetime import timedelta

import pytest

from engine import idempotency
from engine.audit import Actor
from engine.idempotency import Answer, KeyReused, Request
from tests.integration.test_races import at_once

ME = Actor(1, "甲", 1, 1, "一校", "school", "340104", "operator")
OTHER = Actor(2, "乙", 2, 1, "一校", "school", "340104", "operator")
REQUEST = Request("a-key", b"what was asked")
ANSWER = Answer(201, b'{"id":7}', "/api/v1/cases/7")


def do(database, actor, request, at, *, answer=ANSWER, deeds: list | None = None) -> Answer:
    with database.transaction() as connection:
        before = idempotency.take(connection, actor, request, at=at)
        if before is not None:
            return before
        if deeds is not None:
            deeds.append(request)
        idempotency.keep(connection, actor, request, answer)
    return answer


def test_the_second_time_nothing_is_done_and_the_first_answer_given(database, clock):
    deeds: list[Request] = []
    assert [do(database, ME, REQUEST, clock(), deeds=deeds) for _ in range(3)] == [ANSWER] * 3
    assert deeds == [REQUEST]
    with database.reading() as connection:
        assert idempotency.answered(connection, ME, REQUEST) == ANSWER


def test_another_request_under_the_same_key_is_a_mistake(database, clock):
    do(database, ME, REQUEST, clock())
    with pytest.raises(KeyReused):
        do(database, ME, Request("a-key", b"something else"), clock())


def test_a_key_is_its_owners_own(database, clock):
    do(database, ME, REQUEST, clock())
    other = Answer(200, b"{}", None)
    assert do(database, OTHER, REQUEST, clock(), answer=other) == other
    with database.reading() as connection:
        assert idempotency.answered(connection, OTHER, Request("b-key", b"")) is None


def test_of_a_request_that_failed_nothing_is_kept(database, clock):
    deeds: list[Request] = []
    for failing in (True, False):
        with contextlib.suppress(ZeroDivisionError), database.transaction() as connection:
            assert idempotency.take(connection, ME, REQUEST, at=clock()) is None
            deeds.append(REQUEST)
            _ = 1 / (not failing)
    assert len(deeds) == 2


def test_of_two_at_once_one_is_done_and_both_are_answered_alike(database, clock):
    deeds: list[Request] = []
    answers = [Answer(201, f"{number}".encode(), None) for number in range(4)]
    works = [lambda answer=answer: do(database, ME, REQUEST, clock(), answer=answer, deeds=deeds) for answer in answers]
    given = at_once(works)
    assert len(set(given)) == 1
    assert given[0] in answers
    assert len(deeds) == 1


def test_keys_are_kept_for_two_days(database, clock):
    do(database, ME, REQUEST, clock())
    for days, kept in ((2, True), (3, False)):
        with database.transaction() as connection:
            idempotency.forget_old(connection, at=clock() + timedelta(days=days))
            assert (idempotency.answered(connection, ME, REQUEST) is not None) is kept
