"""Every reproduction runs from end to end at the smallest scale: its structure, not its claim."""

from __future__ import annotations

import asyncio
import math
import random
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from adhere.answer.product_of_experts import DEFAULT
from adhere.bench.reproduce import SCALES, available, folder, load
from adhere.errors import DependencyError, WeightsError
from adhere.records import Instruction
from adhere.sandbox import isolation
from tiny_llama import save_tiny_llama

# What a smoke run needs, where that is not SmolLM2 and the public data sets.
FAKE = ("auto-cot", "cappy", "evalign-icl")  # their strategies are proven by `echo` as well
TINY = ("ape", "implicit-instruction-tuning", "instinct")  # want torch's logits, of whatever model
WORDS = tuple(text for text in DEFAULT.tokens or () if len(text) > 1)  # the decoding rules want each as one token
NO_DATA = (*FAKE, "code-instruct-eval", "res-q")
LISTED = ("alpaca-farm",)  # gives its intervals as lists
ALSO = {  # keys beyond those that all results have
    "codi-eval": ("size",), "prompt-injection-robustness": ("size",), "verbalizer-manipulation": ("size",),
    "mmmt-if": ("n",), "role-mrc": ("n",), "zero-shot-robustness": ("n",),
}  # fmt: skip
ESTIMATES = ("value", "difference", "f1")


