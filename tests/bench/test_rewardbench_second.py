"""RewardBench 2: its arithmetic by hand, and a run over rows of the published form."""

from __future__ import annotations

import json
import math

import pytest

from adhere.bench.base import Options, get
from adhere.bench.rewardbench.second import BestOfFour, Margins, best_of, ties_score
from adhere.bench.run import Settings, evaluate
from adhere.errors import DataError, UsageError
from adhere.records import Score


def test_a_row_counts_by_how_many_share_the_highest_reward():
    assert best_of([3.0], [1.0, 2.0, 2.9]) == 1.0
    assert best_of([3.0], [3.0, 2.0, 3.0]) == pytest.approx(1 / 3)
    assert best_of([2.0], [3.0, 1.0, 0.0]) == 0.0


def test_ties_by_hand():
    ref = {"1": Margins(4.0, 0.0), "2": Margins(-1.0, 0.0)}
    tied = {"1": Margins(3.0, 1.0), "2": Margins(0.5, 2.0)}
    margin = (math.tanh(3 / 1 - 1) + math.tanh(-1 / 2 - 1)) / 2
    assert ties_score(ref, tied) == pytest.approx(0.3 * 1 + 0.3 * 0.5 + 0.2 * 0.5 + 0.2 * 0.5 + 0.01 * margin)
    assert ties_score({"1": Margins(1, 0)}, {"2": Margins(1, 1)}) is None


def test_equal_rewards_of_right_answers_add_no_margin():
    assert ties_score({"1": Margins(2.0, 0.0)}, {"1": Margins(2.0, 0.0)}) == pytest.approx(1.0)


class Letters:
    """Rewards a text by how many times it says "good"."""

    async def score(self, instruction, response):
        return Score("letters", None if "mute" in response.text else float(response.text.count("good")))


ROWS = [
    {"id": "1", "subset": "Math", "prompt": "p", "chosen": ["good"], "rejected": ["a", "b", "c"]},
    {"id": "2", "subset": "Math", "prompt": "q", "chosen": ["good"], "rejected": ["good x", "b", "c"]},
    {"id": "3", "subset": "Focus", "prompt": "p", "chosen": ["x"], "rejected": ["good", "b", "c"]},
    {"id": "ref:7", "subset": "Ties", "prompt": "r", "chosen": ["good good"], "rejected": ["a", "b"]},
    {"id": "tied:7", "subset": "Ties", "prompt": "r", "chosen": ["good good", "good good!"], "rejected": ["a"]},
]


@pytest.fixture
def rows(tmp_path, monkeypatch):
    (tmp_path / "rewardbench-2").mkdir()
    monkeypatch.setenv("ADHERE_DATA", str(tmp_path))
    path = tmp_path / "rewardbench-2" / "test.jsonl"
    return lambda *rows: path.write_text("".join(json.dumps(r) + "\n" for r in rows))


def run():
    tested = get("rewardbench-2")._replace(scorer=lambda options: BestOfFour(Letters()))
    return evaluate(tested, None, Settings(), options=Options(scorer="letters"))


def test_the_score_is_the_mean_of_the_subsets(rows):
    rows(*ROWS)
    found = run()
    assert found.metrics["ties"]["value"] == pytest.approx(1.0)
    assert found.metrics["score"]["value"] == pytest.approx((0.75 + 0.0 + 1.0) / 3)
    assert found.metrics["by_subset"]["Math"]["accuracy"]["value"] == 0.75


def test_an_answer_without_a_reward_leaves_its_row_undecided(rows):
    rows(ROWS[0], ROWS[2] | {"rejected": ["mute", "b", "c"]})
    found = run()
    assert found.metrics["score"]["value"] == pytest.approx(0.5)
    assert found.manifest["counts"]["undecided"] == 1


def test_what_is_no_row_is_named(rows):
    rows(ROWS[0] | {"rejected": "one text"})
    with pytest.raises(DataError, match=r"test\.jsonl:1: `rejected` is no list of texts"):
        run()
    rows(ROWS[0], ROWS[0])
    with pytest.raises(DataError, match=r"test\.jsonl:2: the id 'Math/1' occurs twice"):
        run()
    rows(ROWS[0])
    with pytest.raises(UsageError, match="none was named"):
        evaluate(get("rewardbench-2"), None, Settings())
