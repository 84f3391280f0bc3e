"""What follows from the differences: who acts first, who must agree, how often a case changes hands, how many steps.

Each names the difference that brings it about, and is never counted beside it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from engine.comparison.findings import Frame, party_words, place
from engine.comparison.model import GUARDIAN, Difference, Side, Step
from engine.comparison.quotations import Said
from engine.comparison.sentences import Value, Words
from engine.comparison.steps import weakest


def consequences(frame: Frame, found: Sequence[Difference]) -> Iterator[Difference]:
    """What follows from these differences."""
    yield from _agreement(frame, found)
    yield from _first_actors(frame, found)
    yield from _handoffs(frame, found)
    yield from _count(frame, found)


def _cause(
    found: Sequence[Difference], kinds: Sequence[str], steps: tuple[Sequence[Step], Sequence[Step]] | None = None
) -> Difference | None:
    """The difference that brings something about: the first kind that there is, about these steps of a or of b."""
    mine, theirs = ({step.id for step in half} for half in steps or ((), ()))
    for kind in kinds:
        for difference in found:
            about = steps is None or mine & set(difference.a) or theirs & set(difference.b)
            if difference.kind == kind and not difference.cause and about:
                return difference
    return None


def _said(steps: Sequence[Step]) -> Said:
    clauses = tuple(dict.fromkeys(step.clauses[0] for step in steps if step.clauses))
    return Said(clauses, weakest([step.basis for step in steps]))


def _agreement(frame: Frame, found: Sequence[Difference]) -> Iterator[Difference]:
    """Who has to decide before a case comes to its end."""
    sides = (sorted(side.steps, key=place) for side in (frame.a, frame.b))
    deciding = [[step for step in steps if step.kind == "decide"] for steps in sides]
    mine, theirs = (list(dict.fromkeys(frame.party(step) for step in steps)) for steps in deciding)
    kinds = ("refusal", "moved", "removed", "added", "merged", "split", "channel")
    cause = _cause(found, kinds, (deciding[0], deciding[1]))
    if set(mine) != set(theirs) and cause:
        yield frame.difference(
            "agreement", "agreement", cause.party, said=(_said(deciding[0]), _said(deciding[1])), cause=cause,
            values={"x": _acting(deciding[0]), "y": _acting(deciding[1]), "count_x": len(mine), "count_y": len(theirs)},
        )  # fmt: skip


def _acting(steps: Sequence[Step]) -> tuple[Words, ...]:
    return tuple(dict.fromkeys(party_words(step.party) for step in steps))


def _first_actors(frame: Frame, found: Sequence[Difference]) -> Iterator[Difference]:
    """Who is the first to do something on each side of the transfer."""
    for side in ("receiving", "releasing"):
        mine, theirs = (_first(half, side) for half in (frame.a, frame.b))
        if mine and theirs and frame.party(mine) != frame.party(theirs):
            cause = _cause(found, ("moved", "removed", "added", "reordered", "merged", "split"), ([mine], [theirs]))
            if cause:
                yield frame.difference(
                    "first_actor", f"first_actor.{side}", frame.concerned(mine, theirs), [mine], [theirs],
                    said=(_said([mine]), _said([theirs])), cause=cause,
                    values={"x": party_words(mine.party), "y": party_words(theirs.party)},
                )  # fmt: skip


def _first(side: Side, half: str) -> Step | None:
    return next((step for step in sorted(side.steps, key=place) if step.side == half and step.is_human), None)


def _handoffs(frame: Frame, found: Sequence[Difference]) -> Iterator[Difference]:
    mine, theirs = handoffs(frame.a), handoffs(frame.b)
    cause = _cause(found, ("moved", "removed", "added", "reordered", "merged", "split", "message"))
    if len(mine) != len(theirs) and cause:
        yield _numbers(frame, "handoffs", len(mine), len(theirs), cause)


def handoffs(side: Side) -> set[tuple[str, str]]:
    """The steps of people between which a case changes hands, along the lines and through the messages."""
    people = {step.id for step in side.steps if step.is_human}
    after = _led_on(side)
    return {
        (step.id, other)
        for step in side.steps
        if step.id in people
        for other in _people_next(after, people, step.id)
        if side.by_id[other].party != step.party
    }


def _led_on(side: Side) -> dict[str, set[str]]:
    """What follows each step. Whoever waits for a message has the case from its sender, not along the drawn line."""
    reading: dict[str, set[str]] = {}
    for step in side.steps:
        if step.message and step.kind != "send":
            reading.setdefault(step.message, set()).add(step.id)
    sent = {step.id: reading.get(step.message, set()) for step in side.steps if step.kind == "send" and step.message}
    awaited = set().union(*sent.values()) if sent else set()
    return {step.id: (set(step.after) - awaited) | sent.get(step.id, set()) for step in side.steps}


def _people_next(after: dict[str, set[str]], people: set[str], start: str) -> set[str]:
    """The steps of people that come next, past all that happens by itself."""
    found: set[str] = set()
    seen, waiting = {start}, [start]
    while waiting:
        for other in after[waiting.pop()] - seen:
            seen.add(other)
            if other in people:
                found.add(other)
            else:
                waiting.append(other)
    return found


def _count(frame: Frame, found: Sequence[Difference]) -> Iterator[Difference]:
    mine, theirs = count(frame.a), count(frame.b)
    cause = _cause(found, ("merged", "split", "removed", "added"))
    if mine != theirs and cause:
        yield _numbers(frame, "steps", mine, theirs, cause)


def count(side: Side) -> int:
    """How many steps a procedure has for people, as its document counts them: by their first clauses."""
    people = [step for step in side.steps if step.is_human or step.party == GUARDIAN]
    return len({step.clauses[0] if step.clauses else step.id for step in people})


def _numbers(frame: Frame, kind: str, x: int, y: int, cause: Difference) -> Difference:
    values: dict[str, Value] = {"x": x, "y": y}
    stated = Said((), "inferred" if kind == "handoffs" else "text")
    return frame.difference(kind, kind, "", said=(stated, stated), values=values, cause=cause)
