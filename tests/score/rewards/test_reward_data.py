"""HelpSteer2's files as published, our own form of them, and what is wrong with a file that is neither."""

from __future__ import annotations

import json
import math
from itertools import combinations
from pathlib import Path

import pytest

from adhere.errors import DataError
from adhere.score.rewards.data import read_pairs, read_ratings
from adhere.score.rewards.model import goodness_of

PAIR = {
    "split": "train", "prompt": "Say hi.", "response_1": "Hi!", "response_2": "No.", "preference_strength": -2,
    "preference_statement": "@Response 1 is better", "preference_elaboration": "It says hi.",
}  # fmt: skip
RATED = {"prompt": "Say hi.", "response": "Hi!", "helpfulness": 4, "correctness": 4, "coherence": 4, "complexity": 0,
         "verbosity": 1}  # fmt: skip


def written(tmp_path: Path, *rows: dict) -> Path:
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_a_negative_strength_prefers_the_first_response(tmp_path):
    first, second = read_pairs(written(tmp_path, PAIR, PAIR | {"preference_strength": 3})).pairs
    assert (first.chosen, first.rejected, first.strength, first.split) == ("Hi!", "No.", 2, "train")
    assert (second.chosen, second.rejected, second.strength) == ("No.", "Hi!", 3)


def test_pairs_without_a_signal_are_left_out_and_counted(tmp_path):
    found = read_pairs(
        written(
            tmp_path,
            PAIR,
            PAIR | {"preference_strength": 0},
            PAIR | {"preference_strength": None},
            PAIR | {"response_2": "Hi!"},
        )
    )
    assert len(found.pairs) == 1
    assert found.dropped == {"no preference": 2, "equal responses": 1}
    with pytest.raises(DataError, match="no pair carries a signal"):
        read_pairs(written(tmp_path, PAIR | {"preference_strength": 0}))


def test_our_own_form_is_read_too(tmp_path):
    row = {"instruction": "Say hi.", "chosen": "Hi!", "rejected": "No.", "strength": 1.5}
    (pair,) = read_pairs(written(tmp_path, row)).pairs
    assert (pair.messages[0].text, pair.chosen, pair.strength) == ("Say hi.", "Hi!", 1.5)
    (rated,) = read_ratings(written(tmp_path, {"instruction": "x", "response": "y", "ratings": {"helpfulness": 3}}))
    assert rated.ratings == {"helpfulness": 3}


def test_a_prompt_of_several_turns_is_taken_apart(tmp_path):
    prompt = "Hello<extra_id_1>Assistant\nHi, what is it?\n<extra_id_1>User\nA joke, please.\n<extra_id_1>Assistant\n"
    prompt = prompt.replace("Hello<", "Hello\n<")
    (rated,) = read_ratings(written(tmp_path, RATED | {"prompt": prompt}))
    assert [(m.role, m.text) for m in rated.messages] == [
        ("user", "Hello"), ("assistant", "Hi, what is it?"), ("user", "A joke, please."),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"helpfulness": 5}, "`helpfulness` is 5, off the scale of 0 to 4"),
        ({"verbosity": "high"}, "`verbosity` is 'high', not a number"),
        ({"response": None}, "has a `response` that is no text"),
    ],
)
def test_a_wrong_rating_is_named_with_its_line_and_field(tmp_path, change, said):
    with pytest.raises(DataError, match=rf"rows\.jsonl:2: .*{said}"):
        list(read_ratings(written(tmp_path, RATED, RATED | change)))


def test_a_wrong_pair_is_named_with_its_line_and_field(tmp_path):
    with pytest.raises(DataError, match=r"rows\.jsonl:1: `preference_strength` is 4"):
        read_pairs(written(tmp_path, PAIR | {"preference_strength": 4}))
    with pytest.raises(DataError, match=r"rows\.jsonl:1: the row has no `response_1`"):
        read_pairs(written(tmp_path, {"prompt": "x", "preference_strength": 1}))
    with pytest.raises(DataError, match="gunzip"):
        read_pairs("preference.jsonl.gz")


def test_goodness_is_the_authors_weighted_sum():
    ratings = {"helpfulness": 4, "correctness": 3, "coherence": 4, "complexity": 2, "verbosity": 1}
    assert goodness_of(ratings, "70b") == pytest.approx(2.6 + 2.4 + 1.8 + 1.1 - 0.4)
    assert goodness_of(ratings, "340b") == pytest.approx(1.2 + 2.22 + 1.84 + 0.94 - 0.33)


# The fixture that stands in for the real set --------------------------------------------------------------------------


@pytest.fixture(scope="module")
def graded(data_dir):
    path = data_dir / "helpsteer2-preference" / "graded_outputs.jsonl"
    if not path.is_file():
        pytest.skip("no graded outputs")
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_the_graded_outputs_are_what_their_source_says(graded):
    assert len(graded) == 3105
    assert len({row["index"] for row in graded}) == 403
    assert len({row["model"] for row in graded}) == 8
    assert all(row["index"] % 2 == 0 and len(row["output"]) <= 2500 for row in graded)
    certain = [row for row in graded if row["preference"] == 1]  # its odds were clipped
    assert len(certain) == 1
    for row in graded:
        if row["preference"] > 1:
            odds = (row["preference"] - 1) / (2 - row["preference"])
            assert row["log_odds"] == pytest.approx(math.log(odds), abs=0.02)


def test_the_longer_output_is_the_better_graded_one_in_three_pairs_of_four(graded):
    """The baseline of any reward model here. The card's 74.5% is the mean by instruction; of all pairs it is 73.5%."""
    by_index: dict[int, list[dict]] = {}
    for row in graded:
        by_index.setdefault(row["index"], []).append(row)
    longer: list[list[bool]] = []
    for rows in by_index.values():
        longer.append([])
        for one, other in combinations(rows, 2):
            gap, length = one["log_odds"] - other["log_odds"], len(one["output"]) - len(other["output"])
            if abs(gap) > 1 and length:
                longer[-1].append((gap > 0) == (length > 0))
    every = [right for pairs in longer for right in pairs]
    assert (len(every), sum(every) / len(every)) == (7618, pytest.approx(0.735, abs=0.001))
    by_instruction = [sum(pairs) / len(pairs) for pairs in longer if pairs]
    assert sum(by_instruction) / len(by_instruction) == pytest.approx(0.745, abs=0.002)


def test_the_graded_outputs_agree_with_the_leaderboards_preferences(graded, data_dir):
    path = data_dir / "alpaca-farm" / "alpaca_eval2_lc_fixture.json"
    if not path.is_file():
        pytest.skip("no AlpacaEval fixture")
    models = json.loads(path.read_text())["models"]
    checked = 0
    for row in graded:
        if row["model"] in models:
            theirs = models[row["model"]]["preference"][row["index"]]
            assert theirs is None or row["preference"] - 1 == pytest.approx(theirs, abs=2e-6)
            assert len(row["output"]) == models[row["model"]]["len_2"][row["index"]]
            checked += 1
    assert checked == len(graded)
