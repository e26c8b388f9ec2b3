"""Ruler: teaching a model to write as many words as a token in front of the answer says (Li et al. 2024, arXiv
2409.18943).

One special token a length ("meta length token", MLT) is put before each answer of the training set, by the number of
words that the answer has; the loss covers the MLT too, so that the model learns to choose one where none is given. At
inference `adhere.answer.Ruler` forces the token of the wanted length.

    fitted = fit("smollm2", rows, "runs/ruler", buckets=RULER9[:4], lora=Settings(rank=16), lr=1e-3)
    model = adhere.answer.Ruler(adhere.load("runs/ruler"), words=50)

Differences from the authors' code: the model's own chat template instead of one for all (a model without one is
refused); new rows begin at the mean of the old embeddings, not at random, since few steps would teach random ones
nothing; buckets are told by the counter that scores (their data files counted twice, in two ways); rows cut by
`max_length` are dropped and counted, where theirs are masked. Not covered: several devices.
"""

from __future__ import annotations

import json
import math
import random
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from adhere.constraints.ruler import WordRange, word_count
from adhere.errors import UsageError, WeightsError
from adhere.models.fetch import Notify, say
from adhere.records import Example
from adhere.train import lora as loops
from adhere.train.lora import NextToken, Row, Settings

if TYPE_CHECKING:
    import torch

__all__ = ["RULER9", "Bucket", "Fitted", "bucket_of", "bucketed", "fit", "token_name"]


class Bucket(NamedTuple):
    """Answers of one length.

    Attributes:
        target: As written in the token: "10", ">800".
        words: How many words a training answer may have; narrower than what counts as a hit, on purpose.
    """

    target: str
    words: WordRange

    @property
    def token(self) -> str:
        """The meta length token."""
        return token_name(self.target)


def token_name(target: str) -> str:
    """The meta length token of a target."""
    return f"[MLT:{target}]"


# The paper's, above < words <= most; the odd range of 150 is the authors'.
RULER9 = (
    Bucket("10", WordRange(5, 15)),
    Bucket("30", WordRange(25, 35)),
    Bucket("50", WordRange(45, 55)),
    Bucket("80", WordRange(75, 85)),
    Bucket("150", WordRange(135, 155)),
    Bucket("300", WordRange(295, 305)),
    Bucket("500", WordRange(495, 505)),
    Bucket("700", WordRange(695, 705)),
    Bucket(">800", WordRange(800, None)),
)
MOST_ROWS = 20_000  # of a bucket
# All new rows begin alike, and Adam moves a number by its rate at most in a step. At the adapter's rate SmolLM2's four
# rows were still within 6 % of their length of each other after 42 steps, and told the model nothing.
ROWS_FASTER = 10
READ = ("rank", "alpha", "dropout", "targets")  # of an adapter's settings
WARMUP = 0.05  # share of the steps; cosine from there


class Fitted(NamedTuple):
    """What `fit` made.

    Attributes:
        folder: A Hugging Face folder, for `adhere.load`.
        rows: Rows trained on, by target.
        dropped: Rows in no bucket, and rows of more tokens than fit.
        losses: Mean loss of each step.
    """

    folder: Path
    rows: dict[str, int]
    dropped: dict[str, int]
    losses: list[float]


def bucket_of(text: str, buckets: Sequence[Bucket]) -> Bucket | None:
    """The bucket of an answer, by its number of words; None where it is in none."""
    words = word_count(text)
    return next((b for b in buckets if b.words.holds(words)), None)


def bucketed(rows: Iterable[Example], buckets: Sequence[Bucket], most: int = MOST_ROWS) -> dict[str, list[Example]]:
    """Rows by the target of their first response, at most so many a bucket in their order; others are left out."""
    found: dict[str, list[Example]] = {b.target: [] for b in buckets}
    for row in rows:
        bucket = bucket_of(row.responses[0].text, buckets) if row.responses else None
        if bucket is not None and len(found[bucket.target]) < most:
            found[bucket.target].append(row)
    return found


