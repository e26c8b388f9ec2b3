from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from adhere.engine import context, seeds


def test_a_seed_is_the_same_on_every_machine():
    assert seeds.derive(0, "item") == 114616788
    assert seeds.derive() == 1910006305


def test_parts_are_told_apart_by_type_and_border():
    made = [
        seeds.derive(*parts) for parts in (("ab", "c"), ("a", "bc"), ("abc",), (1,), ("1",), (b"1",), (1.0,), (None,))
    ]
    assert len(set(made)) == len(made)


@given(st.lists(st.one_of(st.integers(), st.text(), st.binary())))
def test_a_seed_has_31_bits(parts):
    assert 0 <= seeds.derive(*parts) < 2**31


def test_a_lone_surrogate_has_a_seed():
    assert seeds.derive("\ud800") != seeds.derive("?")


def test_the_context_holds_inside_the_block_only():
    assert context.current()[:2] == (0, 0)
    with context.use(seed=3, sample=1):
        assert context.current()[:2] == (3, 1)
        with context.use(seed=4):
            assert context.current()[:2] == (4, 0)
        assert context.current()[:2] == (3, 1)
    assert context.current()[:2] == (0, 0)
