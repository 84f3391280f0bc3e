"""What a reader must know beside the findings, and no more."""

from __future__ import annotations

from engine.comparison.notes import notes
from tests.unit.comparison.sides import of_text, shipped, source


def test_that_anhui_hands_the_national_letter_on_is_said_once():
    told = [note.zh for note in notes(shipped("national"), shipped("anhui"))]
    assert len(told) == 2
    assert told[0].startswith("安徽的文件转发或引用了全国的文件（见通知.1）。")
    assert "转入学校都可以在“档案已调取”之前撤回" in told[1]


def test_without_documents_nothing_is_handed_on_and_where_the_withdrawals_differ_that_is_a_difference():
    other = of_text(source("anhui").replace("until record_retrieved", "until release_agreed"), key="other")
    assert notes(shipped("national", documented=False), other) == []
