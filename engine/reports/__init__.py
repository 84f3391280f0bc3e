"""Comparisons for people: of versions and of any two files, kept here and corrected, and as reports in every format."""

from __future__ import annotations

from engine.bpmn import layout, reader
from engine.comparison import Side, Words, side
from engine.procedures import read_document
from engine.reports.content import Json
from engine.reports.formats import FORMATS, written
from engine.reports.stored import (
    JOB,
    Correction,
    Pair,
    Progress,
    Source,
    begin,
    correct,
    find,
    forget_old,
    keep,
    keep_file,
    pair,
    pair_of,
    progress,
    sent,
    source,
    take_back,
    work_off,
)

__all__ = [
    "FORMATS", "JOB", "Correction", "Json", "Pair", "Progress", "Source", "begin", "correct", "find", "forget_old",
    "keep", "keep_file", "pair", "pair_of", "progress", "sent", "side_of", "source", "take_back", "work_off", "written",
]  # fmt: skip


def side_of(diagram: bytes, document: str = "", *, key: str, label: Words | None = None) -> Side:
    """A file made ready to be compared, with its document where there is one. Raises `DiagramError`, `Invalid`."""
    graph = reader.read(diagram)
    return side(graph, read_document(document), key=key, label=label, layout=layout.read(diagram))
