"""Regimes and the immutable versions of their procedures: upload, check, deploy with a date, retire.

A version is a diagram together with its document. Deploying one never changes a running case: an instance is pinned to
the version it started under.
"""

from __future__ import annotations

import csv
import hashlib
import io
import re
import weakref
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine

from engine import audit
from engine.accounts import person
from engine.audit import SYSTEM, Actor
from engine.bpmn import checks, reader
from engine.bpmn.checks import Finding
from engine.bpmn.graph import BASES, SIDES, Described, Node, Pool, ProcessGraph
from engine.bpmn.runtime import Specification
from engine.comparison import soundness
from engine.db import UtcDateTime, metadata
from engine.errors import N_, Conflict, Forbidden, Invalid, NotFound, XuejiError
from engine.permissions import require
from engine.prepared import Prepared
from engine.registry import divisions, organisations

# Which kind of case has two pools, one for each side.
TRANSFER = "transfer"
MAX_DOCUMENT = 1024 * 1024
# The general rule's province, and the moves that rules speak of.
EVERYWHERE = "*"
MOVES = ("across", "within")

regime = sa.Table(
    "regime",
    metadata,
    sa.Column("key", sa.String(40), primary_key=True),
    sa.Column("name", sa.String(60), nullable=False),
    sa.Column("name_en", sa.String(60), nullable=False),
    sa.Column("position", sa.Integer, nullable=False),
    # Closed for new applications each year, both days included, as MM-DD; empty where never.
    sa.Column("closed_from", sa.String(5)),
    sa.Column("closed_until", sa.String(5)),
)

# Which regime a side of a transfer runs under.
regime_rule = sa.Table(
    "regime_rule",
    metadata,
    # The side's own province; `EVERYWHERE` for every province without a rule of its own.
    sa.Column("province", sa.String(6), primary_key=True),
    # within: both schools in this province; across: they lie in two.
    sa.Column("move", sa.String(10), primary_key=True),
    sa.Column("regime", sa.ForeignKey("regime.key"), nullable=False),
    # text, picture, practice, inferred: how sure it is that a document says so.
    sa.Column("basis", sa.String(10), nullable=False),
    sa.Column("reason", sa.String(300), nullable=False),
)

procedure_version = sa.Table(
    "procedure_version",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("regime", sa.ForeignKey("regime.key"), nullable=False),
    # What its cases are: `transfer`, or a plain procedure's own name.
    sa.Column("kind", sa.String(40), nullable=False),
    # 1, 2, 3 … within a regime and kind.
    sa.Column("number", sa.Integer, nullable=False),
    # draft, deployed, retired. Only a draft is ever deleted; nothing else about a version changes but its state.
    sa.Column("state", sa.String(10), nullable=False),
    # From when new cases start under it; the latest one before now is in force.
    sa.Column("effective_from", UtcDateTime),
    sa.Column("retired_at", UtcDateTime),
    sa.Column("sha256", sa.String(64), nullable=False),
    sa.Column("diagram", sa.LargeBinary, nullable=False),
    # The document as CSV: clause, text, modelled.
    sa.Column("document", sa.Text, nullable=False),
    # What its author says about it.
    sa.Column("note", sa.String(500), nullable=False),
    sa.Column("uploaded_by", sa.Integer),
    sa.Column("uploaded_at", UtcDateTime, nullable=False),
    sa.UniqueConstraint("regime", "kind", "number"),
)


class NotDeployable(Invalid):
    """A version whose findings include errors. `causes` has them all."""

    code = "not_deployable"
    message = N_("This version has errors and can not be deployed.")
    remedy = N_("Correct what its findings name, then upload it again as a new version.")

    def __init__(self, findings: list[Finding], **values: Any) -> None:
        super().__init__(**values)
        self.causes = self.findings = findings


class DoesNotFit(NotDeployable):
    """A version whose one half, together with the other half of another regime's, can wait for ever."""

    code = "does_not_fit"
    message = N_("Together with version %(number)s of %(regime)s a transfer can wait for ever: %(run)s")
    remedy = N_("Let each half send what the other waits for, in every run; then upload it again as a new version.")


