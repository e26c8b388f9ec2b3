"""Rows of the multilingual ARC, HellaSwag, MMLU and TruthfulQA files, as the authors and their mirrors write them.

Each task has a reader: a row in, a `Question` out. Two spellings of a row are read where two are about:

    ARC, MMLU    {"instruction", "option_a", … "option_e", "answer": "B"}  or  {"question", "choices": […], "answer"}
    HellaSwag    {"activity_label", "ctx_a", "ctx_b", "endings": […], "label": "2"}
    TruthfulQA   {"question", "mc1_targets_choices", "mc1_targets_labels", "mc2_targets_choices", "mc2_targets_labels"}
                 or {"question", "mc1_targets": {"choices", "labels"}, "mc2_targets": {…}}
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from adhere.data import jsonl
from adhere.data.rows import json_list
from adhere.errors import DataError
from adhere.models.prompts import Template

__all__ = ["READERS", "Question", "cleaned", "read_file"]

LETTERS = "ABCDE"
PROMPTS = "adhere.bench.okapi"


class Question(NamedTuple):
    """A row as it is put to a model.

    Attributes:
        context: The prompt up to where the answer begins.
        options: The answers to choose from.
        answer: Position of the right one.
        mc2: TruthfulQA's second set, `{"options", "labels"}`; None for the other tasks.
    """

    context: str
    options: list[str]
    answer: int
    mc2: dict[str, Any] | None = None


def cleaned(text: str) -> str:
    """Text without WikiHow's marks: "[title]" ends a sentence, other brackets go with what they hold."""
    text = text.strip().replace(" [title]", ". ")
    return re.sub(r"\[.*?\]", "", text).replace("  ", " ")


def arc(row: dict[str, Any]) -> Question:
    """Options are scored as texts; the prompt does not show them."""
    question, options, answer = _lettered(row)
    return Question(Template.of(PROMPTS, "arc").render(question=question), options, answer)


def mmlu(row: dict[str, Any]) -> Question:
    """The prompt lists the options by letter; their texts are scored, as the published figures were.

    So in mlmm-evaluation (28c4dc0, `multilingual_mmlu.py`: `choices` are the texts, `MultipleChoiceTask` scores them).
    lm-eval's own `m_mmlu` is another task of the same rows: it scores the letters, after a prompt without labels.
    """
    question, options, answer = _lettered(row)
    listed = "\n".join(f"{letter}. {option}" for letter, option in zip(LETTERS, options, strict=False))
    return Question(Template.of(PROMPTS, "mmlu").render(question=question, choices=listed), options, answer)


def hellaswag(row: dict[str, Any]) -> Question:
    """Activity and context, cleaned; the second part of the context begins with a capital letter, the rest small."""
    context = f"{_text(row, 'ctx_a')} {str(row.get('ctx_b') or '').capitalize()}"
    made = Template.of(PROMPTS, "hellaswag").render(activity=_text(row, "activity_label"), context=context)
    endings = [cleaned(ending) for ending in _texts(row, "endings")]
    return Question(cleaned(made), endings, _position(str(row.get("label", "")).strip(), "0123456789", len(endings)))


def truthfulqa(row: dict[str, Any]) -> Question:
    """Asked after six questions of our own with their answers, in English, as the authors do with six others."""
    context = Template.of(PROMPTS, "truthfulqa").render(question=_text(row, "question").strip())
    options, labels = _targets(row, "mc1")
    if sum(labels) != 1:
        raise DataError(f"`mc1`: {sum(labels)} right answers", hint="It must be one")
    second, truths = _targets(row, "mc2")
    if len(set(truths)) != 2:
        raise DataError("`mc2`: the labels are all the same", hint="It needs true and false answers")
    return Question(context, options, labels.index(1), {"options": second, "labels": truths})


READERS: dict[str, Callable[[dict[str, Any]], Question]] = {
    "arc": arc,
    "hellaswag": hellaswag,
    "mmlu": mmlu,
    "truthfulqa": truthfulqa,
}


def read_file(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """The rows of a `.json`, `.jsonl` or `.parquet` file, with the place where each stands.

    Raises:
        DataError: `file:line`, if it cannot be read.
    """
    if path.suffix == ".jsonl":
        yield from ((f"{path}:{number}", row) for number, row in jsonl.objects(path))
    elif path.suffix == ".parquet":
        import pyarrow as pa
        import pyarrow.parquet as pq

        try:
            rows = pq.read_table(path).to_pylist()
        except (OSError, pa.ArrowException) as error:
            raise DataError(f"{path}: cannot be read: {error}") from error
        yield from ((f"{path}: row {number}", row) for number, row in enumerate(rows, 1))
    else:
        yield from ((f"{path}: row {number}", row) for number, row in enumerate(json_list(path), 1))


def _lettered(row: dict[str, Any]) -> tuple[str, list[str], int]:
    """Question, options and the right one's position; missing options (`option_e` of most rows) are left out."""
    question = _text(row, "instruction" if "instruction" in row else "question").strip()
    if "choices" in row:
        nested = row["choices"]  # ARC's own rows keep texts and labels apart
        choices = _texts(nested, "text") if isinstance(nested, dict) else _texts(row, "choices")
        named = list(zip(LETTERS, choices, strict=False))
    else:
        named = [(letter, row.get(f"option_{letter.lower()}")) for letter in LETTERS]
    kept = [(letter, str(option).strip()) for letter, option in named if option is not None and str(option).strip()]
    return question, [option for _, option in kept], _position(_letter(row), [name for name, _ in kept], len(kept))


def _letter(row: dict[str, Any]) -> str:
    """The right answer's letter; MMLU's mirrors count from 0 instead, ARC's few numbered keys from 1."""
    answer = row.get("answer", row.get("answerKey"))
    if isinstance(answer, str) and "answerKey" in row and answer in tuple("12345"):
        return LETTERS[int(answer) - 1]
    if isinstance(answer, int) and not isinstance(answer, bool):
        return LETTERS[answer] if 0 <= answer < len(LETTERS) else ""
    return str(answer).strip().upper()


def _targets(row: dict[str, Any], name: str) -> tuple[list[str], list[int]]:
    if isinstance(row.get(f"{name}_targets"), dict):
        row = {f"{name}_targets_{key}": value for key, value in row[f"{name}_targets"].items()}
    choices, labels = _texts(row, f"{name}_targets_choices"), row.get(f"{name}_targets_labels")
    if not isinstance(labels, list) or len(labels) != len(choices) or not all(label in (0, 1) for label in labels):
        raise DataError(f"`{name}_targets_labels` must hold a 0 or 1 for each of the {len(choices)} choices")
    return choices, labels


def _position(key: str, keys: Sequence[str], count: int) -> int:
    """Where the right answer stands."""
    if count < 2:
        raise DataError(f"{count} option(s), two are needed")
    if not key or key not in keys or list(keys).index(key) >= count:
        raise DataError(f"the answer {key!r} is none of the {count} options")
    return list(keys).index(key)


def _text(row: dict[str, Any], name: str) -> str:
    value = row.get(name)
    if not isinstance(value, str) or not value.strip():
        raise DataError(f"`{name}` is missing or blank")
    return value


def _texts(row: dict[str, Any], name: str) -> list[str]:
    value = row.get(name)
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise DataError(f"`{name}` is no list of texts")
    return value
