"""Whether an answer says only what its passages say, by words; and whether it declines to answer.

Adlakha et al. 2024, "Evaluating Correctness and Faithfulness of Instruction-Following Models for Question Answering"
(arXiv 2307.16877), section 4.2. The knowledge is everything that was shown, joined by a space. K-Precision, the share
of the answer's words that the knowledge has, agrees with people best among the cheap measures; it also rewards copying
and one-word answers, and gives "I don't know" credit for its common words, so refusals (`declines`) are counted by
themselves. The `_pp` measures ("++") leave out what the question said already.

Judged by models: `judges/faithfulness.py`; by vectors: `texts/bert_score.py`. As a scorer
(`faithfulness(metric=k_precision)`)
it reads what the response's trace says was shown, else the instruction's documents.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, Literal, get_args

from adhere.errors import UsageError
from adhere.records import Document, Instruction, Response, Score
from adhere.registry import register
from adhere.score.texts.overlap import qa_words, shared, token_f1, token_precision, token_recall

__all__ = [
    "K_METRICS",
    "Faithfulness",
    "KMetric",
    "asked",
    "declines",
    "k_f1",
    "k_precision",
    "k_precision_pp",
    "k_recall",
    "shown_passages",
    "spaced",
]

KMetric = Literal["k_precision", "k_recall", "k_f1", "k_precision_pp"]
LONGEST_REFUSAL = 300  # characters in which an answer that declines says so

# A refusal as instructed, and the ways in which tuned models put it. Each names who does not know, or the passages, or
# the answer itself, lest "the author is not known for poems" or "it cannot be found in Europe" count.
_DECLINES = re.compile(
    r"\b(?:i (?:really )?(?:do not|don't|dont) know"
    r"|i(?:'m| am) (?:not (?:sure|certain|able to)|unable to)"
    r"|i (?:cannot|can't|can not|could not|couldn't) (?:answer|determine|find|provide|tell|say)"
    r"|i (?:do not|don't) have (?:any |enough |the |that )?(?:information|answer)|i have no (?:idea|information)"
    r"|(?:passages?|texts?|information|context|documents?|articles?|evidence) (?:\w+ ){0,3}?"
    r"(?:does not|do not|doesn't|don't|did not) (?:\w+ )?"
    r"(?:mention|provide|contain|say|state|specify|include|give|answer)"
    r"|not (?:mentioned|stated|specified|provided|given|included|found) (?:in|by) (?:the|this|these|any|either)"
    r"|(?:cannot|can't|can not|could not) be (?:answered|determined)"
    r"|(?:not enough|insufficient|no) information|unanswerable|there is no answer)\b",
    re.I,
)
# Scripts that put no space between words: each of their characters stands for one.
_UNSPACED = re.compile(r"([\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af])")


def k_precision(text: str, passages: Sequence[str], question: str = "") -> float:
    """The share of the text's words that the passages have, 0 to 1; 0 for an empty text.

    Raises:
        UsageError: without a passage.

    >>> k_precision("Paris, of course", ["Paris is the capital."])
    0.3333333333333333
    """
    return token_precision(text, [_knowledge(passages)])


def k_recall(text: str, passages: Sequence[str], question: str = "") -> float:
    """The share of the passages' words that the text has, 0 to 1."""
    return token_recall(text, [_knowledge(passages)])


def k_f1(text: str, passages: Sequence[str], question: str = "") -> float:
    """F1 of the text's words and the passages', 0 to 1: low for any answer that is no summary."""
    return token_f1(text, [_knowledge(passages)])


def k_precision_pp(text: str, passages: Sequence[str], question: str = "") -> float:
    """K-Precision of the words that are not in the question (in a conversation: in all of it); 1.0 if none is left."""
    known = set(qa_words(question))
    words = [word for word in qa_words(text) if word not in known]
    return shared(words, qa_words(_knowledge(passages))) / len(words) if words else 1.0


K_METRICS: dict[str, Callable[[str, Sequence[str], str], float]] = {
    "k_precision": k_precision,
    "k_recall": k_recall,
    "k_f1": k_f1,
    "k_precision_pp": k_precision_pp,
}


def declines(text: str) -> bool:
    """Whether an answer says, at its start, that it cannot be given from what is there.

    >>> declines("I don't know."), declines("The passage does not mention it."), declines("He did not know her.")
    (True, True, False)
    """
    return _DECLINES.search(text[:LONGEST_REFUSAL].replace("\u2019", "'")) is not None


def spaced(text: str) -> str:
    """The text with a space around each character of scripts that write none, so that bags of words mean something."""
    return _UNSPACED.sub(r" \1 ", text)


def shown_passages(instruction: Instruction, response: Response) -> list[str]:
    """What the answer could rest on: the passages that the trace says were shown, else the instruction's documents.

    A title belongs to its passage, since it is shown with it.
    """
    for step in response.trace:
        if step.get("step") == "passages":
            return [_with_title(item) for item in step["items"]]
    return [_with_title({"title": d.title, "text": d.text}) for d in instruction.documents]


def as_items(documents: Sequence[Document]) -> list[dict[str, str]]:
    """Documents as the items of a trace's step `passages`."""
    return [{"title": d.title, "text": d.text} for d in documents]


def asked(instruction: Instruction) -> str:
    """All that was said before the answer, which the `_pp` measures leave out."""
    return "\n".join(message.text for message in instruction.messages)


@register("faithfulness", paper="instruct-qa")
class Faithfulness:
    """Scores a response against its passages, by words.

    `value` is the measure, 0 to 1; `passed` stays undecided, since no threshold is part of the method. Without passages
    there is no value.

    Args:
        metric: "k_precision", "k_recall", "k_f1" or "k_precision_pp".
    """

    def __init__(self, metric: KMetric = "k_precision") -> None:
        if metric not in K_METRICS:
            raise UsageError(f"unknown metric '{metric}'", hint=f"There are: {', '.join(get_args(KMetric))}")
        self.metric: KMetric = metric

    def __repr__(self) -> str:
        return f"Faithfulness({self.metric!r})"

    async def score(self, instruction: Instruction, response: Response) -> Score:
        """As the class says."""
        passages = shown_passages(instruction, response)
        if not passages:
            return Score(self.metric, reason="no passages were shown")
        value = K_METRICS[self.metric](response.text, passages, asked(instruction))
        missing = _unsupported(response.text, passages)
        return Score(self.metric, value, reason=f"not in the passages: {', '.join(missing) or 'nothing'}")


def _unsupported(text: str, passages: Sequence[str], most: int = 12) -> list[str]:
    known = Counter(qa_words(_knowledge(passages)))
    return list((Counter(qa_words(text)) - known).keys())[:most]


def _knowledge(passages: Sequence[str]) -> str:
    if isinstance(passages, str) or not passages:
        raise UsageError("faithfulness needs a list of at least one passage")
    return " ".join(passages)


def _with_title(item: dict[str, Any]) -> str:
    return " ".join(part for part in (item.get("title", ""), item.get("text", "")) if part)
