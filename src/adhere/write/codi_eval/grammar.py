"""The writer that needs no model: templates from a small grammar (`grammar.json`), for what a model leaves unfilled.

The paper has none, since GPT-3.5's rewrites survive. `<name>` stands for one of the phrases of that name.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from functools import lru_cache
from importlib.resources import files

import msgspec

from adhere.engine.seeds import derive

__all__ = ["sentences"]

MOST = 20_000  # drawn; the grammar has several thousand sentences for each limit
_NAME = re.compile(r"<([^<>]+)>")


def sentences(limit: str, seed: int = 0) -> Iterator[str]:
    """Different templates in random order; they end when the grammar has (almost) no others.

    Args:
        limit: A mode of length ("at most"), or another kind of template ("topic", "keyword, or and not").
        seed: Equal seeds give equal sentences.

    Raises:
        KeyError: for a limit that the grammar does not have.
    """
    rules = _rules()
    rng = random.Random(derive("codi-eval grammar", limit, seed))
    seen = set()
    for _ in range(MOST):
        text = rng.choice(rules["start"]).replace("<limit>", rng.choice(rules[limit]))
        while _NAME.search(text):
            text = _NAME.sub(lambda found: rng.choice(rules[found[1]]), text)
        text = text[0].upper() + text[1:]
        if text not in seen:
            seen.add(text)
            yield text


@lru_cache(maxsize=1)
def _rules() -> dict[str, list[str]]:
    return msgspec.json.decode(files("adhere.write.codi_eval").joinpath("grammar.json").read_bytes())
