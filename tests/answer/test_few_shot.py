"""Few-shot prompting: what is shown, in which form, and what happens where it does not fit."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

import adhere
from adhere.answer import build
from adhere.answer.few_shot import FewShot
from adhere.answer.pool import read_pool
from adhere.errors import ContextError, DataError, UsageError
from adhere.records import Document, Example, ImagePart, ImageUrl, Instruction, Message, Response
from pupils import Pupil, solved

POOL = [solved(f"What is {n} + 1?", str(n + 1)) for n in range(8)]
QUESTION = Instruction.of("What is 20 + 1?")


def test_shots_are_turns_of_a_chat() -> None:
    pupil = Pupil(lambda text: "21")
    answer = asyncio.run(FewShot(pupil, POOL, n=2).answer(QUESTION))
    messages = pupil.seen[0].messages
    assert [m.role for m in messages] == ["user", "assistant"] * 2 + ["user"]
    assert messages[-1].text == QUESTION.prompt
    for question, shown in zip(messages[0:4:2], messages[1:4:2], strict=True):
        assert f"What is {int(shown.text) - 1} + 1?" == question.text
    assert answer.text == "21" and answer.trace[0]["step"] == "demonstrations"
    assert len(answer.trace[0]["items"]) == 2


def test_shots_are_one_text_for_a_base_model_and_a_blank_line_ends_the_answer() -> None:
    pupil = Pupil(lambda text: " 21\n\nWhat is 5 + 1?\nAnswer: 6")
    answer = asyncio.run(FewShot(pupil, POOL, n=2, form="text").answer(QUESTION))
    (message,) = pupil.seen[0].messages
    assert message.text.endswith("\n\nWhat is 20 + 1?\nAnswer:")
    assert message.text.count("Answer:") == 3
    assert answer.text == "21"


def test_a_model_that_asks_itself_on_is_cut() -> None:
    pupil = Pupil(lambda text: '"21"\nQuestion: What next?')
    assert asyncio.run(FewShot(pupil, POOL, n=1, form="text").answer(QUESTION)).text == "21"


def test_answers_with_blank_lines_are_kept_apart_otherwise() -> None:
    pool = [solved(f"Poem {n}", "line\n\nline") for n in range(3)]
    pupil = Pupil(lambda text: "a\n\nb\n\n###\n\nPoem 7")
    assert asyncio.run(FewShot(pupil, pool, n=2, form="text").answer(QUESTION)).text == "a\n\nb"


def test_the_question_itself_is_never_shown() -> None:
    pupil = Pupil(lambda text: "1")
    for seed in range(5):
        question = Instruction.of("What is 3 + 1?", id=f"{seed}")
        asyncio.run(FewShot(pupil, POOL, n=7).answer(question))
        assert [m.text for m in pupil.seen[-1].messages].count("What is 3 + 1?") == 1


def test_a_pool_that_is_too_small_says_so() -> None:
    with pytest.raises(UsageError, match="7 without the question itself"):
        asyncio.run(FewShot(Pupil(str), POOL, n=8).answer(Instruction.of("What is 3 + 1?")))


def test_no_shots_ask_as_is() -> None:
    pupil = Pupil(lambda text: "A, because B.")
    assert asyncio.run(FewShot(pupil, POOL, n=0, short=True).answer(QUESTION)).text == "A"
    assert len(pupil.seen[0].messages) == 1


def test_shots_that_do_not_fit_are_left_out_and_that_is_reported() -> None:
    class Narrow(Pupil):
        async def answer(self, instruction: Instruction) -> Response:
            if len(instruction.messages) > 5:
                raise ContextError("the prompt has 9 tokens, the context 5")
            return await super().answer(instruction)

    narrow = Narrow(lambda text: "21")
    wide = Pupil(lambda text: "21")
    answer = asyncio.run(FewShot(narrow, POOL, n=4, selection="bm25").answer(QUESTION))
    asyncio.run(FewShot(wide, POOL, n=4, selection="bm25").answer(QUESTION))
    assert narrow.seen[0].messages == wide.seen[0].messages[4:]  # the two nearest stay
    assert "2 of 4 examples fit" in str(answer.trace)
    with pytest.raises(ContextError):
        asyncio.run(FewShot(narrow, POOL, n=0).answer(Instruction("x", (Message("user", "?"),) * 6)))


@pytest.mark.weights
def test_a_real_model_gets_as_many_shots_as_its_context_holds(smollm2: Path) -> None:
    model = adhere.load(str(smollm2), max_tokens=4, store=None, context=256, slots=1)
    pool = [solved(f"Say {n}. " + "Well, " * 20, str(n)) for n in range(8)]
    answer = asyncio.run(FewShot(model, pool, n=8).answer(QUESTION))
    assert "of 8 examples fit" in str(answer.trace)
    assert 100 < answer.usage.prompt_tokens < 256


def test_documents_of_question_and_examples_are_shown() -> None:
    pool = [Example(Instruction("a", (Message("user", "Who?"),), documents=(Document("Ann."),)), (Response("Ann"),))]
    pupil = Pupil(lambda text: "Bob")
    asked = Instruction("b", (Message("user", "Who?"),), documents=(Document("Bob."),))
    asyncio.run(FewShot(pupil, pool, n=1).answer(asked))
    texts = [m.text for m in pupil.seen[0].messages]
    assert "Ann." in texts[0] and "Bob." in texts[2]


def test_an_image_is_refused() -> None:
    message = Message("user", (ImagePart(ImageUrl("x.png")),))
    with pytest.raises(UsageError, match="image"):
        asyncio.run(FewShot(Pupil(str), POOL, n=1).answer(Instruction("i", (message,))))


@pytest.mark.parametrize(
    ("row", "question", "answer"),
    [
        ('{"question": "q", "answer": 5}', "q", "5"),
        ('{"input": "q", "output": "a"}', "q", "a"),
        ('{"instruction": "do", "input": "q", "output": "a"}', "do\n\nq", "a"),
        ('{"instruction": "do", "input": "", "output": "a"}', "do", "a"),
        ('{"prompt": "q", "references": ["a", "b"]}', "q", "a"),
        ('{"messages": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}]}', "q", "a"),
        ('{"instruction": {"id": "x", "messages": [{"role": "user", "content": "q"}], "references": ["a"]}}', "q", "a"),
    ],
)
def test_pools_are_read_in_the_usual_forms(tmp_path: Path, row: str, question: str, answer: str) -> None:
    file = tmp_path / "pool.jsonl"
    file.write_text(row + "\n")
    pupil = Pupil(lambda text: "x")
    asyncio.run(FewShot(pupil, str(file), n=1).answer(QUESTION))
    assert [m.text for m in pupil.seen[0].messages] == [question, answer, QUESTION.prompt]


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ('{"question": "q"}', "no answer"),
        ('{"answer": "a"}', ":2: no question"),
        ('{"question": "q", "answer": ["a"]}', "neither text nor number"),
        ('{"question": " ", "answer": "a"}', "blank"),
        ('{"instruction": {"id": 5}}', ":2: not an example"),
        ("[]", ":2"),
    ],
)
def test_a_pool_that_cannot_be_used_is_named_with_its_line(tmp_path: Path, row: str, said: str) -> None:
    file = tmp_path / "pool.jsonl"
    file.write_text('{"question": "x", "answer": "y"}\n' + row + "\n")
    with pytest.raises(DataError, match=said):
        read_pool(file)


def test_doubled_questions_count_once_and_no_examples_are_an_error() -> None:
    assert len(read_pool([*POOL, POOL[0]])) == len(POOL)
    with pytest.raises(DataError, match="empty"):
        read_pool([])


def test_it_is_built_from_its_text(tmp_path: Path) -> None:
    file = tmp_path / "train.jsonl"
    file.write_text('{"question": "q", "answer": "a"}\n')
    made = build(f"few_shot(pool='{file}', n=1, selection=bm25)", Pupil(str))
    assert isinstance(made, FewShot) and made.selection == "bm25" and made.n == 1
    assert repr(made).endswith(f"pool={str(file)!r}, n=1, selection='bm25')") or str(file) in repr(made)
    with pytest.raises(UsageError, match="bm25"):
        build(f"few_shot(pool='{file}', n=1, selection=bm52)", Pupil(str))
    with pytest.raises(UsageError, match="at least 0"):
        build(f"few_shot(pool='{file}', n=-1)", Pupil(str))
