"""The only door to SpiffWorkflow. Give it a saved state and an event, get a saved state and what follows from it.

A specification is built from our own `ProcessGraph`, not from XML by the library's parser, so that what runs is what
was checked: nothing is dropped or passed over on the way. Variables live once per instance (`workflow.data`), as BPMN's
process variables; tasks carry none.

The library predicts every task that may still come, and keeps every one that was. Predictions double with each parallel
gateway, and its walks through the past recurse as deep as the past is long. Ours does neither: a task makes the next
ones when it completes, and a saved state holds where an instance stands, not how it came there. Its first byte is the
format:

    1 | JSON [next key, {variables}, [place passed, …], [[key, place, state, key before, place before], …]]

with one row for each task that waits and the task that it came from. `place` is twice the node's position in its pool,
plus one for the split before a task with boundary events; the library's own start has -1.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from SpiffWorkflow.bpmn.script_engine import PythonScriptEngine
from SpiffWorkflow.bpmn.script_engine.python_environment import BasePythonScriptEngineEnvironment
from SpiffWorkflow.bpmn.specs.bpmn_process_spec import BpmnProcessSpec
from SpiffWorkflow.bpmn.specs.control import SimpleBpmnTask
from SpiffWorkflow.bpmn.specs.defaults import (
    BoundaryEvent,
    EndEvent,
    EventBasedGateway,
    ExclusiveGateway,
    IntermediateCatchEvent,
    IntermediateThrowEvent,
    ManualTask,
    ParallelGateway,
    StartEvent,
    UserTask,
)
from SpiffWorkflow.bpmn.specs.event_definitions.base import EventDefinition
from SpiffWorkflow.bpmn.specs.event_definitions.multiple import MultipleEventDefinition
from SpiffWorkflow.bpmn.specs.event_definitions.simple import NoneEventDefinition, TerminateEventDefinition
from SpiffWorkflow.bpmn.specs.mixins.bpmn_spec_mixin import BpmnSpecMixin
from SpiffWorkflow.bpmn.specs.mixins.events.event_types import CatchingEvent
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

_WAITING = TaskState.WAITING
_READY = TaskState.READY
_COMPLETED = TaskState.COMPLETED
_LIVE = _WAITING | _READY

_ROOT_KEY, _ROOT_PLACE = -1, -1


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


class Stuck(RuntimeFailure):
    """All that still waits are joins, and no branch is left that could reach them."""

    code = "stuck"
    message = N_("The procedure waits here for a branch that will never come.")
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
    # The messages that the instance now waits for.
    awaits: set[str] = field(default_factory=set)
    # Nodes whose messages are to be sent, in order.
    thrown: list[str] = field(default_factory=list)
    # Every node that completed, in order: for the history and the diagram's marks.
    passed: list[str] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    # Whether something that had failed before was among what this event made run.
    retried: bool = False
    # The nodes that could run and did not: those that failed, and those behind a budget that is used up.
    stopped: set[str] = field(default_factory=set)
    ended: bool = False
    # The `outcome` of the last end event passed that has one, in this step or an earlier one.
    outcome: str | None = None
    variables: dict[str, Any] = field(default_factory=dict)


# A service task's work: called with the node and the instance's variables, answers new variables. Whatever it raises
# stops the instance at that node.
Service = Callable[[Node, Mapping[str, Any]], Mapping[str, Any]]


# Expressions and events ------------------------------------------------------------------------------------------


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


# Nodes -----------------------------------------------------------------------------------------------------------


class _Node:
    """Goes first among the bases of every kind of node: predicts nothing, and makes the next tasks on completion."""

    def _predict(self, my_task: Task, seen: Any = None, looked_ahead: int = 0, mask: int = 0) -> None:
        return None

    def _on_complete_hook(self, my_task: Task) -> None:
        super()._on_complete_hook(my_task)  # type: ignore[misc]
        for following in self._following(my_task):
            my_task._add_child(following, TaskState.FUTURE)

    def _following(self, my_task: Task) -> list[Any]:
        return list(self.outputs)  # type: ignore[attr-defined]


class _Guarded(_Node):
    """A task that may have boundary events: they are its siblings, and wait no longer than itself."""

    def _on_complete_hook(self, my_task: Task) -> None:
        _cancel_siblings(my_task)
        super()._on_complete_hook(my_task)


class _UserTask(_Guarded, UserTask):  # type: ignore[misc]
    pass


class _ManualTask(_Guarded, ManualTask):  # type: ignore[misc]
    pass


class _ServiceTask(_Node, BpmnSpecMixin):  # type: ignore[misc]
    """Its service is called by the run, before it completes."""


class _ExclusiveGateway(_Node, ExclusiveGateway):  # type: ignore[misc]
    def _following(self, my_task: Task) -> list[Any]:
        # The library has made the one that it chose.
        return []


class _ParallelGateway(_Node, ParallelGateway):  # type: ignore[misc]
    """Takes one token from each incoming flow, as BPMN says; the library counts what once arrived as still there."""

    def _update_hook(self, my_task: Task) -> bool:
        my_task._set_state(_WAITING)
        tokens: dict[str, Task] = {}
        for task in my_task.workflow.live():
            if task.task_spec is self and task.state == _WAITING:
                tokens.setdefault(task.parent.task_spec.name, task)
        if len(tokens) < len(self._inputs):
            return False
        for task in tokens.values():
            if task is not my_task:
                task.cancel()
        return True

    def _run_hook(self, my_task: Task) -> bool:
        return True


class _EventBasedGateway(_Node, EventBasedGateway):  # type: ignore[misc]
    def _run_hook(self, my_task: Task) -> bool:
        return True

    def _following(self, my_task: Task) -> list[Any]:
        event = my_task.internal_data["seen_events"][0].event_definition
        return [self.outputs[self.event_definition.event_definitions.index(event)]]


class _StartEvent(_Node, StartEvent):  # type: ignore[misc]
    pass


class _EndEvent(_Node, EndEvent):  # type: ignore[misc]
    """Takes its token out of the instance; an instance without tokens has ended."""


class _CatchEvent(_Node, IntermediateCatchEvent):  # type: ignore[misc]
    pass


class _ThrowEvent(_Node, IntermediateThrowEvent):  # type: ignore[misc]
    pass


class _Split(_Node, SimpleBpmnTask):  # type: ignore[misc]
    """Stands before a task with boundary events, so that these are its siblings."""


class _BoundaryEvent(_Node, BoundaryEvent):  # type: ignore[misc]
    def _on_complete_hook(self, my_task: Task) -> None:
        if self.cancel_activity:
            _cancel_siblings(my_task)
        super()._on_complete_hook(my_task)


def _cancel_siblings(my_task: Task) -> None:
    if isinstance(my_task.parent.task_spec, _Split):
        for task in my_task.parent.children:
            if task is not my_task and task.state & _LIVE:
                task.cancel()


_SPECS: dict[str, Any] = {
    "userTask": _UserTask,
    "manualTask": _ManualTask,
    "serviceTask": _ServiceTask,
    "exclusiveGateway": _ExclusiveGateway,
    "parallelGateway": _ParallelGateway,
    "eventBasedGateway": _EventBasedGateway,
    "startEvent": _StartEvent,
    "endEvent": _EndEvent,
    "intermediateCatchEvent": _CatchEvent,
    "intermediateThrowEvent": _ThrowEvent,
    "boundaryEvent": _BoundaryEvent,
}


class _Task(Task):  # type: ignore[misc]
    """Known by its key from the first, and without what the library adds to each change: a log line, copied data."""

    def _add_child(self, task_spec: Any, state: int = TaskState.FUTURE) -> _Task:
        return _Task(self.workflow, task_spec, self, state=state, id=self.workflow.new_key())

    def _set_state(self, value: int) -> None:
        self._state = value

    def _inherit_data(self) -> None:
        return None


# Specifications --------------------------------------------------------------------------------------------------


class Specification:
    """A pool, ready to run. Built once per version and process, and shared by threads: nothing writes to it."""

    def __init__(self, pool: Pool) -> None:
        self.pool = pool
        self.spec = BpmnProcessSpec(name=pool.process_id or pool.id)
        self.spec.start.place = _ROOT_PLACE
        self._by_place: dict[int, Any] = {_ROOT_PLACE: self.spec.start}
        # The specs that flows lead into and out of; they differ where a split stands before a task.
        self._entry: dict[str, Any] = {}
        self._exit: dict[str, Any] = {}
        for position, node in enumerate(pool.nodes):
            self._add(node, 2 * position)
        for node in pool.nodes:
            self._connect(node)

    def at(self, place: int) -> Any:
        return self._by_place[place]

    def node(self, place: int) -> Node:
        return self.pool.nodes[place // 2]

    def _add(self, node: Node, place: int) -> None:
        kwargs: dict[str, Any] = {"bpmn_name": node.name}
        if node.event is not None:
            kwargs["event_definition"] = _definition(node)
        elif node.kind == "eventBasedGateway":
            kwargs["event_definition"] = MultipleEventDefinition()
        if node.kind == "boundaryEvent":
            kwargs["cancel_activity"] = node.interrupting
        self._exit[node.id] = self._entry[node.id] = self._place(_SPECS[node.kind], place, node, **kwargs)
        if self.pool.boundary.get(node.id):
            self._entry[node.id] = self._place(_Split, place + 1, node)

    def _place(self, kind: Any, place: int, node: Node, **kwargs: Any) -> Any:
        # Named by its place: a diagram may well call an element `Start`, which is the library's own.
        spec = kind(self.spec, str(place), **kwargs)
        spec.place = place
        spec.bpmn_id = node.id
        self._by_place[place] = spec
        return spec

    def _connect(self, node: Node) -> None:
        spec = self._exit[node.id]
        if node.kind == "startEvent":
            self.spec.start.connect(spec)
        if self._entry[node.id] is not spec:
            self._entry[node.id].connect(spec)
        if node.attached_to:
            self._entry[node.attached_to].connect(spec)
        for flow in self.pool.outgoing[node.id]:
            target = self._entry[flow.target]
            if node.kind == "exclusiveGateway" and flow.condition and flow.id != node.default:
                spec.connect_outgoing_if(flow.condition, target)
            else:
                spec.connect(target)


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
    run = _Run(_Workflow(specification), service)
    run.begin(variables or {})
    return run.step()


def start_by_message(specification: Specification, service: Service, message: str) -> Step:
    """Start an instance at its message start event. Raises `NotOpen` where it has none for this message."""
    run = _Run(_Workflow(specification), service)
    run.begin({})
    run.catch(message)
    return run.step()


def complete(
    specification: Specification, state: bytes, service: Service, key: int, variables: Mapping[str, Any]
) -> Step:
    """Complete a human task with the variables of its form. Raises `NotOpen`."""
    run = _Run(load(specification, state), service)
    run.complete(key, variables)
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
    run.fire(timer)
    return run.step()


def retry(specification: Specification, state: bytes, service: Service) -> Step:
    """Run again what failed."""
    return _Run(load(specification, state), service).step()


def cancel(specification: Specification, state: bytes) -> Step:
    """End an instance where it stands."""
    run = _Run(load(specification, state), _no_service)
    run.cancel()
    return run.step()


def open_nodes(specification: Specification, state: bytes) -> dict[str, list[str]]:
    """Where an instance stands: node ids by `done`, `current` (waits for a person or a service) and `waiting`."""
    workflow = load(specification, state)
    found: dict[int, dict[str, None]] = {_READY: {}, _WAITING: {}}
    for task in workflow.live():
        found[task.state][task.task_spec.bpmn_id] = None
    return {
        "done": [specification.node(place).id for place in workflow.passed],
        "current": list(found[_READY]),
        "waiting": list(found[_WAITING]),
    }


def variables_of(state: bytes) -> dict[str, Any]:
    """The variables of a saved state."""
    return dict(_decode(state)[1])


def _no_service(node: Node, variables: Mapping[str, Any]) -> Mapping[str, Any]:
    raise RuntimeFailure


class _Workflow(BpmnWorkflow):  # type: ignore[misc]
    """The library's workflow, before its start event."""

    def __init__(self, specification: Specification) -> None:
        super().__init__(specification.spec, script_engine=_SCRIPT_ENGINE, deserializing=True)
        self.specification = specification
        self.next_key = 1
        self.thrown: list[str] = []
        # The places of the nodes that completed, in the order in which they last did.
        self.passed: dict[int, None] = {}
        self.task_tree = _Task(self, self.spec.start, state=_COMPLETED, id=_ROOT_KEY)

    def new_key(self) -> int:
        self.next_key += 1
        return self.next_key - 1

    def live(self) -> list[Task]:
        """The tasks that wait or can run, the oldest first."""
        # Not the library's iteration: that stops at a depth of 1000, in silence.
        return sorted((task for task in self.tasks.values() if task.state & _LIVE), key=_age)

    def note(self, task: Task) -> None:
        self.passed.pop(task.task_spec.place, None)
        self.passed[task.task_spec.place] = None

    def ends(self) -> list[Node]:
        """The end events passed so far, the last one first."""
        nodes = (self.specification.node(place) for place in reversed(self.passed))
        return [node for node in nodes if node.kind == "endEvent"]

    def _task_completed_notify(self, task: Task) -> None:
        """The library looks through all waiting tasks here; ours are told by what they wait for."""


