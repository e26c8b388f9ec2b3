"""CoDI-Eval's, verbalizer manipulation's and injection robustness's reproductions run: their structure, not a claim."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[2] / "reproductions"


@pytest.mark.slow
@pytest.mark.weights
@pytest.mark.parametrize("slug", ["codi_eval", "verbalizer_manipulation", "prompt_injection_robustness"])
def test_a_reproduction_runs_and_says_what_it_found(slug: str, data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ADHERE_DATA", str(data_dir))
    spec = importlib.util.spec_from_file_location(f"reproductions.{slug}", FOLDER / f"{slug}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert set(module.SIZES) == {"smoke", "small", "medium", "full"}
    result = module.run("smoke", "smollm2")
    assert result["holds"] in ("shown", "not shown", "against")
    assert result["claim"] and result["headline"] and result["lines"] and result["size"]
