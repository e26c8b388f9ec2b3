"""Few-shot prompting: solved examples before the question (Brown et al. 2020, arXiv 2005.14165; EvALign's plain ICL).

The baseline of the other in-context strategies. In EvALign-ICL (Shukor et al. 2024, arXiv 2310.00647) examples carry
images; these are the text-only forms, where a scene is described in words.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

from adhere.answer.base import Strategy, Trace
from adhere.answer.in_context import Form, Layout, ask_with_shots, first_phrase, until
from adhere.answer.pool import Pool, answer_of, question_of
from adhere.answer.prompt_program import Demonstration
from adhere.answer.select_examples import Embedder, Selection
from adhere.errors import UsageError
from adhere.records import Example, Instruction, Response
from adhere.registry import register
from adhere.roles import Answerer

__all__ = ["FewShot", "ShowsExamples", "check_shots", "retexted"]


class ShowsExamples(Strategy):
    """Base of the strategies that show examples of a pool.

    Args:
        model, pool, n, selection, form, embedder: As for `FewShot`.
        layout: How they are written down, see `Layout`.
        least: The smallest n that makes sense.
    """

    def __init__(
        self,
        model: Answerer,
        pool: str | Sequence[Example] | Pool,
        n: int,
        selection: Selection,
        form: Form,
        embedder: Embedder | str,
        *,
        layout: str = "icl",
        least: int = 1,
    ) -> None:
        check_shots("n", n, least)
        self.model = model
        self.pool = pool
        self.n = n
        self.selection = selection
        self.form = form
        self.embedder = embedder
        self._pool = pool if isinstance(pool, Pool) else Pool(pool, selection, embedder)
        self._layout = Layout(layout, form)

    async def _shown(
        self, instruction: Instruction, trace: Trace, answered: Callable[[Example], str] = answer_of
    ) -> Response:
        """The model's answer with `n` examples in front, each answered as `answered` says."""
        examples = await self._pool.pick(instruction, self.n)
        shots = [Demonstration(question_of(example), answered(example)) for example in examples]
        items = [{"input": shot.input, "output": shot.output} for shot in shots]
        trace.add("demonstrations", items=items, selection=self.selection)
        return await ask_with_shots(self.model, instruction, shots, self._layout, trace)


@register("few_shot", paper="evalign-icl")
class FewShot(ShowsExamples):
    """Shows `n` examples of a pool, then asks.

    Args:
        model: What answers.
        pool: A JSONL file of solved examples (see `pool.read_pool`), examples, or a `Pool`, which brings its own way to
            select.
        n: Shots; 0 asks as is, in the form's layout.
        selection: "random" (drawn per question), "bm25", "embedding" or "diverse".
        form: Shots as "turns" of a chat or as one "text"; "auto" asks the model.
        short: Keep only the answer's first phrase, as benchmarks of short answers do.
        embedder: For selections by meaning: "minilm" or "tfidf".

    Raises:
        DataError: if the pool cannot be read.
        UsageError: for arguments that make no sense; when answering, if the pool is smaller than `n`.
    """

    def __init__(
        self,
        model: Answerer,
        pool: str | Sequence[Example] | Pool,
        n: int = 4,
        selection: Selection = "random",
        form: Form = "auto",
        short: bool = False,
        embedder: Embedder | str = "minilm",
    ) -> None:
        super().__init__(model, pool, n, selection, form, embedder, least=0)
        self.short = short

    async def respond(self, instruction: Instruction, trace: Trace) -> Response:
        """One call."""
        answer = await self._shown(instruction, trace)
        return retexted(answer, until(answer.text), short=self.short)


def retexted(answer: Response, text: str, *, short: bool = False) -> Response:
    """The response with another text, of it only the first phrase if `short`."""
    return msgspec.structs.replace(answer, text=first_phrase(text) if short else text)


def check_shots(name: str, n: int, least: int = 1) -> None:
    """Raises UsageError unless `n` is a number of shots."""
    if not isinstance(n, int) or isinstance(n, bool) or n < least:
        raise UsageError(f"{name} is {n!r}", hint=f"It is a number of examples, at least {least}")
