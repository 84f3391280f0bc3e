"""In what two procedures are the same, and what neither document says."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from engine.bpmn.catalogue import DOCUMENT_KEYS
from engine.comparison.aspects import days, message_words
from engine.comparison.findings import Frame, basis_words, shown
from engine.comparison.model import Agreement, Difference, Step
from engine.comparison.quotations import OURS, Said, said
from engine.comparison.sentences import Words, templates

_EVENTS = frozenset({"send", "receive", "start"})


def same(frame: Frame, found: Sequence[Difference]) -> Iterator[Agreement]:
    """What both say alike, the document as a whole first, then along the run."""
    yield from _facts(frame)
    differing: dict[str, set[str]] = {}
    for difference in found:
        for element in difference.a:
            differing.setdefault(element, set()).add(difference.kind)
    joined = {step for group in frame.matching.joined for step in group.a}
    for a, b in frame.pairs:
        if a.basis not in OURS and a.id not in joined and not differing.get(a.id, set()) & {"moved", "channel"}:
            yield from _step(frame, a, b, differing.get(a.id, set()))


def _facts(frame: Frame) -> Iterator[Agreement]:
    theirs = {(fact.key, fact.side): fact for fact in frame.b.facts}
    for fact in frame.a.facts:
        other = theirs.get((fact.key, fact.side))
        if other and other.text.zh == fact.text.zh:
            values = {"fact": templates().get(f"fact.{fact.key}", Words(fact.key)), "x": fact.text}
            yield frame.agreement("fact", "", said=(Said(fact.clauses), Said(other.clauses)), values=values)


def _step(frame: Frame, a: Step, b: Step, differing: set[str]) -> Iterator[Agreement]:
    party = frame.concerned(a, b)
    if a.is_human or a.kind in _EVENTS:
        template = "guardian" if a.channel == "guardian" else "step" if a.is_human else "message"
        values = {"step": shown(a), "message": message_words(a.message) if a.message else shown(a)}
        yield _agreed(frame, template, "step", party, a, b, values)
    if a.deadline and a.deadline == b.deadline:
        yield _agreed(frame, "deadline", "deadline", party, a, b, {"step": shown(a), "x": days(a.deadline)})
    if a.may_refuse and b.may_refuse and a.kind == "decide" and not differing & {"reasons", "refusal"}:
        assert a.decision is not None
        reasons = templates()["refusal.reasons" if a.decision.reasons else "refusal.no_reasons"]
        yield _agreed(frame, "refusal", "refusal", party, a, b, {"step": shown(a), "reasons": reasons})


def _agreed(
    frame: Frame, template: str, aspect: str, party: str, a: Step, b: Step, values: Mapping[str, Words]
) -> Agreement:
    return frame.agreement(
        template, party, [a], [b], said=(said(frame.a, a, aspect), said(frame.b, b, aspect)), values=values
    )


def questions(frame: Frame) -> Iterator[Agreement]:
    """What neither document says: facts that both leave out, and steps that rest on our reading alone in both."""
    stated = {fact.key for side in (frame.a, frame.b) for fact in side.facts}
    if stated:
        for key in sorted(DOCUMENT_KEYS - stated):
            yield frame.agreement("unstated", "", said=(Said(), Said()), values={"fact": templates()[f"fact.{key}"]})
    for a, b in frame.pairs:
        if {a.basis, b.basis} <= OURS and a.kind not in ("end", "wait"):
            basis = basis_words(a.basis)
            values = {"step": shown(a), "basis": basis}
            yield frame.agreement("ours", frame.concerned(a, b), [a], [b], said=(Said(), Said()), values=values)
