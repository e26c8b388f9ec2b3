"""Text classifiers: what sentiment, emotion, topic or toxicity a text has, by a small head or by any HF classifier.

CoDI-Eval (Chen et al. 2024, arXiv 2401.00690) grades with four published classifiers that are hundreds of megabytes
each. They plug in here by path. What ships with Adhere are stand-ins: one linear head each over all-MiniLM-L6-v2
(`polarity`, `emotion`, `topic`, `toxicity`); `weights/CARD.md` says what they learned from and how good they
are.

    found = await open_classifier("polarity").probabilities(["What a lovely day!"])     # array, one row a text
    scorer = Classifier("cardiffnlp-sentiment/", label="positive")                      # a folder in HF format

A head reads the first 256 tokens, an HF classifier the first 512.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import msgspec

from adhere.errors import DataError, UnknownNameError, UsageError, did_you_mean, missing_extra
from adhere.records import Instruction, Response, Score
from adhere.registry import register
from adhere.score import saved

if TYPE_CHECKING:
    import numpy as np

__all__ = ["SHIPPED", "Classifier", "HfClassifier", "LinearHead", "TextClassifier", "label_index", "open_classifier"]

SHIPPED = ("polarity", "emotion", "topic", "toxicity")
KIND = "text_head"
FOLDER = Path(__file__).parent / "weights"
HF_TOKENS = 512  # what the four classifiers of the paper read
THRESHOLD = 0.5  # of a multi-label classifier's sigmoid, and of toxicity


class TextClassifier(Protocol):
    """Texts in, probabilities of labels out.

    Attributes:
        name: Who says so; stored with every verdict.
        labels: In the order of the columns.
        multi: Whether a text may have several labels: each probability stands for itself, 0.5 decides. Otherwise they
            add up to 1 and the largest decides.
    """

    name: str
    labels: tuple[str, ...]
    multi: bool

    async def probabilities(self, texts: Sequence[str]) -> np.ndarray:
        """Shape (texts, labels), from 0 to 1."""
        ...


class LinearHead:
    """A linear head over MiniLM's sentence vectors.

    Args:
        name: What it is called in verdicts.
        labels: In the order of the rows of `weight`.
        weight: Shape (labels, 384).
        bias: Shape (labels,).
        multi: As `TextClassifier`.
        card: What it was trained on, and how good it is.
    """

    def __init__(
        self,
        name: str,
        labels: Sequence[str],
        weight: np.ndarray,
        bias: np.ndarray,
        multi: bool = False,
        card: dict[str, Any] | None = None,
    ) -> None:
        if len(labels) != len(weight) or len(labels) != len(bias):
            raise DataError(f"{len(labels)} labels, {len(weight)} rows of weights and {len(bias)} biases")
        self.name, self.labels, self.multi = name, tuple(labels), multi
        self.weight, self.bias = weight, bias
        self.card = card or {}

    def __repr__(self) -> str:
        return f"LinearHead({self.name!r})"

    async def probabilities(self, texts: Sequence[str]) -> np.ndarray:
        """As `TextClassifier`; an empty text is classified like any other.

        Raises:
            WeightsError, DependencyError: if MiniLM cannot be had.
        """
        return self.of_vectors(await encoder().embed(texts))

    def of_vectors(self, vectors: np.ndarray) -> np.ndarray:
        """The same from MiniLM's unit vectors, shape (texts, 384)."""
        from scipy.special import expit, softmax

        logits = vectors @ self.weight.T + self.bias
        return expit(logits) if self.multi else softmax(logits, axis=1)

    def save(self, folder: str | Path) -> Path:
        """Write it as a folder; some kilobytes."""
        config = {"name": self.name, "labels": list(self.labels), "multi": self.multi, "card": self.card}
        return saved.save(folder, KIND, config, {"weight": self.weight, "bias": self.bias})

    @classmethod
    def load(cls, folder: str | Path) -> LinearHead:
        """Read one.

        Raises:
            DataError: if the folder holds something else.
        """
        import numpy as np

        found = saved.read(folder)
        if found.kind != KIND or not {"weight", "bias"} <= found.tensors.keys():
            raise DataError(f"{folder} holds no text classifier but a '{found.kind}'")
        weight, bias = (found.tensors[n].astype(np.float32) for n in ("weight", "bias"))
        config = found.config
        return cls(config["name"], config["labels"], weight, bias, config["multi"], config.get("card"))


