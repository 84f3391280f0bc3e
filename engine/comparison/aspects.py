"""One step beside the other: in what the two differ, each thing under its own kind.

What follows from a greater change is listed under it: a step that another party does is found in that party's menu,
and a decision that can not be refused has no field for the reasons.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

from engine.bpmn import expressions
from engine.bpmn.expressions import BadExpression
from engine.comparison.fields import matched_fields
from engine.comparison.findings import Frame, Written, basis_words, differs, party_words, shown
from engine.comparison.forms import field_words, form, renamed
from engine.comparison.model import GUARDIAN, Difference, Folded, Grounded, Reminder, Side, Step
from engine.comparison.quotations import Said, said, said_menu, where
from engine.comparison.sentences import LOCALES, NOTHING, Value, Words, templates
from engine.comparison.steps import weakest
from engine.comparison.wording import likeness

# Below it, two labels of a step that has moved are no two wordings of one thing.
_ONE_WORDING = 0.9


def aspects(frame: Frame, a: Step, b: Step) -> list[Difference]:
    """All in which two steps that do the same work differ."""
    moved = list(_moved(frame, a, b))
    refusal = list(_refusal(frame, a, b))
    reasons = [] if refusal else list(_reasons(frame, a, b))
    by_move, by_refusal = (found[0] if found else None for found in (moved, [*refusal, *reasons]))
    return [
        *moved,
        *refusal,
        *reasons,
        *_refusal_messages(frame, a, b, by_refusal),
        *_condition(frame, a, b, by_refusal),
        *_channel(frame, a, b),
        *_service(frame, a, b),
        *_duty(frame, a, b, by_move),
        *_at_the_desk(frame, a, b, by_move),
        *_outcome(frame, a, b),
        *_message(frame, a, b),
        *_contacts(frame, a, b),
        *form(frame, a, b, by_refusal),
        *_clause(frame, a, b),
        *_reworded(frame, a, b, bool(moved)),
    ]


def _moved(frame: Frame, a: Step, b: Step) -> Iterator[Difference]:
    parties = frame.party(a), frame.party(b)
    # Who applies is drawn by a line from outside; its loss is a message less.
    if parties[0] != parties[1] and all(parties) and not (a.kind == "start" and GUARDIAN in parties):
        yield frame.difference(
            "moved", "moved", frame.concerned(a, b), [a], [b],
            said=(said(frame.a, a, "moved"), said(frame.b, b, "moved")),
            values={"x": shown(a), "y": shown(b), "party_x": frame.acts(a), "party_y": frame.acts(b)},
        )  # fmt: skip


def _refusal(frame: Frame, a: Step, b: Step) -> Iterator[Difference]:
    if a.may_refuse == b.may_refuse:
        return
    step, side = (a, frame.a) if a.may_refuse else (b, frame.b)
    assert step.decision is not None
    reasons = templates()["refusal.reasons" if step.decision.reasons else "refusal.no_reasons"]
    # A step that a machine decides has no clause and no one who refuses.
    stated = said(side, step, "refusal", step.decision.clauses, step.decision.basis)
    yield frame.difference(
        "refusal", "refusal", step.party, [a], [b],
        said=(stated, None) if a.may_refuse else (None, stated),
        values={"step": shown(step), "reasons": reasons},
    )  # fmt: skip


def _reasons(frame: Frame, a: Step, b: Step) -> Iterator[Difference]:
    if a.decision is None or b.decision is None or a.decision.reasons == b.decision.reasons:
        return
    step, side = (a, frame.a) if a.decision.reasons else (b, frame.b)
    assert step.decision is not None
    stated = said(side, step, "reasons", step.decision.clauses, step.decision.basis)
    yield frame.difference(
        "reasons", "reasons", frame.concerned(a, b), [a], [b],
        said=(stated, None) if step is a else (None, stated), values={"step": shown(step)},
    )  # fmt: skip


def _refusal_messages(frame: Frame, a: Step, b: Step, cause: Difference | None) -> Iterator[Difference]:
    mine, theirs = (set(step.decision.messages) if step.decision else set[str]() for step in (a, b))
    for message in sorted(mine ^ theirs):
        step, side = (a, frame.a) if message in mine else (b, frame.b)
        assert step.decision is not None
        stated = said(side, step, "refusal", step.decision.clauses, step.decision.basis)
        yield frame.difference(
            "message", "message.refusal", frame.concerned(a, b), [a], [b],
            said=(stated, None) if step is a else (None, stated),
            values={"step": shown(step), "message": message_words(message)}, cause=cause, about=message,
        )  # fmt: skip


def _condition(frame: Frame, a: Step, b: Step, cause: Difference | None) -> Iterator[Difference]:
    """On what it depends where a case goes from here. That only one side may refuse is told already."""
    if cause is None and _ways(a, {}) != _ways(b, frame.names):
        mine, theirs = (_ways(step, _labels(side)) for side, step in ((frame.a, a), (frame.b, b)))
        stated = said(frame.a, a, "refusal"), said(frame.b, b, "refusal")
        yield from _contrast(frame, "condition", (a, b), mine, theirs, stated, None)


def _ways(step: Step, names: Mapping[str, str]) -> tuple[str, ...]:
    """The conditions of the ways out. Where they lead is compared as the order of the steps."""
    if step.decision is None:
        return ()
    ways = step.decision.ways
    return tuple(
        sorted(f"{renamed(condition, names) or '*'} → {'…' if targets else '×'}" for condition, targets in ways)
    )


def _labels(side: Side) -> dict[str, str]:
    """What conditions speak of, in the words of the forms."""
    items = [item for step in side.steps for item in step.fields]
    options = {f'"{option.id}"': option.name for item in items for option in item.options}
    return {item.id: item.name or item.id for item in items} | options


def _channel(frame: Frame, a: Step, b: Step) -> Iterator[Difference]:
    if a.channel != b.channel and a.kind != "start" and "unstated" not in (a.channel, b.channel):
        yield frame.difference(
            "channel", "channel", frame.concerned(a, b), [a], [b],
            said=(said(frame.a, a, "channel"), said(frame.b, b, "channel")),
            values={"x": shown(a), "y": shown(b), "how_x": templates()[f"channel.{a.channel}"],
                    "how_y": templates()[f"channel.{b.channel}"]},
        )  # fmt: skip


def _service(frame: Frame, a: Step, b: Step) -> Iterator[Difference]:
    x, y = (tuple(map(_service_words, step.does.split())) for step in (a, b))
    stated = said(frame.a, a, "service"), said(frame.b, b, "service")
    if x and y:
        yield from _contrast(frame, "service", (a, b), x, y, stated, None)


def _service_words(word: str) -> Words:
    """A part of what a service does: its topic, a party, or the word for a notice."""
    known = templates()
    return known.get(f"topic.{word}") or known.get(f"party.{word}") or Words(word)


def _duty(frame: Frame, a: Step, b: Step, cause: Difference | None) -> Iterator[Difference]:
    if a.duty != b.duty and a.duty and b.duty:
        yield frame.difference(
            "duty", "duty", frame.concerned(a, b), [a], [b],
            said=(said(frame.a, a, "duty"), said(frame.b, b, "duty")),
            values={"step": shown(a), "x": duty_words(a.duty), "y": duty_words(b.duty)}, cause=cause,
        )  # fmt: skip


def duty_words(duty: str) -> Words:
    """A duty by its name on the pages."""
    return templates().get(f"duty.{duty}", Words(duty))


# What holds for all that is done at one desk in one act ------------------------------------------------------------


def _at_the_desk(frame: Frame, a: Step, b: Step, cause: Difference | None) -> Iterator[Difference]:
    """Deadline, reminders, batch and menu.

    A step that is done in one act with others shares theirs. Where the acts of both sides are the same, each step is
    compared by itself, and what holds for the whole act is said once, of its last step. Where they are not, a
    difference counts only if the whole acts differ too.
    """
    acts = _act(frame.a, a), _act(frame.b, b)
    alike = [frame.counterpart.get(step.id) for step in acts[0]] == [step.id for step in acts[1]]
    last = [acts[0][-1]], [acts[1][-1]]
    for kind, value, stated in _SHARED:
        own, whole = (value([a]), value([b])), (value(acts[0]), value(acts[1]))
        if own[0] == own[1] or (not alike and whole[0] == whole[1]):
            continue
        if alike and last[0] != [a] and (value(last[0]), value(last[1])) == own:
            continue
        x, y = own if alike else whole
        both = stated(frame.a, [a] if own[0] else acts[0]), stated(frame.b, [b] if own[1] else acts[1])
        yield from _contrast(frame, kind, (a, b), x, y, both, cause)


def _act(side: Side, step: Step) -> list[Step]:
    return [side.by_id[member] for member in step.act] or [step]


def _contrast(
    frame: Frame,
    kind: str,
    pair: tuple[Step, Step],
    x: Value,
    y: Value,
    stated: tuple[Said, Said],
    cause: Difference | None,
    template: str = "",
) -> Iterator[Difference]:
    """A value that both give, or one does. An empty one is none."""
    if x != y:
        yield frame.difference(
            kind, template or kind, frame.concerned(*pair), [pair[0]], [pair[1]],
            said=(stated[0] if x else None, stated[1] if y else None),
            values={"step": shown(pair[0] if x else pair[1]), "x": x or y, "y": y}, cause=cause,
        )  # fmt: skip


def _deadlines(act: Sequence[Step]) -> tuple[Words, ...]:
    return tuple(map(days, sorted({step.deadline for step in act if step.deadline})))


def days(deadline: str) -> Words:
    """A deadline in words."""
    if not deadline.isdecimal():
        return Words(deadline)
    found = templates()["days"]
    return Words(found.zh.format(days=deadline), found.en.format(days=deadline))


def _reminders(act: Sequence[Step]) -> tuple[Words, ...]:
    found = {reminder for step in act for reminder in step.reminders}
    return tuple(map(_reminder_words, sorted(found, key=lambda item: (item.day, item.does, item.interrupting))))


def _reminder_words(reminder: Reminder) -> Words:
    when = _when(reminder.day)
    # What a notice is about has names of its own in the diagram; that it is sent says enough.
    does = [known for word in reminder.does.split() if (known := templates().get(f"topic.{word}"))]
    stops = templates()["reminder.interrupts"] if reminder.interrupting else NOTHING
    zh, en = (" ".join(filter(None, [item.text(locale) for item in (when, *does, stops)])) for locale in LOCALES)
    return Words(zh, en)


def _when(day: str) -> Words:
    """The day of a timer in words, where it is counted from the due day."""
    try:
        shift = expressions.due_shift(day)
    except BadExpression:
        return Words(day)
    pattern = templates()["reminder.on" if shift == 0 else "reminder.before" if shift < 0 else "reminder.after"]
    return Words(pattern.zh.format(days=abs(shift)), pattern.en.format(days=abs(shift)))


def _said_reminder(side: Side, act: Sequence[Step]) -> Said:
    timers = [item for step in act for item in step.folded if item.role.startswith("timer")]
    clauses = tuple(dict.fromkeys(clause for item in timers for clause in item.clauses))
    return Said(clauses, weakest([item.basis for item in timers]))


def _batch(act: Sequence[Step]) -> tuple[Words, ...]:
    """Whether several cases may be done at once: only if that holds for each step of the act."""
    return (templates()["batch"],) if all(step.batch for step in act) else ()


def _menus(act: Sequence[Step]) -> tuple[Words, ...]:
    return tuple(dict.fromkeys(step.menu for step in act if step.menu.zh))


# Each with its value in an act, and where that is said.
_SHARED: tuple[
    tuple[str, Callable[[Sequence[Step]], tuple[Words, ...]], Callable[[Side, Sequence[Step]], Said]], ...
] = (
    ("deadline", _deadlines, lambda side, act: said(side, act[-1], "deadline")),
    ("reminder", _reminders, _said_reminder),
    ("batch", _batch, lambda side, act: said(side, act[-1], "batch")),
    ("menu", _menus, said_menu),
)


# Messages --------------------------------------------------------------------------------------------------------


def _outcome(frame: Frame, a: Step, b: Step) -> Iterator[Difference]:
    x, y = (tuple(templates().get(f"outcome.{word}", Words(word)) for word in step.outcome.split()) for step in (a, b))
    stated = said(frame.a, a, "outcome"), said(frame.b, b, "outcome")
    yield from _contrast(frame, "outcome", (a, b), x, y, stated, None)


def _message(frame: Frame, a: Step, b: Step) -> Iterator[Difference]:
    """Another message at the same place."""
    x, y = (message_words(step.message) if step.message else "" for step in (a, b))
    stated = said(frame.a, a, "message"), said(frame.b, b, "message")
    yield from _contrast(frame, "message", (a, b), x, y, stated, None, template="message.name")


def _contacts(frame: Frame, a: Step, b: Step) -> Iterator[Difference]:
    """Whom a step tells, and from whom it hears, outside the pools."""
    mine, theirs = set(a.contacts), {(way, frame.matching.parties.get(name, name)) for way, name in b.contacts}
    for way, name in sorted(mine ^ theirs):
        step, side = (a, frame.a) if (way, name) in mine else (b, frame.b)
        stated = said(side, step, "message")
        yield frame.difference(
            "message", f"message.{way}", frame.concerned(a, b), [a], [b],
            said=(stated, None) if step is a else (None, stated),
            values={"step": shown(step), "other": party_words(name)}, about=name,
        )  # fmt: skip


def message_words(message: str) -> Words:
    """A message by its name in the contract, or a service by its topic."""
    known = templates()
    return known.get(f"message.{message}") or known.get(f"topic.{message.split(' ')[0]}") or Words(message)


# Words -----------------------------------------------------------------------------------------------------------


def _clause(frame: Frame, a: Step, b: Step) -> Iterator[Difference]:
    """Another sentence, or another basis, under the same document."""
    if not frame.same_document:
        return
    pairs = [(_grounds(one), _grounds(other)) for one, other in _beside(a, b)]
    if any(one != other for one, other in pairs):
        x, y = (tuple(pair[half] for pair in pairs if pair[0] != pair[1]) for half in (0, 1))
        stated = Said(a.clauses, a.basis), Said(b.clauses, b.basis)
        yield from _contrast(frame, "clause", (a, b), x, y, stated, None)


def _beside(a: Step, b: Step) -> Iterator[tuple[Grounded, Grounded]]:
    """Two steps, and all within them that stands for the same."""
    yield a, b
    yield from same_role(a.folded, b.folded)
    yield from matched_fields(a.fields, b.fields)


def _grounds(item: Grounded) -> Words:
    basis = basis_words(item.basis)
    clauses = "、".join(item.clauses) or "—"
    return Words(f"{clauses}（{basis.zh}）", f"{clauses} ({basis.en})")


def _reworded(frame: Frame, a: Step, b: Step, moved: bool) -> Iterator[Difference]:
    """All words of a step that are written otherwise, in one finding."""
    pairs = list(_word_pairs(frame, a, b, moved))
    found = {(one.words.zh, other.words.zh): (one, other) for one, other in reversed(pairs)}
    if pairs := list(reversed(found.values())):
        mine, theirs = ([pair[half] for pair in pairs] for half in (0, 1))
        yield frame.difference(
            "reworded", "reworded", frame.concerned(a, b), [a], [b],
            said=(_said_in(mine, a), _said_in(theirs, b)),
            values={"step": shown(a), "pairs": tuple(_as_pair(one.words, other.words) for one, other in pairs)},
        )  # fmt: skip


def _word_pairs(frame: Frame, a: Step, b: Step, moved: bool) -> Iterator[tuple[Written, Written]]:
    if differs(a.label, b.label) and not (moved and likeness(a.label.zh, b.label.zh) < _ONE_WORDING):
        yield _written(frame.a, a), _written(frame.b, b)
    for one, other in same_role(a.folded, b.folded):
        if differs(one.label, other.label):
            yield _written(frame.a, one), _written(frame.b, other)
    yield from field_words(a, b)


def _written(side: Side, item: Step | Folded) -> Written:
    return Written(item.label, where(side, item.label.zh, item.clauses), item.basis)


def same_role(mine: Sequence[Folded], theirs: Sequence[Folded]) -> Iterator[tuple[Folded, Folded]]:
    """What is folded into two steps in the same way."""
    for role in dict.fromkeys(item.role for item in mine):
        halves = [[item for item in folded if item.role == role] for folded in (mine, theirs)]
        if len(halves[0]) == len(halves[1]):
            yield from zip(*halves, strict=True)


def _said_in(written: Sequence[Written], step: Step) -> Said:
    """Where the words stand; the document's own words count for more than ours."""
    bases = {item.basis for item in written}
    clauses = tuple(dict.fromkeys(clause for item in written for clause in item.clauses))
    return Said(clauses or step.clauses[:1], "text" if "text" in bases else min(bases))


def _as_pair(one: Words, other: Words) -> Words:
    """Two words beside each other; in English too by the Chinese ones, where both were translated alike."""
    pattern = templates()["written"]
    in_english = (one.text("en"), other.text("en"))
    spoken = (one.zh, other.zh) if in_english[0] == in_english[1] else in_english
    return Words(pattern.zh.format(x=one.zh, y=other.zh), pattern.en.format(x=spoken[0], y=spoken[1]))
