"""Scores on tokens that are named by their strings, whatever the tokenizer: strings in, token ids out.

Ids differ from tokenizer to tokenizer and mean nothing to a user; a string is resolved where the model is. It has to be
one token: a score on the first piece of a longer string would touch every word that begins alike.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from adhere.errors import UsageError
from adhere.models.base import Sampling

__all__ = ["Encode", "biases", "token_of"]

Encode = Callable[[str], Sequence[int]]  # token ids of a text, without the ones that begin a text


def biases(sampling: Sampling, encode: Encode) -> dict[int, float]:
    """The score of each token id that a request's `logit_bias` and its rules' uniform scores come to, summed.

    Raises:
        UsageError: if a string is not one token, naming the ids that it is.
    """
    found: dict[int, float] = {}
    for text, score in (sampling.logit_bias or {}).items():
        _add(found, token_of(text, encode), score)
    rules = sampling.rules
    for text, score in ((rules.tokens if rules else None) or {}).items():
        _add(found, token_of(text, encode, first=rules is not None and rules.first_of_many), score)
        spaced = _ids(f" {text}", encode)
        if not text[:1].isspace() and len(spaced) == 1 and spaced != _ids(text, encode):
            _add(found, spaced[0], score)
    return found


def token_of(text: str, encode: Encode, *, first: bool = False) -> int:
    """The id of the token that spells `text`.

    Args:
        text: Not empty.
        encode: The tokenizer.
        first: Take the first token of several, instead of refusing.

    Raises:
        UsageError: if it is not one token.
    """
    ids = _ids(text, encode)
    if len(ids) == 1 or (first and ids):
        return ids[0]
    raise UsageError(
        f"{text!r} is not one token of this model but {len(ids)}: {', '.join(map(str, ids)) or 'none'}",
        hint="Name a string that is one token, or set first_of_many to score its first",
    )


def _ids(text: str, encode: Encode) -> list[int]:
    """Ids of a string as it stands within a text.

    SentencePiece tokenizers put a space before the first word of all that they read; so it is read after a line break,
    which is taken off again. Where the two melt into one token (more line breaks), it is read by itself.
    """
    before, whole = list(encode("\n")), list(encode(f"\n{text}"))
    return whole[len(before) :] if whole[: len(before)] == before else list(encode(text))


def _add(found: dict[int, float], token: int, score: float) -> None:
    found[token] = found.get(token, 0.0) + score
