"""The life of a version: uploaded as a draft, put into force from a day on, retired, or thrown away."""

from __future__ import annotations

import csv
import hashlib
import re
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from engine import audit
from engine.audit import SYSTEM, Actor
from engine.bpmn import checks, reader
from engine.bpmn.checks import Finding
from engine.comparison import soundness
from engine.errors import N_, Conflict, Forbidden, Invalid, NotFound
from engine.procedures.documents import read_document
from engine.procedures.entries import bad_text, refuse
from engine.procedures.lifecycle import heir, standings
from engine.procedures.rulebook import regimes, rules
from engine.procedures.tables import TRANSFER, procedure_version, regime, regime_rule
from engine.procedures.versions import Version, load

# A date beyond it is a slip, and the end of all dates can not be shown in China's time.
_FURTHEST = timedelta(days=3653)


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
    return actor.organisation_level == "province" and served == {actor.division_code}


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
    refuse(note=bad_text(note, 500))
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
    ever, `Conflict` if it is no draft any more, `Invalid` for a date in the past or too far ahead.
    """
    version, state = _change(connection, actor, version_id)
    if state != "draft":
        raise Conflict(N_("Only a draft can be deployed."), remedy=N_("Look at its present state."))
    effective_from = effective_from or at
    refuse(effective_from=_wrong_day(effective_from, at))
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


def _wrong_day(effective_from: datetime, at: datetime) -> str:
    if effective_from < at:
        return N_("A version can not come into force in the past.")
    return N_("Choose a day in the next ten years.") if effective_from - at > _FURTHEST else ""


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
