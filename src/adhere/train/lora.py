"""LoRA tuning in one plain loop of torch and PEFT, for methods whose loss or rows are their own.

    rows = [chat_row(tokenizer, messages, answer) for ...]
    tuned = tune("smollm2", rows, Settings(epochs=2))
    tuned.save("runs/my-adapter")                        # PEFT format: `--model torch:smollm2`, adapter=runs/my-adapter

Hu et al., "LoRA: Low-Rank Adaptation of Large Language Models" (arXiv 2106.09685). Rows of like length share a batch
(right padding), weights are float32, and neither autocast nor gradient checkpointing is on: on a CPU both cost several
times the speed and win nothing. The gradient of a step is that of the mean over its batch, however the batch is cut
into micro-batches. Not covered: several devices, resuming a killed run (they are minutes long), full fine-tuning.
"""

from __future__ import annotations

import math
import os
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, Protocol, TypeVar

from adhere.errors import DataError, UsageError, WeightsError, missing_extra
from adhere.models.fetch import Notify, say
from adhere.records import Message

if TYPE_CHECKING:
    import torch

__all__ = [
    "IGNORE", "NextToken", "Objective", "Row", "Settings", "Tuned", "chat_row", "last_logits", "load", "pad_of",
    "padded", "text_row", "tune",
]  # fmt: skip

R = TypeVar("R")
R_contra = TypeVar("R_contra", contravariant=True)
IGNORE = -100  # a label that is not trained on, as everywhere in torch
CHUNK = 32  # batches that are sorted by length together; more would bring rows into a fixed order


class Row(NamedTuple):
    """One text to learn from: token ids, and for each the label that it should have had, or IGNORE."""

    input_ids: tuple[int, ...]
    labels: tuple[int, ...]


class Settings(NamedTuple):
    """How to tune.

    Attributes:
        rank: Of the update matrices.
        alpha: The update is scaled by alpha / rank.
        dropout: On the adapter's input.
        targets: Names of the linear layers that are adapted.
        top: Adapt only the last so many blocks; None adapts all. What lies below them needs no backward pass, which
            makes a step up to half as long.
        learning_rate: At the end of the warm-up; from there it falls linearly to 0.
        batch: Rows per step.
        micro: Rows that go through the model at once.
        epochs: Times that every row is seen.
        warmup: Share of the steps over which the rate rises.
        clip: Longest gradient; 0 is off.
        seed: Of the initial weights, the order of rows and the dropout.
    """

    rank: int = 16
    alpha: int = 16
    dropout: float = 0.05
    targets: tuple[str, ...] = ("q_proj", "k_proj", "v_proj", "o_proj")
    top: int | None = None
    learning_rate: float = 3e-4
    batch: int = 16
    micro: int = 16
    epochs: int = 1
    warmup: float = 0.1
    clip: float = 1.0
    seed: int = 0


class Objective(Protocol[R_contra]):
    """What is minimised: the sum of `loss` over the sum of `weight`, batch by batch."""

    def length(self, row: R_contra) -> int:
        """Tokens of a row, by which rows are brought together."""
        ...

    def weight(self, row: R_contra) -> float:
        """What a row counts in the mean: its trained tokens, or 1."""
        ...

    def loss(self, model: Any, rows: Sequence[R_contra]) -> torch.Tensor:
        """The SUM over the rows' weights, a scalar with gradient."""
        ...


@dataclass(frozen=True)
class NextToken:
    """Cross-entropy of the next token on every label that is not IGNORE."""

    pad: int = 0

    def length(self, row: Row) -> int:
        """Tokens of the row."""
        return len(row.input_ids)

    def weight(self, row: Row) -> float:
        """Trained tokens: labels from the second on, for nothing predicts the first."""
        return float(sum(label != IGNORE for label in row.labels[1:]))

    def loss(self, model: Any, rows: Sequence[Row]) -> torch.Tensor:
        """Summed over the trained tokens."""
        import torch
        from torch.nn.functional import cross_entropy

        ids, mask = padded([r.input_ids for r in rows], self.pad, model.device)
        labels, _ = padded([r.labels for r in rows], IGNORE, model.device)
        logits = model(input_ids=ids, attention_mask=mask, use_cache=False).logits[:, :-1]
        wanted = labels[:, 1:]
        trained = wanted != IGNORE  # only these positions' logits are turned into probabilities
        return cross_entropy(logits[trained].to(torch.float32), wanted[trained], reduction="sum")


