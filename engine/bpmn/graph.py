"""A procedure as data: what the runtime executes, the checks read and the comparison compares.

Nothing here knows XML, SpiffWorkflow or a database. Kinds are the local names of BPMN 2.0 (`userTask`,
`exclusiveGateway`); ids are those of the file.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

PARTIES = ("receiving_school", "receiving_authority", "releasing_school", "releasing_authority")
# The one party of a pool without lanes: the organisation that started it.
OWNER = "owner"
SIDES = ("receiving", "releasing")
HUMAN = frozenset({"userTask", "manualTask"})
GATEWAYS = frozenset({"exclusiveGateway", "parallelGateway", "eventBasedGateway"})
BASES = ("text", "picture", "practice", "inferred")


@dataclass(frozen=True)
class Described:
    """What may stand on any element: its words and where they come from."""

    id: str
    name: str
    properties: Mapping[str, str] = field(default_factory=dict, hash=False)

    def label(self, locale: str) -> str:
        """The element's words; Chinese where there are no English ones."""
        if locale.startswith("en"):
            return self.properties.get("label.en") or self.name or self.id
        return self.name or self.id

    @property
    def clauses(self) -> tuple[str, ...]:
        """References into the regime's document."""
        return tuple(part.strip() for part in self.properties.get("clause", "").split(";") if part.strip())

    @property
    def basis(self) -> str:
        """How sure we are that the document says so: text, picture, practice or inferred."""
        return self.properties.get("basis", "text")


@dataclass(frozen=True)
class Option:
    """One value of an enum field."""

    id: str
    name: str
    name_en: str = ""

    def label(self, locale: str) -> str:
        return self.name_en or self.name if locale.startswith("en") else self.name


@dataclass(frozen=True)
class Field(Described):
    """One field of a form. `name` is its label."""

    type: str = "string"  # string, long, boolean, date, enum, file
    required: bool = False
    # CEL over the form's own fields; empty for "always" (visible) and "as `required` says" (required_when).
    visible: str = ""
    required_when: str = ""
    options: tuple[Option, ...] = ()
    default: str = ""
    max_length: int | None = None
    minimum: int | None = None
    maximum: int | None = None

    @property
    def binds(self) -> str:
        return self.properties.get("binds", "")

    @property
    def multiline(self) -> bool:
        return self.properties.get("multiline") == "true"


@dataclass(frozen=True)
class Event:
    """What an event waits for or does. `timer` is the expression of its `timeDate`."""

    kind: str  # none, message, timer, terminate, or another definition's local name
    message: str = ""
    timer: str = ""


@dataclass(frozen=True)
class Node(Described):
    """A flow node: task, gateway or event."""

    kind: str = ""
    lane: str | None = None
    form: tuple[Field, ...] = ()
    duty: str = "operator"
    topic: str = ""
    due: str = ""
    event: Event | None = None
    attached_to: str | None = None
    interrupting: bool = True
    default: str | None = None  # id of the default flow

    @property
    def is_human(self) -> bool:
        return self.kind in HUMAN

    @property
    def batch(self) -> bool:
        return self.properties.get("batch") == "true"

    @property
    def outcome(self) -> str | None:
        return self.properties.get("outcome")

    def menu(self, locale: str) -> str:
        if locale.startswith("en"):
            return self.properties.get("menu.en") or self.properties.get("menu", "")
        return self.properties.get("menu", "")

    def bound(self, binding: str) -> Field | None:
        """The field of the form that is bound to `binding`."""
        return next((item for item in self.form if item.binds == binding), None)


@dataclass(frozen=True)
class Flow(Described):
    """A sequence flow. `condition` is CEL, without its `${…}`."""

    source: str = ""
    target: str = ""
    condition: str = ""


