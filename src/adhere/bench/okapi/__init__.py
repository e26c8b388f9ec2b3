"""Okapi's multilingual tasks (Lai et al. 2023, arXiv 2307.16039): ARC, HellaSwag, MMLU and TruthfulQA, translated.

Every option is scored by its log-likelihood after the prompt, whose labels ("Question:", "Answer:") stay English around
the translated text, as in the published figures. A question is right if its right option is the likeliest: per
character for ARC and HellaSwag, by the sum for MMLU and for TruthfulQA's mc1; its mc2 is the probability of the true
answers. `average` is the mean over languages of the mean over tasks, so that no task decides by its size.

What differs from the authors' fork of lm-evaluation-harness (mlmm-evaluation): the six questions before TruthfulQA's
are our own, and solved examples are the first of the split that the fork draws from (ARC's training split, MMLU's
validation split) for every question, not drawn anew for each, so that an engine computes them once. `okapi` asks
without examples, as lm-eval does today; `okapi-25shot` puts 25 before ARC and MMLU, as in the paper. The data (CC BY-NC
4.0) are read from the user's folder `okapi/` in ADHERE_DATA: `m_arc/es_test.json`, `m_mmlu/de_dev.json`, … as the
authors' script leaves them, or as their mirrors name them (`m_arc/es/test.jsonl`, `.parquet`). `okapi-synthetic` is
ours: 32 questions in five languages.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from adhere.bench.base import Metric, Options, Scored, benchmark
from adhere.bench.choice import ChoiceScorer, ask_choices, choice, round_robin
from adhere.bench.figures import mean, statistic
from adhere.bench.okapi.rows import READERS, read_file
from adhere.data.places import data_dir
from adhere.errors import DataError
from adhere.records import Instruction, Response
from adhere.score.choices import Norm

__all__ = ["LANGUAGES", "RESOURCES", "instructions", "macro_average", "summary"]

# By the share of a language in CommonCrawl, as the paper groups them; the last five are in the evaluation data only.
RESOURCES: dict[str, tuple[str, ...]] = {
    "high": ("ru", "de", "zh", "fr", "es", "it", "nl", "vi"),
    "medium": ("id", "ar", "hu", "ro", "da", "sk", "uk", "ca", "sr", "hr", "hi"),
    "low": ("bn", "ta", "ne", "ml", "mr", "te", "kn"),
    "ungrouped": ("eu", "gu", "hy", "pt", "sv", "en"),
}
LANGUAGES = {language: group for group, languages in RESOURCES.items() for language in languages}
NORMS: dict[str, Norm] = {"arc": "char", "hellaswag": "char", "mmlu": "sum", "truthfulqa": "sum"}
SCORED_SPLITS = {"arc": ("test",), "hellaswag": ("validation", "val"), "mmlu": ("test",),
                 "truthfulqa": ("validation", "val")}  # fmt: skip
SHOT_SPLITS = {"arc": ("train",), "mmlu": ("validation", "val", "dev", "train")}
SHOTS = 25  # paper, section 4
_NAME = re.compile(r"(?:^|[/_.-])(?P<language>[a-z]{2})[/_.-](?P<split>train|validation|val|test|dev)(?=[_.-])")
FOLDER = "okapi"
METRICS = {
    "average": Metric("right answers, mean over languages of the mean over tasks"),
    "accuracy": Metric("right answers, by each task's own rule"),
    "acc": Metric("the likeliest option is right"),
    "acc_norm": Metric("the likeliest option per character is right"),
    "mc2": Metric("TruthfulQA: probability of the true answers"),
    "chance": Metric("right answers of a guesser"),
}


def instructions(rows: Iterable[tuple[str, str, str, dict[str, Any]]], **meta: Any) -> list[Instruction]:
    """Questions from (place, task, language, row), round-robin over tasks and languages.

    Translations of one question carry its id in `meta["cluster"]`: they are no independent draws.

    Raises:
        DataError: naming the place, for a row that cannot be read.
    """
    groups: dict[tuple[str, str], list[Instruction]] = {}
    for place, task, language, row in rows:
        group = groups.setdefault((task, language), [])
        try:
            made = READERS[task](row)
            source = str(row.get("id") or row.get("ind") or f"{task}-{len(group)}")
            group.append(
                choice(
                    f"{task}/{language}/{len(group)}-{source}",
                    made.context,
                    made.options,
                    made.answer,
                    task=task,
                    language=language,
                    resource=LANGUAGES[language],
                    cell=f"{task} {language}",
                    cluster=f"{task}/{source}",
                    **({"mc2": made.mc2} if made.mc2 else {}),
                    **meta,
                )
            )
        except DataError as error:
            raise DataError(f"{place}: {error.message}", hint=error.hint or "Mend or remove the row") from error
    return round_robin([groups[key] for key in sorted(groups)])


def macro_average(scored: Sequence[Scored]) -> float | None:
    """Mean over languages of the mean over tasks of the share of right answers; a failed row is a wrong one."""
    cells: dict[str, dict[str, list[float]]] = {}
    for s in scored:
        meta = s.instruction.meta
        right = s.score.value if s.score is not None and s.score.value is not None else 0.0
        cells.setdefault(meta["language"], {}).setdefault(meta["task"], []).append(right)
    by_language = [sum(sum(v) / len(v) for v in tasks.values()) / len(tasks) for tasks in cells.values()]
    return sum(by_language) / len(by_language) if by_language else None


def summary(scored: Sequence[Scored], options: Options) -> dict[str, Any]:
    """`average`, with the bootstrap's interval over questions, their translations together; and what a guesser gets."""
    clusters = [s.instruction.meta["cluster"] for s in scored]
    guesses = [1 / len(s.instruction.meta["options"]) for s in scored]
    return {"average": statistic(macro_average, scored, clusters), "chance": mean(guesses, clusters)}