class KeptElsewhere(Forbidden):
    """A regime that another authority's policy staff keep."""

    code = "kept_elsewhere"
    message = N_("The versions of this regime are kept by the policy staff of another authority.")
    remedy = N_("Ask the ministry's policy staff, or those of the province whose regime it is.")


class NoneInForce(XuejiError):
    """A regime without a version in force on that day."""

    status = 409
    code = "none_in_force"
    message = N_("No version of this procedure is in force.")
    remedy = N_("Ask the policy staff to deploy one.")


@dataclass(frozen=True)
class Sentence:
    """One sentence of the document. `modelled` is `yes`, or the reason why no element stands for it."""

    clause: str
    text: str
    modelled: str


@dataclass(frozen=True)
class Regime:
    key: str
    name: str
    name_en: str
    closed_from: str | None = None
    closed_until: str | None = None

    def is_closed(self, day: date) -> bool:
        """Whether new applications are closed on this day; a window may reach over the new year."""
        if not self.closed_from or not self.closed_until:
            return False
        today = f"{day:%m-%d}"
        if self.closed_from <= self.closed_until:
            return self.closed_from <= today <= self.closed_until
        return today >= self.closed_from or today <= self.closed_until

    def label(self, locale: str) -> str:
        return self.name_en if locale.startswith("en") else self.name


@dataclass(frozen=True)
class Fact:
    """One thing that the document states as a whole. `holder` is the pool that it concerns; None: all of them."""

    key: str
    holder: Pool | None
    text: str
    text_en: str
    clauses: tuple[str, ...]

    def label(self, locale: str) -> str:
        return self.text_en or self.text if locale.startswith("en") else self.text


@dataclass(frozen=True)
class Rule:
    """Why a side runs under a regime."""

    province: str
    move: str
    regime: str
    basis: str
    reason: str


@dataclass(frozen=True)
class Version:
    """A version as it was uploaded, with what can be read from it. Shared by the whole process; nothing changes it."""

    id: int
    regime: str
    kind: str
    number: int
    sha256: str
    diagram: bytes
    document: str

    @cached_property
    def graph(self) -> ProcessGraph:
        return reader.read(self.diagram)

    @cached_property
    def sentences(self) -> tuple[Sentence, ...]:
        return read_document(self.document)

    @cached_property
    def _by_clause(self) -> dict[str, list[Sentence]]:
        found: dict[str, list[Sentence]] = {}
        for sentence in self.sentences:
            found.setdefault(sentence.clause, []).append(sentence)
        return found

    def quote(self, element: Described) -> list[Sentence]:
        """The sentences that an element stands for, in the order of its references."""
        return self.sentences_of(element.clauses)

    def sentences_of(self, clauses: Iterable[str]) -> list[Sentence]:
        """The sentences of these references, in their order."""
        return [sentence for clause in clauses for sentence in self._by_clause.get(clause, ())]

    @cached_property
    def facts(self) -> tuple[Fact, ...]:
        """What the document states as a whole, and for one pool."""
        holders = [(None, self.graph.properties), *((pool, pool.properties) for pool in self.graph.pools)]
        return tuple(
            Fact(
                name.removeprefix("document."),
                pool,
                text,
                properties.get(f"{name}.en", ""),
                _split(properties.get(f"{name}.clause", "")),
            )
            for pool, properties in holders
            for name, text in properties.items()
            if name.startswith("document.") and not name.endswith((".en", ".clause"))
        )

    def pool(self, side: str | None) -> Pool:
        return self.graph.pool(side)

    def node(self, side: str | None, node_id: str) -> Node:
        return self.graph.pool(side).by_id[node_id]

    @cached_property
    def _specifications(self) -> dict[str | None, Specification]:
        return {pool.side: Specification(pool) for pool in self.graph.executable}

    def specification(self, side: str | None) -> Specification:
        """The pool of a side, ready to run; built once per process."""
        return self._specifications[side]

    def findings(self) -> list[Finding]:
        """What the rules find in the diagram, in its runs, in its fitness for its kind, and beside its document."""
        return [*checks.findings(self.graph), *soundness.findings(self.graph), *_kind(self), *_clauses(self)]


def check(diagram: bytes, document: str = "", kind: str = TRANSFER) -> list[Finding]:
    """What would be found in these files if they were uploaded. Raises `DiagramError`, `Invalid`."""
    return Version(0, "", kind, 0, "", diagram, document).findings()


