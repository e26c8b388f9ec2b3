"""Cappy's reproduction runs from end to end; a fake model proves the plumbing, no claim."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

from adhere.bench.reproduce import SCALES
from adhere.errors import WeightsError
from adhere.models import weights


@pytest.fixture(scope="module")
def cappy() -> ModuleType:
    file = Path(__file__).parents[2] / "reproductions" / "cappy.py"
    spec = importlib.util.spec_from_file_location("reproductions.cappy", file)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_it_measures_every_way_of_picking(cappy) -> None:
    pytest.importorskip("torch")
    try:
        weights.resolve("minilm")
    except WeightsError as error:
        pytest.skip(str(error))
    result = cappy.run("smoke", "echo")
    assert result["holds"] in ("shown", "not shown", "against")
    assert result["claim"] and result["headline"] and result["lines"] and result["paper"]
    ways = {"greedy", "sample", "self_sum", "self_mean", "consensus", "cappy", "cappy_ungraded", "oracle"}
    assert set(result["rouge_l"]) == set(result["exact_match"]) == ways
    assert set(result["cappy_minus"]) == ways - {"cappy"}
    assert result["rouge_l"]["cappy"]["n"] == 2 * len(result["by_task"])
    assert [point["k"] for point in result["budget"]] == [1, 2, 3]
    # What is picked can be no better than the oracle, and an echo leaves nothing to choose.
    assert result["rouge_l"]["cappy"]["value"] == result["rouge_l"]["oracle"]["value"]


def test_inputs_are_split_before_anything_is_generated(cappy) -> None:
    assert set(cappy.SIZES) == set(SCALES)
    for scale in ("smoke", "small", "medium"):
        size = cappy.SIZES[scale]
        for task in cappy.instances(scale, size):
            learn, test = ({i.prompt for i in part} for part in (task.learn, task.test))
            assert not learn & test
            assert len(learn) == size.train
            assert 0 < len(test) <= size.test  # BIG-Bench Hard has 250 rows a task
            assert all(i.references for i in task.learn + task.test)


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ({"input": "Which?\nOptions:\n(A) an old cat\n(B) a cat old", "target": "(B)"},
         ("Which?", ["an old cat", "a cat old"], 1)),
        ({"input": "Is this plausible?", "target": "yes"}, ("Is this plausible?", ["no", "yes"], 1)),
    ],
)  # fmt: skip
def test_options_are_read_from_a_row(cappy, row: dict, expected: tuple) -> None:
    assert cappy.parsed(row) == expected
