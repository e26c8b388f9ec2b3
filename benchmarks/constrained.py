"""What `constrained` guarantees, and what it costs: held constraints, accuracy, fluency, speed.

    python benchmarks/constrained.py [--prompts 60] [--max-tokens 160] [--json]

Prompts: the packaged benchmark `core` and IFEval (where its data are at hand), half and half, evenly spread over each,
of which at least one constraint compiles. Each is answered twice by SmolLM2, greedily: plain, and under the grammar.
Measured, paired by prompt:

- the share of compiled constraints that hold (the checkers of the dialect "fixed" judge the text, and the published
  ones beside them), and how many answers were cut at the limit;
- the share of prompts all of whose constraints hold, compiled or not;
- fluency: the mean log-probability a token of the answer under the model itself without any grammar, and from it the
  perplexity. A greedy answer is nearly the likeliest there is, so any constraint at all costs something here;
- speed: seconds an answer and tokens a second. Both kinds run in turn in the same process, one call at a time, and the
  time to compile is counted; the first answer of each kind is not, since the engine starts in it.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import statistics
import sys
import time
from pathlib import Path
from typing import Any


def prompts(number: int, max_tokens: int) -> list[Any]:
    """Instructions with something that compiles, from both benchmarks."""
    from adhere.answer.constrained import plan_of
    from adhere.bench import base
    from adhere.errors import AdhereError

    picked: list[Any] = []
    for name in ("core", "ifeval"):
        try:
            rows = list(base.get(name).load())
        except AdhereError as error:
            print(f"without {name}: {error}", file=sys.stderr)
            continue
        wanted = number - len(picked) if name == "ifeval" else number // 2
        step = max(1, len(rows) // (wanted * 5 // 4))
        fitting = (row for row in rows[::step] if plan_of(row, row.constraints, tokens=max_tokens).compiled)
        picked += [row for row, _ in zip(fitting, range(wanted), strict=False)]
    return picked


async def measure(rows: list[Any], max_tokens: int) -> list[dict[str, Any]]:
    """One record a prompt: both answers, judged, weighed and timed."""
    import adhere
    from adhere.answer import Constrained
    from adhere.records import Instruction
    from adhere.score.likelihood import Likelihood

    model = adhere.load("smollm2", max_tokens=max_tokens)
    model.store = None
    answerers = {"plain": model, "constrained": Constrained(model)}
    for answerer in answerers.values():
        await answerer.answer(Instruction.of("Say hello without commas."))
    weigh = Likelihood(model)
    records = []
    for number, row in enumerate(rows):
        record: dict[str, Any] = {"id": row.id}
        order = list(answerers.items())
        for kind, answerer in order if number % 2 else order[::-1]:
            began = time.perf_counter()
            response = await answerer.answer(row)
            seconds = time.perf_counter() - began
            weight = await weigh.score(row, _alone(response))
            record[kind] = {
                "seconds": seconds,
                "tokens": response.usage.completion_tokens,
                "cut": response.finish_reason == "length",
                "logprob": weight.value,
                **judged(row, response.text, max_tokens),
            }
        records.append(record)
        print(f"{number + 1}/{len(rows)}", end="\r", file=sys.stderr)
    await model.close()
    return records


def _alone(response: Any) -> Any:
    """The text without the log-probabilities of its making, so that it is weighed anew."""
    from adhere.records import Response

    return Response(response.text)


def judged(row: Any, text: str, max_tokens: int) -> dict[str, Any]:
    """What holds: of the compiled constraints, and whether all of the prompt's do."""
    from adhere.answer.constrained import plan_of
    from adhere.answer.constrained.rules import PARTLY
    from adhere.constraints.base import build

    plan = plan_of(row, row.constraints, tokens=max_tokens)
    whole = [c for c in plan.compiled if c.kind not in PARTLY]  # the language of the others is not compiled
    fixed = [build(c, "fixed").passes(text) for c in whole]
    published = [build(c, "ifeval").passes(text) for c in whole]
    halves = [plan.machine.accepts(text) for c in plan.compiled if c.kind in PARTLY] if plan.machine else []
    return {
        "held": [*fixed, *halves],
        "held_published": [*published, *halves],
        "all": all(build(c, "fixed").passes(text) for c in row.constraints) and bool(text.strip()),
        "left": len(plan.left),
    }


