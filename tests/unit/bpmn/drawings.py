"""Diagrams drawn at random: in blocks as a person would, or any which way that the checks let pass."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count, pairwise

from hypothesis import strategies as st

from tests.unit.bpmn import diagrams as d

MESSAGES = ("release_agreed", "release_refused", "record_retrieved", "paper_sent")
WAY = d.choice("way", "left", "right")


class Drawing:
    """Elements put down one after the other; every block answers its first and its last node."""

    def __init__(self, draw: st.DrawFn) -> None:
        self.draw = draw
        self.parts: list[str] = []
        self._numbers = count(1)

    def choose(self, *options: object) -> object:
        return self.draw(st.sampled_from(options))

    def put(self, make: Callable[..., str], name: str, *rest: object, **attributes: object) -> str:
        id = f"{name}{next(self._numbers)}"
        self.parts.append(make(id, *rest, **attributes))
        return id

    def link(self, *nodes: str) -> None:
        self.parts.append(d.path(*nodes))

    def branch(self, gateway: str, target: str, way: str) -> None:
        self.parts.append(d.flow(gateway, target, f'way == "{way}"'))

    # Blocks

    def sequence(self, depth: int, *, parallel: bool) -> tuple[str, str]:
        blocks = [self.block(depth, parallel=parallel) for _ in range(self.draw(st.integers(1, 3)))]
        for (_, last), (first, _) in pairwise(blocks):
            self.link(last, first)
        return blocks[0][0], blocks[-1][1]

    def block(self, depth: int, *, parallel: bool) -> tuple[str, str]:
        kinds: list[Callable[..., tuple[str, str]]] = [self.task, self.task, self.step, self.wait]
        if depth:
            kinds += [self.fork, self.race, self.circle]
            if parallel:
                kinds += [self.together, self.together]
        kind = self.draw(st.sampled_from(kinds))
        return kind(depth - 1, parallel)

    def task(self, _depth: int, _parallel: bool) -> tuple[str, str]:
        if self.choose(True, False):
            task = self.put(d.user, "task", camunda_dueDate="workdays(10)")
        else:
            task = self.put(d.manual, "task", d.properties(due="workdays(10)"))
        if not self.choose(True, False):
            return task, task
        last = self.put(d.exclusive, "merge")
        self.link(task, last)
        for _ in range(self.draw(st.integers(1, 2))):
            self.timer(task, last)
        return task, last

    def timer(self, task: str, last: str) -> None:
        interrupting = bool(self.choose(True, False))
        timer = self.put(d.boundary, "timer", task, interrupting=interrupting)
        after = self.put(d.service, "told")
        self.link(timer, after)
        # A path that interrupts and goes its own way leaves a join behind it without a token: seldom, and on purpose.
        if interrupting and self.choose(True, True, False):
            self.link(after, last)
        else:
            self.link(after, self.put(d.end, "end"))

    def step(self, _depth: int, _parallel: bool) -> tuple[str, str]:
        node = self.choose(
            lambda: self.put(d.service, "service"), lambda: self.put(d.throw, "throw", self.choose(*MESSAGES))
        )()  # type: ignore[operator]
        return node, node

    def wait(self, _depth: int, _parallel: bool) -> tuple[str, str]:
        node = self.event()
        return node, node

    def event(self) -> str:
        if self.choose(True, False):
            return self.put(d.catch, "clock", timer="workdays(3)")
        return self.put(d.catch, "heard", message=self.choose(*MESSAGES))

    def fork(self, depth: int, parallel: bool) -> tuple[str, str]:
        gate, merge = self.gate(depth, parallel), self.put(d.exclusive, "merge")
        first, last = self.sequence(depth, parallel=parallel)
        self.branch(gate, first, "left")
        self.link(last, merge)
        if self.choose(True, False, False):
            stop = self.put(d.end, "stop", terminate=True)
            self.branch(gate, stop, "right")
        default = self._default_of[gate]
        self.link(gate, default)
        self.link(default, merge)
        return gate, merge

    def gate(self, _depth: int, _parallel: bool) -> str:
        """An exclusive gateway and the step that its default flow leads to; the flow itself is drawn later."""
        after = self.put(d.service, "default")
        number = next(self._numbers)
        gate = f"gate{number}"
        self.parts.append(d.exclusive(gate, default=f"{gate}_{after}"))
        self._default_of[gate] = after
        return gate

    def race(self, depth: int, parallel: bool) -> tuple[str, str]:
        gateway, merge = self.put(d.event_based, "race"), self.put(d.exclusive, "merge")
        for _ in range(self.draw(st.integers(2, 3))):
            event = self.event()
            first, last = self.sequence(depth, parallel=parallel)
            self.link(gateway, event, first)
            self.link(last, merge)
        return gateway, merge

    def together(self, depth: int, parallel: bool) -> tuple[str, str]:
        split, join = self.put(d.parallel, "split"), self.put(d.parallel, "join")
        for _ in range(self.draw(st.integers(2, 3))):
            first, last = self.sequence(depth, parallel=parallel)
            self.link(split, first)
            self.link(last, join)
        return split, join

    def circle(self, depth: int, _parallel: bool) -> tuple[str, str]:
        merge = self.put(d.exclusive, "again")
        first, last = self.sequence(depth, parallel=False)
        task, gate = self.put(d.user, "decide", WAY), self.gate(depth, False)
        self.link(merge, first)
        self.link(last, task, gate, self._default_of[gate])
        self.branch(gate, merge, "left")
        return merge, self._default_of[gate]

    @property
    def _default_of(self) -> dict[str, str]:
        return self.__dict__.setdefault("defaults", {})


@st.composite
def in_blocks(draw: st.DrawFn) -> tuple[str, ...]:
    """What a careful person draws: every split has its join, every circle its way out."""
    drawing = Drawing(draw)
    asked = drawing.put(d.user, "first", WAY)
    first, last = drawing.sequence(2, parallel=True)
    drawing.link("start", asked, first)
    drawing.link(last, "end")
    return (d.start(), *drawing.parts, d.end(outcome="completed"))


KINDS = ("user", "user", "user", "service", "exclusive", "exclusive", "parallel", "parallel", "race", "clock", "throw")


@st.composite
def any_which_way(draw: st.DrawFn) -> tuple[str, ...]:
    """Nodes of all kinds and flows wherever they fall, with what the checks ask for filled in: conditions, defaults,
    two events after a race. What is left unreachable is left out."""
    size = draw(st.integers(3, 12))
    kinds = {f"n{number}": draw(st.sampled_from(KINDS)) for number in range(size)}
    ends = {"end": False, "stop": True}
    nodes = [*kinds, *ends]

    def target(position: int) -> str:
        # Mostly forward, so that not everything is one circle.
        if draw(st.integers(0, 3)):
            return draw(st.sampled_from(nodes[position + 1 : position + 5]))
        return draw(st.sampled_from(nodes))

    steps: dict[str, list[str]] = {"start": [nodes[0]]}
    parts: dict[str, str] = {"start": d.start(), **{end: d.end(end, terminate=kill) for end, kill in ends.items()}}
    for position, (node, kind) in enumerate(kinds.items()):
        ways = list(dict.fromkeys(target(position) for _ in range(draw(st.integers(1, 3)))))
        if kind in ("user", "service", "clock", "throw"):
            ways = ways[:1]
        steps[node] = ways
        if kind == "user":
            parts[node] = d.user(node, WAY, camunda_dueDate="workdays(10)")
            for number in range(draw(st.integers(0, 2))):
                timer = f"{node}t{number}"
                parts[timer] = d.boundary(timer, node, interrupting=draw(st.booleans()))
                steps[timer] = [target(position)]
        elif kind == "service":
            parts[node] = d.service(node)
        elif kind == "throw":
            parts[node] = d.throw(node)
        elif kind == "clock":
            parts[node] = d.catch(node, timer="workdays(1)")
        elif kind == "parallel":
            parts[node] = d.parallel(node)
        elif kind == "exclusive":
            parts[node] = d.exclusive(node, default=f"{node}_{ways[0]}" if len(ways) > 1 else "")
        else:
            ways = [target(position), target(position)]
            steps[node] = [f"{node}a", f"{node}b"]
            parts[node] = d.event_based(node)
            for event, way in zip(steps[node], ways, strict=True):
                parts[event] = d.catch(event, timer="workdays(1)")
                steps[event] = [way]
    reached = _reached(steps)
    flows = [
        d.flow(node, way, 'way == "left"' if kinds.get(node) == "exclusive" and position else "")
        for node in reached
        for position, way in enumerate(steps.get(node, ()))
    ]
    return (*(parts[node] for node in parts if node in reached), *flows)


def _reached(steps: dict[str, list[str]]) -> set[str]:
    reached: set[str] = set()
    ahead = ["start"]
    while ahead:
        node = ahead.pop()
        if node not in reached:
            reached.add(node)
            ahead += steps.get(node, [])
            ahead += [timer for timer in steps if timer.startswith(f"{node}t")]
    return reached
