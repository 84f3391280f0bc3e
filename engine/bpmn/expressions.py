"""The safe expression language: CEL, in which no Python object can be reached.

Conditions of flows speak of a pool's variables, `visible` and `required` of a form's own fields; due dates and timers
have two functions of their own, `workdays(n)` and `due(n)`.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from functools import lru_cache
from typing import Any

import cel

from engine.errors import N_, Invalid

# A 20,000-term expression crashed the library, 10,000 did not; nobody needs a twentieth of that.
MAX_LENGTH = 500
# Its parser recurses: 100 brackets within each other end a thread whose stack has 512 KB, and with it the process.
MAX_BRACKETS = 40
_FUNCTIONS = frozenset({"size", "contains", "startsWith", "endsWith"})
# One within the other, they take a power of their lists' length.
_MACRO = re.compile(r"\.\s*(all|exists|exists_one|existsOne|map|filter)\s*\(")
_WORKDAYS = re.compile(r"workdays\(\s*(\d{1,3})\s*\)")
_DUE = re.compile(r"due\(\s*(-?\d{1,3})?\s*\)")


class BadExpression(Invalid):
    """An expression that can not be compiled or names something unknown."""

    code = "expression"
    message = N_("The expression “%(expression)s” can not be read.")
    remedy = N_('Write it in CEL, for example: result == "agree"')


class ExpressionFailed(Invalid):
    """A compiled expression that has no value for these variables."""

    code = "expression_failed"
    message = N_("The expression “%(expression)s” has no value here.")


def strip(text: str) -> str:
    """Take the `${…}` of other tools from around an expression."""
    text = text.strip()
    return text[2:-1].strip() if text.startswith("${") and text.endswith("}") else text


@lru_cache(maxsize=4096)
def _program(expression: str) -> cel.Program:
    brackets = sum(map(expression.count, "([{"))
    # A comment between a macro's name and its bracket would hide it from us.
    hidden = "//" in expression and "\n" in expression
    if len(expression) > MAX_LENGTH or brackets > MAX_BRACKETS or hidden or len(_MACRO.findall(expression)) > 1:
        raise BadExpression(expression=expression[:60])
    try:
        return cel.compile(expression)
    except ValueError:
        raise BadExpression(expression=expression[:60]) from None


def check(expression: str, names: Collection[str]) -> None:
    """Compile, and refuse what is not among `names` or no known function. Raises `BadExpression`."""
    program = _program(expression)
    # Operators have names such as `_==_`, `!_` and `@in`, which nobody can write as a call.
    functions = {name for name in program.functions() if name.isidentifier()} - _FUNCTIONS
    unknown = sorted((set(program.variables()) - set(names)) | functions)
    if unknown:
        raise BadExpression(
            N_("The expression “%(expression)s” names “%(unknown)s”, which is no variable here."),
            remedy=N_("Variables are the enum, boolean and long fields of forms, and the results of service tasks."),
            expression=expression[:60],
            unknown="”, “".join(unknown),
        )


def variables(expression: str) -> list[str]:
    """The names that an expression speaks of. Raises `BadExpression`."""
    return _program(expression).variables()


def evaluate(expression: str, values: Mapping[str, Any]) -> Any:
    """The expression's value; a variable without a value is null. Raises `BadExpression`, `ExpressionFailed`."""
    program = _program(expression)
    context = {name: values.get(name) for name in program.variables()}
    try:
        return program.execute(context)
    except Exception:
        # The library raises ValueError, TypeError and RuntimeError alike for what does not fit.
        raise ExpressionFailed(expression=expression[:60]) from None


def is_true(expression: str, values: Mapping[str, Any]) -> bool:
    """Whether a condition holds; an empty one does. Raises as `evaluate`; a value that is no boolean fails too."""
    if not expression:
        return True
    found = evaluate(expression, values)
    if not isinstance(found, bool):
        raise ExpressionFailed(expression=expression[:60])
    return found


def workdays(expression: str) -> int:
    """The number in `workdays(n)`, the working days that a task may take. Raises `BadExpression`."""
    return int(_whole(_WORKDAYS, expression, "workdays(10)")[1])


def due_shift(expression: str) -> int:
    """The number in `due(n)`, in working days from the due instant; `due()` is 0. Raises `BadExpression`."""
    return int(_whole(_DUE, expression, "due(-3)")[1] or 0)


def _whole(pattern: re.Pattern[str], expression: str, example: str) -> re.Match[str]:
    found = pattern.fullmatch(expression)
    if not found:
        raise BadExpression(remedy=N_("Write it like this: %(example)s"), expression=expression[:60], example=example)
    return found
