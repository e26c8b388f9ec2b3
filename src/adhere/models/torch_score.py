"""Exact log-probabilities of given continuations, in batches; what a batch's texts begin with alike is computed once.

Whoever scores many pairs under one instruction (a prompt search, a multiple-choice question) asks for texts that share
most of their tokens: keys and values of the common beginning are computed for one row and repeated for the others.
Against computing each text whole, values differ by rounding (1e-5 in float32).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from adhere.models.torch_decode import left_padded

if TYPE_CHECKING:
    from adhere.models.gather import Job

__all__ = ["ToScore", "log_probabilities", "shared_batches"]

# Tokens. A shorter common beginning is not worth a pass of its own.
LEAST_SHARED = 8


class ToScore(NamedTuple):
    """A continuation to be scored: token ids of both parts, neither empty."""

    prompt: list[int]
    continuation: list[int]


Pair = tuple["Job[Any]", ToScore]


def shared_batches(pairs: list[Pair], most: int) -> tuple[list[list[Pair]], list[Pair]]:
    """Batches of at most `most` pairs that begin alike, and the pairs that share no beginning with any other."""
    runs: list[list[Pair]] = []
    shared = 0
    for pair in sorted(pairs, key=lambda p: p[1].prompt):
        if runs and len(runs[-1]) < most:
            common = shared_length([runs[-1][0][1], pair[1]])  # sorted, so the first differs most from the last
            # A text that would halve what the run shares begins its own.
            if common >= LEAST_SHARED and 2 * common >= shared:
                runs[-1].append(pair)
                shared = common
                continue
        runs.append([pair])
        shared = len(pair[1].prompt) - 1
    return [run for run in runs if len(run) > 1], [run[0] for run in runs if len(run) == 1]


def shared_length(batch: Sequence[ToScore]) -> int:
    """Tokens with which all prompts begin; each prompt keeps one token, which predicts the continuation's first."""
    first = batch[0].prompt
    length = min(len(one.prompt) for one in batch) - 1
    for one in batch[1:]:
        length = next((at for at in range(length) if one.prompt[at] != first[at]), length)
    return length


def log_probabilities(model: Any, batch: Sequence[ToScore], pad: int, cache: Callable[[Any], Any]) -> list[list[float]]:
    """The natural-log probability of every token of each continuation.

    Args:
        model: A causal language model of transformers.
        batch: What to score; its logits must fit into memory.
        pad: Token id to fill with.
        cache: Makes the model's empty cache of keys and values.
    """
    import torch

    shared = shared_length(batch)
    window = getattr(model.config, "sliding_window", None)
    longest = max(len(one.prompt) + len(one.continuation) for one in batch)
    if len(batch) == 1 or shared < LEAST_SHARED or (window and longest >= window):
        shared = 0
    ids, mask = left_padded([one.prompt[shared:] + one.continuation for one in batch], pad, model.device)
    kept = max(len(one.continuation) for one in batch) + 1
    with torch.inference_mode():
        memory = _computed_once(model, batch[0].prompt[:shared], len(batch), cache) if shared else None
        mask = torch.cat([mask.new_ones(len(batch), shared), mask], 1)
        logits = model(
            input_ids=ids,
            attention_mask=mask,
            position_ids=(mask.cumsum(1) - 1).clamp(min=0)[:, shared:],
            past_key_values=memory,
            use_cache=memory is not None,
            logits_to_keep=kept,
        ).logits
        found = []
        for row, one in enumerate(batch):
            values = torch.log_softmax(logits[row, -len(one.continuation) - 1 : -1].float(), 1)
            chosen = torch.tensor(one.continuation, device=values.device)
            found.append(values.gather(1, chosen[:, None])[:, 0].tolist())
    return found


def _computed_once(model: Any, tokens: list[int], rows: int, cache: Callable[[Any], Any]) -> Any:
    """Keys and values of `tokens`, repeated for every row."""
    import torch

    memory = cache(model)
    ids = torch.tensor([tokens], device=model.device)
    model(input_ids=ids, past_key_values=memory, use_cache=True, logits_to_keep=1)
    memory.batch_repeat_interleave(rows)
    return memory
