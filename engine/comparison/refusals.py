"""Who can stop a case: party by party, whether it may refuse, whether it must say why, and where that is recorded.

Read from the steps, so that it can be shown where it stands; that each of them does stop a case is shown by its runs.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from engine.bpmn.graph import PARTIES
from engine.comparison.findings import party_words, place
from engine.comparison.model import Side, Step
from engine.comparison.sentences import Words, joined, templates
from engine.comparison.steps import words

# Checks that the system does by itself.
SYSTEM = "system"


@dataclass(frozen=True)
class Refusal:
    """One step in which somebody may refuse."""

    step: Step
    reasons: bool
    # Where it is recorded: the fields of the step, or in which manner it is done where it has none.
    recorded: Words
    clauses: tuple[str, ...]
    basis: str


@dataclass(frozen=True)
class Party:
    """One party, and where it may refuse on each side; `None` where it does nothing there at all."""

    key: str
    label: Words
    a: tuple[Refusal, ...] | None
    b: tuple[Refusal, ...] | None


def refusals(a: Side, b: Side, names: Mapping[str, str]) -> list[Party]:
    """Every party that does anything on one of the sides. `names` are those of b as a has them, where they differ."""
    mine, theirs = _by_party(a, {}), _by_party(b, names)
    keys = sorted({**mine, **theirs}, key=_place)
    return [Party(key, _label(key), mine.get(key), theirs.get(key)) for key in keys]


def _by_party(side: Side, names: Mapping[str, str]) -> dict[str, tuple[Refusal, ...]]:
    found: dict[str, list[Refusal]] = {}
    for step in sorted(side.steps, key=place):
        if step.is_human:
            found.setdefault(names.get(step.party, step.party), []).extend(_refusals(step))
        elif step.kind == "check":
            found.setdefault(SYSTEM, []).extend(_refusals(step))
    return {party: tuple(refused) for party, refused in found.items()}


def _refusals(step: Step) -> Iterator[Refusal]:
    if step.decision and step.decision.may_refuse:
        decision = step.decision
        yield Refusal(step, decision.reasons, _recorded(step), decision.clauses, decision.basis)


def _recorded(step: Step) -> Words:
    deciding = [words(field) for field in step.fields if field.binds.startswith("decision.")]
    return joined(deciding or [words(field) for field in step.fields] or [templates()[f"channel.{step.channel}"]])


def _label(key: str) -> Words:
    return templates()["party.system"] if key == SYSTEM else party_words(key)


def _place(key: str) -> tuple[int, str]:
    order: Sequence[str] = (*PARTIES, SYSTEM)
    return (order.index(key) if key in order else len(order), key)
