"""Procedures: every regime and version as a diagram with its clauses, and a new version from draft to deployment."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, time
from typing import Any

from flask import Blueprint, Response, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy.engine import Connection

from engine import cases, eventlog, procedures
from engine.bpmn import checks
from engine.bpmn.changes import changes
from engine.bpmn.checks import Finding
from engine.errors import N_, Invalid, NotFound, XuejiError
from engine.procedures import TRANSFER, Regime, Standing, Version
from engine.workdays import SHANGHAI
from web import outline
from web.context import current_actor, now, reading, requires, transaction
from web.errors import shown_again_by
from web.flash import flash
from web.gettext import gettext as _
from web.locales import day_in_words, label
from web.practice import Seen, deviation_words, outcome_word

blueprint = Blueprint("procedures", __name__, url_prefix="/procedures")

TABS = (
    ("page", N_("Diagram and clauses")),
    ("forms", N_("Steps and forms")),
    ("document", N_("The document")),
    ("check", N_("Check and deployment")),
    ("practice", N_("In practice")),
)


# Reading ---------------------------------------------------------------------------------------------------------


@blueprint.get("")
def overview() -> ResponseReturnValue:
    with reading() as connection:
        known = procedures.standings(connection, at=now())
        regimes = procedures.regimes(connection)
        rules = procedures.rules(connection)
        running = cases.running(connection)
        editable = {key for key in regimes if procedures.may_edit(connection, current_actor(), key)}
        current = {item.regime: procedures.load(connection, item.id) for item in known if item.state == "in_force"}
    return render_template(
        "procedures/overview.html",
        regimes=regimes,
        known=known,
        rules=rules,
        running=running,
        editable=editable,
        current=current,
        kind_of=kind_of,
    )


@dataclass(frozen=True)
class Page:
    """What every page of a version has around its own part."""

    version: Version
    standing: Standing
    regime: Regime
    # All versions of the same procedure, the newest first.
    line: list[Standing]
    running: dict[int, int]
    may_edit: bool
    findings: list[Finding]

    @property
    def in_force(self) -> Standing | None:
        return next((item for item in self.line if item.state == "in_force"), None)

    @property
    def heir(self) -> Standing | None:
        return procedures.heir(self.line, self.standing)

    @property
    def running_before(self) -> list[tuple[Standing, int]]:
        """The other versions under which cases run, with how many."""
        others = [item for item in self.line if item.id != self.version.id]
        return [(item, self.running[item.id]) for item in others if self.running.get(item.id)]

    @property
    def errors(self) -> int:
        return sum(finding.severity == "error" for finding in self.findings)


def _page(connection: Connection, version_id: int) -> Page:
    known = procedures.standings(connection, at=now())
    standing = next((item for item in known if item.id == version_id), None)
    if standing is None:
        raise NotFound
    version = procedures.load(connection, version_id)
    return Page(
        version,
        standing,
        procedures.regimes(connection)[standing.regime],
        [item for item in known if (item.regime, item.kind) == (standing.regime, standing.kind)],
        cases.running(connection),
        procedures.may_edit(connection, current_actor(), standing.regime),
        version.findings(),
    )


def _render(tab: str, shown: Page, **more: Any) -> str:
    shut = set() if eventlog.may_read(current_actor()) else {"practice"}
    tabs = [
        (_(words), url_for(f".{name}", version_id=shown.version.id), name == tab, None)
        for name, words in TABS
        if name not in shut
    ]
    number = _("Version %(number)s", number=shown.version.number)
    title = f"{label(shown.regime)} · {kind_of(shown.version.kind)} · {number}"
    return render_template(f"procedures/{tab}.html", shown=shown, tabs_of=tabs, title=title, outline=outline, **more)


@blueprint.get("/<int:version_id>")
def page(version_id: int) -> ResponseReturnValue:
    with reading() as connection:
        shown = _page(connection, version_id)
    return _render(
        "page",
        shown,
        parts=outline.parts(shown.version),
        messages=outline.messages(shown.version),
        focus=request.args.get("element", ""),
    )


@blueprint.get("/<int:version_id>/forms")
def forms(version_id: int) -> ResponseReturnValue:
    with reading() as connection:
        shown = _page(connection, version_id)
    return _render("forms", shown, parts=outline.parts(shown.version))


@blueprint.get("/<int:version_id>/document")
def document(version_id: int) -> ResponseReturnValue:
    with reading() as connection:
        shown = _page(connection, version_id)
    return _render(
        "document", shown, facts=outline.facts(shown.version), lines=outline.document(shown.version),
        drawn=outline.drawn(shown.version),
    )  # fmt: skip


@blueprint.get("/<int:version_id>/check")
def check(version_id: int, error: XuejiError | None = None) -> str:
    with reading() as connection:
        shown = _page(connection, version_id)
        other = shown.in_force if shown.in_force and shown.in_force.id != version_id else None
        before = procedures.load(connection, other.id) if other else None
    marks = _marks(shown)
    return _render(
        "check",
        shown,
        error=error,
        other=other,
        before=before,
        changes=changes(before.graph, shown.version.graph) if before else [],
        sentences=procedures.changed_sentences(before, shown.version) if before else [],
        drawn=outline.drawn(shown.version),
        marks=marks,
        finding_words=finding_words,
        name_of=outline.names(shown.version).get,
        blocked=checks.blocks(shown.findings),
        today=now().astimezone(SHANGHAI).date(),
        focus=request.args.get("element") or next(iter(marks), ""),
    )


@blueprint.get("/<int:version_id>/practice")
def practice(version_id: int) -> ResponseReturnValue:
    """What the cases of the reader's jurisdiction say of this version."""
    with reading() as connection:
        shown = _page(connection, version_id)
        found = eventlog.findings(connection, current_actor(), shown.version)
    heat = "days" if request.args.get("heat") == "days" else "count"
    return _render(
        "practice",
        shown,
        found=found,
        heat=heat,
        seen=Seen(found, heat),
        outcome_word=outcome_word,
        deviation_words=deviation_words,
    )


