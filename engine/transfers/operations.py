"""What happens to a transfer: the work of its service tasks, what its messages carry, its end, and withdrawal."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from engine import cases, messages, permissions, procedures
from engine.audit import Actor
from engine.bpmn import forms
from engine.cases import Call, Locked
from engine.errors import N_, Conflict, Forbidden, Invalid, NotFound
from engine.messages import Message
from engine.prepared import Prepared
from engine.registry import classes, organisations, records, students
from engine.transfers.applications import open_to_releasing_side
from engine.transfers.tables import RECEIVING, transfer


class TooLate(Conflict):
    """A withdrawal after the record has been retrieved."""

    code = "too_late"
    message = N_("The record has already been retrieved, so the transfer can not be withdrawn.")
    remedy = N_("Start a transfer back to the former school instead.")


class Ended(Conflict):
    """A change to a transfer that has ended."""

    code = "ended"
    message = N_("This transfer has already ended.")
    remedy = N_("Look at its history; a new application can be started.")


class NotWithdrawable(Forbidden):
    """The receiving school's procedure has no withdrawal."""

    code = "not_withdrawable"
    message = N_("The procedure of the receiving side knows no withdrawal.")
    remedy = N_("Wait for the decision, or ask your authority.")


# Service tasks ---------------------------------------------------------------------------------------------------


def _check_student(call: Call) -> Mapping[str, Any]:
    """Check the student at the releasing side before the request leaves; a failure ends the transfer by the diagram."""
    locked = call.locked
    row = _row(locked)
    failures = students.check(locked.connection, row.student_id, school_id=row.releasing_school_id)
    codes = [failure.code for failure in failures]
    _update(locked, failed_checks=codes or None)
    return {"student_ok": not failures}


def _retrieve_record(call: Call) -> Mapping[str, Any]:
    """Move the electronic record. Repeating it changes nothing."""
    locked = call.locked
    row = _row(locked)
    retrieved = records.retrieve(
        locked.connection,
        locked.actor,
        student_id=row.student_id,
        from_school_id=row.releasing_school_id,
        to_school_id=row.receiving_school_id,
        case_id=locked.id,
        at=locked.at,
    )
    _update(locked, record_hash=retrieved.hash)
    return {}


def _change_enrolment(call: Call) -> Mapping[str, Any]:
    """Make the reserved place the student's own; from now on the transfer no longer counts as open."""
    locked = call.locked
    row = _row(locked)
    students.change_enrolment(
        locked.connection,
        locked.actor,
        student_id=row.student_id,
        to_class_id=row.to_class_id,
        case_id=locked.id,
        at=locked.at,
    )
    _update(locked, state="retrieved", open=False, retrieved_at=locked.at)
    locked.stand("retrieved")
    return {}


def _notify(call: Call) -> Mapping[str, Any]:
    """Tell a party what the diagram says."""
    told = call.locked.parties[call.node.properties["to"]]
    call.locked.tell([told], call.node.properties["notice"], {"node": call.node.id, "party": call.party})
    return {}


def _escalate(call: Call) -> Mapping[str, Any]:
    """Tell the authority above the one that is late. The task stays where it is; nothing is decided by time."""
    late = call.locked.parties[call.party]
    superior = organisations.superior(call.locked.connection, late)
    told = [late] if superior is None else [late, superior.id]
    call.locked.tell(told, "overdue", {"node": call.node.id, "party": call.party, "organisation_id": late})
    return {}


# Messages and the end --------------------------------------------------------------------------------------------


def _payload(locked: Locked, name: str) -> dict[str, Any]:
    """What a message carries beyond the transfer's number, its own id, the sender and the time."""
    row = _row(locked)
    if name == "release_requested":
        return {
            "student_id": row.student_id,
            "school_id": row.receiving_school_id,
            "class_id": row.to_class_id,
            "reason": row.reason,
        }
    if name in ("release_agreed", "release_refused"):
        return {part: locked.last.get(part) for part in ("party", "result", "opinion")}
    if name == "record_retrieved":
        return {"hash": row.record_hash}
    if name == "paper_sent":
        return {"confirmed": locked.last.get("values", {})}
    return {}


def _arrived(locked: Locked, item: Message) -> None:
    """Tell the school of the side that a message has reached."""
    if item.name == "release_requested":
        open_to_releasing_side(locked.connection, locked.id, locked.parties["releasing_school"])
        _update(locked, requested_at=locked.at)
    locked.tell([locked.parties[f"{item.to_side}_school"]], item.name)


