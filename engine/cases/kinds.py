"""What a kind of case adds to its diagram: its services, what its messages carry, and what follows from its end."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from engine.bpmn.graph import Node
from engine.messages import Message

if TYPE_CHECKING:
    from engine.cases.locked import Locked


@dataclass(frozen=True)
class Call:
    """What a service task's work is given."""

    locked: Locked
    # The party in whose lane the service task stands.
    party: str
    node: Node
    variables: Mapping[str, Any]


Service = Callable[[Call], Mapping[str, Any]]


def _nothing(*_: Any, **__: Any) -> None:
    return None


@dataclass(frozen=True)
class Kind:
    """What a kind of case adds to its diagram."""

    # The work of each topic. Whatever it raises becomes an incident, and its own writes are undone.
    services: Mapping[str, Service] = field(default_factory=dict)
    # What a message of this name carries beyond the case itself.
    payload: Callable[[Locked, str], dict[str, Any]] = lambda locked, name: {}
    # A message has reached its side.
    arrived: Callable[[Locked, Message], None] = _nothing
    # The case has ended, and all of it is written; what this adds is written after it.
    ended: Callable[[Locked], None] = _nothing


_kinds: dict[str, Kind] = {}


def register(name: str, kind: Kind) -> None:
    """Make a kind known; called once, where the application is wired."""
    _kinds[name] = kind


def kind_of(name: str) -> Kind:
    """The kind of this name; a plain procedure adds nothing to its diagram."""
    return _kinds.get(name, Kind())
