"""The reproductions of MMMT-IF, RoleMRC and the rephrasing study run from end to end at the smallest scale."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[2] / "reproductions"


@pytest.mark.slow
@pytest.mark.weights
@pytest.mark.parametrize("name", ["mmmt_if", "role_mrc", "zero_shot_robustness"])
def test_a_reproduction_runs_and_says_what_it_found(name: str, data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ADHERE_DATA", str(data_dir))
    spec = importlib.util.spec_from_file_location(f"reproductions.{name}", FOLDER / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    result = module.run("smoke", "smollm2")
    assert result["holds"] in ("shown", "not shown", "against")
    assert result["claim"] and result["headline"] and result["lines"]
    assert result["n"] > 0 and result["paper"]
    json.dumps(result)
