"""The report as a Word document, by python-docx."""

from __future__ import annotations

import io
import re
from datetime import datetime
from typing import Any

from docx import Document
from docx.enum.text import WD_ALIGN_PARAGRAPH
from docx.oxml import OxmlElement
from docx.oxml.ns import qn
from docx.shared import Emu, Mm, Pt, RGBColor

from engine.reports.content import Heading, Listed, Paragraph, Report, Table

# The faces of official documents: 宋体 for the text, 黑体 for headings.
_TEXT, _HEADING = "SimSun", "SimHei"
_SIZES = {"Normal": 10.5, "Title": 20, "Heading 1": 14, "Heading 2": 12}
_MARGIN = Mm(22)
_SOFT = RGBColor(0x54, 0x60, 0x6D)


def as_docx(report: Report, at: datetime) -> bytes:
    document = Document()
    _page(document, report)
    document.add_heading(_written(report.title), level=0)
    for block in report.blocks:
        match block:
            case Heading(text, level):
                document.add_heading(_written(text), level=level)
            case Paragraph(text, kind):
                run = document.add_paragraph().add_run(_written(text))
                if kind == "soft":
                    run.font.color.rgb = _SOFT
            case Listed(items, numbered):
                for item in items:
                    document.add_paragraph(_written(item), style="List Number" if numbered else "List Bullet")
            case Table():
                _table(document, block)
    properties = document.core_properties
    properties.title, properties.author = _written(report.title), ""
    properties.created = properties.modified = at.replace(tzinfo=None)
    written = io.BytesIO()
    document.save(written)
    return written.getvalue()


# What a document may hold and no XML can.
_UNWRITABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")


def _written(text: str) -> str:
    return _UNWRITABLE.sub("", text)


def _page(document: Any, report: Report) -> None:
    section = document.sections[0]
    section.page_width, section.page_height = Mm(210), Mm(297)
    section.left_margin = section.right_margin = section.top_margin = section.bottom_margin = _MARGIN
    for name, size in _SIZES.items():
        _face(document.styles[name], _TEXT if name == "Normal" else _HEADING, size)
    document.styles["Normal"].paragraph_format.space_after = Pt(4)
    _page_number(section.footer.paragraphs[0], report)


def _face(style: Any, face: str, size: float) -> None:
    style.font.name, style.font.size = face, Pt(size)
    style.font.color.rgb = RGBColor(0, 0, 0)
    fonts = style.element.get_or_add_rPr().get_or_add_rFonts()
    # The template's theme fonts come before any name.
    for name in [name for name in fonts.attrib if name.endswith("Theme")]:
        del fonts.attrib[name]
    fonts.set(qn("w:eastAsia"), face)


def _page_number(paragraph: Any, report: Report) -> None:
    """Counted by Word itself, in the place that the words leave for it."""
    before, after = report.word("page", page="\0").split("\0")
    paragraph.alignment = WD_ALIGN_PARAGRAPH.CENTER
    paragraph.add_run(before)
    field = OxmlElement("w:fldSimple")
    field.set(qn("w:instr"), "PAGE")
    paragraph._p.append(field)
    paragraph.add_run(after)


def _table(document: Any, table: Table) -> None:
    section = document.sections[0]
    width = section.page_width - section.left_margin - section.right_margin
    drawn = document.add_table(rows=1, cols=len(table.columns), style="Table Grid")
    drawn.autofit = False
    for cell, column in zip(drawn.rows[0].cells, table.columns, strict=True):
        _fill(cell, column, bold=True)
    _mark(drawn.rows[0], "tblHeader")
    for row in table.rows:
        added = drawn.add_row()
        _mark(added, "cantSplit")
        for cell, text in zip(added.cells, row, strict=True):
            _fill(cell, text)
    # Word goes by the cells, others by the columns.
    for column, share in zip(drawn.columns, table.widths, strict=True):
        column.width = Emu(int(width * share))
        for cell in column.cells:
            cell.width = column.width
    document.add_paragraph()


def _fill(cell: Any, text: str, *, bold: bool = False) -> None:
    for number, line in enumerate(text.split("\n")):
        paragraph = cell.paragraphs[0] if number == 0 else cell.add_paragraph()
        paragraph.paragraph_format.space_after = Pt(2)
        run = paragraph.add_run(_written(line))
        run.font.size, run.bold = Pt(9), bold


def _mark(row: Any, name: str) -> None:
    """`tblHeader`: a head that stands on each page that its table reaches. `cantSplit`: a row kept on one page."""
    mark = OxmlElement(f"w:{name}")
    mark.set(qn("w:val"), "true")
    row._tr.get_or_add_trPr().append(mark)