@dataclass
class Tuned(Generic[R]):
    """What `tune` made.

    Attributes:
        base: The base model's name, as given.
        model: The base with the adapter around it, in eval mode.
        tokenizer: The base model's.
        losses: Mean loss of each step.
    """

    base: str
    model: Any
    tokenizer: Any
    losses: list[float] = field(default_factory=list)

    def save(self, folder: str | Path) -> Path:
        """Write the adapter as a PEFT folder (safetensors), which `names.load(..., adapter=folder)` reads."""
        place = Path(folder)
        try:
            place.mkdir(parents=True, exist_ok=True)
            # The name that users type, not where this machine keeps the files.
            self.model.peft_config["default"].base_model_name_or_path = self.base
            # The embeddings are not adapted; PEFT would ask a hub about them.
            self.model.save_pretrained(place, safe_serialization=True, save_embedding_layers=False)
        except OSError as error:
            raise WeightsError(f"cannot write the adapter to {place}: {error.strerror or error}") from error
        (place / "README.md").unlink(missing_ok=True)  # PEFT's empty model card
        return place


def load(base: str, notify: Notify | None = None) -> tuple[Any, Any]:
    """Tokenizer and float32 model of a name or folder, as training needs them; on the GPU where there is one.

    Raises:
        WeightsError, UnknownNameError: if the model cannot be had.
        DependencyError: without the extra `train`.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # before torch's first import; see design.md
    try:
        import torch
        from transformers import AutoModelForCausalLM, AutoTokenizer
    except ImportError as error:
        raise missing_extra("torch", "train", "training") from error
    from adhere.models import hf_export, machine, names
    from adhere.models.catalog import CATALOG

    base = base.removeprefix("torch:")
    folder = hf_export.ensure(base, notify) if base in CATALOG else names.fetch(base, notify)
    if folder.is_file():
        folder = hf_export.ensure(folder, notify)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    if device == "cpu":
        torch.set_num_threads(machine.pick_threads())
    try:
        with hf_export.quiet_transformers():
            tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
            model = AutoModelForCausalLM.from_pretrained(
                folder, dtype=torch.float32, local_files_only=True, trust_remote_code=False, use_safetensors=True
            )
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        raise WeightsError(f"cannot load {folder}: {' '.join(str(error).split())[:300]}") from error
    return tokenizer, model.to(device)


def chat_row(tokenizer: Any, messages: Sequence[Message], answer: str) -> Row:
    """A conversation with its answer: trained on are the answer and the token that ends the turn, nothing else.

    The prompt is rendered as when it is asked, the whole as the template writes it, and they are cut apart there: many
    templates (SmolLM2's) have no marks for what the assistant wrote. Both sides are tokenised alone, as in generation.

    Raises:
        DataError: if the template does not write the answer right after the prompt, or nothing would end the turn.
    """
    turns = [{"role": m.role, "content": m.text} for m in messages]
    prompt = tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True)
    whole = tokenizer.apply_chat_template([*turns, {"role": "assistant", "content": answer}], tokenize=False)
    if not whole.startswith(prompt):
        raise DataError("the model's chat template does not put the answer after the prompt", hint="Use text_row()")
    # What follows the end of the turn (SmolLM2 writes a line break) is never generated.
    rest = tokenizer(whole[len(prompt) :], add_special_tokens=False)["input_ids"]
    ends = [i for i, token in enumerate(rest) if token == tokenizer.eos_token_id]
    if not ends:
        raise DataError("the model's chat template has no token that ends a turn", hint="Use text_row()")
    return _row(tokenizer(prompt, add_special_tokens=False)["input_ids"], rest[: ends[-1] + 1])


def text_row(tokenizer: Any, prompt: str, completion: str, *, end: bool = True) -> Row:
    """Plain text, no template: trained on are the completion's tokens, with the end of the text where `end`."""
    after = tokenizer(completion, add_special_tokens=False)["input_ids"]
    return _row(tokenizer(prompt)["input_ids"], [*after, tokenizer.eos_token_id] if end else after)


def _row(before: Sequence[int], after: Sequence[int]) -> Row:
    if not before or not after:
        raise DataError("a row to train on needs a prompt and a completion", hint="One of them has no tokens")
    return Row((*before, *after), (*[IGNORE] * len(before), *after))


def tune(
    base: str,
    rows: Sequence[R],
    settings: Settings = Settings(),  # noqa: B008  immutable
    objective: Objective[R] | None = None,
    *,
    loaded: tuple[Any, Any] | None = None,
    notify: Notify | None = None,
) -> Tuned[R]:
    """Train a LoRA adapter.

    Args:
        base: A packaged model's name, `hf:org/name`, or a folder.
        rows: `Row`s, or whatever the objective reads.
        settings: How.
        objective: What is minimised; `NextToken` where not given.
        loaded: (tokenizer, model) of `load`, to save loading twice. The model gets the adapter put into it.
        notify: Told ten times how far it is.

    Raises:
        UsageError: if there are no rows, or none that weighs anything.
        WeightsError, DependencyError: as `load`.
    """
    if not rows:
        raise UsageError("nothing to train on: there are no rows")
    tokenizer, bare = loaded or load(base, notify)
    import torch

    chosen: Any = objective or NextToken(pad_of(tokenizer))
    if not any(chosen.weight(row) for row in rows):
        raise UsageError(f"nothing to train on: none of the {len(rows)} rows has a trained token")
    steps = settings.epochs * math.ceil(len(rows) / settings.batch)
    with torch.random.fork_rng():
        torch.manual_seed(settings.seed)
        model = adapted(bare, settings)
        weights = [p for p in model.parameters() if p.requires_grad]
        optimizer = torch.optim.AdamW(weights, lr=settings.learning_rate, weight_decay=0.0)
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: _rate(step, steps, settings.warmup))
        made = Tuned[R](base, model, tokenizer)
        model.train()
        for batch in batches(rows, chosen.length, settings):
            made.losses.append(_step(model, batch, chosen, settings.micro))
            if settings.clip:
                torch.nn.utils.clip_grad_norm_(weights, settings.clip)
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
            schedule.step()
            done = len(made.losses)
            if done * 10 // steps > (done - 1) * 10 // steps:
                say(notify, f"step {done} of {steps}: loss {made.losses[-1]:.3f}")
    model.eval()
    return made