def summary(records: list[dict[str, Any]]) -> dict[str, Any]:
    """The figures, with intervals."""
    import math

    from adhere.score.statistics import bootstrap_mean, compare, rate

    made: dict[str, Any] = {"prompts": len(records), "left": sum(r["plain"]["left"] for r in records)}
    for kind in ("plain", "constrained"):
        rows = [r[kind] for r in records]
        owners = [r["id"] for r in records for _ in r[kind]["held"]]
        tokens = sum(r["tokens"] for r in rows)
        seconds = sum(r["seconds"] for r in rows)
        logprobs = [r["logprob"] for r in rows if r["logprob"] is not None]
        made[kind] = {
            "held": str(rate([h for r in rows for h in r["held"]], owners)),
            "held published": str(rate([h for r in rows for h in r["held_published"]], owners)),
            "answers that hold all compiled": str(rate([all(r["held"]) for r in rows])),
            "cut": sum(r["cut"] for r in rows),
            "cut and not held": sum(r["cut"] and not all(r["held"]) for r in rows),
            "prompts all held": str(rate([r["all"] for r in rows])),
            "logprob a token": round(statistics.mean(logprobs), 3),
            "perplexity": round(math.exp(-statistics.mean(logprobs)), 2),
            "tokens": tokens,
            "seconds an answer": round(seconds / len(rows), 2),
            "median seconds": round(statistics.median(r["seconds"] for r in rows), 2),
            "tokens a second": round(tokens / seconds, 1),
        }
    pairs = [(r["plain"], r["constrained"]) for r in records]
    weights = [c["logprob"] - p["logprob"] for p, c in pairs if None not in (c["logprob"], p["logprob"])]
    cost = bootstrap_mean(weights)
    made["paired"] = {
        "prompts all held": compare([p["all"] for p, _ in pairs], [c["all"] for _, c in pairs]).sentence,
        "logprob a token": f"{cost.value:+.3f} [{cost.low:+.3f}, {cost.high:+.3f}], n={cost.n}",
        "tokens a second": round(made["constrained"]["tokens a second"] / made["plain"]["tokens a second"], 2),
        "seconds an answer": round(made["constrained"]["seconds an answer"] / made["plain"]["seconds an answer"], 2),
    }
    return made


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--prompts", type=int, default=60)
    parser.add_argument("--max-tokens", type=int, default=160)
    parser.add_argument("--json", action="store_true", help="print the figures as one JSON line")
    parser.add_argument("--out", type=Path, help="write the records there, as JSON lines")
    arguments = parser.parse_args()
    records = asyncio.run(measure(prompts(arguments.prompts, arguments.max_tokens), arguments.max_tokens))
    if arguments.out:
        arguments.out.write_text("".join(f"{json.dumps(r)}\n" for r in records))
    made = summary(records)
    made["machine"] = {"cpu": platform.processor() or platform.machine(), "cores": os.cpu_count(),
                       "load": round(os.getloadavg()[0], 1), "max_tokens": arguments.max_tokens}  # fmt: skip
    if arguments.json:
        print(json.dumps(made))
        return
    print(f"{made['prompts']} prompts; {made['left']} of their constraints are not compiled\n")
    for name in made["plain"]:
        print(f"{name:31} {made['plain'][name]!s:42} {made['constrained'][name]}")
    print("\nconstrained (b) against plain (a), by prompt")
    for name, value in made["paired"].items():
        print(f"{name:31} {value}")
    print(made["machine"])


if __name__ == "__main__":
    main()
