"""The two steps in which a model writes: expanding the seeds to a pool, and rewriting what is in the pool in a style.

Upstream asks one call after the other. Here calls go out in waves of a fixed size, so that an engine can batch them: a
call of a wave sees what was kept before the wave. Which answer is what call's does not depend on who was faster, so
equal seeds give equal texts.
"""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Literal, NamedTuple

import msgspec

from adhere import engine
from adhere.answer.base import ask
from adhere.data.codi_rows import MODES
from adhere.engine.progress import Sight
from adhere.engine.seeds import derive
from adhere.models.prompts import Template as Prompt
from adhere.roles import Answerer
from adhere.write.codi_eval.fill import fill, labels
from adhere.write.codi_eval.filters import Kept, bracketed, label_lost, slots_wrong

__all__ = ["LABELLED", "MakeSight", "Phrase", "Tally", "expand", "rewrite"]

PACKAGE = "adhere.write.codi_eval"
SHOWN = 8  # templates in a prompt that asks for more (paper, appendix)
COME = 10  # templates asked for in one call
MOST_OF_A_MODE = 16  # new templates of one length mode
RARE, COMMON = 0.2, 0.7  # a rare style in a fifth of the rewrites, a common one in half of them, none in the others
STYLES = ("formal", "informal", "concise", "verbose", "polite", "casual")
CONVERSION = ", changing the part of speech of {} for {}"
RARE_STYLES = (
    "flowery", "sarcastic", "laconic", "poetic", "archaic", "bureaucratic", "enthusiastic", "grumpy", "theatrical",
    "whimsical", "scholarly", "blunt", "cryptic", "folksy", "journalistic", "legalistic", "military", "nautical",
    "nostalgic", "playful", "pompous", "romantic", "rambling", "technical", "witty",
)  # fmt: skip
LABELLED = ("sentiment", "topic", "multi")  # rewritten after they were filled, the others as templates
PATIENCE = 12  # calls for what one call would bring if all ten came through; upstream stops at 100 calls for 80
REWRITES = 1.6  # calls a rewrite that is wanted: upstream stops at 3,000 for 1,900
EXPANDING, REWRITING = 4, 16  # calls of a wave
WRITING: dict[str, Any] = {"temperature": 1.0, "top_p": 0.9}
TOKENS = {"expand": 300, "rewrite": 70, "classify": 12}

MakeSight = Callable[[str], Sight]  # of a label


class Phrase(msgspec.Struct, frozen=True):
    """A template, or a rewrite whose labels are in it already.

    Attributes:
        text: With slots in braces, unless `label` is there.
        writer: Where it comes from.
        mode: Of length.
        style: That was asked for.
        label: The labels' fields of a row, of a rewrite whose slots were filled before.
    """

    text: str
    writer: Literal["seed", "expansion", "rewrite", "grammar"]
    mode: str = ""
    style: str = ""
    label: dict[str, str] = {}


class Tally:
    """What one step asked for, found, kept and dropped, and why.

    Args:
        wanted: Texts, of which the calls may bring fewer.
    """

    def __init__(self, wanted: int) -> None:
        self.wanted = wanted
        self.calls, self.failed, self.found, self.kept = 0, 0, 0, 0
        self.why: Counter[str] = Counter()
        self.dropped: list[dict[str, str]] = []

    def drop(self, why: str, text: str) -> None:
        """Count one that goes."""
        self.why[why] += 1
        self.dropped.append({"why": why, "text": text})

    def counts(self) -> dict[str, Any]:
        """All numbers, JSON-ready: calls, calls that failed, texts found in brackets, wanted, kept, dropped why."""
        numbers = {"calls": self.calls, "failed": self.failed, "found": self.found}
        numbers |= {"wanted": self.wanted, "kept": self.kept}
        return numbers | {"dropped": dict(sorted(self.why.items()))}


class _Call(NamedTuple):
    prompt: str
    index: int


@contextmanager
def _shown(make: MakeSight | None, label: str, most: int) -> Iterator[Sight | None]:
    """The progress of a step of at most so many calls, several waves."""
    sight = make(label) if make else None
    if sight:
        sight.start(most)
    try:
        yield sight
    finally:
        if sight:
            sight.stop()


