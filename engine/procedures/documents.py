"""The document behind a diagram, sentence by sentence, as `document.csv` has it."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass

from engine.errors import N_, Invalid

MAX_DOCUMENT = 1024 * 1024


@dataclass(frozen=True)
class Sentence:
    """One sentence of the document. `modelled` is `yes`, or the reason why no element stands for it."""

    clause: str
    text: str
    modelled: str


def decode_document(content: bytes) -> str:
    """A `document.csv` as text, in UTF-8 or as spreadsheets in China save it. Raises `Invalid`."""
    if len(content) > MAX_DOCUMENT:
        raise Invalid(N_("The document is larger than 1 MB."))
    for encoding in ("utf-8-sig", "gb18030"):
        try:
            return content.decode(encoding)
        except UnicodeDecodeError:
            continue
    raise Invalid(N_("The document is no text. Save it as CSV in UTF-8."))


def read_document(text: str) -> tuple[Sentence, ...]:
    """The sentences of a `document.csv`. Raises `Invalid` where columns are missing, or one of a row's cells."""
    if "\0" in text:
        raise Invalid(N_("The document is no text. Save it as CSV in UTF-8."))
    rows = csv.reader(io.StringIO(text, newline=""))
    try:
        columns = next(rows, [])
        if not columns:
            return ()
        if not {"clause", "text", "modelled"} <= set(columns):
            raise Invalid(N_("The document needs the columns clause, text and modelled."))
        return tuple(_sentence(columns, row, rows.line_num) for row in rows if any(row))
    except csv.Error:
        raise Invalid(N_("The document can not be read near line %(line)s."), line=rows.line_num) from None


def _sentence(columns: list[str], row: list[str], line: int) -> Sentence:
    cells = dict(zip(columns, row, strict=False))
    if len(row) > len(columns) or not (cells.get("clause") and cells.get("text")):
        raise Invalid(
            N_("Line %(line)s of the document needs a clause, a text and nothing beyond its columns."), line=line
        )
    return Sentence(cells["clause"].strip(), cells["text"], cells.get("modelled", ""))
