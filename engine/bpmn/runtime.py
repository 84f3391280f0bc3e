"""The only door to SpiffWorkflow. Give it a saved state and an event, get a saved state and what follows from it.

A specification is built from our own `ProcessGraph`, not from XML by the library's parser, so that what runs is what
was checked: nothing is dropped or passed over on the way. Variables live once per instance (`workflow.data`), as BPMN's
process variables; tasks carry none.

A saved state holds the tasks that happened or wait. Predicted ones are predicted again after loading. Its first byte
is the format:

    1 | JSON [next task id, {variables}, [[id, parent's id, place, state], …]]

`place` is four times the node's position in its pool, plus a role; the three internal tasks have negative places.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from SpiffWorkflow.bpmn.script_engine import PythonScriptEngine
from SpiffWorkflow.bpmn.script_engine.python_environment import BasePythonScriptEngineEnvironment
from SpiffWorkflow.bpmn.specs.bpmn_process_spec import BpmnProcessSpec
from SpiffWorkflow.bpmn.specs.control import BoundaryEventJoin, BoundaryEventSplit
from SpiffWorkflow.bpmn.specs.defaults import (
    BoundaryEvent,
    EndEvent,
    EventBasedGateway,
    ExclusiveGateway,
    IntermediateCatchEvent,
    IntermediateThrowEvent,
    ManualTask,
    NoneTask,
    ParallelGateway,
    StartEvent,
    UserTask,
)
from SpiffWorkflow.bpmn.specs.event_definitions.base import EventDefinition
from SpiffWorkflow.bpmn.specs.event_definitions.multiple import MultipleEventDefinition
from SpiffWorkflow.bpmn.specs.event_definitions.simple import NoneEventDefinition, TerminateEventDefinition
from SpiffWorkflow.bpmn.util.event import BpmnEvent
from SpiffWorkflow.bpmn.workflow import BpmnWorkflow
from SpiffWorkflow.task import Task
from SpiffWorkflow.util.task import TaskState

from engine.bpmn import expressions
from engine.bpmn.graph import Node, Pool
from engine.errors import N_, XuejiError

FORMAT = 1
# One call may run so many nodes without a person; a loop that never waits ends here instead of never.
STEP_BUDGET = 500
# The library's iteration stops at a depth of 1000 tasks and then takes the case for finished.
MAX_DEPTH = 900

_WAITING = TaskState.WAITING
_READY = TaskState.READY
_STARTED = TaskState.STARTED
_COMPLETED = TaskState.COMPLETED
_LIVE = TaskState.WAITING | TaskState.READY | TaskState.STARTED

_SELF, _SPLIT, _JOIN = range(3)
_INTERNAL = {"Start": -1, "End": -2}
_END_JOIN = -3


class RuntimeFailure(XuejiError):
    """Something in the state or the diagram that stops an instance; becomes an incident."""

    status = 409
    code = "runtime"


class NotOpen(RuntimeFailure):
    """The task asked for does not wait any more."""

    code = "not_open"
    message = N_("This step is no longer open.")


class OverBudget(RuntimeFailure):
    code = "over_budget"
    message = N_("The procedure runs in a circle without waiting for anybody.")
    remedy = N_("Ask the policy staff to correct the diagram.")


@dataclass(frozen=True)
class Opened:
    """A human task or a timer that now waits. `key` is its id in the saved state, stable for the instance's life."""

    key: int
    node: str


@dataclass(frozen=True)
class Failure:
    """A node that could not be run; the instance waits there until somebody retries."""

    node: str
    error: Exception


@dataclass
class Step:
    """What one event did to an instance."""

    state: bytes = b""
    opened: list[Opened] = field(default_factory=list)
    closed: list[int] = field(default_factory=list)
    timers: list[Opened] = field(default_factory=list)
    # Nodes whose messages are to be sent, in order.
    thrown: list[str] = field(default_factory=list)
    # Every node that completed, in order: for the history and the diagram's marks.
    passed: list[str] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    ended: bool = False
    # The `outcome` of the last end event that has one.
    outcome: str | None = None
    variables: dict[str, Any] = field(default_factory=dict)


