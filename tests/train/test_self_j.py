"""Self-J's rows, loss and judge: on fakes and a tiny Llama made here; the real model is the reproduction's."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from adhere.errors import DataError
from adhere.models.base import ModelInfo, Request
from adhere.models.model import Model
from adhere.records import Instruction, Message, Response, TokenLogprob
from adhere.score.judges.self_j import SelfJ
from adhere.score.resolve import resolve
from adhere.train.lora import Settings
from adhere.train.self_j import Distillation, JudgeRow, Pair, build, calibrate, pairs, target, train
from tiny_llama import save_tiny_llama

torch = pytest.importorskip("torch")
pytest.importorskip("peft")

QUESTIONS = [Instruction(f"q{n}", (Message("user", f"Question {n}?"),), references=(f"good {n}",)) for n in range(4)]


class Grader:
    """Answers "good N" to even questions, "bad N" to odd ones; grades 8 where the reference says the same, else 2."""

    concurrency = 4
    info = ModelInfo("grader", "fake", "0", capabilities=("chat", "seed", "token_logprobs"))

    async def generate(self, request: Request) -> Response:
        prompt = request.messages[-1].text
        if request.sampling.top_logprobs is None:
            number = int(prompt.split()[1].rstrip("?"))
            return Response(f"{'bad' if number % 2 else 'good'} {number}", model="grader")
        reference, answer = prompt.split("[Reference]\n")[1].split("\n\n[Answer]\n")
        grade = "8" if reference == answer else "2"
        return Response(grade, logprobs=(TokenLogprob(grade, 0.0, top=((grade, math.log(0.9)),)),))

    async def logprobs(self, prompt: str, continuation: str) -> tuple[TokenLogprob, ...]:
        raise NotImplementedError

    async def embed(self, texts: Sequence[str]) -> Any:
        raise NotImplementedError

    async def close(self) -> None:
        pass


class Letters:
    """Embeds a text by whether it says "good"."""

    concurrency = 1
    info = ModelInfo("letters", "fake", "1", capabilities=("embed",))

    async def embed(self, texts: Sequence[str]) -> Any:
        return np.array([[1.0, 0.0] if "good" in text else [0.0, 1.0] for text in texts], np.float32)

    async def generate(self, request: Request) -> Response:
        raise NotImplementedError

    async def logprobs(self, prompt: str, continuation: str) -> tuple[TokenLogprob, ...]:
        raise NotImplementedError

    async def close(self) -> None:
        pass


@given(st.floats(0, 9), st.floats(-1, 1))
def test_a_target_is_a_digit_that_rises_with_both_grades(z1: float, z2: float) -> None:
    found = target(z1, z2)
    assert 0 <= found <= 9
    assert target(min(9, z1 + 1), z2) >= found
    assert abs(found - (z1 + 9 * max(z2, 0)) / 2) <= 0.5


def test_halves_are_rounded_up() -> None:
    assert [target(z1, 0.0) for z1 in (1, 3, 5)] == [1, 2, 3]


def test_rows_hold_both_grades_of_the_models_own_answers() -> None:
    built = asyncio.run(build(Model(Grader()), QUESTIONS, Model(Letters())))
    assert built.skipped == {}
    assert [row.response for row in built.rows] == ["good 0", "bad 1", "good 2", "bad 3"]
    assert [(row.z1, row.z2, row.target) for row in built.rows] == [(8, 1, 9), (2, 0, 1)] * 2
    assert built.rows[0].model == "grader"


def test_a_row_without_a_reference_is_named_before_any_call() -> None:
    with pytest.raises(DataError, match="'lonely'"):
        asyncio.run(build(Model(Grader()), [*QUESTIONS, Instruction.of("Hm?", id="lonely")], Model(Letters())))


def row(id: str, response: str = "an answer", digit: int = 7, question: str = "Why?") -> JudgeRow:
    return JudgeRow(id, question, "because", response, digit, 7.0, 0.5, "tiny")


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_llama(tmp_path_factory.mktemp("tiny"), 2048, loud=6)


@pytest.fixture(scope="module")
def loaded(base: Path) -> tuple[Any, Any]:
    from adhere.train.lora import load

    return load(str(base))


def test_teacher_and_student_read_the_same_item_and_only_the_teacher_the_reference(loaded: tuple[Any, Any]) -> None:
    made, long = pairs(loaded[0], [row("a"), row("b", "x" * 5000)])
    assert long == ["b"]
    assert [pair.id for pair in made] == ["a"]
    seen, unseen = (loaded[0].decode(ids) for ids in (made[0].teacher, made[0].student))
    assert "because" in seen
    assert "because" not in unseen
    assert seen.endswith("### Response:\n")
    assert unseen.endswith("[Answer]\nan answer\n\n### Response:\n")
    assert loaded[0].decode([made[0].label]) == "7"


def test_the_loss_is_the_papers_sum_and_padding_changes_nothing(loaded: tuple[Any, Any]) -> None:
    model = loaded[1]
    batch = [Pair("a", (5, 6, 7, 8), (5, 6), 40), Pair("b", (9, 9), (9, 8, 7, 6, 5, 4), 41)]

    def logits(ids: tuple[int, ...]) -> Any:
        return model(input_ids=torch.tensor([ids])).logits[0, -1].log_softmax(0)

    with torch.no_grad():
        expected = 0.0
        for pair in batch:
            t, s = logits(pair.teacher), logits(pair.student)
            expected += float(-t[pair.label] - 0.3 * s[pair.label] + 2 * (t.exp() * (t - s)).sum())
        found = float(Distillation().loss(model, batch))
        plain = float(Distillation(kd=0).loss(model, batch))
    assert found == pytest.approx(expected, rel=1e-4)
    assert plain < found


def test_the_teacher_is_not_pulled_towards_the_student(loaded: tuple[Any, Any]) -> None:
    """The distillation's gradient is that of a KL to a teacher that stands still."""
    model = loaded[1]
    weight = model.model.layers[0].self_attn.q_proj.weight
    pair = Pair("a", (5, 6, 7), (8, 9, 10, 11), 40)

    def gradient(kd: float) -> Any:
        model.zero_grad()
        Distillation(student=0.0, kd=kd).loss(model, [pair]).backward()
        return weight.grad.clone()

    model.zero_grad()
    student = model(input_ids=torch.tensor([pair.student])).logits[0, -1].log_softmax(0)
    with torch.no_grad():
        teacher = model(input_ids=torch.tensor([pair.teacher])).logits[0, -1].log_softmax(0)
    (teacher.exp() * (teacher - student)).sum().backward()
    expected = weight.grad.clone()
    assert torch.allclose(gradient(1.0) - gradient(0.0), expected, atol=1e-3 * float(expected.abs().max()))


