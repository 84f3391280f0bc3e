"""Forms: what people enter is taken, refused with a reason at its field, or dropped where nobody asked for it."""

from __future__ import annotations

from typing import Any

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.bpmn import forms
from engine.bpmn.forms import check, process_variables
from engine.bpmn.graph import Field, Option
from engine.errors import Invalid

YES_NO = (Option("agree", "同意"), Option("refuse", "不同意"))
RESULT = Field("result", "结果", type="enum", required=True, options=YES_NO)
OPINION = Field("opinion", "意见", required_when='result == "refuse"')


def errors(fields: list[Field], raw: dict[str, Any]) -> dict[str, str]:
    with pytest.raises(Invalid) as refusal:
        check(fields, raw)
    return {name: str(error) for name, error in refusal.value.fields.items()}


def one(field_type: str, raw: Any, **rules: Any) -> Any:
    return check([Field("x", "X", type=field_type, **rules)], {"x": raw})["x"]


@pytest.mark.parametrize(
    ("field_type", "raw", "value"),
    [
        ("string", "  合肥 \n", "合肥"),
        ("string", "两\n行\t字", "两\n行\t字"),
        ("string", "", None),
        ("string", "   ", None),
        ("string", None, None),
        ("file", "upload-7", "upload-7"),
        ("long", "7", 7),
        ("long", " -7 ", -7),
        ("long", "７", 7),
        ("long", 7, 7),
        ("long", 7.0, 7),
        ("long", "", None),
        ("boolean", "on", True),
        ("boolean", "true", True),
        ("boolean", "1", True),
        ("boolean", True, True),
        ("boolean", "false", False),
        ("boolean", "off", False),
        ("boolean", "0", False),
        ("boolean", False, False),
        # A browser sends nothing for a box that is not ticked.
        ("boolean", None, False),
        ("boolean", "", False),
        ("date", "2026-09-22", "2026-09-22"),
        ("date", "20260922", "2026-09-22"),
        ("date", "", None),
        ("enum", "agree", "agree"),
        ("enum", " agree ", "agree"),
        ("enum", "", None),
        ("something else", "x", "x"),
    ],
)
def test_what_is_taken(field_type: str, raw: Any, value: Any) -> None:
    taken = one(field_type, raw, options=YES_NO)
    assert taken == value
    assert type(taken) is type(value)


@pytest.mark.parametrize(
    ("field_type", "raw"),
    [
        ("string", 7),
        ("string", ["x"]),
        ("string", "x" * 501),
        ("string", "bell\x07"),
        ("string", "null\x00"),
        ("string", "half \ud800 a pair"),
        ("file", {"name": "x"}),
        ("long", "seven"),
        ("long", "7.5"),
        ("long", "1_000"),
        ("long", 7.5),
        ("long", float("nan")),
        ("long", float("inf")),
        ("long", True),
        ("long", [7]),
        ("long", str(2**53 + 1)),
        ("long", "9" * 5000),
        ("boolean", "maybe"),
        ("boolean", 2),
        ("boolean", [True]),
        ("date", "2026-02-30"),
        ("date", "22.9.2026"),
        ("date", ["2026-09-22"]),
        ("enum", "perhaps"),
        ("enum", "AGREE"),
        ("enum", ["agree"]),
        ("enum", {"agree": 1}),
        ("enum", 1),
    ],
)
def test_what_is_refused_is_refused_at_its_field(field_type: str, raw: Any) -> None:
    assert list(errors([Field("x", "X", type=field_type, options=YES_NO)], {"x": raw})) == ["x"]


def test_bounds() -> None:
    assert one("string", "xx", max_length=2) == "xx"
    assert one("long", 3, minimum=1, maximum=3) == 3
    assert errors([Field("x", "X", max_length=2)], {"x": "xxx"}) == {"x": "At most 2 characters; there are 3."}
    for outside in (0, 4):
        assert errors([Field("x", "X", type="long", minimum=1, maximum=3)], {"x": outside}) == {"x": "Between 1 and 3."}


def test_every_field_says_its_own_error_at_once() -> None:
    fields = [RESULT, Field("grade", "年级", type="long"), Field("name", "姓名", required=True)]
    assert list(errors(fields, {"grade": "x"})) == ["grade", "result", "name"]


def test_a_refusal_needs_reasons_and_an_agreement_none() -> None:
    assert check([RESULT, OPINION], {"result": "agree"}) == {"result": "agree", "opinion": None}
    assert errors([RESULT, OPINION], {"result": "refuse", "opinion": "  "}) == {"opinion": "This is required."}
    assert check([RESULT, OPINION], {"result": "refuse", "opinion": "名额已满"})["opinion"] == "名额已满"


def test_a_no_counts_as_an_answer() -> None:
    assert one("boolean", None, required=True) is False


def test_what_is_not_visible_is_dropped_whatever_was_sent() -> None:
    fields = [RESULT, Field("reason", "理由", type="long", required=True, visible='result == "refuse"')]
    assert check(fields, {"result": "agree", "reason": "no number at all"}) == {"result": "agree"}
    assert errors(fields, {"result": "refuse"}) == {"reason": "This is required."}


def test_what_hangs_on_something_hidden_is_hidden_too() -> None:
    fields = [
        Field("moves", "搬家", type="boolean"),
        Field("where", "地点", visible="moves"),
        Field("since", "时间", type="date", visible='where == "合肥"'),
    ]
    assert check(fields, {"moves": "false", "where": "合肥", "since": "2026-09-22"}) == {"moves": False}
    assert check(fields, {"moves": "on", "where": "合肥", "since": "2026-09-22"})["since"] == "2026-09-22"


