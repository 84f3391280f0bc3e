"""What programs send and are sent. The description of the interface is made of these classes: a line under a field
says what it is, and stands there.

Codes stay codes (`operator`, `pending`), words come in both languages, instants are in UTC, ids are numbers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Generic, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, InstanceOf, WithJsonSchema
from pydantic_core import PydanticCustomError

from engine import inbox
from engine.bpmn import forms, graph
from engine.db import LARGEST_ID, LARGEST_LONG_ID
from engine.registry.organisations import Organisation
from engine.registry.students import CheckFailure
from web.deadlines import deadline_of
from web.gettext import gettext as _

Id = Annotated[int, Field(ge=1, le=LARGEST_ID)]
LongId = Annotated[int, Field(ge=1, le=LARGEST_LONG_ID)]
# Of a case or a draft, as it was read.
Revision = Annotated[int, Field(ge=0, le=LARGEST_ID)]
# No keyboard writes these characters, and PostgreSQL does not even store the first of them.
Text = Annotated[str, Field(max_length=2000, pattern=r"^[^\x00-\x08\x0b\x0c\x0e-\x1f\x7f]*$")]
Line = Annotated[str, Field(max_length=200, pattern=r"^[^\x00]*$")]
Province = Annotated[str, Field(pattern=r"^[1-9][0-9]0000$")]

# Beyond it JavaScript has no whole numbers.
_LARGEST_NUMBER = 2**53
_LONGEST_TEXT = 5000


def _entry(value: Any) -> Any:
    """A text, a whole number, yes or no, or nothing; of which kind, the form says."""
    if isinstance(value, str):
        fits = len(value) <= _LONGEST_TEXT and "\0" not in value
    else:
        fits = value is None or isinstance(value, bool) or (isinstance(value, int) and abs(value) <= _LARGEST_NUMBER)
    if not fits:
        raise PydanticCustomError("entry", "no entry")
    return value


_ENTRY_SCHEMA = {
    "anyOf": [
        {"type": "string", "maxLength": _LONGEST_TEXT, "pattern": r"^[^\x00]*$"},
        {"type": "integer", "minimum": -_LARGEST_NUMBER, "maximum": _LARGEST_NUMBER},
        {"type": "boolean"},
        {"type": "null"},
    ]
}
Entry = Annotated[Any, AfterValidator(_entry), WithJsonSchema(_ENTRY_SCHEMA)]
# What is entered into a form, by field id.
Values = Annotated[
    dict[Annotated[str, Field(max_length=200, pattern=r"^[^\x00]*$")], Entry],
    Field(max_length=200),
    AfterValidator(forms.Exact),
]


class Shape(BaseModel):
    model_config = ConfigDict(use_attribute_docstrings=True, frozen=True)


class Sent(Shape):
    """What a program sends; what we do not know is refused, since it may be a slip."""

    model_config = ConfigDict(extra="forbid")


class SentForm(Sent):
    """The same as `multipart/form-data`, since there are files in it."""


@dataclass(frozen=True)
class Uploaded:
    """A file of a form that was sent."""

    name: str
    content: bytes


File = Annotated[InstanceOf[Uploaded], WithJsonSchema({"type": "string", "format": "binary"})]


class Paged(Sent):
    """From where on a list is read, and how far."""

    cursor: Annotated[str, Field(max_length=200)] = ""
    """The `next` of the page before; empty for the first one."""
    limit: Annotated[int, Field(ge=1, le=100)] = 20
    """How many at most."""


Item = TypeVar("Item")


class Listed(Shape, Generic[Item]):
    """One page of a list."""

    items: list[Item]
    next: str | None
    """The cursor of the next page; null on the last one."""


# Words -----------------------------------------------------------------------------------------------------------


class Words(Shape):
    """The same in both languages; where the source has no English, the Chinese stands in both."""

    zh: str
    en: str

    @classmethod
    def of(cls, described: Any) -> Words:
        """The words of anything with a `label`."""
        return cls(zh=described.label("zh"), en=described.label("en"))

    @classmethod
    def named(cls, name: str, name_en: str | None) -> Words:
        """A name that may have an English one beside it."""
        return cls(zh=name, en=name_en or name)


class Office(Shape):
    """An authority or a school."""

    id: int
    level: str
    """ministry, province, prefecture, county or school"""
    name: Words

    @classmethod
    def of(cls, found: Organisation) -> Office:
        return cls(id=found.id, level=found.level, name=Words.named(found.name, found.name_en))


class Reason(Shape):
    """Why something is not possible, in the language asked for."""

    code: str
    message: str
    remedy: str

    @classmethod
    def of(cls, failure: CheckFailure) -> Reason:
        return cls(code=failure.code, message=str(_(failure.message)), remedy=str(_(failure.remedy)))


# Steps and forms -------------------------------------------------------------------------------------------------


class Step(Shape):
    """A step of a procedure, in the words of its diagram."""

    id: str
    label: Words
    kind: str
    """userTask: done in the system; manualTask: done off it, and confirmed here"""
    menu: Words
    """Where its users find it, level by level, with `/` between them."""

    @classmethod
    def of(cls, node: graph.Node) -> Step:
        menu = Words(zh=node.menu("zh"), en=node.menu("en"))
        return cls(id=node.id, label=Words.of(node), kind=node.kind, menu=menu)


class Clause(Shape):
    """A sentence of the document that a step rests on, word for word."""

    clause: str
    text: str
    basis: str
    """How sure it is that the step stands in it: text, picture, practice or inferred."""

    @classmethod
    def of(cls, quote: inbox.Quote) -> Clause:
        return cls(clause=quote.clause, text=quote.text, basis=quote.basis)


class Option(Shape):
    id: str
    label: Words


class FormField(Shape):
    """One field of a form."""

    id: str
    step: str
    """The step that asks for it."""
    label: Words
    type: str
    """string, long, boolean, date (2026-09-22), enum or file (the `uid` of an attachment)"""
    required: bool
    required_when: str
    """A condition (CEL) over the form's values under which it must be filled in; empty for none."""
    visible: str
    """A condition (CEL) under which it belongs to the form at all; empty for always."""
    options: list[Option]
    default: str
    max_length: int | None
    minimum: int | None
    maximum: int | None
    multiline: bool
    binds: str
    """What of the registry or of the decision it stands for, for example `decision.result`; empty for nothing."""

    @classmethod
    def of(cls, field: graph.Field, step: graph.Described) -> FormField:
        return cls(
            id=field.id,
            step=step.id,
            label=Words.of(field),
            type=field.type,
            required=field.required,
            required_when=field.required_when,
            visible=field.visible,
            options=[Option(id=option.id, label=Words.of(option)) for option in field.options],
            default=field.default,
            max_length=field.max_length,
            minimum=field.minimum,
            maximum=field.maximum,
            multiline=field.multiline,
            binds=field.binds,
        )


