"""`PromptProgram`: what a prompt optimiser found, as one file; and the strategy `prompted`, which applies it.

    adhere optimize prompts task.jsonl --method ape --out prompt.json
    adhere answer "hot" --strategy 'prompted(prompt.json)'

Every optimiser (APE, INSTINCT, Auto-CoT) writes this record and scores its candidates through `messages`, so that what
was measured is what is applied. An existing system message comes first, the program's instruction after it; earlier
turns of the conversation stay between the demonstrations and the question.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal, Self

import msgspec

from adhere.answer.base import Strategy, Trace, draw, retold
from adhere.data.files import replacing
from adhere.errors import DataError
from adhere.models.prompts import Template
from adhere.records import Instruction, Message, Record, Response, TextPart, encode
from adhere.registry import register
from adhere.roles import Answerer

__all__ = ["Demonstration", "PromptProgram", "Prompted"]

FORMAT = "adhere.prompt/1"
FIELDS = ("instruction", "demonstrations", "input")
LARGEST = 16 * 2**20  # bytes; a prompt file is a few kilobytes


class Demonstration(Record, omit_defaults=False):
    """A solved example: what is asked, and the answer in full (reasoning included, where it is to be shown)."""

    input: str
    output: str


class PromptProgram(Record, omit_defaults=False):
    """A prompt as data.

    Attributes:
        instruction: What the model is told to do; "" where demonstrations alone do it.
        demonstrations: Solved examples, in order.
        placement: The instruction is a "system" message, or stands where the template says ("user").
        template: The user's message, with `{input}` and where wanted `{instruction}` and `{demonstrations}`.
        demonstration: One demonstration as text, with `{input}` and `{output}`; they follow each other as they are.
        demonstrations_as: "text" within the template, or "turns" of user and assistant before the question.
        stop: Strings that end the answer.
        score: What the optimiser measured for it, on `n` pairs; None where it measured nothing.
        n: Pairs that the score is the mean of.
        method: "ape", "instinct", "auto-cot", "by hand".
        writer: Model that wrote the candidates.
        answerer: Model that it was scored with.
        seed: Of the search.
        trace: How it was found: the scorer, the ranked candidates, figures on held-out pairs.
        format: Version of this file's form.

    Raises:
        DataError: if the template lacks a field that it needs.
    """

    instruction: str = ""
    demonstrations: tuple[Demonstration, ...] = ()
    placement: Literal["system", "user"] = "user"
    template: str = "{instruction}\n\n{demonstrations}{input}"
    demonstration: str = "{input}\n{output}\n\n"
    demonstrations_as: Literal["text", "turns"] = "text"
    stop: tuple[str, ...] = ()
    score: float | None = None
    n: int = 0
    method: str = "by hand"
    writer: str = ""
    answerer: str = ""
    seed: int = 0
    trace: tuple[dict[str, Any], ...] = ()
    format: Literal["adhere.prompt/1"] = FORMAT

    def __post_init__(self) -> None:
        fields = Template("template", self.template).fields
        in_text = bool(self.demonstrations) and self.demonstrations_as == "text"
        told = bool(self.instruction) and self.placement == "user"
        needs = {"input": True, "instruction": told, "demonstrations": in_text}
        if lacking := [name for name, needed in needs.items() if needed and name not in fields]:
            raise DataError(
                f"the prompt's template lacks {{{'}, {'.join(lacking)}}}", hint=f"It reads {self.template!r}"
            )
        if unknown := [name for name in fields if name not in FIELDS]:
            raise DataError(
                f"the prompt's template has an unknown field {{{unknown[0]}}}", hint=f"Known: {', '.join(FIELDS)}"
            )
        if self.placement == "system" and "instruction" in fields:
            raise DataError("the prompt's instruction is a system message, yet its template has {instruction} too")
        if set(Template("demonstration", self.demonstration).fields) != {"input", "output"}:
            raise DataError("the prompt's form of a demonstration needs {input} and {output}, and nothing else")

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read a prompt file.

        Raises:
            DataError: naming the file, if it cannot be read or is no prompt.
        """
        hint = "`adhere optimize prompts` writes such files"
        try:
            with Path(path).open("rb") as file:
                content = file.read(LARGEST + 1)
        except OSError as error:
            raise DataError(f"{path}: {error.strerror or error}", hint=hint) from error
        if len(content) > LARGEST:
            raise DataError(f"{path}: larger than {LARGEST >> 20} MiB, which no prompt is", hint=hint)
        try:
            program = msgspec.json.decode(content.removeprefix(b"\xef\xbb\xbf"), type=cls)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise DataError(f"{path}: not a prompt file: {error}", hint=hint) from error
        except DataError as error:
            raise DataError(f"{path}: {error.message}", hint=error.hint) from error
        if not program.instruction and not program.demonstrations:
            raise DataError(f"{path}: the prompt has neither an instruction nor demonstrations", hint=hint)
        return program

    def save(self, path: str | Path) -> Path:
        """Write the file, whole or not at all; returns its path.

        Raises:
            DataError: if it cannot be written.
        """
        target = Path(path)
        with replacing(target) as part:
            part.write_bytes(msgspec.json.format(encode(self), indent=2) + b"\n")
        return target

    def text(self, question: str) -> str:
        """The user's message for a question, demonstrations as text included."""
        shown = Template("demonstration", self.demonstration)
        blocks = "".join(shown.render(input=d.input, output=d.output) for d in self.demonstrations)
        values = {
            "input": question,
            "instruction": self.instruction,
            "demonstrations": blocks if self.demonstrations_as == "text" else "",
        }
        template = Template("template", self.template)
        return template.render(**{name: values[name] for name in template.fields})

    def messages(self, conversation: tuple[Message, ...]) -> tuple[Message, ...]:
        """The conversation as the model is to see it; its last message is the question."""
        *before, last = conversation
        system = [m for m in before if m.role == "system"]
        if self.placement == "system" and self.instruction:
            system.append(Message("system", self.instruction))
        if len(system) > 1:  # chat templates take one
            system = [Message("system", "\n\n".join(m.text for m in system))]
        turns: list[Message] = []
        if self.demonstrations_as == "turns":
            for shown in self.demonstrations:
                turns += [Message("user", self.text(shown.input)), Message("assistant", shown.output)]
        return (*system, *turns, *(m for m in before if m.role != "system"), self._question(last))

    def _question(self, last: Message) -> Message:
        """The last message, rendered; what it holds beside text (images) stays."""
        content: Any = self.text(last.text)
        if not isinstance(last.content, str):
            content = (TextPart(content), *(part for part in last.content if not isinstance(part, TextPart)))
        return msgspec.structs.replace(last, content=content)


@register("prompted")
class Prompted(Strategy):
    """Asks with a prompt program around the question.

    Args:
        model: What answers.
        program: The program, or the path of its file.

    Raises:
        DataError: if the file cannot be read or is no prompt.
    """

    def __init__(self, model: Answerer, program: PromptProgram | str | Path) -> None:
        self.model = model
        self.program = program
        self._loaded = program if isinstance(program, PromptProgram) else PromptProgram.load(program)

    async def respond(self, instruction: Instruction, trace: Trace) -> Response:
        """One call of what is inside."""
        program = self._loaded
        if program.instruction:
            trace.add("note", text=f"instruction ({program.method}): {program.instruction}")
        if program.demonstrations:
            items = [{"input": d.input, "output": d.output} for d in program.demonstrations]
            trace.add("demonstrations", items=items, selection=program.method)
        changes: dict[str, Any] = {"stop": program.stop} if program.stop else {}
        return await draw(self.model, retold(instruction, *program.messages(instruction.messages)), **changes)
