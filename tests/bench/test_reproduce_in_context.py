"""The reproductions of Auto-CoT and EvALign-ICL run from end to end; a fake model proves the plumbing, no claim."""

from __future__ import annotations

import asyncio
import importlib.util
import random
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from adhere.bench.reproduce import SCALES
from adhere.records import Instruction


def load(name: str) -> ModuleType:
    file = Path(__file__).parents[2] / "reproductions" / f"{name}.py"
    spec = importlib.util.spec_from_file_location(f"reproductions.{name}", file)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def check(result: dict[str, Any]) -> None:
    assert result["holds"] in ("shown", "not shown", "against")
    assert result["claim"] and result["headline"] and result["lines"] and result["paper"]


def test_evalign_has_a_table_for_every_axis_with_deviation_and_chance() -> None:
    module = load("evalign_icl")
    assert set(module.SIZES) == set(SCALES)
    result = module.run("smoke", "echo")
    check(result)
    assert set(result["tables"]) == {"caption", "vqa", "matching", "explanation"}
    for table in result["tables"].values():
        assert {"icl 0", "icl 2"} < set(table)
        assert all(len(row["by seed"]) == 3 and row["n"] == 6 for row in table.values())
    assert result["tables"]["matching"]["icl 2"]["chance"] == 0.5
    assert set(result["tables"]["vqa"]) == {"icl 0", "icl 2", "multitask", "self_correct"}


@pytest.mark.weights
def test_auto_cot_has_every_condition_and_the_mechanism() -> None:
    module = load("auto_cot")
    assert set(module.SIZES) == set(SCALES)
    result = module.run("smoke", "echo")
    check(result)
    assert set(result["right"]) == set(module.CONDITIONS)
    assert result["right"]["auto_cot"]["n"] == 3
    assert result["parts"]["mechanism"] is True  # needs no language model


def test_the_scripted_thinker_is_wrong_as_often_as_it_is_said_to_be() -> None:
    module = load("auto_cot")
    pool = [module.problem(n % 8, random.Random(n)) for n in range(800)]
    thinker = module.Thinker(pool, 1)
    wrong = [[thinker.wrong(e.instruction.prompt) for e in pool[t::8]] for t in range(8)]
    assert np.mean(wrong[module.BAD]) > 0.75
    assert np.mean([w for t, row in enumerate(wrong) if t != module.BAD for w in row]) < 0.2
    said = asyncio.run(thinker.answer(Instruction.of(f"Q: {pool[0].instruction.prompt}\nA: Let's think step by step.")))
    assert said.text.endswith(".")
