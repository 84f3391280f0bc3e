"""What the rooms of the comparison hand to each other, and to whoever shows it. Plain data, no rules.

Everything that speaks of two procedures calls them `a` and `b`; ids are those of the elements in the diagrams.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Protocol

from engine.bpmn.graph import Field, ProcessGraph
from engine.comparison.sentences import NOTHING, Value, Words, fill

# The most severe first.
SEVERITIES = ("legal_effect", "who", "order", "form", "wording", "layout")
# differs: both say something, and not the same; unstated: one says nothing of it; inferred: our reading of one.
STANDINGS = ("differs", "unstated", "inferred")
# Who acts outside the two pools.
GUARDIAN = "guardian"


class Sentence(Protocol):
    """One sentence of a document; `modelled` is `yes`, or the reason why no element stands for it."""

    @property
    def clause(self) -> str: ...
    @property
    def text(self) -> str: ...
    @property
    def modelled(self) -> str: ...


@dataclass(frozen=True)
class Decision:
    """What may come of a step behind which the ways part."""

    # Whether one of the ways ends the case.
    may_refuse: bool
    # Whether a refusal must give its reasons.
    reasons: bool
    # Messages that only a refusal sends.
    messages: tuple[str, ...]
    # The ways out: each one's condition, and "refusal" or the ids of the steps that it leads to.
    ways: tuple[tuple[str, tuple[str, ...]], ...]
    # Where the document says that it may be refused, and how sure we are.
    clauses: tuple[str, ...]
    basis: str


@dataclass(frozen=True)
class Reminder:
    """What a timer on the edge of a step does: the day counted from the due day, and the service that it runs."""

    day: str
    does: str
    interrupting: bool


@dataclass(frozen=True)
class Folded:
    """An element that belongs to a step, and what it is to it: `question`, `refusal.way`, `due(-3)` …"""

    role: str
    id: str
    label: Words
    clauses: tuple[str, ...]
    basis: str


@dataclass(frozen=True)
class Step:
    """One step of a procedure, however many elements draw it: what the comparison compares."""

    # The element that stands for it, and all those folded into it: the gateway behind it, its timers, its refusal.
    id: str
    ids: tuple[str, ...]
    # Id of its pool; receiving, releasing, or None in a plain file.
    pool: str
    side: str | None
    # One of the four parties, `owner`, `guardian`, or the name of its lane where nothing else is known.
    party: str
    kind: str
    channel: str
    label: Words
    clauses: tuple[str, ...]
    basis: str
    duty: str = ""
    menu: Words = NOTHING
    batch: bool = False
    # Working days, or the expression as it stands where it is something else; "" for none.
    deadline: str = ""
    reminders: tuple[Reminder, ...] = ()
    fields: tuple[Field, ...] = ()
    decision: Decision | None = None
    # The contract's name of what it sends or awaits.
    message: str = ""
    # What the system does in it by itself: the service's topic, whom it tells, and what.
    does: str = ""
    # What becomes of the case at its end, and whether all else ends with it.
    outcome: str = ""
    # The elements folded into it that carry words: the question behind it, its answers, its timers.
    folded: tuple[Folded, ...] = ()
    # All steps that somebody does in one act with it, in their order; none where it stands for itself.
    act: tuple[str, ...] = ()
    # Whom it hears from and whom it tells outside the pools that are drawn: (in or out, name of that party).
    contacts: tuple[tuple[str, str], ...] = ()
    # Its place in the run of its pool, and the steps directly before and after it there.
    order: int = 0
    before: tuple[str, ...] = ()
    after: tuple[str, ...] = ()

    @property
    def is_human(self) -> bool:
        return self.channel in ("system", "off_system", "unstated")

    @property
    def grounded(self) -> tuple[Grounded, ...]:
        """The step and all within it that may name a clause."""
        return (self, *self.folded, *self.fields)

    @property
    def may_refuse(self) -> bool:
        return self.decision is not None and self.decision.may_refuse


Grounded = Step | Folded | Field


@dataclass(frozen=True)
class Fact:
    """One thing that a document states as a whole, or for one side."""

    key: str
    side: str | None
    holder: str
    text: Words
    clauses: tuple[str, ...]


@dataclass(frozen=True)
class Side:
    """One of the two procedures under comparison."""

    key: str
    label: Words
    graph: ProcessGraph
    # The document, where there is one.
    sentences: Sequence[Sentence] = ()
    steps: tuple[Step, ...] = ()
    facts: tuple[Fact, ...] = ()
    # Where each element is drawn: numbers that mean something only beside those of another drawing.
    layout: Mapping[str, tuple[float, ...]] = field(default_factory=dict, hash=False)

    @cached_property
    def by_id(self) -> dict[str, Step]:
        """Every step by the id of each element that draws it."""
        return {element: step for step in self.steps for element in step.ids}

    @cached_property
    def by_clause(self) -> dict[str, Sentence]:
        return {sentence.clause: sentence for sentence in self.sentences}

    def quote(self, clauses: Sequence[str]) -> list[Sentence]:
        """The sentences of these references, in their order; nothing for those that the document does not have."""
        return [self.by_clause[clause] for clause in clauses if clause in self.by_clause]


@dataclass(frozen=True)
class Match:
    """Steps of one side and those of the other that do the same work, by their ids."""

    a: tuple[str, ...]
    b: tuple[str, ...]
    # From 0 to 1; 1 where the officer has said so.
    confidence: float


@dataclass(frozen=True)
class Move:
    """One event of a run, and all that follows from it without anybody."""

    # start, complete, fire (a timer, or a message from outside), deliver, record (one that nobody awaits), resume.
    kind: str
    # The pool that moves: its side, or its id where it has none. The element at which the event occurs; of a message
    # that is recorded, those of its sender.
    pool: str
    element: str
    # What was chosen: element, variable, value; or element, "", flow where no variable decides.
    answers: tuple[tuple[str, str, str | bool | None], ...] = ()
    # Nodes and flows that the tokens pass, in their order.
    passed: tuple[str, ...] = ()
    # The message delivered or recorded, and the element that sent it; those sent in this move.
    message: str = ""
    sender: str = ""
    sent: tuple[str, ...] = ()
    # Where the tokens of each pool stand afterwards, by its name; an element with two tokens stands there twice.
    tokens: Mapping[str, tuple[str, ...]] = field(default_factory=dict, hash=False)


@dataclass(frozen=True)
class Run:
    """A run that shows a statement, as short as there is one; token by token on both pools."""

    moves: tuple[Move, ...]
    # The procedure in which it is run: a, b; "" outside a comparison.
    side: str = ""

    @property
    def elements(self) -> tuple[str, ...]:
        """The elements that tokens pass, in their order."""
        return tuple(element for move in self.moves for element in move.passed)


@dataclass(frozen=True)
class Difference:
    """One finding. `kind` is one of the closed list in `docs/comparison.md`."""

    kind: str
    severity: str
    # Whom it concerns; "" where it concerns the document as a whole.
    party: str
    a: tuple[str, ...]
    b: tuple[str, ...]
    template: str
    values: Mapping[str, Value] = field(hash=False)
    standing: str
    # Where each document says so.
    clauses_a: tuple[str, ...] = ()
    clauses_b: tuple[str, ...] = ()
    # The weakest basis of what it rests on: text, picture, practice, inferred.
    basis: str = "text"
    run: Run | None = None
    # The key of the difference that brings this one about; None where it stands for itself.
    cause: str | None = None
    # What tells it from others of its kind between the same elements: a fact's key, a message.
    about: str = ""

    @property
    def key(self) -> str:
        """A name that stays the same as long as the two procedures do."""
        return ":".join((self.kind, self.template, "+".join(self.a), "+".join(self.b), self.about))

    def text(self, locale: str) -> str:
        return fill(self.template, self.values, locale)


@dataclass(frozen=True)
class Agreement:
    """Something in which the two are the same."""

    party: str
    a: tuple[str, ...]
    b: tuple[str, ...]
    template: str
    values: Mapping[str, Value] = field(hash=False)
    clauses_a: tuple[str, ...] = ()
    clauses_b: tuple[str, ...] = ()

    def text(self, locale: str) -> str:
        return fill(self.template, self.values, locale)


@dataclass(frozen=True)
class Comparison:
    """All that was found."""

    a: Side
    b: Side
    # Groups of steps, in the order of the procedures; a group without one side has no counterpart there.
    matches: tuple[Match, ...]
    # The pairs within the groups, one step with one.
    pairs: tuple[Match, ...]
    differences: tuple[Difference, ...]
    same: tuple[Agreement, ...]
    # What neither document says.
    questions: tuple[Agreement, ...]
    # Every element of a by the id of the one in b that is drawn for the same.
    elements: Mapping[str, str] = field(hash=False)
    # Elements that differ in nothing but where they are drawn.
    layout_only: int = 0
    # False where the exploration of runs hit its bound.
    decided: bool = True
    # What the parties of b are called in a, where that differs.
    parties: Mapping[str, str] = field(default_factory=dict, hash=False)
