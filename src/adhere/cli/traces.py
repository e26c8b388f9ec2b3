"""A trace on the terminal: a few lines a step."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

__all__ = ["trace_lines"]

_WIDTH = 160  # characters of an answer's text that a line shows
_MARKS = {True: "✓", False: "✗", None: "?"}


def trace_lines(trace: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """The steps of a trace as lines; a step without a form of its own is shown as its fields."""
    for step in trace:
        name = str(step.get("step", "step"))
        show = _STEPS.get(name, _fields)
        try:
            lines = list(show(step))
        except (KeyError, TypeError, ValueError):  # a third party's step of a known name, in another form
            lines = list(_fields(step))
        yield f"── {name.replace('_', ' ')}{': ' + lines[0] if lines else ''}"
        yield from (f"   {line}" for line in lines[1:])


def _short(value: Any, width: int = _WIDTH) -> str:
    text = " ".join(str(value).split())
    return text if len(text) <= width else f"{text[: width - 1]}…"


def _number(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, int | float) and not isinstance(value, bool) else str(value)


def _text(step: Mapping[str, Any]) -> Iterator[str]:
    yield _short(step["text"])


def _decompose(step: Mapping[str, Any]) -> Iterator[str]:
    yield f"{len(step['constraints'])} constraints ({step['source']})"
    yield from (f"- {_short(c)}" for c in step["constraints"])


def _critique(step: Mapping[str, Any]) -> Iterator[str]:
    met = sum(v["met"] is True for v in step["verdicts"])
    yield f"{met} of {len(step['verdicts'])} constraints hold"
    for v in step["verdicts"]:
        reason = f": {_short(v['reason'])}" if v.get("reason") else ""
        yield f"{_MARKS[v['met']]} {_short(v['constraint'])}{reason}"


def _refine(step: Mapping[str, Any]) -> Iterator[str]:
    yield _short(step["text"])
    if step.get("feedback"):
        yield f"asked to mend: {_short(step['feedback'])}"


def _candidate(step: Mapping[str, Any]) -> Iterator[str]:
    yield f"{step['index']} {_MARKS.get(step.get('passed'), '?')} {_number(step.get('value'))}  {_short(step['text'])}"


def _node(step: Mapping[str, Any]) -> Iterator[str]:
    indent = "  " * int(step["depth"])
    yield f"{indent}{step['id']} ← {step['parent']}  value {_number(step['value'])}  {_short(step['text'])}"


def _choose(step: Mapping[str, Any]) -> Iterator[str]:
    yield f"{step['index']}, {_short(step['because'])}"


def _route(step: Mapping[str, Any]) -> Iterator[str]:
    scores = ", ".join(f"{name} {_number(p)}" for name, p in step["scores"].items())
    yield f"{step['chosen']}: {_short(step['because'])} ({scores})"


def _decline(step: Mapping[str, Any]) -> Iterator[str]:
    yield f"predicted quality {_number(step['value'])} is under {_number(step['threshold'])}"


def _constrain(step: Mapping[str, Any]) -> Iterator[str]:
    yield f"compiled into decoding: {', '.join(map(str, step['compiled'])) or 'nothing'}"
    if step["left"]:
        yield f"left: {', '.join(map(str, step['left']))}"


def _demonstrations(step: Mapping[str, Any]) -> Iterator[str]:
    yield f"{len(step['items'])} ({step['selection']})"
    yield from (f"- {_short(item)}" for item in step["items"])


def _cost(step: Mapping[str, Any]) -> Iterator[str]:
    calls = step["calls"]
    read, written = step["prompt_tokens"], step["completion_tokens"]
    yield f"{calls} model call{'s' * (calls != 1)}, {read} tokens read, {written} written"


def _fields(step: Mapping[str, Any]) -> Iterator[str]:
    yield ", ".join(f"{k}: {_short(_number(v))}" for k, v in step.items() if k != "step")


_STEPS: dict[str, Callable[[Mapping[str, Any]], Iterator[str]]] = {
    "draft": _text, "note": _text, "decompose": _decompose, "critique": _critique, "refine": _refine,
    "candidate": _candidate, "node": _node, "choose": _choose, "route": _route, "decline": _decline,
    "constrain": _constrain, "demonstrations": _demonstrations, "cost": _cost,
}  # fmt: skip
