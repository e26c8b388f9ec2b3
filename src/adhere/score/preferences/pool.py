"""Who the simulated annotators are: thirteen ways to ask for a preference, dealt over one or several models.

AlpacaFarm's pool (Dubois et al. 2023, arXiv 2305.14387, section 3 and appendix) has thirteen members too: five prompts
of GPT-4, four of ChatGPT, four of Davinci-003, which differ in wording, answer style, examples and whether a reason
comes first, all at temperature 1. The wordings here are ours, and four members are surer of themselves (temperature
0.5). Its batches of four or five pairs in one prompt, which save tokens of the shared instructions, are left out: a
verdict read off the first token needs one pair a prompt.
"""

from __future__ import annotations

import hashlib
from typing import NamedTuple

from adhere.models.prompts import Template

__all__ = ["POOL", "Annotator", "model_of", "prompt_of"]

KEY_DIGITS = 8


class Annotator(NamedTuple):
    """A member of the pool.

    Attributes:
        name: Stored with every vote.
        prompt: Which of `prompts/annotator_*.txt`.
        labels: What it says for the first and for the second output.
        examples: Whether two decided comparisons stand in the prompt.
        reasons: Whether it says first what sets the outputs apart.
        temperature: Of its verdict: 1 draws it by its probability, 0 takes the likelier one.
    """

    name: str
    prompt: str
    labels: tuple[str, str]
    examples: bool = False
    reasons: bool = False
    temperature: float = 1.0


LETTERS, NUMBERS, NAMES = ("a", "b"), ("1", "2"), ("x", "y")
POOL = (
    Annotator("letters", "letters", LETTERS),
    Annotator("letters-examples", "letters", LETTERS, examples=True),
    Annotator("letters-sure", "letters", LETTERS, temperature=0.5),
    Annotator("numbers", "numbers", NUMBERS),
    Annotator("reasons", "reasons", LETTERS, reasons=True),
    Annotator("numbers-examples", "numbers", NUMBERS, examples=True),
    Annotator("short", "short", LETTERS),
    Annotator("strict", "strict", NAMES),
    Annotator("reasons-sure", "reasons", LETTERS, reasons=True, temperature=0.5),
    Annotator("strict-examples", "strict", NAMES, examples=True),
    Annotator("short-examples", "short", LETTERS, examples=True),
    Annotator("numbers-sure", "numbers", NUMBERS, temperature=0.5),
    Annotator("short-sure", "short", LETTERS, temperature=0.5),
)


def model_of(position: int, models: int) -> int:
    """Which of the models a member of the pool uses: the members are dealt in blocks, the first model's the largest.

    >>> [model_of(n, 3) for n in range(13)]
    [0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2]
    """
    return position * models // len(POOL)


def prompt_of(annotator: Annotator, question: str, first: str, second: str) -> str:
    """What an annotator reads.

    The outputs are fenced by lines that hold a hash of all three texts, which no output can know and close.
    """
    state = hashlib.sha256("\x00".join((question, first, second)).encode("utf-8", "surrogatepass"))
    fields = {"question": question, "first": first, "second": second, "key": f"<{state.hexdigest()[:KEY_DIGITS]}>"}
    if not annotator.reasons:
        fields["examples"] = _examples(annotator) if annotator.examples else ""
    return Template.of("adhere.score", f"annotator_{annotator.prompt}").render(**fields)


def _examples(annotator: Annotator) -> str:
    first, second = annotator.labels
    return Template.of("adhere.score", "annotator_examples").render(
        label_first=f"({first})", label_second=f"({second})", first_wins=first, second_wins=second
    )
