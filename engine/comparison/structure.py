"""In what two procedures differ as they are drawn: the document as a whole, step by step, and in their order.

Each change is found once, under its own kind. What only follows from another one (a hand-off less because a step is
gone) names it as its cause.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from engine.comparison.aspects import aspects, duty_words, message_words
from engine.comparison.consequences import consequences
from engine.comparison.findings import Frame, Written, differs, place, shown
from engine.comparison.model import SEVERITIES, Difference, Fact, Match, Side, Step
from engine.comparison.order import Beyond
from engine.comparison.quotations import Said, said
from engine.comparison.sentences import Words, joined, templates
from engine.comparison.steps import words
from engine.comparison.wording import normal

# Facts on which hangs what anybody must or may do, and not where and how.
_BINDING = frozenset({"in_force", "scope", "docking", "provincial_matters", "report"})
_BY_ITSELF = frozenset({"send", "receive", "start", "wait", "end"})


def structure(frame: Frame) -> list[Difference]:
    """Every difference in structure, the most severe first, and each consequence behind its cause."""
    found = [
        *_facts(frame),
        *_withdrawal(frame),
        *_names(frame),
        *_joined(frame),
        *_alone(frame),
        *_pairs(frame),
        *_order(frame),
    ]
    found = _under_outcomes(frame, _with_moved_events(frame, found))
    return in_order([*found, *consequences(frame, found)])


def in_order(found: Sequence[Difference]) -> list[Difference]:
    """By severity; what people do first, then what is only sent, then what the document says as a whole.

    Consequences stand behind their causes.
    """
    by_cause: dict[str, list[Difference]] = {}
    for difference in found:
        if difference.cause:
            by_cause.setdefault(difference.cause, []).append(difference)
    causes = [difference for difference in found if not difference.cause]
    causes.sort(key=lambda item: (SEVERITIES.index(item.severity), item.kind == "fact", item.kind == "message"))
    return [item for cause in causes for item in (cause, *by_cause.get(cause.key, ()))]


# The document as a whole -----------------------------------------------------------------------------------------


def _facts(frame: Frame) -> Iterator[Difference]:
    mine, theirs = ({(fact.key, fact.side): fact for fact in side.facts} for side in (frame.a, frame.b))
    for key, holder in dict.fromkeys([*mine, *theirs]):
        one, other = mine.get((key, holder)), theirs.get((key, holder))
        if one and other and not differs(one.text, other.text):
            yield from _fact_clauses(frame, one, other)
            continue
        stated = (Said(one.clauses, _fact_basis(one.clauses)) if one else None,
                  Said(other.clauses, _fact_basis(other.clauses)) if other else None)  # fmt: skip
        given = [fact.text for fact in (one, other) if fact]
        is_pictured = any(item is not None and item.basis == "picture" for item in stated)
        clauses = [fact.clauses if fact else () for fact in (one, other)]
        yield frame.difference(
            "fact", "fact.pictured" if is_pictured else "fact", _concerned_by(frame, clauses[0], clauses[1], holder),
            said=stated, severity="legal_effect" if key in _BINDING else "form",
            values={"fact": templates().get(f"fact.{key}", Words(key)), "x": given[0], "y": given[-1]},
            elements=([one.holder] if one else [], [other.holder] if other else []), about=key,
        )  # fmt: skip


def _fact_clauses(frame: Frame, one: Fact, other: Fact) -> Iterator[Difference]:
    if frame.same_document and one.clauses != other.clauses:
        yield frame.difference(
            "clause", "clause", _concerned_by(frame, one.clauses, other.clauses, one.side),
            said=(Said(one.clauses), Said(other.clauses)), about=one.key,
            values={"step": templates().get(f"fact.{one.key}", Words(one.key)),
                    "x": tuple(one.clauses) or "—", "y": tuple(other.clauses) or "—"},
            elements=([one.holder], [other.holder]),
        )  # fmt: skip


def _fact_basis(clauses: Sequence[str]) -> str:
    return "picture" if clauses and all(clause.endswith("图") for clause in clauses) else "text"


def _concerned_by(frame: Frame, mine: Sequence[str], theirs: Sequence[str], holder: str | None) -> str:
    """A fact of one side of the transfer concerns whoever does the step that stands in the same sentence."""
    if holder is None:
        return ""
    for side, clauses in ((frame.a, mine), (frame.b, theirs)):
        for step in sorted(side.steps, key=place):
            if step.clauses and step.clauses[0] in clauses:
                return frame.party(step)
    return f"{holder}_school"


def _withdrawal(frame: Frame) -> Iterator[Difference]:
    mine, theirs = ({pool.side: pool for pool in side.graph.executable if pool.side} for side in (frame.a, frame.b))
    for side in sorted(mine.keys() & theirs.keys()):
        x, y = mine[side].withdrawable_until, theirs[side].withdrawable_until
        if x != y:
            stated = Said((), "practice")
            yield frame.difference(
                "withdrawal", "withdrawal", f"{side}_school",
                said=(stated if x else None, stated if y else None),
                values={"x": message_words(x or y or ""), "y": message_words(y or "")},
                elements=([mine[side].id], [theirs[side].id]),
            )  # fmt: skip


def _names(frame: Frame) -> Iterator[Difference]:
    """Pools and lanes that are called otherwise."""
    mine, theirs = _named(frame.a), _named(frame.b)
    back = {one: other for other, one in frame.matching.parties.items()}
    for key, (identity, one) in mine.items():
        found = theirs.get((key[0], back.get(key[1], key[1])))
        if found and differs(one.words, found[1].words):
            yield frame.difference(
                "reworded", "reworded.name", key[1] if key[0] == "lane" else "",
                said=(Said(one.clauses, one.basis), Said(found[1].clauses, found[1].basis)),
                values={"x": one.words, "y": found[1].words}, elements=([identity], [found[0]]),
            )  # fmt: skip


def _named(side: Side) -> dict[tuple[str, str], tuple[str, Written]]:
    """What pools and lanes are called: by the side of the pool, by the party of the lane."""
    found: dict[tuple[str, str], tuple[str, Written]] = {}
    outsiders = [pool for pool in side.graph.pools if not pool.nodes]
    for pool in side.graph.pools:
        if pool.side or outsiders == [pool]:
            found["pool", pool.side or "outside"] = pool.id, Written(words(pool), pool.clauses, pool.basis)
        for lane in pool.lanes:
            parties = {side.by_id[node].party for node in lane.nodes if node in side.by_id}
            party = lane.party or next(iter(parties), lane.name)
            found["lane", party] = lane.id, Written(words(lane), lane.clauses, lane.basis)
    return found


# Steps -----------------------------------------------------------------------------------------------------------


def _pairs(frame: Frame) -> Iterator[Difference]:
    joined = _ids(frame.matching.joined)
    for a, b in frame.pairs:
        if a.id not in joined[0] and b.id not in joined[1]:
            yield from aspects(frame, a, b)


def _ids(matches: Iterable[Match]) -> tuple[set[str], set[str]]:
    """The steps of each side in some matches. An id of one side may stand for something else on the other."""
    matches = list(matches)
    return {step for match in matches for step in match.a}, {step for match in matches for step in match.b}


def _alone(frame: Frame) -> Iterator[Difference]:
    """Steps and messages that one side alone has."""
    paired = _ids([*frame.matching.pairs, *frame.matching.joined])
    for side, known, kind in ((frame.a, paired[0], "removed"), (frame.b, paired[1], "added")):
        for step in sorted(side.steps, key=place):
            if step.id not in known:
                yield _only(frame, side, step, kind)


def _only(frame: Frame, side: Side, step: Step, kind: str) -> Difference:
    is_message = step.kind in ("send", "receive")
    stated = said(side, step, "message") if is_message else Said(step.clauses, step.basis)
    halves = ([step], []) if kind == "removed" else ([], [step])
    both = (stated, None) if kind == "removed" else (None, stated)
    if is_message:
        values = {"step": shown(step), "message": message_words(step.message) if step.message else shown(step)}
        return frame.difference("message", f"message.{step.kind}", frame.party(step), *halves, said=both, values=values)
    template = "step.decision" if step.may_refuse and step.kind == "decide" else "step"
    severity = "legal_effect" if step.may_refuse else "order" if step.kind in _BY_ITSELF else None
    who = [frame.acts(step), *([duty_words(step.duty)] if step.duty else [])]
    values = {"step": shown(step), "how": templates()[f"channel.{step.channel}"], "who": joined(who)}
    return frame.difference(kind, template, frame.party(step), *halves, said=both, values=values, severity=severity)


def _joined(frame: Frame) -> Iterator[Difference]:
    """Several steps of one side that are one of the other, and several items of a document that are one."""
    for group in frame.matching.joined:
        cause = _one_of_many(frame, group, "merged" if len(group.a) > len(group.b) else "split")
        yield cause
        yield from (replace(item, cause=cause.key) for item in aspects(frame, *_as_one(frame, group)))
    joined = _ids(frame.matching.joined)
    for group in frame.matching.items:
        if not joined[0] & set(group.a) and not joined[1] & set(group.b):
            yield _one_item(frame, group)


def _one_of_many(frame: Frame, group: Match, kind: str) -> Difference:
    a, b = ([side.by_id[step] for step in steps] for side, steps in ((frame.a, group.a), (frame.b, group.b)))
    stated = said(frame.a, a[0], "step"), said(frame.b, b[0], "step")
    many, one = (a, b) if kind == "merged" else (b, a)
    has, lacks = (frame.a, frame.b) if kind == "merged" else (frame.b, frame.a)
    return frame.difference(
        kind, "joined", frame.concerned(*one), a, b, said=stated,
        values={"many": tuple(map(_quoted, many)), "one": shown(one[0]), "in_many": has.label, "in_one": lacks.label},
    )  # fmt: skip


def _quoted(step: Step) -> Words:
    return Words(f"“{shown(step).zh}”", f"“{shown(step).text('en')}”")


def _one_item(frame: Frame, group: Match) -> Difference:
    a, b = ([side.by_id[step] for step in steps] for side, steps in ((frame.a, group.a), (frame.b, group.b)))
    clauses = [tuple(dict.fromkeys(step.clauses[0] for step in steps)) for steps in (a, b)]
    kind = "merged" if len(clauses[0]) > len(clauses[1]) else "split"
    many, one = (0, 1) if kind == "merged" else (1, 0)
    labels = (frame.a.label, frame.b.label)
    return frame.difference(
        kind, "items", frame.concerned(*(a, b)[one]), a, b, said=(Said(clauses[0]), Said(clauses[1])),
        values={"many": tuple(clauses[many]), "one": clauses[one][0], "in_many": labels[many], "in_one": labels[one]},
    )  # fmt: skip


def _as_one(frame: Frame, group: Match) -> tuple[Step, Step]:
    """Two steps to be compared: the many as if they were one, which has from them whatever the other has too."""
    a, b = ([side.by_id[step] for step in steps] for side, steps in ((frame.a, group.a), (frame.b, group.b)))
    if len(a) > len(b):
        return _toward(a, b[0], frame.party(b[0])), b[0]
    return a[0], _toward(b, a[0], a[0].party)


def _toward(many: Sequence[Step], one: Step, party: str) -> Step:
    alike = {
        name: getattr(one, name)
        for name in ("kind", "channel", "duty", "menu", "batch", "deadline", "reminders", "decision", "outcome")
        if any(getattr(step, name) == getattr(one, name) for step in many)
    }
    deciding = next((step.decision for step in many if step.may_refuse), many[-1].decision)
    whole = replace(
        many[-1],
        label=one.label,
        folded=(),
        act=(),
        party=one.party if any(step.party == party for step in many) else many[-1].party,
        fields=tuple(item for step in many for item in step.fields),
        contacts=tuple(sorted({contact for step in many for contact in step.contacts})),
        clauses=tuple(dict.fromkeys(clause for step in many for clause in step.clauses)),
        decision=deciding,
    )
    return replace(whole, **alike)


def _with_moved_events(frame: Frame, found: Sequence[Difference]) -> list[Difference]:
    """What only happens where a person's step is, and has moved with it, follows from that step's move."""
    moves = [item for item in found if item.kind == "moved"]
    people = [item for item in moves if frame.a.by_id[item.a[0]].is_human]
    result = []
    for item in found:
        if item in moves and item not in people:
            step = frame.a.by_id[item.a[0]]
            near = {*step.before, *step.after}
            cause = next((move for move in people if move.a[0] in near), None)
            item = replace(item, cause=cause.key if cause else None)
        result.append(item)
    return result


def _under_outcomes(frame: Frame, found: Sequence[Difference]) -> list[Difference]:
    """Where an end has another outcome, the ways that lead to it do too."""
    outcomes = {frame.a.by_id[item.a[0]].pool: item.key for item in found if item.kind == "outcome"}
    return [
        replace(item, cause=outcomes.get(frame.a.by_id[item.a[0]].pool)) if item.kind == "condition" else item
        for item in found
    ]


# Order -----------------------------------------------------------------------------------------------------------

Pairs = Sequence[tuple[Step, Step]]
# How a step stands to another on each side: before, after, apart.
Relations = tuple[str, str]


def _order(frame: Frame) -> Iterator[Difference]:
    """Steps that come in another order, as few of them as explain all the rest."""
    pairs = [(a, b) for a, b in frame.pairs if not {a.kind, b.kind} & _BY_ITSELF]
    turned = _turned(frame, pairs)
    names = [_name(pair) for pair in pairs]
    while turned:
        step = max(turned, key=lambda item: (len(turned[item]), names[item]))
        others = turned.pop(step)
        for rest in turned.values():
            rest.pop(step, None)
        turned = {item: rest for item, rest in turned.items() if rest}
        for relations in sorted(set(others.values())):
            beside = [pairs[other] for other in sorted(others) if others[other] == relations]
            yield _reordered(frame, pairs[step], beside, relations)


def _name(pair: tuple[Step, Step]) -> str:
    """The same from either side."""
    return max(normal(step.label.zh) for step in pair)


def _turned(frame: Frame, pairs: Pairs) -> dict[int, dict[int, Relations]]:
    """For each pair the pairs to which it stands otherwise on the other side."""
    mine, theirs = (Beyond({step.id: step.after for step in side.steps}) for side in (frame.a, frame.b))
    found: dict[int, dict[int, Relations]] = {}
    for one, (a, b) in enumerate(pairs):
        for other in range(one):
            c, d = pairs[other]
            if a.pool == c.pool and b.pool == d.pool:
                relations = _relation(mine, a, c), _relation(theirs, b, d)
                if relations[0] != relations[1]:
                    found.setdefault(one, {})[other] = relations
                    found.setdefault(other, {})[one] = _turn(relations[0]), _turn(relations[1])
    return found


def _relation(beyond: Beyond, step: Step, other: Step) -> str:
    """Whether a step comes before another; within a circle the one that is nearer to the start does."""
    leads, follows = beyond.leads(step.id, other.id), beyond.leads(other.id, step.id)
    if leads and follows and step.order != other.order:
        return "before" if step.order < other.order else "after"
    if leads and follows:
        return "apart"
    return "before" if leads else "after" if follows else "apart"


def _turn(relation: str) -> str:
    return {"before": "after", "after": "before"}.get(relation, relation)


def _reordered(frame: Frame, pair: tuple[Step, Step], others: Pairs, relations: Relations) -> Difference:
    a, b = ([pair[half], *(other[half] for other in others)] for half in (0, 1))
    return frame.difference(
        "reordered", "reordered", frame.concerned(*pair), sorted(a, key=place), sorted(b, key=place),
        said=(said(frame.a, pair[0], "order"), said(frame.b, pair[1], "order")),
        values={"x": shown(pair[0]), "others": tuple(shown(other[0]) for other in others),
                "how_x": templates()[f"order.{relations[0]}"], "how_y": templates()[f"order.{relations[1]}"]},
    )  # fmt: skip
