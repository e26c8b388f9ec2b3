"""CoDI-Eval's writer: what each filter drops, what becomes of a model's texts, and that the grammar fills the quota."""

from __future__ import annotations

import asyncio
import random
import re
from pathlib import Path
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

import adhere
from adhere.bench.base import get
from adhere.bench.codi_eval.rows import instructions
from adhere.data.codi_rows import MODES
from adhere.errors import DataError, UsageError
from adhere.models.fakes import Echo
from adhere.models.model import Model
from adhere.records import Example, Instruction, Response
from adhere.write.codi_eval import CodiEvalWriter, Task, Written, seeds_of
from adhere.write.codi_eval.fill import fill_length, spelled
from adhere.write.codi_eval.filters import FORMS, Kept, bracketed, label_lost, slots_wrong
from adhere.write.codi_eval.grammar import sentences
from adhere.write.codi_eval.steps import Phrase, Tally, rewrite


class Writer:
    """Answers each step with the same text; one that is a function is given the instruction to rewrite."""

    def __init__(self, expand: str = "", classify: str = "", rewrite: Any = "") -> None:
        self.says = {"expand": expand, "classify": classify, "rewrite": rewrite}
        self.asked = {"expand": 0, "classify": 0, "rewrite": 0}

    async def answer(self, instruction: Instruction) -> Response:
        prompt = instruction.prompt
        step = "classify" if prompt.endswith("Limit:") else "rewrite" if prompt.endswith("\nA:") else "expand"
        self.asked[step] += 1
        said = self.says[step]
        return Response(said if isinstance(said, str) else said(re.findall(r"^Q:'(.*)' Rewrite", prompt, re.M)[-1]))


def written(answerer: Any, task: Task = "length", n: int = 40, seed: int = 3) -> Written:
    return asyncio.run(CodiEvalWriter(answerer, task, n, seed).compose())


def dropped(made: Written, step: str) -> dict[str, set[str]]:
    """The texts that a step dropped, by reason."""
    found: dict[str, set[str]] = {}
    for entry in made.dropped:
        if entry["step"] == step:
            found.setdefault(entry["why"], set()).add(entry["text"])
    return found


# --- filters ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("template", "mode", "why"),
    [
        ("Write {number} words.", "at most", ""),
        ("From {number1} to {number2} words.", "between", ""),
        ("From {number1} to {number2} words.", "", ""),
        ("Write some words.", "", "slots: none"),
        ("{number}, or {number1} to {number2} words.", "", "slots: both forms"),
        ("From {number1} words on.", "", "slots: half of a range"),
        ("Between {number} words.", "between", "slots: not those of its mode"),
        ("From {number1} to {number2} words.", "at most", "slots: not those of its mode"),
        ("{number} words on {topic}.", "", "slots: a strange one"),
    ],
)
def test_a_template_of_length_is_dropped_if_neither_form_of_slots_is_there_or_both_are(
    template: str, mode: str, why: str
) -> None:
    assert slots_wrong(template, "length", mode) == why


def test_every_kind_needs_all_its_slots_and_no_other() -> None:
    assert slots_wrong("Use {keywords}.", "keyword") == slots_wrong("{topic} with {sentiment}.", "multi") == ""
    assert slots_wrong("Use {keywords}.", "keyword, or and not") == "slots: one is missing"
    assert slots_wrong("Write on {topic}.", "multi") == "slots: one is missing"
    assert slots_wrong("Use {keywords}, not {nonkeywords}.", "keyword") == "slots: a strange one"


def test_a_near_duplicate_has_rouge_l_above_095_with_one_of_its_group() -> None:
    kept, words = Kept(), [f"w{n}" for n in range(30)]
    kept.add(" ".join(words), "a")
    one_of_thirty, two_of_thirty = [*words[:-1], "x"], [*words[:-2], "x", "y"]  # F1 29/30 and 28/30
    assert kept.near(" ".join(one_of_thirty), "a") and not kept.near(" ".join(two_of_thirty), "a")
    assert kept.near(" ".join(words[:28]), "a") and not kept.near(" ".join(words[:27]), "a")  # 56/58 and 54/57
    assert not kept.near(" ".join(words), "b")
    kept.add("Write a text on sports.")
    assert kept.near("write a text, on sports") and not kept.near("write on sports a text")


@pytest.mark.parametrize(
    ("text", "surfaces", "lost"),
    [
        ("An angry text.", ("anger",), False),
        ("Any text.", ("anger",), True),
        ("Something scientific and joyful.", ("science", "joy"), False),
        ("Something scientific.", ("science", "joy"), True),  # of two labels neither may go
        ("Feature films.", ("fear",), True),
        ("A text of positive mood.", ("positive sentiment",), False),
        ("A text of some sentiment.", ("positive sentiment",), True),  # the word itself says nothing
    ],
)
def test_a_rewrite_has_lost_its_label_if_no_word_of_its_root_is_left(
    text: str, surfaces: tuple[str, ...], lost: bool
) -> None:
    assert label_lost(text, *surfaces) is lost