@pytest.mark.slow
@pytest.mark.weights
@pytest.mark.parametrize("slug", available())
def test_a_reproduction_runs_and_says_what_it_found(
    slug: str, request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("torch")
    if slug == "res-q" and isolation().mode is None:
        pytest.skip("; ".join(isolation().notes))
    if slug not in NO_DATA:
        monkeypatch.setenv("ADHERE_DATA", str(request.getfixturevalue("data_dir")))
    model = "echo" if slug in FAKE else str(save_tiny_llama(tmp_path, words=WORDS)) if slug in TINY else "smollm2"
    try:
        result = load(slug).run("smoke", model)
    except (WeightsError, DependencyError) as missing:
        pytest.skip(str(missing))
    check_record(result, slug)
    CHECKS.get(slug, lambda result: None)(result)


def check_record(result: dict[str, Any], slug: str) -> None:
    """What all results have in common."""
    assert result["holds"] in ("shown", "not shown", "against")
    for name in ("claim", "headline", "lines", "paper", *ALSO.get(slug, ())):
        assert result[name], name
    assert all(isinstance(line, str) for line in (result["claim"], result["headline"], *result["lines"]))
    written = msgspec.json.decode(msgspec.json.encode(result))
    assert not re.search(r"\bnan\b", "\n".join([written["headline"], *written["lines"]]))
    found = list(rates(written))
    assert found or slug in LISTED
    for place, rate in found:
        assert {"low", "high", "n"} <= rate.keys(), place
        value = next(rate[name] for name in ESTIMATES if name in rate)
        if value is None or rate["low"] is None:  # NaN: of too few answers nothing can be said
            assert rate["low"] is None and rate["high"] is None, place
        else:
            assert rate["n"] > 0 and rate["low"] <= value <= rate["high"], place


def rates(found: Any, place: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Every figure that has, or should have, an interval, and where it stands."""
    if isinstance(found, dict):
        if found.keys() & {"value", "low", "high"} and not isinstance(found.get("high"), dict):
            yield place, found
        for name, inner in found.items():
            yield from rates(inner, f"{place}/{name}")
    elif isinstance(found, list):
        for n, inner in enumerate(found):
            yield from rates(inner, f"{place}/{n}")


# --- What only one of them says ---------------------------------------------------------------------------------------


def _ape(result: dict[str, Any]) -> None:
    assert result["holds"] == "not shown"
    (row,) = result["tasks"]
    assert set(row["log_likelihood"]) == {"none", "mean_of_pool", "choice", "mean_human", "best_human"}
    assert all(math.isfinite(v) and v < 0 for v in row["log_likelihood"].values())
    assert row["log_likelihood"]["best_human"] >= row["log_likelihood"]["mean_human"]
    assert row["choice_minus_pool"]["n"] == row["n"] == 2
    assert all(r["calls"] <= 0.4 * r["of"] for r in row["frugal"].values())


def _auto_cot(result: dict[str, Any]) -> None:
    assert set(result["right"]) == set(load("auto-cot").CONDITIONS)
    assert result["right"]["auto_cot"]["n"] == 3
    assert result["parts"]["mechanism"] is True  # needs no language model


def _cappy(result: dict[str, Any]) -> None:
    ways = {"greedy", "sample", "self_sum", "self_mean", "consensus", "cappy", "cappy_ungraded", "oracle"}
    assert set(result["rouge_l"]) == set(result["exact_match"]) == ways
    assert set(result["cappy_minus"]) == ways - {"cappy"}
    assert result["rouge_l"]["cappy"]["n"] == 2 * len(result["by_task"])
    assert [point["k"] for point in result["budget"]] == [1, 2, 3]
    # What is picked can be no better than the oracle, and an echo leaves nothing to choose.
    assert result["rouge_l"]["cappy"]["value"] == result["rouge_l"]["oracle"]["value"]


def _code_instruct_eval(result: dict[str, Any]) -> None:
    assert list(result["figures"]) == ["none", "fixed, 1", "random, 1", "bm25, 1"]
    assert result["planted found"] == 20
    assert "p" in result["differences"]["bm25 minus random, 1 shot, generation"]


def _evalign_icl(result: dict[str, Any]) -> None:
    assert set(result["tables"]) == {"caption", "vqa", "matching", "explanation"}
    for table in result["tables"].values():
        assert {"icl 0", "icl 2"} < set(table)
        assert all(len(row["by seed"]) == 3 and row["n"] == 6 for row in table.values())
    assert result["tables"]["matching"]["icl 2"]["chance"] == 0.5
    assert set(result["tables"]["vqa"]) == {"icl 0", "icl 2", "multitask", "self_correct"}


def _ifeval(result: dict[str, Any]) -> None:
    assert set(result["metrics"]) == {"model", "echo", "empty"}
    assert result["counts"]["prompts"] == result["metrics"]["empty"]["prompt_strict"]["n"] == 4


def _implicit_instruction_tuning(result: dict[str, Any]) -> None:
    assert set(result["arms"]) == {"base", "all rules", "no eos", "no uniform", "no diversity"}
    assert result["response_ranking"]["n"] == 2  # two pairs, each against one other answer


def _instinct(result: dict[str, Any]) -> None:
    assert result["holds"] == "not shown"
    (task,) = result["tasks"]
    assert set(task["reached"]) == {"neural_ucb", "gp", "random", "ape"}
    assert task["distinct"] <= task["points"] == 8
    assert all(v <= task["best_score"] for name in ("neural_ucb", "gp", "random") for v in task["reached"][name])
    assert all(v >= 0 for values in result["known"]["regret"].values() for v in values)


def _res_q(result: dict[str, Any]) -> None:
    assert result["holds"] == "shown"  # every control is kept, every exploit stopped
    assert set(result["forms of edit"]) == {"search_replace", "whole_file", "diff"}


CHECKS: dict[str, Callable[[dict[str, Any]], None]] = {
    "ape": _ape,
    "auto-cot": _auto_cot,
    "cappy": _cappy,
    "code-instruct-eval": _code_instruct_eval,
    "evalign-icl": _evalign_icl,
    "ifeval": _ifeval,
    "implicit-instruction-tuning": _implicit_instruction_tuning,
    "instinct": _instinct,
    "res-q": _res_q,
}


# --- Without running them ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("slug", available())
def test_a_reproduction_has_a_size_for_every_scale(slug: str) -> None:
    assert any(isinstance(v, dict) and set(v) == set(SCALES) for v in vars(load(slug)).values())


def test_every_committed_result_has_its_reproduction_and_says_how_it_was_made() -> None:
    for file in sorted((folder() / "results").glob("*.json")):
        if file.name.endswith(".smoke.json"):
            continue
        found = msgspec.json.decode(file.read_bytes())
        assert found["slug"] in available(), file.name
        assert found["scale"] in SCALES[1:], file.name
        assert found["command"].startswith(f"adhere reproduce {found['slug']}"), file.name
        assert found["holds"] in ("shown", "not shown", "against"), file.name
        assert found["versions"] and found["machine"], file.name


def test_auto_cots_scripted_thinker_is_wrong_as_often_as_it_is_said_to_be() -> None:
    module = load("auto-cot")
    pool = [module.problem(n % 8, random.Random(n)) for n in range(800)]
    thinker = module.Thinker(pool, 1)
    wrong = [[thinker.wrong(e.instruction.prompt) for e in pool[t::8]] for t in range(8)]
    assert np.mean(wrong[module.BAD]) > 0.75
    assert np.mean([w for t, row in enumerate(wrong) if t != module.BAD for w in row]) < 0.2
    said = asyncio.run(thinker.answer(Instruction.of(f"Q: {pool[0].instruction.prompt}\nA: Let's think step by step.")))
    assert said.text.endswith(".")


def test_cappys_inputs_are_split_before_anything_is_generated() -> None:
    cappy = load("cappy")
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
def test_cappys_options_are_read_from_a_row(row: dict[str, str], expected: tuple[str, list[str], int]) -> None:
    assert load("cappy").parsed(row) == expected


def test_instincts_first_tries_are_the_same_for_all_choosers() -> None:
    pytest.importorskip("torch")
    from adhere.write.instructions.soft_prompts import Domain

    instinct = load("instinct")
    size = instinct.SCALES["smoke"]
    hidden = np.random.default_rng(0).normal(size=(20, 6)).astype(np.float32)
    domain, reward = Domain(hidden[:, :2], hidden, 0, None, Path("none")), hidden[:, 0].astype(float)
    curves = [instinct.curve(domain, reward, reward, b, 3, size) for b in instinct.choosers(3).values()]
    assert len({tuple(c[: size.initial]) for c in curves}) == 1
    assert all((np.diff(c) >= 0).all() and len(c) == size.budget for c in curves)


def test_instruct_evals_study_of_the_published_table_is_what_the_table_says(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By hand: Vicuna-13B and LLaMA-13B differ by 1.0 point, OPT-IML and OPT by 16.5."""
    from adhere.bench.instruct_eval.published import gains, read_table

    monkeypatch.setenv("ADHERE_DATA", str(data_dir))
    found = gains(read_table(data_dir / "instruct-eval/problem_solving_leaderboard.csv"))
    assert found["LLaMA"]["Vicuna 13.0B"] == pytest.approx(1.0, abs=0.06)
    assert found["OPT"] == {"OPT IML 30.0B": pytest.approx(16.54, abs=0.01)}
    study = load("instruct-eval")._study()
    assert study["gains"]["T5"]["n"] == 13 and study["gains"]["LLaMA"]["n"] == 11
    assert study["ranks with MMLU"]["HumanEval"] < study["ranks with MMLU"]["DROP"]


def test_vif_rags_question_without_its_instructions_keeps_its_passages() -> None:
    from adhere.bench.base import get

    bare_of = load("vif-rag")._bare
    for row in get("followrag-synthetic").instructions(10):
        bare = bare_of(row).prompt
        assert bare.endswith(f"Question: {row.meta['question']}")
        assert row.prompt.startswith(bare)
