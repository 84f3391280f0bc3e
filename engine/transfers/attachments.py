"""Files attached to an application (证明材料): kept, claimed by its case, opened by the side that attached them."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from engine import audit, cases, permissions
from engine.audit import Actor
from engine.bpmn.forms import FieldError
from engine.bpmn.graph import Field
from engine.errors import N_, Invalid, NotFound
from engine.transfers.tables import RECEIVING, application_draft, attachment

LARGEST = 5 * 1024 * 1024
# By the first bytes, never by what the sender calls it.
_SIGNATURES = {b"%PDF-": "application/pdf", b"\x89PNG\r\n\x1a\n": "image/png", b"\xff\xd8\xff": "image/jpeg"}
_UNCLAIMED_FOR = timedelta(days=30)


class BadAttachment(Invalid):
    """Not one of the three kinds, or too large. The limit stands in `LARGEST`."""

    code = "bad_attachment"
    message = N_("Attach a PDF, PNG or JPEG file of at most 5 MB.")
    remedy = N_("Scan or photograph the document again, at a lower resolution if it is too large.")


@dataclass(frozen=True)
class Attachment:
    """A file as it was attached."""

    name: str
    media_type: str
    content: bytes


def attach(connection: Connection, actor: Actor, name: str, content: bytes, *, at: datetime) -> str:
    """Keep a file for a form that is being filled in. Answers the id by which the form refers to it.

    Raises `Forbidden` for those who fill in no forms, `BadAttachment` for anything but a PDF, PNG or JPEG of at most
    5 MB.
    """
    permissions.require(actor, "work")
    media_type = next((kind for start, kind in _SIGNATURES.items() if content.startswith(start)), None)
    if media_type is None or len(content) > LARGEST:
        raise BadAttachment
    uid = uuid.uuid4().hex
    connection.execute(
        attachment.insert(),
        {
            "uid": uid, "organisation_id": actor.organisation_id, "person_id": actor.person_id,
            "name": _clean(name) or uid, "media_type": media_type, "content": content, "uploaded_at": at,
        },
    )  # fmt: skip
    return uid


def _clean(name: str) -> str:
    """The name without the folders that some browsers send, and short enough; its end tells the kind of file."""
    plain = "".join(character for character in name if character.isprintable())
    return plain.replace("\\", "/").rpartition("/")[2].strip()[-200:]


def open_attachment(connection: Connection, actor: Actor, uid: str, *, at: datetime) -> Attachment:
    """A file, for those on the side that attached it; that it was seen is logged. Raises `NotFound`."""
    row = connection.execute(sa.select(attachment).where(attachment.c.uid == uid)).one_or_none()
    if row is None:
        raise NotFound
    if row.case_id is None:
        # A colleague may go on with the application.
        if row.organisation_id != actor.organisation_id or not permissions.may(actor, "work"):
            raise NotFound
    elif RECEIVING not in cases.sides(connection, actor, row.case_id):
        raise NotFound
    audit.record(connection, actor, "attachment.viewed", "attachment", row.id, at=at, case_id=row.case_id)
    return Attachment(row.name, row.media_type, row.content)


def claim(
    connection: Connection, actor: Actor, case_id: int, fields: Iterable[Field], values: Mapping[str, Any]
) -> None:
    """Make the files that a form names the case's own. Raises `Invalid` for one that is not there to be claimed."""
    for item in fields:
        uid = values.get(item.id)
        if item.type != "file" or not uid:
            continue
        claimed = connection.scalar(
            attachment.update()
            .where(
                attachment.c.uid == uid,
                attachment.c.organisation_id == actor.organisation_id,
                attachment.c.case_id.is_(None),
            )
            .values(case_id=case_id)
            .returning(attachment.c.id)
        )
        if claimed is None:
            raise Invalid(fields={item.id: FieldError(N_("Attach the file once more."))})


def forget_orphans(connection: Connection, *, at: datetime) -> None:
    """Delete files that no application has claimed for a month, but for those that an open draft still names."""
    columns = attachment.c
    orphans = connection.execute(
        sa.select(columns.id, columns.uid, columns.organisation_id).where(
            columns.case_id.is_(None), columns.uploaded_at < at - _UNCLAIMED_FOR
        )
    ).all()
    named = _named_in_drafts(connection, {row.organisation_id for row in orphans})
    forgotten = [row.id for row in orphans if row.uid not in named]
    if forgotten:
        connection.execute(attachment.delete().where(columns.id.in_(forgotten)))


def _named_in_drafts(connection: Connection, organisation_ids: set[int]) -> set[str]:
    kept = connection.scalars(
        sa.select(application_draft.c["values"]).where(
            application_draft.c.organisation_id.in_(organisation_ids), application_draft.c.state == "open"
        )
    )
    return {value for values in kept for value in values.values() if isinstance(value, str)}
