"""Which models the server offers: each `--model`, and each with each `--strategy`, named like `smollm2+decrim`."""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from adhere.engine.patience import Patience
from adhere.errors import UsageError, did_you_mean
from adhere.models.model import Model
from adhere.models.openai_http import OpenAIEndpoint
from adhere.roles import Answerer
from adhere.serve.errors import ApiError

__all__ = ["Catalog", "Served", "gather"]

# Somebody waits: a server that asks for a long pause is an error now, not an answer in a quarter of an hour.
IMPATIENT = Patience(attempts=3, longest_wait=4.0, longest_pause=10.0)
EMBEDDER = "minilm"  # offered beside the models that were asked for; loaded when it is first used


class Served(NamedTuple):
    """One name that clients may ask for.

    Attributes:
        name: The name.
        model: The model itself.
        plain: The same without a chat template, for `/v1/completions`.
        answerer: What answers: the model, or a strategy around it.
        strategy: The strategy's text; "" for the model itself.
        endpoint: The other server, where requests are passed on as they are.
    """

    name: str
    model: Model
    plain: Model
    answerer: Answerer
    strategy: str = ""
    endpoint: OpenAIEndpoint | None = None


class Catalog:
    """The names and what is behind them.

    Args:
        served: What is offered, in the order in which it is listed.
    """

    def __init__(self, served: Sequence[Served]) -> None:
        self.by_name = {s.name: s for s in served}
        self.created = int(time.time())
        self._embedder: Model | None = None
        self._opening = threading.Lock()

    def find(self, name: str) -> Served:
        """Raises ApiError 404, with the nearest names, where there is none."""
        found = self.by_name.get(name)
        if found is None:
            known = ", ".join(self.by_name)
            hint = did_you_mean(name, self.by_name) or f"There are: {known}"
            raise ApiError(404, f"there is no model '{name[:200]}'. {hint}", code="model_not_found", param="model")
        return found

    def embedder(self) -> Model:
        """all-MiniLM-L6-v2, opened when it is first asked for: call this in a thread, since it may take a while."""
        with self._opening:
            if self._embedder is None:
                from adhere.models.names import load

                self._embedder = load(EMBEDDER, store=None)
            return self._embedder

    def entries(self) -> list[dict[str, Any]]:
        """As `/v1/models` lists them."""
        names = [*self.by_name, *([EMBEDDER] if EMBEDDER not in self.by_name else [])]
        return [self.entry(name) for name in names]

    def entry(self, name: str) -> dict[str, Any]:
        """One entry of that list. Raises ApiError 404."""
        if name != EMBEDDER:
            self.find(name)
        return {"id": name, "object": "model", "created": self.created, "owned_by": "adhere"}

    async def close(self) -> None:
        """Close every backend once."""
        models = {id(s.model.backend): s.model for s in self.by_name.values()}
        for model in [*models.values(), *([self._embedder] if self._embedder else [])]:
            await model.close()


def fingerprint(served: Served) -> str:
    """OpenAI's `system_fingerprint`: equal as long as model and strategy are."""
    return "fp_" + hashlib.sha256(f"{served.model.info.digest} {served.answerer!r}".encode()).hexdigest()[:12]


def gather(models: Sequence[Model], strategies: Sequence[str] = (), prompt: Path | None = None) -> Catalog:
    """All names: each model by itself, then with each strategy.

    Args:
        models: With no store: what clients say is not kept.
        strategies: Texts as `adhere.answer.build` reads them.
        prompt: A prompt program around every model.

    Raises:
        UsageError: for a strategy that does not parse, or two models of one name.
        DataError: if the prompt's file holds none.
    """
    served: list[Served] = []
    for model in models:
        if isinstance(model.backend, OpenAIEndpoint):
            model.patience = IMPATIENT
        plain = Model(model.backend, sampling=model.sampling, patience=model.patience, chat=False)
        inner: Answerer = model
        if prompt is not None:
            from adhere.answer.prompt_program import Prompted

            inner = Prompted(model, str(prompt))
        endpoint = model.backend if prompt is None and isinstance(model.backend, OpenAIEndpoint) else None
        name = short_name(model.name)
        served.append(Served(name, model, plain, inner, "prompt" if prompt else "", endpoint))
        for text in dict.fromkeys(strategies):
            from adhere.answer import build

            served.append(Served(f"{name}+{text.strip()}", model, plain, build(text, inner), text))
    names = [s.name for s in served]
    if twice := sorted({n for n in names if names.count(n) > 1}):
        raise UsageError(f"two models are called '{twice[0]}'", hint="Serve them from two ports")
    return Catalog(served)


def short_name(name: str) -> str:
    """What clients call a model: a file by its stem, a hub's model without the scheme, all others as they are."""
    if name.endswith(".gguf") or ("/" in name and Path(name).exists()):
        return Path(name).stem if name.endswith(".gguf") else Path(name).name
    return name.removeprefix("hf:")
