"""A transfer: the aggregate of two process instances that moves a student's record from one school to another."""

from engine.transfers.applications import (
    Ahead,
    AlreadyHere,
    Application,
    CheckFailed,
    Closed,
    DataDiffer,
    NumberCheck,
    SchoolClosed,
    ahead,
    apply,
    check_number,
    differences,
    look_up,
    looked_up,
    prepare,
    stands_against,
    start,
)
from engine.transfers.attachments import (
    Attachment,
    BadAttachment,
    attach,
    attachment_name,
    forget_orphans,
    open_attachment,
)
from engine.transfers.choices import Choice, offered, provinces, regions
from engine.transfers.drafts import (
    AlreadyDeclined,
    AlreadyStarted,
    Draft,
    decline,
    discard,
    draft,
    drafts_of_school,
    forget_drafts,
    new_uid,
    save_draft,
)
from engine.transfers.operations import may_withdraw, register, withdraw
from engine.transfers.values import shown, shown_all
from engine.transfers.views import (
    STATES,
    Filters,
    Places,
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
    "STATES", "Ahead", "AlreadyDeclined", "AlreadyHere", "AlreadyStarted", "Application", "Attachment",
    "BadAttachment", "CheckFailed", "Choice", "Closed", "DataDiffer", "Draft", "Filters", "NumberCheck",
    "Places", "SchoolClosed", "Transfer", "Waiting", "ahead", "apply", "attach", "attachment_name", "check_number",
    "decline",
    "differences", "discard", "draft", "drafts_of_school", "forget_drafts", "forget_orphans", "get", "history",
    "look_up", "looked_up", "may_withdraw", "new_uid", "offered", "open_attachment", "places_waiting", "prepare",
    "provinces", "regions", "register", "ribbon", "save_draft", "search", "shown", "shown_all", "stands_against",
    "start", "started_by", "summaries", "view_student", "waiting_where", "withdraw",
]  # fmt: skip
