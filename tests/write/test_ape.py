"""APE: drafts become instructions, the best of them on unseen pairs wins, and what went wrong is said."""

from __future__ import annotations

import asyncio
import logging
import math
import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import adhere
from adhere.errors import CapabilityError, DataError, ModelError, UnknownNameError, UsageError
from adhere.models.base import ModelInfo, Request
from adhere.models.fakes import Fake
from adhere.models.model import Model
from adhere.records import Instruction, Response, TokenLogprob
from adhere.write.instructions.cleaning import Draft, clean, distinct, first_sentence
from adhere.write.instructions.proposers import PROPOSERS, Bank, FewShot, Mix, Written, proposer_of, variations
from adhere.write.instructions.scoring import APE, THINKING, Accuracy, Likelihood, scorer_of
from adhere.write.instructions.search import evaluate_instruction, search_instruction
from adhere.write.instructions.tasks import Pair, Task

WORDS = ("ant", "bee", "cat", "dog", "eels", "fly", "gnu", "hens", "owl", "pig")
TASK = Task("backwards", "em", tuple(Pair(word, (word[::-1],)) for word in WORDS))


class Pupil(Fake):
    """Writes a word backwards where the prompt says so, and else repeats it."""

    def __init__(self, *extra: str) -> None:
        super().__init__("pupil")
        if extra:
            able = tuple(sorted({*self.info.capabilities, *extra}))
            self.info = ModelInfo("pupil", "fake", "0", context=400, capabilities=able)  # type: ignore[arg-type]
        self.prompts: list[str] = []

    async def generate(self, request: Request) -> Response:
        prompt = request.messages[-1].text
        self.prompts.append(prompt)
        word = prompt.rpartition("Input: ")[2].split("\n")[0]
        return Response(word[::-1] if "backwards" in prompt.split("Input:")[0] else word)

    async def logprobs(self, prompt: str, continuation: str) -> tuple[TokenLogprob, ...]:
        self.prompts.append(prompt + "|" + continuation)
        told = "backwards" in prompt.split("Input:")[0]
        return tuple(TokenLogprob(c, -0.5 if told else -3.0) for c in continuation)


class Speaker:
    """Writes the given texts in turn."""

    def __init__(self, *texts: str) -> None:
        self.texts, self.heard, self.calls = texts, [], 0

    async def answer(self, instruction: Instruction) -> Response:
        self.heard.append(instruction.prompt)
        self.calls += 1
        return Response(self.texts[(self.calls - 1) % len(self.texts)])


def writer(*texts: str) -> Any:
    speaker = Speaker(*texts)
    speaker.model = Model(Pupil())  # what strategies ask for the name and the context
    return speaker


@pytest.mark.parametrize(
    ("raw", "cut", "expected"),
    [
        (' write the plural.\n\nInput: "x"', False, "Write the plural."),
        ('"Name the capital."', False, "Name the capital."),
        ("The instruction was to add the numbers", False, "Add the numbers"),
        ("Instruction: add the numbers Output: 3", False, "Add the numbers"),
        ("\n\nInput: 3", False, ""),
        ("follow the instruction: add the numbers", False, "Follow the instruction: add the numbers"),
        ("add the numbers\nInstruction: again", False, "Add the numbers"),
        ("...\n- sort the words", False, "- sort the words"),
        ("Sort the words. Then you should also", True, "Sort the words."),
        ("sort the words and then", True, "Sort the words and then"),
        ("", False, ""),
    ],
)
def test_a_draft_is_cleaned(raw: str, cut: bool, expected: str) -> None:
    assert clean(raw, cut) == expected


def test_the_first_sentence_is_kept_and_decimals_do_not_end_it() -> None:
    assert first_sentence("add 3.5 to it. Then stop.") == "Add 3.5 to it."
    assert first_sentence("write it!\nInput: x") == "Write it!"


@given(st.text(max_size=200), st.booleans())
def test_cleaning_takes_any_text_and_gives_one_line(raw: str, cut: bool) -> None:
    text = clean(raw, cut)
    assert "\n" not in text and text == text.strip()


def test_equal_drafts_are_one_in_first_seen_order() -> None:
    drafts = [Draft(t, t, "x") for t in ("b", "a", "", "b", "c", "a")]
    assert [d.text for d in distinct(drafts)] == ["b", "a", "c"]


