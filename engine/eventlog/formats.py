"""Event logs for other tools: XES (IEEE 1849-2016) and OCEL 2.0 (JSON), written as they are read."""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from xml.sax.saxutils import quoteattr

from sqlalchemy.engine import Connection

from engine import audit
from engine.audit import Actor
from engine.bpmn.forms import FieldError
from engine.errors import N_, Invalid
from engine.eventlog.cases import Event, Filters, Trace, require_access, traces
from engine.registry import organisations

# So many characters are gathered before they are handed on.
_PIECE = 64 * 1024


@dataclass(frozen=True)
class Export:
    """A log that somebody may have, and has said why."""

    actor: Actor
    form: str
    filters: Filters

    def pieces(self, connection: Connection) -> Iterator[bytes]:
        """The file, read and written piece by piece; a connection that only reads is enough."""
        return _pieces(FORMATS[self.form](_Log(connection, self.actor, self.filters)))


def export(connection: Connection, actor: Actor, form: str, filters: Filters, reason: str, *, at: datetime) -> Export:
    """A log of the actor's jurisdiction in one of `FORMATS`; who wanted it and why is audited.

    Raises `Forbidden`, `Invalid` without a reason or for another format.
    """
    require_access(actor)
    if form not in FORMATS:
        raise Invalid(N_("There is no such format: choose XES or OCEL 2.0."))
    if not reason.strip():
        raise Invalid(fields={"reason": FieldError(N_("This is required."))})
    after = {"format": form, "reason": reason.strip()} | {
        name: str(value) for name, value in vars(filters).items() if value is not None
    }
    audit.record(connection, actor, "log.exported", "log", None, at=at, after=after)
    return Export(actor, form, filters)


def _pieces(lines: Iterator[str]) -> Iterator[bytes]:
    waiting: list[str] = []
    size = 0
    for line in lines:
        waiting.append(line)
        size += len(line)
        if size > _PIECE:
            yield "".join(waiting).encode()
            waiting, size = [], 0
    yield "".join(waiting).encode()


class _Log:
    """What both formats ask for."""

    def __init__(self, connection: Connection, actor: Actor, filters: Filters) -> None:
        self.connection = connection
        self.actor = actor
        self.filters = filters
        # One for each file, so that two files can not be put together by their students.
        self.secret = secrets.token_bytes(32)
        self.names: dict[int, str] = {}

    def traces(self) -> Iterator[Trace]:
        return traces(self.connection, self.actor, self.filters)

    def organisation(self, organisation_id: int | None) -> str:
        """The name of an organisation."""
        if organisation_id is None:
            return ""
        if organisation_id not in self.names:
            self.names[organisation_id] = organisations.get(self.connection, organisation_id).name
        return self.names[organisation_id]

    def student(self, student_id: int) -> str:
        """A word for a student that means nothing, and is the same throughout this file."""
        return "student-" + hmac.new(self.secret, str(student_id).encode(), hashlib.sha256).hexdigest()[:16]


def activity(event: Event) -> str:
    """What an event is called: the words of its step, else its message's name."""
    return (event.node.name if event.node else "") or event.message or (event.node.id if event.node else "")


def _version(event: Event) -> str:
    return f"{event.version.regime}/{event.version.kind}/{event.version.number}"


def _case(case_id: int) -> str:
    return f"case-{case_id}"


def _time(instant: datetime) -> str:
    return instant.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


# XES -------------------------------------------------------------------------------------------------------------

_TRANSITIONS = {"opened": "schedule", "done": "complete", "cancelled": "withdraw", "sent": "complete"}
_XES_HEAD = """<?xml version="1.0" encoding="UTF-8"?>
<log xes.version="1849-2016" xes.features="" xmlns="http://www.xes-standard.org/">
  <extension name="Concept" prefix="concept" uri="http://www.xes-standard.org/concept.xesext"/>
  <extension name="Time" prefix="time" uri="http://www.xes-standard.org/time.xesext"/>
  <extension name="Lifecycle" prefix="lifecycle" uri="http://www.xes-standard.org/lifecycle.xesext"/>
  <extension name="Organizational" prefix="org" uri="http://www.xes-standard.org/org.xesext"/>
  <global scope="trace">
    <string key="concept:name" value=""/>
  </global>
  <global scope="event">
    <string key="concept:name" value=""/>
    <date key="time:timestamp" value="1970-01-01T00:00:00.000Z"/>
    <string key="lifecycle:transition" value="complete"/>
  </global>
  <classifier name="Activity" keys="concept:name"/>
  <classifier name="Activity and transition" keys="concept:name lifecycle:transition"/>
  <string key="lifecycle:model" value="standard"/>
"""


def _xes(log: _Log) -> Iterator[str]:
    yield _XES_HEAD
    for trace in log.traces():
        yield "  <trace>\n"
        yield from _xes_attributes(4, _trace_attributes(log, trace))
        for event in trace.events:
            yield "    <event>\n"
            yield f'      <date key="time:timestamp" value="{_time(event.at)}"/>\n'
            yield from _xes_attributes(6, _event_attributes(log, event))
            yield "    </event>\n"
        yield "  </trace>\n"
    yield "</log>\n"


