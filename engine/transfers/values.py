"""What was entered, in words: ids and codes become names by what their field is bound to, the same on every page.

Divisions keep their Chinese names in every language; what is unknown, or was written by hand, is shown as it stands.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import sqlalchemy as sa
from babel.dates import format_date
from sqlalchemy.engine import Connection

from engine.bpmn.graph import Field
from engine.registry import codes, divisions, numbers
from engine.registry.tables import organisation, school_class
from engine.transfers.tables import attachment

_SCHOOLS = frozenset({"origin.school", "target.school"})
_CLASSES = frozenset({"origin.class", "target.class"})
_DIVISIONS = frozenset({"origin.province", "origin.division"})
_NUMBERS = frozenset({"student.record_number", "student.id_number"})
# The code table behind each binding.
_CODES = {
    "origin.grade": "grade",
    "target.grade": "grade",
    "student.gender": "gender",
    "student.id_type": "id_type",
}
# Beyond it a column of ids can not hold a number.
_LARGEST_ID = 2**31 - 1


def shown(connection: Connection, field: Field, value: Any, locale: str, *, full: bool = False) -> str:
    """One value in words, "" for what was left empty. Numbers of students are masked unless `full`."""
    return shown_all(connection, (field,), {field.id: value}, locale, full=full)[field.id]


def shown_all(
    connection: Connection, fields: Sequence[Field], values: Mapping[str, Any], locale: str, *, full: bool = False
) -> dict[str, str]:
    """A form's values in words by field id, in the order of the form; fields that `values` lacks are left out.

    Names are read with one query for each kind of them.
    """
    asked = [item for item in fields if item.id in values]
    names = _names(connection, asked, values, english=_is_english(locale))
    return {item.id: _shown(item, values[item.id], locale, names, full=full) for item in asked}


def id_of(value: Any) -> int | None:
    """The id that a form's value stands for, or None for anything that is none."""
    text = str(value if value is not None else "").strip()
    if not (text.isascii() and text.isdigit()) or len(text) > 10:
        return None
    return int(text) if int(text) <= _LARGEST_ID else None


@dataclass(frozen=True)
class _Names:
    schools: Mapping[int, str]
    classes: Mapping[int, str]
    files: Mapping[str, str]


def _names(connection: Connection, fields: Iterable[Field], values: Mapping[str, Any], *, english: bool) -> _Names:
    def ids(bindings: frozenset[str]) -> set[int]:
        found = (id_of(values[item.id]) for item in fields if item.binds in bindings)
        return {each for each in found if each is not None}

    fields = list(fields)
    uids = {str(values[item.id]) for item in fields if item.type == "file" and str(values[item.id]).isalnum()}
    own = sa.func.coalesce(organisation.c.name_en, organisation.c.name) if english else organisation.c.name
    return _Names(
        _pairs(connection, organisation.c.id, own, ids(_SCHOOLS)),
        _pairs(connection, school_class.c.id, school_class.c.name, ids(_CLASSES)),
        _pairs(connection, attachment.c.uid, attachment.c.name, uids),
    )


def _pairs(connection: Connection, key: Any, name: Any, wanted: set[Any]) -> dict[Any, str]:
    if not wanted:
        return {}
    return {row[0]: row[1] for row in connection.execute(sa.select(key, name).where(key.in_(wanted)))}


def _shown(field: Field, value: Any, locale: str, names: _Names, *, full: bool) -> str:
    if value is None or value == "":
        return ""
    if field.binds in _SCHOOLS:
        return names.schools.get(id_of(value) or 0, str(value))
    if field.binds in _CLASSES:
        return names.classes.get(id_of(value) or 0, str(value))
    if field.binds in _DIVISIONS:
        return divisions.full_name(str(value)) or str(value)
    if field.binds in _NUMBERS:
        return str(value) if full else numbers.mask(str(value))
    if field.type == "file":
        return names.files.get(str(value), str(value))
    return _BY_TYPE.get(field.type, _coded)(field, value, locale)


def _coded(field: Field, value: Any, locale: str) -> str:
    """The diagram's own word for an option, else the code table's, else the text itself."""
    option = next((item for item in field.options if item.id == value), None)
    if option is not None:
        return option.label(locale)
    table = codes.table(_CODES[field.binds]) if field.binds in _CODES else {}
    code = table.get(str(value))
    if code is None:
        return str(value)
    return code.name_en if _is_english(locale) else code.name


def _day(field: Field, value: Any, locale: str) -> str:
    try:
        day = date.fromisoformat(str(value))
    except ValueError:
        return str(value)
    if _is_english(locale):
        return format_date(day, "d MMMM y", locale="en")
    return f"{day.year}年{day.month}月{day.day}日"


def _yes_or_no(field: Field, value: Any, locale: str) -> str:
    if _is_english(locale):
        return "Yes" if value else "No"
    return "是" if value else "否"


_BY_TYPE: dict[str, Callable[[Field, Any, str], str]] = {"date": _day, "boolean": _yes_or_no}


def _is_english(locale: str) -> bool:
    return locale.startswith("en")
