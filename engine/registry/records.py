"""Electronic records (学籍电子档案): parts under a seal.

The present school continues the current one, former schools keep backups.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from engine import audit
from engine.audit import Actor
from engine.errors import N_, Conflict, Invalid, NotFound
from engine.prepared import Prepared
from engine.registry import organisations
from engine.registry.tables import electronic_record, record_part

KINDS = ("基本信息", "家庭成员", "成绩", "评价", "奖惩", "体质健康", "异动")


class RecordDamaged(Conflict):
    """The parts are not those that were sealed."""

    code = "record_damaged"
    message = N_("The electronic record has been altered outside the system: its seal does not fit any more.")
    remedy = N_("Nothing has been moved. Have the releasing school's administrator restore it, then try again.")


class RecordMissing(NotFound):
    """The school has no current electronic record of the student."""

    code = "record_missing"
    message = N_("The releasing school holds no current electronic record of this student.")
    remedy = N_("Ask the releasing school to complete the record, then try again.")


class RecordReadOnly(Conflict):
    """A backup, which is kept as it was."""

    code = "record_read_only"
    message = N_("This is the backup of a former school and can only be read.")
    remedy = N_("Ask the student's present school, which continues the record.")


class RecordExists(Conflict):
    """One student, one current record."""

    code = "record_exists"
    message = N_("The student has a current electronic record already.")
    remedy = N_("Add to that record instead.")


class UnknownKind(Invalid):
    """Not a kind of part."""

    code = "unknown_kind"
    message = N_("An electronic record has no part of this kind.")
    remedy = N_("Choose the kind from the list.")


@dataclass(frozen=True)
class Part:
    """One part of a record. `content` is JSON: what one school wrote, another must be able to read."""

    kind: str
    title: str
    content: Mapping[str, Any]

    def __repr__(self) -> str:
        return f"<Part {self.kind}>"


@dataclass(frozen=True)
class Record:
    """A record with its parts, in the order in which they were written."""

    id: int
    student_id: int
    school_id: int
    state: str
    hash: str
    created_at: datetime
    parts: tuple[Part, ...]


@dataclass(frozen=True)
class RetrievedRecord:
    """What a retrieval left at the receiving school."""

    hash: str
    record_id: int


def seal(parts: Iterable[Part]) -> str:
    """The SHA-256 over all parts, in whatever order they come."""
    return _seal(_hash(part) for part in parts)


def create(
    connection: Connection, actor: Actor, *, student_id: int, school_id: int, parts: Iterable[Part], at: datetime
) -> int:
    """Open a student's first electronic record and return its id. Raises `RecordExists`, `UnknownKind`."""
    return create_many(connection, actor, school_id=school_id, parts={student_id: tuple(parts)}, at=at)[0]


def create_many(
    connection: Connection, actor: Actor, *, school_id: int, parts: Mapping[int, Sequence[Part]], at: datetime
) -> list[int]:
    """Open the first electronic records of several students of a school, given by student; return their ids in order.

    As `create`, in as few statements for thirty as for one.
    """
    if not parts:
        return []
    organisations.require_jurisdiction(connection, actor, school_id)
    current = electronic_record.c.student_id.in_(list(parts)) & (electronic_record.c.state == "current")
    if connection.scalar(sa.select(electronic_record.c.id).where(current).limit(1)) is not None:
        raise RecordExists
    new = {"school_id": school_id, "state": "current", "created_at": at}
    rows = [new | {"student_id": student_id, "hash": seal(written)} for student_id, written in parts.items()]
    inserted = electronic_record.insert().returning(electronic_record.c.id, sort_by_parameter_order=True)
    ids = [int(record_id) for record_id in connection.scalars(inserted, rows)]
    of_record = zip(ids, parts.values(), strict=True)
    _write(connection, [_part_row(record_id, part) for record_id, written in of_record for part in written])
    entries = [
        audit.entry(
            actor, "record.created", "student", student_id, at=at,
            after={"record_id": record_id, "school_id": school_id},
        )
        for record_id, student_id in zip(ids, parts, strict=True)
    ]  # fmt: skip
    connection.execute(audit.audit_entry.insert(), entries)
    return ids


def add_part(connection: Connection, actor: Actor, record_id: int, part: Part, *, at: datetime) -> str:
    """Continue a current record and return its new seal.

    Raises `RecordReadOnly` for a backup, and `RecordDamaged` first, or a new seal would hide the damage.
    """
    row = _row(connection, record_id, lock=True)
    organisations.require_jurisdiction(connection, actor, row.school_id)
    if row.state != "current":
        raise RecordReadOnly
    if not intact(connection, record_id):
        raise RecordDamaged
    _write(connection, [_part_row(record_id, part)])
    resealed = _seal(connection.scalars(sa.select(record_part.c.hash).where(record_part.c.record_id == record_id)))
    _update(connection, record_id, hash=resealed)
    after = {"record_id": record_id, "kind": part.kind, "hash": resealed}
    audit.record(connection, actor, "record.continued", "student", row.student_id, at=at, after=after)
    return resealed


def intact(connection: Connection, record_id: int) -> bool:
    """Whether every part and the whole are what was sealed."""
    return _fits(connection, _row(connection, record_id))


def _fits(connection: Connection, record: Any) -> bool:
    rows = _PARTS.rows(connection, {"of_record": record.id})
    return all(row.hash == _hash(_part(row)) for row in rows) and _seal(row.hash for row in rows) == record.hash


