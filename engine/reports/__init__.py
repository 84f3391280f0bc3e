"""Comparisons for people: of any two files, and as reports in every format."""

from __future__ import annotations

from engine.bpmn import layout, reader
from engine.comparison import Side, Words, side
from engine.procedures import read_document
from engine.reports.content import Json
from engine.reports.formats import FORMATS, written

__all__ = ["FORMATS", "Json", "side_of", "written"]


def side_of(diagram: bytes, document: str = "", *, key: str, label: Words | None = None) -> Side:
    """A file made ready to be compared, with its document where there is one. Raises `DiagramError`, `Invalid`."""
    graph = reader.read(diagram)
    return side(graph, read_document(document), key=key, label=label, layout=layout.read(diagram))
