"""Okapi's multilingual tasks: what each row becomes, how an answer is graded, and the table per language."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import adhere
from adhere.bench.base import Options, Scored, get
from adhere.bench.choice import ChoiceScorer, ask_choices, choice, choices_of, round_robin
from adhere.bench.okapi import LANGUAGES, NORMS, RESOURCES, ask_with_shots, instructions, macro_average, summary
from adhere.bench.okapi.rows import READERS, cleaned
from adhere.bench.scored import scored_metrics
from adhere.errors import ContextError, DataError, UsageError
from adhere.records import Failure, Instruction, Response, Score
from adhere.score.choices import likelihoods
from tiny_llama import save_tiny_llama

ARC = {"id": "q1", "instruction": "Wie viele?", "option_a": "eins", "option_b": "zwei", "option_c": "drei",
       "option_d": "", "option_e": None, "answer": "C"}  # fmt: skip
HELLASWAG = {"activity_label": "Trinken", "ctx_a": "[header] Glas [title] Ein Mann nimmt es.", "ctx_b": "er LACHT und",
             "endings": ["trinkt  es.", "fliegt [substeps] weg."], "label": "1"}  # fmt: skip
TRUTH = {"question": "Is it flat?", "mc1_targets_choices": ["No", "Yes"], "mc1_targets_labels": [1, 0],
         "mc2_targets_choices": ["No", "Never", "Yes"], "mc2_targets_labels": [1, 1, 0]}  # fmt: skip


def chosen(logprobs: list[float], options: list[str], mc2: tuple[list[str], list[float]] | None = None) -> Response:
    steps: list[dict[str, Any]] = [{"step": "choices", "set": "options", "shots": 0, "options": options,
                                    "logprobs": logprobs, "tokens": [1] * len(options)}]  # fmt: skip
    if mc2:
        steps.append({**steps[0], "set": "mc2", "options": mc2[0], "logprobs": mc2[1], "tokens": [1] * len(mc2[0])})
    return Response("", trace=tuple(steps))


def graded(instruction: Instruction, response: Response) -> dict[str, float | None]:
    score = asyncio.run(ChoiceScorer(NORMS).score(instruction, response))
    return {part.name: part.value for part in score.parts}


def test_the_synthetic_set_has_the_same_32_questions_in_five_languages() -> None:
    rows = list(get("okapi-synthetic").load())
    assert len(rows) == 160 == len({row.id for row in rows})
    assert set(Counter((r.meta["task"], r.meta["language"]) for r in rows).values()) == {8}
    by_source: dict[str, list[Instruction]] = {}
    for row in rows:
        by_source.setdefault(row.meta["cluster"], []).append(row)
    for translations in by_source.values():
        assert len(translations) == 5
        assert len({(row.meta["answer"], len(row.meta["options"])) for row in translations}) == 1
        assert len({row.prompt for row in translations}) == 5
    positions = Counter(r.meta["answer"] for r in rows if r.meta["task"] != "truthfulqa")
    assert max(positions.values()) / sum(positions.values()) < 0.3


def test_the_first_twenty_rows_are_one_question_of_each_task_in_each_language() -> None:
    first = get("okapi-synthetic").instructions(20)
    assert len({(row.meta["task"], row.meta["language"]) for row in first}) == 20
    assert len({row.meta["cluster"] for row in first}) == 4


def test_arc_asks_without_showing_the_options_and_leaves_empty_ones_out() -> None:
    made = READERS["arc"](ARC)
    assert made.context == "Question: Wie viele?\nAnswer:"
    assert made.options == ["eins", "zwei", "drei"] and made.answer == 2


def test_an_empty_option_before_the_right_one_does_not_move_the_answer() -> None:
    made = READERS["arc"](ARC | {"option_a": ""})
    assert made.options[made.answer] == "drei"


def test_mmlu_lists_the_options_and_scores_their_texts() -> None:
    made = READERS["mmlu"]({"question": "2+2?", "choices": ["3", "4"], "answer": 1})
    assert made.context == "Question: 2+2?\nChoices:\nA. 3\nB. 4\nAnswer:"
    assert made.options == ["3", "4"] and made.answer == 1


def test_hellaswag_is_cleaned_as_published() -> None:
    made = READERS["hellaswag"](HELLASWAG)
    assert made.context == "Trinken:  Glas. Ein Mann nimmt es. Er lacht und".replace(":  ", ": ")
    assert made.options == ["trinkt es.", "fliegt weg."] and made.answer == 1
    assert cleaned(" a [title] b [x]  c ") == "a. b  c"  # one pass over double blanks, as the authors do


def test_truthfulqa_reads_both_spellings_and_ends_where_the_answer_begins() -> None:
    nested = {"question": "Is it flat?", "mc1_targets": {"choices": ["No", "Yes"], "labels": [1, 0]},
              "mc2_targets": {"choices": ["No", "Never", "Yes"], "labels": [1, 1, 0]}}  # fmt: skip
    assert READERS["truthfulqa"](TRUTH) == READERS["truthfulqa"](nested)
    assert READERS["truthfulqa"](TRUTH).context.endswith("\n\nQ: Is it flat?\nA:")
    assert READERS["truthfulqa"](TRUTH).context.count("Q: ") == 7


@pytest.mark.parametrize(
    "task, row, said",
    [
        ("arc", ARC | {"answer": "D"}, "'D' is none of the 3 options"),
        ("arc", ARC | {"option_b": "", "option_c": ""}, "1 option"),
        ("mmlu", {"question": " ", "choices": ["a", "b"], "answer": 0}, "`question` is missing or blank"),
        ("hellaswag", HELLASWAG | {"endings": "one"}, "`endings` is no list"),
        ("hellaswag", HELLASWAG | {"label": "2"}, "'2' is none of the 2"),
        ("truthfulqa", TRUTH | {"mc1_targets_labels": [1]}, "a 0 or 1 for each of the 2"),
        ("truthfulqa", TRUTH | {"mc2_targets_labels": [1, 1, 1]}, "all the same"),
    ],
)
def test_a_row_that_cannot_be_asked_is_named_with_its_place(task: str, row: dict[str, Any], said: str) -> None:
    with pytest.raises(DataError, match=said) as caught:
        instructions([("es_test.json: row 7", task, "es", row)])
    assert str(caught.value).startswith("es_test.json: row 7: ")


def test_each_task_is_graded_by_its_own_rule() -> None:
    """By hand: the sums choose the short option, the sums per character the long one."""
    logprobs, options = [-4.0, -5.0], ["ab", "abcdefghij"]
    for task, right_by_own_rule in (("arc", 1.0), ("hellaswag", 1.0), ("mmlu", 0.0), ("truthfulqa", 0.0)):
        question = choice("q", "Q", options, 1, task=task)
        found = graded(question, chosen(logprobs, options))
        assert found == {"accuracy": right_by_own_rule, "acc": 0.0, "acc_norm": 1.0}


def test_mc2_is_the_share_of_the_true_answers_probability() -> None:
    mc2 = {"options": ["No", "Never", "Yes"], "labels": [1, 0, 1]}
    question = choice("q", "Q", ["No", "Yes"], 0, task="truthfulqa", mc2=mc2)
    from math import log

    response = chosen([log(0.2), log(0.1)], ["No", "Yes"], (mc2["options"], [log(0.2), log(0.5), log(0.1)]))
    assert graded(question, response)["mc2"] == pytest.approx(0.3 / 0.8)


def test_the_average_gives_every_task_and_language_the_same_weight() -> None:
    def row(language: str, task: str, right: bool | None) -> Scored:
        question = choice("q", "Q", ["a", "b"], 0, task=task, language=language, cluster="c")
        score = None if right is None else Score("choice", float(right), right)
        return Scored(question, 0, None, Failure("model", "X", "x") if right is None else None, score)

    rows = (
        [row("es", "arc", True)] * 9 + [row("es", "arc", None)] + [row("es", "mmlu", False)] + [row("de", "arc", True)]
    )
    assert macro_average(rows) == pytest.approx(((0.9 + 0) / 2 + 1) / 2)
    found = summary(rows, Options())
    assert found["chance"]["value"] == 0.5 and found["average"]["n"] == 12


def test_there_are_26_languages_in_three_groups_and_those_of_the_evaluation_alone() -> None:
    assert [len(RESOURCES[group]) for group in ("high", "medium", "low")] == [8, 11, 7]
    assert len(LANGUAGES) == sum(map(len, RESOURCES.values()))


def write(folder: Path, name: str, rows: list[dict[str, Any]]) -> None:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = name.endswith(".jsonl")
    text = "\n".join(map(json.dumps, rows)) if lines else json.dumps(rows)
    path.write_text(text)


def test_the_users_folder_is_read_in_the_authors_and_the_mirrors_layout(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ADHERE_DATA", str(tmp_path))
    write(tmp_path, "okapi/m_arc/de_test.json", [ARC, ARC | {"id": "q2"}])
    write(tmp_path, "okapi/m_arc/de_train.json", [ARC] * 3)
    write(tmp_path, "okapi/m_hellaswag/es/val.jsonl", [HELLASWAG])
    rows = list(get("okapi").load())
    assert [(r.meta["task"], r.meta["language"]) for r in rows] == [("arc", "de"), ("hellaswag", "es"), ("arc", "de")]
    write(tmp_path, "okapi/m_arc/xx_test.json", [ARC])
    with pytest.raises(DataError, match=r"unknown language 'xx'.*There are: ar, bn"):
        get("okapi").load()


def test_without_the_files_it_says_which_are_meant(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ADHERE_DATA", str(tmp_path))
    with pytest.raises(DataError, match="m_arc, m_hellaswag"):
        get("okapi").load()


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return adhere.load(str(save_tiny_llama(tmp_path_factory.mktemp("tiny"), context=512)), store=None)


def test_solved_questions_that_do_not_fit_are_left_out_from_the_last_one_on(
    tiny: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ADHERE_DATA", str(tmp_path))
    write(tmp_path, "okapi/m_arc/de_test.json", [ARC])
    write(tmp_path, "okapi/m_arc/de_train.json", [ARC] * 30)
    [row] = get("okapi-25shot").load()
    answered = asyncio.run(ask_with_shots(Options(tiny), row))
    shot = len("Question: Wie viele?\nAnswer: drei\n\n")
    fitting = (512 - len(row.prompt) - len(" eins")) // shot
    assert answered.trace[0]["shots"] == fitting < 25
    plain = asyncio.run(ask_choices(Options(tiny), row))
    assert plain.trace[0]["shots"] == 0 and plain.trace[0]["logprobs"] != answered.trace[0]["logprobs"]
    with pytest.raises(ContextError):
        asyncio.run(ask_choices(Options(tiny), choice("q", "x" * 600, ["a", "b"], 0)))


def test_solved_mmlu_questions_end_in_the_text_of_the_answer_and_come_from_the_validation_split(
    tiny: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As mlmm-evaluation draws and writes them: it has no training split for MMLU, and scores texts, not letters."""
    monkeypatch.setenv("ADHERE_DATA", str(tmp_path))
    row = {"id": "m1", "question": "2+2?", "choices": ["3", "4"], "answer": 1}
    for split, question in (("test", "2+2?"), ("dev", "dev?"), ("val", "1+3?")):
        write(tmp_path, f"okapi/m_mmlu/de_{split}.json", [row | {"question": question}])
    [asked] = get("okapi-25shot").load()
    answered = asyncio.run(ask_with_shots(Options(tiny), asked))
    by_hand = asyncio.run(
        likelihoods(tiny, f"Question: 1+3?\nChoices:\nA. 3\nB. 4\nAnswer: 4\n\n{asked.prompt}", ["3", "4"])
    )
    assert tuple(answered.trace[0]["options"]) == ("3", "4")
    assert answered.trace[0]["logprobs"] == pytest.approx(by_hand.logprobs)