def finding_words(finding: Finding) -> str:
    text = str(_(finding.message))
    return text % finding.values if finding.values else text


def _marks(shown: Page) -> dict[str, str]:
    """What the diagram marks: where errors stand, then where warnings do."""
    drawn = outline.drawn(shown.version)
    marks: dict[str, str] = {}
    for finding in sorted(shown.findings, key=lambda finding: finding.severity):
        if finding.element in drawn:
            marks.setdefault(drawn[finding.element], "wrong" if finding.severity == "error" else "doubtful")
    return marks


# Files -----------------------------------------------------------------------------------------------------------


@blueprint.get("/<int:version_id>/diagram.bpmn")
def diagram(version_id: int) -> ResponseReturnValue:
    with reading() as connection:
        version = procedures.load(connection, version_id)
    return _file(version, version.diagram, "application/xml", "bpmn")


@blueprint.get("/<int:version_id>/document.csv")
def document_file(version_id: int) -> ResponseReturnValue:
    with reading() as connection:
        version = procedures.load(connection, version_id)
    # The mark at its beginning tells spreadsheets that it is UTF-8.
    return _file(version, b"\xef\xbb\xbf" + version.document.encode(), "text/csv", "csv")


def _file(version: Version, content: bytes, mimetype: str, suffix: str) -> ResponseReturnValue:
    """As an attachment, so that no browser runs what somebody uploaded."""
    response = Response(content, mimetype=mimetype)
    name = f"{version.regime}-{version.kind}-{version.number}.{suffix}"
    response.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    response.headers["Cache-Control"] = "private, no-cache"
    response.set_etag(f"{version.sha256}-{suffix}")
    response.make_conditional(request)
    return response


# Changing --------------------------------------------------------------------------------------------------------


@blueprint.get("/new/<regime_key>")
@requires("edit_procedures")
def new(regime_key: str, error: XuejiError | None = None) -> str:
    kind = request.args.get("kind", TRANSFER)
    with reading() as connection:
        regime = procedures.regimes(connection).get(regime_key)
        if regime is None or not procedures.may_edit(connection, current_actor(), regime_key):
            raise NotFound
        known = procedures.standings(connection, at=now())
    line = [item for item in known if (item.regime, item.kind) == (regime_key, kind)]
    if not line and kind != TRANSFER:
        raise NotFound
    return render_template("procedures/new.html", regime=regime, kind=kind, line=line, error=error, kind_of=kind_of)


@blueprint.post("/new/<regime_key>")
@requires("edit_procedures")
@shown_again_by(new)
def upload(regime_key: str) -> ResponseReturnValue:
    diagram, document = request.files.get("diagram"), request.files.get("document")
    if diagram is None or not diagram.filename:
        raise Invalid(fields={"diagram": Invalid(N_("Choose a file."))})
    text = procedures.decode_document(document.read()) if document is not None and document.filename else None
    with transaction() as connection:
        version = procedures.upload(
            connection,
            current_actor(),
            regime_key,
            request.args.get("kind", TRANSFER),
            diagram.read(),
            text,
            note=request.form.get("note", ""),
            at=now(),
        )
    flash(_("Kept as version %(number)s, a draft. Nothing changes before it is deployed.", number=version.number))
    return redirect(url_for(".check", version_id=version.id), 303)


@blueprint.post("/<int:version_id>/deployment")
@requires("edit_procedures")
@shown_again_by(check)
def deploy(version_id: int) -> ResponseReturnValue:
    since = _since(request.form.get("effective_from", ""))
    with transaction() as connection:
        procedures.deploy(connection, current_actor(), version_id, effective_from=since, at=now())
    flash(
        _(
            "From %(day)s on new cases start under this version; running ones finish under theirs.",
            day=day_in_words(since),
        )
        if since
        else _("New cases now start under this version; running ones finish under theirs.")
    )
    return redirect(url_for(".page", version_id=version_id), 303)


def _since(text: str) -> datetime | None:
    """The beginning of a day in China; None for today, and where nothing is said, which is at once."""
    if not text.strip():
        return None
    try:
        chosen = date.fromisoformat(text.strip())
        since = datetime.combine(chosen, time(), SHANGHAI)
    except ValueError:
        raise Invalid(fields={"effective_from": Invalid(N_("Write a date like 2026-09-22."))}) from None
    return None if chosen == now().astimezone(SHANGHAI).date() else since


@blueprint.post("/<int:version_id>/retirement")
@requires("edit_procedures")
@shown_again_by(check)
def retire(version_id: int) -> ResponseReturnValue:
    with transaction() as connection:
        procedures.retire(connection, current_actor(), version_id, at=now())
    flash(_("The version has been retired. Running cases finish under it."))
    return redirect(url_for(".page", version_id=version_id), 303)


@blueprint.post("/<int:version_id>/discard")
@requires("edit_procedures")
@shown_again_by(check)
def discard(version_id: int) -> ResponseReturnValue:
    with transaction() as connection:
        procedures.discard(connection, current_actor(), version_id, at=now())
    flash(_("The draft has been deleted."))
    return redirect(url_for(".overview"), 303)


def kind_of(kind: str) -> str:
    """What the cases of a kind are called; a plain procedure has its own name."""
    return str(_("Transfer")) if kind == TRANSFER else kind