def fit(
    model: str,
    rows: Iterable[Example],
    folder: str | Path,
    buckets: Sequence[Bucket] = RULER9,
    *,
    epochs: int = 3,
    lr: float = 2e-5,
    lora: Settings | None = None,
    vanilla: bool = False,
    batch: int = 128,
    micro: int = 4,
    max_length: int = 2048,
    seed: int = 0,
    loaded: tuple[Any, Any] | None = None,
    notify: Notify | None = None,
) -> Fitted:
    """Fine-tune a model on answers with their length in front. The defaults are the paper's, for full fine-tuning.

    Args:
        model: A packaged model's name, `hf:org/name`, or a folder.
        rows: Instructions with one answer each; the conversation is used as it is, without a word about length.
        folder: Where the tuned model goes, as a whole, tokenizer included.
        buckets: The lengths to teach.
        epochs: Times that every row is seen.
        lr: At its height: after a warm-up of 5 % it falls with the cosine.
        lora: Train an adapter of this rank, alpha, dropout and these targets (the rest of it is not read), and the new
            tokens' embeddings, instead of all weights; merged before saving. It wants a rate of about 1e-3.
        vanilla: The paper's control: the same rows and loss, without the tokens.
        batch: Rows a step.
        micro: Rows that go through the model at once.
        max_length: Tokens of a row; longer ones are dropped.
        seed: Of the rows' order, the adapter's weights and the dropout.
        loaded: (tokenizer, model) of `adhere.train.lora.load`, to save loading twice. Both are changed.
        notify: Told ten times how far it is.

    Raises:
        UsageError: if no row is in a bucket, buckets overlap, or the model has no chat template.
        WeightsError, DependencyError: if the model cannot be loaded, or the folder not be written.
    """
    _check(buckets)
    chosen = bucketed(rows := list(rows), buckets)
    kept = sum(map(len, chosen.values()))
    if not kept:
        ranges = "; ".join(f"{b.target}: {b.words}" for b in buckets)
        raise UsageError(f"none of the {len(rows)} answers is in a bucket", hint=f"Words of the buckets: {ranges}")
    tokenizer, bare = loaded or loops.load(model, notify)
    if not tokenizer.chat_template:
        raise UsageError(f"'{model}' has no chat template", hint="Ruler tunes models that can chat")
    ids = [] if vanilla else add_tokens(tokenizer, bare, [b.token for b in buckets])
    encoded = {b.target: _encoded(tokenizer, chosen[b.target], "" if vanilla else b.token) for b in buckets}
    fitting = {t: [r for r in found if len(r.input_ids) <= max_length] for t, found in encoded.items()}
    settings = Settings(batch=batch, micro=micro, epochs=epochs, learning_rate=lr, warmup=WARMUP, seed=seed)
    every = [row for found in fitting.values() for row in found]
    random.Random(seed).shuffle(every)
    tuned, losses = _tuned(bare, every, settings, lora, ids, tokenizer, notify)
    trained = {target: len(found) for target, found in fitting.items()}
    dropped = {"no bucket": len(rows) - kept, "too long": kept - len(every)}
    report = {
        "base": model, "vanilla": vanilla, "rows": trained, "dropped": dropped, "epochs": epochs, "lr": lr,
        "lora": {k: getattr(lora, k) for k in READ} if lora else None, "batch": batch, "seed": seed,
        "losses": [round(loss, 4) for loss in losses],
    }  # fmt: skip
    return Fitted(_save(tuned, tokenizer, Path(folder), report), trained, dropped, losses)


def add_tokens(tokenizer: Any, model: Any, tokens: Sequence[str]) -> list[int]:
    """Add special tokens whose embeddings begin at the mean of the old ones, input and output; returns their ids.

    Tied embeddings stay tied. A tokenizer that has the tokens already keeps their rows.
    """
    import torch

    from adhere.models.hf_export import quiet_transformers

    before = len(tokenizer)
    tokenizer.add_special_tokens({"additional_special_tokens": list(tokens)}, replace_extra_special_tokens=False)
    with quiet_transformers():
        if len(tokenizer) > model.get_input_embeddings().weight.shape[0]:
            model.resize_token_embeddings(len(tokenizer), mean_resizing=False)
    tables = {id(t.weight): t.weight for t in (model.get_input_embeddings(), model.get_output_embeddings())}
    with torch.no_grad():
        for weight in tables.values():  # one table where the two are tied
            weight[before : len(tokenizer)] = weight[:before].mean(0)
    return [tokenizer.convert_tokens_to_ids(t) for t in tokens]


