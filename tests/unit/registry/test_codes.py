"""The code tables are complete in both languages."""

from __future__ import annotations

import pytest

from engine.registry import codes


@pytest.mark.parametrize("name", ["ethnicity", "gender", "grade", "id_type", "political_status", "status"])
def test_every_code_has_a_name_in_both_languages(name: str):
    table = codes.table(name)
    assert table
    assert all(code.name and code.name_en for code in table.values())
    assert len(codes.rows(name)) == len(table)


def test_grades_are_called_as_the_documents_call_them():
    assert codes.table("grade")["11"].name == "小学一年级"
    assert codes.table("grade")["33"].name == "高中三年级"


def test_only_a_student_at_school_may_move():
    assert [row["code"] for row in codes.rows("status") if row["movable"] == "1"] == ["01"]
