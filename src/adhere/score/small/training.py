"""Training a small scorer: squared error of a linear head on an encoder's mean-pooled pair vectors.

First the head alone, by ridge regression on the frozen encoder's features (exact, one pass, no torch); then, unless
`encoder=False`, encoder and head together by AdamW with a linear warm-up and decay and no weight decay (Cappy's
repository; its learning rate of 2e-5 and batch of 128 are for RoBERTa-large and 800 steps). Rows of like length are
batched together and padded to their own longest, which the repository does not do.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from adhere.engine.seeds import derive
from adhere.errors import DataError, missing_extra

if TYPE_CHECKING:
    from adhere.score.small.data import Labelled
    from adhere.score.small.scorer import SmallScorer

__all__ = ["train"]

LEARNING_RATE = 1e-4  # a 22M encoder learns at higher rates than RoBERTa-large
WARM_UP = 0.1
BATCH = 32
RIDGE = 1e-2  # times the features' mean square, so that it means the same for every encoder
BUCKET = 16  # batches whose rows are sorted by length together
CLIP = 1.0


def train(
    scorer: SmallScorer,
    rows: Sequence[Labelled],
    *,
    encoder: bool = True,
    learning_rate: float = LEARNING_RATE,
    batch: int = BATCH,
    seed: int = 0,
) -> float:
    """Train `scorer` in place, one pass over `rows`.

    Args:
        scorer: Its `tensors`, `head` and `bias` are replaced.
        rows: In the order of training, repetitions included; labels from 0 to 1.
        encoder: Whether to tune the encoder; otherwise only the head is fitted, in seconds.
        learning_rate: The highest.
        batch: Rows per step.
        seed: Of dropout and the order of batches.

    Returns:
        The mean squared error: of the last tenth of the steps, or of the head's fit on its own rows.

    Raises:
        DataError: if there are no rows or a label is not between 0 and 1.
        DependencyError: without torch, where the encoder is tuned.
    """
    if not rows:
        raise DataError("there are no rows to learn from")
    wrong = next((row.label for row in rows if not 0 <= row.label <= 1), None)
    if wrong is not None:
        raise DataError(f"a label of {wrong} is not between 0 and 1", hint="Scale the labels")
    error = _fit_head(scorer, rows)
    return _tune(scorer, rows, learning_rate, batch, seed) if encoder else error


def _fit_head(scorer: SmallScorer, rows: Sequence[Labelled]) -> float:
    """The least-squares head on frozen features, the bias unpenalised."""
    import numpy as np

    distinct = dict.fromkeys(rows)
    for row in rows:
        distinct[row] = (distinct[row] or 0) + 1
    weights = np.asarray(list(distinct.values()), np.float64)[:, None]
    x = scorer.features([(row.instruction, row.answer) for row in distinct]).astype(np.float64)
    y = np.asarray([row.label for row in distinct], np.float64)[:, None]
    centre_x, centre_y = (weights * x).sum(0) / weights.sum(), (weights * y).sum() / weights.sum()
    x, y = x - centre_x, y - centre_y
    gram = x.T @ (weights * x)
    penalty = RIDGE * np.trace(gram) / len(gram)
    head = np.linalg.solve(gram + (penalty + 1e-9) * np.eye(len(gram)), x.T @ (weights * y))[:, 0]
    scorer.head, scorer.bias = head.astype(np.float32), float(centre_y - centre_x @ head)
    return float((weights[:, 0] * (x @ head - y[:, 0]) ** 2).sum() / weights.sum())


def _tune(scorer: SmallScorer, rows: Sequence[Labelled], learning_rate: float, batch: int, seed: int) -> float:
    try:
        import torch
        from transformers import BertConfig, BertModel
    except ImportError as error:
        raise missing_extra("torch", "train", "tuning a small scorer") from error
    import numpy as np

    with torch.random.fork_rng():
        torch.manual_seed(derive("small scorer", seed))
        model = BertModel(BertConfig(**scorer.config), add_pooling_layer=False)
        known = model.state_dict()
        model.load_state_dict({k: torch.tensor(scorer.tensors[k]) for k in known if k in scorer.tensors}, strict=False)
        head = torch.nn.Linear(scorer.config["hidden_size"], 1)
        with torch.no_grad():
            head.weight.copy_(torch.from_numpy(scorer.head)[None])
            head.bias.fill_(scorer.bias)
        model.train()
        steps = _batches(scorer, rows, batch, seed)
        parameters = [*model.parameters(), *head.parameters()]
        optimizer = torch.optim.AdamW(parameters, lr=learning_rate, weight_decay=0.0)
        warm = max(1, int(WARM_UP * len(steps)))
        schedule = torch.optim.lr_scheduler.LambdaLR(
            optimizer, lambda step: min((step + 1) / warm, (len(steps) - step) / max(1, len(steps) - warm))
        )
        errors = []
        for step in steps:
            ids, mask, kinds, labels = _tensors(step)
            hidden = model(input_ids=ids, attention_mask=mask, token_type_ids=kinds).last_hidden_state
            pooled = (hidden * mask[:, :, None]).sum(1) / mask.sum(1, keepdim=True)
            loss = torch.nn.functional.mse_loss(head(pooled)[:, 0], labels)
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(parameters, CLIP)
            optimizer.step()
            schedule.step()
            errors.append(float(loss.detach()))
    scorer.tensors |= {k: v.detach().numpy().copy() for k, v in model.state_dict().items() if k in scorer.tensors}
    scorer.head, scorer.bias = head.weight.detach().numpy()[0].copy(), float(head.bias.detach())
    return float(np.mean(errors[-max(1, len(errors) // 10) :]))


Encoded = tuple[list[int], int, float]  # token ids, where the answer begins, label


def _batches(scorer: SmallScorer, rows: Sequence[Labelled], batch: int, seed: int) -> list[list[Encoded]]:
    """Batches of rows of like length, in random order within each stretch of the given order."""
    import random

    known: dict[tuple[str, str], tuple[list[int], int]] = {}
    encoded: list[Encoded] = []
    for row in rows:
        pair = row.instruction, row.answer
        if pair not in known:
            known[pair] = scorer.encode(*pair)
        encoded.append((*known[pair], row.label))
    rng = random.Random(derive("small scorer batches", seed))
    made = []
    for start in range(0, len(encoded), batch * BUCKET):
        stretch = sorted(encoded[start : start + batch * BUCKET], key=lambda e: len(e[0]))
        pieces = [stretch[at : at + batch] for at in range(0, len(stretch), batch)]
        rng.shuffle(pieces)
        made += pieces
    return made


def _tensors(step: list[Encoded]) -> Any:
    """(ids, attention mask, segments), each (rows, longest), and labels (rows)."""
    import torch

    longest = max(len(ids) for ids, _, _ in step)
    ids = torch.zeros(len(step), longest, dtype=torch.long)
    mask, kinds = torch.zeros_like(ids), torch.zeros_like(ids)
    for row, (tokens, second, _) in enumerate(step):
        ids[row, : len(tokens)] = torch.tensor(tokens)
        mask[row, : len(tokens)] = 1
        kinds[row, second : len(tokens)] = 1
    return ids, mask, kinds, torch.tensor([label for _, _, label in step])