async def _wave(
    answerer: Answerer, calls: Sequence[_Call], tally: Tally, step: str, sight: Sight | None = None
) -> list[str | None]:
    """The answers in the order of the calls, None for one that failed.

    Raises:
        TooManyFailures: if all of them failed, naming the first: nobody is there to write.
    """
    sampling = {"temperature": 0.0} if step == "classify" else WRITING

    async def one(call: _Call) -> str:
        answer = await ask(answerer, call.prompt, call.index, max_tokens=TOKENS[step], **sampling)
        return answer.text

    answers: list[str | None] = [None] * len(calls)
    many = getattr(answerer, "concurrency", len(calls))
    async for outcome in engine.run(one, calls, concurrency=max(1, many), max_failures=len(calls) - 1):
        answers[outcome.index] = outcome.result
        if sight:
            sight.advance(failed=outcome.failure is not None)
    tally.calls += len(calls)
    tally.failed += sum(answer is None for answer in answers)
    return answers


async def expand(
    answerer: Answerer,
    kind: str,
    seeds: Sequence[Phrase],
    wanted: int,
    kept: Kept,
    seed: int,
    progress: MakeSight | None = None,
) -> tuple[list[Phrase], Tally]:
    """New templates until there are `wanted`, or until the calls are used up.

    A new one has its kind's slots, is no near duplicate of any before and, of length, is classified by a second call
    (`Tally.calls` counts these too) as a mode that fits its slots and has fewer than 16 new ones.

    Args:
        answerer: Who writes.
        kind: "length", "keyword, or and not", …
        seeds: Eight of them, drawn anew, are shown in each call.
        wanted: New templates.
        kept: Those that there are; the new ones are added.
        seed: Of what is drawn.
        progress: Makes what is told about the calls of the step.
    """
    tally, new, modes = Tally(wanted), list[Phrase](), Counter[str]()
    rng = random.Random(derive("codi-eval expand", kind, seed))
    index, most = 0, PATIENCE * math.ceil(wanted / COME)
    with _shown(progress, f"expanding the templates of {kind}", most) as sight:
        while len(new) < wanted and index < most:
            calls = [_expansion(kind, seeds, at, rng) for at in range(index, min(index + EXPANDING, most))]
            index += len(calls)
            found = [
                t for answer in await _wave(answerer, calls, tally, "expand", sight) for t in _found(answer, tally)
            ]
            tally.found += len(found)
            right = []
            for text in found:
                why = slots_wrong(text, kind) or ("near duplicate" if kept.near(text) else "")
                if why:
                    tally.drop(why, text)
                else:
                    kept.add(text)
                    right.append(text)
            classes = await _classified(answerer, right, tally) if kind == "length" else [""] * len(right)
            for text, mode in zip(right, classes, strict=True):
                why = _mode_wrong(text, mode, modes) if kind == "length" else ""
                why = why or ("not needed any more" if len(new) >= wanted else "")
                if why:
                    tally.drop(why, text)
                else:
                    modes[mode] += 1
                    new.append(Phrase(text, "expansion", mode))
    tally.kept = len(new)
    return new, tally


def _expansion(kind: str, seeds: Sequence[Phrase], index: int, rng: random.Random) -> _Call:
    shown = rng.sample(list(seeds), min(SHOWN, len(seeds)))
    listed = "\n".join(f"{n}:[{s.text}]" for n, s in enumerate(shown, 1))
    rendered = Prompt.of(PACKAGE, "expand").render(rules=_part("rules", kind), shown=listed, next=len(shown) + 1)
    return _Call(rendered, index)


async def _classified(answerer: Answerer, templates: Sequence[str], tally: Tally) -> list[str]:
    """The mode that a call gives each template, "" where it gives none."""
    if not templates:
        return []
    prompt = Prompt.of(PACKAGE, "classify")
    # The template stands for itself: its braces are no fields of the prompt.
    calls = [_Call(prompt.text.replace("{instruction}", text), 0) for text in templates]
    answers = await _wave(answerer, calls, tally, "classify")
    said = [(bracketed(answer or "") or [""])[0].lower() for answer in answers]
    return [mode if mode in MODES else "" for mode in said]


def _mode_wrong(text: str, mode: str, modes: Counter[str]) -> str:
    if not mode:
        return "no mode"
    return slots_wrong(text, "length", mode) or ("enough of its mode" if modes[mode] >= MOST_OF_A_MODE else "")


