"""What a procedure's file may name: topics of service tasks, messages between two pools, bindings of fields.

Closed lists. `processes/README.md` explains each to the author of a diagram.
"""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Topic:
    """A service that a service task may ask for."""

    name: str
    # Variables that it answers, by name, and their type.
    results: dict[str, str] = field(default_factory=dict)
    # Properties that its service task must have.
    needs: tuple[str, ...] = ()


TOPICS = {
    topic.name: topic
    for topic in (
        Topic("check_student", results={"student_ok": "boolean"}),
        Topic("retrieve_record"),
        Topic("change_enrolment"),
        Topic("notify", needs=("to", "notice")),
        Topic("escalate"),
    )
}


@dataclass(frozen=True)
class MessageContract:
    """One message between the two pools. `sender` is a side."""

    name: str
    sender: str
    required: bool = False
    starts: bool = False


MESSAGES = {
    message.name: message
    for message in (
        MessageContract("release_requested", "receiving", required=True, starts=True),
        MessageContract("release_agreed", "releasing", required=True),
        MessageContract("release_refused", "releasing", required=True),
        MessageContract("record_retrieved", "receiving", required=True),
        MessageContract("paper_sent", "releasing"),
        # Handled by the case; no pool sends or awaits it.
        MessageContract("transfer_withdrawn", "receiving"),
    )
}

BINDINGS = frozenset(
    {
        "student.name",
        "student.record_number",
        "student.id_number",
        "student.gender",
        "student.id_type",
        "student.birth_date",
        "origin.province",
        "origin.division",
        "origin.school",
        "origin.grade",
        "origin.class",
        "target.school",
        "target.grade",
        "target.class",
        "transfer.reason",
        "transfer.date",
        "transfer.proof",
        "decision.result",
        "decision.opinion",
    }
)
# Without these no transfer can be started from the form.
NECESSARY = ("student.name", "student.record_number", "target.grade", "target.class")

# The two options of a field that is bound to `decision.result`; their words are the diagram's.
AGREE, REFUSE = "agree", "refuse"

DOCUMENT_KEYS = frozenset(
    {
        "issuer", "number", "date", "in_force", "scope", "system", "docking", "provincial_matters", "query",
        "query_filters", "decision_record", "report",
    }
)  # fmt: skip

OUTCOMES = ("completed", "refused")
DUTIES = ("operator", "reviewer")
