"""Page numbers as people know them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from web.paging import COUNTED, Page


@given(total=st.integers(0, COUNTED + 1), size=st.integers(1, 100), data=st.data())
def test_the_offered_numbers_lead_everywhere(total, size, data):
    last = Page([], total, 1, size).last
    page = Page([], total, data.draw(st.integers(1, last)), size)
    offered = [number for number in page.numbers if number]
    assert offered == sorted(set(offered))
    assert {1, page.number, last} <= set(offered)
    assert (last - 1) * size < max(min(total, COUNTED), 1) <= last * size


@given(total=st.integers(1, COUNTED), number=st.integers(1, 500))
def test_a_gap_stands_where_numbers_are_left_out(total, number):
    page = Page([], total, min(number, Page([], total).last))
    for before, after in zip(page.numbers, page.numbers[1:], strict=False):
        assert before is None or after is None or after == before + 1


@pytest.mark.parametrize(("total", "exact"), [(0, True), (COUNTED, True), (COUNTED + 1, False)])
def test_a_total_is_exact_up_to_ten_thousand(total, exact):
    assert Page([], total).is_exact is exact