def decode_document(content: bytes) -> str:
    """A `document.csv` as text, in UTF-8 or as spreadsheets in China save it. Raises `Invalid`."""
    if len(content) > MAX_DOCUMENT:
        raise Invalid(N_("The document is larger than 1 MB."))
    for encoding in ("utf-8-sig", "gb18030"):
        try:
            return content.decode(encoding)
        except UnicodeDecodeError:
            continue
    raise Invalid(N_("The document is no text. Save it as CSV in UTF-8."))


def read_document(text: str) -> tuple[Sentence, ...]:
    """The sentences of a `document.csv`. Raises `Invalid` where columns are missing, or one of a row's cells."""
    if "\0" in text:
        raise Invalid(N_("The document is no text. Save it as CSV in UTF-8."))
    rows = csv.reader(io.StringIO(text, newline=""))
    try:
        columns = next(rows, [])
        if not columns:
            return ()
        if not {"clause", "text", "modelled"} <= set(columns):
            raise Invalid(N_("The document needs the columns clause, text and modelled."))
        return tuple(_sentence(columns, row, rows.line_num) for row in rows if any(row))
    except csv.Error:
        raise Invalid(N_("The document can not be read near line %(line)s."), line=rows.line_num) from None


def _sentence(columns: list[str], row: list[str], line: int) -> Sentence:
    cells = dict(zip(columns, row, strict=False))
    if len(row) > len(columns) or not (cells.get("clause") and cells.get("text")):
        raise Invalid(
            N_("Line %(line)s of the document needs a clause, a text and nothing beyond its columns."), line=line
        )
    return Sentence(cells["clause"].strip(), cells["text"], cells.get("modelled", ""))


def changed_sentences(before: Version, after: Version) -> list[tuple[Sentence | None, Sentence | None]]:
    """The sentences that differ from one document to the next by their clause: None where there is none."""
    old, new = ({sentence.clause: sentence for sentence in version.sentences} for version in (before, after))
    pairs = [(old.get(clause), new.get(clause)) for clause in dict.fromkeys([*new, *old])]
    return [pair for pair in pairs if pair[0] != pair[1]]


def _split(clauses: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in clauses.split(";") if part.strip())


def _kind(version: Version) -> Iterator[Finding]:
    """A transfer runs in two pools; a file without them could be deployed, but nobody could start under it."""
    sides = {pool.side for pool in version.graph.executable}
    if version.kind == TRANSFER and not sides.issuperset(SIDES):
        yield Finding("kind", "error", version.graph.id,
                      N_("A transfer needs two executable pools, side = receiving and side = releasing."))  # fmt: skip


def _clauses(version: Version) -> Iterator[Finding]:
    """References into nothing, sentences that nothing stands for, and references that mean two sentences."""
    if not version.sentences:
        return
    known = [sentence.clause for sentence in version.sentences]
    used: set[str] = set()
    for element, clause in _references(version):
        used.add(clause)
        if clause not in known:
            yield Finding("clause", "error", element, N_("The document has no clause “%(clause)s”."),
                          {"clause": clause})  # fmt: skip
    for sentence in version.sentences:
        if sentence.modelled == "yes" and sentence.clause not in used:
            yield Finding("clause", "warning", version.graph.id, N_("No element stands for clause “%(clause)s”."),
                          {"clause": sentence.clause})  # fmt: skip
    for clause in dict.fromkeys(known):
        if known.count(clause) > 1:
            yield Finding("clause", "warning", version.graph.id, N_("The document has clause “%(clause)s” twice."),
                          {"clause": clause})  # fmt: skip


def _references(version: Version) -> Iterator[tuple[str, str]]:
    """Every reference into the document, with the id of the element that makes it."""
    graph = version.graph
    yield from ((graph.id, clause) for clause in _split(graph.properties.get("clause", "")))
    for element in checks.described(graph):
        yield from ((element.id, clause) for clause in element.clauses)
    for fact in version.facts:
        yield from ((fact.holder.id if fact.holder else graph.id, clause) for clause in fact.clauses)


# Reading ---------------------------------------------------------------------------------------------------------

# A version that was deployed never changes and never goes, so each is read once per database and process. Drafts are
# not kept: after a rollback or a deletion another one may get the same id.
_loaded: weakref.WeakKeyDictionary[Engine, dict[int, Version]] = weakref.WeakKeyDictionary()


