"""In which order the elements of a diagram come, by its flows alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np
from scipy import sparse
from scipy.sparse.csgraph import connected_components

After = Mapping[str, Sequence[str]]


def places(after: After) -> dict[str, int]:
    """The place of each element in the run: along the longest way to it, within a circle the nearest first.

    It does not matter in which order the elements stand in the file.
    """
    circle = _circles(after)
    levels = _levels(after, circle)
    near = _distances(after)
    wanted = sorted({(levels[circle[node]], near[node]) for node in after})
    place = {found: number for number, found in enumerate(wanted)}
    return {node: place[levels[circle[node]], near[node]] for node in after}


def _circles(after: After) -> dict[str, int]:
    """The number of the circle that each element is in; one without a circle is a circle of its own."""
    number = {node: position for position, node in enumerate(after)}
    pairs = [(number[node], number[target]) for node, targets in after.items() for target in targets]
    rows, columns = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
    table = sparse.csr_matrix((np.ones(len(pairs)), (rows, columns)), shape=(len(number), len(number)))
    _, labels = connected_components(table, directed=True, connection="strong")
    return {node: int(labels[position]) for node, position in number.items()}


def longest(after: After, lengths: Mapping[str, int]) -> int | None:
    """The length of the longest way, where some elements have one. None where it can go round in a circle for ever."""
    circle = _circles(after)
    sizes = Counter(circle.values())
    if any(sizes[circle[node]] > 1 or node in after[node] for node, length in lengths.items() if length):
        return None
    own = {circle[node]: length for node, length in lengths.items()}
    levels = _levels(after, circle, {mine: own.get(mine, 0) for mine in sizes})
    return max((level + own.get(mine, 0) for mine, level in levels.items()), default=0)


def _levels(after: After, circle: Mapping[str, int], lengths: Mapping[int, int] | None = None) -> dict[int, int]:
    """The length of the longest way to each circle; where nothing else is said, each is one step long."""
    targets: dict[int, set[int]] = {mine: set() for mine in circle.values()}
    for node, beyond in after.items():
        targets[circle[node]] |= {circle[target] for target in beyond} - {circle[node]}
    waits = dict.fromkeys(targets, 0)
    for found in targets.values():
        for target in found:
            waits[target] += 1
    levels = {mine: 0 for mine, count in waits.items() if count == 0}
    ready = list(levels)
    while ready:
        mine = ready.pop()
        for target in targets[mine]:
            levels[target] = max(levels.get(target, 0), levels[mine] + (1 if lengths is None else lengths[mine]))
            waits[target] -= 1
            if waits[target] == 0:
                ready.append(target)
    return levels


def _distances(after: After) -> dict[str, int]:
    """How many flows lead to each element on the shortest way from an element that nothing leads to."""
    led_to = {target for node, targets in after.items() for target in targets if target != node}
    found = {node: 0 for node in after if node not in led_to}
    waiting = list(found)
    while waiting:
        reached = []
        for node in waiting:
            for target in after[node]:
                if target not in found:
                    found[target] = found[node] + 1
                    reached.append(target)
        waiting = reached
    return {node: found.get(node, len(after)) for node in after}


class Beyond:
    """What can come after each element, as bits by position: a set for each would fill the memory."""

    def __init__(self, after: After) -> None:
        self._circle = _circles(after)
        self._bit = {mine: 1 << position for position, mine in enumerate(dict.fromkeys(self._circle.values()))}
        self._after = after
        self._reached: dict[int, int] = {}
        levels = _levels(after, self._circle)
        # The last first, so that all that comes after an element is known when its turn comes.
        for node in sorted(after, key=lambda node: -levels[self._circle[node]]):
            self._reached[self._circle[node]] = self._reached.get(self._circle[node], 0) | self._bits(node)

    def _bits(self, node: str) -> int:
        found = 0
        for target in self._after[node]:
            other = self._circle[target]
            found |= self._bit[other]
            if other != self._circle[node]:
                found |= self._reached[other]
        return found

    def leads(self, node: str, other: str) -> bool:
        """Whether one element can come after another."""
        return bool(self._reached[self._circle[node]] & self._bit[self._circle[other]])
