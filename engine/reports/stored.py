"""Comparisons of versions and files that stand here: found once, kept, and corrected by whoever keeps the procedures.

A pair is known by what is compared, and not by when: both files' hashes, the corrections of their matching and the
rules of the comparison. So a comparison is right as long as it is kept.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Connection

from engine import audit, procedures
from engine.accounts import person
from engine.audit import Actor
from engine.bpmn import layout, reader
from engine.comparison import PHASES, Side, Words, as_json, compare, program, require_comparable, side
from engine.db import Database, UtcDateTime, metadata
from engine.errors import N_, Invalid, NotFound
from engine.jobs import Jobs
from engine.permissions import require
from engine.procedures import Version, read_document
from engine.reports.content import Json

# The handler of its job.
JOB = "compare"
# How long a file that was sent to be compared stays, and a comparison that can be found again at any time.
FILES_KEPT_FOR = timedelta(days=30)
KEPT_FOR = timedelta(days=90)
# So many steps on both sides together are compared within a second, while the reader waits.
QUICK = 250
_LONGEST_NAME = 120

compared_file = sa.Table(
    "compared_file",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    # Who sent it, and nobody else sees it. No foreign key: it is thrown away in weeks.
    sa.Column("person_id", sa.Integer, nullable=False),
    sa.Column("name", sa.String(_LONGEST_NAME), nullable=False),
    sa.Column("sha256", sa.String(64), nullable=False),
    sa.Column("diagram", sa.LargeBinary, nullable=False),
    # The document as CSV; empty for none.
    sa.Column("document", sa.Text, nullable=False),
    sa.Column("sent_at", UtcDateTime, nullable=False, index=True),
)

comparison = sa.Table(
    "comparison",
    metadata,
    # The pair, see `Pair.key`.
    sa.Column("key", sa.String(64), primary_key=True),
    # How far it is, of `PHASES`.
    sa.Column("phase", sa.Integer, nullable=False),
    # What was found, as JSON; nothing while it is searched.
    sa.Column("found", sa.JSON(none_as_null=True)),
    sa.Column("begun_at", UtcDateTime, nullable=False, index=True),
)

match_correction = sa.Table(
    "match_correction",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    # The hashes of both sides, in their own order, so that it does not matter which one is looked at from.
    sa.Column("one", sa.String(64), nullable=False),
    sa.Column("other", sa.String(64), nullable=False),
    # Ids of the steps that belong together; a side may be empty.
    sa.Column("steps_one", sa.JSON, nullable=False),
    sa.Column("steps_other", sa.JSON, nullable=False),
    sa.Column("person_id", sa.Integer),
    sa.Column("made_at", UtcDateTime, nullable=False),
    sa.Index("ix_match_correction_one_other", "one", "other"),
)


class NoStep(Invalid):
    """A correction that names no step, or one that is not there."""

    code = "no_step"
    message = N_("Tick at least one step.")
    remedy = N_("Tick steps on both sides that do the same work, or on one side a step that has no counterpart.")


@dataclass(frozen=True)
class Source:
    """One thing to be compared: a version, or a file that somebody sent."""

    # As it stands in an address: the version's id, or `f` and the file's.
    reference: str
    sha256: str
    diagram: bytes
    document: str
    # The file's name; the version's regime.
    name: str
    version: Version | None = None


@dataclass(frozen=True)
class Correction:
    """What somebody said about the matching, seen from the side a."""

    id: int
    a: tuple[str, ...]
    b: tuple[str, ...]
    by: str | None
    made_at: datetime


@dataclass(frozen=True)
class Pair:
    """Two sources to be compared, with their labels and the corrections of their matching."""

    a: Source
    b: Source
    labels: tuple[Words, Words]
    corrections: tuple[Correction, ...] = ()

    @property
    def key(self) -> str:
        """The same for the same question."""
        asked = [
            program(), self.a.sha256, self.b.sha256, [[words.zh, words.en] for words in self.labels],
            sorted([list(item.a), list(item.b)] for item in self.corrections),
        ]  # fmt: skip
        return hashlib.sha256(json.dumps(asked).encode()).hexdigest()

    @cached_property
    def sides(self) -> tuple[Side, Side]:
        """Both made ready to be compared. Raises `DiagramError`, `Invalid`, `TooLarge`."""
        one, other = (
            _side(source, label, key) for source, label, key in zip((self.a, self.b), self.labels, "ab", strict=True)
        )
        require_comparable(one, other)
        return one, other

    @property
    def is_quick(self) -> bool:
        return sum(len(side.steps) for side in self.sides) <= QUICK


def _side(source: Source, label: Words, key: str) -> Side:
    graph = source.version.graph if source.version else reader.read(source.diagram)
    sentences = source.version.sentences if source.version else read_document(source.document)
    return side(graph, sentences, key=key, label=label, layout=layout.read(source.diagram))


@dataclass(frozen=True)
class Progress:
    """How far a comparison is: the JSON of what was found, or nothing yet."""

    phase: int
    found: Json | None


# What is compared ------------------------------------------------------------------------------------------------


def keep_file(
    connection: Connection, actor: Actor, name: str, diagram: bytes, document: str = "", *, at: datetime
) -> str:
    """Keep a file to be compared for some weeks, and answer its reference. Raises `DiagramError`, `Invalid`."""
    require(actor, "query")
    file = sent(name, diagram, document)
    file_id = connection.execute(
        compared_file.insert().returning(compared_file.c.id),
        {
            "person_id": actor.person_id, "name": file.name, "sha256": file.sha256,
            "diagram": diagram, "document": document, "sent_at": at,
        },
    ).scalar_one()  # fmt: skip
    audit.record(
        connection, actor, "comparison.file_sent", "compared_file", file_id, at=at, after={"sha256": file.sha256}
    )
    return f"f{file_id}"


def sent(name: str, diagram: bytes, document: str = "") -> Source:
    """A file that is not kept. Raises `DiagramError`, `Invalid`."""
    reader.read(diagram)
    read_document(document)
    digest = hashlib.sha256(diagram + b"\0" + document.encode()).hexdigest()
    shown = "".join(filter(str.isprintable, name)).strip()[:_LONGEST_NAME]
    return Source("", digest, diagram, document, shown or "?")


def source(connection: Connection, actor: Actor, reference: str) -> Source:
    """A version, or a file of the actor's own. Raises `NotFound`."""
    require(actor, "query")
    number = reference.removeprefix("f")
    if not (number.isascii() and number.isdigit() and len(number) < 10):
        raise NotFound
    if reference.startswith("f"):
        return _file(connection, int(number), compared_file.c.person_id == actor.person_id)
    return _version(connection, int(number))