@dataclass(frozen=True)
class Lane(Described):
    party: str = ""
    nodes: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Pool(Described):
    """A participant. Without `process_id` it is a black box: drawn, not executed."""

    process_id: str | None = None
    executable: bool = False
    lanes: tuple[Lane, ...] = ()
    nodes: tuple[Node, ...] = ()
    flows: tuple[Flow, ...] = ()

    @property
    def side(self) -> str | None:
        """Which half of a transfer this pool is; None for a plain pool."""
        return self.properties.get("side")

    @property
    def withdrawable_until(self) -> str | None:
        """The message after which the receiving school can no longer withdraw; None: it never can."""
        words = self.properties.get("withdraw", "").split()
        return words[1] if len(words) == 2 and words[0] == "until" else None

    @cached_property
    def by_id(self) -> dict[str, Node]:
        return {node.id: node for node in self.nodes}

    @cached_property
    def outgoing(self) -> dict[str, list[Flow]]:
        found: dict[str, list[Flow]] = {node.id: [] for node in self.nodes}
        for flow in self.flows:
            found.setdefault(flow.source, []).append(flow)
        return found

    @cached_property
    def incoming(self) -> dict[str, list[Flow]]:
        found: dict[str, list[Flow]] = {node.id: [] for node in self.nodes}
        for flow in self.flows:
            found.setdefault(flow.target, []).append(flow)
        return found

    @cached_property
    def boundary(self) -> dict[str, list[Node]]:
        """The boundary events of each activity."""
        found: dict[str, list[Node]] = {}
        for node in self.nodes:
            if node.attached_to:
                found.setdefault(node.attached_to, []).append(node)
        return found

    @cached_property
    def _parties(self) -> dict[str, str]:
        return {node: lane.party for lane in self.lanes for node in lane.nodes}

    def party(self, node_id: str) -> str:
        """Who acts in a node: its lane's party, or `owner` in a pool without lanes; "" where nothing says so."""
        return self._parties.get(node_id, "") if self.lanes else OWNER

    @cached_property
    def start(self) -> Node | None:
        return next((node for node in self.nodes if node.kind == "startEvent"), None)

    @cached_property
    def in_order(self) -> tuple[Node, ...]:
        """Its nodes as the flows reach them from the start, the nearest first."""
        found = dict.fromkeys([self.start.id] if self.start else [])
        waiting = list(found)
        while waiting:
            reached = [flow.target for node in waiting for flow in self.outgoing.get(node, [])]
            waiting = [node for node in dict.fromkeys(reached) if node not in found and node in self.by_id]
            found.update(dict.fromkeys(waiting))
        return tuple(self.by_id[node] for node in found)

    def following(self, node_id: str) -> Node | None:
        """The only node after this one, or None where there are several or none."""
        flows = self.outgoing.get(node_id, [])
        return self.by_id.get(flows[0].target) if len(flows) == 1 else None

    def act(self, node_id: str) -> tuple[Node, ...]:
        """The human tasks done in one act with this one: manual steps, then the step that they prepare.

        A manual step is joined with what follows where both have the same party, duty and menu.
        """
        node = self.by_id[node_id]
        found = [node]
        while node.kind == "manualTask":
            after = self.following(node.id)
            if after is None or after in found or not self._same_desk(node, after):
                break
            found.append(after)
            node = after
        return tuple(found)

    def _same_desk(self, one: Node, other: Node) -> bool:
        return (
            other.is_human
            and self.party(one.id) == self.party(other.id)
            and one.duty == other.duty
            and one.menu("zh") == other.menu("zh")
        )

    def host_of(self, node_id: str) -> Node:
        """The activity on whose edge the branch with this node begins; the node itself where it begins elsewhere."""
        node, seen = self.by_id[node_id], {node_id}
        while not node.attached_to:
            before = self.incoming.get(node.id, [])
            if len(before) != 1 or before[0].source in seen:
                return self.by_id[node_id]
            node = self.by_id[before[0].source]
            seen.add(node.id)
        return self.by_id[node.attached_to]

    @cached_property
    def application(self) -> Node | None:
        """The first user task after the start: the application form of a receiving pool."""
        node = self.start
        seen: set[str] = set()
        while node is not None and node.id not in seen:
            if node.kind == "userTask":
                return node
            seen.add(node.id)
            node = self.following(node.id)
        return None

    @cached_property
    def application_act(self) -> tuple[Node, ...]:
        """The application form and the manual steps before it: all that saving an application completes."""
        found: list[Node] = []
        node = self.start if self.application else None
        while node is not None and node is not self.application:
            node = self.following(node.id)
            if node is not None and node.is_human:
                found.append(node)
        return tuple(found)


@dataclass(frozen=True)
class MessageFlow(Described):
    """`source` and `target` are ids of nodes or of pools; `message` the contract's name, or ""."""

    source: str = ""
    target: str = ""
    message: str = ""


@dataclass(frozen=True)
class ProcessGraph:
    """One file. `properties` are the collaboration's: what the document says as a whole."""

    id: str
    pools: tuple[Pool, ...]
    message_flows: tuple[MessageFlow, ...] = ()
    properties: Mapping[str, str] = field(default_factory=dict, hash=False)
    # What the reader met inside executable pools and has no place for: (id of the element, what it is).
    strange: tuple[tuple[str, str], ...] = ()

    @cached_property
    def executable(self) -> tuple[Pool, ...]:
        return tuple(pool for pool in self.pools if pool.executable)

    def pool(self, side: str | None) -> Pool:
        """The executable pool of a side; for None the only one of a plain file. Raises KeyError."""
        for pool in self.executable:
            if pool.side == side:
                return pool
        raise KeyError(side)