def test_a_run_ends_in_a_table_per_language(tiny: Any) -> None:
    bench = get("okapi-synthetic")

    async def run() -> list[Scored]:
        found = []
        for row in bench.instructions(8):
            response = await ask_choices(Options(tiny), row)
            assert choices_of(response).options == tuple(row.meta["options"])
            found.append(Scored(row, 0, response, None, await bench.scorer(Options()).score(row, response)))  # type: ignore
        return found

    metrics = scored_metrics(bench, asyncio.run(run()), Options())
    assert set(metrics["by_language"]) == {"en", "de", "es", "zh", "hi"}
    assert {"average", "accuracy", "acc", "acc_norm", "chance"} <= set(metrics)
    assert "by_kind" not in metrics  # every part is a metric


def test_a_strategy_is_refused_because_it_changes_no_likelihood(tiny: Any) -> None:
    from adhere.answer.best_of_n import BestOfN

    row = get("okapi-synthetic").instructions(1)[0]
    with pytest.raises(UsageError, match="a strategy does not change"):
        asyncio.run(ask_choices(Options(BestOfN(tiny)), row))


def test_an_answer_without_choices_cannot_be_graded() -> None:
    with pytest.raises(DataError, match="no scored choices"):
        graded(choice("q", "Q", ["a", "b"], 0), Response("a"))


