"""A comparison as JSON. `data/schema.json` is its schema, `docs/comparison.md` explains it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from engine.comparison.behaviour import collaboration
from engine.comparison.findings import party_words, place, shown
from engine.comparison.model import Agreement, Comparison, Difference, Fact, Match, Move, Run, Side, Step
from engine.comparison.notes import notes
from engine.comparison.numbers import Item, ceiling, counts
from engine.comparison.refusals import Party, Refusal, refusals
from engine.comparison.sentences import LOCALES, Words, templates
from engine.comparison.verdict import verdict

Json = dict[str, Any]


def as_json(found: Comparison) -> Json:
    """All of a comparison, in both languages."""
    return {
        "a": _side(found.a),
        "b": _side(found.b),
        "verdict": [_words(sentence) for sentence in verdict(found)],
        "notes": [_words(note) for note in notes(found.a, found.b)],
        "steps": {"a": _steps(found.a), "b": _steps(found.b)},
        "matches": [_match(group) for group in found.matches if group.a and group.b],
        "pairs": [_match(pair) for pair in found.pairs],
        "unmatched": {
            "a": [step for group in found.matches if not group.b for step in group.a],
            "b": [step for group in found.matches if not group.a for step in group.b],
        },
        "elements": [[mine, theirs] for mine, theirs in sorted(found.elements.items())],
        "differences": [_difference(found, difference) for difference in found.differences],
        "same": [_agreement(found, agreement) for agreement in found.same],
        "questions": [_agreement(found, agreement) for agreement in found.questions],
        "refusals": [_party(party) for party in refusals(found.a, found.b, found.parties)],
        "numbers": {"a": _numbers(found.a), "b": _numbers(found.b)},
        "layout_only": found.layout_only,
        "decided": found.decided,
    }


def _side(side: Side) -> Json:
    return {
        "key": side.key,
        "label": _words(side.label),
        "documented": bool(side.sentences),
        "facts": [_fact(fact) for fact in side.facts],
    }


def _fact(fact: Fact) -> Json:
    label = templates().get(f"fact.{fact.key}", Words(fact.key))
    return {
        "key": fact.key, "side": fact.side, "label": _words(label), "text": _words(fact.text),
        "clauses": list(fact.clauses),
    }  # fmt: skip


def _steps(side: Side) -> list[Json]:
    return [_step(step) for step in sorted(side.steps, key=place)]


def _step(step: Step) -> Json:
    return {
        "id": step.id,
        "ids": list(step.ids),
        "label": _words(shown(step)),
        "side": step.side,
        "party": step.party,
        "party_label": _words(party_words(step.party)),
        "kind": step.kind,
        "channel": step.channel,
        "clauses": list(step.clauses),
        "basis": step.basis,
        "order": step.order,
    }


def _party(party: Party) -> Json:
    sides = {name: None if cells is None else [_refusal(cell) for cell in cells]
             for name, cells in (("a", party.a), ("b", party.b))}  # fmt: skip
    return {"party": party.key, "label": _words(party.label), **sides}


def _refusal(refusal: Refusal) -> Json:
    return {
        "step": refusal.step.id,
        "label": _words(shown(refusal.step)),
        "reasons": refusal.reasons,
        "recorded": _words(refusal.recorded),
        "clauses": list(refusal.clauses),
        "basis": refusal.basis,
    }


def _words(words: Words) -> Json:
    return {locale: words.text(locale) for locale in LOCALES}


def _match(match: Match) -> Json:
    return {"a": list(match.a), "b": list(match.b), "confidence": match.confidence}


def _difference(found: Comparison, difference: Difference) -> Json:
    run = {} if difference.run is None else {"run": _run(difference.run)}
    return {
        "id": difference.key,
        "kind": difference.kind,
        "severity": difference.severity,
        "party": difference.party,
        "a": list(difference.a),
        "b": list(difference.b),
        "text": {locale: difference.text(locale) for locale in LOCALES},
        "standing": difference.standing,
        "basis": difference.basis,
        "cause": difference.cause,
        "quotes": _quotes(found, difference.clauses_a, difference.clauses_b),
    } | run


def _agreement(found: Comparison, agreement: Agreement) -> Json:
    return {
        "party": agreement.party,
        "a": list(agreement.a),
        "b": list(agreement.b),
        "text": {locale: agreement.text(locale) for locale in LOCALES},
        "quotes": _quotes(found, agreement.clauses_a, agreement.clauses_b),
    }


def _numbers(side: Side) -> Json:
    limits = ceiling(collaboration(side.graph), side.graph.message_flows)
    return {
        "counts": [
            {"name": count.name, "value": count.value, "label": _words(count.label), "items": _items(count.items)}
            for count in counts(side)
        ],
        "ceiling": {
            "days": limits.days,
            "limited": _items(limits.limited),
            "unlimited": _items(limits.unlimited),
        },
    }


def _items(items: Sequence[Item]) -> list[Json]:
    return [{"label": _words(item.label), "elements": list(item.elements)} for item in items]


def _quotes(found: Comparison, clauses_a: Sequence[str], clauses_b: Sequence[str]) -> Json:
    return {"a": _quoted(found.a, clauses_a), "b": _quoted(found.b, clauses_b)}


def _quoted(side: Side, clauses: Sequence[str]) -> list[Json]:
    """Each clause with its sentence; None where there is no document to quote."""
    known = side.by_clause
    return [{"clause": clause, "text": known[clause].text if clause in known else None} for clause in clauses]


def _run(run: Run) -> Json:
    return {"side": run.side, "moves": [_move(move) for move in run.moves]}


def _move(move: Move) -> Json:
    return {
        "kind": move.kind,
        "pool": move.pool,
        "element": move.element,
        "answers": [
            {"element": element, "variable": variable, "value": value} for element, variable, value in move.answers
        ],
        "passed": list(move.passed),
        "message": {"name": move.message, "sender": move.sender} if move.message else None,
        "sent": list(move.sent),
        "tokens": {pool: list(elements) for pool, elements in move.tokens.items()},
    }
