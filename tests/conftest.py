"""Fixtures that every test may use."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

# How long an example takes says nothing on a shared machine.
settings.register_profile("adhere", deadline=None)
settings.load_profile("adhere")


os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The public data sets; the test is skipped where they are not on this machine."""
    place = Path(os.environ["ADHERE_DATA"]) if "ADHERE_DATA" in os.environ else SHARED
    if not place.is_dir():
        pytest.skip(f"no data sets at {place}; set ADHERE_DATA")
    return place


@pytest.fixture(scope="session")
def smollm2() -> Path:
    """The GGUF file of SmolLM2 that engines load; skips where it cannot be had. Mark such tests `weights`."""
    from adhere.errors import WeightsError
    from adhere.models import weights

    try:
        return weights.resolve("smollm2")
    except WeightsError as error:
        pytest.skip(f"no SmolLM2: {error}")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """With `--dist loadfile`, a file's tests stay together, but for the reproductions: each may go to any worker."""
    if config.getvalue("dist") != "loadfile":
        return None
    from xdist.scheduler import LoadFileScheduling

    class ReproductionsApart(LoadFileScheduling):
        def _split_scope(self, nodeid: str) -> str:
            apart = "test_reproductions.py::test_a_reproduction_runs" in nodeid
            return nodeid if apart else super()._split_scope(nodeid)

    return ReproductionsApart(config, log)
