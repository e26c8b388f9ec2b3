"""Pairs with people's verdict, read from JSON lines in whichever of these forms they come.

- LLMBar (`input`, `output_1`, `output_2`, `label` 1 or 2, `subset`), with recorded verdicts where it has any;
- MT-Bench's human judgements (`question_id`, `model_a`, `model_b`, `winner`, `conversation_a`, `conversation_b`,
  `turn`): Zheng et al. 2023. The conversation up to the turn in question is what was asked, its answer what is judged;
- plain: `instruction` (or `prompt`), `a`, `b`, `label` "a", "b" or "tie"; with `id`, `reference`, `subset`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from adhere.data import jsonl
from adhere.errors import DataError
from adhere.records import Instruction, Message
from adhere.score.judges.base import Decision

__all__ = ["Pair", "pair_of", "read_pairs"]

_FORMS = (
    "Rows are {instruction, a, b, label}, LLMBar's {input, output_1, output_2, label} or MT-Bench's human judgements"
)
_LABELS: dict[str, Decision] = {
    "a": "a", "1": "a", "model_a": "a", "output_1": "a",
    "b": "b", "2": "b", "model_b": "b", "output_2": "b",
    "tie": "tie", "tie (inconsistent)": "tie", "3": "tie", "0": "tie",
}  # fmt: skip


class Pair(NamedTuple):
    """Two answers to an instruction, and which of them people prefer.

    Attributes:
        instruction: Its `id` is the pair's; `meta["cluster"]` names what was asked, where several pairs share it.
        a: An answer.
        b: Another.
        gold: What people say.
        subset: Part of the data set that it belongs to; "" where there are none.
    """

    instruction: Instruction
    a: str
    b: str
    gold: Decision
    subset: str = ""


def read_pairs(path: str | Path) -> Iterator[Pair]:
    """The pairs of a file, one at a time, in order; see the module's docstring for the forms.

    Raises:
        DataError: `file:line` and what is wrong: a field that is missing or no text, an unknown label, a repeated id.
    """
    unique = jsonl.Unique()
    for number, row in jsonl.objects(path):
        where = f"{path}:{number}"
        try:
            pair = pair_of(row, str(number))
        except DataError as error:
            raise DataError(f"{where}: {error.message}", hint=error.hint) from error
        unique.add(pair.instruction.id, where)
        yield pair


def pair_of(row: dict[str, Any], fallback_id: str) -> Pair:
    """One row as a pair.

    Raises:
        DataError: what is wrong with it.
    """
    for marks, read in _READERS:
        if marks <= row.keys():
            return read(row, fallback_id)
    raise DataError(f"no pair of answers in a row with: {', '.join(sorted(row)[:8]) or 'no fields'}", hint=_FORMS)


def _llmbar(row: dict[str, Any], fallback: str) -> Pair:
    asked = _text(row, "input" if "input" in row else "instruction")
    return _made(row, fallback, (Message("user", asked),), _text(row, "output_1"), _text(row, "output_2"), "label")


def _plain(row: dict[str, Any], fallback: str) -> Pair:
    asked = _text(row, "instruction" if "instruction" in row else "prompt")
    return _made(row, fallback, (Message("user", asked),), _text(row, "a"), _text(row, "b"), "label")


def _mt_bench(row: dict[str, Any], fallback: str) -> Pair:
    turn = row.get("turn", 1)
    if turn not in (1, 2) or isinstance(turn, bool):
        raise DataError(f"`turn` is {turn!r}", hint="MT-Bench has turns 1 and 2")
    a, b = (_turns(row, name)[: 2 * turn] for name in ("conversation_a", "conversation_b"))
    if len(a) < 2 * turn or len(b) < 2 * turn:
        raise DataError(f"a conversation has no answer in turn {turn}", hint="Each turn is a question and an answer")
    # The two differ in their earlier answers too: both are shown whole, from the first answer on.
    asked = (Message("user", "\n\n".join(m.text for m in a[::2])),)
    one, other = (c[1].text if turn == 1 else _whole(c) for c in (a, b))
    cluster = {"cluster": str(row["question_id"])}
    judged = "-".join(str(row.get(k, "")) for k in ("question_id", "model_a", "model_b", "judge", "turn"))
    return _made({"id": f"{judged}-{fallback}"} | row, fallback, asked, one, other, "winner", cluster)


_READERS: tuple[tuple[set[str], Callable[[dict[str, Any], str], Pair]], ...] = (
    ({"output_1", "output_2", "label"}, _llmbar),
    ({"conversation_a", "conversation_b", "winner"}, _mt_bench),
    ({"a", "b", "label"}, _plain),
)


def _made(
    row: dict[str, Any],
    fallback: str,
    asked: tuple[Message, ...],
    a: str,
    b: str,
    label: str,
    meta: dict[str, Any] | None = None,
) -> Pair:
    said = str(row[label]).strip().lower()
    if said not in _LABELS:
        raise DataError(f"`{label}` is {row[label]!r}", hint="It is one of: a, b, tie, 1, 2, model_a, model_b")
    reference = next((row[k] for k in ("reference", "gpt4_reference") if row.get(k)), None)
    if reference is not None and not isinstance(reference, str):
        raise DataError("`reference` is not a text")
    kept = {key: row[key] for key in ("verdicts", "cluster") if row.get(key)} | (meta or {})
    id = row.get("id", fallback)
    if not isinstance(id, str | int) or isinstance(id, bool):
        raise DataError("`id` is neither a text nor a number")
    instruction = Instruction(str(id), asked, references=(reference,) if reference else (), meta=kept)
    return Pair(instruction, a, b, _LABELS[said], str(row.get("subset") or row.get("category") or ""))


def _text(row: dict[str, Any], name: str) -> str:
    value = row.get(name)
    if not isinstance(value, str):
        raise DataError(f"`{name}` is missing" if value is None else f"`{name}` is not a text", hint=_FORMS)
    return value


def _turns(row: dict[str, Any], name: str) -> list[Message]:
    turns = row[name]
    roles = ("user", "assistant")
    if not isinstance(turns, list):
        raise DataError(f"`{name}` is not a list of messages")
    found = []
    for index, turn in enumerate(turns):
        content = turn.get("content") if isinstance(turn, dict) else None
        if not isinstance(content, str) or turn.get("role") != roles[index % 2]:
            raise DataError(f"`{name}`: message {index + 1} is not {{role: {roles[index % 2]}, content: text}}")
        found.append(Message(roles[index % 2], content))
    return found


def _whole(conversation: list[Message]) -> str:
    """A conversation of which every answer is judged."""
    return "\n\n".join(f"[{m.role}]\n{m.text}" for m in conversation)
