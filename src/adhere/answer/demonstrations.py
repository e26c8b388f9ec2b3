"""Chains of thought as demonstrations: their record and file, the rules that a good one passes, how they are made.

Zhang et al. 2023, "Automatic Chain of Thought Prompting in Large Language Models" (arXiv 2210.03493), section 4 and its
repository. The file is the repository's: `{"demo": [{"question", "rationale", "pred_ans", "gold_ans"}]}`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

import msgspec

from adhere.answer.base import ask, base_model
from adhere.answer.prompt_program import Demonstration, PromptProgram
from adhere.data.files import replacing
from adhere.data.jsonl import lines
from adhere.errors import DataError, UsageError
from adhere.models.prompts import Template
from adhere.records import Message, Record
from adhere.roles import Answerer
from adhere.score.texts.extract import Kind, extract_answer, normalise

__all__ = ["Chain", "Demo", "DemoSet", "Rules", "read_log", "zero_shot_chain"]

THINK = "Let's think step by step."
CHAIN_TOKENS = 256  # the repository's --max_length_cot
ANSWER_TOKENS = 32  # and --max_length_direct
LARGEST = 16 * 2**20  # bytes of a demo file
LAST_WORDS = 10  # of a chain, among which the answer of an arithmetic problem must be


class Demo(Record):
    """One demonstration, as the file has it.

    Attributes:
        question: "Q: …\\nA:".
        rationale: The chain of thought, with "Let's think step by step." in front where that was the trigger.
        pred_ans: The answer that the chain came to, right or wrong.
        gold_ans: The right one, where known.
    """

    question: str
    rationale: str
    pred_ans: str
    gold_ans: str | None = None

    @property
    def asked(self) -> str:
        """The bare question."""
        return self.question.strip().removeprefix("Q:").removesuffix("A:").strip()

    @property
    def wrong(self) -> bool | None:
        """Whether the chain came to a wrong answer; None where the right one is not known."""
        if self.gold_ans is None:
            return None
        if self.pred_ans.strip().casefold() == self.gold_ans.strip().casefold():
            return False
        return normalise(self.pred_ans, "number") != normalise(self.gold_ans, "number")


class DemoSet(Record):
    """Demonstrations, in the order in which they are shown."""

    demo: tuple[Demo, ...]

    @classmethod
    def load(cls, path: str | Path) -> DemoSet:
        """Read a demo file.

        Raises:
            DataError: naming the file, if it cannot be read, has another form, or holds no demonstration.
        """
        hint = 'Its form is {"demo": [{"question": …, "rationale": …, "pred_ans": …}]}'
        try:
            with Path(path).open("rb") as file:
                content = file.read(LARGEST + 1)
            if len(content) > LARGEST:
                raise DataError(f"{path}: larger than {LARGEST >> 20} MiB, which no demo file is", hint=hint)
            made = msgspec.json.decode(content.removeprefix(b"\xef\xbb\xbf"), type=cls)
        except OSError as error:
            raise DataError(f"{path}: {error.strerror or error}", hint=hint) from error
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise DataError(f"{path}: not a demo file: {error}", hint=hint) from error
        if not made.demo:
            raise DataError(f"{path}: no demonstrations in it", hint=hint)
        return made

    def save(self, path: str | Path) -> Path:
        """Write the file, whole or not at all; returns its path.

        Raises:
            DataError: if it cannot be written.
        """
        target = Path(path)
        with replacing(target) as part:
            part.write_bytes(msgspec.json.format(msgspec.json.encode(self), indent=4) + b"\n")
        return target

    @property
    def thinks(self) -> bool:
        """Whether the trigger stands before the chains: written by people they have none ("Manual-CoT")."""
        return all(demo.rationale.startswith(THINK) for demo in self.demo)

    def program(self, form: Literal["text", "turns"] = "text", *, think: bool | None = None) -> PromptProgram:
        """As a prompt that can be applied anywhere.

        Args:
            form: "text" is the paper's prompt, one text that ends with the trigger; "turns" makes each demonstration a
                turn of a chat, for models with a chat template.
            think: Whether the question ends with the trigger; None: where the demonstrations have it.
        """
        think = self.thinks if think is None else think
        name = "cot_question" if think else "cot_direct_question"
        question = Template.of("adhere.answer", name).text
        answer = Template.of("adhere.answer", "cot_answer")
        shown = tuple(
            Demonstration(
                demo.asked, answer.render(chain=demo.rationale.removeprefix(THINK).strip(), answer=demo.pred_ans)
            )
            for demo in self.demo
        )
        return PromptProgram(
            demonstrations=shown,
            template=question if form == "turns" else "{demonstrations}" + question,
            demonstration=f"{question} {{output}}\n\n",
            demonstrations_as=form,
            stop=("\nQ:",) if form == "text" else (),
            method="auto-cot",
        )


class Chain(NamedTuple):
    """A zero-shot chain of thought and the answer read off it; "" where none could be read."""

    question: str
    rationale: str
    answer: str


@dataclass(frozen=True)
class Rules:
    """What a chain must be like to be shown (the repository's heuristics).

    Attributes:
        max_words: Of the question, split at white space.
        max_lines: Of the chain, after doubled line breaks are merged; the paper takes 7 for last letters.
    """

    max_words: int = 60
    max_lines: int = 5

    def failed(self, chain: Chain, kind: Kind) -> str:
        """Which rule the chain breaks first; "" if none."""
        said = [line for line in chain.rationale.split("\n") if line.strip()]
        if len(chain.question.split()) > self.max_words:
            return f"question of more than {self.max_words} words"
        if len(said) > self.max_lines:
            return f"chain of more than {self.max_lines} lines"
        if not chain.rationale.rstrip().endswith("."):
            return "chain without a full stop at its end"
        if not chain.answer:
            return "no answer"
        if kind == "number" and not _concludes(chain):
            return "answer not in the last sentence of the chain"
        return ""


def _concludes(chain: Chain) -> bool:
    """Whether the number is in the chain's last sentence, or among its last ten words.

    A full stop within a number ends no sentence, which the repository overlooks (`split(".")[-2]`).
    """
    last = re.split(r"(?<=\.)\s+", chain.rationale.strip())[-1]
    words = f"{last} {' '.join(chain.rationale.split()[-LAST_WORDS:])}"
    return chain.answer in {normalise(number, "number") for number in re.findall(r"-?\$?[\d,.]*\d", words)}


def read_log(path: str | Path) -> list[tuple[Chain, str | None]]:
    """Zero-shot chains with their right answers, from a log of `kojima-takeshi188/zero_shot_cot`.

    Read are the lines "Q: …", "A: …" (the chain may go on over more lines, up to "Therefore, … the answer …"),
    "pred_mode : …" and "GT : …"; a block ends with the last of them. A block without chain or prediction is skipped.

    Raises:
        DataError: naming the file, if it cannot be read or has no such block.
    """
    found: list[tuple[Chain, str | None]] = []
    question, answer = "", ""
    chain: list[str] | None = None
    open_chain = False
    for _, raw in lines(path):
        line = raw.decode("utf-8", "replace")
        if line.startswith("Q: "):
            question, answer, chain = line.removeprefix("Q: ").strip(), "", None
        elif line.startswith("A: ") and chain is None:
            chain, open_chain = [line.removeprefix("A: ").removeprefix(THINK).strip()], True
        elif "Therefore" in line and "the answer" in line:
            open_chain = False
        elif line.startswith("pred_mode"):
            answer, open_chain = line.partition(":")[2].strip(), False
        elif line.startswith("GT :"):
            if question and chain and answer:
                found.append(
                    (Chain(question, "\n".join(chain).strip(), answer), line.partition(":")[2].strip() or None)
                )
            question, chain, open_chain = "", None, False
        elif open_chain and chain is not None:
            chain.append(line)
    if not found:
        raise DataError(f"{path}: no chains in it", hint='Blocks have lines "Q: ", "A: ", "pred_mode : " and "GT : "')
    return found


def _tokens(answerer: Answerer) -> int:
    """The cap of a chain: the paper's, or the model's own where that is lower."""
    try:
        return min(CHAIN_TOKENS, base_model(answerer).sampling.max_tokens)
    except UsageError:
        return CHAIN_TOKENS


async def zero_shot_chain(answerer: Answerer, question: str, kind: Kind, form: Literal["text", "turns"]) -> Chain:
    """Let the model think, then ask it for the answer (Kojima et al. 2022, arXiv 2205.11916): two greedy calls.

    Args:
        answerer: What thinks.
        question: The bare question.
        kind: Of the answer.
        form: "text" continues one text; "turns" asks for the answer in a second turn.
    """
    prompt = Template.of("adhere.answer", "cot_question").render(input=question)
    # A model that continues text goes on with a question of its own; a chat model's turn just ends.
    changes: dict[str, Any] = {"temperature": 0.0} | ({"stop": ("\nQ:",)} if form == "text" else {})
    thought = (await ask(answerer, prompt, max_tokens=_tokens(answerer), **changes)).text.strip()
    conclude = Template.of("adhere.answer", f"cot_extract_{kind}").text
    if form == "text":
        conversation = (Message("user", f"{prompt} {thought}\n{conclude}"),)
    else:
        conversation = (Message("user", prompt), Message("assistant", thought), Message("user", conclude))
    said = (await ask(answerer, conversation, max_tokens=ANSWER_TOKENS, **changes)).text
    # What follows the trigger of the second prompt: a "The answer is" within it counts if it says so again.
    return Chain(question, thought, extract_answer(f"The answer is {said}", kind) or "")
