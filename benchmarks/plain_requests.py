"""How well the rules read requests as people make them: `realinstruct-synthetic`, against its gold constraints.

    python benchmarks/plain_requests.py [--show]

What is measured is what `adhere eval from-logs` uses: the decomposer "rules". A constraint is right if the gold has the
same kind (first figures, multisets by request), or the same kind and arguments (second; each word to use or to avoid
counts by itself). Gold constraints that only a judge can decide take no part. The rules were extended looking at the
requests from number 35 on; the first 34 are held out, and `--show` lists the errors of the others only.
"""

from __future__ import annotations

import argparse
import asyncio
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from adhere.answer.decompose import decomposer
from adhere.bench.base import get
from adhere.constraints.base import build
from adhere.models.fakes import Echo
from adhere.models.model import Model
from adhere.records import Constraint, Instruction

HELD_OUT = 34  # requests


def single(constraints: Iterable[Constraint]) -> Iterator[str]:
    """Each constraint in one canonical spelling, defaults filled in, lists of words taken apart."""
    for one in constraints:
        words = {"keywords": "keywords", "forbidden": "words"}.get(one.kind)
        if words:
            yield from (f"{one.kind}: {word.lower()}" for word in one.args[words])
        elif one.kind != "told":
            yield repr(build(one, "fixed"))


def read(requests: Sequence[Instruction]) -> list[tuple[Constraint, ...]]:
    """What the rules read out of the bare requests; they ask no model."""
    rules = decomposer("rules", Model(Echo()))

    async def all_of_them() -> list[tuple[Constraint, ...]]:
        return [(await rules(Instruction(r.id, r.messages))).constraints for r in requests]

    return asyncio.run(all_of_them())


def measure(requests: Sequence[Instruction]) -> dict[str, Any]:
    """Precision and recall by kind, and by kind and arguments."""
    found = read(requests)
    kinds = [(_kinds(a), _kinds(r.constraints)) for a, r in zip(found, requests, strict=True)]
    whole = [(Counter(single(a)), Counter(single(r.constraints))) for a, r in zip(found, requests, strict=True)]
    precision, recall = _micro(kinds)
    strict_precision, strict_recall = _micro(whole)
    return {
        "requests": len(requests),
        "gold": sum(gold.total() for _, gold in kinds),
        "precision": precision,
        "recall": recall,
        "precision_with_arguments": strict_precision,
        "recall_with_arguments": strict_recall,
    }


def _kinds(constraints: Iterable[Constraint]) -> Counter[str]:
    return Counter(c.kind for c in constraints if c.kind != "told")


def _micro(pairs: Sequence[tuple[Counter[str], Counter[str]]]) -> tuple[float, float]:
    right = sum((claimed & gold).total() for claimed, gold in pairs)
    claimed, gold = (sum(counts[side].total() for counts in pairs) for side in (0, 1))
    return round(right / claimed, 4) if claimed else 0.0, round(right / gold, 4) if gold else 0.0


def main() -> None:
    """Print the errors if asked to, and one line of JSON."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    options.add_argument("--show", action="store_true", help="list the errors in the requests that were looked at")
    requests = get("realinstruct-synthetic").instructions()
    halves = {"held out": requests[:HELD_OUT], "looked at": requests[HELD_OUT:], "all": requests}
    if options.parse_args().show:
        for request, found in zip(halves["looked at"], read(halves["looked at"]), strict=True):
            claimed, gold = Counter(single(found)), Counter(single(request.constraints))
            if claimed != gold:
                print(f"{request.id}: {request.prompt}")
                print(f"  missed {list((gold - claimed).elements())}\n  wrong  {list((claimed - gold).elements())}")
    print(json.dumps({name: measure(half) for name, half in halves.items()}))


if __name__ == "__main__":
    main()
