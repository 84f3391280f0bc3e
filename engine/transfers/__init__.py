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
    examine,
    look_up,
    looked_up,
    open_of,
    prepare,
    stands_against,
    start,
    would_refuse,
)
from engine.transfers.attachments import (
    Attachment,
    BadAttachment,
    attach,
    forget_orphans,
    open_attachment,
)
from engine.transfers.choices import Choice, fitting, provinces, regions
from engine.transfers.drafts import (
    LONGEST_REASON,
    AlreadyDeclined,
    AlreadyStarted,
    Draft,
    DraftChanged,
    decline,
    discard,
    draft,
    drafts_of_school,
    forget_drafts,
    new_uid,
    save_draft,
)
from engine.transfers.history import Entry, Hold, history, ribbon
from engine.transfers.operations import Ended, NotWithdrawable, TooLate, may_withdraw, register, withdraw
from engine.transfers.query import (
    Filters,
    Found,
    TooManyToExport,
    by_number,
    export,
    school_years,
    search,
    search_after,
    started_by,
    started_by_after,
)
from engine.transfers.values import shown, shown_all
from engine.transfers.views import (
    STATES,
    Holding,
    Transfer,
    get,
    holdings,
    is_party,
    summaries,
    view_record,
    view_student,
)
from engine.transfers.waiting import Waiting, waiting_where

__all__ = [
    "LONGEST_REASON", "STATES", "Ahead", "AlreadyDeclined", "AlreadyHere", "AlreadyStarted", "Application",
    "Attachment", "BadAttachment", "CheckFailed", "Choice", "Closed", "DataDiffer", "Draft", "DraftChanged",
    "Ended", "Entry", "Filters", "Found", "Hold", "Holding", "NotWithdrawable", "NumberCheck", "SchoolClosed",
    "TooLate", "TooManyToExport", "Transfer", "Waiting", "ahead", "apply", "attach", "by_number", "check_number",
    "decline", "differences", "discard", "draft", "drafts_of_school", "examine", "export", "fitting",
    "forget_drafts", "forget_orphans", "get", "history", "holdings", "is_party", "look_up", "looked_up",
    "may_withdraw", "new_uid", "open_attachment", "open_of", "prepare", "provinces", "regions", "register",
    "ribbon", "save_draft", "school_years", "search", "search_after", "shown", "shown_all", "stands_against",
    "start", "started_by", "started_by_after", "summaries", "view_record", "view_student", "waiting_where",
    "withdraw", "would_refuse",
]  # fmt: skip
