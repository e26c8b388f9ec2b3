"""Reproductions that need real weights run from end to end at the smallest scale: their structure, not their claim."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from adhere.bench.reproduce import SCALES

FOLDER = Path(__file__).parents[2] / "reproductions"


@pytest.mark.slow
@pytest.mark.weights
@pytest.mark.parametrize(
    "slug",
    [
        "alpaca-farm",
        "decrim",
        "decrim-realinstruct",
        "helpsteer2-preference",
        "model-sat",
        "revis-eval",
        "ruler",
        "self-j",
    ],
)
def test_a_reproduction_runs_and_says_what_it_found(slug: str, data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ADHERE_DATA", str(data_dir))
    file = FOLDER / f"{slug.replace('-', '_')}.py"
    spec = importlib.util.spec_from_file_location(f"reproductions.{file.stem}", file)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    sizes = next(v for k, v in vars(module).items() if k.isupper() and isinstance(v, dict) and set(SCALES) == set(v))
    assert set(sizes) == set(SCALES)
    result = module.run("smoke", "smollm2")
    assert result["holds"] in ("shown", "not shown", "against")
    assert result["claim"] and result["headline"] and result["lines"]


def test_every_committed_result_has_its_reproduction_and_says_how_it_was_made() -> None:
    import msgspec

    for file in sorted((FOLDER / "results").glob("*.json")):
        if file.name.endswith(".smoke.json"):
            continue
        found = msgspec.json.decode(file.read_bytes())
        assert (FOLDER / f"{found['slug'].replace('-', '_')}.py").is_file(), file.name
        assert found["scale"] in SCALES[1:], file.name
        assert found["command"].startswith(f"adhere reproduce {found['slug']}"), file.name
        assert found["holds"] in ("shown", "not shown", "against"), file.name
        assert found["versions"] and found["machine"], file.name
