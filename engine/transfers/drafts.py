"""Applications that are being written: kept unchecked as they are entered, until they are saved, declined or dropped.

A draft has no case. The page names it by a random id of its own before anything is kept, so that an application that
arrives twice is known to be one, even if it was never kept before.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from engine import audit, permissions
from engine.accounts import person
from engine.audit import Actor
from engine.bpmn.forms import FieldError
from engine.errors import N_, Conflict, Invalid, NotFound
from engine.registry import divisions
from engine.transfers.tables import application_draft, transfer

# Children's data are not kept for nothing: a draft that nobody touches for a term goes, a refusal after a school year.
_OPEN_FOR, _DECLINED_FOR = timedelta(days=180), timedelta(days=366)
LONGEST_REASON = 500


class AlreadyStarted(Conflict):
    """The same application a second time: sent twice, or gone on with in another window."""

    code = "already_started"
    message = N_("This application has already been saved, as transfer %(number)s.")
    remedy = N_("Look at its progress there; nothing has been done twice.")

    @property
    def case_id(self) -> int:
        found: int = self.values["case_id"]
        return found


class AlreadyDeclined(Conflict):
    """An application that the school has closed."""

    code = "already_declined"
    message = N_("Your school has declined this application.")
    remedy = N_("Begin a new application if the school accepts the student after all.")


class DraftChanged(Conflict):
    """A draft that a colleague, or another window, has saved since it was read."""

    code = "stale"
    message = N_("%(person)s has saved this application since you read it.")
    remedy = N_("Read it again, and add what you have.")


@dataclass(frozen=True)
class Draft:
    """One application without a case. `uid` is how pages and forms name it."""

    uid: str
    origin_province: str
    values: dict[str, Any]
    # open, declined, started.
    state: str
    decline_reason: str | None
    revision: int
    # Who touched it last, and when.
    person: str
    saved_at: datetime


def new_uid() -> str:
    """A name for an application that is about to be written; nothing is kept yet."""
    return uuid.uuid4().hex


def save_draft(
    connection: Connection,
    actor: Actor,
    origin_province: str,
    entered: Mapping[str, Any],
    *,
    uid: str | None = None,
    revision: int | None = None,
    at: datetime,
) -> str:
    """Keep what has been entered so far, unchecked; of two people at one draft the later has the last word.

    Unless it names the `revision` that it has read: then it must still be that one. Answers the draft's uid. Raises
    `NotFound` for another school's draft, `AlreadyStarted`, `AlreadyDeclined`, `DraftChanged`, and `Invalid` for a
    province that there is not, since its form could never be shown.
    """
    permissions.require(actor, "start_transfer")
    if origin_province not in {province.code for province in divisions.children()}:
        raise Invalid(fields={"origin": FieldError(N_("Choose one of the values given."))})
    uid = uid or new_uid()
    values = {
        "values": {name: _as_text(value) for name, value in entered.items()}, "origin_province": origin_province,
        "person_id": actor.person_id, "saved_at": at,
    }  # fmt: skip
    if revision is not None:
        if not _change_open(connection, actor, uid, values, revision):
            raise _why_changed(connection, actor, uid)
        return uid
    kept = _change_open(connection, actor, uid, values) or _insert(connection, actor, uid, values)
    # Two first times at once: the other one's row is there now.
    if not kept and not _change_open(connection, actor, uid, values):
        raise _why_closed(connection, actor, uid)
    return uid


def _as_text(entry: Any) -> str:
    """As a form would have sent it: programs may send numbers, yes or no, and nothing."""
    return "" if entry is None else str(entry).lower() if isinstance(entry, bool) else str(entry)


def _change_open(
    connection: Connection, actor: Actor, uid: str, values: Mapping[str, Any], revision: int | None = None
) -> bool:
    columns = application_draft.c
    changed = connection.scalar(
        application_draft.update()
        .where(*_open(actor, uid, revision))
        .values({**values, "revision": columns.revision + 1})
        .returning(columns.id)
    )
    return changed is not None


def _insert(connection: Connection, actor: Actor, uid: str, values: Mapping[str, Any]) -> bool:
    if len(uid) != 32 or not uid.isalnum() or not uid.isascii():
        raise NotFound
    row = {"uid": uid, "organisation_id": actor.organisation_id, "state": "open"} | dict(values)
    try:
        with connection.begin_nested():
            connection.execute(application_draft.insert(), row)
    except sa.exc.IntegrityError:
        return False
    return True


def _why_changed(connection: Connection, actor: Actor, uid: str) -> NotFound | Conflict:
    try:
        found = draft(connection, actor, uid)
    except (NotFound, Conflict) as closed:
        return closed
    return DraftChanged(person=found.person, at=found.saved_at, revision=found.revision)


def _why_closed(connection: Connection, actor: Actor, uid: str) -> NotFound | Conflict:
    row = connection.execute(
        sa.select(application_draft.c.state, application_draft.c.case_id, transfer.c.number)
        .outerjoin(transfer, transfer.c.case_id == application_draft.c.case_id)
        .where(application_draft.c.uid == uid, _own(actor))
    ).one_or_none()
    if row is None:
        return NotFound()
    if row.state == "started":
        return AlreadyStarted(number=row.number, case_id=row.case_id)
    return AlreadyDeclined()


def drafts_of_school(connection: Connection, actor: Actor, *, state: str = "open") -> list[Draft]:
    """The school's applications in one state, newest first; they are for whoever may start a transfer there."""
    return _drafts(connection, actor, application_draft.c.state == state)


