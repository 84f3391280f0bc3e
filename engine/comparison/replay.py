"""A real case replayed on the states of its procedure: which way it went, and where it left the procedure.

Given is only what people did, in time. What happens by itself between two steps (messages, timers, services) is found:
of all ways that fit, the shortest.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from engine.comparison.behaviour.space import Edge, Space

# Kinds of moves that nobody makes.
_SILENT = frozenset({"start", "deliver", "record", "resume", "fire"})


@dataclass(frozen=True)
class Done:
    """A step that somebody did: its pool by its name in the space, and the answer that decided, if one did."""

    pool: str
    element: str
    # The variable of the decision and its value; empty where the step decides nothing.
    variable: str = ""
    value: str | None = None


@dataclass(frozen=True)
class Deviation:
    """Where a case did not do what its procedure does.

    skipped: a step was done before others that come first (`expected`). unexpected: the procedure does not come to it.
    unfinished: the case ended where the procedure does not. elsewhere: other steps wait than the procedure has waiting
    (`expected`).
    """

    kind: str
    pool: str
    element: str
    expected: tuple[str, ...] = ()


@dataclass(frozen=True)
class Passed:
    """A move of the replay: the nodes and flows passed, and the step behind it by its number; None for what came by
    itself after the last step."""

    pool: str
    elements: tuple[str, ...]
    step: int | None


@dataclass(frozen=True)
class Replayed:
    moves: tuple[Passed, ...]
    deviations: tuple[Deviation, ...]


@dataclass(frozen=True)
class _Trail:
    """A state, and the moves to it."""

    state: int
    before: _Trail | None = None
    edge: Edge | None = None
    step: int | None = None


class Replayer:
    def __init__(self, space: Space) -> None:
        self.space = space

    def replay(
        self,
        steps: Sequence[Done],
        *,
        outcome: str | None = None,
        waiting: Iterable[tuple[str, str]] | None = None,
    ) -> Replayed:
        """What a case did, held against the procedure. `outcome` is that of a case which has ended as its procedure
        ends; `waiting` are the steps, by pool and element, that wait in one which has not."""
        here = [_Trail(0)]
        deviations = []
        for number, step in enumerate(steps):
            reached = self._do(here, step, number)
            if not reached:
                deviation, reached = self._leave(here, step, number)
                deviations.append(deviation)
            here = reached
        if outcome is not None:
            last = next((trail for trail in self._silently(here) if self._ends(trail.state, outcome)), None)
            if last is None:
                deviations.append(Deviation("unfinished", "", "", self._expected(here)))
        elif waiting is not None:
            wanted = frozenset(waiting)
            last = next((trail for trail in self._silently(here) if self._waits(trail.state) == wanted), None)
            if last is None:
                deviations.append(Deviation("elsewhere", "", "", self._expected(here)))
        else:
            last = here[0]
        return Replayed(tuple(self._moves(last or here[0])), tuple(deviations))

    # Going on

    def _do(self, here: Sequence[_Trail], step: Done, number: int) -> list[_Trail]:
        """Where a case may stand after a step; nothing where none of its states comes to it by itself."""
        found: dict[int, _Trail] = {}
        for trail in self._silently(here):
            for edge in self._of(trail.state, step):
                found.setdefault(edge.target, _Trail(edge.target, trail, edge, number))
        return list(found.values())

    def _of(self, state: int, step: Done) -> list[Edge]:
        """The moves that a step may make from a state. Answers that nothing tells apart are one move, with the first
        of them."""
        known = [edge for edge in self.space.edges[state] if self._is_by(edge, step)]
        return [edge for edge in known if _says(edge, step)] or known

    def _is_by(self, edge: Edge, step: Done) -> bool:
        return (edge.kind, self.space.name(edge.pool), self._element(edge)) == ("complete", step.pool, step.element)

    def _silently(self, here: Iterable[_Trail]) -> list[_Trail]:
        """All that may come by itself, the nearest first."""
        found: dict[int, _Trail] = {}
        ahead = deque(here)
        while ahead:
            trail = ahead.popleft()
            if trail.state in found:
                continue
            found[trail.state] = trail
            ahead += [
                _Trail(edge.target, trail, edge, trail.step)
                for edge in self.space.edges[trail.state]
                if edge.kind in _SILENT
            ]
        return list(found.values())

    # Leaving the procedure

    def _leave(self, here: Sequence[_Trail], step: Done, number: int) -> tuple[Deviation, list[_Trail]]:
        """What to say of a step that does not follow, and where the case then stands."""
        seen = {trail.state for trail in here}
        ahead: deque[tuple[_Trail, tuple[str, ...]]] = deque((trail, ()) for trail in here)
        while ahead:
            trail, skipped = ahead.popleft()
            reached = self._do([trail], step, number)
            if reached:
                return Deviation("skipped", step.pool, step.element, skipped), reached
            for edge in self.space.edges[trail.state]:
                if edge.target not in seen:
                    seen.add(edge.target)
                    more = (self._element(edge),) if edge.kind == "complete" else ()
                    ahead.append((_Trail(edge.target, trail, edge, trail.step), skipped + more))
        return Deviation("unexpected", step.pool, step.element, self._expected(here)), list(here)

    def _expected(self, here: Iterable[_Trail]) -> tuple[str, ...]:
        """The steps that wait in any of these states."""
        return tuple(sorted({element for trail in here for _, element in self._waits(trail.state)}))

    # States

    def _ends(self, state: int, outcome: str) -> bool:
        said = self.space.outcome(state)
        return not self.space.edges[state] and self.space.is_over(state) and (said is None or said == outcome)

    def _waits(self, state: int) -> frozenset[tuple[str, str]]:
        return frozenset(
            (self.space.name(edge.pool), self._element(edge))
            for edge in self.space.edges[state]
            if edge.kind == "complete"
        )

    def _element(self, edge: Edge) -> str:
        return self.space.nets[edge.pool].places[edge.place].node.id

    def _moves(self, trail: _Trail | None) -> list[Passed]:
        found = []
        while trail is not None and trail.edge is not None:
            found.append(Passed(self.space.name(trail.edge.pool), trail.edge.path, trail.step))
            trail = trail.before
        return found[::-1]


def _says(edge: Edge, step: Done) -> bool:
    """Whether a move may have been made by the step's answer."""
    said = {answer.name: answer.value for answer in edge.answers if answer.element == step.element}
    return step.value is None or said.get(step.variable, step.value) == step.value
