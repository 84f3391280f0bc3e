"""Reports: in every format and both languages, all that a director asks for."""

from __future__ import annotations

import io
import zipfile
from datetime import UTC, datetime
from functools import cache

import pytest
from docx import Document

from engine.comparison import as_json, compare
from engine.reports import FORMATS, Json, side_of, written
from engine.reports.content import Heading, Table, by_party, ladder, report
from engine.reports.pdf import _lines
from tests.unit.comparison.sides import national_and_anhui, source
from tests.unit.comparison.test_foreign import found as foreign

AT = datetime(2026, 11, 23, 17, 0, tzinfo=UTC)


@cache
def found() -> Json:
    return as_json(national_and_anhui())


def text(form: str, locale: str = "zh") -> str:
    content = written(found(), form, locale, at=AT)
    if form != "docx":
        return content.decode()
    document = Document(io.BytesIO(content))
    cells = [cell.text for table in document.tables for row in table.rows for cell in row.cells]
    return "\n".join([*(paragraph.text for paragraph in document.paragraphs), *cells])


@pytest.mark.parametrize("form", ["text", "html", "docx"])
def test_a_report_has_the_documents_the_verdict_and_each_difference_with_its_quotation(form):
    told = text(form)
    for number in ("教基一司函〔2013〕68号", "皖教秘基〔2014〕2号"):
        assert number in told
    for sentence in found()["verdict"]:
        assert sentence["zh"].replace('"', "&quot;") in told
    for difference in found()["differences"]:
        assert difference["text"]["zh"] in told
    assert "转出学校学籍主管部门与转出学校核对，并在学籍系统中审核。" in told


def test_a_report_says_the_day_in_china():
    assert "2026年11月24日" in text("text")
    assert "24 November 2026" in text("text", "en")


def test_a_pdf_is_the_same_each_time_and_has_pages():
    first, second = (written(found(), "pdf", "zh", at=AT) for _ in range(2))
    assert first == second
    assert first.startswith(b"%PDF")
    assert first.count(b"/Type /Page\n") > 5


def test_no_line_begins_with_what_closes_or_ends_with_what_opens():
    text = (
        "转入学校依据《中小学生学籍管理办法》审核，同意的（含视情形同意的）通过“审核”按钮办理，见 Annex 1.2（图）。" * 3
    )
    lines = list(_lines(text, width=90, size=9))
    assert "".join(lines).replace(" ", "") == text.replace(" ", "")
    assert not any(line[0] in "，。、》”）：；" or line[-1] in "《“（" for line in lines)
    assert all("Annex" in line for line in lines if "Ann" in line)


def test_a_row_that_is_longer_than_a_page_is_split():
    long = found() | {"refusals": [{"label": {"zh": "学校\n" * 200, "en": ""}, "a": [], "b": None}]}
    assert written(long, "pdf", "zh", at=AT).startswith(b"%PDF")


def test_word_counts_its_pages_and_repeats_the_heads_of_tables():
    with zipfile.ZipFile(io.BytesIO(written(found(), "docx", "zh", at=AT))) as parts:
        assert b'w:instr="PAGE"' in b"".join(parts.read(name) for name in parts.namelist() if "footer" in name)
        assert b"w:tblHeader" in parts.read("word/document.xml")


def test_a_table_has_the_same_widths_for_whoever_goes_by_cells_or_by_columns():
    document = Document(io.BytesIO(written(found(), "docx", "zh", at=AT)))
    for table in document.tables:
        columns = [column.width for column in table.columns]
        assert all([cell.width for cell in row.cells] == columns for row in table.rows)


def test_durations_are_told_where_somebody_has_simulated_them():
    mine = {"cases": 2500, "shortest": 1.2, "mean": {"value": 11.14, "margin": 0.31}, "percentile": None}
    durations = (mine | {"completed": {"value": 0.895, "margin": 0.01}},) * 2
    told = written(found(), "text", "zh", at=AT, durations=durations).decode()
    assert "11.1 ± 0.3" in told
    assert "89.5 ± 1.0 %" in told
    assert "2,500" in told
    assert "±" not in written(found(), "text", "zh", at=AT).decode()


@pytest.mark.parametrize("locale", ["zh", "en"])
@pytest.mark.parametrize("form", FORMATS)
def test_files_that_nobody_here_drew_are_reported_too(form, locale):
    assert written(as_json(foreign()), form, locale, at=AT)


def test_what_is_no_document_has_no_facts_to_show():
    blocks = report(as_json(foreign()), "zh").blocks
    assert next(block.text for block in blocks if isinstance(block, Heading)) == "一、对照的文件"
    assert not isinstance(blocks[1], Table)


def test_the_same_against_itself_says_that_nothing_differs():
    side = side_of(source("anhui").encode(), key="x")
    told = written(as_json(compare(side, side)), "text", "zh", at=AT).decode()
    assert "没有发现差异。" in told


def test_the_ladder_has_every_step_once():
    for side in ("a", "b"):
        rungs = [step["id"] for rung in ladder(found()) for step in (rung.a if side == "a" else rung.b)]
        assert sorted(rungs) == sorted(step["id"] for step in found()["steps"][side])


def test_who_is_concerned_comes_in_the_order_of_a_transfer_and_the_document_last():
    parties = [party for party, _ in by_party(found()["differences"])]
    assert parties == [
        "receiving_school", "receiving_authority", "releasing_school", "releasing_authority", "guardian", "",
    ]  # fmt: skip


@pytest.mark.parametrize("form", FORMATS)
def test_characters_that_no_file_can_hold_are_left_out(form):
    document = "clause,text,modelled\n附件一.1,学生\x0b父母\x1f申请,yes\n"
    sides = (side_of(source("anhui").encode(), document, key=key) for key in ("one\x0c", "other"))
    assert written(as_json(compare(*sides)), form, "zh", at=AT)


def test_html_shows_what_stands_in_a_file_as_text():
    side = side_of(source("anhui").replace("监护人提出申请", "&lt;script&gt;alert(1)&lt;/script&gt;").encode(), key="x")
    told = written(as_json(compare(side, side)), "html", "zh", at=AT).decode()
    assert "<script>" not in told
    assert "&lt;script&gt;" in told
