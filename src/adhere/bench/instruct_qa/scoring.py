"""Grading an answer: correctness against the known answers, faithfulness to the passages, and refusing.

Three settings (section 6 of the paper): `answer`, where all measures are taken; `irrelevant`, where the passage says
nothing about the question and "I don't know" is right; `relevant`, the same prompt with the passage that holds the
answer, where refusing is wrong.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from adhere.bench.base import Metric, Options, Scored
from adhere.bench.figures import share
from adhere.bench.instruct_qa.asking import clean
from adhere.errors import DependencyError, WeightsError
from adhere.records import Instruction, Response, Score
from adhere.score.texts import ngrams as overlap_ngrams
from adhere.score.texts import overlap
from adhere.score.texts.faithfulness import K_METRICS, asked, declines, shown_passages, spaced

__all__ = ["METRICS", "QAScorer", "make_scorer", "qa_metrics", "summary"]

log = logging.getLogger("adhere")

CORRECTNESS: dict[str, Callable[[str, Sequence[str]], float]] = {
    "recall": overlap.token_recall,
    "exact_match": overlap.exact_match,
    "f1": overlap.token_f1,
    "precision": overlap.token_precision,
    "strict_recall": overlap.strict_recall,
    "rouge_1": lambda text, references: overlap.rouge_n(text, references, 1),
    "rouge_2": lambda text, references: overlap.rouge_n(text, references, 2),
    "rouge_l": overlap.rouge_l,
    "meteor": overlap_ngrams.meteor,
    "bleu": overlap_ngrams.bleu,
}
METRICS = {
    "recall": Metric("recall of a known answer's words"),
    "strict_recall": Metric("holds a known answer"),
    "exact_match": Metric("equals a known answer"),
    "f1": Metric("F1 with a known answer"),
    "precision": Metric("precision against a known answer"),
    "rouge_1": Metric("ROUGE-1"),
    "rouge_2": Metric("ROUGE-2"),
    "rouge_l": Metric("ROUGE-L"),
    "meteor": Metric("METEOR without synonyms"),
    "bleu": Metric("sentence BLEU"),
    "bert_score": Metric("BERTScore (MiniLM)", ""),
    "llm_eval": Metric("judge: says the known answer"),
    "k_precision": Metric("K-Precision: words that the passages have"),
    "k_precision_pp": Metric("K-Precision++: without the question's words"),
    "k_recall": Metric("K-Recall"),
    "k_f1": Metric("K-F1"),
    "k_bert_score": Metric("K-BERTScore, precision (MiniLM)", ""),
    "k_llm_eval": Metric("judge: supported by the passages"),
    "faith_critic": Metric("judge: probability of being unfaithful", "", "lower"),
    "q2": Metric("judge: Q², questions about the answer put to the passages"),
    "q2_f1": Metric("judge: Q² by words alone"),
    "k_precision_answered": Metric("K-Precision of answers that do not decline"),
    "declined": Metric("declines where it need not", better="lower"),
    "refuses": Metric("irrelevant passage: says it does not know"),
    "answers": Metric("relevant passage, same prompt: does answer"),
    "words": Metric("length of an answer", "words", "lower"),
}


def qa_metrics(
    text: str, references: Sequence[str], passages: Sequence[str] = (), question: str = ""
) -> dict[str, float]:
    """All measures by words of one answer, each 0 to 1.

    Args:
        text: The answer, as it is: `clean` it before, if it may go on with other turns.
        references: Known answers; without one there are no measures of correctness.
        passages: What it could rest on; without one there are none of faithfulness.
        question: What the "++" measure leaves out.
    """
    text, references, passages = spaced(text), [spaced(r) for r in references], [spaced(p) for p in passages]
    found = {name: measure(text, references) for name, measure in CORRECTNESS.items()} if references else {}
    if passages:
        found |= {name: measure(text, passages, spaced(question)) for name, measure in K_METRICS.items()}
    return found


class QAScorer:
    """Grades an answer of any setting; `passed` is whether it holds a known answer, or refuses or answers as it should.

    Args:
        measures: Scorers of more (BERTScore, judges); their scores, or what these have for parts, become parts.
    """

    def __init__(self, measures: Sequence[Any] = ()) -> None:
        self.measures = tuple(measures)

    async def score(self, instruction: Instruction, response: Response) -> Score:
        """One part a measure; those that are not defined for the row are left out."""
        answer = clean(response.text)
        setting = instruction.meta.get("setting", "answer")
        if setting != "answer":
            return _refusal(declines(answer), irrelevant=setting == "irrelevant")
        passages = shown_passages(instruction, response)
        found = qa_metrics(answer, instruction.references, passages, asked(instruction))
        declined = declines(answer)
        if passages and not declined:
            found["k_precision_answered"] = found["k_precision"]
        found["words"] = float(len(answer.split()))
        parts = [_part(name, value) for name, value in found.items()]
        parts.append(_part("declined", float(declined)))
        cleaned = msgspec.structs.replace(response, text=answer)
        more = await asyncio.gather(*(m.score(instruction, cleaned) for m in self.measures))
        parts += [part for m in more if not m.reason.startswith("there are no") for part in m.parts or (m,)]
        holds = found["strict_recall"] == 1.0 if instruction.references else None
        return Score("recall", found.get("recall"), holds, tuple(parts))


def make_scorer(options: Options) -> QAScorer:
    """The scorer; with a judge its verdicts are added, and BERTScore where MiniLM can be had."""
    from adhere.score.texts.bert_score import BERTScore, packaged

    measures: list[Any] = []
    try:
        packaged()
        measures += [BERTScore("references"), BERTScore("passages")]
    except (DependencyError, WeightsError) as error:
        log.warning("BERTScore is left out: %s", error)
    if options.judge is not None:
        from adhere.score.judges.faithfulness import FaithCritic, LLMEval, judging_model
        from adhere.score.judges.q2 import Q2

        judge = judging_model(options.judge)
        measures += [LLMEval(judge, "references"), LLMEval(judge, "passages"), FaithCritic(judge), Q2(judge)]
    return QAScorer(measures)


def summary(scored: Sequence[Scored], options: Options) -> dict[str, Any]:
    """How many of the questions that were put with one passage, and the prompt that allows "I don't know", went right.

    The mean of `refuses` and `answers`: a model that always refuses, or never, is at a half.
    """
    settings = [s for s in scored if s.instruction.meta.get("setting") in ("irrelevant", "relevant")]
    right = [s.score is not None and s.score.passed is True for s in settings]
    if not settings:
        return {}
    return {"knows_when": share(right, [str(s.instruction.meta["cluster"]) for s in settings])}


def _refusal(said: bool, *, irrelevant: bool) -> Score:
    right = said if irrelevant else not said
    name = "refuses" if irrelevant else "answers"
    part = Score(name, float(right), right, reason="declines" if said else "answers")
    return Score(name, part.value, right, (part,))


def _part(name: str, value: float) -> Score:
    """A measure; one that is all or nothing is a verdict as well."""
    verdict = bool(value) if name in ("exact_match", "strict_recall") else None
    return Score(name, value, verdict)
