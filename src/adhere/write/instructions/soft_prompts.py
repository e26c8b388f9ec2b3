"""Soft prompts that make an open model write instructions: the search space of INSTINCT.

A point z of a low-dimensional cube is projected by a fixed random matrix to a few embeddings, which go in front of a
demonstration text; the writer then completes "The instruction was to". Its last hidden state h(z) tells what it is
about to write, and is what the bandit learns from. (Lin et al. 2024, arXiv 2310.02905, section 3; after InstructZero,
Chen et al. 2023.)

Differs from the repository: z is centred and the projection scaled to the mean norm of token embeddings, where it has
one direction for all z in common and norms far above theirs; a beginning-of-text token, where the model wants one,
stays in front. One pooling only (last position).
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from adhere.answer.base import base_model
from adhere.data.files import replacing
from adhere.data.places import cache_dir
from adhere.engine.seeds import derive
from adhere.errors import CapabilityError, UsageError
from adhere.models.prompts import Template
from adhere.models.torch_decode import empty_cache
from adhere.records import digest
from adhere.roles import Answerer
from adhere.write.instructions.cleaning import first_sentence
from adhere.write.instructions.proposers import PACKAGE, Written
from adhere.write.instructions.tasks import Pair

if TYPE_CHECKING:
    import numpy as np

__all__ = ["Domain", "SoftPromptProposer"]

VERSION = 1  # of what a stored file of hidden states means
BATCH = 32
SENTENCE_ENDS = (".", "!", "?")
LOOK_EVERY = 4  # tokens between two looks at whether all rows have ended


class Domain(NamedTuple):
    """The points that a search chooses from.

    Attributes:
        z: (n, dim), in [0, 1].
        hidden: (n, width) float32, the writer's last hidden state for each point.
        dropped: Points that were left out since their hidden state was not finite.
        write: Ids of points → (instruction, raw text) of each, decoded greedily; slow, in batches.
        file: Where the hidden states are kept.
    """

    z: np.ndarray
    hidden: np.ndarray
    dropped: int
    write: Any
    file: Path


class SoftPromptProposer:
    """Makes the domain for a task.

    Args:
        dim: Dimensions of z (paper: 10 for induction, 1000 for chain-of-thought instructions).
        tokens: Soft tokens (5, respectively 10).
        domain: Points of the scrambled Sobol sequence (10,000 in the paper).
        scale: Of the soft tokens, in mean norms of token embeddings.
        max_tokens: Cap on an instruction (64).
        about: "pairs": the writer sees five of them; "thinking": it is asked for a sentence that opens a chain of
            thought, unlike three known ones.
        folder: Where hidden states are kept; None is the cache.

    Raises:
        UsageError: for numbers below 1.
    """

    name = "soft_prompt"

    def __init__(
        self,
        dim: int = 10,
        tokens: int = 5,
        domain: int = 2000,
        scale: float = 1.0,
        max_tokens: int = 64,
        about: Literal["pairs", "thinking"] = "pairs",
        folder: str | Path | None = None,
    ) -> None:
        if min(dim, tokens, domain, max_tokens) < 1 or scale <= 0:
            raise UsageError("dim, tokens, domain and max_tokens must be at least 1, scale above 0")
        self.dim, self.tokens, self.domain, self.scale = dim, tokens, domain, scale
        self.max_tokens = max_tokens
        self.about: Literal["pairs", "thinking"] = about
        self.folder = folder

    def open(self, writer: Answerer, shown: Sequence[Pair], seed: int = 0) -> Domain:
        """The points, their hidden states (computed, or read where they were before) and a way to decode them.

        Args:
            writer: A model that runs in torch here.
            shown: Pairs of which five are demonstrated.
            seed: Of points, projection and demonstrations.

        Raises:
            CapabilityError: if the writer shows neither embeddings nor hidden states.
        """
        import numpy as np

        white = _WhiteBox(writer)
        text = self._shown_text(shown, seed)
        z = self._points(seed)
        soft = self._soft_tokens(z, white, seed)
        ids = white.tokenizer(text, add_special_tokens=False)["input_ids"]
        what = [VERSION, white.digest, ids, self.dim, self.tokens, self.domain, self.scale, seed]
        folder = Path(self.folder) if self.folder is not None else cache_dir() / "instinct"
        file = folder / f"hidden-{digest(what)[:16]}.npy"
        hidden = _stored(file, len(z))
        if hidden is None:
            hidden = np.concatenate([white.hidden(part, ids) for part in _batches(soft)])
            folder.mkdir(parents=True, exist_ok=True)
            with replacing(file) as part, part.open("wb") as out:
                np.save(out, hidden, allow_pickle=False)
        good = np.flatnonzero(np.isfinite(hidden).all(1))

        def write(points: Sequence[int]) -> list[tuple[str, str]]:
            raws = [
                raw for part in _batches(soft[good[list(points)]]) for raw in white.decode(part, ids, self.max_tokens)
            ]
            return [(first_sentence(raw), raw) for raw in raws]

        return Domain(z[good], hidden[good], len(z) - len(good), write, file)

    def _shown_text(self, shown: Sequence[Pair], seed: int) -> str:
        """What follows the soft tokens; fixed for the whole search."""
        if self.about == "thinking":
            return "\n" + Template.of(PACKAGE, "instinct_thinking").text
        form = Written("reference", "ape_forward")
        rng = random.Random(derive("demonstrations", seed))
        prompt = form.prompt(rng.sample(list(shown), min(form.k, len(shown))), rng)
        return "\n" + prompt.split("\n\n", 1)[1]  # the soft tokens stand for the sentence before the pairs

    def _points(self, seed: int) -> np.ndarray:
        import numpy as np
        from torch.quasirandom import SobolEngine

        return (
            SobolEngine(self.dim, scramble=True, seed=derive("sobol", seed))
            .draw(self.domain)
            .numpy()
            .astype(np.float32)
        )

    def _soft_tokens(self, z: np.ndarray, white: _WhiteBox, seed: int) -> np.ndarray:
        """(n, tokens, width): the projected points, on average as long as the embeddings of tokens."""
        import numpy as np

        rng = np.random.default_rng(derive("projection", seed))
        matrix = rng.uniform(-1, 1, (self.dim, self.tokens * white.width)).astype(np.float32)
        soft = ((z - 0.5) @ matrix).reshape(len(z), self.tokens, white.width)
        return soft * (self.scale * white.norm / np.linalg.norm(soft, axis=2).mean())


class _WhiteBox:
    """A torch model seen from inside: embeddings in, hidden states or text out."""

    def __init__(self, writer: Answerer) -> None:
        model = base_model(writer)
        backend: Any = model.backend
        if not (hasattr(backend, "model") and hasattr(backend, "tokenizer")):
            raise CapabilityError(
                f"writer '{model.name}' ({model.info.engine}) shows neither embeddings nor hidden states, "
                "which soft prompts need",
                hint=f"Load it through torch (torch:{model.name}), or take --method ape, which needs text alone",
            )
        self.model, self.tokenizer, self.digest = backend.model, backend.tokenizer, model.info.digest
        self.embedding = self.model.get_input_embeddings()
        self.width = int(self.embedding.weight.shape[1])
        self.ends = {t for t in (self.tokenizer.eos_token_id,) if t is not None}
        first = self.tokenizer("x")["input_ids"][:1]
        self.begin = first if first == [self.tokenizer.bos_token_id] else []
        self.norm = self._mean_norm()

    def _mean_norm(self) -> float:
        """Of the embeddings as the layers see them: some models (Gemma) multiply them inside the embedding."""
        import torch

        with torch.inference_mode():
            ids = torch.arange(0, self.embedding.weight.shape[0], 7, device=self.model.device)
            return float(self.embedding(ids).float().norm(dim=1).mean())

    def _embedded(self, soft: np.ndarray, ids: list[int]) -> Any:
        import torch

        def rows(tokens: list[int]) -> Any:
            made = self.embedding(torch.tensor([tokens], dtype=torch.long, device=self.model.device))
            return made.expand(len(soft), -1, -1)

        given = torch.from_numpy(soft).to(self.model.device, self.model.dtype)
        return torch.cat([rows(self.begin), given, rows(ids)], 1)

    def hidden(self, soft: np.ndarray, ids: list[int]) -> np.ndarray:
        """Last-layer states, after the final norm, at the last position: (rows, width) float32."""
        import torch

        with torch.inference_mode():
            states = self.model.base_model(inputs_embeds=self._embedded(soft, ids), use_cache=False)
            return states.last_hidden_state[:, -1].float().cpu().numpy()

    def decode(self, soft: np.ndarray, ids: list[int], most: int) -> list[str]:
        """Greedy continuations, each up to its first sentence or line, or `most` tokens."""
        import torch

        cache = empty_cache(self.model)
        written: list[list[int]] = [[] for _ in soft]
        active = list(range(len(written)))
        with torch.inference_mode():
            step: dict[str, Any] = {"inputs_embeds": self._embedded(soft, ids)}
            for count in range(1, most + 1):
                out = self.model(**step, past_key_values=cache, use_cache=True, logits_to_keep=1)
                chosen = out.logits[:, -1].argmax(1)
                going = []
                for at, (row, token) in enumerate(zip(active, chosen.tolist(), strict=True)):
                    if token in self.ends:
                        continue
                    written[row].append(token)
                    if count % LOOK_EVERY or not _complete(self._text(written[row])):
                        going.append(at)
                if not going:
                    break
                if len(going) < len(active):
                    index = torch.tensor(going, device=chosen.device)
                    cache.batch_select_indices(index)
                    chosen, active = chosen[index], [active[at] for at in going]
                step = {"input_ids": chosen[:, None]}
        return [self._text(tokens) for tokens in written]

    def _text(self, tokens: list[int]) -> str:
        return self.tokenizer.decode(tokens, skip_special_tokens=True)


def _complete(text: str) -> bool:
    """Whether the first sentence, or the first line that says something, is over."""
    rest = text.lstrip()
    line, _, after = rest.partition("\n")
    return bool(after) or any(f"{end} " in line for end in SENTENCE_ENDS)


def _batches(rows: np.ndarray) -> list[np.ndarray]:
    return [rows[at : at + BATCH] for at in range(0, len(rows), BATCH)]


def _stored(file: Path, points: int) -> np.ndarray | None:
    """Hidden states that were computed before; None where there are none, or the file is damaged."""
    import numpy as np

    try:
        found = np.load(file, allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return None
    return found if found.ndim == 2 and len(found) == points else None
