"""A version: a diagram with its document, what can be read from both, and what is wrong with them."""

from __future__ import annotations

import weakref
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine

from engine.bpmn import checks, reader
from engine.bpmn.checks import Finding
from engine.bpmn.graph import SIDES, Described, Node, Pool, ProcessGraph
from engine.bpmn.runtime import Specification
from engine.comparison import soundness
from engine.errors import N_, NotFound, XuejiError
from engine.prepared import Prepared
from engine.procedures.documents import Sentence, read_document
from engine.procedures.tables import TRANSFER, procedure_version


class NoneInForce(XuejiError):
    """A regime without a version in force on that day."""

    status = 409
    code = "none_in_force"
    message = N_("No version of this procedure is in force.")
    remedy = N_("Ask the policy staff to deploy one.")


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


# The version in force of a procedure, once its regime and kind are named.
NEWEST = (
    sa.select(procedure_version.c.id)
    .where(procedure_version.c.state == "deployed", procedure_version.c.effective_from <= sa.bindparam("at"))
    .order_by(procedure_version.c.effective_from.desc(), procedure_version.c.number.desc())
    .limit(1)
)
_IN_FORCE = Prepared(
    NEWEST.where(
        procedure_version.c.regime == sa.bindparam("of_regime"), procedure_version.c.kind == sa.bindparam("of_kind")
    )
)
