"""A pool of solved examples to show: read from a file or given as records, picked for a question."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from adhere.answer.select_examples import Embedder, Selection, Selector
from adhere.data import jsonl
from adhere.data.rows import instruction_of
from adhere.engine import context
from adhere.errors import AdhereError, DataError, UsageError
from adhere.models.hierarchy import render_documents
from adhere.records import Example, Instruction, Response

__all__ = ["Pool", "answer_of", "answer_or_none", "question_of", "read_pool"]

QUESTIONS = ("question", "input", "prompt", "instruction")
ANSWERS = ("answer", "output", "response", "completion", "target")
FORMS = 'Write {"question": …, "answer": …}, {"messages": […]} ending with the answer, or our Example records'


class Pool:
    """Solved examples, and a way to choose among them.

    Args:
        source: A JSONL file (see `read_pool`), or examples.
        selection: See `select_examples`.
        embedder: For selections by meaning.

    Raises:
        DataError: if the file cannot be read, or an example has no answer.
        UsageError: for an unknown selection.
    """

    def __init__(
        self,
        source: str | Path | Sequence[Example],
        selection: Selection = "random",
        embedder: Embedder | str = "minilm",
    ) -> None:
        self.examples = read_pool(source)
        self._questions = [question_of(example) for example in self.examples]
        self._selector = Selector(self._questions, selection, embedder)

    def __len__(self) -> int:
        return len(self.examples)

    async def pick(self, instruction: Instruction, n: int, *, fewer: bool = False) -> list[Example]:
        """`n` examples for a question, the best match last. The question itself is never among them.

        Random picks differ from question to question and depend on the run's seed.

        Raises:
            UsageError: if the pool has fewer other examples, unless `fewer` will do.
        """
        return [self.examples[at] for at in await self.positions(instruction, n, fewer=fewer)]

    async def positions(self, instruction: Instruction, n: int, *, fewer: bool = False) -> list[int]:
        """As `pick`, as positions in `examples`."""
        query = render_documents(instruction).prompt
        own = {at for at, question in enumerate(self._questions) if question == query}
        if len(self.examples) - len(own) < n and not fewer:
            raise UsageError(
                f"{n} examples are to be shown, and the pool has {len(self.examples) - len(own)}"
                + (" without the question itself" if own else ""),
                hint="Ask for fewer, or give a larger pool",
            )
        return await self._selector.pick(query, n, exclude=own, seed=context.current().seed)


def read_pool(source: str | Path | Sequence[Example], *, answers: bool = True) -> list[Example]:
    """Examples of a file or list, each with an answer if `answers`; a question that occurs twice counts once.

    Read are JSONL rows of `Example` records; of `{"messages": […]}` ending with the assistant's answer; and of a
    question (question, input, prompt, instruction) and an answer (answer, output, response, completion, target, or
    `references`). Other columns go into the instruction's `meta`.

    Raises:
        DataError: `file:line` and what is wrong; an example without an answer; no examples at all.
    """
    if isinstance(source, str | Path):
        found = []
        for number, row in jsonl.objects(source):
            try:
                found.append(_example(row))
            except AdhereError as error:
                raise DataError(f"{source}:{number}: {error.message}", hint=error.hint or FORMS) from error
    else:
        found = list(source)
    if not found:
        raise DataError("the pool of examples is empty", hint=FORMS)
    for example in found if answers else ():
        answer_of(example)
    unique = {question_of(example): example for example in reversed(found)}
    return list(unique.values())[::-1]


def question_of(example: Example) -> str:
    """What was asked: the last user message, with the documents that belong to it."""
    return render_documents(example.instruction).prompt


def answer_of(example: Example) -> str:
    """The good answer: the first reference, else the first response.

    Raises:
        DataError: if there is neither.
    """
    answer = answer_or_none(example)
    if answer is None:
        raise DataError(f"the example '{example.instruction.id}' has no answer", hint=FORMS)
    return answer


def answer_or_none(example: Example) -> str | None:
    """The good answer, where it is known."""
    if example.instruction.references:
        return example.instruction.references[0]
    return example.responses[0].text if example.responses else None


def _example(row: dict[str, Any]) -> Example:
    if isinstance(row.get("instruction"), dict):
        try:
            return msgspec.convert(row, Example)
        except msgspec.ValidationError as error:
            raise DataError(f"not an example: {error}") from error
    if "messages" in row:
        made = instruction_of(row)
        if made.messages[-1].role == "assistant" and len(made.messages) > 1:
            answer = made.messages[-1].text
            return Example(msgspec.structs.replace(made, messages=made.messages[:-1]), (Response(answer),))
        return Example(made)
    if isinstance(row.get("instruction"), str) and isinstance(row.get("input"), str):  # Alpaca's form
        row = {**row, "question": "\n\n".join(filter(None, (row.pop("instruction"), row.pop("input"))))}
    question = next((key for key in QUESTIONS if isinstance(row.get(key), str)), None)
    if question is None:
        raise DataError(f"no question: none of {', '.join(QUESTIONS)} is a text")
    answer = next((key for key in ANSWERS if row.get(key) is not None), None)
    rest = {key: value for key, value in row.items() if key not in (question, answer)}
    if answer is not None and not isinstance(row[answer], str | int | float):
        raise DataError(f"'{answer}' is neither text nor number")
    made = instruction_of({**rest, "prompt": row[question]})
    return Example(made, (Response(str(row[answer])),) if answer is not None else ())
