"""Procedures: every regime and version for everybody, new versions for policy editors."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from flask import Blueprint, url_for
from pydantic import AwareDatetime, Field
from sqlalchemy.engine import Connection

from engine import cases, inbox, procedures
from engine.bpmn.checks import Finding
from engine.bpmn.graph import Node
from engine.bpmn.reader import DiagramError
from engine.errors import Conflict, Invalid
from engine.procedures import TRANSFER, Standing, Version
from web.api.endpoints import Content, reads, writes
from web.api.shapes import Clause, File, Form, Line, Sent, SentForm, Shape, Step, Words
from web.context import current_actor, now
from web.procedures import finding_words

blueprint = Blueprint("procedures", __name__)

Key = Annotated[str, Field(pattern=r"^[a-z0-9_-]{1,40}$")]


# Reading ---------------------------------------------------------------------------------------------------------


class VersionRow(Shape):
    """A version of a procedure, and where it stands in its life."""

    id: int
    regime: str
    kind: str
    """transfer, or a plain procedure's own name"""
    number: int
    """1, 2, 3 … within its regime and kind"""
    state: str
    """draft, scheduled, in_force, superseded or retired"""
    effective_from: datetime | None
    until: datetime | None
    sha256: str
    note: str
    uploaded_by: str | None
    uploaded_at: datetime
    running: int
    """How many open cases run under it."""

    @classmethod
    def of(cls, standing: Standing, running: int) -> VersionRow:
        return cls(**vars(standing), running=running)


class Regime(Shape):
    """A regime with the versions of its procedures, the newest first."""

    key: str
    name: Words
    closed_from: str | None
    """The first day of each year's time without new applications, as MM-DD; null for none."""
    closed_until: str | None
    may_edit: bool
    """Whether this membership keeps its versions."""
    versions: list[VersionRow]


class ProcedureStep(Step):
    """A step that people do."""

    party: str
    duty: str
    batch: bool
    due: str
    """For how long, as the diagram says it, for example workdays(10); empty for no limit."""
    clauses: list[Clause]
    form: Form


class ProcedurePool(Shape):
    """One side of a transfer, or a plain procedure."""

    id: str
    side: str | None
    label: Words
    withdrawable_until: str | None
    """The message after which the receiving school can no longer withdraw; null: it never can."""
    steps: list[ProcedureStep]
    """In the order in which a case comes to them."""


class Fact(Shape):
    """What the document states as a whole, or for one side."""

    key: str
    pool: str | None
    text: Words
    clauses: list[str]


class FindingShape(Shape):
    """What its author should know of a file."""

    rule: str
    severity: str
    """error: it can not be deployed; warning"""
    element: str
    message: str
    """In the language asked for."""

    @classmethod
    def of(cls, finding: Finding) -> FindingShape:
        return cls(
            rule=finding.rule, severity=finding.severity, element=finding.element, message=finding_words(finding)
        )


class VersionDetail(VersionRow):
    """A version with what its diagram says."""

    facts: list[Fact]
    pools: list[ProcedurePool]
    findings: list[FindingShape]


@blueprint.get("/procedures")
@reads()
def overview(connection: Connection) -> list[Regime]:
    """Every regime and every version."""
    running, known = cases.running(connection), procedures.standings(connection, at=now())
    return [
        Regime(
            key=regime.key,
            name=Words.of(regime),
            closed_from=regime.closed_from,
            closed_until=regime.closed_until,
            may_edit=procedures.may_edit(connection, current_actor(), regime.key),
            versions=[VersionRow.of(found, running.get(found.id, 0)) for found in known if found.regime == regime.key],
        )
        for regime in procedures.regimes(connection).values()
    ]


@blueprint.get("/procedures/versions/<id:version_id>")
@reads()
def version(connection: Connection, version_id: int) -> VersionDetail:
    """One version: where it stands, its steps with their sentences and forms, and what is wrong with it."""
    return _detail(connection, version_id)


@blueprint.get("/procedures/versions/<id:version_id>/diagram")
@reads(media_type="application/xml")
def diagram(connection: Connection, version_id: int) -> Content:
    """Its diagram, BPMN 2.0."""
    found = procedures.load(connection, version_id)
    return Content(found.diagram, "application/xml", f"{found.regime}-{found.kind}-{found.number}.bpmn")


@blueprint.get("/procedures/versions/<id:version_id>/document")
@reads(media_type="text/csv")
def document(connection: Connection, version_id: int) -> Content:
    """Its document, sentence by sentence: clause, text, modelled."""
    found = procedures.load(connection, version_id)
    return Content(found.document.encode(), "text/csv", f"{found.regime}-{found.kind}-{found.number}.csv")