def view(connection: Connection, actor: Actor, record_id: int, *, at: datetime, case_id: int | None = None) -> Record:
    """The record with all its parts; that it was seen is logged.

    With a case, its room has checked that the actor works on it; without one the holding school must lie in the actor's
    jurisdiction. Raises `NotFound`.
    """
    row = _row(connection, record_id)
    if case_id is None:
        organisations.require_jurisdiction(connection, actor, row.school_id)
    after = {"record_id": record_id}
    audit.record(connection, actor, "record.viewed", "student", row.student_id, at=at, case_id=case_id, after=after)
    return Record(
        id=row.id,
        student_id=row.student_id,
        school_id=row.school_id,
        state=row.state,
        hash=row.hash,
        created_at=row.created_at,
        parts=tuple(_part(part) for part in _PARTS.rows(connection, {"of_record": record_id})),
    )


def held(connection: Connection, student_id: int) -> list[tuple[int, int, str]]:
    """Who holds a record of the student: record, school, state; the newest first."""
    columns = (electronic_record.c.id, electronic_record.c.school_id, electronic_record.c.state)
    query = sa.select(*columns).where(electronic_record.c.student_id == student_id)
    return [(row.id, row.school_id, row.state) for row in connection.execute(query.order_by(columns[0].desc()))]


def retrieve(
    connection: Connection,
    actor: Actor,
    *,
    student_id: int,
    from_school_id: int,
    to_school_id: int,
    case_id: int,
    at: datetime,
) -> RetrievedRecord:
    """Copy the releasing school's record to the receiving school, which continues it; the old one becomes a backup.

    Repeating it for the same case changes nothing and returns the same. Raises `RecordMissing`, `RecordDamaged`.
    """
    # The lock comes first: whoever waited for it sees what the faster one did.
    old = _current(connection, student_id)
    done = _OF_CASE.first(connection, {"of_case": case_id})
    if done is not None:
        return RetrievedRecord(_hash_at_retrieval(connection, done), done.id)
    if old is None or old.school_id != from_school_id:
        raise RecordMissing
    if not _fits(connection, old):
        raise RecordDamaged
    _update(connection, old.id, state="backup")
    copied = {"hash": old.hash, "origin_record_id": old.id, "case_id": case_id}
    new_id = _insert(connection, student_id=student_id, school_id=to_school_id, created_at=at, **copied)
    _copy_parts(connection, old.id, new_id)
    audit.record(
        connection,
        actor,
        "record.retrieved",
        "student",
        student_id,
        at=at,
        case_id=case_id,
        before={"record_id": old.id, "school_id": from_school_id},
        after={"record_id": new_id, "school_id": to_school_id, "hash": old.hash},
    )
    return RetrievedRecord(old.hash, new_id)


def _row(connection: Connection, record_id: int, *, lock: bool = False) -> Any:
    row = (_LOCKED if lock else _BY_ID).first(connection, {"of_id": record_id})
    if row is None:
        raise NotFound
    return row


def _current(connection: Connection, student_id: int) -> Any | None:
    return _CURRENT.first(connection, {"of_student": student_id})


_record = sa.select(electronic_record)
_by_id = _record.where(electronic_record.c.id == sa.bindparam("of_id"))
_BY_ID, _LOCKED = Prepared(_by_id), Prepared(_by_id.with_for_update())
_OF_CASE = Prepared(_record.where(electronic_record.c.case_id == sa.bindparam("of_case")))
_CURRENT = Prepared(
    _record.where(
        electronic_record.c.student_id == sa.bindparam("of_student"), electronic_record.c.state == "current"
    ).with_for_update()
)
_PARTS = Prepared(
    sa.select(record_part).where(record_part.c.record_id == sa.bindparam("of_record")).order_by(record_part.c.id)
)
_NEW = Prepared(electronic_record.insert().returning(electronic_record.c.id))
_CHANGE = Prepared(electronic_record.update().where(electronic_record.c.id == sa.bindparam("of_id")))


def _hash_at_retrieval(connection: Connection, retrieved: Any) -> str:
    # The new school may have continued its copy; the backup never changes.
    origin: str = _row(connection, retrieved.origin_record_id).hash
    return origin


def _insert(connection: Connection, **values: Any) -> int:
    inserted = _NEW.first(connection, {"state": "current"} | values)
    assert inserted is not None
    return int(inserted.id)


def _update(connection: Connection, record_id: int, **values: Any) -> None:
    _CHANGE.run(connection, {"of_id": record_id} | values)


def _write(connection: Connection, rows: list[dict[str, Any]]) -> None:
    if rows:
        connection.execute(record_part.insert(), rows)


def _part_row(record_id: int, part: Part) -> dict[str, Any]:
    if part.kind not in KINDS:
        raise UnknownKind
    content = dict(part.content)
    return {"record_id": record_id, "kind": part.kind, "title": part.title, "content": content, "hash": _hash(part)}


def _copy_parts(connection: Connection, old_id: int, new_id: int) -> None:
    _COPY_PARTS.run(connection, {"new_record": new_id, "of_record": old_id})


_COPIED = ("kind", "title", "content", "hash")
_COPY_PARTS = Prepared(
    record_part.insert().from_select(
        ["record_id", *_COPIED],
        sa.select(sa.bindparam("new_record", type_=sa.Integer), *(record_part.c[name] for name in _COPIED))
        .where(record_part.c.record_id == sa.bindparam("of_record"))
        .order_by(record_part.c.id),
    )
)


def _part(row: Any) -> Part:
    return Part(row.kind, row.title, row.content)


def _hash(part: Part) -> str:
    """The seal of one part: its JSON in the one spelling that does not depend on who writes it."""
    spelt = json.dumps([part.kind, part.title, dict(part.content)], sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(spelt.encode("ascii")).hexdigest()


def _seal(hashes: Iterable[str]) -> str:
    return hashlib.sha256("\n".join(sorted(hashes)).encode("ascii")).hexdigest()
