"""Ratings against people's: reading gold, correlations with known values, what has no verdict."""

from __future__ import annotations

import asyncio
import json

import pytest
from click.testing import CliRunner

from adhere.cli.judge import command
from adhere.errors import DataError
from adhere.score.judges.pointwise import PointwiseJudge
from adhere.score.judges.ratings import Rated, correlations, rate_all, read_ratings, resolve_rater
from judging_models import judging


def write(tmp_path, *rows):
    path = tmp_path / "gold.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def row(n: int, rating: float, **more):
    return {"instruction": f"Question {n}", "response": "x" * n, "rating": rating, "reference": "x" * 9, **more}


def test_correlations_are_the_textbooks_and_no_verdict_is_left_out_and_counted():
    pairs = [(1, 1.0), (2, 3.0), (3, 2.0), (4, 5.0), (5, 4.0), (6, None)]
    found = correlations([Rated(g, v, str(n)) for n, (g, v) in enumerate(pairs)])
    assert found["spearman"].value == pytest.approx(0.8)
    assert found["kendall"].value == pytest.approx(0.6)
    assert found["spearman"].n == 5
    assert found["no_verdict"].value == pytest.approx(1 / 6)


def test_values_that_do_not_vary_have_no_correlation():
    found = correlations([Rated(g, 1.0, str(g)) for g in range(5)])
    assert found["spearman"].value != found["spearman"].value


def test_a_judge_rates_every_answer_and_a_failing_one_gives_none(tmp_path):
    def by_length(prompt: str) -> dict[str, float]:
        length = prompt.split("[Answer]")[1].split("[End of the answer]")[0].count("x")
        return {"Hm": 1.0} if length == 3 else {str(length): 1.0}

    ratings = list(read_ratings(write(tmp_path, *(row(n, n) for n in range(1, 6)))))
    found = asyncio.run(rate_all(PointwiseJudge(judging(by_length)), ratings))
    assert [r.value for r in found] == [1, 2, None, 4, 5]
    assert correlations(found)["spearman"].value == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("bad", "said"),
    [({"rating": "5"}, "`rating` is '5', not a number"), ({"rating": True}, "not a number"),
     ({"response": None}, "`response` is no text"), ({"id": "1", "rating": 2}, "occurs twice")],
)  # fmt: skip
def test_what_is_wrong_is_said_with_its_line(tmp_path, bad, said):
    path = write(tmp_path, row(1, 3, id="1"), row(2, 3) | bad)
    with pytest.raises(DataError, match=r"gold\.jsonl:2") as caught:
        list(read_ratings(path))
    assert said in str(caught.value)


def test_the_command_takes_any_scorer(tmp_path):
    path = write(tmp_path, *(row(n, n, response="word " * n, reference="word " * 9) for n in range(1, 8)))
    made = CliRunner().invoke(command, ["ratings", str(path), "--judge", "overlap"], standalone_mode=False)
    assert made.exception is None
    assert "Spearman's rho" in made.output
    assert "+1.00" in made.output


def test_a_models_name_rates_pointwise():
    assert isinstance(resolve_rater("echo"), PointwiseJudge)
