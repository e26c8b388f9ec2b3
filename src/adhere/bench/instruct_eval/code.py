"""HumanEval as INSTRUCTEVAL runs it: cut the completion, put the program together, run it in the sandbox.

The repository cuts a completion at its first blank line and pads each line's indentation to an even number. The first
destroys functions of several paragraphs: `cut` ends where the next statement at the left margin begins, unless
`published=True` asks for the repository's way.
"""

from __future__ import annotations

import re
from typing import Any

from adhere.records import Score

__all__ = ["cut", "evened", "program", "verdict"]

SECONDS = 3.0  # per program, as in the repository
_FENCE = re.compile(r"```(?:python|py)?[ \t]*\n(.*?)(?:```|\Z)", re.DOTALL)


def evened(text: str) -> str:
    """Lines whose indentation is odd, indented by one blank more."""
    return "\n".join(" " * ((len(line) - len(line.lstrip(" "))) % 2) + line for line in text.split("\n"))


def cut(completion: str, *, published: bool = False) -> str:
    """What of a completion belongs to the function.

    Args:
        completion: What the model wrote after the prompt.
        published: Up to the first blank line, as the repository; otherwise what its fenced block holds, or up to the
            next statement at the left margin.
    """
    if published:
        return evened(completion).lstrip("\n").split("\n\n")[0]
    if fenced := _FENCE.search(completion):
        return evened(fenced[1]).rstrip()
    kept: list[str] = []
    for line in evened(completion).split("\n"):
        outside = line[:1] not in ("", " ", "\t", "#", ")", "]", "}")
        if outside and any(map(str.strip, kept)) and not _opens(kept):
            break
        kept.append(line)
    return "\n".join(kept).rstrip()


def _opens(lines: list[str]) -> bool:
    """Whether what stands there so far still waits for its function: imports, decorators, nothing indented yet."""
    return not any(line[:1] in (" ", "\t") for line in lines)


def program(problem: dict[str, Any], completion: str) -> str:
    """The module that a completion makes of its prompt."""
    name, body = problem["entry_point"], cut(completion)
    whole = re.search(rf"^def {re.escape(name)}\b", body, re.MULTILINE)
    # A chat model repeats the head; what stands before it in the prompt is still needed: imports and helpers.
    return (problem["prompt"].split(f"def {name}")[0] if whole else problem["prompt"]) + body + "\n"


async def verdict(problem: dict[str, Any], completion: str, *, unsafe: bool) -> Score:
    """Whether the completion passes the problem's tests.

    Raises:
        CapabilityError: if code cannot be isolated on this machine and `unsafe` is False.
    """
    from adhere.sandbox import Limits, run_tests

    tests = f"{problem['test']}\n\ncheck({problem['entry_point']})\n"
    limits = Limits(cpu=SECONDS, wall=SECONDS)
    outcome = await run_tests(program(problem, completion), tests, limits=limits, unsafe=unsafe)
    return Score("humaneval", float(outcome.passed), outcome.passed, reason=outcome.reason or outcome.verdict)
