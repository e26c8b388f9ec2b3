"""Prompt programs: what their file holds, how they are put around a question, what a broken one says."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from adhere.answer import build
from adhere.answer.prompt_program import Demonstration, Prompted, PromptProgram
from adhere.engine import context
from adhere.errors import DataError
from adhere.records import ImagePart, ImageUrl, Instruction, Message, Response, TextPart

DEMOS = (Demonstration("hot", "cold"), Demonstration("up", "down"))


class Listener:
    """Answers "ok" and keeps what it was asked, with the sampling that was in force."""

    def __init__(self) -> None:
        self.heard: tuple[Message, ...] = ()
        self.sampling: dict[str, Any] = {}

    async def answer(self, instruction: Instruction) -> Response:
        self.heard, self.sampling = instruction.messages, dict(context.current().overrides)
        return Response("ok")


def heard(program: PromptProgram, *messages: Message) -> list[tuple[str, str]]:
    listener = Listener()
    asyncio.run(Prompted(listener, program).answer(Instruction("1", messages)))
    return [(m.role, m.text) for m in listener.heard]


def test_an_instruction_comes_before_the_question() -> None:
    assert heard(PromptProgram("Name the opposite."), Message("user", "hot")) == [("user", "Name the opposite.\n\nhot")]


def test_demonstrations_as_text_stand_between_instruction_and_question() -> None:
    program = PromptProgram(
        "Name the opposite.",
        DEMOS,
        template="Instruction: {instruction}\n\n{demonstrations}Input: {input}\nOutput:",
        demonstration="Input: {input}\nOutput: {output}\n\n",
    )
    expected = (
        "Instruction: Name the opposite.\n\nInput: hot\nOutput: cold\n\nInput: up\nOutput: down\n\nInput: wet\nOutput:"
    )
    assert heard(program, Message("user", "wet")) == [("user", expected)]


def test_a_system_instruction_follows_the_callers_own_and_demonstrations_become_turns() -> None:
    program = PromptProgram("Be brief.", DEMOS[:1], "system", "{input}?", demonstrations_as="turns")
    conversation = [Message("system", "Speak English."), Message("user", "hi"), Message("assistant", "hello")]
    assert heard(program, *conversation, Message("user", "wet")) == [
        ("system", "Speak English.\n\nBe brief."),
        ("user", "hot?"),
        ("assistant", "cold"),
        ("user", "hi"),
        ("assistant", "hello"),
        ("user", "wet?"),
    ]


def test_a_trigger_can_stand_after_the_question() -> None:
    program = PromptProgram("Let us think.", template="Q: {input}\nA: {instruction}")
    assert heard(program, Message("user", "2+2?")) == [("user", "Q: 2+2?\nA: Let us think.")]


def test_images_of_the_question_stay_beside_the_rendered_text() -> None:
    listener = Listener()
    picture = ImagePart(ImageUrl("data:,"))
    question = Message("user", (TextPart("what is this"), picture))
    asyncio.run(Prompted(listener, PromptProgram("Look.")).answer(Instruction("1", (question,))))
    assert listener.heard[0].content == (TextPart("Look.\n\nwhat is this"), picture)


def test_stop_strings_reach_the_model_and_the_trace_tells_the_prompt() -> None:
    listener = Listener()
    program = PromptProgram("Name the opposite.", DEMOS, stop=("\n",), method="ape")
    response = asyncio.run(Prompted(listener, program).answer(Instruction.of("wet")))
    assert listener.sampling == {"stop": ("\n",)}
    assert [step["step"] for step in response.trace][:2] == ["note", "demonstrations"]
    assert response.trace[1]["items"][0] == {"input": "hot", "output": "cold"}


def test_braces_in_a_question_or_an_example_mean_nothing() -> None:
    program = PromptProgram("Use {input}.", (Demonstration("{output}", "{instruction}"),))
    assert program.text("{demonstrations}") == "Use {input}.\n\n{output}\n{instruction}\n\n{demonstrations}"


@given(
    instruction=st.text(min_size=1), question=st.text(), score=st.none() | st.floats(-50, 1), stop=st.lists(st.text())
)
def test_a_program_survives_its_file(
    tmp_path_factory: Any, instruction: str, question: str, score: Any, stop: Any
) -> None:
    program = PromptProgram(instruction, (Demonstration(question, "x"),), score=score, stop=tuple(stop), n=3)
    assert PromptProgram.load(program.save(tmp_path_factory.getbasetemp() / "prompt.json")) == program


BROKEN = {
    "nothing there": (None, "No such file"),
    "not JSON": ("{", "not a prompt file"),
    "a list": ("[]", "Expected `object`"),
    "empty": ("{}", "neither an instruction nor demonstrations"),
    "of the wrong type": ('{"instruction": 3}', "instruction"),
    "of another version": ('{"instruction": "x", "format": "adhere.prompt/9"}', "adhere.prompt/9"),
    "without a slot for the input": ('{"instruction": "x", "template": "{instruction}"}', "lacks {input}"),
    "without a slot for the instruction": ('{"instruction": "x", "template": "{input}"}', "lacks {instruction}"),
    "with an unknown slot": ('{"instruction": "x", "template": "{instruction}{input}{inputs}"}', "unknown field"),
    "with the instruction twice": ('{"instruction": "x", "placement": "system"}', "system message"),
    "with a demonstration without output": ('{"instruction": "x", "demonstration": "{input}"}', "{output}"),
    "not text": (b"\xff\xfe\x00", "not a prompt file"),
    "nested without end": ("[" * 100_000, "not a prompt file"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_file_says_in_one_line_what_is_wrong_with_it(tmp_path: Path, case: str) -> None:
    content, expected = BROKEN[case]
    path = tmp_path / "prompt.json"
    if content is not None:
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(DataError) as caught:
        PromptProgram.load(path)
    assert str(path) in str(caught.value)
    assert expected in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_strategy_is_built_from_its_text(tmp_path: Path) -> None:
    path = PromptProgram("Name the opposite.").save(tmp_path / "prompt.json")
    listener = Listener()
    made = build(f"prompted({path})", listener)
    asyncio.run(made.answer(Instruction.of("wet")))
    assert listener.heard[0].text == "Name the opposite.\n\nwet"
    assert repr(made) == f"Prompted({listener!r}, {str(path)!r})"


def test_the_file_is_plain_json_that_people_can_edit(tmp_path: Path) -> None:
    path = PromptProgram("Name the opposite.", DEMOS, method="ape").save(tmp_path / "prompt.json")
    plain = msgspec.json.decode(path.read_bytes())
    assert plain["instruction"] == "Name the opposite."
    assert plain["demonstrations"][0] == {"input": "hot", "output": "cold"}
    assert path.read_text().count("\n") > 10
