"""A transfer: the aggregate of two process instances that moves a student's record from one school to another."""

from engine.transfers.applications import (
    Application,
    CheckFailed,
    apply,
    attach,
    attachment_name,
    decline,
    draft,
    drafts,
    forget_orphans,
    look_up,
    open_attachment,
    prepare,
    save_draft,
    stands_against,
    start,
)
from engine.transfers.operations import may_withdraw, register, withdraw
from engine.transfers.values import shown, shown_all
from engine.transfers.views import (
    STATES,
    Filters,
    Transfer,
    Waiting,
    get,
    history,
    places_waiting,
    ribbon,
    search,
    started_by,
    summaries,
    view_student,
    waiting_where,
)

__all__ = [
    "STATES", "Application", "CheckFailed", "Filters", "Transfer", "Waiting", "apply", "attach", "attachment_name",
    "decline", "draft", "drafts", "forget_orphans", "get", "history", "look_up", "may_withdraw", "open_attachment",
    "places_waiting", "prepare", "register", "ribbon", "save_draft", "search", "shown", "shown_all", "stands_against",
    "start", "started_by", "summaries", "view_student", "waiting_where", "withdraw",
]  # fmt: skip
