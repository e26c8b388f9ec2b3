"""What the strategies that show examples share: the prompt's form, fewer shots where the context is full, tidying."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Literal, get_args

from adhere.answer.base import Trace, base_model, draw, retold
from adhere.answer.prompt_program import Demonstration, PromptProgram
from adhere.errors import ContextError, ModelError, UsageError
from adhere.models.hierarchy import render_documents
from adhere.models.prompts import Template
from adhere.records import ImagePart, Instruction, Response
from adhere.roles import Answerer

__all__ = ["Form", "Layout", "ask_with_shots", "check_form", "first_phrase", "form_of", "too_long", "until"]

Form = Literal["auto", "text", "turns"]

# Where a model that continues text goes on with a question of its own.
_NEXT_QUESTION = re.compile(r"\n\s*(?:Question|Answer|Scene|Short|User|Q|A)\b[^\n:]{0,30}:")


class Layout:
    """How shots and the question are written down, in either form.

    Args:
        name: `prompts/<name>_question.txt` ends where the model is to go on; `prompts/<name>_shot.txt` is one shot.
        form: "text" puts everything into one message, as base models need it; "turns" makes each shot a turn of user
            and assistant, the user's part being the bare question; "auto" is turns where there is a chat template.
    """

    def __init__(self, name: str, form: Form = "auto") -> None:
        check_form(form)
        self.name = name
        self.form: Form = form

    def program(self, shots: Sequence[Demonstration], answerer: Answerer) -> PromptProgram:
        """The prompt with these shots in it."""
        question = Template.of("adhere.answer", f"{self.name}_question").text
        shown = Template.of("adhere.answer", f"{self.name}_shot").text
        if form_of(self.form, answerer) == "turns":
            return PromptProgram(demonstrations=tuple(shots), template="{input}", demonstrations_as="turns")
        # A blank line ends an answer, unless the answers shown have blank lines themselves.
        end = "\n\n###\n\n" if any("\n\n" in shot.output for shot in shots) else "\n\n"
        return PromptProgram(
            demonstrations=tuple(shots),
            template="{demonstrations}" + question,
            demonstration=shown + end,
            stop=(end.rstrip("\n") or end,) if shots else (),
        )


def check_form(form: str) -> None:
    """Raises UsageError for a form that does not exist."""
    if form not in get_args(Form):
        raise UsageError(f"unknown form '{form}'", hint=f"There are: {', '.join(get_args(Form))}")


def form_of(form: Form, answerer: Answerer) -> Literal["text", "turns"]:
    """What "auto" comes to for a model: turns, unless it continues plain text.

    Raises:
        UsageError: for a form that does not exist.
    """
    check_form(form)
    if form != "auto":
        return form
    try:
        return "turns" if base_model(answerer).chat else "text"
    except UsageError:
        return "turns"  # nothing inside that could say


async def ask_with_shots(
    answerer: Answerer,
    instruction: Instruction,
    shots: Sequence[Demonstration],
    layout: Layout,
    trace: Trace,
    **sampling: Any,
) -> Response:
    """The answer with the shots shown. Where they do not fit into the context, the first (least alike) ones go.

    Raises:
        UsageError: if a message has an image: these are the text-only forms.
        ContextError: if the question alone does not fit.
    """
    rendered = render_documents(instruction)
    if any(isinstance(part, ImagePart) for m in rendered.messages for part in m.content):
        raise UsageError(
            f"instruction '{instruction.id}' has an image, and examples are shown as text here",
            hint="Describe the image in words",
        )
    kept = list(shots)
    while True:
        program = layout.program(kept, answerer)
        changes: dict[str, Any] = {"stop": program.stop, **sampling} if program.stop else sampling
        try:
            answer = await draw(answerer, retold(rendered, *program.messages(rendered.messages)), **changes)
        except ModelError as error:
            if not kept or not too_long(error):
                raise
            kept.pop(0)
            continue
        if len(kept) < len(shots):
            trace.add("note", text=f"{len(kept)} of {len(shots)} examples fit into the model's context")
        return answer


def too_long(error: ModelError) -> bool:
    """Whether a shorter prompt might do."""
    said = error.message.lower()  # endpoints say it in words
    return isinstance(error, ContextError) or "context_length_exceeded" in said or "maximum context length" in said


def until(text: str, *markers: str) -> str:
    """The text up to the first marker, or to where the model asks itself the next question; without quotes around."""
    found = [_NEXT_QUESTION.search(text), *(re.search(re.escape(marker), text, re.I) for marker in markers)]
    text = text[: min((match.start() for match in found if match), default=len(text))].strip()
    return text[1:-1] if len(text) > 1 and text[0] == text[-1] == '"' else text


def first_phrase(text: str) -> str:
    """A short answer: up to the first comma or full stop, without quotes (EvALign's repository does so)."""
    return re.split(r",|\.(?=\s|$)|\n", text.strip(), maxsplit=1)[0].strip(" \"'")
