"""What `--model` takes, resolved the same way everywhere.

smollm2 · gemma3-base · minilm          packaged models (see `catalog.py`)
path/to/model.gguf                      through llama.cpp
path/to/folder                          a Hugging Face folder, through transformers
hf:org/name · hf:org/name@revision      from a hub, once
openai:model@https://host/v1            any OpenAI-compatible endpoint
torch:smollm2                           any of the local ones through transformers
echo · scripted:FILE · obedient:p=0.7   fakes; other packages' backends likewise, by their registered name
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from adhere import registry
from adhere.errors import UnknownNameError, UsageError, WeightsError, did_you_mean
from adhere.models.base import Backend, Sampling
from adhere.models.catalog import CATALOG
from adhere.models.fetch import Notify

if TYPE_CHECKING:
    from adhere.engine.store import Store
    from adhere.models.model import Model

__all__ = ["Engine", "backend", "check", "fetch", "load"]

Engine = Literal["llama.cpp", "torch"]
FORMS = "Names are a packaged model, a .gguf file, a folder, hf:org/name, or openai:model@http://host/v1"


def load(
    name: str = "smollm2",
    *,
    sampling: Sampling = Sampling(),  # noqa: B008  frozen
    store: Store | Literal["default"] | None = "default",
    fresh: bool = False,
    chat: bool = True,
    **options: Any,
) -> Model:
    """A model by its name, with the response store around it.

    Args:
        name: See the module.
        sampling: For requests that bring none of their own.
        store: "default" is the user's store in the cache directory; None keeps no answers.
        fresh: Ask again what the store has; its old answers are left alone.
        chat: Whether to apply the chat template.
        options: As `backend`.

    Raises:
        As `backend`.
    """
    from adhere.engine.store import Store
    from adhere.models.model import Model

    made = backend(name, **options)
    kept = Store.default() if store == "default" else store
    return Model(made, sampling=sampling, store=None if fresh else kept, chat=chat)


def backend(
    name: str,
    *,
    engine: Engine | None = None,
    threads: int | None = None,
    slots: int | None = None,
    context: int | None = None,
    adapter: str | Path | None = None,
    notify: Notify | None = None,
) -> Backend:
    """The bare backend of a name, without store and retries.

    Args:
        name: See the module.
        engine: Forces one for local models; the prefix `torch:` does the same.
        threads: For local engines; None picks by the machine and its load.
        slots: llama.cpp: sequences decoded together.
        context: llama.cpp: tokens per sequence.
        adapter: A LoRA adapter: a GGUF file for llama.cpp, a PEFT folder for torch.
        notify: Told before anything that takes more than a second.

    Raises:
        UnknownNameError: with the nearest names.
        WeightsError: if files are missing, damaged, or cannot be fetched.
        UsageError: for an option that this kind of model has no use for.
        DependencyError: if an optional library is missing.
    """
    if name.startswith("torch:"):
        name, engine = name.removeprefix("torch:"), "torch"
    options = {"threads": threads, "slots": slots, "context": context, "adapter": adapter}
    given: dict[str, Any] = {option: value for option, value in options.items() if value is not None}
    remote = _without_files(name)
    if remote is not None:
        _refuse(name, {**given, "engine": engine} if engine else given)
        return remote
    if name == "minilm":
        from adhere.models.minilm import MiniLM

        _refuse(name, {**given, "engine": engine} if engine else given)
        return MiniLM(fetch(name, notify))
    if engine == "torch" and name in CATALOG:
        # By its name it is dequantised from the weights as shipped, not from those re-encoded for llama.cpp.
        return _torch(name, name, given, notify)
    path = fetch(name, notify)
    if path.is_file() and engine != "torch":
        from adhere.models.llamacpp import LlamaCpp

        return LlamaCpp(path, name=name, **given)
    if engine == "llama.cpp":
        raise UsageError(f"'{name}' is a folder, which llama.cpp cannot run", hint="It runs GGUF files")
    return _torch(name, path, given, notify)


def check(name: str) -> None:
    """Make sure that a name stands for a model, as far as can be told without fetching, loading or calling it.

    Raises:
        UnknownNameError: with the nearest names.
        WeightsError: if there is no such file or folder.
        UsageError: for an endpoint or a hub's model that is not written as one.
        DependencyError: if an optional library is missing.
    """
    name = name.removeprefix("torch:")
    kind, _, rest = name.partition(":")
    if kind == "hf":
        from adhere.models import hub

        hub.check(rest)
    elif kind == "openai":
        _without_files(name)
    elif name not in CATALOG and kind not in _registered():
        _local(name)


def fetch(name: str, notify: Notify | None = None) -> Path:
    """The file or folder of a name, fetched where it is not here yet.

    Raises:
        UnknownNameError: with the nearest names.
        WeightsError: if it is missing or cannot be fetched.
        UsageError: for names without files (endpoints, fakes).
    """
    from adhere.models import weights

    name = name.removeprefix("torch:")
    if name in CATALOG:
        return weights.resolve(name, notify)
    if name.startswith("hf:"):
        from adhere.models import hub

        return hub.fetch(name.removeprefix("hf:"), notify)
    if name.partition(":")[0] in ("openai", *_registered()):
        raise UsageError(f"'{name}' has no weights to fetch")
    return _local(name)


def _local(name: str) -> Path:
    """The file or folder that a name stands for if it stands for nothing else."""
    path = Path(name).expanduser()
    if path.is_file() or (path / "config.json").is_file():
        return path
    if path.is_dir():
        raise WeightsError(f"{path} is not a Hugging Face model folder: it has no config.json")
    if os.sep in name or name.endswith(".gguf"):
        raise WeightsError(f"no model file at {path}", hint=FORMS)
    raise UnknownNameError(
        f"no model is called '{name}'", hint=did_you_mean(name, [*CATALOG, *_registered()]) or f"{FORMS}"
    )


def _registered() -> tuple[str, ...]:
    return tuple(registry.parts("models"))


def _without_files(name: str) -> Backend | None:
    """An endpoint or a registered backend; None for names that stand for files."""
    kind, _, rest = name.partition(":")
    if name in CATALOG or kind == "hf":
        return None
    if kind == "openai":
        from adhere.models.openai_http import OpenAIEndpoint

        model, at, address = rest.partition("@http")
        if not model or not at:
            raise UsageError(f"'{name}' is not an endpoint", hint="Write openai:MODEL@http://HOST:PORT/v1")
        return OpenAIEndpoint(model, f"http{address}")
    if kind in _registered():
        return _construct(name, registry.find("models", kind).target, rest)
    return None


def _construct(name: str, target: Any, rest: str) -> Backend:
    """`kind`, `kind:text` or `kind:key=number,key=number`."""
    pairs = [piece.partition("=") for piece in rest.split(",")] if "=" in rest else []
    try:
        if pairs and all(key.isidentifier() for key, _, _ in pairs):
            return target(**{key: float(value) for key, _, value in pairs})
        return target(rest) if rest else target()
    except (TypeError, ValueError) as error:
        raise UsageError(
            f"'{name}' cannot be made: {error}", hint="E.g. echo, scripted:FILE, obedient:p=0.7"
        ) from error


def _torch(name: str, path: str | Path, given: dict[str, Any], notify: Notify | None) -> Backend:
    from adhere.models.torch_backend import Torch

    threads = given.pop("threads", None)
    adapter = given.pop("adapter", None)
    _refuse(name, given)
    made = Torch(path, adapter=adapter, name=name, notify=notify)
    if threads is not None:
        import torch

        torch.set_num_threads(threads)
    return made


def _refuse(name: str, given: dict[str, Any]) -> None:
    if given:
        raise UsageError(f"'{name}' takes no {', '.join(given)}")