def test_a_condition_on_something_left_empty_does_not_hold() -> None:
    fields = [
        Field("grade", "年级", type="long"),
        Field("school", "学校", visible="grade > 6"),
        Field("note", "备注", required_when="grade > 6"),
    ]
    assert check(fields, {}) == {"grade": None, "note": None}
    assert errors(fields, {"grade": "7"}) == {"note": "This is required."}


def test_what_nobody_asked_for_is_not_kept() -> None:
    assert check([RESULT], {"result": "agree", "admin": "1"}) == {"result": "agree"}


def test_only_choices_and_numbers_become_variables() -> None:
    fields = [Field(kind, kind, type=kind, options=YES_NO) for kind in forms.TYPES]
    values = dict.fromkeys(forms.TYPES, "personal") | {"enum": "agree", "boolean": True, "long": 3}
    assert process_variables(fields, values) == {"long": 3, "boolean": True, "enum": "agree"}


def test_a_variable_of_a_field_that_is_hidden_this_time_is_null() -> None:
    """Else a second round would go on with what was chosen in the first."""
    fields = [RESULT, Field("kind", "类别", type="enum", options=YES_NO, visible='result == "refuse"')]
    assert process_variables(fields, check(fields, {"result": "agree"})) == {"result": "agree", "kind": None}


# ---- laws


ANYTHING = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(),
    st.text(st.characters(codec=None, exclude_categories=())),
    st.binary(max_size=5),
    st.lists(st.text(max_size=2), max_size=2),
    st.dictionaries(st.text(max_size=2), st.integers(), max_size=2),
    st.sampled_from(["agree", "refuse", "on", "0", "2026-09-22", "7", " 7", "-1", "1e3", "２", "x" * 600]),
)
CONDITIONS = ["{} == null", "{} != null", '{} == "agree"', "{} > 3", "{}", "!{}", "{} in [1, 2]", "{}.size() > 1"]


@st.composite
def forms_of_any_kind(draw: st.DrawFn) -> list[Field]:
    fields: list[Field] = []
    for position in range(draw(st.integers(0, 6))):
        earlier = [field.id for field in fields]
        all_ids = [*earlier, f"f{position}"]
        visible = draw(st.sampled_from(CONDITIONS)).format(draw(st.sampled_from(earlier))) if earlier else ""
        fields.append(
            Field(
                f"f{position}",
                "字段",
                type=draw(st.sampled_from(forms.TYPES)),
                required=draw(st.booleans()),
                options=YES_NO,
                visible=draw(st.sampled_from(["", visible])),
                required_when=draw(
                    st.sampled_from(["", draw(st.sampled_from(CONDITIONS)).format(draw(st.sampled_from(all_ids)))])
                ),
                max_length=draw(st.none() | st.integers(1, 5)),
                minimum=draw(st.none() | st.integers(-5, 5)),
                maximum=draw(st.none() | st.integers(0, 10)),
            )
        )
    return fields


def taken_or_refused(fields: list[Field], raw: dict[str, Any]) -> tuple[dict[str, Any], set[str] | None]:
    try:
        return check(fields, raw), None
    except Invalid as refusal:
        return {}, set(refusal.fields)


@given(forms_of_any_kind(), st.data())
@settings(max_examples=400, deadline=None)
def test_whatever_is_sent_is_taken_or_refused_and_what_was_taken_is_taken_again(
    fields: list[Field], data: st.DataObject
) -> None:
    raw = data.draw(st.dictionaries(st.sampled_from([field.id for field in fields] or ["x"]), ANYTHING))
    values, refused = taken_or_refused(fields, raw)
    if refused is not None:
        assert refused
        assert refused <= {field.id for field in fields}
        return
    assert check(fields, values) == values
    assert set(values) <= {field.id for field in fields}
    variables = process_variables(fields, values)
    assert all(value is None or isinstance(value, str | bool | int) for value in variables.values())
    assert set(variables) == {field.id for field in fields if field.type in forms.VARIABLE_TYPES}


# JSON Schema


@given(forms_of_any_kind(), st.data())
@settings(max_examples=200, deadline=None)
def test_what_is_taken_fits_the_forms_schema(fields: list[Field], data: st.DataObject) -> None:
    schema = forms.json_schema(fields)
    jsonschema.Draft202012Validator.check_schema(schema)
    raw = data.draw(st.dictionaries(st.sampled_from([field.id for field in fields] or ["x"]), ANYTHING))
    values, refused = taken_or_refused(fields, raw)
    if refused is None:
        jsonschema.validate(values, schema)


def test_the_schema_says_what_it_can_without_conditions() -> None:
    fields = [RESULT, OPINION, Field("days", "天数", type="long", minimum=1), Field("on", "日期", type="date")]
    schema = forms.json_schema(fields)
    assert schema["required"] == ["result"]
    assert schema["properties"]["result"] == {"title": "结果", "enum": ["agree", "refuse"]}
    for fits in ({"result": "agree"}, {"result": "refuse", "days": 3, "on": "2026-09-22", "opinion": None}):
        jsonschema.validate(fits, schema)
    for wrong in ({}, {"result": "maybe"}, {"result": "agree", "days": 0}, {"result": "agree", "more": 1}):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(wrong, schema)
