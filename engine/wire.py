"""Statements to PostgreSQL that travel together: a transaction begins with its first one and ends with its last.

What nobody waits for is kept until something is asked, or until the commit. Everything is done with the driver's own
protocol functions. Its pipeline mode would do the same, but sends each statement by itself and polls for each, which
takes longer than the round trips that it saves.
"""

from __future__ import annotations

import functools
import itertools
import re
from collections.abc import Callable, Generator, Sequence
from hashlib import sha256
from typing import Any, NamedTuple

import psycopg
from psycopg.adapt import PyFormat, Transformer
from psycopg.errors import error_from_result
from psycopg.generators import fetch_many, send
from psycopg.pq import ConnStatus, ExecStatus, TransactionStatus
from psycopg.pq.abc import PGresult

Rows = list[tuple[Any, ...]]


class _Statement(NamedTuple):
    # With numbered parameters.
    text: bytes
    # As the server reads them: it knows itself which type each has.
    values: Sequence[Any]
    # Is handed what the server answers.
    then: Callable[[Rows], None] | None = None


# A prepared statement whose columns have changed since, or that somebody has dropped.
_UNPREPARED = ("0A000", "26000")
_BEGIN = _Statement(b"BEGIN", ())
_COMMIT = _Statement(b"COMMIT", ())


class Wire:
    """One connection of the driver."""

    def __init__(self, driver: psycopg.Connection[Any]) -> None:
        self._driver = driver
        self._adapter = Transformer(driver)
        # The texts that the server has prepared for it.
        self._prepared: set[bytes] = set()
        self._kept: list[_Statement] = []

    @property
    def is_closed(self) -> bool:
        return self._driver.closed

    @property
    def is_at_rest(self) -> bool:
        """Whether nothing is under way: no transaction, and no answer to come."""
        return self._driver.pgconn.transaction_status == TransactionStatus.IDLE

    def ask(self, sql: str, values: Sequence[Any], *, last: bool = False) -> Rows:
        """Send what was kept and then this, in one round trip. Answers the rows of this one.

        The text has `%s` for each value, as the driver wants it. With the `last` question of a transaction its end is
        sent, too. Raises what the driver would raise.
        """
        end = [_COMMIT] if last and not self._driver.autocommit else []
        if end:
            self._hear()
        return self._rows(self._exchange([*self._kept, self._statement(sql, values), *end])[-1 - len(end)])

    def keep(self, sql: str, values: Sequence[Any], then: Callable[[Rows], None] | None = None) -> None:
        """Send this with whatever comes next; what the server has against it is raised then.

        Where somebody waits for its rows, they are handed over before the transaction ends, which `then` may prevent.
        """
        self._kept.append(self._statement(sql, values, then))

    def unkeep(self, sql: str, *, alone: bool) -> bool:
        """Send neither this nor what was kept after it; `alone`, only if nothing was. Whether it was still kept."""
        texts = [statement.text for statement in self._kept]
        if _numbered(sql) not in (texts[-1:] if alone else texts):
            return False
        del self._kept[len(texts) - 1 - texts[::-1].index(_numbered(sql)) :]
        return True

    def clear(self) -> None:
        """Send what was kept."""
        if self._kept:
            self._exchange(self._kept)

    def commit(self) -> None:
        """Send what was kept, and end the transaction with it; where nothing was, the driver will end it."""
        if not self._kept:
            return
        try:
            self._hear()
            if self._kept:
                self._exchange([*self._kept, _COMMIT])
        except BaseException:
            # Nobody will ask for it: to SQLAlchemy a transaction that tried to end is over.
            if not self._driver.closed:
                self._driver.rollback()
            raise

    def forget(self) -> None:
        """Send nothing of what was kept."""
        self._kept = []

    def _hear(self) -> None:
        """What somebody waits for is answered before the end is sent."""
        if any(statement.then for statement in self._kept):
            self.clear()

    def _statement(self, sql: str, values: Sequence[Any], then: Callable[[Rows], None] | None = None) -> _Statement:
        return _Statement(_numbered(sql), self._adapter.dump_sequence(values, [PyFormat.TEXT] * len(values)), then)

    def _rows(self, answer: PGresult) -> Rows:
        self._adapter.set_pgresult(answer)
        return self._adapter.load_rows(0, answer.ntuples, tuple)

    def _exchange(self, statements: Sequence[_Statement]) -> list[PGresult]:
        """One round trip. Answers what each led to, or raises the first error: nothing after that was done."""
        # What somebody waits for is asked again until it is answered, so that no transaction ends without it.
        self._kept = [statement for statement in statements if statement.then]
        if not self._driver.autocommit and self.is_at_rest:
            statements = [_BEGIN, *statements]
        try:
            messages, answers = self._driver.wait(self._communicate(statements))
        except BaseException:
            # Nobody knows how much of it the server has read, or will still answer.
            self._driver.close()
            raise
        for answer in answers:
            if answer.status == ExecStatus.FATAL_ERROR:
                error = error_from_result(answer, encoding=self._driver.info.encoding)
                if error.sqlstate in _UNPREPARED:
                    # The next connection prepares it anew.
                    self._driver.close()
                raise error
        led_to = [answer for prepared, answer in zip(messages, answers, strict=True) if prepared is None]
        for statement, answer in zip(statements, led_to, strict=True):
            if statement.then:
                statement.then(self._rows(answer))
        self._kept = []
        return led_to

    def _communicate(self, statements: Sequence[_Statement]) -> Generator[Any, Any, tuple[list[Any], list[PGresult]]]:
        """The messages sent, and what the server answers to each; to those after one that failed it does not."""
        server = self._driver.pgconn
        server.enter_pipeline_mode()
        # Of each message the text that it prepares, if it prepares one.
        messages: list[bytes | None] = []
        for text, values, _then in statements:
            if text not in self._prepared and text not in messages:
                server.send_prepare(_name(text), text)
                messages.append(text)
            server.send_query_prepared(_name(text), values)
            messages.append(None)
        server.pipeline_sync()
        yield from send(server)
        answers: list[PGresult] = []
        for prepared in messages:
            answers += yield from fetch_many(server)
            if prepared and answers[-1].status == ExecStatus.COMMAND_OK:
                self._prepared.add(prepared)
        yield from fetch_many(server)
        # A server that goes away may have said so as its last answer.
        if server.status == ConnStatus.OK:
            server.exit_pipeline_mode()
        return messages, answers


@functools.cache
def _name(text: bytes) -> bytes:
    """Under which name a text is prepared."""
    return b"xueji_" + sha256(text).hexdigest()[:32].encode()


@functools.cache
def _numbered(sql: str) -> bytes:
    """A constant text with `%s` for each parameter, as the server numbers them; a % of the text itself is doubled."""
    places = itertools.count(1)
    return re.sub("%[%s]", lambda found: "%" if found[0] == "%%" else f"${next(places)}", sql).encode()
