"""Shares of hits by target and level, exact matches and the error in words, against figures worked out by hand."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adhere.constraints.ruler import TARGETS
from adhere.score.texts.lengths import elm, hits_by_level, hits_by_target, rmse

ROWS = [
    ("10", 10),
    ("10", 25),
    (80, 65),
    (150, 150),
    ("300", 390),
    ("500", 900),
    ("700", 640),
    (">800", 801),
    (">800", 5),
]


def test_hits_are_counted_by_target():
    precise = hits_by_target(ROWS, "PM")
    assert {t: (r.value, r.n) for t, r in precise.items()} == {
        "10": (0.5, 2), "80": (0.0, 1), "150": (1.0, 1), "300": (0.0, 1), "500": (0.0, 1), "700": (1.0, 1),
        ">800": (0.5, 2),
    }  # fmt: skip
    assert hits_by_target(ROWS, "FM")["80"].value == hits_by_target(ROWS, "FM")["300"].value == 1.0


def test_hits_are_pooled_by_level_not_averaged_over_targets():
    precise = hits_by_level(ROWS, "PM")
    assert {name: (r.value, r.n) for name, r in precise.items()} == {
        "Level 0": (pytest.approx(1 / 3), 3), "Level 1": (pytest.approx(1 / 3), 3),
        "Level 2": (pytest.approx(2 / 3), 3), "All": (pytest.approx(4 / 9), 9),
    }  # fmt: skip
    assert hits_by_level(ROWS, "FM")["All"].value == pytest.approx(6 / 9)


def test_exact_matches_and_error_leave_out_the_target_without_a_number():
    assert elm(ROWS)["All"].n == 7
    assert elm(ROWS)["All"].value == pytest.approx(2 / 7)
    assert elm(ROWS)["Level 2"].n == 1
    assert rmse([("10", 13), ("10", 6)]) == {
        "Level 0": pytest.approx(math.sqrt(12.5)),
        "All": pytest.approx(math.sqrt(12.5)),
    }
    assert rmse([(">800", 3)]) == elm([(">800", 3)]) == {}


def test_levels_without_rows_are_absent_and_an_unknown_target_is_named():
    assert list(hits_by_level([("700", 700)], "PM")) == ["Level 2", "All"]
    assert hits_by_level([], "PM") == {}
    for function in (elm, rmse, lambda rows: hits_by_level(rows, "PM"), lambda rows: hits_by_target(rows, "FM")):
        with pytest.raises(ValueError, match="'40'"):
            function([("40", 40)])


@given(st.lists(st.tuples(st.sampled_from(TARGETS), st.integers(0, 2000)), max_size=40))
def test_a_precise_hit_is_a_flexible_hit_and_an_exact_one_is_both(rows):
    precise, flexible, exact = hits_by_level(rows, "PM"), hits_by_level(rows, "FM"), elm(rows)
    assert all(precise[name].value <= flexible[name].value for name in precise)
    hits = {name: r.value * r.n for name, r in precise.items()}
    assert all(round(r.value * r.n) <= round(hits[name]) for name, r in exact.items())