class Form(Shape):
    """What is to be entered."""

    fields: list[FormField]
    json_schema: dict[str, Any]
    """The same as JSON Schema (2020-12). Conditions stand in the fields alone; what they ask is checked when it is
    sent."""

    @classmethod
    def of(cls, nodes: Sequence[graph.Node]) -> Form:
        fields = [(field, node) for node in nodes for field in inbox.act_form((node,))]
        return cls(
            fields=[FormField.of(field, node) for field, node in fields],
            json_schema=forms.json_schema([field for field, _node in fields]),
        )


# Who has it ------------------------------------------------------------------------------------------------------


class Due(Shape):
    """Until when."""

    at: datetime
    """The end of the last working day."""
    days_left: int
    """Working days after today; negative when it is over."""
    provisional: bool
    """Rests on a year whose holidays are not published yet."""

    @classmethod
    def of(cls, task: Any) -> Due | None:
        deadline = deadline_of(task)
        if deadline is None:
            return None
        return cls(at=task.due_at, days_left=deadline.days_left, provisional=deadline.provisional)


class Holder(Shape):
    """Who has a case now, in which step."""

    organisation_id: int
    organisation: Words
    step: Step
    due_at: datetime | None

    @classmethod
    def of(cls, holder: inbox.Holder) -> Holder:
        return cls(
            organisation_id=holder.organisation_id,
            organisation=Words.named(holder.name, holder.name_en),
            step=Step.of(holder.step),
            due_at=holder.due_at,
        )


class Choice(Shape):
    """One value that can be chosen."""

    value: str
    label: Words
    free: int | None = None
    """Free places, where the choice takes one."""


class Answer(Shape):
    """What was entered at a field, in words of the language asked for; numbers of students masked."""

    field: str
    label: Words
    words: str
    attachment: str | None
    """Of a file its `uid`."""


def answers(fields: Sequence[graph.Field], words: Mapping[str, str], values: Mapping[str, Any]) -> list[Answer]:
    """What was entered at these fields; what was left empty is left out."""
    return [
        Answer(
            field=field.id,
            label=Words.of(field),
            words=words[field.id],
            attachment=values[field.id] if field.type == "file" else None,
        )
        for field in fields
        if words.get(field.id)
    ]
