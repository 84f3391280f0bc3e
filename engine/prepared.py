"""Statements that are run in every step, compiled once and handed to the driver as they are.

SQLAlchemy takes longer over a small statement than the database does. A `Prepared` is written in SQLAlchemy Core and
answers as it would, inside the connection's own transaction; only its text and the conversions of its values are kept.
"""

from __future__ import annotations

import json
import re
from collections import namedtuple
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy import BindParameter
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.engine import Connection, Dialect
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.sql.visitors import replacement_traverse

from engine.db import execute, keep

_Convert = Callable[[Any], Any]
# The type checker wants the names of the fields written out.
_named: Any = namedtuple
# In the text of a dialect that names its parameters; a % of the text itself is doubled there.
_NAMED = re.compile(r"%%|%\((\w+)\)s")


class _Ids(sa.types.TypeDecorator[Sequence[int]]):
    """Any number of ids in one parameter."""

    impl = sa.Text
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> Any:
        return dialect.type_descriptor(sa.Text() if dialect.name == "sqlite" else ARRAY(sa.BigInteger))

    def process_bind_param(self, value: Any, dialect: Dialect) -> Any:
        return json.dumps(list(value)) if dialect.name == "sqlite" else list(value)


class among(FunctionElement[bool]):
    """The condition that a column is one of the ids that a statement is run with: `among(task.c.id, "ids")`.

    Unlike `in_`, it is the same text however many there are.
    """

    inherit_cache = True

    def __init__(self, column: sa.ColumnElement[int], name: str) -> None:
        super().__init__(column, sa.bindparam(name, type_=_Ids()))


@compiles(among, "postgresql")
def _among_on_postgresql(element: among, compiler: Any, **more: Any) -> str:
    column, ids = element.clauses
    return f"{compiler.process(column, **more)} = ANY ({compiler.process(ids, **more)})"


@compiles(among, "sqlite")
def _among_on_sqlite(element: among, compiler: Any, **more: Any) -> str:
    column, ids = element.clauses
    given = f"(SELECT value FROM json_each({compiler.process(ids, **more)}))"  # noqa: S608
    return f"{compiler.process(column, **more)} IN {given}"


class _Text:
    """A statement in the words of one dialect, for values of certain names, which it takes by their position."""

    def __init__(self, statement: Any, dialect: Dialect, names: tuple[str, ...]) -> None:
        if statement.is_insert and not statement._returning:
            # SQLAlchemy would have the new row's key answered, which nobody asked for.
            statement = statement.inline()
        compiled: Any = replacement_traverse(statement, {}, _written_out).compile(
            dialect=dialect, column_keys=list(names)
        )
        given = [name for name, bind in compiled.binds.items() if bind.required]
        text = compiled.construct_expanded_state(dict.fromkeys(given))
        self.sql: str = text.statement
        order = text.positiontup
        if not compiled.positional:
            order = [name for name in _NAMED.findall(text.statement) if name]
            self.sql = _NAMED.sub(lambda found: "%s" if found[1] else "%%", text.statement)
        # What the dialect itself has added, like the OFFSET of a LIMIT.
        self._constants = {name: compiled.binds[name].value for name in order if name not in given}
        self._names = tuple(order)
        self._written = _converted(
            compiled.binds[name].type.dialect_impl(dialect).bind_processor(dialect) for name in order
        )
        columns = list(statement.exported_columns) if statement.is_select or statement._returning else []
        self._read = _converted(column.type.dialect_impl(dialect).result_processor(dialect, None) for column in columns)
        self._make: Callable[[list[Any]], Any] = _named("Row", [column.key for column in columns])._make

    def bind(self, values: Mapping[str, Any]) -> list[Any]:
        """The values as the driver takes them."""
        if self._constants:
            values = {**self._constants, **values}
        bound = [values[name] for name in self._names]
        for place, convert in self._written:
            bound[place] = convert(bound[place])
        return bound

    def row(self, found: Sequence[Any]) -> Any:
        """What the driver has found, as a named tuple."""
        values = list(found)
        for place, convert in self._read:
            values[place] = convert(values[place])
        return self._make(values)


def _written_out(element: Any, **_: Any) -> Any:
    """What the statement itself compares with, as part of its text.

    Were it a parameter, SQLite would plan the statement anew each time that it is run, to see whether the value allows
    an index over some of the rows alone; and PostgreSQL, which plans once, would never use such an index.
    """
    if isinstance(element, BindParameter) and not element.required:
        return element.render_literal_execute()
    return None


def _converted(converts: Iterable[_Convert | None]) -> list[tuple[int, _Convert]]:
    """Only the places at which something is to be done."""
    return [(place, convert) for place, convert in enumerate(converts) if convert]


class Prepared:
    """A constant statement. It knows no defaults of columns: name every value that a row is to have."""

    def __init__(self, statement: Any) -> None:
        self._statement = statement
        self._texts: dict[Any, _Text] = {}

    def run(self, connection: Connection, values: Mapping[str, Any]) -> None:
        """Write one row, or change some. Raises what SQLAlchemy would raise."""
        text = self._text(connection, values)
        execute(connection, text.sql, text.bind(values))

    def later(self, connection: Connection, values: Mapping[str, Any]) -> None:
        """The same, at the latest before the next statement or when the transaction ends; an error is raised there."""
        text = self._text(connection, values)
        keep(connection, text.sql, text.bind(values))

    def rows(self, connection: Connection, values: Mapping[str, Any], *, last: bool = False) -> list[Any]:
        """What a query answers, or an insertion returns: named tuples. `last` as `db.execute` takes it."""
        text = self._text(connection, values)
        return [text.row(found) for found in execute(connection, text.sql, text.bind(values), last=last)]

    def later_rows(self, connection: Connection, values: Mapping[str, Any], then: Callable[[list[Any]], None]) -> None:
        """Have `then` handed what a query answers, at the latest before the next statement's own answer."""
        text = self._text(connection, values)
        keep(connection, text.sql, text.bind(values), then=lambda found: then([text.row(one) for one in found]))

    def first(self, connection: Connection, values: Mapping[str, Any]) -> Any | None:
        """The first row, or None."""
        found = self.rows(connection, values)
        return found[0] if found else None

    def _text(self, connection: Connection, values: Mapping[str, Any]) -> _Text:
        key = (connection.dialect.name, *values)
        text = self._texts.get(key)
        if text is None:
            text = self._texts[key] = _Text(self._statement, connection.dialect, tuple(values))
        return text


# A statement, and the values that it is run with.
Write = tuple[Prepared, Mapping[str, Any]]