def _ended(locked: Locked) -> None:
    """Free the place that was not taken, and tell every party that took part."""
    row = _row(locked)
    if row.open:
        classes.free(locked.connection, row.to_class_id)
    _update(locked, state=locked.outcome, open=False, ended_at=locked.at)
    took_part = [task.organisation_id for task in _TOOK_PART.rows(locked.connection, {"of_case": locked.id})]
    locked.tell(took_part, locked.outcome or "")


_TOOK_PART = Prepared(
    sa.select(cases.task.c.organisation_id).where(cases.task.c.case_id == sa.bindparam("of_case")).distinct()
)


def register() -> None:
    """Make transfers a kind of case."""
    cases.register(
        "transfer",
        cases.Kind(
            services={
                "check_student": _check_student,
                "retrieve_record": _retrieve_record,
                "change_enrolment": _change_enrolment,
                "notify": _notify,
                "escalate": _escalate,
            },
            payload=_payload,
            arrived=_arrived,
            ended=_ended,
        ),
    )


# Withdrawal ------------------------------------------------------------------------------------------------------


def withdraw(
    connection: Connection, actor: Actor, case_id: int, reason: str, *, revision: int | None = None, at: datetime
) -> None:
    """End a pending transfer at the receiving school's wish; what was decided so far is kept.

    With a `revision`, only if the case has not gone on since the actor read it. Raises `NotFound` outside the actor's
    jurisdiction, `Forbidden` for anybody but the receiving school's operator, `TooLate` once the record has been
    retrieved, `Ended` after any end, `Stale`, `Invalid` without a reason.
    """
    cases.sides(connection, actor, case_id)
    locked = cases.lock(connection, actor, case_id, at=at)
    permissions.require(actor, "start_transfer")
    if actor.organisation_id != locked.parties.get("receiving_school"):
        raise Forbidden
    if not reason.strip():
        raise Invalid(fields={"reason": forms.FieldError(N_("This is required."))})
    _require_withdrawable(connection, locked)
    locked.require_revision(revision)
    locked.cancel("withdrawn")
    if _row(locked).requested_at is not None:
        locked.record_message("transfer_withdrawn", "receiving_school", {"reason": reason})
    _update(locked, withdrawal_reason=reason.strip())
    locked.note("transfer.withdrawn", subject="transfer")
    locked.save()


def _require_withdrawable(connection: Connection, locked: Locked) -> None:
    if locked.state != "open":
        raise TooLate if _row(locked).retrieved_at else Ended
    limit = _withdrawable_until(connection, locked.id)
    if limit is None:
        raise NotWithdrawable
    if any(item.name == limit for item in messages.of_case(connection, locked.id)):
        raise TooLate


def _withdrawable_until(connection: Connection, case_id: int) -> str | None:
    version_id = connection.scalar(
        sa.select(cases.instance.c.version_id).where(
            cases.instance.c.case_id == case_id, cases.instance.c.side == RECEIVING
        )
    )
    assert version_id is not None
    return procedures.load(connection, version_id).pool(RECEIVING).withdrawable_until


def may_withdraw(connection: Connection, actor: Actor, case_id: int) -> bool:
    """Whether the page offers a withdrawal; `withdraw` asks again under the lock."""
    row = _TRANSFER.first(connection, {"of_case": case_id})
    if row is None:
        raise NotFound
    if not permissions.may(actor, "start_transfer") or actor.organisation_id != row.receiving_school_id:
        return False
    limit = _withdrawable_until(connection, case_id)
    sent = {item.name for item in messages.of_case(connection, case_id)}
    return row.ended_at is None and limit is not None and limit not in sent


def _row(locked: Locked) -> Any:
    """The transfer's own row, as this transaction leaves it."""
    if "transfer" not in locked.known:
        locked.known["transfer"] = _TRANSFER.first(locked.connection, {"of_case": locked.id})
    return locked.known["transfer"]


_TRANSFER = Prepared(sa.select(transfer).where(transfer.c.case_id == sa.bindparam("of_case")))
_CHANGE = Prepared(transfer.update().where(transfer.c.case_id == sa.bindparam("of_case")))


def _update(locked: Locked, **values: Any) -> None:
    locked.known["transfer"] = _row(locked)._replace(**values)
    locked.change(_CHANGE, {"of_case": locked.id}, **values)
