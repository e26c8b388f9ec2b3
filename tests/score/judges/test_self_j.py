"""Self-J's judge as a scorer: what a folder must hold, how it is named. Its grades are tested where it is trained."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from adhere.answer import Selective, build
from adhere.errors import DataError, UnknownNameError
from adhere.models.fakes import Echo
from adhere.models.model import Model
from adhere.score import saved
from adhere.score.judges.self_j import SelfJ, prompt_digests
from adhere.score.resolve import resolve


def judge(folder: Path, kind: str = "self_j", **changes: Any) -> Path:
    config = {"base": "smollm2", "scale": [0, 9], "prompts": prompt_digests(), "answerer": "smollm2", **changes}
    return saved.save(folder, kind, {k: v for k, v in config.items() if v is not None}, {})


def test_a_judge_is_named_by_its_folder_or_as_a_call(tmp_path: Path) -> None:
    place = judge(tmp_path / "judge")
    found = resolve(f"self_j('{place}', with_reference=true)")
    assert isinstance(found, SelfJ)
    assert found.with_reference
    assert repr(resolve(str(place))) == f"SelfJ({str(place)!r})"


def test_a_coverage_finds_its_threshold_in_the_judges_calibration(tmp_path: Path) -> None:
    place = judge(tmp_path / "judge", calibration=[2.0, 4.0, 6.0, 8.0])
    strategy = build(f"selective(scorer=self_j('{place}'), coverage=0.75)", Model(Echo()))
    assert isinstance(strategy, Selective)
    assert strategy.lowest == 4.0


def test_what_is_no_judge_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"scorer\.json"):
        SelfJ(tmp_path / "nothing")
    with pytest.raises(DataError, match="kind 'cappy'"):
        SelfJ(judge(tmp_path / "other", kind="cappy"))
    with pytest.raises(DataError, match="lacks base"):
        SelfJ(judge(tmp_path / "half", base=None))
    with pytest.raises(DataError, match="another wording"):
        SelfJ(judge(tmp_path / "old", prompts={}))
    with pytest.raises(UnknownNameError, match="self_jay"):
        resolve("self_jay")
