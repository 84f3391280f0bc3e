"""Regimes and the immutable versions of their procedures: upload, check, deploy with a date, retire.

A version is a diagram together with its document. Deploying one never changes a running case: an instance is pinned to
the version it started under.
"""

from __future__ import annotations

import csv
import hashlib
import io
import weakref
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine

from engine import audit
from engine.audit import SYSTEM, Actor
from engine.bpmn import checks, reader
from engine.bpmn.checks import Finding
from engine.bpmn.graph import Described, Node, Pool, ProcessGraph
from engine.bpmn.runtime import Specification
from engine.db import UtcDateTime, metadata
from engine.errors import N_, Conflict, Invalid, NotFound, XuejiError

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
    # The side's own province; `*` for every province without a rule of its own.
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
    """A version whose findings include errors. `findings` has them all."""

    code = "not_deployable"
    message = N_("This version has errors and can not be deployed.")
    remedy = N_("Correct what its findings name, then upload it again as a new version.")

    def __init__(self, findings: list[Finding]) -> None:
        super().__init__()
        self.findings = findings


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
        return [sentence for clause in element.clauses for sentence in self._by_clause.get(clause, ())]

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
        """What the rules find in the diagram, and between the diagram and its document."""
        return checks.findings(self.graph) + list(_clauses(self))


def read_document(text: str) -> tuple[Sentence, ...]:
    """The sentences of a `document.csv`. Raises `Invalid` where columns are missing."""
    rows = csv.DictReader(io.StringIO(text))
    if text.strip() and not {"clause", "text", "modelled"} <= set(rows.fieldnames or ()):
        raise Invalid(N_("The document needs the columns clause, text and modelled."))
    return tuple(Sentence(row["clause"], row["text"], row["modelled"] or "") for row in rows)


def _clauses(version: Version) -> Iterator[Finding]:
    """References into nothing, and sentences that nothing stands for."""
    if not version.sentences:
        return
    known = {sentence.clause for sentence in version.sentences}
    used: set[str] = set()
    for element in checks.described(version.graph):
        used.update(element.clauses)
        for clause in element.clauses:
            if clause not in known:
                yield Finding("clause", "error", element.id, N_("The document has no clause “%(clause)s”."),
                              {"clause": clause})  # fmt: skip
    for holder in (version.graph.properties, *(pool.properties for pool in version.graph.pools)):
        for name, value in holder.items():
            if name.endswith(".clause"):
                used.update(part.strip() for part in value.split(";"))
    for sentence in version.sentences:
        if sentence.modelled == "yes" and sentence.clause not in used:
            yield Finding("clause", "warning", version.graph.id, N_("No element stands for clause “%(clause)s”."),
                          {"clause": sentence.clause})  # fmt: skip


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
    columns = procedure_version.c
    found = connection.scalar(
        sa.select(columns.id)
        .where(
            columns.regime == regime_key,
            columns.kind == kind,
            columns.state == "deployed",
            columns.effective_from <= at,
        )
        .order_by(columns.effective_from.desc(), columns.number.desc())
        .limit(1)
    )
    if found is None:
        raise NoneInForce
    return load(connection, found)


def regimes(connection: Connection) -> dict[str, Regime]:
    """All regimes by key, in their order."""
    rows = connection.execute(sa.select(regime).order_by(regime.c.position, regime.c.key))
    return {row.key: Regime(row.key, row.name, row.name_en, row.closed_from, row.closed_until) for row in rows}


def rules(connection: Connection) -> list[Rule]:
    """The table of regimes, general rules last."""
    rows = connection.execute(sa.select(regime_rule).order_by(regime_rule.c.province.desc(), regime_rule.c.move))
    return [Rule(row.province, row.move, row.regime, row.basis, row.reason) for row in rows]


def rule_for(connection: Connection, province: str, *, within: bool) -> Rule:
    """The rule that says under which regime a side in `province` runs. Raises `NoneInForce` without any."""
    move = "within" if within else "across"
    found = {rule.province: rule for rule in rules(connection) if rule.move == move}
    if province not in found and "*" not in found:
        raise NoneInForce
    return found.get(province) or found["*"]


def serving(connection: Connection, province: str, kind: str, *, at: datetime) -> list[Version]:
    """The versions under which a side in `province` would start now, those of moves across provinces first.

    None where nothing is in force, since whoever asks wants to show what there is.
    """
    rule, version = regime_rule.c, procedure_version.c
    rows = connection.execute(
        sa.select(rule.province, rule.move, version.id)
        .join(procedure_version, rule.regime == version.regime)
        .where(
            rule.province.in_((province, "*")),
            version.kind == kind,
            version.state == "deployed",
            version.effective_from <= at,
        )
        .order_by(version.effective_from, version.number)
    ).all()
    newest = {(row.province, row.move): row.id for row in rows}
    chosen = (newest.get((province, move), newest.get(("*", move))) for move in ("across", "within"))
    return [load(connection, version_id) for version_id in dict.fromkeys(chosen) if version_id is not None]


# Changing --------------------------------------------------------------------------------------------------------