def load(connection: Connection, version_id: int) -> Version:
    """A version by its id. Raises `NotFound`."""
    loaded = _loaded.setdefault(connection.engine, {})
    if version_id in loaded:
        return loaded[version_id]
    columns = procedure_version.c
    row = connection.execute(
        sa.select(
            columns.id, columns.regime, columns.kind, columns.number, columns.sha256, columns.diagram,
            columns.document, columns.state,
        ).where(columns.id == version_id)
    ).one_or_none()  # fmt: skip
    if row is None:
        raise NotFound
    version = Version(*row[:-1])
    if row.state != "draft":
        loaded[version_id] = version
    return version


def in_force(connection: Connection, regime_key: str, kind: str, *, at: datetime) -> Version:
    """The version under which a new case starts now. Raises `NoneInForce`."""
    found = _IN_FORCE.first(connection, {"of_regime": regime_key, "of_kind": kind, "at": at})
    if found is None:
        raise NoneInForce
    return load(connection, found.id)


_newest = (
    sa.select(procedure_version.c.id)
    .where(procedure_version.c.state == "deployed", procedure_version.c.effective_from <= sa.bindparam("at"))
    .order_by(procedure_version.c.effective_from.desc(), procedure_version.c.number.desc())
    .limit(sa.literal_column("1"))
)
_IN_FORCE = Prepared(
    _newest.where(
        procedure_version.c.regime == sa.bindparam("of_regime"), procedure_version.c.kind == sa.bindparam("of_kind")
    )
)


@dataclass(frozen=True)
class Standing:
    """Where a version stands in the life of its procedure."""

    id: int
    regime: str
    kind: str
    number: int
    # draft; scheduled: in force from a later day; in_force; superseded: another one is in force now; retired.
    state: str
    effective_from: datetime | None
    # From when another one is in force, as far as that is known now, or when it was retired.
    until: datetime | None
    sha256: str
    note: str
    # The name of whoever uploaded it; None for the versions that came with the product.
    uploaded_by: str | None
    uploaded_at: datetime


def standings(connection: Connection, *, at: datetime) -> list[Standing]:
    """Every version of every procedure, the newest first."""
    columns = procedure_version.c
    rows = connection.execute(
        sa.select(
            columns.id, columns.regime, columns.kind, columns.number, columns.state, columns.effective_from,
            columns.retired_at, columns.sha256, columns.note, columns.uploaded_at, person.c.name,
        )
        .join(person, columns.uploaded_by == person.c.id, isouter=True)
        .order_by(columns.regime, columns.kind, columns.number.desc())
    ).all()  # fmt: skip
    states = _states(rows, at)
    return [
        Standing(
            row.id, row.regime, row.kind, row.number, *states[row.id], row.sha256, row.note, row.name, row.uploaded_at
        )
        for row in rows
    ]


def _states(rows: Sequence[Any], at: datetime) -> dict[int, tuple[str, datetime | None, datetime | None]]:
    """State, first and last day of each version, by its id."""
    found = {row.id: (row.state, row.effective_from, row.retired_at) for row in rows}
    lines: dict[tuple[str, str], list[Any]] = {}
    for row in sorted(
        (row for row in rows if row.state == "deployed"), key=lambda row: (row.effective_from, row.number)
    ):
        lines.setdefault((row.regime, row.kind), []).append(row)
    for line in lines.values():
        for row, after in zip(line, [*line[1:], None], strict=True):
            until = after.effective_from if after else None
            begun, over = row.effective_from <= at, until is not None and until <= at
            state = "superseded" if over else "in_force" if begun else "scheduled"
            found[row.id] = (state, row.effective_from, until)
    return found


def standing(connection: Connection, version_id: int, *, at: datetime) -> Standing:
    """Where one version stands. Raises `NotFound`."""
    found = next((item for item in standings(connection, at=at) if item.id == version_id), None)
    if found is None:
        raise NotFound
    return found


def heir(known: Sequence[Standing], of: Standing) -> Standing | None:
    """The version that would be in force if this one were retired now."""
    before = [item for item in known if (item.regime, item.kind, item.state) == (of.regime, of.kind, "superseded")]
    return max(before, key=lambda item: (item.effective_from, item.number), default=None)


