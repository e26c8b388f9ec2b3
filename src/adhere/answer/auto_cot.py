"""Auto-CoT: chain-of-thought demonstrations that nobody wrote (Zhang et al. 2023, arXiv 2210.03493).

Questions are clustered by sentence embedding; each cluster gives the question nearest its centre whose zero-shot chain
passes simple rules; these question-chain-answer triples are the prompt. Here: building (`demonstrations`), the strategy
`AutoCoT` with the paper's four ways to choose (by cluster, at random, by likeness, within the question's own cluster),
and `stream`, the streaming form Auto-CoT*.

Differs: chains are made in order of distance until one passes, which gives the same demonstrations as making all
first; arithmetic on decimals does not break the rule on the last sentence; with "turns" the demonstrations are turns of
a chat, which the paper's completion models had not. Do not expect a gain everywhere: wrong chains gather in clusters
where error types follow question types, and on GSM8K they do not.
"""

from __future__ import annotations

import asyncio
import random
import re
import warnings
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args

from adhere.answer.apart import Once, apart
from adhere.answer.base import Strategy, Trace, draw, retold
from adhere.answer.demonstrations import THINK, Chain, Demo, DemoSet, Rules, zero_shot_chain
from adhere.answer.in_context import Form, check_form, form_of, too_long
from adhere.answer.pool import answer_or_none, question_of, read_pool
from adhere.answer.select_examples import Embedder, embedder_of
from adhere.engine import context
from adhere.engine.seeds import derive
from adhere.errors import DataError, ModelError, UsageError, missing_extra, suggest
from adhere.records import Example, Instruction, Response
from adhere.registry import register
from adhere.roles import Answerer
from adhere.score.texts.extract import KINDS, Kind, after_trigger, extract_answer

__all__ = ["AutoCoT", "Clusters", "Select", "clusters", "demonstrations", "from_chains", "stream"]

Select = Literal["cluster", "random", "retrieve", "in_cluster"]
DEMONSTRATIONS = 8  # the paper's k; AQuA and last letters 4, CommonsenseQA 7, StrategyQA 6
SEED = 192  # the repository's --random_seed
RESTARTS = 10  # scikit-learn's n_init when the paper's demonstrations were made; its default has changed since
BATCH = 30  # the paper's m, in the streaming form


class Clusters(NamedTuple):
    """Questions by cluster: for each, positions from the nearest to the centre to the farthest."""

    members: tuple[tuple[int, ...], ...]

    def of(self, at: int) -> tuple[int, ...]:
        """The cluster that a position is in."""
        return next(members for members in self.members if at in members)


def clusters(vectors: Any, k: int, seed: int = SEED) -> Clusters:
    """K-means of unit vectors, shape (questions, dimensions). Fewer than `k` clusters where fewer differ.

    Raises:
        DependencyError: without scikit-learn.
    """
    import numpy as np

    try:
        from sklearn.cluster import KMeans
    except ImportError as error:
        raise missing_extra("scikit-learn", "embed", "Auto-CoT's k-means") from error
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # ConvergenceWarning: fewer distinct points than clusters
        fitted = KMeans(n_clusters=k, random_state=seed, n_init=RESTARTS).fit(vectors)
    distance = np.linalg.norm(vectors - fitted.cluster_centers_[fitted.labels_], axis=1)
    members = (np.flatnonzero(fitted.labels_ == cluster) for cluster in range(k))
    nearest_first = (rows[np.argsort(distance[rows], kind="stable")] for rows in members if len(rows))
    return Clusters(tuple(tuple(rows.tolist()) for rows in nearest_first))


async def demonstrations(
    groups: Clusters,
    chain_of: Callable[[int], Awaitable[Chain]],
    kind: Kind,
    rules: Rules,
    golds: Sequence[str | None],
) -> DemoSet:
    """One demonstration a cluster: the question nearest the centre whose chain passes the rules; none where none does.

    Args:
        groups: The clusters.
        chain_of: The zero-shot chain of a question, by its position.
        kind: Of the answers.
        rules: What a chain must be like.
        golds: The right answers, where known; they are written down and decide nothing.

    Raises:
        DataError: if no chain of any cluster passes; it counts which rule failed how often.
    """
    failures: Counter[str] = Counter()

    async def first(members: tuple[int, ...]) -> Demo | None:
        for at in members:
            chain = await chain_of(at)
            failed = rules.failed(chain, kind)
            if not failed:
                return as_demo(chain, golds[at])
            failures[failed] += 1
        return None

    found = await asyncio.gather(*(first(members) for members in groups.members))
    kept = tuple(demo for demo in found if demo is not None)
    if not kept:
        counts = "; ".join(f"{n} × {rule}" for rule, n in failures.most_common())
        raise DataError(
            f"none of {failures.total()} questions passes the rules: {counts}",
            hint="Loosen the rules, or take a model whose chains of thought end with an answer",
        )
    return DemoSet(kept)


def as_demo(chain: Chain, gold: str | None) -> Demo:
    """A chain in the file's form: on one line, the trigger in front."""
    rationale = f"{THINK} {' '.join(chain.rationale.split())}"
    return Demo(f"Q: {chain.question}\nA:", rationale, chain.answer, gold)


