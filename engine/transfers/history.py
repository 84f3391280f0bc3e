"""How a transfer went: what was done and decided, what the two sides said to each other, who held it for how long.

What the other side sees is the public part: progress and decisions (party, result, opinion, time), but no persons,
drafts, comments or attachments.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from engine import cases, inbox, messages
from engine.accounts import person
from engine.audit import Actor, audit_entry
from engine.bpmn import expressions
from engine.bpmn.graph import MessageFlow, Node
from engine.cases import case
from engine.inbox import Task
from engine.messages import Message
from engine.procedures import Version
from engine.registry import organisations
from engine.registry.organisations import Organisation
from engine.transfers.tables import RECEIVING, RELEASING, transfer
from engine.workdays import SHANGHAI, Calendar

# What ends a transfer without a step of its diagram.
WITHDRAWN, CHECK_FAILED = "withdrawn", "check_failed"


@dataclass(frozen=True)
class Entry:
    """One thing that happened in a transfer: a step that was done, a message that went across, or an early end."""

    at: datetime
    side: str | None
    party: str
    organisation: str
    organisation_en: str | None
    # The step, or nothing for a message or an end.
    node: Node | None = None
    message: Message | None = None
    # How the sender's diagram draws the message; None for what no diagram draws.
    flow: MessageFlow | None = None
    # withdrawn, check_failed
    end: str = ""
    result: str | None = None
    opinion: str | None = None
    # Empty for the other side's persons.
    person: str | None = None
    duty: str | None = None
    task: Task | None = None


def history(connection: Connection, actor: Actor, case_id: int) -> list[Entry]:
    """审批历史: all that happened, in time. Raises `NotFound` outside the actor's jurisdiction."""
    sides = cases.sides(connection, actor, case_id)
    tasks = inbox.of_case(connection, case_id)
    ends = _ends(connection, case_id)
    parties: dict[str, int] = connection.scalar(sa.select(case.c.parties).where(case.c.id == case_id)) or {}
    names = _Names.read(connection, tasks, parties.values(), ends)
    # A plain case has no sides, so nobody stands on another one.
    found = [_entry(item, names, own=item.side is None or item.side in sides) for item in tasks if item.state == "done"]
    found += _letters(connection, case_id, parties, names)
    found += [_end(row, parties, names, own=RECEIVING in sides) for row in ends]
    # In the same instant a message follows the step that sent it, and an end follows both.
    return sorted(found, key=lambda entry: (entry.at, bool(entry.message), bool(entry.end)))


def _entry(item: Task, names: _Names, *, own: bool) -> Entry:
    assert item.closed_at is not None
    return Entry(
        at=item.closed_at,
        side=item.side,
        party=item.party,
        **names.office(item.organisation_id),
        node=item.node,
        result=item.result,
        opinion=item.opinion,
        person=names.people.get(item.person_id) if own else None,
        duty=item.duty if own else None,
        task=item if own else None,
    )


def _letters(connection: Connection, case_id: int, parties: dict[str, int], names: _Names) -> list[Entry]:
    sent = messages.of_case(connection, case_id)
    drawn = {stand.side: _flows(stand.version) for stand in cases.stands(connection, case_id)} if sent else {}
    found = []
    for item in sent:
        side = RELEASING if item.to_side == RECEIVING else RECEIVING
        found.append(
            Entry(
                at=item.sent_at,
                side=side,
                party=item.sender,
                **names.office(parties.get(item.sender)),
                message=item,
                flow=drawn.get(side, {}).get(item.name),
            )
        )
    return found


def _flows(version: Version) -> dict[str, MessageFlow]:
    return {flow.message: flow for flow in version.graph.message_flows if flow.message}


def _ends(connection: Connection, case_id: int) -> list[Any]:
    """The transfer, where it was withdrawn or a check ended it, with whoever withdrew it."""
    by_whom = (audit_entry.c.case_id == transfer.c.case_id) & (audit_entry.c.action == "transfer.withdrawn")
    columns = (transfer.c.ended_at, transfer.c.state, transfer.c.withdrawal_reason, audit_entry.c.person_id)
    query = (
        sa.select(*columns, audit_entry.c.duty)
        .select_from(transfer.outerjoin(audit_entry, by_whom))
        .where(
            transfer.c.case_id == case_id,
            transfer.c.ended_at.is_not(None),
            (transfer.c.state == "withdrawn") | transfer.c.failed_checks.is_not(None),
        )
    )
    return list(connection.execute(query))