def _version(connection: Connection, version_id: int) -> Source:
    found = procedures.load(connection, version_id)
    return Source(str(found.id), found.sha256, found.diagram, found.document, found.regime, found)


def _file(connection: Connection, file_id: int, *conditions: sa.ColumnElement[bool]) -> Source:
    row = connection.execute(sa.select(compared_file).where(compared_file.c.id == file_id, *conditions)).one_or_none()
    if row is None:
        raise NotFound
    return Source(f"f{row.id}", row.sha256, row.diagram, row.document, row.name)


def pair(connection: Connection, actor: Actor, a: str, b: str) -> Pair:
    """Two sources by their references. Raises `NotFound`."""
    return pair_of(connection, source(connection, actor, a), source(connection, actor, b))


def pair_of(connection: Connection, a: Source, b: Source) -> Pair:
    """Two sources with their labels, and with what was said about their matching."""
    return Pair(a, b, _labels(connection, a, b), tuple(corrections(connection, a, b)))


def _labels(connection: Connection, a: Source, b: Source) -> tuple[Words, Words]:
    """By what the two are told apart: their regimes; within one regime the numbers of their versions."""
    regimes = procedures.regimes(connection)

    def regime(source: Source) -> Words:
        if source.version is None:
            return Words(source.name)
        return Words(regimes[source.version.regime].name, regimes[source.version.regime].name_en)

    def numbered(source: Source) -> Words:
        name = regime(source)
        if source.version is None:
            return Words(f"{name.zh}（{source.reference}）")
        number = source.version.number
        return Words(f"{name.zh}第{number}版", f"{name.en} version {number}")

    if regime(a) != regime(b):
        return regime(a), regime(b)
    return numbered(a), numbered(b)


# Finding ---------------------------------------------------------------------------------------------------------


def progress(connection: Connection, asked: Pair) -> Progress | None:
    """How far a comparison is that was begun; None where it never was."""
    row = connection.execute(
        sa.select(comparison.c.phase, comparison.c.found).where(comparison.c.key == asked.key)
    ).one_or_none()
    return Progress(row.phase, row.found) if row else None


def find(asked: Pair, *, reached: Callable[[int], None] = lambda _phase: None) -> Json:
    """Compare. Raises `DiagramError`, `Invalid`, `TooLarge`."""
    fixed = [(item.a, item.b) for item in asked.corrections]
    return as_json(compare(*asked.sides, fixed, reached=reached))


def keep(connection: Connection, asked: Pair, found: Json | None, *, at: datetime) -> None:
    """Keep what was found, or that it is searched; what another one has kept meanwhile is the same."""
    insert = sqlite.insert if connection.dialect.name == "sqlite" else postgresql.insert
    row = {"key": asked.key, "phase": PHASES if found else 0, "found": found, "begun_at": at}
    kept = insert(comparison).values(row)
    if found is None:
        connection.execute(kept.on_conflict_do_nothing())
    else:
        connection.execute(kept.on_conflict_do_update(index_elements=["key"], set_={"phase": PHASES, "found": found}))