def test_round_robin_takes_one_of_each_before_the_second_of_any() -> None:
    rows = [[choice(f"{group}{n}", "Q", ["x", "y"], 0) for n in range(size)] for group, size in (("a", 1), ("b", 3))]
    assert [row.id for row in round_robin(rows)] == ["a0", "b0", "b1", "b2"]


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 9) | st.text(max_size=5) | st.sampled_from(["A", "B", "²", "1", " "]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(["text", "choices", "labels"]), inner),
    max_leaves=6,
)
FIELDS = sorted({*ARC, *HELLASWAG, *TRUTH, "question", "choices", "answerKey", "mc1_targets", "mc2_targets"})


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(sorted(READERS)), st.dictionaries(st.sampled_from(FIELDS), ANYTHING), st.data())
def test_whatever_a_row_holds_it_is_a_question_or_a_data_error(task: str, changes: dict[str, Any], data: Any) -> None:
    base = {"arc": ARC, "mmlu": ARC, "hellaswag": HELLASWAG, "truthfulqa": TRUTH}[task]
    row = {**base, **changes} if data.draw(st.booleans()) else changes
    try:
        made = READERS[task](row)
    except DataError:
        return
    assert made.context and len(made.options) >= 2 and 0 <= made.answer < len(made.options)
    assert all(isinstance(option, str) for option in made.options)
