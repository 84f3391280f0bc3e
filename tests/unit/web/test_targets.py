"""Where a page may send its reader afterwards."""

from __future__ import annotations

import pytest

from web.context import safe_target


@pytest.mark.parametrize("target", ["/inbox", "/tasks/5", "/query?page=2&kind=in"])
def test_pages_of_ours_are_gone_on_to(target):
    assert safe_target(target) == target


@pytest.mark.parametrize(
    "target",
    [
        None,
        "",
        "inbox",
        "https://elsewhere.example/",
        "//elsewhere.example",
        "/\\elsewhere.example",
        "javascript:1",
        "/a\nb",
    ],
)
def test_nobody_is_sent_elsewhere(target):
    assert safe_target(target) is None
