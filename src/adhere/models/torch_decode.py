"""Our own decoding loop: a left-padded batch in which every row samples for itself.

`transformers.generate` has one sampler and one random generator for the whole batch, so a row's text depends on its
neighbours. Here each row has its own settings, generator, grammar and end, leaves the batch when it is done, and gets
what it would get alone, up to the rounding of batched matrix products (1e-6 in float32: only a near-tie can flip).

Sampling order as in vLLM and transformers: temperature, then top-k, then top-p on what is left.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from adhere.models.base import Sampling
from adhere.models.gather import Job
from adhere.models.torch_rules import RowBias
from adhere.records import TokenLogprob

if TYPE_CHECKING:
    from torch import Generator, Tensor

__all__ = ["Row", "decode", "draw", "empty_cache", "left_padded"]


@dataclass(slots=True)
class Row:
    """One sequence in the batch.

    Attributes:
        prompt: Token ids, not empty.
        sampling: Its own settings; `max_tokens` at least 1.
        text_of: The text of some generated tokens.
        job: Whom it is for; an abandoned job's row leaves the batch.
        matcher: llguidance's state machine where a grammar or schema was asked.
        bias: What is added to its logits, where asked.
        name_of: How a token is written in log-probabilities; by its text where not given.
    """

    prompt: list[int]
    sampling: Sampling
    text_of: Callable[[Sequence[int]], str]
    job: Job[Any]
    matcher: Any = None
    bias: RowBias | None = None
    name_of: Callable[[int], str] | None = None
    tokens: list[int] = field(default_factory=list)
    logprobs: list[TokenLogprob] = field(default_factory=list)
    finish: str = ""
    cut: int | None = None  # characters of the text that come before a stop string
    generator: Generator | None = None

    def take(self, token: int, ends: frozenset[int]) -> None:
        """Add a token and see whether the row is done. A token that ends the turn is not part of the answer."""
        if token in ends:
            self.finish = "stop"
            return
        self.tokens.append(token)
        if self.sampling.stop and (at := self._stop_at()) is not None:
            self.cut, self.finish = at, "stop"
        elif self.matcher is not None and self.matcher.is_stopped():
            self.finish = "stop"
        elif len(self.tokens) >= self.sampling.max_tokens:
            self.finish = "length"

    def _stop_at(self) -> int | None:
        """Where the first stop string begins. Looks at the end of the text alone until it has found one."""
        longest = max(len(s.encode()) for s in self.sampling.stop)
        # A token holds at least one byte, but for the special ones, which the margin allows for.
        recent = self.text_of(self.tokens[-(longest + 8) :])
        if not any(s in recent for s in self.sampling.stop):
            return None
        text = self.text_of(self.tokens)
        return min((at for s in self.sampling.stop if (at := text.find(s)) >= 0), default=None)


def decode(model: Any, rows: Sequence[Row], ends: frozenset[int], pad: int, done: Callable[[Row], None]) -> None:
    """Generate until every row is done or abandoned; `done` gets each row the moment it is."""
    import torch

    for row in rows:
        row.generator = _generator(row.sampling.seed)
    active = list(rows)
    ids, mask = left_padded([row.prompt for row in active], pad, model.device)
    positions = (mask.cumsum(1) - 1).clamp(min=0)
    cache: Any = empty_cache(model)
    with torch.inference_mode():
        while True:
            out = model(
                input_ids=ids,
                attention_mask=mask,
                position_ids=positions,
                past_key_values=cache,
                use_cache=True,
                logits_to_keep=1,
            )
            chosen = _choose(out.logits[:, -1].float(), active)
            for row, token in zip(active, chosen, strict=True):
                row.take(token, ends)
                if row.finish:
                    done(row)
            keep = [i for i, row in enumerate(active) if not row.finish and not row.job.abandoned]
            if not keep:
                return
            if len(keep) < len(active):
                index = torch.tensor(keep, device=model.device)
                cache.batch_select_indices(index)
                mask, positions = mask[index], positions[index]
                active = [active[i] for i in keep]
            ids = torch.tensor([[row.tokens[-1]] for row in active], device=model.device)
            mask = torch.cat([mask, mask.new_ones(len(active), 1)], 1)
            positions = positions[:, -1:] + 1


def left_padded(sequences: Sequence[Sequence[int]], pad: int, device: Any) -> tuple[Tensor, Tensor]:
    """Token ids and attention mask with the padding in front, so that all sequences end in the last column."""
    import torch

    longest = max(map(len, sequences))
    ids = [[pad] * (longest - len(s)) + list(s) for s in sequences]
    mask = [[0] * (longest - len(s)) + [1] * len(s) for s in sequences]
    return torch.tensor(ids, device=device), torch.tensor(mask, device=device)


def draw(logits: Tensor, sampling: Sampling, uniforms: Sequence[float]) -> list[int]:
    """The tokens that uniform numbers in [0, 1) pick: inverse transform sampling, exact and easy to repeat.

    Args:
        logits: (rows, vocabulary), float32, with -inf for what a grammar forbids.
        sampling: Of all these rows; temperature above 0.
        uniforms: One random number a row.
    """
    import torch

    order: Tensor | None = None
    if 0 < sampling.top_k < logits.shape[1]:
        logits, order = torch.topk(logits, sampling.top_k)
    elif sampling.top_p < 1:
        logits, order = torch.sort(logits, descending=True, stable=True)
    mass = torch.softmax(logits.double() / sampling.temperature, 1).cumsum(1)
    last = torch.full((len(mass), 1), mass.shape[1] - 1, device=mass.device)
    if sampling.top_p < 1:
        # The smallest set whose mass reaches top_p, at least one token (Holtzman et al. 2020, section 3.1).
        last = torch.minimum((mass < sampling.top_p).sum(1, keepdim=True), last)
    targets = torch.tensor(uniforms, dtype=mass.dtype, device=mass.device)[:, None] * mass.gather(1, last)
    picks = torch.minimum(torch.searchsorted(mass, targets, right=True), last)
    return (picks if order is None else order.gather(1, picks))[:, 0].tolist()


def _choose(logits: Tensor, rows: Sequence[Row]) -> list[int]:
    """The next token of each row, with its log-probability noted where asked."""
    import torch

    plain = logits
    if any(row.matcher is not None or row.bias is not None for row in rows):
        logits = logits.clone()
        for i, row in enumerate(rows):
            if row.bias is not None:
                row.bias.add_to(logits[i], row.tokens)
            if row.matcher is not None:
                logits[i].masked_fill_(~_allowed(row.matcher, logits.shape[1]).to(logits.device), -math.inf)
    chosen: list[int] = logits.argmax(1).tolist()
    for settings, group in _alike(rows).items():
        uniforms = [float(torch.rand((), generator=rows[i].generator, dtype=torch.float64)) for i in group]
        for i, token in zip(group, draw(logits[group], settings, uniforms), strict=True):
            chosen[i] = token
    for i, row in enumerate(rows):
        if row.matcher is not None:
            row.matcher.consume_token(chosen[i])
        if row.sampling.top_logprobs is not None:
            row.logprobs.append(_logprob(plain[i], chosen[i], row))
    return chosen


def _alike(rows: Sequence[Row]) -> dict[Sampling, list[int]]:
    """Indices of the rows that draw, by what they draw with."""
    groups: dict[Sampling, list[int]] = {}
    for i, row in enumerate(rows):
        s = row.sampling
        if s.temperature > 0:
            groups.setdefault(Sampling(s.temperature, s.top_p, s.top_k), []).append(i)
    return groups


def _allowed(matcher: Any, vocabulary: int) -> Tensor:
    """Which tokens the grammar allows next."""
    import numpy as np
    import torch

    bits = np.frombuffer(matcher.compute_bitmask(), np.uint8)
    allowed = np.zeros(vocabulary, bool)
    unpacked = np.unpackbits(bits, bitorder="little")[:vocabulary].astype(bool)
    allowed[: len(unpacked)] = unpacked
    return torch.from_numpy(allowed)


def _logprob(logits: Tensor, token: int, row: Row) -> TokenLogprob:
    """Of the model itself, before temperature, top-k, top-p, rules and grammar."""
    import torch

    name_of = row.name_of or (lambda token: row.text_of([token]))

    values = torch.log_softmax(logits, 0)
    best = torch.topk(values, min(row.sampling.top_logprobs or 0, len(values)))
    top = tuple((name_of(int(i)), float(v)) for v, i in zip(best.values, best.indices, strict=True))
    return TokenLogprob(name_of(token), float(values[token]), top)


def _generator(seed: int | None) -> Generator:
    """On the CPU whatever the device, so that a seed means the same everywhere."""
    import torch

    generator = torch.Generator()
    if seed is None:
        generator.seed()
    else:
        generator.manual_seed(seed)
    return generator


def empty_cache(model: Any) -> Any:
    """Room for keys and values, of the kinds that the model's layers keep."""
    from transformers import DynamicCache

    return DynamicCache(config=model.config)
