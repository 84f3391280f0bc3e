"""What happened in real cases, as events: for other tools in their formats, and for replaying them on the diagrams.

It holds no personal data: a case goes by its id, an organisation by its id and name, a student by a word that means
nothing outside one file; nobody's name, number, opinion or entry is in it.
"""

from engine.eventlog.cases import Event, Filters, Trace, may_read, traces
from engine.eventlog.formats import FORMATS, Export, export
from engine.eventlog.measuring import measured
from engine.eventlog.replaying import Findings, Summary, findings, summaries

__all__ = [
    "FORMATS", "Event", "Export", "Filters", "Findings", "Summary", "Trace", "export", "findings", "may_read",
    "measured", "summaries", "traces",
]  # fmt: skip
