"""The reproductions of APE and INSTINCT run from end to end; a random model proves the plumbing, no claim."""

from __future__ import annotations

import importlib.util
import math
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from tiny_llama import save_tiny_llama

pytest.importorskip("torch")


@pytest.fixture
def model(tmp_path: Path, data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("ADHERE_DATA", str(data_dir))
    monkeypatch.setenv("ADHERE_CACHE", str(tmp_path / "cache"))
    return str(save_tiny_llama(tmp_path / "tiny"))


def module(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(
        f"reproductions.{name}", Path(__file__).parents[2] / "reproductions" / f"{name}.py"
    )
    assert spec is not None and spec.loader is not None
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    return made


def checked(result: dict[str, Any]) -> dict[str, Any]:
    assert result["holds"] == "not shown"  # a smoke run never shows anything
    assert result["claim"] and result["headline"] and result["lines"] and result["paper"]
    return result


def test_ape_measures_choice_pool_people_and_none_on_the_same_pairs(model: str) -> None:
    (row,) = checked(module("ape").run("smoke", model))["tasks"]
    assert set(row["log_likelihood"]) == {"none", "mean_of_pool", "choice", "mean_human", "best_human"}
    assert all(math.isfinite(v) and v < 0 for v in row["log_likelihood"].values())
    assert row["log_likelihood"]["best_human"] >= row["log_likelihood"]["mean_human"]
    assert row["choice_minus_pool"]["n"] == row["n"] == 2
    assert all(r["calls"] <= 0.4 * r["of"] for r in row["frugal"].values())


def test_instinct_compares_all_choosers_on_the_same_points(model: str) -> None:
    result = checked(module("instinct").run("smoke", model))
    (task,) = result["tasks"]
    assert set(task["reached"]) == {"neural_ucb", "gp", "random", "ape"}
    assert task["distinct"] <= task["points"] == 8
    assert all(v <= task["best_score"] for name in ("neural_ucb", "gp", "random") for v in task["reached"][name])
    assert all(v >= 0 for values in result["known"]["regret"].values() for v in values)


def test_the_first_tries_are_the_same_for_all_choosers() -> None:
    from adhere.write.instructions.soft_prompts import Domain

    instinct = module("instinct")
    size = instinct.SCALES["smoke"]
    hidden = np.random.default_rng(0).normal(size=(20, 6)).astype(np.float32)
    domain, reward = Domain(hidden[:, :2], hidden, 0, None, Path("none")), hidden[:, 0].astype(float)
    curves = [instinct.curve(domain, reward, reward, b, 3, size) for b in instinct.choosers(3).values()]
    assert len({tuple(c[: size.initial]) for c in curves}) == 1
    assert all((np.diff(c) >= 0).all() and len(c) == size.budget for c in curves)