def _detail(connection: Connection, version_id: int) -> VersionDetail:
    standing = procedures.standing(connection, version_id, at=now())
    found = procedures.load(connection, version_id)
    return VersionDetail(
        **dict(VersionRow.of(standing, cases.running(connection).get(version_id, 0))),
        facts=[
            Fact(
                key=fact.key,
                pool=fact.holder.id if fact.holder else None,
                text=Words.of(fact),
                clauses=list(fact.clauses),
            )
            for fact in found.facts
        ],
        pools=_pools(found),
        findings=[FindingShape.of(finding) for finding in found.findings()],
    )


def _pools(version: Version) -> list[ProcedurePool]:
    return [
        ProcedurePool(
            id=pool.id,
            side=pool.side,
            label=Words.of(pool),
            withdrawable_until=pool.withdrawable_until,
            steps=[_step(version, node, pool.party(node.id)) for node in pool.in_order if node.is_human],
        )
        for pool in version.graph.executable
    ]


def _step(version: Version, node: Node, party: str) -> ProcedureStep:
    return ProcedureStep(
        **dict(Step.of(node)),
        party=party,
        duty=node.duty,
        batch=node.batch,
        due=node.due,
        clauses=[Clause.of(quote) for quote in inbox.quotes(version, [node])],
        form=Form.of((node,)),
    )


# Changing --------------------------------------------------------------------------------------------------------


class Checking(SentForm):
    diagram: File
    """BPMN 2.0, at most 2 MB."""
    document: File | None = None
    """CSV with the columns clause, text, modelled."""
    kind: Key = TRANSFER


class Uploading(SentForm):
    diagram: File
    """BPMN 2.0, at most 2 MB."""
    document: File | None = None
    """CSV with the columns clause, text, modelled; without it the newest version's is taken over."""
    note: Line = ""
    """What is new."""


class Deploying(Sent):
    effective_from: AwareDatetime | None = None
    """From when new cases start under it; at once where nothing is said."""


@blueprint.post("/procedures/check")
@writes(requires="edit_procedures", keyed=False, raises=(DiagramError, Invalid))
def check(connection: Connection, body: Checking) -> list[FindingShape]:
    """What would be found in these files if they were uploaded. Nothing is kept."""
    document = procedures.decode_document(body.document.content) if body.document else ""
    return [FindingShape.of(finding) for finding in procedures.check(body.diagram.content, document, body.kind)]


@blueprint.post("/procedures/<regime>/<kind>/versions")
@writes(
    status=201,
    requires="edit_procedures",
    raises=(procedures.KeptElsewhere, DiagramError, Invalid, Conflict),
)
def upload(connection: Connection, regime: str, kind: str, body: Uploading) -> tuple[VersionDetail, str]:
    """Keep a diagram as a new draft. Nothing changes before it is deployed."""
    document = procedures.decode_document(body.document.content) if body.document else None
    kept = procedures.upload(
        connection, current_actor(), regime, kind, body.diagram.content, document, note=body.note, at=now()
    )
    return _detail(connection, kept.id), url_for(".version", version_id=kept.id)


@blueprint.post("/procedures/versions/<id:version_id>/deployment")
@writes(
    requires="edit_procedures",
    raises=(procedures.KeptElsewhere, procedures.NotDeployable, procedures.DoesNotFit, Conflict, Invalid),
)
def deploy(connection: Connection, version_id: int, body: Deploying) -> VersionRow:
    """Put a draft into force. New cases start under it; running ones finish under theirs."""
    procedures.deploy(connection, current_actor(), version_id, effective_from=body.effective_from, at=now())
    return _row(connection, version_id)


@blueprint.post("/procedures/versions/<id:version_id>/retirement")
@writes(requires="edit_procedures", raises=(procedures.KeptElsewhere, procedures.DoesNotFit, Conflict))
def retire(connection: Connection, version_id: int) -> VersionRow:
    """Take a deployed version out of force; the one before it is in force again. Running cases finish under it."""
    procedures.retire(connection, current_actor(), version_id, at=now())
    return _row(connection, version_id)


@blueprint.delete("/procedures/versions/<id:version_id>")
@writes(status=204, requires="edit_procedures", raises=(procedures.KeptElsewhere, Conflict))
def discard(connection: Connection, version_id: int) -> None:
    """Delete a draft."""
    procedures.discard(connection, current_actor(), version_id, at=now())


def _row(connection: Connection, version_id: int) -> VersionRow:
    standing = procedures.standing(connection, version_id, at=now())
    return VersionRow.of(standing, cases.running(connection).get(version_id, 0))
