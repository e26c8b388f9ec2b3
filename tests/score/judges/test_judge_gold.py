"""Gold labels: the forms that are read, and what is wrong with a file in one line."""

from __future__ import annotations

import json

import pytest

from adhere.errors import DataError
from adhere.score.judges.gold import pair_of, read_pairs

PLAIN = {"instruction": "Name a river.", "a": "Rhine", "b": "Alps", "label": "a"}
TURNS = [{"role": "user", "content": "Name a river."}, {"role": "assistant", "content": "Rhine"},
         {"role": "user", "content": "And another?"}, {"role": "assistant", "content": "Elbe"}]  # fmt: skip
MT_BENCH = {"question_id": 81, "model_a": "x", "model_b": "y", "winner": "model_b", "judge": "expert_1",
            "conversation_a": TURNS, "conversation_b": TURNS, "turn": 1}  # fmt: skip


def write(tmp_path, *rows):
    path = tmp_path / "gold.jsonl"
    path.write_text("".join(json.dumps(r) + "\n" for r in rows))
    return path


def test_llmbar_is_read_with_subset_reference_and_recorded_verdicts(data_dir):
    pairs = list(read_pairs(data_dir / "revis-eval" / "llmbar.jsonl"))
    assert len(pairs) == 419
    first = pairs[0]
    assert (first.subset, first.gold, first.instruction.id) == ("natural", "a", "natural-000")
    assert first.instruction.references
    assert first.instruction.meta["verdicts"]["GPT-4/Vanilla"] == ["1", "1"]


def test_plain_rows_need_an_instruction_two_answers_and_a_label(tmp_path):
    given = [PLAIN, PLAIN | {"label": "2", "reference": "Elbe"}, PLAIN | {"label": "tie", "id": "x"}]
    pairs = list(read_pairs(write(tmp_path, *given)))
    assert [p.gold for p in pairs] == ["a", "b", "tie"]
    assert [p.instruction.id for p in pairs] == ["1", "2", "x"]
    assert pairs[1].instruction.references == ("Elbe",)


def test_mt_benchs_judgements_are_read_by_turn_and_clustered_by_question():
    first, second = pair_of(MT_BENCH, "1"), pair_of(MT_BENCH | {"turn": 2}, "2")
    assert (first.gold, first.a, first.instruction.prompt) == ("b", "Rhine", "Name a river.")
    assert "Rhine" in second.a
    assert second.a.endswith("Elbe")
    assert "And another?" in second.instruction.prompt
    assert first.instruction.meta["cluster"] == second.instruction.meta["cluster"] == "81"
    assert pair_of(MT_BENCH | {"winner": "tie (inconsistent)"}, "3").gold == "tie"


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"question": "?"}, "no pair of answers in a row with: question"),
        ({}, "no pair of answers in a row with: no fields"),
        (PLAIN | {"label": "c"}, "`label` is 'c'"),
        (PLAIN | {"label": None}, "`label` is None"),
        (PLAIN | {"a": None}, "`a` is missing"),
        (PLAIN | {"b": 3}, "`b` is not a text"),
        (PLAIN | {"id": 1.5}, "`id` is neither"),
        (PLAIN | {"reference": ["x"]}, "`reference` is not a text"),
        (MT_BENCH | {"turn": 3}, "`turn` is 3"),
        (MT_BENCH | {"turn": 2, "conversation_a": TURNS[:2]}, "no answer in turn 2"),
        (MT_BENCH | {"conversation_b": [{"role": "assistant"}]}, "message 1 is not"),
        (MT_BENCH | {"conversation_b": "hello"}, "not a list of messages"),
    ],
)
def test_what_is_wrong_with_a_row_is_said_with_its_line(tmp_path, row, said):
    path = write(tmp_path, PLAIN, row)
    with pytest.raises(DataError) as caught:
        list(read_pairs(path))
    assert str(caught.value).startswith(f"{path}:2: ")
    assert said in str(caught.value)


def test_an_id_that_comes_twice_is_refused(tmp_path):
    with pytest.raises(DataError, match=r"gold.jsonl:2: the id 'x' occurs twice"):
        list(read_pairs(write(tmp_path, PLAIN | {"id": "x"}, PLAIN | {"id": "x"})))
