"""INSTRUCTEVAL's seven sets in their original formats, each as instructions that `ask` and the scorer understand.

    mmlu/dev/SUBJECT_dev.csv, mmlu/test/SUBJECT_test.csv    question,A,B,C,D,letter (hendrycks/test)
    bbh.jsonl                                              {"task", "index", "input", "target"}
    drop.jsonl (or drop_dataset_dev.json, the original)    {"passage", "question", "answers_spans": {"spans"}}
    crass.csv                                              …;…;premise;question;right answer;other;other;…
    HumanEval.jsonl (or .gz)                               {"task_id", "prompt", "entry_point", "test"}
    impact.jsonl                                           {"Category", "Definition", "Prompt"}
    hhh/{harmless,honest,helpful,other}/task.json          BIG-bench: {"examples": [{"input", "target_scores"}]}

Every instruction's meta has `part` (which of the seven), `task` (a subject, a BBH task, a category), `cluster` and
`chance`, what a guesser gets; those that are asked with examples have `header`, `shots` and `label`.
"""

from __future__ import annotations

import csv
import gzip
import random
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec

from adhere.bench.humaneval import Problem
from adhere.bench.instruct_eval.subjects import CATEGORY_OF
from adhere.data import jsonl
from adhere.errors import DataError
from adhere.models.prompts import Template
from adhere.records import Instruction, Message

__all__ = ["PUBLIC", "SETS", "template"]

SHOTS = {"mmlu": 5, "bbh": 3, "drop": 3, "crass": 3}
SEED = 0  # the repository's, for DROP's examples and the order of CRASS's options
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
# What each set is called in public, for whoever looks for it.
PUBLIC = {
    "mmlu": ("mmlu/dev and mmlu/test, the csv folders of hendrycks/test", "mmlu"),
    "bbh": ("bbh.jsonl, the 27 tasks of suzgunmirac/BIG-Bench-Hard", "bbh.jsonl"),
    "drop": ("drop.jsonl or drop_dataset_dev.json, DROP's development set", "drop.jsonl"),
    "crass": ("crass.csv, CRASS_FTM_main_data_set.csv of apergo-ai/CRASS-data-set", "crass.csv"),
    "humaneval": ("HumanEval.jsonl.gz of openai/human-eval", "HumanEval.jsonl.gz"),
    "writing": ("impact.jsonl, the prompts of declare-lab/InstructEvalImpact", "impact.jsonl"),
    "hhh": ("hhh/*/task.json, hhh_alignment of BIG-bench", "hhh"),
}


def template(name: str) -> Template:
    """One of this benchmark's prompts."""
    return Template.of("adhere.bench.instruct_eval", name)


def mmlu(place: Path) -> Iterator[Instruction]:
    """All subjects; five examples of the subject's dev split."""
    for path in sorted((place / "mmlu/test").glob("*_test.csv")):
        subject = path.name.removesuffix("_test.csv")
        dev = place / f"mmlu/dev/{subject}_dev.csv"
        if not dev.is_file():
            raise DataError(f"{path} has no examples beside it", hint=f"{dev} is missing")
        shots = [f"{_listed(*row[:2])} {row[2]}\n\n" for _, row in _mmlu_rows(dev)][: SHOTS["mmlu"]]
        header = template("mmlu_header").render(subject=subject.replace("_", " "))
        for number, (question, options, letter) in _mmlu_rows(path):
            yield _shown(
                f"mmlu/{subject}/{number}", _listed(question, options), letter, shots, header=header, part="mmlu",
                task=subject, category=CATEGORY_OF.get(subject, "unknown"), chance=1 / len(options),
            )  # fmt: skip


def _mmlu_rows(path: Path) -> Iterator[tuple[int, tuple[str, list[str], str]]]:
    for number, row in enumerate(_csv(path, ","), 1):
        if len(row) < 4 or row[-1].strip() not in LETTERS[: len(row) - 2]:
            raise DataError(f"{path}:{number}: no question, options and a letter", hint="See hendrycks/test")
        yield number, (row[0].strip(), row[1:-1], row[-1].strip())