def test_the_reference_prompt_shows_five_pairs_and_lets_the_writer_complete() -> None:
    speaker = writer("write it backwards")
    drafts = asyncio.run(Written("reference", "ape_forward").propose(TASK.induce, speaker, 7, seed=0))
    assert [d.text for d in drafts] == ["Write it backwards"] * 7
    assert len(set(speaker.heard)) == 5  # sets of pairs, over which the draws are spread
    for prompt in speaker.heard:
        assert prompt.startswith("I gave a friend a instruction.") and prompt.endswith("\n\nThe instruction was to")
        assert prompt.count("Input: ") == prompt.count("Output: ") == 5


def test_a_few_shot_prompt_ends_with_the_task_and_shows_three_others() -> None:
    prompt = FewShot().prompt(TASK.induce[:5], random.Random(0))
    assert prompt.endswith("Output: slee\nInstruction:")
    assert prompt.count("\nInstruction: ") == 3


def test_pairs_that_do_not_fit_into_the_writers_context_are_left_out(caplog: pytest.LogCaptureFixture) -> None:
    speaker = writer("x")
    speaker.model = Model(Pupil("logprobs"))  # a context of 400 tokens
    long = [Pair("word " * 40, ("x",)) for _ in range(6)]
    with caplog.at_level(logging.WARNING, "adhere"):
        asyncio.run(Written("reference", "ape_forward").propose(long, speaker, 1, seed=0))
    assert speaker.heard[0].count("Input:") < 5
    assert "do not fit" in caplog.text


def test_a_bank_needs_no_writer_and_a_mix_takes_a_third_from_one() -> None:
    assert len(asyncio.run(Bank().propose(TASK.induce, None, 12, 0))) == 12
    assert len(asyncio.run(Bank().propose(TASK.induce, None, 999, 0))) == len(Bank().instructions)
    drafts = asyncio.run(Mix().propose(TASK.induce, writer("sort it"), 9, 0))
    assert [d.source for d in drafts] == ["few_shot"] * 3 + ["bank"] * 6
    with pytest.raises(UsageError, match="needs a writer"):
        asyncio.run(FewShot().propose(TASK.induce, None, 1, 0))


def test_every_proposer_has_its_name_and_an_unknown_one_a_suggestion() -> None:
    assert all(proposer_of(name).name == name for name in PROPOSERS)
    with pytest.raises(UnknownNameError, match="few_shot"):
        proposer_of("few_shots")


def test_variations_keep_no_copies() -> None:
    drafts = asyncio.run(variations(["Write it big.", "Sort it."], writer("a way", "a way", "another"), 6, 1))
    assert [d.text for d in drafts] == ["A way", "Another"]


@pytest.mark.parametrize("scorer", ["likelihood", "accuracy"])
@pytest.mark.parametrize(("allocator", "budget"), [("full", None), ("ucb", 12), ("halving", 12)])
def test_the_right_instruction_is_found_and_its_program_applied(scorer: str, allocator: str, budget: Any) -> None:
    model = Model(Pupil("logprobs"))
    bank = Bank(["Sort the words.", "Write it backwards.", "Count them.", "Translate it."])
    found = search_instruction(
        TASK, None, model, proposer=bank, scorer=scorer, allocator=allocator, budget=budget, pairs=3, seed=1
    )
    assert found.best.instruction == "Write it backwards."
    assert found.calls <= 12
    assert found.best.score == (1.0 if scorer == "accuracy" else -0.5)
    assert (found.best.answerer, found.best.method, found.best.n) == ("pupil", "ape", 3)
    assert found.best.trace[0]["scorer"] == found.scorer == scorer
    answered = asyncio.run(adhere.answer.Prompted(model, found.best).answer(Instruction.of("yak")))
    assert answered.text == "kay"


def test_the_blank_before_an_answer_is_scored_with_its_first_word() -> None:
    pupil = Pupil("logprobs")
    asyncio.run(Likelihood(Model(pupil)).score("Do it.", Pair("ant", ("ANT", "Ant"))))
    asyncio.run(Likelihood(Model(pupil)).score("", Pair("ant", ("ANT",))))
    assert pupil.prompts == ["Instruction: Do it.\n\nInput: ant\nOutput:| ANT", "Input: ant\nOutput:| ANT"]


def test_a_chain_of_thought_is_asked_for_its_result_in_a_second_call() -> None:
    pupil = Pupil()
    asyncio.run(Accuracy(Model(pupil), "number", THINKING).score("Think.", Pair("1+1?", ("2",))))
    assert pupil.prompts[0] == "Q: 1+1?\nA: Think."
    assert pupil.prompts[1].startswith("Q: 1+1?\nA: Think. ") and pupil.prompts[1].endswith("the answer is")