def test_a_trained_judge_is_opened_by_its_folder_and_grades_as_it_was_taught(base: Path, tmp_path: Path) -> None:
    rows = [row(f"r{n}", *(("yes yes", 9) if n % 2 else ("no", 0))) for n in range(8)]
    settings = Settings(rank=8, learning_rate=1e-2, epochs=25, batch=8, dropout=0.0)
    train(str(base), rows, tmp_path / "judge", settings)
    judge = resolve(str(tmp_path / "judge"))
    assert isinstance(judge, SelfJ)
    question = Instruction.of("Why?")

    async def both() -> list[float | None]:
        return [(await judge.score(question, Response(text, model="tiny"))).value for text in ("no", "yes yes")]

    bad, good = asyncio.run(both())
    assert bad is not None
    assert good is not None
    assert bad < 3 < 6 < good
    foreign = asyncio.run(judge.score(question, Response("no", model="other")))
    assert "built from answers of 'tiny'" in foreign.reason
    assert judge.calibration == ()
    assert asyncio.run(calibrate(tmp_path / "judge", rows[:3])) == SelfJ(tmp_path / "judge").calibration
    assert len(SelfJ(tmp_path / "judge").calibration) == 3


def test_a_judge_trained_with_other_prompts_is_refused(base: Path, tmp_path: Path, loaded: tuple[Any, Any]) -> None:
    place = tmp_path / "judge"
    train(str(base), [row("a")], place, Settings(rank=2), loaded=loaded)
    file = place / "scorer.json"
    text = file.read_text()
    at = text.index('"self_j_plain": "') + len('"self_j_plain": "')
    file.write_text(text[:at] + "0" * 12 + text[at + 12 :])
    with pytest.raises(DataError, match="another wording"):
        SelfJ(place)