def _files() -> dict[tuple[str, str], dict[str, Path]]:
    """The files of the user's folder by (task, language) and split.

    Raises:
        DataError: if there are none, or one is of a language that is not known.
    """
    place = data_dir()
    where = f"{place / FOLDER}" if place else "the data folder (ADHERE_DATA is not set)"
    found: dict[tuple[str, str], dict[str, Path]] = {}
    for task in READERS:
        for folder in (place / FOLDER / f"m_{task}", place / FOLDER / task) if place else ():
            for path in sorted(p for p in folder.rglob("*") if p.suffix in (".json", ".jsonl", ".parquet")):
                name = _NAME.search(path.relative_to(folder).as_posix())
                if name is None:
                    continue
                if name["language"] not in LANGUAGES:
                    known = ", ".join(sorted(LANGUAGES))
                    raise DataError(f"{path}: unknown language '{name['language']}'", hint=f"There are: {known}")
                found.setdefault((task, name["language"]), {}).setdefault(name["split"], path)
    if not found:
        raise DataError(
            f"no files of Okapi's tasks in {where}",
            hint="Put the authors' folders m_arc, m_hellaswag, … into DIR/okapi and pass --data-dir DIR; "
            "okapi-synthetic needs none",
        )
    return found


def _rows() -> Iterable[tuple[str, str, str, dict[str, Any]]]:
    for (task, language), splits in _files().items():
        path = next((splits[s] for s in SCORED_SPLITS[task] if s in splits), None)
        for place, row in read_file(path) if path else ():
            yield place, task, language, row


@lru_cache(maxsize=64)
def _solved(place: Path | None, task: str, language: str) -> tuple[str, ...]:
    """The first 25 questions of the split for examples with their answers; none for tasks asked without.

    `place`, the data folder, only keeps the answers for one folder apart from those for another.
    """
    splits = _files().get((task, language), {})
    path = next((splits[s] for s in SHOT_SPLITS.get(task, ()) if s in splits), None)
    if path is None:
        return ()
    made = [READERS[task](row) for _, (_, row) in zip(range(SHOTS), read_file(path), strict=False)]
    return tuple(f"{q.context} {q.options[q.answer]}\n\n" for q in made)


async def ask_with_shots(options: Options, instruction: Instruction) -> Response:
    """`ask_choices` with up to 25 solved questions in front."""
    return await ask_choices(options, instruction, lambda i: _solved(data_dir(), i.meta["task"], i.meta["language"]))


SHARED: dict[str, Any] = {
    "metrics": METRICS,
    "scorer": lambda options: ChoiceScorer(NORMS),
    "summary": summary,
    "groups": ("language", "task", "resource", "cell"),
    "paper": "okapi",
}


@benchmark(
    "okapi-synthetic",
    about="ARC-, HellaSwag-, MMLU- and TruthfulQA-like questions in English, German, Spanish, Chinese and Hindi",
    size=160,
    licence="Apache-2.0",
    ask=ask_choices,
    calls=4.25,
    synthetic=True,
    **SHARED,
)
def synthetic() -> list[Instruction]:
    path = Path(__file__).with_name("synthetic.jsonl")
    return instructions((place, row.pop("task"), row.pop("language"), row) for place, row in read_file(path))


@benchmark(
    "okapi",
    about="ARC, HellaSwag, MMLU and TruthfulQA in up to 31 languages, by log-likelihood, without examples",
    size=0,
    licence="CC-BY-NC-4.0",
    ask=ask_choices,
    calls=4.25,
    **SHARED,
)
def published() -> list[Instruction]:
    return instructions(_rows())


@benchmark(
    "okapi-25shot",
    about="the same with 25 solved questions before those of ARC and MMLU, as in the paper",
    size=0,
    licence="CC-BY-NC-4.0",
    ask=ask_with_shots,
    calls=4.25,
    **SHARED,
)
def with_shots() -> list[Instruction]:
    return instructions(_rows(), examples=SHOTS)