def draft(connection: Connection, actor: Actor, uid: str) -> Draft:
    """One open draft of the actor's school. Raises `NotFound`, `AlreadyStarted`, `AlreadyDeclined`."""
    found = _drafts(connection, actor, application_draft.c.uid == uid)
    if not found or found[0].state != "open":
        raise _why_closed(connection, actor, uid)
    return found[0]


def _drafts(connection: Connection, actor: Actor, condition: sa.ColumnElement[bool]) -> list[Draft]:
    permissions.require(actor, "start_transfer")
    columns = application_draft.c
    rows = connection.execute(
        sa.select(application_draft, person.c.name)
        .outerjoin(person, person.c.id == columns.person_id)
        .where(_own(actor), condition)
        .order_by(columns.saved_at.desc(), columns.id.desc())
    ).mappings()
    return [
        Draft(
            row["uid"], row["origin_province"], row["values"], row["state"], row["decline_reason"], row["revision"],
            row["name"] or "", row["saved_at"],
        )
        for row in rows
    ]  # fmt: skip


def decline(
    connection: Connection, actor: Actor, uid: str, reason: str, *, revision: int | None = None, at: datetime
) -> None:
    """不予接收: the application is closed with its reason, and no case arises.

    With a `revision`, only if it still is the one that was read. Raises `Invalid` without a reason, and as `save_draft`
    does.
    """
    reason = reason.strip()
    if not reason:
        raise Invalid(fields={"decline_reason": FieldError(N_("This is required."))})
    if len(reason) > LONGEST_REASON:
        raise Invalid(
            fields={
                "decline_reason": FieldError(
                    N_("At most %(longest)s characters; there are %(length)s."),
                    longest=LONGEST_REASON,
                    length=len(reason),
                )
            }
        )
    closed = {"state": "declined", "decline_reason": reason}
    _close(connection, actor, uid, "application.declined", closed, revision, at=at)


def start_draft(connection: Connection, actor: Actor, uid: str, *, at: datetime) -> None:
    """Take a draft for the case that this transaction starts; `started` completes it.

    The row stays locked until the transaction ends, so of two who save the same application one waits and then learns
    which case it has become. What was entered goes: the case has it now.
    """
    _close(connection, actor, uid, "application.started", {"state": "started", "values": {}}, at=at)


def started(connection: Connection, uid: str, case_id: int) -> None:
    """Which case a draft has become."""
    connection.execute(application_draft.update().where(application_draft.c.uid == uid).values(case_id=case_id))


def discard(connection: Connection, actor: Actor, uid: str, *, revision: int | None = None, at: datetime) -> None:
    """Delete a draft that is not wanted any more. Raises as `decline` does."""
    permissions.require(actor, "start_transfer")
    gone = connection.scalar(
        application_draft.delete().where(*_open(actor, uid, revision)).returning(application_draft.c.id)
    )
    if gone is None:
        raise _why_changed(connection, actor, uid)
    audit.record(connection, actor, "application.discarded", "application", gone, at=at)


def _close(
    connection: Connection,
    actor: Actor,
    uid: str,
    action: str,
    values: Mapping[str, Any],
    revision: int | None = None,
    *,
    at: datetime,
) -> None:
    permissions.require(actor, "start_transfer")
    closed = connection.scalar(
        application_draft.update()
        .where(*_open(actor, uid, revision))
        .values({**values, "person_id": actor.person_id, "saved_at": at})
        .returning(application_draft.c.id)
    )
    if closed is None:
        raise _why_changed(connection, actor, uid)
    audit.record(connection, actor, action, "application", closed, at=at)


def forget_drafts(connection: Connection, *, at: datetime) -> None:
    """Delete drafts that nobody goes on with, refusals that nobody asks about any more, and what became a case."""
    columns = application_draft.c
    for state, kept_for in (("open", _OPEN_FOR), ("declined", _DECLINED_FOR), ("started", _DECLINED_FOR)):
        connection.execute(application_draft.delete().where(columns.state == state, columns.saved_at < at - kept_for))


def _open(actor: Actor, uid: str, revision: int | None) -> list[sa.ColumnElement[bool]]:
    """The open draft of this name, of any revision or of the one that was read."""
    columns = application_draft.c
    read = [] if revision is None else [columns.revision == revision]
    return [columns.uid == uid, _own(actor), columns.state == "open", *read]


def _own(actor: Actor) -> sa.ColumnElement[bool]:
    return application_draft.c.organisation_id == actor.organisation_id