def _end(row: Any, parties: dict[str, int], names: _Names, *, own: bool) -> Entry:
    withdrawn = row.state == "withdrawn"
    return Entry(
        at=row.ended_at,
        side=RECEIVING,
        party="receiving_school",
        **names.office(parties.get("receiving_school")),
        end=WITHDRAWN if withdrawn else CHECK_FAILED,
        opinion=row.withdrawal_reason,
        person=names.people.get(row.person_id) if own else None,
        duty=row.duty if own else None,
    )


@dataclass(frozen=True)
class _Names:
    """The people and offices that a history speaks of, by id."""

    people: dict[int | None, str]
    offices: Mapping[int, Organisation]

    @classmethod
    def read(
        cls, connection: Connection, tasks: Iterable[Task], offices: Iterable[int] = (), acts: Iterable[Any] = ()
    ) -> _Names:
        wanted = {item.person_id for item in (*tasks, *acts) if item.person_id}
        people = connection.execute(sa.select(person.c.id, person.c.name).where(person.c.id.in_(wanted)))
        found = organisations.named(connection, {*offices, *(item.organisation_id for item in tasks)})
        return cls({row.id: row.name for row in people}, found)

    def office(self, organisation_id: int | None) -> dict[str, Any]:
        """How `Entry` and `Hold` name an organisation."""
        found = self.offices.get(organisation_id or 0)
        return {"organisation": found.name if found else "", "organisation_en": found.name_en if found else None}


# The clock ribbon ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Hold:
    """How long one party had a transfer without a break: a bar of the clock ribbon."""

    party: str
    organisation: str
    organisation_en: str | None
    side: str | None
    steps: tuple[Node, ...]
    opened_at: datetime
    # None while the party still has it.
    closed_at: datetime | None
    due_at: datetime | None
    due_provisional: bool
    # done, open or cancelled; and with which result and opinion.
    state: str
    result: str | None
    opinion: str | None

    @property
    def limit(self) -> int | None:
        """The working days that the diagram allows; None where it sets no limit."""
        due = next((step.due for step in self.steps if step.due), "")
        return expressions.workdays(due) if due else None

    def used(self, calendar: Calendar, at: datetime) -> int:
        """The working days after the day on which the party got it, up to the day it let go of it, or to now."""
        return calendar.between(_day(self.opened_at), _day(self.closed_at or at))

    def late(self, calendar: Calendar, at: datetime) -> int:
        """How many of them were too many; a limit that was broken on a holiday counts as one."""
        if self.limit is None or self.due_at is None or (self.closed_at or at) < self.due_at:
            return 0
        return max(1, self.used(calendar, at) - self.limit)


def ribbon(connection: Connection, actor: Actor, case_id: int) -> list[Hold]:
    """Who held a case and for how long, in its order. Both sides see it.

    Steps that one party does one after the other are one hold. Raises `NotFound` outside the jurisdiction.
    """
    cases.sides(connection, actor, case_id)
    tasks = inbox.of_case(connection, case_id)
    names = _Names.read(connection, tasks)
    found: list[Hold] = []
    for item in tasks:
        hold = _hold(item, names)
        if found and _continues(found[-1], hold):
            found[-1] = _joined(found[-1], hold)
        else:
            found.append(hold)
    return found


def _hold(item: Task, names: _Names) -> Hold:
    return Hold(
        party=item.party,
        **names.office(item.organisation_id),
        side=item.side,
        steps=(item.node,),
        opened_at=item.opened_at,
        closed_at=item.closed_at,
        due_at=item.due_at,
        due_provisional=item.due_provisional,
        state=item.state,
        result=item.result,
        opinion=item.opinion,
    )


def _continues(before: Hold, hold: Hold) -> bool:
    """Whether the same party goes on, and no clock of its own begins."""
    same = (before.party, before.organisation, before.closed_at) == (hold.party, hold.organisation, hold.opened_at)
    return same and (hold.due_at is None or hold.closed_at == hold.opened_at)


def _joined(before: Hold, hold: Hold) -> Hold:
    return replace(
        before,
        steps=before.steps + hold.steps,
        closed_at=hold.closed_at,
        state=hold.state,
        result=hold.result or before.result,
        opinion=hold.opinion or before.opinion,
    )


def _day(at: datetime) -> Any:
    return at.astimezone(SHANGHAI).date()
