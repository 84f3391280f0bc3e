"""The seal over an electronic record."""

from __future__ import annotations

from hypothesis import assume, given
from hypothesis import strategies as st

from engine.registry.records import KINDS, Part, seal

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5),
    lambda children: st.lists(children, max_size=3) | st.dictionaries(st.text(max_size=3), children, max_size=3),
    max_leaves=5,
)
contents = st.dictionaries(st.text(max_size=5), values, max_size=4)
part = st.builds(Part, kind=st.sampled_from(KINDS), title=st.text(max_size=5), content=contents)
parts = st.lists(part, min_size=1, max_size=5)


@given(parts, st.data())
def test_the_order_of_parts_and_of_keys_does_not_matter(written: list[Part], data: st.DataObject):
    shuffled = [
        Part(each.kind, each.title, dict(data.draw(st.permutations(list(each.content.items())))))
        for each in data.draw(st.permutations(written))
    ]
    assert seal(shuffled) == seal(written)


@given(parts, st.data(), part)
def test_any_change_changes_the_seal(written: list[Part], data: st.DataObject, other: Part):
    place = data.draw(st.integers(0, len(written) - 1))
    assume(repr_of(written[place]) != repr_of(other))
    assert seal([*written[:place], other, *written[place + 1 :]]) != seal(written)
    assert seal([*written, other]) != seal(written)
    assert seal(written[:place] + written[place + 1 :]) != seal(written)


@given(part)
def test_a_part_twice_is_not_a_part_once(written: Part):
    assert seal([written, written]) != seal([written])


def repr_of(each: Part) -> str:
    """Told apart as JSON tells apart: 1, 1.0 and true are three things."""
    return repr((each.kind, each.title, _sorted(each.content)))


def _sorted(value: object) -> object:
    if isinstance(value, dict):
        return sorted((key, _sorted(item)) for key, item in value.items())
    return [_sorted(item) for item in value] if isinstance(value, list) else value
