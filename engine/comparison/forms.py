"""One form beside the other, field by field."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from engine.bpmn.graph import Field
from engine.comparison.fields import matched_fields, matched_options
from engine.comparison.findings import Frame, Written, basis_words, differs, shown
from engine.comparison.model import Difference, Step
from engine.comparison.quotations import Said, pictured, said
from engine.comparison.sentences import Words, joined, templates
from engine.comparison.steps import words

_DECISION = ("decision.result", "decision.opinion")


def form(frame: Frame, a: Step, b: Step, refusal: Difference | None) -> Iterator[Difference]:
    """In what two forms differ, the words aside. `refusal`: that only one of the steps may refuse."""
    pairs = matched_fields(a.fields, b.fields)
    for one, other in pairs:
        yield from _changed(frame, a, b, one, other, refusal)
    for step, paired in ((a, [one for one, _ in pairs]), (b, [other for _, other in pairs])):
        for item in step.fields:
            if all(item is not other for other in paired):
                yield _only(frame, a, b, step, item, refusal)
    yield from _order(frame, a, b, pairs)


def _order(frame: Frame, a: Step, b: Step, pairs: list[tuple[Field, Field]]) -> Iterator[Difference]:
    theirs = [item for item in b.fields if any(item is other for _, other in pairs)]
    if theirs != [other for _, other in pairs]:
        yield frame.difference(
            "form", "form.order", frame.concerned(a, b), [a], [b],
            said=(said(frame.a, a, "form"), said(frame.b, b, "form")),
            values={"step": shown(a), "x": tuple(words(one) for one, _ in pairs), "y": tuple(map(words, theirs))},
        )  # fmt: skip


def _only(frame: Frame, a: Step, b: Step, step: Step, item: Field, refusal: Difference | None) -> Difference:
    """A field of one form alone. Where a picture of the other document shows it too, that is said."""
    side, other, its = (frame.a, frame.b, b) if step is a else (frame.b, frame.a, a)
    stated = Said(item.clauses or step.clauses[:1], item.basis)
    picture = pictured(other, its, item.name)
    silent = Said((picture,), "picture") if picture else None
    return frame.difference(
        "form", "form.pictured" if picture else "form", frame.concerned(a, b), [a], [b],
        said=(stated, silent) if step is a else (silent, stated),
        values={"step": shown(step), "field": words(item), "need": _need(item),
                "has": side.label, "lacks": other.label},
        cause=refusal if item.binds in _DECISION else None,
        elements=([a.id, item.id], [b.id]) if step is a else ([a.id], [b.id, item.id]),
    )  # fmt: skip


def _changed(
    frame: Frame, a: Step, b: Step, one: Field, other: Field, refusal: Difference | None
) -> Iterator[Difference]:
    both = zip(_asks(one, {}), _asks(other, frame.names), strict=True)
    aspects = [(mine, theirs) for mine, theirs in both if mine[0] != theirs[0]]
    if aspects:
        yield frame.difference(
            "form", "form.changed", frame.concerned(a, b), [a], [b],
            said=(Said(one.clauses or a.clauses[:1], one.basis), Said(other.clauses or b.clauses[:1], other.basis)),
            values={"step": shown(a), "field_x": words(one), "field_y": words(other),
                    "x": tuple(mine[1] for mine, _ in aspects), "y": tuple(theirs[1] for _, theirs in aspects)},
            cause=refusal if one.binds in _DECISION else None,
            elements=([a.id, one.id], [b.id, other.id]),
        )  # fmt: skip


# What a field asks for -------------------------------------------------------------------------------------------


def _asks(item: Field, names: Mapping[str, str]) -> list[tuple[object, Words]]:
    """Each thing that is compared, and the words for it."""
    options = ", ".join(option.label("en") for option in item.options)
    kind = templates().get(f"type.{item.type}", Words(item.type))
    binds = templates().get(f"binds.{item.binds}", Words(item.binds or "—"))
    lines = templates()["field.many_lines" if item.multiline else "field.one_line"]
    limits = (item.minimum, item.maximum, item.max_length)
    return [
        ((item.required, renamed(item.required_when, names)), joined(_need(item))),
        (item.type, kind),
        (item.binds, binds),
        (len(item.options), Words("、".join(option.name for option in item.options) or "—", options)),
        (limits, _limits(item)),
        (renamed(item.visible, names), Words(item.visible or "—")),
        (item.default, Words(item.default or "—")),
        (item.multiline, lines),
    ]


def _need(item: Field) -> tuple[Words, ...]:
    """Whether it must be filled in, and how sure that is."""
    need = "required" if item.required else "conditional" if item.required_when else "optional"
    return (templates()[f"need.{need}"], *([basis_words(item.basis)] if item.basis != "text" else []))


def _limits(item: Field) -> Words:
    given = {"least": item.minimum, "most": item.maximum, "length": item.max_length}
    parts = [
        Words(pattern.zh.format(number=number), pattern.en.format(number=number))
        for name, number in given.items()
        if number is not None
        for pattern in [templates()[f"field.{name}"]]
    ]
    return joined(tuple(parts)) if parts else templates()["field.unlimited"]


_TOKEN = re.compile(r'"[^"]*"|\'[^\']*\'|[A-Za-z_]\w*')


def renamed(expression: str, names: Mapping[str, str]) -> str:
    """An expression in which fields and options go by the names that they have on the other side."""
    return _TOKEN.sub(lambda found: names.get(found[0], found[0]), " ".join(expression.split()))


def field_words(a: Step, b: Step) -> Iterator[tuple[Written, Written]]:
    """Labels of fields and of their options that are written otherwise."""
    for one, other in matched_fields(a.fields, b.fields):
        pairs = [(words(one), words(other))] if one.binds == other.binds else []
        options = matched_options(one, other)
        pairs += [(Words(mine.name, mine.name_en), Words(theirs.name, theirs.name_en)) for mine, theirs in options]
        for mine, theirs in pairs:
            if differs(mine, theirs):
                yield Written(mine, one.clauses, one.basis), Written(theirs, other.clauses, other.basis)