# A service task's work: called with the node and the instance's variables, answers new variables. Whatever it raises
# stops the instance at that node.
Service = Callable[[Node, Mapping[str, Any]], Mapping[str, Any]]


# Specifications --------------------------------------------------------------------------------------------------


class _CelEnvironment(BasePythonScriptEngineEnvironment):  # type: ignore[misc]
    """Stands where the library would call `eval`: every expression is CEL, and there are no scripts."""

    def evaluate(self, expression: str, context: Any, external_context: Any = None) -> Any:
        return expressions.is_true(expression, context)

    def execute(self, script: str, context: Any, external_context: Any = None) -> Any:
        raise RuntimeFailure(N_("Scripts are not run."))

    def call_service(self, context: Any, **kwargs: Any) -> Any:
        raise RuntimeFailure(N_("Scripts are not run."))


class _ScriptEngine(PythonScriptEngine):  # type: ignore[misc]
    def evaluate(self, task: Task, expression: str, external_context: Any = None) -> Any:
        # Not `task.data`: an instance has one set of variables.
        return self.environment.evaluate(expression, task.workflow.data)


_SCRIPT_ENGINE = _ScriptEngine(environment=_CelEnvironment())


class _Message(EventDefinition):  # type: ignore[misc]
    """A message of the exchange contract. Throwing puts it on the workflow's own list; nobody inside catches it."""

    def throw(self, my_task: Task) -> None:
        my_task.workflow.thrown.append(my_task.task_spec.bpmn_id)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Message) and self.name == other.name

    __hash__ = None  # type: ignore[assignment]


class _Timer(EventDefinition):  # type: ignore[misc]
    """A timer that never asks the clock: it fires when it is told to."""

    def __eq__(self, other: object) -> bool:
        return self is other

    __hash__ = None  # type: ignore[assignment]


class _External(NoneTask):  # type: ignore[misc]
    """A service task: it stays started until its service has answered."""

    def _run_hook(self, my_task: Task) -> None:
        return None


_SPECS: dict[str, Any] = {
    "userTask": UserTask,
    "manualTask": ManualTask,
    "serviceTask": _External,
    "exclusiveGateway": ExclusiveGateway,
    "parallelGateway": ParallelGateway,
    "eventBasedGateway": EventBasedGateway,
    "startEvent": StartEvent,
    "endEvent": EndEvent,
    "intermediateCatchEvent": IntermediateCatchEvent,
    "intermediateThrowEvent": IntermediateThrowEvent,
    "boundaryEvent": BoundaryEvent,
}