def test_what_is_in_brackets_is_found_but_a_placeholder_is_nothing() -> None:
    assert bracketed("Sure: [one] and [...] and [ two ], [] [three") == ["one", "two"]


@given(st.lists(st.text(alphabet="ab. ", max_size=6)))
def test_all_brackets_are_found_in_order(parts: list[str]) -> None:
    assert bracketed(" and ".join(f"[{part}]" for part in parts)) == [p.strip() for p in parts if re.search(r"\w", p)]


# --- the steps --------------------------------------------------------------------------------------------------------


def test_an_expansion_is_kept_with_the_mode_that_a_second_call_gives_it() -> None:
    new = "Hand in {number} words before noon and not a single one beyond that."
    answerer = Writer(f"[{new}]\n[No number at all.]\n[Something of {{number1}} words.]", "[at most]", "nothing")
    made = written(answerer, n=200)
    assert made.report["steps"]["length"]["expand"]["kept"] == 1 and answerer.asked["classify"] == 1
    away = dropped(made, "expand")
    assert away["slots: none"] == {"No number at all."} and "slots: half of a range" in away
    assert away["near duplicate"] == {new}  # the second time
    [row] = [r for r in made.rows if r["writer"] == "expansion"]
    assert row["mode"] == "at most" and row["label"][0] == 1


def test_an_expansion_without_a_mode_or_with_one_that_its_slots_deny_is_dropped() -> None:
    new = "[Hand in {number} words before noon and not a single one beyond that.]"
    assert "no mode" in dropped(written(Writer(new, "[many]")), "expand")
    assert "slots: not those of its mode" in dropped(written(Writer(new, "[between]")), "expand")


def test_at_most_sixteen_new_templates_have_one_mode() -> None:
    many = "".join(f"[{' '.join(f'{word}{n}' for word in 'abcdefg')} {{number}} words]" for n in range(20))
    made = written(Writer(many, "[around]"), n=400)  # 32 are wanted
    assert made.report["steps"]["length"]["expand"]["kept"] == 16
    assert len(dropped(made, "expand")["enough of its mode"]) == 4


def test_the_first_brackets_are_the_rewrite_unless_they_repeat_the_template() -> None:
    made = written(Writer(rewrite=lambda text: f"[{text}] [Another of {{number}} words.]"))
    assert made.report["steps"]["length"]["rewrite"]["kept"] == 0
    assert set(dropped(made, "rewrite")) == {"near duplicate"}
    made = written(Writer(rewrite=lambda text: f"[My dear friend, hear my humble plea: {text}] [{{number}}]"))
    kept = [r for r in made.rows if r["writer"] == "rewrite"]
    assert kept and all(r["instruction"].startswith("My dear friend, hear my humble plea") for r in kept)
    assert {r["mode"] for r in kept} == set(MODES)  # of the template that was rewritten
    assert any(r.get("style") for r in kept)


def test_a_topics_rewrite_keeps_its_topic_and_its_label() -> None:
    made = written(Writer(rewrite=lambda text: f"[Now hear this: {text}]"), "topic")
    rows = [r for r in made.rows if r["writer"] == "rewrite"]
    assert len(rows) > 20
    assert not any(label_lost(r["instruction"], r["label"]) or "{" in r["instruction"] for r in rows)
    made = written(Writer(rewrite="[Write whatever comes to mind today.]"), "topic")
    assert set(dropped(made, "rewrite")) == {"label lost"}


def test_a_writer_that_always_fails_is_an_error_that_names_the_failure() -> None:
    class Gone:
        async def answer(self, instruction: Instruction) -> Response:
            raise adhere.errors.ModelError("the server is gone")

    with pytest.raises(adhere.errors.AdhereError, match="the server is gone"):
        written(Gone())


def test_progress_is_told_of_every_step() -> None:
    class Sight:
        def __init__(self, label: str) -> None:
            self.label, self.most, self.done, self.over = label, 0, 0, False
            seen.append(self)

        def start(self, total: int | None) -> None:
            self.most = total or 0

        def advance(self, *, failed: bool = False) -> None:
            self.done += 1

        def stop(self) -> None:
            self.over = True

    seen: list[Sight] = []
    asyncio.run(CodiEvalWriter(Model(Echo()), "keyword", 8, progress=Sight).compose())
    assert [s.label.split(" the templates of ") for s in seen] == [
        [step, kind] for kind in ("keyword", "keyword, or and not") for step in ("expanding", "rewriting")
    ]
    assert all(s.over and 0 < s.done <= s.most for s in seen)


# --- the rows ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("task", get_args(Task))
def test_equal_seeds_give_equal_rows_that_the_benchmark_reads(task: Task) -> None:
    first, again, other = (written(Model(Echo()), task, 40, seed) for seed in (3, 3, 4))
    assert first == again and first.rows != other.rows
    assert len(instructions(task, first.rows)) == 40
    assert not any(re.search(r"\{[a-z]", r["instruction"]) for r in first.rows)


