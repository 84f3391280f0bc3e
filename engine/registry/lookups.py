"""Finding a student at the releasing side: by number and name together, never by browsing; limited, and logged."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from engine.audit import Actor
from engine.errors import N_, NotFound, TooMany
from engine.prepared import Prepared
from engine.registry import divisions, numbers, students
from engine.registry.students import Summary
from engine.registry.tables import student_lookup


class StudentNotFound(NotFound):
    """No such number, another name, or another school: the answer is the same, so that nobody learns which."""

    code = "2001"
    message = N_("No student with this number and this name was found at the releasing side.")
    remedy = N_("Compare the number and the name with the document, or ask the releasing school's record keeper.")


class TooManyLookUps(TooMany):
    """More students in an hour than anybody's work needs."""

    code = "too_many_lookups"
    message = N_("You have looked up too many students within an hour.")
    remedy = N_("Go on later; the limit keeps others from trying out numbers.")


_PERIOD = timedelta(hours=1)


@dataclass(frozen=True)
class LookUp:
    """The outcome of one look-up, which has been logged either way."""

    student: Summary | None

    def found(self) -> Summary:
        """The student. Raises `StudentNotFound`."""
        if self.student is None:
            raise StudentNotFound
        return self.student


def look_up(
    connection: Connection,
    actor: Actor,
    *,
    number: str,
    name: str,
    within: str | int,
    at: datetime,
    per_hour: int,
) -> LookUp:
    """Look for the student with this number, of whichever kind, and this name.

    `within` is where the application says that the student is: a province's code or a school's id. A miss is returned,
    not raised: the transaction must commit for its log entry to stay, so call `.found()` after it has ended.
    Raises `TooManyLookUps`; such an attempt has looked nothing up and leaves no entry.
    """
    _limit(connection, actor, at, per_hour)
    found = _find(connection, number, name, within)
    entry = {
        "at": at,
        "person_id": actor.person_id,
        "organisation_id": actor.organisation_id,
        "student_id": found.id if found else None,
        "number_kind": students.number_column(number).name if found else None,
        "number_hash": None if found else _hash(number, secrets.token_bytes(16)),
    }
    _NEW_ENTRY.run(connection, entry)
    return LookUp(found)


def found_before(
    connection: Connection, actor: Actor, *, number: str, name: str, within: str | int, at: datetime
) -> Summary | None:
    """The student, if the actor has looked up this very number within the hour, and still finds it with this name.

    It tells nothing that the logged look-up has not told, so it is neither counted nor logged again.
    """
    found = _find(connection, number, name, within)
    if found is None:
        return None
    columns = student_lookup.c
    before = sa.select(columns.id).where(
        columns.person_id == actor.person_id,
        columns.at > at - _PERIOD,
        columns.student_id == found.id,
        columns.number_kind == students.number_column(number).name,
    )
    return found if connection.scalar(before.limit(1)) is not None else None


def is_about(number_hash: str, number: str) -> bool:
    """Whether a logged miss asked for this number, for whoever investigates one."""
    salt = bytes.fromhex(number_hash.partition("$")[0])
    return hmac.compare_digest(_hash(number, salt), number_hash)


def _find(connection: Connection, number: str, name: str, within: str | int) -> Summary | None:
    found = students.with_number(connection, number)
    matching = (each for each in found if students.same_name(each.name, name) and _stands(each, within))
    return next(matching, None)


def _stands(found: Summary, within: str | int) -> bool:
    if found.place is None:
        return False
    if isinstance(within, int):
        return found.place.school_id == within
    return divisions.province_of(found.place.division_code) == divisions.province_of(within)


def _limit(connection: Connection, actor: Actor, at: datetime, per_hour: int) -> None:
    # Look-ups of the same instant do not see each other and may exceed the limit by a few; a lock would cost more.
    recent = _RECENT.first(connection, {"person": actor.person_id, "since": at - _PERIOD})
    if recent and recent.done >= per_hour:
        raise TooManyLookUps


_NEW_ENTRY = Prepared(student_lookup.insert())
_RECENT = Prepared(
    sa.select(sa.func.count().label("done"))
    .select_from(student_lookup)
    .where(student_lookup.c.person_id == sa.bindparam("person"), student_lookup.c.at > sa.bindparam("since"))
)


def _hash(number: str, salt: bytes) -> str:
    # Slow on purpose (about 10 ms): there are few enough numbers to try them all.
    digest = hashlib.scrypt(numbers.normalise(number).encode(), salt=salt, n=2**12, r=8, p=1, dklen=24)
    return f"{salt.hex()}${digest.hex()}"
