"""Auto-CoT as a prompt optimiser: questions in, a prompt with chains of thought out (arXiv 2210.03493)."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from adhere.answer.auto_cot import DEMONSTRATIONS, SEED, AutoCoT
from adhere.answer.base import base_model
from adhere.answer.demonstrations import Rules
from adhere.answer.in_context import Form, form_of
from adhere.answer.prompt_program import PromptProgram
from adhere.answer.select_examples import Embedder
from adhere.records import Example
from adhere.roles import Answerer
from adhere.score.texts.extract import Kind

__all__ = ["build"]


async def build(
    questions: str | Sequence[Example],
    answerer: Answerer,
    embedder: Embedder | str = "minilm",
    *,
    kind: Kind = "number",
    k: int = DEMONSTRATIONS,
    rules: Rules = Rules(),  # noqa: B008  frozen
    seed: int = SEED,
    form: Form = "auto",
) -> PromptProgram:
    """Demonstrations for the task that the questions are of.

    Args:
        questions: A JSONL file or examples; their answers, where known, only count how many demonstrations are wrong.
        answerer: What thinks, and what the prompt is for.
        embedder: "minilm", "tfidf", or an embedder.
        kind: Of the answers.
        k: Clusters, so at most as many demonstrations.
        rules: What a chain of thought must be like.
        seed: Of k-means.
        form: Demonstrations as "text" or "turns"; "auto" asks the model.

    Returns:
        The program. Its score is None, since nothing is measured here; the trace holds the demonstrations in the form
        of the paper's files, and how many are wrong, where that is known.

    Raises:
        UsageError, DataError: as `AutoCoT`.
    """
    strategy = AutoCoT(answerer, questions, kind=kind, k=k, rules=rules, seed=seed, form=form, embedder=embedder)
    found = await strategy.fit()
    wrong = [demo.wrong for demo in found.demo if demo.wrong is not None]
    step = {"step": "demonstrations", "selection": "cluster", "items": msgspec.to_builtins(found.demo)}
    if wrong:
        step["wrong"] = sum(wrong)
    name = base_model(answerer).name
    return msgspec.structs.replace(
        found.program(form_of(form, answerer)), writer=name, answerer=name, seed=seed, trace=(step,)
    )