def may_edit(connection: Connection, actor: Actor, regime_key: str) -> bool:
    """Whether the actor keeps the versions of a regime.

    The ministry's policy staff keep every regime, a province's the one that serves this province alone.
    """
    if actor == SYSTEM:
        return True
    if actor.duty != "policy_editor" or actor.organisation_id is None:
        return False
    if actor.organisation_level == "ministry":
        return True
    served = {rule.province for rule in rules(connection) if rule.regime == regime_key}
    own = organisations.get(connection, actor.organisation_id).division_code
    return actor.organisation_level == "province" and served == {own}


def regimes(connection: Connection) -> dict[str, Regime]:
    """All regimes by key, in their order."""
    rows = _REGIMES.rows(connection, {})
    return {row.key: Regime(row.key, row.name, row.name_en, row.closed_from, row.closed_until) for row in rows}


def rules(connection: Connection) -> list[Rule]:
    """The table of regimes, general rules last."""
    return [Rule(row.province, row.move, row.regime, row.basis, row.reason) for row in _RULES.rows(connection, {})]


_REGIMES = Prepared(sa.select(regime).order_by(regime.c.position, regime.c.key))
_RULES = Prepared(sa.select(regime_rule).order_by(regime_rule.c.province.desc(), regime_rule.c.move))


@dataclass(frozen=True)
class Route:
    """Under what a side of a transfer that begins now would run."""

    rule: Rule
    regime: Regime
    version: Version


def routes(connection: Connection, provinces: Iterable[str], *, within: bool, at: datetime) -> dict[str, Route]:
    """The route of a side in each of the provinces. Raises `NoneInForce` where there is none."""
    rows = {row.province: row for row in _ROUTES.rows(connection, {"of_move": _move(within), "at": at})}
    found = {}
    for province in provinces:
        row = rows.get(province) or rows.get(EVERYWHERE)
        if row is None or row.version_id is None:
            raise NoneInForce
        found[province] = Route(
            Rule(row.province, row.move, row.regime, row.basis, row.reason),
            Regime(row.regime, row.name, row.name_en, row.closed_from, row.closed_until),
            load(connection, row.version_id),
        )
    return found


_ROUTES = Prepared(
    sa.select(
        regime_rule,
        *regime.c["name", "name_en", "closed_from", "closed_until"],
        _newest.where(
            procedure_version.c.regime == regime_rule.c.regime, procedure_version.c.kind == TRANSFER
        ).scalar_subquery().label("version_id"),
    )
    .join(regime, regime.c.key == regime_rule.c.regime)
    .where(regime_rule.c.move == sa.bindparam("of_move"))
)  # fmt: skip


def _move(within: bool) -> str:
    return "within" if within else "across"


def serving(connection: Connection, province: str, kind: str, *, at: datetime) -> list[Version]:
    """The versions under which a side in `province` would start now, those of moves across provinces first.

    None where nothing is in force, since whoever asks wants to show what there is.
    """
    rows = _SERVING.rows(connection, {"in_province": province, "of_kind": kind, "at": at})
    newest = {(row.province, row.move): row.id for row in rows}
    chosen = (newest.get((province, move), newest.get((EVERYWHERE, move))) for move in ("across", "within"))
    return [load(connection, version_id) for version_id in dict.fromkeys(chosen) if version_id is not None]


_SERVING = Prepared(
    sa.select(regime_rule.c.province, regime_rule.c.move, procedure_version.c.id)
    .join(procedure_version, regime_rule.c.regime == procedure_version.c.regime)
    .where(
        regime_rule.c.province.in_([sa.bindparam("in_province"), EVERYWHERE]),
        procedure_version.c.kind == sa.bindparam("of_kind"),
        procedure_version.c.state == "deployed",
        procedure_version.c.effective_from <= sa.bindparam("at"),
    )
    .order_by(procedure_version.c.effective_from, procedure_version.c.number)
)


def plain_serving(connection: Connection, province: str, *, at: datetime) -> list[Version]:
    """The plain procedures that a case in `province` may be started under now, by their names."""
    kinds = sa.select(procedure_version.c.kind).where(procedure_version.c.kind != TRANSFER).distinct()
    found = (serving(connection, province, kind, at=at) for kind in sorted(connection.scalars(kinds)))
    return [versions[0] for versions in found if versions]


