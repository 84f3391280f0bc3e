"""What stopped cases, and background work that was set aside, for administrators."""

from __future__ import annotations

from datetime import datetime

from flask import Blueprint
from sqlalchemy.engine import Connection

from engine import cases
from engine.db import LARGEST_ID
from engine.errors import NotFound
from web.api import cursors
from web.api.endpoints import reads, writes
from web.api.shapes import Listed, Paged, Shape, Words
from web.context import current_actor, now, xueji
from web.incidents import job_error, words_of

blueprint = Blueprint("incidents", __name__)


class Incident(Shape):
    """What stopped a case, or keeps it waiting, until somebody mends it."""

    id: int
    case_id: int
    case_kind: str
    step: Words
    """Where it happened: an element of the diagram, or its pool."""
    party: str
    organisation_id: int
    organisation: Words
    code: str
    message: str
    remedy: str
    opened_at: datetime
    attempts: int
    resolved_at: datetime | None

    @classmethod
    def of(cls, incident: cases.Incident) -> Incident:
        return cls(
            id=incident.id,
            case_id=incident.case_id,
            case_kind=incident.case_kind,
            step=Words.of(incident.step),
            party=incident.party,
            organisation_id=incident.organisation_id,
            organisation=Words.named(incident.organisation, incident.organisation_en),
            code=incident.code,
            message=words_of(incident.message, incident.values),
            remedy=words_of(incident.remedy, incident.values),
            opened_at=incident.opened_at,
            attempts=incident.attempts,
            resolved_at=incident.resolved_at,
        )


class Asked(Paged):
    resolved: bool = False
    """Those that are over, instead of those that wait."""


class Retried(Shape):
    went_on: bool
    """Whether the case has gone on; else it failed again."""


class FailedJob(Shape):
    """Background work that was tried again and again, and then set aside."""

    id: int
    name: str
    attempts: int
    error: str
    failed_at: datetime


@blueprint.get("/incidents")
@reads(requires="administer", raises=(cursors.BadCursor,))
def incidents(connection: Connection, query: Asked) -> Listed[Incident]:
    """The incidents of the jurisdiction, newest first."""
    order = "resolved" if query.resolved else "open"
    found = cases.incidents_after(
        connection,
        current_actor(),
        resolved=query.resolved,
        after=cursors.read(query, order, datetime, LARGEST_ID),
        size=query.limit + 1,
    )
    return cursors.listed(found, query, Incident.of, order, cases.incident_place)


@blueprint.post("/incidents/<id:incident_id>/retry")
@writes(requires="administer", raises=(cases.Mended, cases.Unstaffed))
def retry(connection: Connection, incident_id: int) -> Retried:
    """Run again what failed, after its cause has been removed."""
    return Retried(went_on=cases.retry_incident(connection, current_actor(), incident_id, at=now()))


@blueprint.get("/failed-jobs")
@reads(requires="administer_deployment")
def failed_jobs(connection: Connection) -> list[FailedJob]:
    """The background work that was set aside, the latest first."""
    return [
        FailedJob(id=job.id, name=job.name, attempts=job.attempts, error=job_error(job.error), failed_at=job.failed_at)
        for job in xueji().application.failed_jobs(connection, current_actor())
    ]


@blueprint.post("/failed-jobs/<id:job_id>/retry")
@writes(status=204, requires="administer_deployment", raises=(NotFound,))
def retry_job(connection: Connection, job_id: int) -> None:
    """Give background work that was set aside all of its attempts again."""
    xueji().application.retry_job(connection, current_actor(), job_id, at=now())
