"""What a person may enter, from the form fields of a diagram: parsed, checked, and what of it may become a variable.

Values in: text as a browser sends it (or JSON's own types). Values out: str, int, bool, an ISO date as str, or None for
what was left empty. Fields that are not visible are dropped, whatever was sent. `visible` speaks of the fields before
its own, so that one pass decides it; `required` may speak of any.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from typing import Any

from engine.bpmn import expressions
from engine.bpmn.graph import Field
from engine.errors import N_, Invalid, XuejiError

TYPES = ("string", "long", "boolean", "date", "enum", "file")
# Only these go into SpiffWorkflow's data, so that no personal text ever stands in a saved state.
VARIABLE_TYPES = frozenset({"enum", "boolean", "long"})
DEFAULT_MAX_LENGTH = 500

Values = dict[str, Any]


class Exact(dict[str, Any]):
    """Entries that are all meant for the form, as programs send them: one that it does not ask for may be a slip."""


class FieldError(XuejiError):
    """What is wrong with one field."""

    status = 422
    code = "field"


def check(fields: Sequence[Field], raw: Mapping[str, Any]) -> Values:
    """The form's values by field id. Raises `Invalid` whose `fields` say what is wrong with each."""
    values: Values = {}
    errors: dict[str, XuejiError] = {}
    if isinstance(raw, Exact):
        unknown = raw.keys() - {field.id for field in fields}
        errors = {name: FieldError(N_("There is no entry of this name.")) for name in sorted(unknown)}
    for field in fields:
        try:
            values[field.id] = _value(field, raw.get(field.id))
        except FieldError as error:
            values[field.id] = None
            errors[field.id] = error
    for field in fields:
        if not _holds(field.visible, values):
            values.pop(field.id)
            errors.pop(field.id, None)
    for field in fields:
        if field.id in values and field.id not in errors and values[field.id] is None and is_required(field, values):
            errors[field.id] = FieldError(N_("This is required."))
    if errors:
        raise Invalid(fields=errors)
    return values


def is_required(field: Field, values: Mapping[str, Any]) -> bool:
    """Whether a field must be filled in, given the form's other values."""
    return field.required or (bool(field.required_when) and _holds(field.required_when, values))


def json_schema(fields: Sequence[Field]) -> dict[str, Any]:
    """The form as JSON Schema (2020-12): what `check` takes, but for conditions, which stand in CEL.

    A field that is not always there is required by none of it.
    """
    return {
        "type": "object",
        "properties": {field.id: _schema(field) for field in fields},
        "required": [field.id for field in fields if field.required and not field.visible],
        "additionalProperties": False,
    }


def _schema(field: Field) -> dict[str, Any]:
    rules = _SCHEMAS.get(field.type, _SCHEMAS["string"])(field)
    if not field.required or field.visible:
        rules = {"anyOf": [rules, {"type": "null"}]}
    return {"title": field.name or field.id} | rules


def _number_schema(field: Field) -> dict[str, Any]:
    bounds = {"minimum": field.minimum, "maximum": field.maximum}
    return {"type": "integer"} | {name: bound for name, bound in bounds.items() if bound is not None}


def _text_schema(field: Field) -> dict[str, Any]:
    return {"type": "string", "maxLength": field.max_length or DEFAULT_MAX_LENGTH}


_SCHEMAS: dict[str, Callable[[Field], dict[str, Any]]] = {
    "string": _text_schema,
    "file": _text_schema,
    "long": _number_schema,
    "boolean": lambda field: {"type": "boolean"},
    "date": lambda field: {"type": "string", "format": "date"},
    "enum": lambda field: {"enum": [option.id for option in field.options]},
}


def process_variables(fields: Sequence[Field], values: Mapping[str, Any]) -> Values:
    """What of a form's values goes into the engine's data: null too, so that nothing stays from an earlier round."""
    return {field.id: values.get(field.id) for field in fields if field.type in VARIABLE_TYPES}


def _holds(expression: str, values: Mapping[str, Any]) -> bool:
    """Whether a condition holds. What is said of a field that was left empty does not."""
    try:
        return expressions.is_true(expression, values)
    except expressions.ExpressionFailed:
        return False


def _value(field: Field, raw: Any) -> Any:
    if isinstance(raw, str):
        raw = raw.strip()
    if raw is None or raw == "":
        return False if field.type == "boolean" else None
    return _PARSERS.get(field.type, _string)(field, raw)


def _string(field: Field, raw: Any) -> str:
    if not isinstance(raw, str):
        raise FieldError(N_("Write text here."))
    longest = field.max_length or DEFAULT_MAX_LENGTH
    if len(raw) > longest:
        raise FieldError(N_("At most %(longest)s characters; there are %(length)s."), longest=longest, length=len(raw))
    # Control characters, and halves of a pair that no database could store.
    if any(unicodedata.category(character) in ("Cc", "Cs") and character not in "\n\r\t" for character in raw):
        raise FieldError(N_("There is a character here that can not be shown."))
    return raw


def _long(field: Field, raw: Any) -> int:
    try:
        if isinstance(raw, bool) or (isinstance(raw, float) and not raw.is_integer()) or "_" in str(raw):
            raise ValueError
        number = int(raw)
    except (ValueError, TypeError):
        raise FieldError(N_("Write a whole number.")) from None
    lowest = field.minimum if field.minimum is not None else -(2**53)
    highest = field.maximum if field.maximum is not None else 2**53
    if not lowest <= number <= highest:
        raise FieldError(N_("Between %(lowest)s and %(highest)s."), lowest=lowest, highest=highest)
    return number


def _boolean(field: Field, raw: Any) -> bool:
    if isinstance(raw, bool):
        return raw
    known = {"true": True, "on": True, "1": True, "false": False, "off": False, "0": False}
    if str(raw).lower() not in known:
        raise FieldError(N_("Choose yes or no."))
    return known[str(raw).lower()]


def _date(field: Field, raw: Any) -> str:
    try:
        return date.fromisoformat(str(raw)).isoformat()
    except ValueError:
        raise FieldError(N_("Write a date like 2026-09-22.")) from None


def _enum(field: Field, raw: Any) -> str:
    if not isinstance(raw, str) or raw not in {option.id for option in field.options}:
        raise FieldError(N_("Choose one of the values given."))
    return raw


_PARSERS = {"string": _string, "file": _string, "long": _long, "boolean": _boolean, "date": _date, "enum": _enum}