# Changing --------------------------------------------------------------------------------------------------------


def set_rule(
    connection: Connection,
    actor: Actor,
    province: str,
    move: str,
    regime_key: str,
    reason: str,
    *,
    basis: str = "inferred",
    at: datetime,
) -> None:
    """Let a province's side of a transfer run under another regime from now on. What runs is not changed.

    Without a document that says so it is somebody's decision, and its basis `inferred`. Raises `Invalid`.
    """
    require(actor, "administer_deployment")
    if not _is_place(province) or move not in MOVES:
        raise NotFound
    _refuse(
        regime=N_("Choose a regime.") if regime_key not in regimes(connection) else "",
        basis=N_("Choose one of the values given.") if basis not in BASES else "",
        reason=_bad_text(reason, 300) or ("" if reason.strip() else N_("This is required.")),
    )
    before = _take_out(connection, province, move)
    connection.execute(
        regime_rule.insert(),
        {"province": province, "move": move, "regime": regime_key, "basis": basis, "reason": reason.strip()},
    )
    audit.record(
        connection, actor, "regime_rule.set", "regime_rule", None, at=at,
        before={"province": province, "move": move, "regime": before},
        after={"province": province, "move": move, "regime": regime_key, "basis": basis},
    )  # fmt: skip


def remove_rule(connection: Connection, actor: Actor, province: str, move: str, *, at: datetime) -> None:
    """Let a province fall back to the general rule. Raises `Invalid` for the general rule itself."""
    require(actor, "administer_deployment")
    if province == EVERYWHERE:
        raise Invalid(N_("The general rule can be changed, but not removed."))
    before = _take_out(connection, province, move)
    if before is None:
        raise NotFound
    audit.record(
        connection, actor, "regime_rule.removed", "regime_rule", None, at=at,
        before={"province": province, "move": move, "regime": before},
    )  # fmt: skip


def _take_out(connection: Connection, province: str, move: str) -> str | None:
    """Delete a rule. Answers its regime, None where there was none."""
    here = (regime_rule.c.province == province) & (regime_rule.c.move == move)
    before = connection.scalar(sa.select(regime_rule.c.regime).where(here))
    connection.execute(regime_rule.delete().where(here))
    return before


def _is_place(province: str) -> bool:
    return province == EVERYWHERE or province in {division.code for division in divisions.children()}


def set_window(
    connection: Connection,
    actor: Actor,
    regime_key: str,
    closed_from: str | None,
    closed_until: str | None,
    *,
    at: datetime,
) -> None:
    """Close a regime for new applications each year from one day to another (MM-DD), or never.

    Raises `Invalid` for what is no day of the year, or for one without the other.
    """
    require(actor, "administer_deployment")
    before = regimes(connection).get(regime_key)
    if before is None:
        raise NotFound
    closed_from, closed_until = closed_from or None, closed_until or None
    days = {"closed_from": closed_from, "closed_until": closed_until}
    _refuse(
        **{name: N_("Write a day of the year like 07-15.") for name, day in days.items() if day and not _is_day(day)}
    )
    if (closed_from is None) != (closed_until is None):
        raise Invalid(N_("Give both days, or neither."))
    connection.execute(regime.update().where(regime.c.key == regime_key).values(days))
    audit.record(
        connection, actor, "regime.window_set", "regime", None, at=at,
        before={"regime": regime_key, "closed": [before.closed_from, before.closed_until]},
        after={"regime": regime_key, "closed": [closed_from, closed_until]},
    )  # fmt: skip


def _is_day(text: str) -> bool:
    try:
        # A leap year, so that 02-29 is a day.
        return f"{date.fromisoformat(f'2024-{text}'):%m-%d}" == text
    except ValueError:
        return False


def _refuse(**errors: str) -> None:
    """Raises `Invalid` with the errors by field, where there are any."""
    fields: dict[str, XuejiError] = {name: Invalid(message) for name, message in errors.items() if message}
    if fields:
        raise Invalid(fields=fields)


def _bad_text(text: str, longest: int) -> str:
    """What is wrong with a line that somebody wrote; empty where nothing is."""
    if len(text.strip()) > longest:
        return N_("This is too long.")
    return N_("There is a character here that can not be shown.") if "\0" in text else ""


