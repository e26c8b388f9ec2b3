"""HumanEval (Chen et al. 2021, arXiv 2107.03374): 164 functions to complete, run against their tests in the sandbox.

One instruction a problem; `pass@k` for every k of 1, 10 and 100 that the run has samples for, by the paper's estimator.
Prompt and length are INSTRUCTEVAL's (Chia et al. 2023, arXiv 2306.04757). It cuts an answer at its first blank line and
pads indentation to even numbers, which breaks right answers; here the code is read off the answer as a person would:
the fenced block if there is one, a whole function where it is one, otherwise a continuation of the prompt up to the
paper's stop sequences.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import msgspec

from adhere.bench.base import Metric, Scored, benchmark
from adhere.data.sets import DataFile, locate
from adhere.errors import DataError
from adhere.models.prompts import Template
from adhere.records import Instruction, Response, Score

__all__ = ["HumanEvalScorer", "completed"]

FILE = DataFile(
    "instruct-eval/HumanEval.jsonl.gz",
    "b796127e635a67f93fb35c04f4cb03cf06f38c8072ee7cee8833d7bee06979ef",
    "https://raw.githubusercontent.com/openai/human-eval/master/data/HumanEval.jsonl.gz",
)
KS = (1, 10, 100)
MAX_TOKENS = 512  # INSTRUCTEVAL's
SECONDS = 3.0  # of processor time for a program, the paper's time-out
STOPS = re.compile(r"\n(?:class|def|#|if|print|assert|```)")  # the paper's, section 2.1, and what a chat model adds
_BLOCK = re.compile(r"```[ \t]*(?:[Pp]ython3?|py)?[ \t]*\n(.*?)(?:\n```|\Z)", re.S)


class Problem(msgspec.Struct):
    """A row of the published file."""

    task_id: str
    prompt: str
    entry_point: str
    canonical_solution: str
    test: str


@benchmark(
    "humaneval",
    about="164 functions to complete from their docstrings, run against their tests in the sandbox",
    size=164,
    licence="MIT",
    metrics={f"pass@{k}": Metric(f"solved by one of {k}" if k > 1 else "solved") for k in KS},
    scorer=lambda options: HumanEvalScorer(options.unsafe_sandbox),
    summary=lambda scored, options: summary(scored),
    files=(FILE,),
    paper="instruct-eval",
    max_tokens=MAX_TOKENS,
    suite=("code",),
)
def load() -> list[Instruction]:
    """The problems, in their order.

    Raises:
        DataError: naming file and line, if a row has another shape.
    """
    import gzip

    path = locate(FILE).path
    template = Template.of("adhere.bench", "humaneval")
    found = []
    try:
        lines = gzip.decompress(path.read_bytes()).splitlines()
    except (OSError, EOFError) as error:
        raise DataError(f"{path}: not a gzip file: {error}", hint="Fetch it again") from error
    for number, line in enumerate(lines, 1):
        try:
            row = msgspec.json.decode(line, type=Problem)
        except msgspec.DecodeError as error:
            raise DataError(f"{path}:{number}: {error}", hint="Use the published HumanEval.jsonl.gz") from error
        made = Instruction.of(template.render(code=row.prompt), id=row.task_id, entry_point=row.entry_point)
        meta = made.meta | {"code": row.prompt, "test": row.test}
        found.append(msgspec.structs.replace(made, meta=meta, references=(row.canonical_solution,)))
    return found


class HumanEvalScorer:
    """Runs an answer against its problem's tests; passed if they run to their end.

    Args:
        unsafe: Run without isolation where there is none.

    Raises:
        CapabilityError: if code cannot be isolated here and `unsafe` is False.
    """

    def __init__(self, unsafe: bool = False) -> None:
        from adhere.sandbox import isolation

        self.unsafe = unsafe
        if not unsafe:
            isolation().required()

    async def score(self, instruction: Instruction, response: Response) -> Score:
        """As the class says; the reason is the sandbox's verdict."""
        from adhere.sandbox import Limits, run_tests

        meta = instruction.meta
        code = completed(meta["code"], response.text, meta["entry_point"])
        tests = f"{meta['test']}\ncheck({meta['entry_point']})\n"
        limits = Limits(cpu=SECONDS, wall=4 * SECONDS)
        made = await run_tests(code, tests, limits=limits, unsafe=self.unsafe)
        verdict = f"{made.verdict}: {made.reason}" if made.reason else made.verdict
        return Score("pass@1", float(made.passed), made.passed, reason=verdict[:300])


def completed(prompt: str, answer: str, entry_point: str) -> str:
    """The whole program that an answer to a prompt comes to.

    Args:
        prompt: Imports, signature and docstring.
        answer: What the model said: prose and a fenced block, a whole function, or the lines that follow the prompt.
        entry_point: The function's name.
    """
    answer = answer.replace("\r\n", "\n")
    blocks = _BLOCK.findall(answer)
    heading = re.compile(rf"^(?:async )?def {re.escape(entry_point)}\b", re.M)
    code = next((block for block in blocks if heading.search(block)), blocks[0] if blocks else answer)
    if found := heading.search(code):
        # The prompt stays in front: it has the imports, and helpers that the answer may not repeat.
        start = 0 if blocks else _first_line(code, found.start())
        return f"{prompt}    pass\n\n{_whole(code[start:]) if not blocks else code}\n"
    # A chat model begins its line at the margin where the prompt would go on indented.
    body = code if code.startswith((" ", "\t", "\n")) else f"    {code}"
    stop = STOPS.search(body)
    return prompt + (body[: stop.start()] if stop else body) + "\n"


def _first_line(code: str, function: int) -> int:
    """Where the program begins that holds the function: at the first import before it, or at the function itself."""
    first = re.search(r"^(?:import|from) \w", code[:function], re.M)
    return first.start() if first else function


def _whole(code: str) -> str:
    """Code up to the first unindented line that is no code: the prose after a function without a fence."""
    kept = []
    for line in code.split("\n"):
        if line[:1].strip() and not re.match(r"(?:def|class|import|from|async|@|#|[\])}]|[A-Za-z_]\w*\s*[:=])", line):
            break
        kept.append(line)
    return "\n".join(kept)


def summary(scored: Sequence[Scored]) -> dict[str, Any]:
    """pass@k over the problems, without bias, for every k above 1 that each problem has samples for."""
    from adhere.bench.figures import mean
    from adhere.score.estimators import pass_at_k

    passed: dict[str, list[bool]] = {}
    for s in scored:
        passed.setdefault(s.instruction.id, []).append(s.score is not None and s.score.passed is True)
    fewest = min(map(len, passed.values()), default=0)
    found = {}
    for k in KS:
        if 1 < k <= fewest:
            chances = [float(pass_at_k(len(marks), sum(marks), k)) for marks in passed.values()]
            found[f"pass@{k}"] = mean(chances, list(passed))
    return found
