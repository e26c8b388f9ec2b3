"""Saved scorers, and scorers by name."""

from __future__ import annotations

import numpy as np
import pytest

from adhere.errors import DataError, UnknownNameError
from adhere.score import saved
from adhere.score.resolve import resolve


def test_what_is_saved_is_read_back(tmp_path):
    folder = saved.save(tmp_path / "s", "weak", {"threshold": 0.5}, {"w": np.arange(6.0).reshape(2, 3).T})
    found = saved.read(folder)
    assert (found.kind, found.config) == ("weak", {"threshold": 0.5})
    assert np.array_equal(found.tensors["w"], np.arange(6.0).reshape(2, 3).T)


@pytest.mark.parametrize("content", [b"", b"{", b'{"kind": 3}', b'{"schema": 99, "kind": "weak", "config": {}}'])
def test_a_broken_folder_is_one_clear_error(tmp_path, content):
    (tmp_path / saved.CONFIG).write_bytes(content)
    with pytest.raises(DataError, match=str(tmp_path)):
        saved.read(tmp_path)


def test_broken_tensors_are_one_clear_error(tmp_path):
    saved.save(tmp_path, "weak", {}, {"w": np.zeros(3)})
    (tmp_path / saved.TENSORS).write_bytes(b"\x80\x04pickle?")
    with pytest.raises(DataError, match="does not hold a scorer"):
        saved.read(tmp_path)


def test_an_unknown_scorer_comes_with_a_suggestion():
    with pytest.raises(UnknownNameError, match=r"unknown scorer 'constrants'.*'constraints'"):
        resolve("constrants")


def test_a_scorer_stands_for_itself():
    from adhere.constraints.scorer import ConstraintScorer

    scorer = ConstraintScorer()
    assert resolve(scorer) is scorer


def test_a_folder_of_an_unknown_kind_is_refused(tmp_path):
    saved.save(tmp_path, "nothing-of-ours", {}, {})
    with pytest.raises(UnknownNameError, match="nothing-of-ours"):
        resolve(str(tmp_path))