def test_the_grammar_fills_the_quota_of_a_model_that_writes_nothing() -> None:
    made = written(Writer("I cannot.", "", "I cannot."), n=1000)
    assert made.report["writers"] == {"seed": 20, "expansion": 0, "rewrite": 0, "grammar": 980}
    assert [r["mode"] for r in made.rows].count("around") == 200
    keywords = written(Writer(), "keyword", 100).rows
    assert sum("anti_label" in r for r in keywords) == 50
    topics = written(Writer(), "topic", 36).rows
    assert {sum(r["label"] == t["label"] for r in topics) for t in topics} == {2}  # all labels as often


def test_the_grammars_templates_have_the_slots_of_their_kind_and_differ() -> None:
    for kind in FORMS.keys() - {"length"} | MODES.keys():
        kept = Kept()
        for text, _ in zip(sentences(kind), range(60), strict=False):
            mode = kind if kind in MODES else ""
            assert slots_wrong(text, "length" if mode else kind, mode) == "", text
            kept.add(text)


def test_a_range_is_at_least_ten_wide_and_a_quarter_of_the_numbers_is_in_words() -> None:
    rows = [r for r in written(Writer(), n=1000).rows if r["mode"] == "between"]
    assert all(1 <= low <= high - 10 and 20 <= high <= 200 for low, high in (r["label"] for r in rows))
    for row in rows:  # the text says what the label says
        assert all(str(n) in row["instruction"] or spelled(n) in row["instruction"] for n in row["label"])
    in_figures = sum(len(re.findall(r"\d+", r["instruction"])) for r in rows)
    assert 0.65 < in_figures / (2 * len(rows)) < 0.85


def test_a_sentence_is_asked_for_at_most_thirty_words() -> None:
    rng = random.Random(0)
    made = [fill_length("A sentence of {number} words.", "equal to", rng)["label"][0] for _ in range(200)]
    assert min(made) >= 5 and max(made) <= 30


def test_the_twenty_seeds_of_each_kind_are_different_and_in_order() -> None:
    for kind in FORMS:
        seeds = seeds_of(kind)
        assert len({s.text for s in seeds}) == 20
        assert all(slots_wrong(s.text, kind, s.mode) == "" for s in seeds)


# --- in and out -------------------------------------------------------------------------------------------------------


async def _given(*examples: Example) -> Any:
    for example in examples:
        yield example


def _write(writer: CodiEvalWriter, *seeds: Example) -> list[Example]:
    async def all_of() -> list[Example]:
        return [example async for example in writer.write(_given(*seeds))]

    return asyncio.run(all_of())


def test_seeds_of_ones_own_take_the_place_of_ours_and_wrong_ones_are_named() -> None:
    own = Example(Instruction.of("Exactly {number} words, friend!"), meta={"mode": "equal to"})
    made = _write(CodiEvalWriter(Writer(), "length", 10), own)
    [row] = [e.meta for e in made if e.meta["writer"] == "seed"]
    assert row["instruction"].endswith("words, friend!") and row["label"][0] == row["label"][1]
    assert [e.instruction.id for e in made] == [f"length-{n}" for n in range(1, 11)]
    with pytest.raises(DataError, match=r"'\{number\} words' has no mode"):
        _write(CodiEvalWriter(Writer(), "length", 10), Example(Instruction.of("{number} words")))
    with pytest.raises(DataError, match="has not the slots of 'topic': slots: none"):
        _write(CodiEvalWriter(Writer(), "topic", 10), Example(Instruction.of("Write on sports")))


def test_what_was_written_is_read_back_by_the_benchmark(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    writer = CodiEvalWriter(Model(Echo()), "length", 20)
    with pytest.raises(UsageError, match="nothing was written"):
        writer.save(tmp_path)
    made = _write(writer)
    assert [p.name for p in writer.save(tmp_path)] == [
        "length_lite.jsonl", "length_report.jsonl", "length_dropped.jsonl",
    ]  # fmt: skip
    monkeypatch.setenv("ADHERE_DATA", str(tmp_path))
    read = get("codi-eval-length").instructions()
    assert sorted(i.meta["kind"] for i in read) == sorted(e.meta["mode"] for e in made)
    assert all(any(e.instruction.prompt in i.prompt for e in made) for i in read)


@pytest.mark.parametrize(
    ("task", "n", "said"),
    [
        ("lenght", 10, "there is no task 'lenght'"),
        ("toxicity", 10, "need no writer"),
        ("length", 0, "n is 0"),
        ("length", 1001, "n is 1001"),
    ],
)
def test_an_impossible_order_is_refused(task: Any, n: int, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        CodiEvalWriter(Writer(), task, n)


@pytest.mark.weights
def test_smollm2_rewrites_templates_and_what_it_loses_is_counted(smollm2: Path) -> None:
    async def run() -> tuple[list[Phrase], Tally]:
        async with adhere.load(str(smollm2)) as model:
            return await rewrite(model, "keyword", seeds_of("keyword"), 2, 2, 0)

    made, tally = asyncio.run(run())
    counts = tally.counts()
    assert counts["calls"] == 4 and counts["failed"] == 0
    assert counts["kept"] == len(made) == 4 - sum(counts["dropped"].values()) > 0
    assert all("{keywords}" in phrase.text for phrase in made)
