"""A small scorer: an encoder reads instruction and answer as a pair, a linear head says how good the answer is.

Cappy (Tan et al. 2023, arXiv 2311.06720): RoBERTa-large with a regression head, trained by squared error on labels from
0 to 1 and read raw, without a sigmoid. Here the encoder is all-MiniLM-L6-v2 (22M parameters, mean-pooled), small enough
for two cores.

    scorer = SmallScorer.pretrained().pretrain(rows)     # the regression objective, on any labelled rows
    await scorer.adapt(task, generator=model)            # a task's references and the generator's own samples
    scorer.score("Translate: chat", ["cat", "dog"])      # → [0.93, 0.12]
    scorer.save("scorers/my-task")                       # then: best_of_n(scorer=cappy("scorers/my-task"))

Training needs torch (`small/training.py`); scoring is numpy, and so works where torch is not installed.

What differs from the paper: the encoder; all padding is gone (the repository pads to 512 tokens); a pair that is too
long loses the end of the *instruction*, never of the answer before that; the head starts from the exact least-squares
fit on frozen features instead of from noise, which is also a way to train that takes seconds (`encoder=False`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import msgspec

from adhere.errors import DataError, UsageError
from adhere.score import saved
from adhere.score.small.candidates import task_row
from adhere.score.small.data import Labelled, Quality, TaskRow, labelled, repeated

if TYPE_CHECKING:
    import numpy as np

    from adhere.records import Instruction
    from adhere.roles import Answerer

__all__ = ["KIND", "SmallScorer"]

KIND = "cappy"  # as it is registered and saved
MAX_TOKENS = 512  # of a pair, as the paper; the encoder has no more positions
MAX_CHARACTERS = 20_000  # of a text that are read at all: far beyond 512 tokens
TRAIN_SIZE = 4096  # rows of one adaptation; the paper's 102,400 are hours on two cores
CANDIDATES = 17  # per instruction, the paper's


class SmallScorer:
    """Encoder and head. `pretrained()` makes a fresh one, `load` opens a saved one.

    Args:
        tensors: The encoder's, under BERT's names (a saved one's head is `head.weight` and `head.bias`).
        config: The encoder's `config.json`.
        folder: Where its `tokenizer.json` lies.
        history: What it was trained on, one entry a training.
    """

    def __init__(
        self, tensors: dict[str, np.ndarray], config: dict[str, Any], folder: Path, history: Sequence[Any] = ()
    ) -> None:
        import numpy as np

        self.config = config
        self.folder = folder
        self.history = list(history)
        self.head = tensors.get("head.weight", np.zeros(config["hidden_size"], np.float32))
        self.bias = float(tensors["head.bias"][0]) if "head.bias" in tensors else 0.0
        self.tensors = {name: value for name, value in tensors.items() if not name.startswith("head.")}

    def __repr__(self) -> str:
        return f"SmallScorer(trained={len(self.history)})"

    @classmethod
    def pretrained(cls) -> Self:
        """MiniLM as published, with a head that says 0 to everything.

        Raises:
            WeightsError, DependencyError: if MiniLM or the extra `embed` is missing.
        """
        folder = _minilm()
        return cls(_tensors(folder), msgspec.json.decode((folder / "config.json").read_bytes()), folder)

    @classmethod
    def load(cls, folder: str | Path) -> Self:
        """A saved one.

        Raises:
            DataError: if the folder holds something else.
        """
        return cls.from_saved(saved.read(folder))

    @classmethod
    def from_saved(cls, found: saved.Saved) -> Self:
        """From what `saved.read` found; what was not trained is taken from MiniLM as published."""
        if found.kind != KIND or "head.weight" not in found.tensors:
            raise DataError(f"{found.folder} holds no small scorer but a '{found.kind}'")
        folder = _minilm()
        tensors = dict(found.tensors)
        if not any(name.startswith("encoder.") for name in tensors):
            tensors |= _tensors(folder)
        return cls(tensors, found.config["encoder"], folder, found.config.get("history", ()))

    def save(self, folder: str | Path) -> Path:
        """Write it; an encoder that was never tuned is left out, which makes the folder some kilobytes."""
        import numpy as np

        head = {"head.weight": self.head.astype(np.float32), "head.bias": np.asarray([self.bias], np.float32)}
        tuned = any(entry.get("encoder") for entry in self.history)
        config = {"encoder": self.config, "history": self.history}
        return saved.save(folder, KIND, config, head | (self.tensors if tuned else {}))

    # Scoring ----------------------------------------------------------------------------------------------------------

    def score(self, instruction: str, answers: Sequence[str]) -> list[float]:
        """How good each answer is; about 0 to 1, not clipped."""
        return self.score_pairs([(instruction, answer) for answer in answers])

    def score_pairs(self, pairs: Sequence[tuple[str, str]]) -> list[float]:
        """The same for pairs of any instructions, which saves time over one call for each."""
        if not pairs:
            return []
        return (self.features(pairs) @ self.head + self.bias).tolist()

    def classify(self, instruction: str, options: Sequence[str]) -> int:
        """The index of the best option; the first of several.

        Raises:
            UsageError: without options.
        """
        if not options:
            raise UsageError("there are no options to choose from")
        scores = self.score(instruction, options)
        return max(range(len(options)), key=lambda i: (scores[i], -i))

    def features(self, pairs: Sequence[tuple[str, str]]) -> np.ndarray:
        """The encoder's mean-pooled vectors, shape (pairs, 384), float32."""
        import numpy as np

        from adhere.models.minilm import batches, pooled

        encoded = [self.encode(*pair) for pair in pairs]
        made = np.empty((len(pairs), self.config["hidden_size"]), np.float32)
        for batch in batches([ids for ids, _ in encoded]):
            made[batch] = pooled(self._weights, [encoded[i][0] for i in batch], [encoded[i][1] for i in batch])
        return made

    def encode(self, instruction: str, answer: str) -> tuple[list[int], int]:
        """Token ids of the pair and where the answer begins; the instruction's end is cut first."""
        tokens = [self._tokens(text) for text in (instruction, answer)]
        room = min(MAX_TOKENS, self.config["max_position_embeddings"]) - 3
        second = tokens[1][:room]
        first = tokens[0][: room - len(second)]
        begin, end = self._special
        return [begin, *first, end, *second, end], len(first) + 2

    def _tokens(self, text: str) -> list[int]:
        clean = text[:MAX_CHARACTERS].encode("utf-8", "replace").decode()
        return self._tokenizer.encode(clean, add_special_tokens=False).ids

    @cached_property
    def _weights(self) -> Any:
        from adhere.models.minilm import weights_of

        try:
            return weights_of(self.tensors, self.config)
        except (KeyError, ValueError) as error:
            raise DataError(f"the scorer's tensors are not an encoder's: {error!r}") from error

    @cached_property
    def _tokenizer(self) -> Any:
        from tokenizers import Tokenizer

        made = Tokenizer.from_file(str(self.folder / "tokenizer.json"))
        made.no_truncation()
        made.no_padding()
        return made

    @cached_property
    def _special(self) -> tuple[int, int]:
        return self._tokenizer.token_to_id("[CLS]"), self._tokenizer.token_to_id("[SEP]")

    # Learning ---------------------------------------------------------------------------------------------------------

    def pretrain(self, rows: Sequence[Labelled], *, epochs: int = 1, **training: Any) -> Self:
        """Learn labels by regression, over any mixture of tasks.

        Args:
            rows: With labels from 0 to 1.
            epochs: Passes over them.
            training: As `small_scorer_training.train`.

        Raises:
            DataError: if there are none.
        """
        return self._train(rows, len(rows) * epochs, "pretrain", training)

    def fit(
        self,
        task: Sequence[TaskRow],
        metric: str | Quality = "rouge_l",
        *,
        graded: bool = True,
        train_size: int = TRAIN_SIZE,
        seed: int = 0,
        **training: Any,
    ) -> Self:
        """Learn a task from references and candidates that are there already.

        Args:
            task: The training split.
            metric: What labels the candidates, see `labelled`.
            graded: Whether to use the candidates at all.
            train_size: Rows in all; the data are repeated and cut to it.
            seed: Of everything random.
            training: As `small_scorer_training.train`.

        Raises:
            DataError: see `labelled`.
        """
        return self._train(labelled(task, metric, graded=graded, seed=seed), train_size, "adapt", training, seed)

    async def adapt(
        self,
        task: Sequence[Instruction],
        generator: Answerer,
        n_candidates: int = CANDIDATES,
        metric: str | Quality = "rouge_l",
        **fitting: Any,
    ) -> Self:
        """Let the generator answer the task's instructions, then learn from its answers and the references.

        Args:
            task: Instructions with references, the training split.
            generator: Whose answers are to be judged later.
            n_candidates: Answers per instruction.
            metric: What labels them.
            fitting: As `fit`.

        Raises:
            DataError: if an instruction has no reference.
            ModelError: if every answer to some instruction failed.
        """
        missing = [instruction.id for instruction in task if not instruction.references]
        if missing:
            raise DataError(f"'{missing[0]}': Cappy needs at least one reference per training row")
        rows = await _over(task, generator, lambda i: task_row(i, generator, n_candidates))
        return self.fit(rows, metric, **fitting)

    def _train(self, rows: Sequence[Labelled], size: int, how: str, training: dict[str, Any], seed: int = 0) -> Self:
        from adhere.score.small.training import train

        settings: dict[str, Any] = {"encoder": True, "seed": seed, **training}
        error = train(self, repeated(rows, size), **settings)
        self.__dict__.pop("_weights", None)
        self.history.append({"how": how, "rows": len(rows), "size": size, "mean_squared_error": error, **settings})
        return self


async def _over(items: Sequence[Any], generator: Any, fn: Callable[[Any], Any]) -> list[Any]:
    """`fn` over all items, side by side, in their order; the first failure is raised."""
    from adhere.engine.run import run
    from adhere.errors import ModelError

    done: list[Any] = [None] * len(items)
    async for outcome in run(fn, items, concurrency=getattr(generator, "concurrency", 16)):
        if outcome.failure is not None:
            raise ModelError(f"instruction {outcome.index + 1}: {outcome.failure.message}")
        done[outcome.index] = outcome.result
    return done


def _minilm() -> Path:
    from adhere.models import weights

    return weights.resolve("minilm")


def _tensors(folder: Path) -> dict[str, np.ndarray]:
    from adhere.errors import missing_extra

    try:
        from safetensors.numpy import load_file
    except ImportError as error:
        raise missing_extra("safetensors", "embed", "a small scorer") from error
    return load_file(folder / "model.safetensors")