@register("auto_cot", paper="auto-cot")
class AutoCoT(Strategy):
    """Asks with chain-of-thought demonstrations that it made by itself.

    Args:
        model: What thinks, when building and when answering.
        pool: Questions to build from: a JSONL file or examples; answers are not needed. A few hundred are enough.
        demos: Instead of a pool, demonstrations that exist: a file or a `DemoSet`.
        kind: Of the answers: "number", "choice", "yes_no", "letters", "text".
        k: Clusters, so at most as many demonstrations.
        select: "cluster" is Auto-CoT: the same demonstrations for every question. "random", "retrieve" (the k most
            alike) and "in_cluster" (k at random from the question's own cluster) are the paper's comparisons: they
            choose per question, and take zero-shot chains as they are, without the rules.
        rules: For "cluster".
        seed: Of k-means and of random choices.
        form: Demonstrations in one "text" as in the paper, or as "turns"; "auto" asks the model.
        embedder: "minilm", "tfidf" or an embedder.

    Raises:
        UsageError: for arguments that make no sense; without a pool and without demonstrations.
        DataError: if a file cannot be read; when building, if no chain passes the rules.
    """

    def __init__(
        self,
        model: Answerer,
        pool: str | Sequence[Example] | None = None,
        demos: str | DemoSet | None = None,
        kind: Kind = "number",
        k: int = DEMONSTRATIONS,
        select: Select = "cluster",
        rules: Rules = Rules(),  # noqa: B008  frozen
        seed: int = SEED,
        form: Form = "auto",
        embedder: Embedder | str = "minilm",
    ) -> None:
        if (pool is None) == (demos is None):
            raise UsageError("auto_cot needs a pool of questions, or demonstrations", hint="Give pool= or demos=")
        if not isinstance(k, int) or k < 1:
            raise UsageError(f"auto_cot: k is {k!r}", hint="It is a number of demonstrations, at least 1")
        check_form(form)
        for name, value, known in (("kind", kind, KINDS), ("select", select, get_args(Select))):
            if value not in known:
                raise UsageError(f"auto_cot: unknown {name} '{value}'", hint=suggest(str(value), known))
        self.model = model
        self.pool = pool
        self.demos = demos
        self.kind: Kind = kind
        self.k = k
        self.select = select
        self.rules = rules
        self.seed = seed
        self.form = form
        self.embedder = embedder
        examples = [] if pool is None else read_pool(pool, answers=False)
        self._questions = [question_of(example) for example in examples]
        self._golds = [answer_or_none(example) for example in examples]
        self._given = DemoSet.load(demos) if isinstance(demos, str | Path) else demos
        self._space = Once(self._embed)
        self._groups = Once(self._cluster)
        self._built = Once(self._build)

    async def fit(self) -> DemoSet:
        """The demonstrations for "cluster", built when first asked for; their cost is no answer's.

        Raises:
            DataError: if no question passes the rules.
        """
        return self._given if self._given is not None else await self._built.get()

    async def respond(self, instruction: Instruction, trace: Trace) -> Response:
        """One call. The text is the chain of thought with its answer; the trace says what was read off it."""
        shown = await self.shown(instruction)
        if not shown.demo:
            raise UsageError("the only demonstration is the question itself", hint="Give a larger pool")
        while True:
            program = shown.program(form_of(self.form, self.model))
            changes: dict[str, Any] = {"stop": program.stop} if program.stop else {}
            asked = retold(instruction, *program.messages(instruction.messages))
            try:
                answer = await draw(self.model, asked, **changes)
                break
            except ModelError as error:
                if len(shown.demo) < 2 or not too_long(error):
                    raise
                shown = await self._without_farthest(shown, instruction.prompt)
                trace.add("note", text=f"{len(shown.demo)} demonstrations fit into the model's context")
        items = [{"input": demo.asked, "output": f"{demo.rationale} → {demo.pred_ans}"} for demo in shown.demo]
        trace.add("demonstrations", items=items, selection=self.select)
        how = "after" if after_trigger(answer.text) is not None else "without"
        trace.add("note", text=f"answer read {how} 'The answer is': {extract_answer(answer.text, self.kind)}")
        return answer

    # What is prepared once -------------------------------------------------------------------------------------------

    async def _embed(self) -> tuple[Embedder, Any]:
        texts = [_framed(question) for question in self._questions]
        embedder = embedder_of(self.embedder, texts)
        return embedder, await embedder.embed(texts)

    async def _cluster(self) -> Clusters:
        k = min(self.k, len(self._questions))
        if k < self.k:
            warnings.warn(f"auto_cot: {len(self._questions)} questions make {k} clusters, not {self.k}", stacklevel=2)
        return clusters((await self._space.get())[1], k, self.seed)

    async def _build(self) -> DemoSet:
        return await demonstrations(await self._groups.get(), self._chain, self.kind, self.rules, self._golds)

    async def _chain(self, at: int) -> Chain:
        return await zero_shot_chain(self.model, self._questions[at], self.kind, form_of(self.form, self.model))

    # What is shown for a question ------------------------------------------------------------------------------------

    async def shown(self, instruction: Instruction) -> DemoSet:
        """The demonstrations for a question. The question's own is never among them."""
        question = instruction.prompt
        if self.select == "cluster" or self._given is not None:
            return DemoSet(tuple(demo for demo in (await self.fit()).demo if demo.asked != question))
        chosen = await self._chosen(question)
        chains = await apart(lambda: _gathered(self._chain, chosen))
        return DemoSet(tuple(as_demo(chain, self._golds[at]) for at, chain in zip(chosen, chains, strict=True)))

    async def _chosen(self, question: str) -> list[int]:
        """Positions of the questions to show, for the ways that choose per question."""
        open_to = [at for at, other in enumerate(self._questions) if other != question]
        if self.select == "random" or not open_to:
            return self._drawn(open_to, question)
        embedder, vectors = await self._space.get()
        likeness = vectors @ (await embedder.embed([_framed(question)]))[0]
        nearest = sorted(open_to, key=lambda at: -likeness[at])
        if self.select == "retrieve":
            return nearest[: self.k][::-1]  # the most alike last, next to the question
        own = (await self._groups.get()).of(nearest[0])
        return self._drawn([at for at in own if self._questions[at] != question], question)

    def _drawn(self, open_to: Sequence[int], question: str) -> list[int]:
        rng = random.Random(derive("auto_cot", self.seed, context.current().seed, question))
        return rng.sample(open_to, min(self.k, len(open_to)))

    async def _without_farthest(self, shown: DemoSet, question: str) -> DemoSet:
        """Without the demonstration that is least like the question."""
        texts = [*(demo.question for demo in shown.demo), _framed(question)]
        vectors = await embedder_of(self.embedder, texts).embed(texts)
        farthest = int((vectors[:-1] @ vectors[-1]).argmin())
        return DemoSet(tuple(demo for at, demo in enumerate(shown.demo) if at != farthest))


