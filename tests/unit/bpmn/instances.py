"""An instance in a test's hands: saved and loaded at every step, or never; moved by the names of its nodes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from engine.bpmn import runtime
from engine.bpmn.graph import Node
from engine.bpmn.runtime import Opened, RuntimeFailure, Service, Specification, Step


def idle(_node: Node, _variables: Mapping[str, Any]) -> Mapping[str, Any]:
    """A service that has nothing to say."""
    return {}


class Instance:
    """Lives in its saved state alone: every move loads it, and saves it again."""

    def __init__(self, specification: Specification, service: Service = idle) -> None:
        self.specification = specification
        self.service = service
        self.state = b""
        self.open: dict[int, str] = {}
        self.timers: dict[int, list[str]] = {}
        self.awaits: set[str] = set()
        self.passed: list[str] = []
        self.last = Step()
        self._keys: set[int] = set()

    # Moves

    def start(self, **variables: Any) -> Step:
        return self._took(runtime.start(self.specification, self.service, variables))

    def start_by(self, message: str) -> Step:
        return self._took(runtime.start_by_message(self.specification, self.service, message))

    def complete(self, node: str, **variables: Any) -> Step:
        return self.complete_key(self.key(node), variables)

    def complete_key(self, key: int, variables: Mapping[str, Any]) -> Step:
        return self._took(self._complete(key, variables))

    def fire(self, node: str) -> Step:
        return self.fire_key(next(key for key, nodes in self.timers.items() if node in nodes), node)

    def fire_key(self, key: int, node: str) -> Step:
        return self._took(self._fire(Opened(key, node)))

    def deliver(self, message: str) -> Step | None:
        step = self._deliver(message)
        return None if step is None else self._took(step)

    def retry(self) -> Step:
        return self._took(self._retry())

    def cancel(self) -> Step:
        return self._took(self._cancel())

    def _complete(self, key: int, variables: Mapping[str, Any]) -> Step:
        return runtime.complete(self.specification, self.state, self.service, key, variables)

    def _fire(self, timer: Opened) -> Step:
        return runtime.fire(self.specification, self.state, self.service, timer)

    def _deliver(self, message: str) -> Step | None:
        return runtime.deliver(self.specification, self.state, self.service, message)

    def _retry(self) -> Step:
        return runtime.retry(self.specification, self.state, self.service)

    def _cancel(self) -> Step:
        return runtime.cancel(self.specification, self.state)

    # Where it stands

    def key(self, node: str) -> int:
        return next(key for key, open_node in self.open.items() if open_node == node)

    @property
    def people(self) -> list[str]:
        """The nodes of the open human tasks."""
        return sorted(self.open.values())

    @property
    def clocks(self) -> list[str]:
        """The timers that wait."""
        return sorted(node for nodes in self.timers.values() for node in nodes)

    @property
    def marks(self) -> dict[str, list[str]]:
        return runtime.open_nodes(self.specification, self.state)

    def _took(self, step: Step) -> Step:
        """Keep book of what the step says, and hold it against what the saved state says."""
        told = {item.key for item in [*step.opened, *step.timers]}
        assert not told & self._keys, "a key was given twice"
        self._keys |= told
        for key in step.closed:
            del self.open[key]
        self.open.update((item.key, item.node) for item in step.opened)
        for item in step.timers:
            self.timers.setdefault(item.key, []).append(item.node)
        self.state, self.last, self.awaits = step.state, step, step.awaits
        self.passed += step.passed
        self._hold_against_the_state()
        return step

    def _hold_against_the_state(self) -> None:
        step = self.last
        live = {task.id: task for task in runtime.load(self.specification, self.state).live()}
        people = {key: task.task_spec.bpmn_id for key, task in live.items() if task.task_spec.manual}
        assert self.open == people, "what was told as open is not what is open"
        # A timer that no longer waits is not told of: it refuses to fire.
        self.timers = {key: nodes for key, nodes in self.timers.items() if key in live}
        assert runtime.variables_of(self.state) == step.variables
        if step.ended:
            assert not live
            ends = {node.id for node in self.specification.pool.nodes if node.kind == "endEvent"}
            assert ends & set(self.passed) or step.passed == []
        elif not step.failures:
            assert self.open or self.timers or self.awaits, "nothing is left to do, and it has not ended"


class Unsaved(Instance):
    """Keeps the library's own objects from one step to the next, and is never written or read."""

    def __init__(self, specification: Specification, service: Service = idle) -> None:
        super().__init__(specification, service)
        self.workflow = runtime._Workflow(specification)

    def start(self, **variables: Any) -> Step:
        return self._took(self._act(lambda run: run.begin(variables)))

    def start_by(self, message: str) -> Step:
        def act(run: runtime._Run) -> None:
            run.begin({})
            run.catch(message)

        return self._took(self._act(act))

    def _act(self, act: Callable[[runtime._Run], None]) -> Step:
        self.workflow.thrown.clear()
        run = runtime._Run(self.workflow, self.service)
        act(run)
        return run.step()

    def _complete(self, key: int, variables: Mapping[str, Any]) -> Step:
        return self._act(lambda run: run.complete(key, variables))

    def _fire(self, timer: Opened) -> Step:
        return self._act(lambda run: run.fire(timer))

    def _deliver(self, message: str) -> Step | None:
        try:
            return self._act(lambda run: run.catch(message))
        except runtime.NotOpen:
            return None

    def _retry(self) -> Step:
        return self._act(lambda run: None)

    def _cancel(self) -> Step:
        return self._act(lambda run: run.cancel())


def told(step: Step | None) -> object:
    """All that a step says, in a form that can be compared."""
    if step is None:
        return None
    failures = [(failure.node, type(failure.error)) for failure in step.failures]
    return {**vars(step), "failures": failures}


class Broken(RuntimeFailure):
    """A service that fails."""