class _Run:
    """One call: loads, acts, advances, and says what became of it."""

    def __init__(self, workflow: _Workflow, service: Service) -> None:
        self.workflow = workflow
        self.service = service
        self.passed: list[str] = []
        self.failures: list[Failure] = []
        self.cancelled = False
        self.before = {task.id: task for task in workflow.live()}
        # An instance is never left with something that could run, unless that failed.
        self.retried = any(map(_is_automatic, self.before.values()))

    # Events

    def begin(self, variables: Mapping[str, Any]) -> None:
        self.workflow.data.update(variables)
        root = self.workflow.task_tree
        for spec in root.task_spec.outputs:
            task = root._add_child(spec)
            spec._update(task)

    def complete(self, key: int, variables: Mapping[str, Any]) -> None:
        task = self.workflow.tasks.get(key)
        if task is None or task.state != _READY or not task.task_spec.manual:
            raise NotOpen
        self.workflow.data.update(variables)
        task.run()
        self._note(task)

    def catch(self, message: str) -> None:
        """Hand over a message to the one that has waited longest. Raises `NotOpen` where nobody waits for it."""
        waiting = [task for task in self.workflow.live() if message in _awaited(task)]
        if not waiting:
            raise NotOpen
        self._occur(waiting[0], _Message(message))

    def fire(self, timer: Opened) -> None:
        task = self.workflow.tasks.get(timer.key)
        definition = next((found for found in _timers(task) if found.name == timer.node), None) if task else None
        if definition is None:
            raise NotOpen
        self._occur(task, definition)

    def _occur(self, task: Task, definition: EventDefinition) -> None:
        task.task_spec.catch(task, BpmnEvent(definition))
        task.task_spec._update(task)

    def cancel(self) -> None:
        self.cancelled = True
        for task in self.workflow.live():
            task.cancel()

    # Advancing

    def advance(self) -> None:
        """Run everything that needs no person, within the budget. What fails waits; the rest goes on."""
        budget = STEP_BUDGET
        failed: set[int] = set()
        while ready := [task for task in self.workflow.live() if _is_automatic(task) and task.id not in failed]:
            for task in ready:
                # A terminate end event may have cancelled it meanwhile.
                if task.state != _READY:
                    continue
                if not budget:
                    self.failures.append(Failure(task.task_spec.bpmn_id, OverBudget()))
                    return
                budget -= 1
                if not self._execute(task):
                    failed.add(task.id)

    def _execute(self, task: Task) -> bool:
        """Run one task. False where it failed and waits for a retry."""
        try:
            if isinstance(task.task_spec, _ServiceTask):
                node = self.workflow.specification.node(task.task_spec.place)
                self.workflow.data.update(self.service(node, dict(self.workflow.data)))
            task.run()
        except Exception as error:
            # The library has moved a failed gateway to ERROR, from which nothing leads back.
            task._set_state(_READY)
            self.failures.append(Failure(task.task_spec.bpmn_id, error))
            return False
        self._note(task)
        return True

    def _note(self, task: Task) -> None:
        if isinstance(task.task_spec, BpmnSpecMixin):
            self.passed.append(task.task_spec.bpmn_id)
            self.workflow.note(task)

    def step(self) -> Step:
        self.advance()
        workflow = self.workflow
        live = {task.id: task for task in workflow.live()}
        arrived = [task for key, task in live.items() if key not in self.before]
        ends = workflow.ends()
        ended = not live and (bool(ends) or self.cancelled)
        if (
            not ended
            and not self.failures
            and all(isinstance(task.task_spec, _ParallelGateway) for task in live.values())
        ):
            nodes = [task.task_spec.bpmn_id for task in live.values()]
            self.failures += [Failure(node, Stuck()) for node in nodes or [workflow.specification.pool.id]]
        return Step(
            state=_encode(workflow, live.values()),
            opened=[Opened(task.id, task.task_spec.bpmn_id) for task in arrived if task.task_spec.manual],
            closed=[key for key, task in self.before.items() if key not in live and task.task_spec.manual],
            timers=[Opened(task.id, timer.name) for task in arrived for timer in _timers(task)],
            awaits={name for task in live.values() for name in _awaited(task)},
            thrown=list(workflow.thrown),
            passed=self.passed,
            failures=self.failures,
            retried=self.retried,
            stopped={task.task_spec.bpmn_id for task in live.values() if _is_automatic(task)},
            ended=ended,
            outcome=next((node.outcome for node in ends if node.outcome), None),
            variables=dict(workflow.data),
        )


