"""HelpSteer2-Preference's validation pairs as a test of a scorer."""

from __future__ import annotations

import json

import pytest

from adhere.bench.base import Options, get
from adhere.bench.rewardbench.pairs import RightOne
from adhere.bench.run import Settings, evaluate
from adhere.records import Score
from adhere.score.judges.base import ByScore


class Length:
    async def score(self, instruction, response):
        return Score("length", float(len(response.text)))


@pytest.fixture
def rows(tmp_path, monkeypatch):
    (tmp_path / "helpsteer2-preference").mkdir()
    monkeypatch.setenv("ADHERE_DATA", str(tmp_path))

    def write(*rows):
        text = "".join(json.dumps(row) + "\n" for row in rows)
        (tmp_path / "helpsteer2-preference" / "preference.jsonl").write_text(text)

    return write


def row(strength, prompt="p", split="validation", first="long answer", second="short"):
    return {
        "split": split,
        "prompt": prompt,
        "response_1": first,
        "response_2": second,
        "preference_strength": strength,
    }


def test_only_the_validation_pairs_with_a_preference_are_asked(rows):
    rows(row(-3), row(0, "q"), row(2, "r", "train"), row(1, "s"))
    benchmark = get("helpsteer2-preference")._replace(scorer=lambda options: RightOne(ByScore(Length())))
    run = evaluate(benchmark, None, Settings(), options=Options(scorer="length"))
    assert run.metrics["accuracy"]["n"] == 2
    assert run.metrics["by_strength"]["3"]["accuracy"]["value"] == 1.0
    assert run.metrics["by_strength"]["1"]["accuracy"]["value"] == 0.0
    assert run.metrics["longer"]["value"] == 0.5


def test_a_file_without_splits_is_taken_whole(rows):
    rows({"instruction": "p", "chosen": "a", "rejected": "b", "strength": 1})
    assert len(get("helpsteer2-preference").instructions()) == 1
