"""Adhere makes language models do what they are told: it measures, writes, trains and answers.

import adhere

model = adhere.load("smollm2")
run = adhere.evaluate("core-quick", model, limit=20)
print(run.metrics["prompt_strict"])
print(adhere.check("no commas, at least 3 bullets", "- one\\n- two\\n- three").passed)
obedient = adhere.answer.DeCRIM(model, critic="program")
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from adhere.api import check, compare, evaluate, grade, load

__version__ = "0.1.0"
__all__ = ["__version__", "check", "compare", "evaluate", "grade", "load"]


def __getattr__(name: str) -> Any:
    # The functions load on first use, so that `import adhere` costs nothing.
    if name in ("check", "compare", "evaluate", "grade", "load"):
        from adhere import api

        return getattr(api, name)
    if name == "answer":
        import importlib

        return importlib.import_module("adhere.answer")
    raise AttributeError(f"module 'adhere' has no attribute '{name}'")