def upload(
    connection: Connection,
    actor: Actor,
    regime_key: str,
    kind: str,
    diagram: bytes,
    document: str | None = None,
    *,
    note: str = "",
    at: datetime,
) -> Version:
    """Keep a diagram as a new draft version; without a document it takes over the newest version's.

    Raises `KeptElsewhere`, `DiagramError` for what is no diagram at all, `Invalid` for a document that can not be read,
    `Conflict` for a diagram and document that a version has already. Findings are no error: a draft may be unfinished.
    """
    _hold(connection, actor, regime_key)
    columns = procedure_version.c
    if not _KIND.fullmatch(kind):
        raise NotFound
    _refuse(note=_bad_text(note, 500))
    graph = reader.read(diagram)
    newest = connection.execute(
        sa.select(columns.number, columns.document)
        .where(columns.regime == regime_key, columns.kind == kind)
        .order_by(columns.number.desc())
        .limit(1)
    ).one_or_none()
    if document is None:
        document = newest.document if newest else ""
    read_document(document)
    sha256 = hashlib.sha256(diagram + b"\0" + document.encode()).hexdigest()
    _refuse_same(connection, regime_key, kind, sha256)
    version_id = connection.execute(
        procedure_version.insert().returning(columns.id),
        {
            "regime": regime_key, "kind": kind, "number": (newest.number if newest else 0) + 1, "state": "draft",
            "sha256": sha256, "diagram": diagram, "document": document, "note": note.strip(),
            "uploaded_by": actor.person_id, "uploaded_at": at,
        },
    ).scalar_one()  # fmt: skip
    audit.record(
        connection, actor, "procedure.uploaded", "procedure_version", version_id, at=at,
        after={"sha256": sha256, "elements": sum(len(pool.nodes) for pool in graph.pools)},
    )  # fmt: skip
    return load(connection, version_id)


# It stands in addresses and file names.
_KIND = re.compile(r"[a-z0-9][a-z0-9_-]{0,39}")


def _hold(connection: Connection, actor: Actor, regime_key: str) -> None:
    """Let nobody else change versions until the transaction ends: numbers, that one stays in force, that all fit."""
    # Of all regimes, since what comes into force in one must fit what does in another; always in the same order.
    held = sa.select(regime.c.key).order_by(regime.c.key).with_for_update()
    if regime_key not in connection.scalars(held).all():
        raise NotFound
    if not may_edit(connection, actor, regime_key):
        raise KeptElsewhere


def _refuse_same(connection: Connection, regime_key: str, kind: str, sha256: str) -> None:
    columns = procedure_version.c
    # A retired version may come back, as a new one.
    same = connection.execute(
        sa.select(columns.number, columns.state).where(
            columns.regime == regime_key, columns.kind == kind, columns.sha256 == sha256, columns.state != "retired"
        )
    ).first()
    if same is None:
        return
    remedy = N_("Deploy that one.")
    if same.state == "deployed":
        remedy = N_("It has been deployed already. To return to it, retire the versions after it.")
    raise Conflict(N_("Version %(number)s is exactly this file."), remedy=remedy, number=same.number)


def _change(connection: Connection, actor: Actor, version_id: int) -> tuple[Version, str]:
    """A version and its state, held against others who would change its procedure. Raises `NotFound`."""
    version = load(connection, version_id)
    _hold(connection, actor, version.regime)
    state = connection.scalar(sa.select(procedure_version.c.state).where(procedure_version.c.id == version_id))
    if state is None:
        raise NotFound
    return version, state


def _update(connection: Connection, version_id: int, **values: Any) -> None:
    connection.execute(procedure_version.update().where(procedure_version.c.id == version_id).values(values))