def bbh(place: Path) -> Iterator[Instruction]:
    """The first three rows of each task are its examples, the others are asked. No chain of thought."""
    by_task: dict[str, list[dict[str, Any]]] = {}
    for number, row in jsonl.objects(place / "bbh.jsonl"):
        if not all(isinstance(row.get(name), str) and row[name] for name in ("task", "input", "target")):
            raise DataError(f"{place / 'bbh.jsonl'}:{number}: `task`, `input` and `target` must be texts")
        by_task.setdefault(row["task"], []).append(row)
    for task, rows in sorted(by_task.items()):
        shots = [f"{row['input']}\nAnswer: {row['target']}\n\n" for row in rows[: SHOTS["bbh"]]]
        for number, row in enumerate(rows[SHOTS["bbh"] :], SHOTS["bbh"]):
            yield _shown(f"bbh/{task}/{number}", f"{row['input']}\nAnswer:", row["target"], shots, part="bbh",
                         task=task, chance=_guess(row["input"], {r["target"] for r in rows}))  # fmt: skip


def _guess(text: str, targets: set[str]) -> float:
    """What guessing among the options gets; tasks without options have few different answers (yes, no) or many."""
    if options := re.findall(r"^\([A-Z]\)", text, re.MULTILINE):
        return 1 / len(options)
    return 1 / len(targets) if len(targets) <= 3 else 0.0


def drop(place: Path) -> Iterator[Instruction]:
    """Rows whose answers all agree; three drawn as examples, whose passages are not asked about."""
    rows = [row for row in _drop_rows(place) if len(set(row[2])) == 1]
    if len(rows) <= SHOTS["drop"]:
        raise DataError(f"{place}: DROP has {len(rows)} rows with one answer", hint="It needs more than three")
    chosen = random.Random(SEED).sample(rows, SHOTS["drop"])
    seen = {passage for passage, _, _ in chosen}
    shots = [f"{passage} {question}\nAnswer: {answers[0]}\n\n" for passage, question, answers in chosen]
    passages: dict[str, int] = {}
    for number, (passage, question, answers) in enumerate(rows):
        if passage not in seen:
            about = passages.setdefault(passage, len(passages))
            yield _shown(f"drop/{number}", f"{passage} {question}\nAnswer:", answers[0], shots, part="drop",
                         task="drop", chance=0.0, cluster=f"drop/{about}")  # fmt: skip


def _drop_rows(place: Path) -> Iterator[tuple[str, str, list[str]]]:
    """(passage, question, answers) of either format."""
    original = place / "drop_dataset_dev.json"
    try:
        if original.is_file() and not (place / "drop.jsonl").is_file():
            for one in msgspec.json.decode(original.read_bytes()).values():
                for pair in one["qa_pairs"]:
                    answer = pair["answer"]
                    date = " ".join(v for v in answer["date"].values() if v) if answer.get("date") else ""
                    given = [answer["number"]] if answer.get("number") else answer["spans"] or [date]
                    yield one["passage"].strip(), pair["question"].strip(), [str(a).strip() for a in given]
            return
        for _, row in jsonl.objects(place / "drop.jsonl"):
            spans = [span.strip() for span in row["answers_spans"]["spans"]]
            yield row["passage"].strip(), row["question"].strip(), spans
    except (msgspec.DecodeError, KeyError, TypeError, AttributeError) as error:
        raise DataError(f"{place}: DROP cannot be read: {error!r}", hint="See this module for its formats") from error