class Specification:
    """A pool, ready to run. Built once per version and process, and shared by threads: nothing writes to it."""

    def __init__(self, pool: Pool) -> None:
        self.pool = pool
        self.spec = BpmnProcessSpec(name=pool.process_id or pool.id)
        self._entry: dict[str, Any] = {}
        for node in pool.nodes:
            self._entry[node.id] = self._add(node)
        for node in pool.nodes:
            self._connect(node)
        self._places = self._number()
        self._by_place = {place: self.spec.task_specs[name] for name, place in self._places.items()}

    def _add(self, node: Node) -> Any:
        """The spec that incoming flows lead to."""
        kwargs: dict[str, Any] = {"bpmn_name": node.name}
        if node.event is not None:
            kwargs["event_definition"] = _definition(node)
        elif node.kind == "eventBasedGateway":
            kwargs["event_definition"] = MultipleEventDefinition()
        if node.kind == "boundaryEvent":
            kwargs["cancel_activity"] = node.interrupting
        spec = _SPECS[node.kind](self.spec, node.id, **kwargs)
        if not self.pool.boundary.get(node.id):
            return spec
        return BoundaryEventSplit(self.spec, f"{node.id}.split")

    def _connect(self, node: Node) -> None:
        spec = self.spec.task_specs[node.id]
        if node.kind == "startEvent":
            self.spec.start.connect(spec)
        if node.kind == "endEvent":
            spec.connect(self.spec.end)
        if events := self.pool.boundary.get(node.id):
            split = self._entry[node.id]
            join = BoundaryEventJoin(self.spec, f"{node.id}.join", split_task=split.name, cancel=True)
            split.connect(spec)
            spec.connect(join)
            for event in events:
                child = self.spec.task_specs[event.id]
                split.connect(child)
                child.connect(join)
        for flow in self.pool.outgoing[node.id]:
            target = self._entry[flow.target]
            if node.kind != "exclusiveGateway":
                spec.connect(target)
            elif flow.condition and flow.id != node.default:
                spec.connect_outgoing_if(flow.condition, target)
            else:
                spec.connect(target)

    def _number(self) -> dict[str, int]:
        places = dict(_INTERNAL)
        places[self.spec.end.name] = _END_JOIN
        for position, node in enumerate(self.pool.nodes):
            places[node.id] = 4 * position + _SELF
            if self.pool.boundary.get(node.id):
                places[f"{node.id}.split"] = 4 * position + _SPLIT
                places[f"{node.id}.join"] = 4 * position + _JOIN
        return places

    def place(self, spec_name: str) -> int:
        return self._places[spec_name]

    def at(self, place: int) -> Any:
        return self._by_place[place]


def _definition(node: Node) -> EventDefinition:
    event = node.event
    assert event is not None
    if event.kind == "message":
        return _Message(event.message)
    if event.kind == "timer":
        return _Timer(node.id)
    if event.kind == "terminate":
        return TerminateEventDefinition()
    return NoneEventDefinition()


# Instances -------------------------------------------------------------------------------------------------------


def start(specification: Specification, service: Service, variables: Mapping[str, Any] | None = None) -> Step:
    """Start an instance at its none start event."""
    workflow = _Workflow(specification)
    workflow.data.update(variables or {})
    return _Run(workflow, service).step()


def start_by_message(specification: Specification, service: Service, message: str) -> Step:
    """Start an instance at its message start event. Raises `NotOpen` where it has none for this message."""
    workflow = _Workflow(specification)
    run = _Run(workflow, service)
    workflow.advance(run)
    run.catch(message)
    return run.step()


def complete(
    specification: Specification, state: bytes, service: Service, key: int, variables: Mapping[str, Any]
) -> Step:
    """Complete a human task with the variables of its form. Raises `NotOpen`."""
    run = _Run(load(specification, state), service)
    task = run.workflow.by_key.get(key)
    if task is None or task.state != _READY or not task.task_spec.manual:
        raise NotOpen
    run.workflow.data.update(variables)
    task.run()
    run.passed.append(task.task_spec.bpmn_id)
    return run.step()


def deliver(specification: Specification, state: bytes, service: Service, message: str) -> Step | None:
    """Hand a message to whoever waits for it; None where nobody does (yet)."""
    run = _Run(load(specification, state), service)
    try:
        run.catch(message)
    except NotOpen:
        return None
    return run.step()


def fire(specification: Specification, state: bytes, service: Service, timer: Opened) -> Step:
    """Fire a timer. Raises `NotOpen` when it no longer waits."""
    run = _Run(load(specification, state), service)
    task = run.workflow.by_key.get(timer.key)
    if task is None or task.state != _WAITING:
        raise NotOpen
    definition = next((found for found in _timers(task) if found.name == timer.node), None)
    if definition is None:
        raise NotOpen
    task.task_spec.catch(task, BpmnEvent(definition))
    task.task_spec._update(task)
    return run.step()


def retry(specification: Specification, state: bytes, service: Service) -> Step:
    """Run again what failed."""
    return _Run(load(specification, state), service).step()