def deploy(
    connection: Connection, actor: Actor, version_id: int, *, effective_from: datetime | None = None, at: datetime
) -> Version:
    """Put a draft into force, now or from a later instant. New cases start under it; running ones finish under theirs.

    Raises `NotDeployable` with its findings, `DoesNotFit` if a transfer between it and another regime could wait for
    ever, `Conflict` if it is no draft any more, `Invalid` for a date in the past.
    """
    version, state = _change(connection, actor, version_id)
    if state != "draft":
        raise Conflict(N_("Only a draft can be deployed."), remedy=N_("Look at its present state."))
    effective_from = effective_from or at
    _refuse(effective_from=N_("A version can not come into force in the past.") if effective_from < at else "")
    found = version.findings()
    if checks.blocks(found):
        raise NotDeployable(found)
    _refuse_unfit(connection, version, at=effective_from)
    _update(connection, version_id, state="deployed", effective_from=effective_from)
    audit.record(
        connection, actor, "procedure.deployed", "procedure_version", version_id, at=at,
        before={"state": "draft"}, after={"state": "deployed", "effective_from": effective_from.isoformat()},
    )  # fmt: skip
    return version


def _refuse_unfit(connection: Connection, version: Version, *, at: datetime) -> None:
    """Let no version meet another regime's with which it can wait for ever, in force at this instant or later."""
    if version.kind != TRANSFER:
        return
    for item in standings(connection, at=at):
        if item.kind == TRANSFER and item.regime != version.regime and item.state in ("in_force", "scheduled"):
            found = _meeting(version, load(connection, item.id))
            if found:
                name = regimes(connection)[item.regime].name
                raise DoesNotFit(found, number=item.number, regime=name, run=found[0].values["run"])


def _meeting(one: Version, other: Version) -> list[Finding]:
    """Where the halves of two versions, either way round, wait for ever."""
    pairs = (
        (receiving.pool("receiving"), releasing.pool("releasing"))
        for receiving, releasing in ((one, other), (other, one))
    )
    return [finding for pair in pairs for finding in soundness.pair(*pair)]


def retire(connection: Connection, actor: Actor, version_id: int, *, at: datetime) -> None:
    """Take a deployed version out of force, or back before it comes into force. Running cases finish under it.

    The one deployed before it is in force again. Raises `Conflict` when nothing would be left for new cases,
    `DoesNotFit` where that one and another regime's, which it has never met, could wait for ever.
    """
    version, state = _change(connection, actor, version_id)
    if state != "deployed":
        raise Conflict(N_("Only a deployed version can be retired."), remedy=N_("Look at its present state."))
    known = standings(connection, at=at)
    own = next(item for item in known if item.id == version.id)
    if own.state == "in_force":
        after = heir(known, own)
        if after is None:
            raise Conflict(
                N_("This is the only version in force."), remedy=N_("Deploy another one first, then retire this one.")
            )
        _refuse_unfit(connection, load(connection, after.id), at=at)
    _update(connection, version_id, state="retired", retired_at=at)
    audit.record(
        connection, actor, "procedure.retired", "procedure_version", version_id, at=at,
        before={"state": "deployed"}, after={"state": "retired"},
    )  # fmt: skip


def discard(connection: Connection, actor: Actor, version_id: int, *, at: datetime) -> None:
    """Delete a draft. Raises `Conflict` for anything that was ever deployed."""
    version, state = _change(connection, actor, version_id)
    if state != "draft":
        raise Conflict(N_("Only a draft can be deleted."), remedy=N_("Look at its present state."))
    connection.execute(procedure_version.delete().where(procedure_version.c.id == version_id))
    audit.record(
        connection, actor, "procedure.discarded", "procedure_version", version_id, at=at,
        before={"regime": version.regime, "number": version.number, "sha256": version.sha256},
    )  # fmt: skip


def install_shipped(connection: Connection, folder: Path, *, at: datetime) -> None:
    """At the first start: the shipped regimes, their rules, and the shipped versions, deployed."""
    if connection.scalar(sa.select(sa.func.count()).select_from(regime)):
        return
    connection.execute(
        regime.insert(),
        [
            {name: value or None for name, value in row.items()} | {"position": int(row["position"])}
            for row in _rows(folder / "regimes.csv")
        ],
    )
    connection.execute(regime_rule.insert(), _rows(folder / "rules.csv"))
    for path in sorted(folder.glob("*/*.bpmn")):
        document = (path.parent / "document.csv").read_text("utf-8")
        version = upload(connection, SYSTEM, path.parent.name, path.stem, path.read_bytes(), document, at=at)
        deploy(connection, SYSTEM, version.id, at=at)


def _rows(path: Path) -> list[dict[str, Any]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))
