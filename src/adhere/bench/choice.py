"""Multiple-choice benchmarks by log-likelihood: how a row is put, what is kept of it, how it is graded.

An instruction's last message is the question up to where the answer begins; `meta["options"]` are the answers to choose
from and `meta["answer"]` is the position of the right one. `ask_choices` scores the options and puts every figure into
the trace, so that a run is graded again, by another norm say, without a model:

    {"step": "choices", "set": "options", "options": […], "logprobs": […], "tokens": […], "shots": 0}

TruthfulQA has a second set, each of whose options is true or false: `meta["mc2"] = {"options": […], "labels": [1, 0]}`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from adhere.bench.base import Options
from adhere.engine import context
from adhere.errors import ContextError, DataError, UsageError
from adhere.models.base import Sampling
from adhere.models.model import Model
from adhere.records import Instruction, Message, Response, Score, Usage
from adhere.score.choices import Choices, Norm, likelihoods

__all__ = [
    "ChoiceScorer",
    "ask_choices",
    "choice",
    "choices_of",
    "completion",
    "round_robin",
    "scoring_model",
    "untemplated",
]


def choice(id: str, context: str, options: Sequence[str], answer: int, **meta: Any) -> Instruction:
    """A multiple-choice question.

    Raises:
        DataError: if `answer` is none of the options' positions, or there are fewer than two.
    """
    if len(options) < 2 or not 0 <= answer < len(options):
        raise DataError(f"{id}: answer {answer} of {len(options)} options", hint="Positions count from 0")
    kept = {"options": list(options), "answer": answer, **meta}
    return Instruction(id, (Message("user", context),), references=(options[answer],), meta=kept)


def scoring_model(answerer: Any) -> Model:
    """The model whose log-probabilities are asked for.

    Raises:
        UsageError: for a strategy, which generates and so has no say in what a given text's probability is.
        CapabilityError: if the model cannot score given text.
    """
    if not isinstance(answerer, Model):
        raise UsageError(
            "this benchmark compares log-probabilities of given answers, which a strategy does not change",
            hint="Give a model alone, e.g. --model smollm2",
        )
    answerer.info.require("logprobs")
    return answerer


async def ask_choices(
    options: Options, instruction: Instruction, shots: Callable[[Instruction], Sequence[str]] = lambda _: ()
) -> Response:
    """Score the options of one question; the answer's text is the likeliest option.

    Args:
        options: With the model.
        instruction: As `choice` makes it.
        shots: Texts of solved questions that stand before it, if any. Those that do not fit into the model's context
            are left out, from the last one on; the trace says how many were used.

    Raises:
        UsageError, CapabilityError: as `scoring_model`, and for blank options.
        ContextError: if the question alone does not fit.
    """
    model = scoring_model(options.answerer)
    solved = list(shots(instruction))
    sets = {"options": instruction.meta["options"]}
    if "mc2" in instruction.meta:
        sets["mc2"] = instruction.meta["mc2"]["options"]
    while True:
        context = "".join(solved) + instruction.prompt
        try:
            found = {name: await likelihoods(model, context, texts) for name, texts in sets.items()}
            break
        except ContextError:
            if not solved:
                raise
            solved.pop()
    steps = tuple({"step": "choices", "set": n, "shots": len(solved), **c._asdict()} for n, c in found.items())
    read = sum(sum(c.tokens) for c in found.values())
    return Response(found["options"].options[found["options"].best()], model.name, usage=Usage(read), trace=steps)


async def completion(options: Options, text: str, *, max_tokens: int, stop: tuple[str, ...] = ()) -> Response:
    """What the answerer makes of a plain text that ends where its answer begins, greedily.

    A model that can goes on writing, without a chat template, as the harnesses of few-shot benchmarks do it; a strategy
    or a chat endpoint gets the text as a user's message.
    """
    answerer = options.answerer
    sampling = Sampling(max_tokens=max_tokens, stop=stop)
    if isinstance(answerer, Model) and "complete" in answerer.info.capabilities:
        return await untemplated(answerer).generate(text, sampling)
    if answerer is None:
        raise UsageError("there is no model to ask", hint="Add --model smollm2")
    changes: dict[str, Any] = {"stop": stop} if stop else {}
    with context.drawing(0, max_tokens=max_tokens, temperature=0.0, **changes):
        return await answerer.answer(Instruction("", (Message("user", text),)))


def untemplated(model: Model) -> Model:
    """The same model, store and counts, continuing plain text."""
    made = Model(model.backend, sampling=model.sampling, store=model.store, patience=model.patience, chat=False)
    made.stats = model.stats
    return made


def choices_of(response: Response, name: str = "options") -> Choices:
    """The scored options that a response's trace holds.

    Raises:
        DataError: if there are none: the answer was generated, not chosen.
    """
    for step in response.trace:
        if step.get("step") == "choices" and step.get("set") == name:
            return Choices(tuple(step["options"]), tuple(step["logprobs"]), tuple(step["tokens"]))
    raise DataError(f"the trace has no scored choices '{name}'", hint="Run the benchmark again; it chooses, not writes")


class ChoiceScorer:
    """Grades a choice: is the right option the likeliest?

    Parts: `accuracy` (by the norm of the question's own task), `acc` (by the sum) and `acc_norm` (per character), as in
    lm-eval; for a question with a second set `mc2`, the probability of its true options against all of them.

    Args:
        norms: By `meta["task"]`; a task that is not named goes by the sum.
    """

    def __init__(self, norms: dict[str, Norm] | None = None) -> None:
        self.norms = norms or {}

    async def score(self, instruction: Instruction, response: Response) -> Score:
        """As the class says.

        Raises:
            DataError: if the trace holds no choices.
        """
        found, answer = choices_of(response), instruction.meta["answer"]
        own: Norm = self.norms.get(str(instruction.meta.get("task")), "sum")
        named: tuple[tuple[str, Norm], ...] = (("accuracy", own), ("acc", "sum"), ("acc_norm", "char"))
        parts = [_right(name, found, norm, answer) for name, norm in named]
        if "mc2" in instruction.meta:
            labels = instruction.meta["mc2"]["labels"]
            shares = choices_of(response, "mc2").probabilities()
            true = sum(share for share, label in zip(shares, labels, strict=True) if label)
            parts.append(Score("mc2", min(1.0, true), reason="probability of the true answers"))
        return Score("choice", parts[0].value, parts[0].passed, tuple(parts), parts[0].reason)


def _right(name: str, found: Choices, norm: Norm, answer: int) -> Score:
    best = found.best(norm)
    reason = f"chose {found.options[best]!r}" + ("" if best == answer else f" instead of {found.options[answer]!r}")
    return Score(name, float(best == answer), best == answer, reason=reason)


def round_robin(groups: Sequence[Sequence[Instruction]]) -> list[Instruction]:
    """The first of each group, then the second of each, …: any beginning is a fair sample."""
    longest = max((len(group) for group in groups), default=0)
    return [group[n] for n in range(longest) for group in groups if n < len(group)]
