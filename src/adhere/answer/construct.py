"""From a strategy's text to the strategy: `decrim(best_of_n(n=4), critic=program)` around a model."""

from __future__ import annotations

from typing import Any

from adhere.errors import did_you_mean, suggest
from adhere.partspec import Call, construct, wrong
from adhere.registry import parts
from adhere.roles import Answerer
from adhere.score.resolve import resolve

__all__ = ["strategy"]

PLAIN = "plain"  # the model itself


def strategy(call: Call, model: Answerer) -> Answerer:
    """Build the strategy of a parsed text; see `adhere.answer.build`.

    Raises:
        UsageError: with position and suggestion.
    """
    if call.name == PLAIN and call.bare:
        return model
    known = parts("answer")
    if call.name not in known:
        wrong(call, f"there is no strategy '{call.name}'", hint=suggest(call.name, sorted(known)))
    inner, rest = model, call
    if call.args and isinstance(call.args[0], Call) and (call.args[0].name in known or call.args[0].name == PLAIN):
        inner, rest = strategy(call.args[0], model), call._replace(args=call.args[1:])

    def convert(value: Any, annotation: str, within: Call, at: int) -> Any:
        if isinstance(value, list):
            return [convert(item, annotation, within, at) for item in value]
        if "Scorer" in annotation and isinstance(value, str | Call):
            return resolve(value, model)
        if "Answerer" in annotation and isinstance(value, str | Call):
            return _answerer(value, model, within, at)
        if isinstance(value, Call):
            if value.bare:
                return value.name
            wrong(within, f"'{value.name}(…)' stands where a plain value was expected", at=at)
        return value

    return construct(rest, known[call.name].target, convert, model=inner)


def _answerer(value: str | Call, model: Answerer, within: Call, at: int) -> Any:
    """A strategy around the same model, or another model by its name; a word that is neither stays a word."""
    if isinstance(value, Call) and value.name in (PLAIN, *parts("answer")):
        return strategy(value, model)
    name = value if isinstance(value, str) else value.name
    if isinstance(value, Call) and not value.bare:
        wrong(within, f"there is no strategy '{name}'", at=at, hint=did_you_mean(name, parts("answer")))
    return name