def adapted(model: Any, settings: Settings) -> Any:
    """The model with a fresh adapter around it: only the adapter's weights are trained.

    Raises:
        UsageError: if the model has none of the target layers.
    """
    from peft import LoraConfig, get_peft_model

    blocks = model.config.num_hidden_layers
    config = LoraConfig(
        r=settings.rank,
        lora_alpha=settings.alpha,
        lora_dropout=settings.dropout,
        target_modules=list(settings.targets),
        layers_to_transform=None if settings.top is None else list(range(max(0, blocks - settings.top), blocks)),
        bias="none",
        task_type="CAUSAL_LM",
    )
    try:
        return get_peft_model(model, config)
    except ValueError as error:
        raise UsageError(f"no adapter fits this model: {' '.join(str(error).split())[:200]}") from error


def batches(rows: Sequence[R], length: Callable[[R], int], settings: Settings) -> Iterator[list[R]]:
    """Every row once an epoch, in random batches of rows of like length.

    Rows are shuffled, sorted by length within chunks of several batches, cut, and the batches shuffled again.
    """
    rng = random.Random(settings.seed)
    for _ in range(settings.epochs):
        order = list(rows)
        rng.shuffle(order)
        cut: list[list[R]] = []
        for start in range(0, len(order), CHUNK * settings.batch):
            chunk = sorted(order[start : start + CHUNK * settings.batch], key=length)
            cut.extend(chunk[i : i + settings.batch] for i in range(0, len(chunk), settings.batch))
        rng.shuffle(cut)
        yield from cut


def padded(sequences: Sequence[Sequence[int]], fill: int, device: Any) -> tuple[torch.Tensor, torch.Tensor]:
    """Sequences of token ids side by side, padded on the right; and the mask that tells which are real."""
    import torch

    longest = max(map(len, sequences))
    ids = torch.full((len(sequences), longest), fill, dtype=torch.long)
    mask = torch.zeros((len(sequences), longest), dtype=torch.long)
    for i, sequence in enumerate(sequences):
        ids[i, : len(sequence)] = torch.tensor(sequence)
        mask[i, : len(sequence)] = 1
    return ids.to(device), mask.to(device)


def last_logits(model: Any, prompts: Sequence[Sequence[int]], pad: int) -> torch.Tensor:
    """Logits after the last token of each prompt, float32, (prompts, vocabulary); no others are computed."""
    import torch

    ids, mask = padded(prompts, pad, model.device)
    last = mask.sum(1) - 1
    kept = torch.unique(last)
    logits = model(input_ids=ids, attention_mask=mask, use_cache=False, logits_to_keep=kept).logits
    return logits[torch.arange(len(ids), device=ids.device), torch.searchsorted(kept, last)].float()


def _step(model: Any, batch: Sequence[R], objective: Objective[R], micro: int) -> float:
    """Gradients of the batch's mean loss, gathered over its micro-batches; returns the loss."""
    total = sum(objective.weight(row) for row in batch) or 1.0
    summed = 0.0
    for start in range(0, len(batch), micro):
        loss = objective.loss(model, batch[start : start + micro])
        (loss / total).backward()
        summed += float(loss.detach())
    return summed / total


def _rate(step: int, steps: int, warmup: float) -> float:
    """Share of the learning rate: up over the warm-up, then down to 0 after the last step."""
    rising = max(1, round(warmup * steps))
    return (step + 1) / rising if step < rising else (steps - step) / max(1, steps - rising + 1)


def pad_of(tokenizer: Any) -> int:
    """The token to pad with; the mask hides it, so any will do."""
    return tokenizer.pad_token_id if tokenizer.pad_token_id is not None else (tokenizer.eos_token_id or 0)