def _check(buckets: Sequence[Bucket]) -> None:
    for n, bucket in enumerate(buckets):
        if not re.fullmatch(r">?\d+", bucket.target):
            raise UsageError(f"'{bucket.target}' is not a target", hint='Write a number of words, or ">800"')
        for other in buckets[:n]:
            if bucket.words.meets(other.words) or bucket.target == other.target:
                raise UsageError(f"the buckets {other.target} and {bucket.target} overlap")


def _encoded(tokenizer: Any, rows: Sequence[Example], token: str) -> list[Row]:
    return [loops.chat_row(tokenizer, r.instruction.messages, token + r.responses[0].text) for r in rows]


def _tuned(
    bare: Any,
    rows: Sequence[Row],
    settings: Settings,
    lora: Settings | None,
    ids: Sequence[int],
    tokenizer: Any,
    notify: Notify | None,
) -> tuple[Any, list[float]]:
    """The trained model, without adapter, and the loss of each step."""
    import torch

    objective = NextToken(tokenizer.pad_token_id if tokenizer.pad_token_id is not None else tokenizer.eos_token_id)
    steps = settings.epochs * math.ceil(len(rows) / settings.batch)
    losses: list[float] = []
    with torch.random.fork_rng():
        torch.manual_seed(settings.seed)
        model = _with_adapter(bare, lora, ids) if lora else bare.requires_grad_(True)
        weights = [p for p in model.parameters() if p.requires_grad]
        optimizer = torch.optim.AdamW(_groups(model, settings.learning_rate), weight_decay=0.0)
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: _rate(step, steps))
        model.train()
        for step, rows_now in enumerate(loops.batches(rows, objective.length, settings), 1):
            losses.append(_step(model, rows_now, objective, settings.micro))
            torch.nn.utils.clip_grad_norm_(weights, settings.clip)
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
            schedule.step()
            if step * 10 // steps > (step - 1) * 10 // steps:
                say(notify, f"step {step} of {steps}: loss {losses[-1]:.3f}")
    model.eval()
    # In float32: a base in half precision would swallow the small changes.
    return (model.float().merge_and_unload() if lora else model), losses


def _with_adapter(bare: Any, lora: Settings, ids: Sequence[int]) -> Any:
    """An adapter, and the embedding rows of the new tokens, which PEFT keeps tied where they are."""
    from peft import LoraConfig, get_peft_model

    return get_peft_model(
        bare,
        LoraConfig(
            r=lora.rank,
            lora_alpha=lora.alpha,
            lora_dropout=lora.dropout,
            target_modules=list(lora.targets),
            task_type="CAUSAL_LM",
            trainable_token_indices=list(ids) or None,
        ),
    )


def _groups(model: Any, rate: float) -> list[dict[str, Any]]:
    """Weights with their learning rates: with an adapter, the new tokens' rows go faster than the rest."""
    trained = [(name, weight) for name, weight in model.named_parameters() if weight.requires_grad]
    rows = [weight for name, weight in trained if "trainable_tokens" in name]
    rest = [weight for name, weight in trained if "trainable_tokens" not in name]
    return [{"params": rest, "lr": rate}, *([{"params": rows, "lr": ROWS_FASTER * rate}] if rows else [])]


def _step(model: Any, rows: Sequence[Row], objective: NextToken, micro: int) -> float:
    """Gradients of the mean loss over the trained tokens of a batch; returns the loss."""
    total = sum(objective.weight(row) for row in rows)
    loss_sum = 0.0
    for start in range(0, len(rows), micro):
        loss: torch.Tensor = objective.loss(model, rows[start : start + micro]) / total
        loss.backward()
        loss_sum += float(loss.detach())
    return loss_sum


def _rate(step: int, steps: int) -> float:
    """Share of the learning rate: up over the warm-up, then down with the cosine, to 0 after the last step."""
    rising = max(1, round(WARMUP * steps))
    if step < rising:
        return (step + 1) / rising
    return 0.5 * (1 + math.cos(math.pi * (step - rising + 1) / max(1, steps - rising + 1)))


def _save(model: Any, tokenizer: Any, folder: Path, report: dict[str, Any]) -> Path:
    from adhere.models.hf_export import quiet_transformers

    try:
        folder.mkdir(parents=True, exist_ok=True)
        with quiet_transformers():
            model.save_pretrained(folder, safe_serialization=True)
            tokenizer.save_pretrained(folder)
        (folder / "ruler.json").write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    except OSError as error:
        raise WeightsError(f"cannot write the model to {folder}: {error.strerror or error}") from error
    return folder
