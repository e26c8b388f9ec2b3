"""RewardBench: its arithmetic against published tables, its rows, and scorers and judges whose answers are known."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest

from adhere.bench.base import Options, get
from adhere.bench.rewardbench import instructions
from adhere.bench.rewardbench.pairs import RightOne, make_scorer, read_rows
from adhere.bench.rewardbench.sections import OWN, SECTIONS, score, section_scores
from adhere.bench.run import Settings, evaluate
from adhere.errors import DataError, UsageError
from adhere.records import Score
from adhere.score.judges.base import ByScore, Preference

# HelpSteer2-Preference (arXiv 2410.01257), its table of recipes: overall, chat, chat hard, safety, reasoning.
PUBLISHED = {
    "regression, five attributes": (92.4, 95.0, 85.5, 94.0, 95.1),
    "regression, helpfulness": (93.0, 97.2, 84.2, 94.6, 95.8),
    "regular": (91.5, 97.5, 80.3, 90.5, 97.9),
    "margin": (91.5, 98.0, 78.5, 94.6, 94.8),
    "scaled": (92.7, 97.8, 83.5, 93.2, 96.0),
    "from regression, scaled, ExPO": (94.1, 97.5, 85.7, 95.1, 98.1),
}
NAMES = ("chat", "chat_hard", "safety", "reasoning")


class Fixed:
    """A scorer that gives each text the number that its benchmark row says, or nothing."""

    def __init__(self, values):
        self.values = values

    async def score(self, instruction, response):
        return Score("fixed", self.values(instruction, response.text))


def run_with(judge, benchmark="rewardbench-synthetic", **settings):
    tested = get(benchmark)._replace(scorer=lambda options: RightOne(judge))
    return evaluate(tested, None, Settings(**settings), options=Options(scorer="given"))


def value(run, name):
    return run.metrics[name]["value"]


@pytest.mark.parametrize("recipe", PUBLISHED)
def test_the_published_scores_are_the_means_of_their_sections(recipe):
    overall, *sections = PUBLISHED[recipe]
    assert score(dict(zip(NAMES, sections, strict=True))) == pytest.approx(overall, abs=0.1)  # all of them rounded


def test_the_prior_sets_count_half_a_section():
    """ArmoRM-Llama3-8B and Cohere May 2024 on the leaderboard of that time."""
    for row, overall in (((96.9, 76.8, 92.2, 97.3, 74.3), 89.0), ((96.4, 71.3, 92.7, 97.7, 78.2), 88.3)):
        assert score(dict(zip((*NAMES, "prior_sets"), row, strict=True))) == pytest.approx(overall, abs=0.05)


def test_sections_weight_their_subsets_by_size_and_mathematics_as_all_code():
    accuracies = dict.fromkeys((s for sizes in SECTIONS.values() for s in sizes), 0.0)
    found = section_scores(accuracies | {"math-prm": 1.0, "alpacaeval-easy": 1.0, "xstest-should-respond": 1.0})
    assert found == {
        "chat": pytest.approx(100 / 358), "chat_hard": 0.0, "safety": pytest.approx(250 / 740), "reasoning": 0.5,
    }  # fmt: skip
    assert sum(n for sizes in SECTIONS.values() for n in sizes.values()) == 2985 - 447 + 984


def test_a_missing_section_leaves_no_score_and_a_missing_subset_no_weight():
    assert section_scores({"mt-bench-easy": 0.5, "hep-go": 1.0}) == {"chat": 0.5, "reasoning": 1.0}
    assert score({"chat": 0.5, "reasoning": 1.0}) is None


def test_our_own_pairs_cover_the_sections_and_no_habit_wins_them():
    rows = get("rewardbench-synthetic").instructions()
    counts = Counter(r.meta["subset"] for r in rows)
    assert counts == {s: n for sizes in OWN.values() for s, n in sizes.items()}
    assert {r.meta["section"] for r in rows[:4]} == set(NAMES)  # the first few are a fair sample
    longer = run_with(ByScore(Fixed(lambda i, text: float(len(text)))))
    shorter = run_with(ByScore(Fixed(lambda i, text: -float(len(text)))))
    assert 0.2 < value(longer, "score") < 0.45
    assert value(longer, "score") + value(shorter, "score") == pytest.approx(1, abs=0.05)  # one pair is equally long
    assert value(longer, "accuracy") == pytest.approx(value(longer, "longer"))
    assert value(longer, "chat_hard") == 0


def test_a_scorer_that_knows_is_right_everywhere():
    run = run_with(ByScore(Fixed(lambda i, text: float(text == i.meta["chosen"]))))
    assert [value(run, name) for name in ("score", *NAMES, "accuracy")] == [1.0] * 6
    assert run.metrics["by_subset"]["reasoning-math"]["accuracy"]["n"] == 8
    assert [run.metrics[name]["n"] for name in ("score", "chat", "reasoning")] == [61, 15, 16]


def test_equal_scores_are_wrong_and_a_judges_tie_is_half_right():
    class Torn:
        async def compare(self, instruction, a, b):
            return Preference(0.5, "tie", "torn")

    assert value(run_with(ByScore(Fixed(lambda i, text: 1.0))), "score") == 0
    assert value(run_with(Torn()), "score") == 0.5


def test_a_scorer_without_a_value_is_wrong_and_counted():
    run = run_with(
        ByScore(Fixed(lambda i, text: None if i.meta["section"] == "chat" else float(text == i.meta["chosen"])))
    )
    assert value(run, "chat") == 0
    assert value(run, "score") == 0.75
    assert run.metrics["score"]["undecided"] == run.metrics["accuracy"]["undecided"] == 15


def test_a_judge_with_a_taste_for_a_position_gets_half():
    class First:
        async def compare(self, instruction, a, b):
            return Preference(0.0, "a")

    assert value(run_with(First()), "accuracy") == pytest.approx(0.5, abs=0.2)


def test_the_published_parquet_file_is_read(tmp_path):
    import pyarrow as pa
    import pyarrow.parquet as pq

    row = {
        "prompt": "Say hi.",
        "chosen": "Hi!",
        "chosen_model": "x",
        "rejected": "No.",
        "rejected_model": "y",
        "id": 30,
    }
    table = pa.Table.from_pylist([row | {"subset": s} for s in ("hep-go", "hep-go", "math-prm")])
    table = table.set_column(table.schema.get_field_index("id"), "id", pa.array([30, 31, 30]))
    pq.write_table(table, tmp_path / "rows.parquet")
    made = instructions(list(read_rows(tmp_path / "rows.parquet")))
    assert [i.id for i in made] == ["math-prm/30", "hep-go/30", "hep-go/31"]  # ids are unique within a subset only
    assert made[1].meta == {"chosen": "Hi!", "rejected": "No.", "subset": "hep-go", "section": "reasoning"}


def test_the_users_own_file_and_the_prior_sets_are_read(tmp_path, monkeypatch):
    rows = [{"prompt": "p", "chosen": "right", "rejected": "wrong", "id": n, "subset": s}
            for s in ("alpacaeval-easy", "llmbar-natural", "donotanswer", "math-prm", "shp", "summarize")
            for n in range(2)]  # fmt: skip
    (tmp_path / "rewardbench").mkdir()
    (tmp_path / "rewardbench" / "filtered.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows))
    monkeypatch.setenv("ADHERE_DATA", str(tmp_path))
    monkeypatch.setenv("ADHERE_OFFLINE", "1")
    run = run_with(
        ByScore(Fixed(lambda i, text: float((text == "right") == (i.meta["subset"] != "shp")))), "rewardbench"
    )
    assert value(run, "score") == 1.0
    assert value(run, "prior_sets") == 0.5
    assert value(run, "score_with_prior") == pytest.approx(4.25 / 4.5)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"subset": "cooking"}, r"rows\.jsonl:1: unknown subset 'cooking'"),
        ({"chosen": " "}, r"rows\.jsonl:1: the row has no `chosen` response"),
        ({"rejected": "right"}, r"rows\.jsonl:1: `chosen` and `rejected` are the same text"),
        ({"prompt": 5}, r"rows\.jsonl:1: `prompt` is neither text nor messages"),
    ],
)
def test_a_row_that_is_no_pair_is_named(tmp_path, change, said):
    row = {"prompt": "p", "chosen": "right", "rejected": "wrong", "id": 1, "subset": "shp"} | change
    (tmp_path / "rows.jsonl").write_text(json.dumps(row) + "\n")
    with pytest.raises(DataError, match=said):
        instructions(list(read_rows(tmp_path / "rows.jsonl")))


def test_an_id_that_comes_twice_in_a_subset_is_named(tmp_path):
    row = json.dumps({"prompt": "p", "chosen": "right", "rejected": "wrong", "id": 1, "subset": "shp"})
    (tmp_path / "rows.jsonl").write_text(f"{row}\n{row}\n")
    with pytest.raises(DataError, match=r"rows\.jsonl:2: the id 'shp/1' occurs twice"):
        instructions(list(read_rows(tmp_path / "rows.jsonl")))


def test_one_scorer_has_to_be_named():
    with pytest.raises(UsageError, match="neither a scorer nor a judge"):
        make_scorer(Options())
    with pytest.raises(UsageError, match="both a scorer and a judge"):
        make_scorer(Options(scorer="cappy", judge="smollm2"))


def test_a_saved_head_is_tested_by_its_folder(tmp_path: Path):
    pytest.importorskip("tokenizers")
    from adhere.records import Message
    from adhere.score.rewards.data import Pair
    from adhere.score.rewards.head import RewardHead

    pairs = [
        Pair((Message("user", f"Question {n}?"),), f"An answer to question {n}.", "I cannot say.", 1) for n in range(4)
    ]
    RewardHead.from_pairs(pairs).save(tmp_path / "mine")
    run = evaluate(
        get("rewardbench-synthetic"), None, Settings(limit=8), options=Options(scorer=str(tmp_path / "mine"))
    )
    assert run.metrics["accuracy"]["n"] == 8
    assert run.manifest["model"]["name"] == str(tmp_path / "mine")
