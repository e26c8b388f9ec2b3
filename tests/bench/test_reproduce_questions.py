"""The reproductions of instruct-qa and of FollowRAG run from end to end at the smallest scale."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any

import pytest

FOLDER = Path(__file__).parents[2] / "reproductions"


def load(name: str) -> Any:
    spec = importlib.util.spec_from_file_location(f"reproductions.{name}", FOLDER / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.slow
@pytest.mark.weights
@pytest.mark.parametrize("name", ["instruct_qa", "vif_rag"])
def test_a_reproduction_runs_and_says_what_it_found(name: str, data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ADHERE_DATA", str(data_dir))
    result = load(name).run("smoke", "smollm2")
    assert result["holds"] in ("shown", "not shown", "against")
    assert result["claim"] and result["headline"] and result["lines"] and result["paper"]
    json.dumps(result)


def test_a_question_without_its_instructions_keeps_its_passages() -> None:
    from adhere.bench.base import get

    for row in get("followrag-synthetic").instructions(10):
        bare = load("vif_rag")._bare(row).prompt
        assert bare.endswith(f"Question: {row.meta['question']}")
        assert row.prompt.startswith(bare)
