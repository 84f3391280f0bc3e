"""The report as PDF, by ReportLab."""

from __future__ import annotations

import io
from collections.abc import Iterator
from functools import cache
from html import escape
from typing import Any

from reportlab.lib.colors import HexColor
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import mm
from reportlab.pdfbase.cidfonts import UnicodeCIDFont
from reportlab.pdfbase.pdfmetrics import registerFont, stringWidth
from reportlab.platypus import CondPageBreak, LongTable, SimpleDocTemplate, Spacer, TableStyle
from reportlab.platypus import Paragraph as Text
from reportlab.platypus.doctemplate import LayoutError

from engine.reports.content import Block, Heading, Listed, Paragraph, Report, Table

# The one Chinese face that every reader of PDF has or replaces, so that no file of a font has to be carried along.
_FACE = "STSong-Light"
_MARGIN = 18 * mm
# ReportLab keeps six points free on either side of its frame.
_WIDTH = A4[0] - 2 * _MARGIN - 12
_INK, _SOFT, _LINE, _HEAD = HexColor("#1a222c"), HexColor("#54606d"), HexColor("#b8c0c9"), HexColor("#edf2f8")
registerFont(UnicodeCIDFont(_FACE))
# What Chinese typesetting never lets begin a line, or end one. ReportLab knows some of these, and hangs them.
_NEVER_FIRST = frozenset("、。，；：？！”’）》〉】』」〕］｝,.;:?!)]}%…—·")
_NEVER_LAST = frozenset("“‘（《〈【『「〔［｛([{")
_INDENT, _PADDING = 14, 4


def _style(name: str, size: float, *, above: float = 0, below: float = 3, colour: Any = _INK, indent: float = 0) -> Any:
    return ParagraphStyle(
        name, fontName=_FACE, fontSize=size, leading=size * 1.5, spaceBefore=above, spaceAfter=below, textColor=colour,
        leftIndent=indent, wordWrap="CJK", bulletFontName=_FACE, bulletFontSize=size,
    )  # fmt: skip


_STYLES = {
    "title": _style("title", 20, below=8),
    "1": _style("1", 14, above=12, below=5),
    "2": _style("2", 11.5, above=8, below=4),
    "": _style("text", 10),
    "soft": _style("soft", 9, colour=_SOFT),
    "item": _style("item", 10, indent=_INDENT),
    "cell": _style("cell", 8, below=2),
}


def as_pdf(report: Report) -> bytes:
    try:
        return _written(report)
    except LayoutError:
        # A row that is longer than a page.
        return _written(report, split_rows=True)


def _written(report: Report, *, split_rows: bool = False) -> bytes:
    written = io.BytesIO()
    document = SimpleDocTemplate(
        written, pagesize=A4, leftMargin=_MARGIN, rightMargin=_MARGIN, topMargin=_MARGIN, bottomMargin=_MARGIN,
        title=report.title, author="", invariant=1, lang="en" if report.locale == "en" else "zh-CN",
    )  # fmt: skip

    def foot(canvas: Any, page: Any) -> None:
        canvas.setFont(_FACE, 9)
        canvas.setFillColor(_SOFT)
        canvas.drawCentredString(A4[0] / 2, 10 * mm, report.word("page", page=page.page))

    parts = [_text(report.title, "title")]
    parts += [part for block in report.blocks for part in _parts(block, split_rows)]
    document.build(parts, onFirstPage=foot, onLaterPages=foot)
    return written.getvalue()


def _parts(block: Block, split_rows: bool) -> Iterator[Any]:
    match block:
        case Heading(text, level):
            # A heading at the foot of a page has lost what it heads.
            yield CondPageBreak(30 * mm)
            yield _text(text, str(level))
        case Paragraph(text, kind):
            yield _text(text, kind)
        case Listed(items, numbered):
            for number, item in enumerate(items, 1):
                yield _text(item, "item", _WIDTH - _INDENT, f"{number}." if numbered else "·")
        case Table():
            yield _table(block, split_rows)
            yield Spacer(0, 6)


def _text(text: str, style: str, width: float = _WIDTH, bullet: str | None = None) -> Any:
    found = _STYLES[style]
    lines = _lines(text, width, found.fontSize)
    return Text("<br/>".join(map(escape, lines)), found, bulletText=bullet)


def _lines(text: str, width: float, size: float) -> Iterator[str]:
    """A paragraph in lines that begin and end as they may."""
    begin = 0
    while begin < len(text):
        end, used = begin, 0.0
        while end < len(text) and (used := used + _width(text[end]) * size) <= width:
            end += 1
        stop = _stop(text, begin, max(end, begin + 1))
        yield text[begin:stop].strip(" ")
        begin = stop


def _stop(text: str, begin: int, end: int) -> int:
    """Where a line ends that can not go beyond `end`: there, or a few characters before."""
    if end >= len(text):
        return len(text)
    for stop in range(end, begin + (end - begin) // 2, -1):
        before, after = text[stop - 1], text[stop]
        in_word = before.isascii() and after.isascii() and before != " " and after != " "
        if not in_word and after not in _NEVER_FIRST and before not in _NEVER_LAST:
            return stop
    return end


@cache
def _width(character: str) -> float:
    """Of one point's height."""
    return float(stringWidth(character, _FACE, 1000)) / 1000


def _table(table: Table, split_rows: bool) -> Any:
    widths = [share * _WIDTH for share in table.widths]
    cells = [
        [
            [_text(line, "cell", width - 2 * _PADDING) for line in cell.split("\n")]
            for cell, width in zip(row, widths, strict=True)
        ]
        for row in (table.columns, *table.rows)
    ]
    drawn = LongTable(cells, colWidths=widths, repeatRows=1, splitInRow=int(split_rows), hAlign="LEFT")
    drawn.setStyle(
        TableStyle(
            [
                ("GRID", (0, 0), (-1, -1), 0.5, _LINE),
                ("BACKGROUND", (0, 0), (-1, 0), _HEAD),
                ("VALIGN", (0, 0), (-1, -1), "TOP"),
                ("LEFTPADDING", (0, 0), (-1, -1), _PADDING),
                ("RIGHTPADDING", (0, 0), (-1, -1), _PADDING),
                ("TOPPADDING", (0, 0), (-1, -1), 3),
                ("BOTTOMPADDING", (0, 0), (-1, -1), 2),
            ]
        )
    )
    return drawn
