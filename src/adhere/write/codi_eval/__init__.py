"""CoDI-Eval's instructions, written: few kinds of constraint in many phrasings (Chen et al. 2024, arXiv 2401.00690).

Twenty seed templates are expanded to a pool of up to 100 by self-instruct, the pool is rewritten in styles, what lost
its slots or is a near duplicate is dropped, and what is left is filled with labels and balanced (`steps`, `filters`,
`fill`). The paper's numbers are for 1,000 rows of a task; for fewer, everything shrinks in proportion.

What differs: the seeds are ours; new templates too are tested for slots and duplicates, not only rewrites; a rewrite
that lost its topic or sentiment is dropped; and where the model's texts do not suffice, as with small models, a
grammar writes the rest (`grammar`), which each row says of itself. Toxicity needs no writer: its twenty templates meet
every context (`fill.toxicity_rows`).
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import AsyncIterable, AsyncIterator, Iterator, Sequence
from itertools import chain, islice, zip_longest
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args

from adhere.data.codi_rows import MODES
from adhere.engine import context
from adhere.engine.seeds import derive
from adhere.errors import DataError, UsageError
from adhere.records import Example, Instruction
from adhere.registry import register
from adhere.roles import Answerer
from adhere.write.codi_eval.fill import fill, fill_keyword, fill_length, labels, phrasings
from adhere.write.codi_eval.filters import Kept, slots_wrong
from adhere.write.codi_eval.grammar import sentences
from adhere.write.codi_eval.steps import LABELLED, MakeSight, Phrase, Tally, expand, rewrite

__all__ = ["MOST", "SEEDS", "CodiEvalWriter", "Task", "Written", "seeds_of"]

Task = Literal["sentiment", "topic", "multi", "length", "keyword"]
MOST = 1000  # rows of a task in the paper
SEEDS, POOL = 20, 100  # templates of a kind: to begin with, and in the pool
REWRITES, HALF = 1.9, 0.9  # rewrites a row: 1,900 for 1,000; of keywords 900 in each half
KINDS = {"keyword": ("keyword", "keyword, or and not")}  # of templates; every other task is of one kind


class Written(NamedTuple):
    """What was written.

    Attributes:
        rows: In upstream's fields, with `writer` ("seed", "expansion", "rewrite", "grammar") and `style` beside them.
        report: Counts of every step by kind of template, and how many rows each writer has; JSON-ready.
        dropped: What was dropped: `kind`, `step`, `why`, `text`.
    """

    rows: list[dict[str, Any]]
    report: dict[str, Any]
    dropped: list[dict[str, str]]


@register("codi_eval", paper="codi-eval")
class CodiEvalWriter:
    """Instructions of one of CoDI-Eval's tasks, in many phrasings, with labels that a program or classifier grades.

    Args:
        answerer: Who expands and rewrites.
        task: What the instructions control.
        n: Rows, at most 1,000.
        seed: Of every choice.
        progress: Makes, of a label, what is told about the calls of each step.
    """

    def __init__(
        self,
        answerer: Answerer,
        task: Task = "length",
        n: int = MOST,
        seed: int = 0,
        progress: MakeSight | None = None,
    ) -> None:
        if task not in get_args(Task):
            said = "toxicity's templates need no writer" if task == "toxicity" else f"there is no task '{task}'"
            raise UsageError(said, hint=f"There are: {', '.join(get_args(Task))}")
        if not 1 <= n <= MOST:
            raise UsageError(f"n is {n}", hint=f"It is a number of rows, 1 to {MOST}, as many as the paper has")
        self.answerer = answerer
        self.task: Task = task
        self.n = n
        self.seed = seed
        self.progress = progress
        self.written: Written | None = None

    async def write(self, seeds: AsyncIterable[Example]) -> AsyncIterator[Example]:
        """The rows as examples without answers; `meta` is the row. `written` then has them all, with the report.

        Args:
            seeds: Their prompts are seed templates, of length with the mode in `meta["mode"]`. Without any, the twenty
                that come with Adhere are taken.

        Raises:
            DataError: for a seed template that has not its kind's slots.
            TooManyFailures: if the answerer fails in every call of a wave.
        """
        given = [_given(example, self.task) async for example in seeds]
        self.written = await self.compose(given)
        for number, row in enumerate(self.written.rows, 1):
            yield Example(Instruction.of(row["instruction"], id=f"{self.task}-{number}"), meta=row)

    async def compose(self, given: Sequence[tuple[str, Phrase]] = ()) -> Written:
        """All of it at once; see `write`. `given` are seed templates with their kinds."""
        phrases: dict[str, list[Phrase]] = {}
        tallies: dict[str, dict[str, Tally]] = {}
        for kind in KINDS.get(self.task, (self.task,)):
            own = [phrase for of, phrase in given if of == kind]
            phrases[kind], tallies[kind] = await self._phrases(kind, own or seeds_of(kind))
        rows = self._balanced(phrases)
        shares = Counter(row["writer"] for row in rows)
        report = {
            "task": self.task,
            "rows": len(rows),
            "seed": self.seed,
            "steps": {kind: {step: t.counts() for step, t in steps.items()} for kind, steps in tallies.items()},
            "writers": {name: shares[name] for name in ("seed", "expansion", "rewrite", "grammar")},
        }
        dropped = [
            {"kind": kind, "step": step, **entry}
            for kind, steps in tallies.items()
            for step, tally in steps.items()
            for entry in tally.dropped
        ]
        return Written(rows, report, dropped)

    async def _phrases(self, kind: str, seeds: list[Phrase]) -> tuple[list[Phrase], dict[str, Tally]]:
        """Seeds, expansions and rewrites of a kind, as many as the paper has for so many rows."""
        kept = Kept()
        for phrase in seeds:
            kept.add(phrase.text)
        more = max(1, round((POOL - SEEDS) * self.n / MOST))
        wanted = max(1, round((HALF if self.task in KINDS else REWRITES) * self.n))
        with context.use(seed=self.seed):
            new, expanding = await expand(self.answerer, kind, seeds, more, kept, self.seed, self.progress)
            pool = [*seeds, *new]
            rewritten, rewriting = await rewrite(self.answerer, kind, pool, wanted, self.n, self.seed, self.progress)
        return [*pool, *rewritten], {"expand": expanding, "rewrite": rewriting}

    def _balanced(self, phrases: dict[str, list[Phrase]]) -> list[dict[str, Any]]:
        """`n` rows, as many of each mode, half or label; the grammar writes what a group lacks.

        A group's phrases are drawn in random order, so that no writer goes first.
        """
        rng = random.Random(derive("codi-eval fill", self.task, self.seed))
        groups = list(MODES) if self.task == "length" else list(phrases)
        sizes = {g: self.n // len(groups) + (at < self.n % len(groups)) for at, g in enumerate(groups)}
        chosen = []
        for group, size in sizes.items():
            # Every phrase is used once; of length it belongs to its mode.
            mine = [p for of in phrases.values() for p in of if p.mode == group] if group in MODES else phrases[group]
            rng.shuffle(mine)
            chosen.append(self._rows(group, mine, size, rng))
        return [row for row in chain.from_iterable(zip_longest(*chosen)) if row is not None]

    def _rows(self, group: str, phrases: list[Phrase], size: int, rng: random.Random) -> list[dict[str, Any]]:
        """`size` rows of a group. Labels come in turn; a rewrite that has its label takes that label's next place."""
        free: dict[str, list[int]] = {}
        for place in range(size):
            free.setdefault(_label(group, place), []).append(place)
        made: dict[int, dict[str, Any]] = {}
        for phrase in phrases:
            places = free.get(str(phrase.label), []) if phrase.label else max(free.values(), key=len, default=[])
            if places:
                place = places.pop(0)
                made[place] = _row(group, phrase, place, rng)
        missing = [place for place in range(size) if place not in made]
        texts = list(islice(_fresh(group, phrases, self.seed), len(missing)))
        if len(texts) < len(missing):
            raise DataError(f"the grammar has no {len(missing)} templates for '{group}'", hint="Ask for fewer rows")
        for place, text in zip(missing, texts, strict=True):
            made[place] = _row(group, Phrase(text, "grammar", group if group in MODES else ""), place, rng)
        return [made[place] for place in range(size)]

    def save(self, folder: Path) -> list[Path]:
        """Write what was written as a data folder has it: `codi-eval/<task>_lite.jsonl`, its report and what went.

        Raises:
            UsageError: before anything was written.
            DataError: if a file cannot be written.
        """
        from adhere.data.jsonl import write

        if self.written is None:
            raise UsageError("nothing was written yet", hint="Exhaust write() first")
        place = folder / "codi-eval"
        try:
            place.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise DataError(f"{place}: cannot be made: {error.strerror or error}") from error
        files = {"lite": self.written.rows, "report": [self.written.report], "dropped": self.written.dropped}
        paths = {name: place / f"{self.task}_{name}.jsonl" for name in files}
        for name, content in files.items():
            write(paths[name], content)
        return list(paths.values())