def cancel(specification: Specification, state: bytes) -> Step:
    """End an instance where it stands."""
    run = _Run(load(specification, state), _no_service)
    run.workflow.cancel()
    return run.step()


def open_nodes(specification: Specification, state: bytes) -> dict[str, list[str]]:
    """Where an instance stands: node ids by `done`, `current` (waits for a person or a service) and `waiting`."""
    found: dict[str, dict[str, None]] = {"done": {}, "current": {}, "waiting": {}}
    for task in load(specification, state).tasks.values():
        node = getattr(task.task_spec, "bpmn_id", None)
        if node is None:
            continue
        if task.state == _COMPLETED:
            found["done"][node] = None
        elif task.state in (_READY, _STARTED):
            found["current"][node] = None
        elif task.state == _WAITING:
            found["waiting"][node] = None
    return {name: list(nodes) for name, nodes in found.items()}


def variables_of(state: bytes) -> dict[str, Any]:
    """The variables of a saved state."""
    return dict(_decode(state)[1])


def _no_service(node: Node, variables: Mapping[str, Any]) -> Mapping[str, Any]:
    raise RuntimeFailure


class _Workflow(BpmnWorkflow):  # type: ignore[misc]
    """The library's workflow, with our task keys beside its own ids."""

    def __init__(self, specification: Specification, deserializing: bool = False) -> None:
        self.specification = specification
        self.by_key: dict[int, Task] = {}
        self.keys: dict[Any, int] = {}
        self.next_key = 1
        self.thrown: list[str] = []
        super().__init__(specification.spec, script_engine=_SCRIPT_ENGINE, deserializing=deserializing)

    def key(self, task: Task) -> int:
        """The task's key, given on first sight."""
        if task.id not in self.keys:
            self.keys[task.id] = self.next_key
            self.by_key[self.next_key] = task
            self.next_key += 1
        return self.keys[task.id]

    def live(self) -> list[Task]:
        return [task for task in self.tasks.values() if task.state & _LIVE]

    def advance(self, run: _Run) -> None:
        """Run everything that needs no person, in the order of the library's own loop, within the budget."""
        budget = STEP_BUDGET
        blocked: set[Any] = set()
        while True:
            ready = [
                task
                for task in self.get_tasks(state=_READY | _STARTED)
                if not task.task_spec.manual and task.id not in blocked
            ]
            if not ready:
                return
            for task in ready:
                if task.state not in (_READY, _STARTED):
                    continue
                budget -= 1
                if budget < 0 or task.depth > MAX_DEPTH:
                    run.failures.append(Failure(_node_of(task), OverBudget()))
                    return
                if not run.execute(task):
                    blocked.add(task.id)


def _node_of(task: Task) -> str:
    return str(getattr(task.task_spec, "bpmn_id", None) or task.task_spec.name)