class HfClassifier:
    """A sequence classifier in Hugging Face's format: `config.json`, a tokenizer, safetensors; no code is run from it.

    Args:
        path: Folder, or `hf:org/name` where a hub can be reached.

    Raises:
        DataError: if it is no sequence classifier with named labels.
        DependencyError: without the extra `train`.
        WeightsError: if it cannot be fetched.
    """

    def __init__(self, path: str) -> None:
        try:
            from transformers import AutoModelForSequenceClassification, AutoTokenizer
        except ImportError as error:
            raise missing_extra("transformers", "train", "a Hugging Face classifier") from error
        folder = _hf_folder(path)
        try:
            self._tokenizer: Any = AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
            self._model = AutoModelForSequenceClassification.from_pretrained(
                folder, use_safetensors=True, trust_remote_code=False
            ).eval()
        except (OSError, ValueError, KeyError) as error:
            raise DataError(f"{folder} cannot be opened as a classifier: {str(error).splitlines()[0]}") from error
        names = self._model.config.id2label
        self.name = folder.name
        self.labels = tuple(names[i] for i in range(len(names)))
        # One output is a single sigmoid (toxicity); several are a softmax unless the configuration says otherwise.
        self.multi = self._model.config.problem_type == "multi_label_classification" or len(names) == 1

    def __repr__(self) -> str:
        return f"HfClassifier({self.name!r})"

    async def probabilities(self, texts: Sequence[str]) -> np.ndarray:
        """As `TextClassifier`."""
        return await asyncio.to_thread(self._probabilities, list(texts))

    def _probabilities(self, texts: list[str]) -> np.ndarray:
        import torch

        batch = self._tokenizer(texts, truncation=True, max_length=HF_TOKENS, padding=True, return_tensors="pt")
        with torch.inference_mode():
            logits = self._model(**batch).logits.float()
        return (torch.sigmoid(logits) if self.multi else torch.softmax(logits, -1)).numpy()


def open_classifier(path: str) -> TextClassifier:
    """A classifier by name or place; opened once a process.

    Args:
        path: One of `SHIPPED`, a folder of a saved head, a folder in HF format, or `hf:org/name`.

    Raises:
        UnknownNameError: if there is nothing of that name.
        DataError, DependencyError, WeightsError: if it cannot be opened.
    """
    return _open(path)


@lru_cache(maxsize=8)
def _open(path: str) -> TextClassifier:
    if path in SHIPPED:
        return LinearHead.load(FOLDER / path)
    folder = Path(path)
    if (folder / saved.CONFIG).is_file():
        return LinearHead.load(folder)
    if path.startswith("hf:") or (folder / "config.json").is_file():
        return HfClassifier(path)
    raise UnknownNameError(
        f"no classifier '{path}'",
        hint=did_you_mean(path, SHIPPED) or f"Give a folder with config.json, or one of {', '.join(SHIPPED)}",
    )


def _hf_folder(path: str) -> Path:
    if not path.startswith("hf:"):
        return Path(path)
    from adhere.models.hub import fetch

    return fetch(path.removeprefix("hf:"))


@lru_cache(maxsize=1)
def encoder() -> Any:
    """MiniLM, opened once a process."""
    from adhere.models.names import load

    return load("minilm")


def label_index(classifier: TextClassifier, label: str) -> int:
    """The column of a label, by its words: "daily life" is what another calls "diaries_&_daily_life".

    The classifier's label that has exactly these words, else the only one that has them among its words; "sentiment"
    does not count as a word.

    Raises:
        UsageError: if there is none, or several.
    """
    wanted = _words(label)
    owned = [_words(name) for name in classifier.labels]
    found = [n for n, words in enumerate(owned) if words == wanted]
    found = found or [n for n, words in enumerate(owned) if wanted and wanted <= words]
    if len(found) != 1:
        raise UsageError(
            f"classifier '{classifier.name}' has {'no' if not found else 'more than one'} label '{label}'",
            hint=f"It has: {', '.join(classifier.labels)}",
        )
    return found[0]


def _words(label: str) -> frozenset[str]:
    return frozenset(label.lower().replace("_", " ").replace("&", " ").split()) - {"sentiment"}


@register("classifier", paper="codi-eval")
class Classifier:
    """Scores a response by whether a classifier gives it a label.

    `value` is the label's probability. `passed`: it is the most probable of all, or, with a multi-label classifier, at
    least 0.5. Without a label to look for it is undecided.

    Args:
        path: See `open_classifier`.
        label: What the text should have; "" reads `instruction.meta["label"]`.
    """

    def __init__(self, path: str, label: str = "") -> None:
        self.path = path
        self.label = label

    def __repr__(self) -> str:
        return f"Classifier({self.path!r}, label={self.label!r})"

    async def score(self, instruction: Instruction, response: Response) -> Score:
        """As the class says.

        Raises:
            UsageError: if the classifier has no such label.
        """
        label = self.label or instruction.meta.get("label")
        if not isinstance(label, str) or not label:
            return Score("classifier", reason="no label to look for")
        made = await verdict(open_classifier(self.path), response.text, label)
        return msgspec.structs.replace(made, name="classifier")


async def verdict(classifier: TextClassifier, text: str, label: str) -> Score:
    """Whether a classifier gives a text a label; `reason` says who said so, and what it found instead.

    Raises:
        UsageError: if the classifier has no such label.
    """
    at = label_index(classifier, label)
    chances = (await classifier.probabilities([text]))[0]
    best = int(chances.argmax())
    passed = bool(chances[at] >= THRESHOLD) if classifier.multi else best == at
    instead = "" if passed or best == at else f", {classifier.labels[best]} {chances[best]:.2f}"
    reason = f"{classifier.name}: {classifier.labels[at]} {chances[at]:.2f}{instead}"
    return Score(label, round(float(chances[at]), 6), passed, reason=reason)