async def rewrite(
    answerer: Answerer,
    kind: str,
    pool: Sequence[Phrase],
    wanted: int,
    rows: int,
    seed: int,
    progress: MakeSight | None = None,
) -> tuple[list[Phrase], Tally]:
    """Rewrites of the pool's templates and of earlier rewrites, each in a style, until there are `wanted`.

    Those of sentiment, topic and both are filled first: a style may then ask for another part of speech of the label's
    word. They are compared within their label, and one that has lost its label is dropped. What repeats a
    template, or what it was to rewrite, is no rewrite.

    Args:
        answerer: Who writes.
        kind: "length", "keyword, or and not", …
        pool: Seeds and expansions.
        wanted: Rewrites; after 1.6 times as many calls there are no more.
        rows: How many there will be: only their labels are of use.
        seed: Of what is drawn.
        progress: Makes what is told about the calls of the step.
    """
    tally, kept, made = Tally(wanted), Kept(), list[Phrase]()
    for phrase in pool:
        kept.add(phrase.text)
    rng = random.Random(derive("codi-eval rewrite", kind, seed))
    index, most = 0, math.ceil(REWRITES * wanted)
    with _shown(progress, f"rewriting the templates of {kind}", most) as sight:
        while len(made) < wanted and index < most:
            numbers = range(index, min(index + REWRITING, most))
            tasks = [_task(kind, pool, made, number % rows, rng) for number in numbers]
            calls = [_Call(task.prompt, number) for number, task in zip(numbers, tasks, strict=True)]
            index += len(calls)
            for task, answer in zip(tasks, await _wave(answerer, calls, tally, "rewrite", sight), strict=True):
                kept.add(task.text, task.group)  # a rewrite that repeats what it rewrites is none
                found = _found(answer, tally)[:1]
                tally.found += len(found)
                for text in found:
                    why = _rewrite_wrong(text, kind, task, kept)
                    why = why or ("not needed any more" if len(made) >= wanted else "")
                    if why:
                        tally.drop(why, text)
                        continue
                    kept.add(text, task.group)
                    made.append(Phrase(text, "rewrite", task.source.mode, task.style, task.label))
    tally.kept = len(made)
    return made, tally


class _Task(NamedTuple):
    """One rewrite that is asked for."""

    prompt: str
    text: str
    source: Phrase
    style: str
    label: dict[str, str]
    surfaces: tuple[str, ...]
    group: str


def _task(kind: str, pool: Sequence[Phrase], made: Sequence[Phrase], number: int, rng: random.Random) -> _Task:
    label = labels(kind, number) if kind in LABELLED else {}
    source = rng.choice([*pool, *(p for p in made if p.label == label)])
    text, surfaces = source.text, tuple(label.values())
    if label and not source.label:
        text = fill(text, label, rng)["instruction"]
    style = _style(kind, rng)
    rendered = Prompt.of(PACKAGE, "rewrite").render(
        rules=_part("rules", kind), worked=_part("worked", kind), instruction=text, style=style
    )
    return _Task(rendered, text, source, style.removeprefix(", "), label, surfaces, "/".join(label.values()))


def _rewrite_wrong(text: str, kind: str, task: _Task, kept: Kept) -> str:
    if not task.label:
        why = slots_wrong(text, kind, task.source.mode)
    elif "{" in text:
        why = "slots: a strange one"
    else:
        why = "label lost" if label_lost(text, *task.surfaces) else ""
    return why or ("near duplicate" if kept.near(text, task.group) else "")


def _style(kind: str, rng: random.Random) -> str:
    """What follows "Rewrite this instruction"."""
    drawn = rng.random()
    if drawn < RARE:
        return f", be {rng.choice(RARE_STYLES)}"
    if drawn >= COMMON:
        return ""
    style = rng.choice(STYLES + ("conversion",) * (kind in LABELLED))
    if style != "conversion":
        return f", be {style}"
    words = ("the words", "topic and sentiment") if kind == "multi" else ("the word", f"the {kind}")
    return CONVERSION.format(*words)


def _found(answer: str | None, tally: Tally) -> list[str]:
    """What an answer has in brackets; one that has nothing is dropped whole, a failed call is counted elsewhere."""
    if answer is None:
        return []
    found = bracketed(answer)
    if not found:
        tally.drop("no brackets", answer[:500])
    return found


def _part(what: str, kind: str) -> str:
    return Prompt.of(PACKAGE, f"{what}_{'keyword_not' if kind.startswith('keyword,') else kind}").text
