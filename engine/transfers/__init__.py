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
    cases_of,
    get,
    history,
    ribbon,
    search,
    started_by,
    summaries,
    view_student,
)

__all__ = [
    "STATES", "Application", "CheckFailed", "Filters", "Transfer", "apply", "attach", "attachment_name", "cases_of",
    "decline", "draft", "drafts", "forget_orphans", "get", "history", "look_up", "may_withdraw", "open_attachment",
    "prepare", "register", "ribbon", "save_draft", "search", "shown", "shown_all", "stands_against", "start",
    "started_by", "summaries", "view_student", "withdraw",
]  # fmt: skip