def test_no_held_out_pair_is_ever_seen_by_a_search() -> None:
    pupil = Pupil("logprobs")
    task = TASK._replace(execute=(Pair("zebra", ("arbez",)),))
    speaker = writer("write it backwards")
    search_instruction(task, speaker, Model(pupil), candidates=6, pairs=9)
    assert not any("zebra" in prompt.lower() for prompt in (*pupil.prompts, *speaker.heard))


def test_pairs_that_were_shown_are_not_scored_on() -> None:
    pupil = Pupil("logprobs")
    speaker = writer("write it backwards")
    search_instruction(TASK, speaker, Model(pupil), proposer="reference", candidates=5)
    scored = {prompt.rpartition("Input: ")[2].split("\n")[0] for prompt in pupil.prompts}
    shown = {line.removeprefix("Input: ") for prompt in speaker.heard for line in prompt.splitlines()}
    assert scored and not scored & shown


def test_monte_carlo_rounds_vary_the_best_and_stay_within_the_budget() -> None:
    speaker = writer("write the word backwards, please")
    bank = Bank(["Sort the words.", "Count them."])
    found = search_instruction(
        TASK, speaker, Model(Pupil("logprobs")), proposer=bank, candidates=4, pairs=3, budget=12, rounds=1
    )
    assert found.best.instruction == "Write the word backwards, please"
    assert found.table[0].source == "variation" and found.calls <= 12
    assert "Instruction: Sort the words.\nIn other words:" in speaker.heard[0] or "Count them." in speaker.heard[0]


def test_a_model_without_log_probabilities_is_scored_by_accuracy_and_that_is_said(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with pytest.raises(CapabilityError, match="accuracy"):
        Likelihood(Model(Pupil()))
    with caplog.at_level(logging.WARNING, "adhere"):
        found = search_instruction(TASK, None, Model(Pupil()), proposer=Bank(["Spell it backwards."]), pairs=2)
    assert found.scorer == "accuracy" and found.best.score == 1.0
    assert "gives no log-probabilities" in caplog.text and "accuracy instead" in caplog.text
    with pytest.raises(UnknownNameError, match="likelihood"):
        scorer_of("likelyhood", Model(Pupil()), "em")


def test_drafts_without_an_instruction_are_shown_raw() -> None:
    with pytest.raises(DataError, match=r"none of 2 drafts holds an instruction: '\\n\\nInput: 7'"):
        search_instruction(
            TASK, writer("\n\nInput: 7"), Model(Pupil()), proposer="few_shot", scorer="accuracy", candidates=2
        )


def test_too_few_pairs_and_a_budget_too_small_are_refused() -> None:
    with pytest.raises(DataError, match="at least 6 pairs"):
        search_instruction(TASK._replace(induce=TASK.induce[:5]), None, Model(Pupil()), proposer="bank")
    with pytest.raises(UsageError, match="3 calls does not reach each of 50"):
        search_instruction(TASK, None, Model(Pupil()), proposer="bank", scorer="accuracy", budget=3)


def test_a_failed_call_counts_as_the_worst_score() -> None:
    class Broken(Pupil):
        async def logprobs(self, prompt: str, continuation: str) -> tuple[TokenLogprob, ...]:
            raise ModelError("too long")

    values = asyncio.run(evaluate_instruction("x", TASK.induce[:2], Likelihood(Model(Broken("logprobs")))))
    assert values == [pytest.approx(math.log(1e-9))] * 2


def test_the_same_seed_gives_the_same_search() -> None:
    def once(seed: int) -> Any:
        bank = Bank([f"Rule {i}." for i in range(30)])
        return search_instruction(TASK, None, Model(Pupil("logprobs")), proposer=bank, candidates=5, seed=seed)

    assert once(0) == once(0)
    assert {row.instruction for row in once(0).table} != {row.instruction for row in once(1).table}


@pytest.mark.weights
def test_smollm2_finds_plurals_likeliest_after_the_instruction_to_write_them(smollm2: Any) -> None:
    words = {"cat": "cats", "apple": "apples", "house": "houses"}
    pairs = [Pair(one, (many,)) for one, many in words.items()]
    model = adhere.load("smollm2", chat=False, store=None, threads=1)

    async def main() -> list[float]:
        scorer = Likelihood(model)
        told = ["Write the plural of the word.", "Translate the word into German.", ""]
        means = [sum(await evaluate_instruction(text, pairs, scorer)) / len(pairs) for text in told]
        await model.close()
        return means

    right, wrong, none = asyncio.run(main())
    assert right > max(wrong, none)


def test_the_form_without_an_instruction_has_no_empty_label() -> None:
    assert APE.program("").text("ant") == "Input: ant\nOutput:"
