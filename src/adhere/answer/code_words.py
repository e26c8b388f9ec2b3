"""The words of code and of talk about code: identifiers come apart, so that `wordCount` and `word_count` say "word"."""

from __future__ import annotations

import re

__all__ = ["code_words"]

_IDENTIFIER = re.compile(r"[^\W\d_]+|\d+")
_HUMPS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[^\WA-Z\d_]+|\d+")


def code_words(text: str) -> str:
    """Words in lower case with a space between them, ready for BM25.

    >>> code_words("def wordCount(self): return HTTPError.word_count2")
    'def word count self return http error word count 2'
    """
    return " ".join(part.lower() for word in _IDENTIFIER.findall(text) for part in _HUMPS.findall(word) or [word])