def _age(task: Task) -> int:
    return int(task.id)


def _is_automatic(task: Task) -> bool:
    return task.state == _READY and not task.task_spec.manual


def _timers(task: Task) -> list[_Timer]:
    """The timers that a task waits for; an event-based gateway holds those of the events after it."""
    return [item for item in _definitions(task) if isinstance(item, _Timer)]


def _awaited(task: Task) -> list[str]:
    """The names of the messages that a task waits for."""
    return [item.name for item in _definitions(task) if isinstance(item, _Message)]


def _definitions(task: Task) -> list[EventDefinition]:
    if task.state != _WAITING or not isinstance(task.task_spec, CatchingEvent):
        return []
    definition = task.task_spec.event_definition
    return list(definition.event_definitions) if isinstance(definition, MultipleEventDefinition) else [definition]


# Saved states ----------------------------------------------------------------------------------------------------


_ENCODER = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False)


def _encode(workflow: _Workflow, live: Iterable[Task]) -> bytes:
    rows = [[task.id, task.task_spec.place, task.state, task.parent.id, task.parent.task_spec.place] for task in live]
    body = [workflow.next_key, workflow.data, list(workflow.passed), rows]
    return bytes([FORMAT]) + _ENCODER.encode(body).encode()


def _decode(state: bytes) -> Any:
    if not state or state[0] != FORMAT:
        raise RuntimeFailure(N_("This saved state has a format that this release does not know."))
    return json.loads(state[1:])


def load(specification: Specification, state: bytes) -> _Workflow:
    """The workflow of a saved state. Raises `RuntimeFailure` for a foreign format."""
    next_key, variables, passed, rows = _decode(state)
    workflow = _Workflow(specification)
    workflow.data.update(variables)
    workflow.next_key = next_key
    workflow.passed = dict.fromkeys(passed)
    for key, place, task_state, key_before, place_before in rows:
        before = workflow.tasks.get(key_before) or _Task(
            workflow, specification.at(place_before), workflow.task_tree, state=_COMPLETED, id=key_before
        )
        _Task(workflow, specification.at(place), before, state=task_state, id=key)
    return workflow