def begin(connection: Connection, jobs: Jobs, asked: Pair, *, at: datetime) -> None:
    """Have a comparison found in the background. Raises what would keep it from being found."""
    require_comparable(*asked.sides)
    keep(connection, asked, None, at=at)
    arguments = {"a": asked.a.reference, "b": asked.b.reference, "key": asked.key}
    jobs.enqueue(connection, JOB, arguments, key=f"{asked.key}-{at.timestamp()}")


def work_off(database: Database, a: str, b: str, key: str, *, clock: Callable[[], datetime]) -> None:
    """Find a comparison that was begun, unless it has been found, or asked otherwise since."""
    try:
        with database.reading() as connection:
            asked = pair_of(connection, _known(connection, a), _known(connection, b))
            done = progress(connection, asked)
    except NotFound:
        return
    if asked.key != key or (done is not None and done.found is not None):
        return

    def reached(phase: int) -> None:
        with database.transaction() as connection:
            connection.execute(comparison.update().where(comparison.c.key == key).values(phase=phase))

    found = find(asked, reached=reached)
    with database.transaction() as connection:
        keep(connection, asked, found, at=clock())


def _known(connection: Connection, reference: str) -> Source:
    """A source, whoever asked for it."""
    number = int(reference.removeprefix("f"))
    return _file(connection, number) if reference.startswith("f") else _version(connection, number)


def forget_old(connection: Connection, *, at: datetime) -> None:
    """Delete files that were sent long ago, and comparisons that can be found again."""
    connection.execute(compared_file.delete().where(compared_file.c.sent_at < at - FILES_KEPT_FOR))
    connection.execute(comparison.delete().where(comparison.c.begun_at < at - KEPT_FOR))


# Correcting ------------------------------------------------------------------------------------------------------


def corrections(connection: Connection, a: Source, b: Source) -> list[Correction]:
    """What has been said about the matching of the two, the oldest first."""
    columns = match_correction.c
    one, other = sorted((a.sha256, b.sha256))
    rows = connection.execute(
        sa.select(match_correction, person.c.name.label("by"))
        .join(person, columns.person_id == person.c.id, isouter=True)
        .where(columns.one == one, columns.other == other)
        .order_by(columns.id)
    )
    is_turned = a.sha256 != one
    return [
        Correction(
            row.id,
            tuple(row.steps_other if is_turned else row.steps_one),
            tuple(row.steps_one if is_turned else row.steps_other),
            row.by,
            row.made_at,
        )
        for row in rows
    ]


def correct(
    connection: Connection,
    actor: Actor,
    asked: Pair,
    steps_a: Sequence[str],
    steps_b: Sequence[str],
    *,
    at: datetime,
) -> None:
    """Say that these steps belong together, whatever they look like; with one side empty, that they stand alone.

    It holds for these two files from now on, and takes the place of what was said of the same steps before. Raises
    `Forbidden`, `NoStep`.
    """
    require(actor, "edit_procedures")
    chosen = tuple(dict.fromkeys(steps_a)), tuple(dict.fromkeys(steps_b))
    known = [{step.id for step in side.steps} for side in asked.sides]
    if not any(chosen) or any(not set(steps) <= ids for steps, ids in zip(chosen, known, strict=True)):
        raise NoStep
    for item in asked.corrections:
        if set(item.a) & set(chosen[0]) or set(item.b) & set(chosen[1]):
            connection.execute(match_correction.delete().where(match_correction.c.id == item.id))
    ends = sorted(zip((asked.a.sha256, asked.b.sha256), chosen, strict=True), key=lambda end: end[0])
    (one, steps_one), (other, steps_other) = ends
    correction_id = connection.execute(
        match_correction.insert().returning(match_correction.c.id),
        {
            "one": one, "other": other, "steps_one": list(steps_one), "steps_other": list(steps_other),
            "person_id": actor.person_id, "made_at": at,
        },
    ).scalar_one()  # fmt: skip
    audit.record(
        connection, actor, "comparison.match_corrected", "match_correction", correction_id, at=at,
        after={"a": asked.a.sha256, "b": asked.b.sha256, "steps_a": list(chosen[0]), "steps_b": list(chosen[1])},
    )  # fmt: skip


def take_back(connection: Connection, actor: Actor, asked: Pair, correction_id: int, *, at: datetime) -> None:
    """Leave the matching to the scores again. Raises `Forbidden`, `NotFound`."""
    require(actor, "edit_procedures")
    said = next((item for item in asked.corrections if item.id == correction_id), None)
    if said is None:
        raise NotFound
    connection.execute(match_correction.delete().where(match_correction.c.id == correction_id))
    audit.record(
        connection, actor, "comparison.correction_taken_back", "match_correction", correction_id, at=at,
        before={"a": asked.a.sha256, "b": asked.b.sha256, "steps_a": list(said.a), "steps_b": list(said.b)},
    )  # fmt: skip
