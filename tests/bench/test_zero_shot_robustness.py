"""Zero-shot robustness: reading banks and items, choosing by likelihood, and the figures over phrasings."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from adhere.bench.base import Options, Scored, get
from adhere.bench.scored import scored_metrics
from adhere.bench.zero_shot_robustness import BANK, ITEMS
from adhere.bench.zero_shot_robustness.asking import Pick, ask, picked, rows
from adhere.bench.zero_shot_robustness.bank import (
    Bank,
    Item,
    Phrasing,
    check_item,
    read_bank,
    read_bigbench,
    read_items,
    read_mmlu,
)
from adhere.bench.zero_shot_robustness.spread import Answers, chance, control_summary, differing, fleiss_kappa, summary
from adhere.errors import DataError
from adhere.models.base import ModelInfo, Request
from adhere.models.fakes import Fake
from adhere.models.model import Model
from adhere.records import Instruction, Message, Response, TokenLogprob

ITEM = Item("sky", "choice", "What is blue?", ("the sky", "grass", "coal"), "the sky", "1")


def write(tmp_path: Path, name: str, text: str) -> Path:
    (tmp_path / name).write_text(text)
    return tmp_path / name


def bank(*templates: str, kind: str = "unobserved") -> list[dict]:
    instructions = [{"id": str(n), "kind": kind, "template": t} for n, t in enumerate(templates)]
    return [{"form": "choice", "instructions": instructions}]


# Reading -------------------------------------------------------------------------------------------------------------


def test_our_bank_has_twenty_phrasings_and_the_controls_for_both_forms() -> None:
    banks = read_bank(BANK)
    assert [b.form for b in banks] == ["choice", "label"]
    for found in banks:
        kinds = [p.kind for p in found.instructions]
        assert kinds.count("unobserved") == 20
        assert all(kinds.count(kind) == 2 for kind in ("wrong", "negated", "random"))
    assert len(read_items(ITEMS)) == 30


def test_what_stands_in_braces_in_an_item_is_text() -> None:
    phrasing = Phrasing("p", "unobserved", "{options} / {question}")
    item = Item("t", "choice", "{options}?", ("{question}", "b"), "b")
    assert phrasing.render(item) == "- {question}\n- b / {options}?"


@pytest.mark.parametrize(
    ("banks", "said"),
    [
        (bank("{question}"), r"\{options\} 0 times"),
        (bank("{question} {options} {question} {options}"), "2 times"),
        (bank("{question} {options} {hint}"), "unknown slot 'hint'"),
        (bank("{question} {options", "x"), "phrasing '0'"),
        (bank("{question} {options}", "{question} {options}"), "are the same"),
        (bank("{question} {options}", kind="unseen"), "Kinds are observed"),
        ([{"form": "choice", "instructions": []}], "no phrasings"),
    ],
)
def test_a_bad_bank_is_named(tmp_path: Path, banks: list, said: str) -> None:
    with pytest.raises(DataError, match=said):
        read_bank(write(tmp_path, "bank.json", json.dumps(banks)))


@pytest.mark.parametrize(
    ("options", "answer", "said"),
    [
        (("a",), "a", "nothing to choose"),
        (("a", "A "), "a", "must be different"),
        (("a", " "), "a", "not blank"),
        (("a", "b"), "c", "not among"),
    ],
)
def test_a_bad_item_is_named(options: tuple[str, ...], answer: str, said: str) -> None:
    with pytest.raises(DataError, match=f"here: .*{said}"):
        check_item(Item("t", "choice", "?", options, answer), "here")


def test_a_task_without_phrasings_is_refused() -> None:
    with pytest.raises(DataError, match="no phrasings for task 'sky'"):
        rows([ITEM], [Bank("label", (Phrasing("p", "unobserved", "{question}{options}"),))], ("unobserved",))


def test_bigbench_and_mmlu_are_read_as_published(data_dir: Path) -> None:
    place = data_dir / "zero-shot-robustness"
    found = {path.stem: read_bigbench(path) for path in sorted((place / "bigbench").glob("*.json"))}
    assert {name: len(items) for name, items in found.items()}["hindu_knowledge"] == 175
    assert sum(map(len, found.values())) == 606
    assert found["known_unknowns"][0].answer == "Unknown"
    assert found["empirical_judgments"][0].form == found["crash_blossom"][0].form == "label"
    assert found["novel_concepts"][0].form == "choice"
    questions = read_mmlu(sorted((place / "mmlu").glob("*.csv")))
    assert len(questions) == 1137  # of 1,138: one has the same option twice
    assert next(q for q in questions if q.id == "elementary_mathematics-1").answer == "p = 12"


def test_a_task_with_two_best_options_is_refused(tmp_path: Path) -> None:
    task = {"examples": [{"input": "?", "target_scores": {"a": 1, "b": 1}}]}
    with pytest.raises(DataError, match="example 1: 2 best options"):
        read_bigbench(write(tmp_path, "t.json", json.dumps(task)))


def test_rows_go_round_the_tasks_with_all_phrasings_of_an_item_together() -> None:
    made = get("zero-shot-robustness-synthetic").instructions()
    assert len(made) == 600
    assert len({row.meta["cluster"] for row in made[:20]}) == 1
    assert [made[at].meta["task"] for at in (0, 20, 40, 60)] == [
        "everyday",
        "true or false",
        "customer mail",
        "everyday",
    ]


# Choosing ------------------------------------------------------------------------------------------------------------


class Likes(Fake):
    """Finds the tokens of given options likely: a dict from option to the log-probability of each of its tokens."""

    def __init__(self, likes: dict[str, list[float]]) -> None:
        super().__init__("likes")
        self.likes = likes
        self.info = ModelInfo("likes", "fake", "0", capabilities=("complete", "logprobs"))

    async def generate(self, request: Request) -> Response:
        raise AssertionError("nothing is generated")

    async def logprobs(self, prompt: str, continuation: str) -> tuple[TokenLogprob, ...]:
        return tuple(TokenLogprob("x", value) for value in self.likes[continuation.strip()])


def test_the_option_with_the_likeliest_tokens_on_average_is_picked() -> None:
    """The sum would prefer the short option."""
    model = Model(Likes({"the sky": [-1.0, -1.2], "grass": [-1.5], "coal": [-3.0]}), chat=False)
    row = rows([ITEM], read_bank(BANK), ("unobserved",))[0]
    response = asyncio.run(ask(Options(model), row))
    assert response.text == "the sky"
    assert response.trace[0]["logprobs"] == pytest.approx([-2.2, -1.5, -3.0])
    assert asyncio.run(Pick().score(row, response)).passed is True


def test_without_log_probabilities_the_words_must_be_the_option() -> None:
    assert picked(ITEM.options, "(The sky).") == 0
    assert picked(ITEM.options, "It is the sky") is None
    assert picked(("a b", "a"), "A") == 1


@pytest.mark.weights
def test_a_real_model_picks_an_option_of_every_row(smollm2: Path) -> None:
    import adhere

    found = asyncio.run(_answers(adhere.load("smollm2"), get("zero-shot-robustness-synthetic").instructions()[:3]))
    for row, response in found:
        step = response.trace[0]
        means = [total / n for total, n in zip(step["logprobs"], step["tokens"], strict=True)]
        assert response.text == row.meta["options"][int(np.argmax(means))]
        assert all(value < 0 for value in means)


async def _answers(model: Model, asked: Sequence[Instruction]) -> list[tuple[Instruction, Response]]:
    async with model:
        return [(row, await ask(Options(model), row)) for row in asked]


# Figures -------------------------------------------------------------------------------------------------------------


def scored(task: str, item: int, phrasing: str, chosen: str, kind: str = "unobserved") -> Scored:
    meta = {"cluster": f"{task}/{item}", "task": task, "phrasing": phrasing, "kind": kind, "options": ["a", "b", "c"]}
    row = Instruction(f"{task}/{item}/{phrasing}", (Message("user", "?"),), references=("a",), meta=meta)
    response = Response(chosen)
    return Scored(row, 0, response, None, asyncio.run(Pick().score(row, response)))


def grid(task: str, *items: str, kinds: Sequence[str] = ("unobserved",) * 9) -> list[Scored]:
    """One string an item: a letter a phrasing, the option that was chosen."""
    return [
        scored(task, n, f"p{at}", letter, kinds[at])
        for n, letters in enumerate(items)
        for at, letter in enumerate(letters)
    ]


def test_the_figures_over_phrasings_by_hand() -> None:
    """Task s: accuracies 1, 1/2, 0; task t: 1, 1, 1."""
    found = summary([*grid("s", "aab", "abb"), *grid("t", "aaa", "aaa")], Options())
    assert found["spread"]["value"] == pytest.approx(50)
    assert found["worst"]["value"] == 0.5
    assert found["best"]["value"] == 1.0
    assert found["deviation"]["value"] == pytest.approx(25)
    assert found["all_right"]["value"] == 0.5
    assert found["agreement"]["value"] == pytest.approx((1 / 3 + 1 / 3 + 1 + 1) / 4, abs=1e-5)


def test_an_item_that_lacks_a_phrasing_takes_no_part_and_is_counted() -> None:
    found = summary([*grid("s", "aab", "abb"), scored("s", 9, "p0", "a")], Options())
    assert found["spread"]["incomplete"] == 1
    assert found["spread"]["n"] == 2


def test_a_failed_row_is_wrong_and_agrees_with_nothing() -> None:
    good = grid("s", "aa")
    failed = good[1]._replace(response=None, score=None)
    found = summary([good[0], failed], Options())
    assert found["agreement"]["value"] == 0.0
    assert found["spread"]["value"] == 100.0


def test_the_spread_by_chance_is_what_equal_phrasings_show() -> None:
    """Eight phrasings of one true accuracy: their spread lies within the shuffles; one that is never right does not."""
    rng = np.random.default_rng(1)

    def items(right: np.ndarray) -> list[Answers]:
        return [Answers("t", str(n), row, row.astype(int)) for n, row in enumerate(right)]

    inside = 0
    for _ in range(20):
        right = rng.random((40, 8)) < 0.6
        found, accuracies = chance(items(right)), right.mean(axis=0)
        inside += found["low"] <= 100 * (accuracies.max() - accuracies.min()) <= found["high"]
    assert inside >= 16
    right[:, 0] = False
    accuracies = right.mean(axis=0)
    assert 100 * (accuracies.max() - accuracies.min()) > chance(items(right))["high"]
    assert differing(items(right))["value"] > 0


def test_fleiss_kappa_is_that_of_fleiss_1971() -> None:
    """The textbook's table of ten subjects, fourteen raters and five categories: kappa 0.210."""
    counts = [
        (0, 0, 0, 0, 14), (0, 2, 6, 4, 2), (0, 0, 3, 5, 6), (0, 3, 9, 2, 0), (2, 2, 8, 1, 1),
        (7, 7, 0, 0, 0), (3, 2, 6, 3, 0), (2, 5, 3, 2, 2), (6, 5, 2, 1, 0), (0, 2, 2, 3, 7),
    ]  # fmt: skip
    chosen = [np.repeat(np.arange(5), row) for row in counts]
    assert fleiss_kappa([Answers("t", str(n), c == 0, c) for n, c in enumerate(chosen)]) == pytest.approx(
        0.210, abs=5e-4
    )


def test_observed_phrasings_are_compared_with_unobserved_ones_on_the_same_items() -> None:
    kinds = ("observed", "unobserved", "unobserved")
    found = summary(grid("s", "aab", "abb", kinds=kinds), Options())
    assert found["gap"]["value"] == pytest.approx(75)
    assert "gap" not in summary(grid("s", "aab"), Options())


def test_the_controls_show_whether_instructions_are_read_at_all() -> None:
    kinds = ("unobserved", "wrong", "negated", "random")
    found = control_summary(grid("s", "aaba", "abba", kinds=kinds), Options())
    assert (found["minus_wrong"]["value"], found["minus_negated"]["value"], found["minus_random"]["value"]) == (
        50,
        100,
        0,
    )


def test_a_whole_run_has_its_metrics_and_sub_tables() -> None:
    found = scored_metrics(get("zero-shot-robustness-synthetic"), grid("s", "aab", "abb"), Options())
    assert next(iter(found)) == "accuracy"
    assert found["by_phrasing"]["p0"]["accuracy"]["value"] == 1.0
    assert found["accuracy"]["clusters"] == 2