def set_rule(
    connection: Connection, actor: Actor, province: str, move: str, regime_key: str, reason: str, *, at: datetime
) -> None:
    """Let a province's side of a transfer run under another regime from now on. What runs is not changed.

    Such an entry is somebody's decision and stands in no document, so its basis is `inferred`.
    """
    if regime_key not in regimes(connection) or move not in ("within", "across"):
        raise Invalid
    where = (regime_rule.c.province == province) & (regime_rule.c.move == move)
    before = connection.scalar(sa.select(regime_rule.c.regime).where(where))
    connection.execute(regime_rule.delete().where(where))
    connection.execute(
        regime_rule.insert(),
        {"province": province, "move": move, "regime": regime_key, "basis": "inferred", "reason": reason},
    )
    audit.record(
        connection, actor, "regime_rule.set", "regime_rule", None, at=at,
        before={"province": province, "move": move, "regime": before},
        after={"province": province, "move": move, "regime": regime_key},
    )  # fmt: skip


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
    closed_from, closed_until = closed_from or None, closed_until or None
    for day in (closed_from, closed_until):
        if day is not None and not _is_day(day):
            raise Invalid(N_("Write a day of the year like 07-15."))
    if (closed_from is None) != (closed_until is None):
        raise Invalid(N_("Give both days, or neither."))
    if regime_key not in regimes(connection):
        raise NotFound
    before = regimes(connection)[regime_key]
    connection.execute(
        regime.update().where(regime.c.key == regime_key).values(closed_from=closed_from, closed_until=closed_until)
    )
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


def remove_rule(connection: Connection, actor: Actor, province: str, move: str, *, at: datetime) -> None:
    """Let a province fall back to the general rule. Raises `Invalid` for the general rule itself."""
    if province == "*":
        raise Invalid(N_("The general rule can be changed, but not removed."))
    where = (regime_rule.c.province == province) & (regime_rule.c.move == move)
    before = connection.scalar(sa.select(regime_rule.c.regime).where(where))
    if before is None:
        raise NotFound
    connection.execute(regime_rule.delete().where(where))
    audit.record(
        connection, actor, "regime_rule.removed", "regime_rule", None, at=at,
        before={"province": province, "move": move, "regime": before},
    )  # fmt: skip


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

    Raises `DiagramError` for what is no diagram at all, `Conflict` for a diagram and document that a version of this
    procedure already has. Findings are no error here: a draft may be unfinished.
    """
    columns = procedure_version.c
    graph = reader.read(diagram)
    if regime_key not in regimes(connection):
        raise NotFound
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
    same = connection.scalar(
        sa.select(columns.number).where(columns.regime == regime_key, columns.kind == kind, columns.sha256 == sha256)
    )
    if same is not None:
        raise Conflict(N_("Version %(number)s is exactly this file."), remedy=N_("Deploy that one."), number=same)
    version_id = connection.execute(
        procedure_version.insert().returning(columns.id),
        {
            "regime": regime_key, "kind": kind, "number": (newest.number if newest else 0) + 1, "state": "draft",
            "sha256": sha256, "diagram": diagram, "document": document, "note": note,
            "uploaded_by": actor.person_id, "uploaded_at": at,
        },
    ).scalar_one()  # fmt: skip
    audit.record(
        connection, actor, "procedure.uploaded", "procedure_version", version_id, at=at,
        after={"sha256": sha256, "elements": sum(len(pool.nodes) for pool in graph.pools)},
    )  # fmt: skip
    return load(connection, version_id)


def deploy(
    connection: Connection, actor: Actor, version_id: int, *, effective_from: datetime | None = None, at: datetime
) -> Version:
    """Put a draft into force, now or from a later instant. New cases start under it; running ones finish under theirs.

    Raises `NotDeployable` with its findings, `Conflict` if it is no draft any more, `Invalid` for a date in the past.
    """
    version = load(connection, version_id)
    effective_from = effective_from or at
    if effective_from < at:
        raise Invalid(N_("A version can not come into force in the past."))
    found = version.findings()
    if checks.blocks(found):
        raise NotDeployable(found)
    changed = connection.execute(
        procedure_version.update()
        .where(procedure_version.c.id == version_id, procedure_version.c.state == "draft")
        .values(state="deployed", effective_from=effective_from)
    )
    if changed.rowcount != 1:
        raise Conflict(N_("Only a draft can be deployed."), remedy=N_("Look at its present state."))
    audit.record(
        connection, actor, "procedure.deployed", "procedure_version", version_id, at=at,
        before={"state": "draft"}, after={"state": "deployed", "effective_from": effective_from.isoformat()},
    )  # fmt: skip
    return version


def retire(connection: Connection, actor: Actor, version_id: int, *, at: datetime) -> None:
    """Take a deployed version out of force. Raises `Conflict` when nothing would be left for new cases."""
    version = load(connection, version_id)
    columns = procedure_version.c
    others = connection.scalar(
        sa.select(sa.func.count()).where(
            columns.regime == version.regime,
            columns.kind == version.kind,
            columns.state == "deployed",
            columns.effective_from <= at,
            columns.id != version_id,
        )
    )
    if not others:
        raise Conflict(
            N_("This is the only version in force."), remedy=N_("Deploy another one first, then retire this one.")
        )
    changed = connection.execute(
        procedure_version.update().where(columns.id == version_id, columns.state == "deployed").values(state="retired")
    )
    if changed.rowcount != 1:
        raise Conflict(N_("Only a deployed version can be retired."), remedy=N_("Look at its present state."))
    audit.record(
        connection, actor, "procedure.retired", "procedure_version", version_id, at=at,
        before={"state": "deployed"}, after={"state": "retired"},
    )  # fmt: skip


def discard(connection: Connection, actor: Actor, version_id: int, *, at: datetime) -> None:
    """Delete a draft. Raises `Conflict` for anything that was ever deployed."""
    columns = procedure_version.c
    changed = connection.execute(procedure_version.delete().where(columns.id == version_id, columns.state == "draft"))
    if changed.rowcount != 1:
        raise Conflict(N_("Only a draft can be deleted."), remedy=N_("Look at its present state."))
    audit.record(connection, actor, "procedure.discarded", "procedure_version", version_id, at=at)


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
