"""A run in words: its steps by their labels, with what was chosen in them."""

from __future__ import annotations

from engine.bpmn.graph import Described, Node
from engine.comparison.behaviour.space import Space
from engine.comparison.model import Move, Run

# The last so many moves say why; all of them would fill a page.
MOST_MOVES = 16
_ARROW = " → "


def in_words(space: Space, run: Run, locale: str = "zh") -> str:
    """The moves of a run in one line. Starting, and going on by itself, is not worth a word."""
    told = [move for move in run.moves if move.kind not in ("start", "resume")] or list(run.moves[:1])
    words = [_move(space, move, locale) for move in told[-MOST_MOVES:]]
    return _ARROW.join(["…", *words] if len(told) > MOST_MOVES else words)


def _move(space: Space, move: Move, locale: str) -> str:
    if move.message:
        return move.message
    nodes = next(net.pool.by_id for number, net in enumerate(space.nets) if space.name(number) == move.pool)
    answers = [_answer(space, nodes[element], name, value, locale) for element, name, value in move.answers]
    return ": ".join([nodes[move.element].label(locale), *answers])


def _answer(space: Space, node: Node, name: str, value: object, locale: str) -> str:
    if not name:
        return _way(space, str(value), locale)
    options = {option.id: option for item in node.form if item.id == name for option in item.options}
    if value in options:
        return options[str(value)].label(locale)
    if value is None:
        return "—"
    return f"{name} = {str(value).lower()}"


def _way(space: Space, flow_id: str, locale: str) -> str:
    """A flow by its name, else by where it leads."""
    for net in space.nets:
        for flow in net.flows:
            if flow.id == flow_id:
                found: Described = flow if flow.name else net.pool.by_id[flow.target]
                return found.label(locale)
    return flow_id
