"""The two reproductions about code run from end to end at the smallest scale: their structure, not their claim."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from adhere.sandbox import isolation

FOLDER = Path(__file__).parents[2] / "reproductions"


def module_of(name: str):
    spec = importlib.util.spec_from_file_location(f"reproductions.{name}", FOLDER / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.weights
@pytest.mark.skipif(isolation().mode is None, reason="; ".join(isolation().notes))
def test_res_q_keeps_its_controls_and_stops_every_exploit(smollm2: Path) -> None:
    found = module_of("res_q").run("smoke", "smollm2")
    assert found["holds"] == "shown"
    assert set(found["forms of edit"]) == {"search_replace", "whole_file", "diff"}


@pytest.mark.weights
def test_code_instruct_eval_compares_every_way_of_choosing(smollm2: Path) -> None:
    found = module_of("code_instruct_eval").run("smoke", "smollm2")
    assert list(found["figures"]) == ["none", "fixed, 1", "random, 1", "bm25, 1"]
    assert found["planted found"] == 20
    assert {"value", "low", "high", "p", "n"} <= found["differences"]["bm25 minus random, 1 shot, generation"].keys()