async def stream(
    model: Answerer,
    questions: Sequence[str],
    *,
    kind: Kind = "number",
    k: int = DEMONSTRATIONS,
    batch: int = BATCH,
    rules: Rules = Rules(),  # noqa: B008  frozen
    seed: int = SEED,
    form: Form = "auto",
    embedder: Embedder | str = "minilm",
) -> AsyncIterator[Chain]:
    """Auto-CoT* (section 5.5): questions come in batches, and demonstrations are built from what has been answered.

    The first batch is answered zero-shot, each later one with demonstrations from all chains so far; zero-shot again as
    long as no chain has passed the rules.

    Yields:
        The chain of each question, in order.
    """
    done: list[Chain] = []
    for start in range(0, len(questions), batch):
        here = questions[start : start + batch]
        shown = await _shown_so_far(done, kind, k, rules, seed, embedder) if done else None
        if shown is None:
            chains = await _gathered(lambda q: zero_shot_chain(model, q, kind, form_of(form, model)), here)
        else:
            ready = AutoCoT(model, demos=shown, kind=kind, form=form, embedder=embedder)
            answers = await _gathered(lambda q: ready.answer(Instruction.of(q)), here)  # noqa: B023  awaited here
            chains = [_answered(q, answer.text, kind) for q, answer in zip(here, answers, strict=True)]
        for chain in chains:
            yield chain
        done += chains


async def from_chains(
    chains: Sequence[Chain],
    golds: Sequence[str | None],
    kind: Kind = "number",
    k: int = DEMONSTRATIONS,
    rules: Rules = Rules(),  # noqa: B008  frozen
    seed: int = SEED,
    embedder: Embedder | str = "minilm",
) -> DemoSet:
    """Demonstrations from chains that exist, e.g. those of a log (`demonstrations.read_log`): no model is asked.

    Raises:
        DataError: if no chain passes the rules.
    """
    texts = [_framed(chain.question) for chain in chains]
    groups = clusters(await embedder_of(embedder, texts).embed(texts), min(k, len(chains)), seed)

    async def known(at: int) -> Chain:
        return chains[at]

    return await demonstrations(groups, known, kind, rules, golds)


async def _shown_so_far(
    done: list[Chain], kind: Kind, k: int, rules: Rules, seed: int, embedder: Embedder | str
) -> DemoSet | None:
    try:
        return await from_chains(done, [None] * len(done), kind, k, rules, seed, embedder)
    except DataError:
        return None


def _answered(question: str, text: str, kind: Kind) -> Chain:
    """A chain of thought that ends with its answer, taken apart."""
    rest = after_trigger(text)
    thought = text if rest is None else text[: len(text) - len(rest)]
    return Chain(
        question, re.sub(r"the answer is[ \t]*:?$", "", thought, flags=re.I).strip(), extract_answer(text, kind) or ""
    )


def _framed(question: str) -> str:
    """A question as the repository embeds it."""
    return f"Q: {question}\nA:"


async def _gathered(call: Callable[[Any], Awaitable[Any]], items: Sequence[Any]) -> list[Any]:
    return list(await asyncio.gather(*(call(item) for item in items)))
