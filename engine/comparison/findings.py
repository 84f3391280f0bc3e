"""How a finding is put together: whom it concerns, who is silent, where it stands, which template says it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from engine.bpmn.graph import PARTIES
from engine.comparison.fields import matched_fields, names
from engine.comparison.matching import Matching
from engine.comparison.model import Agreement, Difference, Side, Step
from engine.comparison.quotations import Said, standing
from engine.comparison.sentences import Value, Words, templates
from engine.comparison.steps import weakest

# Every kind of difference, and how severe it is where nothing else is said; `docs/comparison.md` explains each.
KINDS = {
    "fact": "form", "withdrawal": "legal_effect",
    "removed": "who", "added": "who", "moved": "who", "merged": "order", "split": "order", "reordered": "order",
    "refusal": "legal_effect", "reasons": "legal_effect", "condition": "legal_effect", "outcome": "legal_effect",
    "deadline": "legal_effect", "message": "who", "service": "who", "duty": "who",
    "reminder": "form", "channel": "form", "batch": "form", "form": "form", "clause": "form", "text": "form",
    "menu": "wording", "reworded": "wording",
    "first_actor": "who", "agreement": "legal_effect", "handoffs": "who", "steps": "order",
    "stop": "legal_effect", "result": "legal_effect", "waits": "legal_effect", "occurrence": "legal_effect",
    "sequence": "order", "repetition": "order",
}  # fmt: skip
# What a difference is called when the sides are swapped.
MIRRORED = {"removed": "added", "added": "removed", "merged": "split", "split": "merged"}


@dataclass(frozen=True)
class Written:
    """Words that stand somewhere, with their clauses and basis."""

    words: Words
    clauses: tuple[str, ...]
    basis: str


@dataclass(frozen=True)
class Frame:
    """Two sides that are compared, and what was matched."""

    a: Side
    b: Side
    matching: Matching

    @cached_property
    def counterpart(self) -> Mapping[str, str]:
        """The step of b for each step of a that has one."""
        return {pair.a[0]: pair.b[0] for pair in self.matching.pairs}

    @cached_property
    def pairs(self) -> list[tuple[Step, Step]]:
        found = [(self.a.by_id[one], self.b.by_id[other]) for one, other in self.counterpart.items()]
        return sorted(found, key=lambda pair: place(pair[0]))

    @cached_property
    def names(self) -> Mapping[str, str]:
        """What the fields of b and their options are called in a, as conditions name them."""
        found: dict[str, str] = {}
        for one, other in self.pairs:
            found |= names(matched_fields(one.fields, other.fields))
        return found

    @cached_property
    def same_document(self) -> bool:
        """Whether the clauses of both sides refer to the same sentences."""
        numbers = [{fact.text.zh for fact in side.facts if fact.key == "number"} for side in (self.a, self.b)]
        texts = [{sentence.clause: sentence.text for sentence in side.sentences} for side in (self.a, self.b)]
        return texts[0] == texts[1] and (bool(texts[0]) or (bool(numbers[0]) and numbers[0] == numbers[1]))

    def party(self, step: Step) -> str:
        """Who acts in a step, by the name that the party has in a."""
        return self.matching.parties.get(step.party, step.party) if self._is_of_b(step) else step.party

    def acts(self, step: Step) -> Words:
        """The words for who acts in a step."""
        return party_words(step.party)

    def concerned(self, *steps: Step) -> str:
        """The party that a difference between these steps is listed under, the same from either side."""
        parties = {self.party(step) for step in steps}
        return min(parties, key=lambda party: (PARTIES.index(party) if party in PARTIES else len(PARTIES), party))

    def _is_of_b(self, step: Step) -> bool:
        return self.b.by_id.get(step.id) is step

    def difference(
        self,
        kind: str,
        template: str,
        party: str,
        a: Iterable[Step] = (),
        b: Iterable[Step] = (),
        *,
        said: tuple[Said | None, Said | None],
        values: Mapping[str, Value] | None = None,
        severity: str | None = None,
        cause: Difference | None = None,
        elements: tuple[Sequence[str], Sequence[str]] | None = None,
        about: str = "",
    ) -> Difference:
        """A difference. `said` is None for the side that is silent; the template is then the one that says so."""
        one, other = said
        silent = one is None or other is None
        labels: dict[str, Value] = {"a": self.a.label, "b": self.b.label, "party": party_words(party)}
        if silent:
            has, lacks = (self.a, self.b) if other is None else (self.b, self.a)
            labels |= {"has": has.label, "lacks": lacks.label}
        ids = elements or tuple([element for step in steps for element in step.ids[:1]] for steps in (a, b))
        return Difference(
            kind=kind,
            severity=severity or KINDS[kind],
            party=party,
            a=tuple(ids[0]),
            b=tuple(ids[1]),
            template=f"{template}.{'only' if silent else 'differs'}",
            values=labels | dict(values or {}),
            standing=standing(one, other),
            clauses_a=one.clauses if one else (),
            clauses_b=other.clauses if other else (),
            basis=weakest([item.basis for item in said if item is not None]),
            cause=cause.key if cause else None,
            about=about,
        )

    def agreement(
        self,
        template: str,
        party: str,
        a: Iterable[Step] = (),
        b: Iterable[Step] = (),
        *,
        said: tuple[Said, Said],
        values: Mapping[str, Value] | None = None,
    ) -> Agreement:
        """Something in which both are the same."""
        labels: dict[str, Value] = {"a": self.a.label, "b": self.b.label, "party": party_words(party)}
        mine, theirs = (tuple(step.id for step in steps) for steps in (a, b))
        told = labels | dict(values or {})
        return Agreement(party, mine, theirs, f"same.{template}", told, said[0].clauses, said[1].clauses)


def place(step: Step) -> tuple[bool, int, str, str]:
    """Where a step stands in a list of all: the releasing side last, then along the run."""
    return step.side == "releasing", step.order, step.label.zh, step.id


def party_words(party: str) -> Words:
    """A party by its name on the pages; the side of a transfer by its own."""
    known = templates()
    return known.get(f"party.{party}") or known.get(f"side.{party}") or Words(party)


def basis_words(basis: str) -> Words:
    """A basis by its name on the pages."""
    return templates().get(f"basis.{basis}", Words(basis))


def shown(step: Step) -> Words:
    """The words of a step, or what it is where it has none."""
    return step.label if step.label.zh or step.label.en else templates()[f"kind.{step.kind}"]


def differs(one: Words, other: Words) -> bool:
    """Whether two words are written otherwise; English that one side lacks is no difference."""
    return one.zh != other.zh or (bool(one.en and other.en) and one.en != other.en)
