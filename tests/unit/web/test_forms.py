"""What of a form's rules the browser keeps by itself."""

from __future__ import annotations

import pytest

from web.forms import shown_when


@pytest.mark.parametrize(
    ("expression", "rule"),
    [
        ("result == 'refuse'", "result=refuse"),
        ('result == "refuse"', "result=refuse"),
        ("result == 'refuse' || result == 'return'", "result=refuse|return"),
        ("checked == true", "checked=true"),
        ("", ""),
        ("result != 'agree'", ""),
        ("result == 'a' && other == 'b'", ""),
        ("result == 'a' || other == 'b'", ""),
        ("size(opinion) > 3", ""),
    ],
)
def test_simple_rules_are_kept_in_the_browser_and_others_by_the_server_alone(expression, rule):
    assert shown_when(expression) == rule