def seeds_of(kind: str) -> list[Phrase]:
    """The twenty seed templates of a kind: the packaged phrasings, and where these are fewer the grammar's."""
    if kind == "length":
        each = SEEDS // len(MODES)
        return [Phrase(text, "seed", mode) for mode in MODES for text in phrasings()["length"][mode][:each]]
    own = phrasings()[kind.split(",")[0]]
    texts = [pair["," in kind] for pair in own] if kind.startswith("keyword") else own
    more = islice(sentences(kind, seed=-1), SEEDS - len(texts))
    return [Phrase(text, "seed") for text in (*texts, *more)]


def _fresh(group: str, phrases: Sequence[Phrase], seed: int) -> Iterator[str]:
    """Templates of the grammar that are not nearly one that there is."""
    kept = Kept()
    for phrase in phrases:
        kept.add(phrase.text)
    for text in sentences(group, seed):
        if not kept.near(text):
            kept.add(text)
            yield text


def _label(group: str, place: int) -> str:
    """What distinguishes the places of a group's rows; nothing where there are no labels in turn."""
    return str(labels(group, place)) if group in LABELLED else ""


def _row(group: str, phrase: Phrase, number: int, rng: random.Random) -> dict[str, Any]:
    if phrase.label:
        row: dict[str, Any] = {"instruction": phrase.text} | phrase.label
    elif group in MODES:
        row = fill_length(phrase.text, group, rng)
    elif group in LABELLED:
        row = fill(phrase.text, labels(group, number), rng)
    else:
        row = fill_keyword(phrase.text, rng)
    return row | {"writer": phrase.writer} | ({"style": phrase.style} if phrase.style else {})


def _given(example: Example, task: str) -> tuple[str, Phrase]:
    """A seed template of the user's, with its kind."""
    text, mode = example.instruction.prompt, str(example.meta.get("mode") or "")
    kind = "keyword, or and not" if task == "keyword" and "{nonkeywords}" in text else task
    if task == "length" and mode not in MODES:
        raise DataError(
            f"the seed template '{text}' has no mode", hint=f'Its meta["mode"] is one of {", ".join(MODES)}'
        )
    if why := slots_wrong(text, kind, mode):
        raise DataError(f"the seed template '{text}' has not the slots of '{kind}': {why}")
    return kind, Phrase(text, "seed", mode)
