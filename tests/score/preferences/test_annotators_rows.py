"""AlpacaFarm's annotation files: read, voted on, and written again by a judge."""

from __future__ import annotations

import asyncio
import json

import pytest

from adhere.errors import DataError
from adhere.score.judges.base import Preference
from adhere.score.preferences.quality import agreement, variance
from adhere.score.preferences.rows import PairRow, annotate, read_annotations, votes_of

ROW = {"instruction": "Add.", "input": "1 + 1", "output_1": "2", "output_2": "3", "preference": 1, "annotator": "w1"}


def written(tmp_path, *rows):
    path = tmp_path / "rows.json"
    path.write_text(json.dumps(rows))
    return path


def test_the_votes_of_one_pair_come_together(tmp_path):
    other = ROW | {"instruction": "Say hi.", "input": "", "preference": 2}
    rows = [ROW | {"preference": p} for p in (1, 1, 2, 1)] + [other, other | {"preference": None}, other, other]
    found = votes_of(read_annotations(written(tmp_path, *rows)))
    assert found.votes == [[0.0, 0.0, 1.0, 0.0], [1.0, None, 1.0, 1.0]]
    assert [p.prompt for p in found.pairs] == ["Add.\n\n1 + 1", "Say hi."]
    assert variance(found.votes) == pytest.approx(0.125)
    assert agreement([[0.0], [0.0]], found.votes) == 0.5


def test_a_judge_annotates_the_rows_in_their_order():
    class Second:
        async def compare(self, instruction, a, b):
            if a == "?":
                return Preference(None, None, "mute")
            return Preference(float(b > a), "b", "", (), {"annotator": instruction.prompt})

    rows = [PairRow("p", "i", "1", "2"), PairRow("q", "", "2", "1"), PairRow("r", "", "?", "1")]
    found = asyncio.run(annotate(Second(), rows))
    assert [(r.preference, r.annotator) for r in found] == [(2.0, "p\n\ni"), (1.0, "q"), (None, "Second")]
    assert [r[:4] for r in found] == [r[:4] for r in rows]


def test_a_row_that_is_no_annotation_is_named(tmp_path):
    with pytest.raises(DataError, match="row 2: the row has no `output_2`"):
        read_annotations(written(tmp_path, ROW, {"instruction": "a", "output_1": "b"}))
    with pytest.raises(DataError, match="row 1: 3 is no preference"):
        read_annotations(written(tmp_path, ROW | {"preference": 3}))
    with pytest.raises(DataError, match="row 1: "):
        read_annotations(written(tmp_path, ROW | {"preference": "first"}))