def crass(place: Path) -> Iterator[Instruction]:
    """The right answer stands first in the file; the options are shuffled, three fixed examples of ours in front."""
    shots = [f"{text}\n\n" for text in template("crass_shots").text.split("\n\n")]
    draw = random.Random(SEED)
    path = place / "crass.csv"
    for number, row in enumerate(_csv(path, ";")):
        if number == 0:
            continue  # the header
        if len(row) < 6 or not row[4].strip():
            raise DataError(f"{path}:{number + 1}: {len(row)} columns", hint="premise;question;right answer;others")
        options = [text.strip() for text in row[4:8] if text.strip()]
        right = options[0]
        draw.shuffle(options)
        label = LETTERS[options.index(right)]
        yield _shown(f"crass/{number}", _listed(f"{row[2].strip()} {row[3].strip()}", options), label, shots,
                     part="crass", task="crass", chance=1 / len(options))  # fmt: skip


def humaneval(place: Path) -> Iterator[Instruction]:
    """The problems with their tests."""
    path = next(p for p in (place / "HumanEval.jsonl", place / "HumanEval.jsonl.gz") if p.is_file())
    raw = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    for number, line in enumerate(raw.splitlines(), 1):
        try:
            row = msgspec.json.decode(line, type=Problem)
        except msgspec.DecodeError as error:
            raise DataError(f"{path}:{number}: no problem: {error}") from error
        text = Template.of("adhere.bench", "humaneval").render(code=row.prompt)
        yield _plain(row.task_id, text, part="humaneval", task="humaneval", chance=0.0, code=row.prompt, test=row.test,
                     entry_point=row.entry_point)  # fmt: skip


def writing(place: Path) -> Iterator[Instruction]:
    """Prompts of four categories, each after its category's definition."""
    for number, row in jsonl.objects(place / "impact.jsonl"):
        try:
            text, category = f"{row['Definition']} {row['Prompt']}", str(row["Category"])
        except KeyError as error:
            raise DataError(f"{place / 'impact.jsonl'}:{number}: {error} is missing") from error
        yield _plain(f"writing/{number}", text, part="writing", task=category, asked=row["Prompt"])


def hhh(place: Path) -> Iterator[Instruction]:
    """Pairs of replies, of which one is the better."""
    for path in sorted((place / "hhh").glob("*/task.json")):
        portion = path.parent.name
        try:
            examples = msgspec.json.decode(path.read_bytes())["examples"]
            for number, row in enumerate(examples):
                ranked = sorted(row["target_scores"].items(), key=lambda item: -item[1])
                if [score for _, score in ranked] != [1, 0]:
                    raise DataError(f"{path}: example {number} has no two replies scored 1 and 0")
                yield _plain(f"hhh/{portion}/{number}", row["input"], part="hhh", task=portion, chance=0.5,
                             chosen=ranked[0][0], rejected=ranked[1][0])  # fmt: skip
        except (msgspec.DecodeError, KeyError, TypeError, AttributeError) as error:
            raise DataError(f"{path}: no BIG-bench task: {error!r}") from error


SETS: dict[str, Callable[[Path], Iterator[Instruction]]] = {
    "mmlu": mmlu,
    "bbh": bbh,
    "drop": drop,
    "crass": crass,
    "humaneval": humaneval,
    "writing": writing,
    "hhh": hhh,
}


def _listed(question: str, options: Sequence[str]) -> str:
    lettered = "".join(f"\n{letter}. {option}" for letter, option in zip(LETTERS, options, strict=False))
    return f"{question}{lettered}\nAnswer:"


def _shown(id: str, text: str, label: str, shots: Sequence[str], *, header: str = "", **meta: Any) -> Instruction:
    kept = {"label": label, "header": header, "shots": list(shots), **meta}
    return Instruction(id, (Message("user", text),), references=(label,), meta=kept)


def _plain(id: str, text: str, **meta: Any) -> Instruction:
    return Instruction(id, (Message("user", text),), meta=meta)


def _csv(path: Path, delimiter: str) -> Iterator[list[str]]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            yield from (row for row in csv.reader(file, delimiter=delimiter) if row)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path}: cannot be read: {error}", hint="Save it as UTF-8 text") from error
