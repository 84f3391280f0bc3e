"""Incidents: what stopped a case, and background work that was set aside, for administrators who mend and retry."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from engine import batches, cases, simulations, transfers
from engine.cases import Incident
from engine.errors import N_
from engine.permissions import may
from web.context import current_actor, now, reading, requires, transaction, xueji
from web.flash import flash
from web.gettext import gettext as _
from web.paging import COUNTED, PAGE_SIZE, Page, offset_of, page_number

blueprint = Blueprint("incidents", __name__, url_prefix="/incidents")

# What background work is for, by the name of its handler.
JOBS = {
    "fire_deadline": N_("A deadline: warning or reporting"),
    batches.JOB: N_("Several tasks decided at once"),
    simulations.JOB: N_("Simulating how long cases take"),
    "sweep": N_("Looking for deadlines that are due"),
    "find_unstaffed": N_("Looking for tasks that nobody can do"),
    "clean": N_("The daily round: deleting what nobody needs, counting deadlines again"),
}


@blueprint.get("")
@requires("administer")
def page() -> ResponseReturnValue:
    actor = current_actor()
    resolved = request.args.get("state") == "resolved"
    number = page_number()
    with reading() as connection:
        found, total = cases.incidents(
            connection, actor, resolved=resolved, limit=PAGE_SIZE, offset=offset_of(number), counted=COUNTED + 1
        )
        numbers = {item.case_id: item for item in transfers.summaries(connection, actor, _transfers(found)).values()}
        jobs = []
        if may(actor, "administer_deployment") and not resolved:
            jobs = list(xueji().application.failed_jobs(connection, actor))
        waiting = cases.open_incidents(connection, actor, counted=COUNTED + 1)
    return render_template(
        "incidents/page.html",
        page=Page(found, total, number),
        resolved=resolved,
        waiting=waiting,
        transfers=numbers,
        jobs=jobs,
        job_words=job_words,
        job_error=job_error,
        words_of=words_of,
    )


def _transfers(found: list[Incident]) -> list[int]:
    return [item.case_id for item in found if item.case_kind == "transfer"]


@blueprint.post("/<int:incident_id>/retry")
@requires("administer")
def retry(incident_id: int) -> ResponseReturnValue:
    with transaction() as connection:
        went_on = cases.retry_incident(connection, current_actor(), incident_id, at=now())
    if went_on:
        flash(_("The case has gone on."))
    else:
        flash(_("It failed again. See below what is still in the way."), "warning")
    return redirect(url_for(".page"), 303)


@blueprint.post("/jobs/<int:job_id>/retry")
@requires("administer_deployment")
def retry_job(job_id: int) -> ResponseReturnValue:
    with transaction() as connection:
        xueji().application.retry_job(connection, current_actor(), job_id, at=now())
    flash(_("The work has been put back in the queue. If it fails again, it comes back here."))
    return redirect(url_for(".page"), 303)


def job_words(name: str) -> str:
    return str(_(JOBS[name])) if name in JOBS else name


def job_error(described: str) -> str:
    """The words of an error as `jobs.describe` keeps it; of errors that are not ours there are none."""
    first = described.partition("\n")[0]
    words = first.partition(": ")[2] or (first if " " in first else "")
    return str(_(words)) if words and "%(" not in words else str(_("It failed for a technical reason."))


def words_of(text: str, values: dict[str, Any]) -> str:
    """An incident's message or remedy in the reader's language."""
    translated = str(_(text)) if text else ""
    return translated % values if values else translated
