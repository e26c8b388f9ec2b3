"""Strategies around a model: refine, best-of-n, route, length, prompts.

    model = adhere.load("smollm2")
    obedient = adhere.answer.DeCRIM(model, critic="program")
    obedient = adhere.answer.build("decrim(best_of_n(n=4), critic=program)", model)

Each is an Answerer around an answerer, so they nest, can be benchmarked, served, or used as a teacher.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from adhere.answer.base import Strategy, Trace, base_model, draw

if TYPE_CHECKING:
    from adhere.roles import Answerer

__all__ = ["Strategy", "Trace", "base_model", "build", "draw"]

# class → module: a strategy loads when it is first named
_CLASSES = {
    "AutoCoT": "auto_cot",
    "BestOfN": "best_of_n",
    "ChainOfHindsight": "hindsight",
    "Constrained": "constrained",
    "DeCRIM": "decrim",
    "Documents": "documents",
    "FewShot": "few_shot",
    "LengthControl": "length_control",
    "Multitask": "multitask",
    "Ocr": "ocr",
    "ProductOfExperts": "product_of_experts",
    "Prompted": "prompt_program",
    "Route": "route",
    "Ruler": "ruler",
    "Selective": "selective",
    "SelfCorrect": "self_correct",
    "TreeRefine": "tree_refine",
}


def __getattr__(name: str) -> Any:
    if name in _CLASSES:
        return getattr(importlib.import_module(f"adhere.answer.{_CLASSES[name]}"), name)
    raise AttributeError(f"module 'adhere.answer' has no attribute '{name}'")


def build(text: str, model: Answerer) -> Answerer:
    """The strategy that a text describes, around a model.

    Args:
        text: E.g. `decrim`, `best_of_n(n=8, scorer=constraints)`, `decrim(best_of_n(n=4), critic=program)`: the first
            argument without a name is the strategy inside; `plain` stands for the model itself.
        model: What the innermost strategy wraps.

    Raises:
        UsageError: saying where the text goes wrong and what was meant, perhaps.
    """
    from adhere.answer.construct import strategy
    from adhere.partspec import parse

    return strategy(parse(text), model)