def _xes_attributes(depth: int, attributes: Mapping[str, str]) -> Iterator[str]:
    for key, value in attributes.items():
        if value:
            yield f'{" " * depth}<string key="{key}" value={quoteattr(value)}/>\n'


def _trace_attributes(log: _Log, trace: Trace) -> dict[str, str]:
    attributes = {"concept:name": _case(trace.case_id), "kind": trace.kind, "outcome": trace.outcome or ""}
    if trace.student_id is not None:
        attributes["student"] = log.student(trace.student_id)
    return attributes


def _event_attributes(log: _Log, event: Event) -> dict[str, str]:
    return {
        "concept:name": activity(event),
        "lifecycle:transition": _TRANSITIONS[event.kind],
        "org:group": log.organisation(event.organisation_id),
        "org:role": event.duty,
    } | _plain_attributes(event)


def _plain_attributes(event: Event) -> dict[str, str]:
    return {
        "element": event.node.id if event.node else "",
        "side": event.side or "",
        "party": event.party,
        "version": _version(event),
        "result": event.result or "",
        "message": event.message,
    }


# OCEL 2.0 --------------------------------------------------------------------------------------------------------

_STRINGS = ("element", "side", "party", "version", "result", "message", "transition", "duty")
_OBJECT_TYPES = {
    "case": ("kind", "outcome"),
    "organisation": ("name",),
    "student": (),
}


def _ocel(log: _Log) -> Iterator[str]:
    """Events first and types last, since only who has read all of them knows what there is; the order means nothing."""
    types: set[str] = set()
    offices: set[int] = set()
    yield '{"events":['
    yield from _joined(_ocel_events(log, types, offices))
    yield '],"objects":['
    yield from _joined(_ocel_objects(log, offices))
    yield '],"objectTypes":'
    yield _json([{"name": name, "attributes": _strings(own)} for name, own in _OBJECT_TYPES.items()])
    yield ',"eventTypes":'
    yield _json([{"name": name, "attributes": _strings(_STRINGS)} for name in sorted(types)])
    yield "}\n"


def _ocel_events(log: _Log, types: set[str], offices: set[int]) -> Iterator[dict[str, Any]]:
    for trace in log.traces():
        offices.update(trace.parties.values())
        for number, event in enumerate(trace.events, 1):
            types.add(activity(event))
            values = _plain_attributes(event) | {"transition": _TRANSITIONS[event.kind], "duty": event.duty}
            related = [(_case(trace.case_id), "case")]
            if event.organisation_id is not None:
                offices.add(event.organisation_id)
                related.append((_office(event.organisation_id), "by"))
            if trace.student_id is not None:
                related.append((log.student(trace.student_id), "about"))
            yield {
                "id": f"{_case(trace.case_id)}-{number}",
                "type": activity(event),
                "time": _time(event.at),
                "attributes": [{"name": name, "value": value} for name, value in values.items() if value],
                "relationships": _related(related),
            }


def _ocel_objects(log: _Log, offices: set[int]) -> Iterator[dict[str, Any]]:
    seen: set[int] = set()
    for trace in log.traces():
        related = [(_office(office), party) for party, office in trace.parties.items()]
        if trace.student_id is not None:
            related.append((log.student(trace.student_id), "about"))
            if trace.student_id not in seen:
                seen.add(trace.student_id)
                yield {"id": log.student(trace.student_id), "type": "student", "attributes": [], "relationships": []}
        values = [("kind", trace.kind, trace.started_at)]
        if trace.outcome and trace.ended_at:
            values.append(("outcome", trace.outcome, trace.ended_at))
        yield {
            "id": _case(trace.case_id),
            "type": "case",
            "attributes": [{"name": name, "time": _time(at), "value": value} for name, value, at in values],
            "relationships": _related(related),
        }
    always = "1970-01-01T00:00:00.000Z"
    for office in sorted(offices):
        named = [{"name": "name", "time": always, "value": log.organisation(office)}]
        yield {"id": _office(office), "type": "organisation", "attributes": named, "relationships": []}


def _office(organisation_id: int) -> str:
    return f"organisation-{organisation_id}"


def _related(objects: list[tuple[str, str]]) -> list[dict[str, str]]:
    return [{"objectId": name, "qualifier": qualifier} for name, qualifier in objects]


def _strings(names: tuple[str, ...]) -> list[dict[str, str]]:
    return [{"name": name, "type": "string"} for name in names]


def _joined(items: Iterator[dict[str, Any]]) -> Iterator[str]:
    comma = ""
    for item in items:
        yield comma + _json(item)
        comma = ",\n"


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


FORMATS: dict[str, Callable[[_Log], Iterator[str]]] = {"xes": _xes, "ocel2": _ocel}
