"""A case and its instances: seen, held for a step, kept to its deadlines, and mended where it is stuck.

A case knows no transfer. What a kind of case adds it registers as a `Kind`. The lock is on the case's row, so two
people can not both decide.
"""

from engine.cases.deadlines import due_deadlines, fire_deadline, recount
from engine.cases.incidents import (
    Incident,
    Mended,
    Unstaffed,
    find_unstaffed,
    incident_place,
    incidents,
    incidents_after,
    incidents_of,
    open_incidents,
    retry_incident,
)
from engine.cases.kinds import Call, Kind, Service, register
from engine.cases.locked import AlreadyDone, Gone, Locked, Stale, create, lock, lock_by_task
from engine.cases.notices import (
    Notice,
    notice_place,
    notices,
    notices_after,
    read_notices,
    unread_notices,
)
from engine.cases.plain import start_plain, startable, startable_as
from engine.cases.seeing import Case, Stand, get, parties, revision_of, running, sides, stands, visible
from engine.cases.tables import case, case_scope, deadline, incident, instance, notice, task

__all__ = [
    "AlreadyDone", "Call", "Case", "Gone", "Incident", "Kind", "Locked", "Mended", "Notice", "Service", "Stale",
    "Stand", "Unstaffed", "case", "case_scope", "create", "deadline", "due_deadlines", "find_unstaffed",
    "fire_deadline", "get", "incident", "incident_place", "incidents", "incidents_after", "incidents_of", "instance",
    "lock", "lock_by_task", "notice", "notice_place", "notices", "notices_after", "open_incidents", "parties",
    "read_notices", "recount", "register", "retry_incident", "revision_of", "running", "sides", "stands",
    "start_plain", "startable", "startable_as", "task", "unread_notices", "visible",
]  # fmt: skip
