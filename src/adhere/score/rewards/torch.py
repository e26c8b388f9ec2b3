"""Conversations through a transformer to numbers: a reward model's outputs, or the last token's hidden state.

The number of a conversation must not depend on its company in the batch, which it does in the usual way of doing it:
`transformers` looks for the last token that is not the pad token, and where pad and end are the same token, it stops
before the end token of some. So all padding here is on the right, the last token is found by the attention mask, and a
decoder's head is applied to that token's hidden state by ourselves. Encoders (BERT and its like), which have a pooled
head of their own, are called as they are.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from adhere.errors import DataError, WeightsError, missing_extra
from adhere.records import Message

if TYPE_CHECKING:
    import numpy as np

__all__ = ["Conversation", "Outputs", "TorchScorer", "is_reward_model"]

BATCH_TOKENS = 4_096
BATCH_ROWS = 32
UNBOUNDED = 1_000_000  # tokenizers write huge numbers where there is no limit
LONGEST_CONTEXT = 8_192  # tokens of a conversation that are read: reward models are not trained on more

Conversation = tuple[tuple[Message, ...], str]


class Outputs(NamedTuple):
    """Values of shape (conversations, outputs), and how many tokens each lost because it was too long."""

    values: np.ndarray
    cut: list[int]


class _Row(NamedTuple):
    ids: list[int]
    types: list[int]
    cut: int


def is_reward_model(folder: Path) -> bool:
    """Whether a folder is a Hugging Face model with a classification head."""
    import json

    try:
        config = json.loads((folder / "config.json").read_bytes())
        return any("ForSequenceClassification" in name for name in config.get("architectures") or ())
    except (OSError, ValueError, AttributeError, TypeError):
        return False


class TorchScorer:
    """A transformer with its tokenizer.

    Args:
        folder: Hugging Face folder, safetensors only.
        head: Use its classification head (a reward model); otherwise the hidden state of the last token is given.

    Raises:
        WeightsError: if it cannot be loaded, or has no trained head where one is needed.
        DependencyError: without the extra `train`.
    """

    def __init__(self, folder: str | Path, *, head: bool = True) -> None:
        os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
        try:
            import torch  # noqa: F401
        except ImportError as error:
            raise missing_extra("torch", "train", "a reward model") from error
        self.folder = Path(folder)
        self.head = head
        if head and not is_reward_model(self.folder):
            raise WeightsError(
                f"{folder} has no reward head", hint="A reward model's config.json names a …ForSequenceClassification"
            )
        self.tokenizer, self.model = _load(self.folder, head)
        limits = (self.model.config.to_dict().get("max_position_embeddings"), self.tokenizer.model_max_length)
        bounded = [int(n) for n in limits if n and n < UNBOUNDED]
        self.context = min([*bounded, LONGEST_CONTEXT])

    @property
    def outputs(self) -> int:
        """How many numbers a conversation gets."""
        return self.model.config.num_labels if self.head else self.model.config.hidden_size

    def run(self, conversations: Sequence[Conversation]) -> Outputs:
        """The outputs of conversations, float32, in their order.

        Raises:
            DataError: if the chat template refuses a conversation.
        """
        import numpy as np
        import torch

        rows = [self._row(*conversation) for conversation in conversations]
        made = np.empty((len(rows), self.outputs), np.float32)
        with torch.inference_mode():
            for batch in _batches([len(row.ids) for row in rows]):
                made[batch] = self._forward([rows[i] for i in batch]).float().cpu().numpy()
        return Outputs(made, [row.cut for row in rows])

    def _row(self, messages: Sequence[Message], answer: str) -> _Row:
        if self.tokenizer.chat_template:
            turns = [{"role": m.role, "content": m.text} for m in messages]
            try:
                text = self.tokenizer.apply_chat_template(
                    [*turns, {"role": "assistant", "content": answer}], tokenize=False
                )
            except Exception as error:  # templates are programs: they raise what they like
                raise DataError(f"the reward model's chat template refuses the conversation: {error}") from error
            ids = self.tokenizer(text, add_special_tokens=False)["input_ids"]
            cut = max(0, len(ids) - self.context)
            return _Row(ids[cut:], [], cut)  # what stands last decides
        return self._pair("\n\n".join(m.text for m in messages), answer)

    def _pair(self, question: str, answer: str) -> _Row:
        """Question and answer as a pair of texts, for models without a chat template; the question is cut first."""
        first = question if self.tokenizer.sep_token else f"{question}\n\n"
        whole = self.tokenizer(first, answer)
        cut = max(0, len(whole["input_ids"]) - self.context)
        if cut:
            spare = len(self.tokenizer(first, add_special_tokens=False)["input_ids"])
            how = "only_first" if spare > cut else "longest_first"
            whole = self.tokenizer(first, answer, truncation=how, max_length=self.context)
        return _Row(whole["input_ids"], whole.get("token_type_ids") or [], cut)

    def _forward(self, rows: Sequence[_Row]) -> Any:
        """Shape (rows, outputs)."""
        import torch

        longest = max(len(row.ids) for row in rows)
        ids = torch.zeros((len(rows), longest), dtype=torch.long)  # what a padded place holds is never read
        mask = torch.zeros_like(ids)
        types = torch.zeros_like(ids)
        for n, row in enumerate(rows):
            ids[n, : len(row.ids)] = torch.tensor(row.ids)
            mask[n, : len(row.ids)] = 1
            types[n, : len(row.types)] = torch.tensor(row.types, dtype=torch.long)
        given = {"input_ids": ids, "attention_mask": mask} | ({"token_type_ids": types} if rows[0].types else {})
        given = {name: value.to(self.model.device) for name, value in given.items()}
        scorer = getattr(self.model, "score", None)  # the head of every decoder in transformers
        if self.head and scorer is None:
            return self.model(**given).logits
        body = self.model.base_model if self.head else self.model
        hidden = body(**given).last_hidden_state
        last = hidden[torch.arange(len(rows)), given["attention_mask"].sum(dim=1) - 1]
        return scorer(last) if self.head and scorer is not None else last


def _load(folder: Path, head: bool) -> tuple[Any, Any]:
    import torch
    from transformers import AutoModel, AutoModelForSequenceClassification, AutoTokenizer

    from adhere.models.hf_export import quiet_transformers

    if not any(folder.glob("*.safetensors")):
        raise WeightsError(
            f"{folder} holds no .safetensors file", hint="Other formats can run code on loading and are not read"
        )
    kind: Any = AutoModelForSequenceClassification if head else AutoModel
    device = "cuda" if torch.cuda.is_available() else "cpu"
    safe = {"local_files_only": True, "trust_remote_code": False}
    try:
        with quiet_transformers():
            tokenizer = AutoTokenizer.from_pretrained(folder, **safe)
            dtype = torch.float32 if device == "cpu" else torch.bfloat16
            model, found = kind.from_pretrained(
                folder, dtype=dtype, use_safetensors=True, output_loading_info=True, **safe
            )
    except (OSError, ValueError, KeyError, RuntimeError, ImportError) as error:
        raise WeightsError(f"cannot load {folder}: {' '.join(str(error).split())[:300]}") from error
    if head and found["missing_keys"]:  # transformers would make up random ones
        raise WeightsError(f"{folder} lacks weights, e.g. '{min(found['missing_keys'])}'", hint="Is it whole?")
    return tokenizer, model.to(device).eval()


def _batches(lengths: Sequence[int]) -> list[list[int]]:
    """Indices by length, in batches of at most `BATCH_TOKENS` tokens and `BATCH_ROWS` rows."""
    batches: list[list[int]] = []
    for index in sorted(range(len(lengths)), key=lambda i: lengths[i]):
        size = len(batches[-1]) + 1 if batches else BATCH_ROWS + 1
        if size > BATCH_ROWS or size * lengths[index] > BATCH_TOKENS:
            batches.append([])
        batches[-1].append(index)
    return batches