class _Run:
    """One call: loads, acts, advances, and says what became of it."""

    def __init__(self, workflow: _Workflow, service: Service) -> None:
        self.workflow = workflow
        self.service = service
        self.passed: list[str] = []
        self.failures: list[Failure] = []
        self.outcome: str | None = None
        self.before = {task.id: task for task in workflow.live()}

    def execute(self, task: Task) -> bool:
        """Run one task. False where it failed and waits for a retry."""
        try:
            if isinstance(task.task_spec, _External):
                node = self.workflow.specification.pool.by_id[task.task_spec.bpmn_id]
                self.workflow.data.update(self.service(node, dict(self.workflow.data)))
                task.complete()
            else:
                task.run()
        except Exception as error:
            # The library has moved a failed gateway to ERROR, from which nothing leads back.
            task._set_state(_READY)
            self.failures.append(Failure(_node_of(task), error))
            return False
        self._note(task)
        return True

    def _note(self, task: Task) -> None:
        node = self.workflow.specification.pool.by_id.get(getattr(task.task_spec, "bpmn_id", None) or "")
        if node is None:
            return
        self.passed.append(node.id)
        if node.kind == "endEvent" and node.outcome:
            self.outcome = node.outcome

    def catch(self, message: str) -> None:
        """Hand over a message. Raises `NotOpen` where nobody waits for it."""
        event = BpmnEvent(_Message(message))
        waiting = [
            task
            for task in list(self.workflow.event_manager.tasks.values())
            if task.state == _WAITING and task.task_spec.catches(task, event)
        ]
        if not waiting:
            raise NotOpen
        task = waiting[0]
        task.task_spec.catch(task, event)
        task.task_spec._update(task)

    def step(self) -> Step:
        workflow = self.workflow
        workflow.advance(self)
        live = {task.id: task for task in workflow.live()}
        # Given in the order of the tree, so that parents have smaller keys than their children.
        rows = _rows(workflow)
        arrived = [task for task_id, task in live.items() if task_id not in self.before]
        return Step(
            state=_encode(workflow, rows),
            opened=[_opened(workflow, task) for task in arrived if task.state == _READY and task.task_spec.manual],
            closed=[
                workflow.key(task)
                for task_id, task in self.before.items()
                if task_id not in live and task.task_spec.manual
            ],
            timers=[Opened(workflow.key(task), timer.name) for task in arrived for timer in _timers(task)],
            thrown=list(workflow.thrown),
            passed=self.passed,
            failures=self.failures,
            ended=not live,
            outcome=self.outcome,
            variables=dict(workflow.data),
        )


def _opened(workflow: _Workflow, task: Task) -> Opened:
    return Opened(workflow.key(task), task.task_spec.bpmn_id)


def _timers(task: Task) -> list[_Timer]:
    """The timers that a task waits for; an event-based gateway holds those of the events after it."""
    if task.state != _WAITING:
        return []
    definition = getattr(task.task_spec, "event_definition", None)
    candidates = definition.event_definitions if isinstance(definition, MultipleEventDefinition) else [definition]
    return [item for item in candidates if isinstance(item, _Timer)]


# Saved states ----------------------------------------------------------------------------------------------------


def _rows(workflow: _Workflow) -> list[list[int]]:
    rows: list[list[int]] = []
    stack = [workflow.task_tree]
    while stack:
        task = stack.pop()
        if task.state & (TaskState.PREDICTED_MASK | TaskState.FUTURE):
            continue
        parent = workflow.key(task.parent) if task.parent is not None else 0
        rows.append([workflow.key(task), parent, workflow.specification.place(task.task_spec.name), task.state])
        stack.extend(reversed(task.children))
    return rows


def _encode(workflow: _Workflow, rows: list[list[int]]) -> bytes:
    body = [workflow.next_key, workflow.data, rows]
    return bytes([FORMAT]) + json.dumps(body, separators=(",", ":"), ensure_ascii=False).encode()


def _decode(state: bytes) -> Any:
    if not state or state[0] != FORMAT:
        raise RuntimeFailure(N_("This saved state has a format that this release does not know."))
    return json.loads(state[1:])


def load(specification: Specification, state: bytes) -> _Workflow:
    """The workflow of a saved state, with its predictions made again. Raises `RuntimeFailure` for a foreign format."""
    next_key, variables, rows = _decode(state)
    workflow = _Workflow(specification, deserializing=True)
    workflow.data.update(variables)
    workflow.next_key = next_key
    for rank, (key, parent, place, task_state) in enumerate(rows):
        # The key serves as the library's id too. A task's constructor tells its parent, which must stand before it.
        task = Task(workflow, specification.at(place), workflow.tasks.get(parent), state=task_state, id=key)
        task.last_state_change = rank
        workflow.keys[key] = key
        workflow.by_key[key] = task
        if parent == 0:
            workflow.task_tree = task
        if task_state == _WAITING and hasattr(task.task_spec, "event_definition"):
            workflow.event_manager.add_task(task)
    workflow._predict()
    return workflow
