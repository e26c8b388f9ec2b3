"""From a constraint's arguments to the ways that hold it.

A way is a tuple of pieces; a rule gives several in order of preference, or says why it has none. A way is sound: every
text of it passes the checker in the dialect "fixed", and under a benchmark's published reading wherever the two mean
the same. It need not be complete: it may leave out texts that would pass too, such as words on which readings differ.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Any, NamedTuple

from adhere.answer.constrained.alphabet import alphabet
from adhere.answer.constrained.json_shape import Json
from adhere.answer.constrained.lengths import Capitals, Characters, Letters, Range, Sentences, TitleCase, Words, WordsAs
from adhere.answer.constrained.lines import Divided, Items, Lines, NthParagraph, Paragraphs, Postscript, Sections
from adhere.answer.constrained.machine import Piece
from adhere.answer.constrained.phrases import (
    Begins,
    Bracketed,
    Ends,
    Except,
    Highlighted,
    NoLead,
    Occurs,
    OneOf,
    Only,
    Quoted,
    Titled,
    folded,
)
from adhere.constraints.base import Checker
from adhere.constraints.text import whole_word

__all__ = ["PARTLY", "RULES", "Cannot", "Context", "Way"]

Way = tuple[Piece[Any, Any], ...]
MOST_WORDS = 800  # answers of local models are not longer, nor does the grammar get smaller


TOKENS_A_WORD = 4 / 3  # in English, punctuation included
TOKENS_A_SENTENCE = 6  # the shortest that are still sentences: "It rains." with its space


WRAPPING = '*_>"“('


class Cannot(Exception):
    """A rule's way of saying why it has no way."""


class Context(NamedTuple):
    """What a rule may want to know beside its arguments.

    Attributes:
        kinds: Of all constraints.
        tokens: The limit that the answer has to fit into; None for no limit.
    """

    kinds: tuple[str, ...]
    tokens: int | None = None


Rule = Callable[[dict[str, Any], Context], list[Way]]


def _range(args: dict[str, Any]) -> Range:
    if args.get("exactly") is not None:
        return Range(args["exactly"], args["exactly"])
    return Range(args.get("at_least") or 0, args.get("at_most"))


def _related(relation: str, number: int) -> Range:
    """IFEval's relations."""
    return Range(number, None) if relation == "at least" else Range(0, number - 1)


def _cased(text: str, make: Callable[[str], Piece]) -> list[Way]:
    """A phrase as it stands, or, where case must not be so, in small letters or capitals: checkers ignore case."""
    variants = dict.fromkeys((text, text.lower(), text.upper()))
    return [(make(variant),) for variant in variants if _same_but_for_case(text, variant)]


def _same_but_for_case(text: str, variant: str) -> bool:
    return bool(re.fullmatch(re.escape(text), variant, re.IGNORECASE)) and variant.lower() == text.lower()


def _words(wanted: Range, counted: WordsAs, context: Context) -> list[Way]:
    if max(wanted.low, wanted.high or 0) > MOST_WORDS:
        raise Cannot(f"it counts beyond {MOST_WORDS} words")
    if context.tokens is not None and wanted.low * TOKENS_A_WORD > context.tokens:
        raise Cannot(f"{wanted.low} words do not fit into {context.tokens} tokens")
    if wanted.high is None:
        return [(Words(wanted, "sure"),)]
    if sum(kind in WORD_KINDS for kind in context.kinds) > 1 and counted != "split":
        counted = "plain"  # so that both counts are the same, and one automaton may be the product of two
    land: list[Way] = [(Words(wanted, counted, land=True),)] if TAILED.isdisjoint(context.kinds) else []
    rough: list[Way] = [(Words(wanted, "runs"),)] if counted == "native" and not wanted.low else []
    return [*land, (Words(wanted, counted),), *rough]


def _sentences(wanted: Range, context: Context) -> list[Way]:
    if context.tokens is not None and wanted.low * TOKENS_A_SENTENCE > context.tokens:
        raise Cannot(f"{wanted.low} sentences do not fit into {context.tokens} tokens")
    return [(Sentences(wanted),)]


def _plain_word(word: str) -> bool:
    return all(part.isalnum() for part in re.split(r"[ '\-]", word)) and bool(word)


def _kept(word: str) -> str:
    word = " ".join(word.split())
    if not _plain_word(word):
        raise Cannot(f"'{word}' is no plain word")
    return word


def _keywords(words: Iterable[str], low: int = 1) -> list[Way]:
    # Where only one edge of a keyword need be one of a word, it is written with both.
    return [tuple(Occurs(_kept(w), Range(low, None), whole=any(_edges(w))) for w in words)]


def _forbidden(words: Iterable[str]) -> list[Way]:
    # What does not begin and end like a word is forbidden inside words too, where readings differ.
    return [tuple(Occurs(_steady(w), Range(0, 0), whole=_plain_word(" ".join(w.split())) and all(_edges(w)))
                  for w in words)]  # fmt: skip


def _bounded(word: str, wanted: Range) -> str:
    """The word to count; only where there may not be more of it does it matter what else is taken for it."""
    return _kept(word) if wanted.high is None else _steady(_kept(word))


def _steady(word: str) -> str:
    """The word, if the automaton's idea of case is that of the checkers' expressions: to these "I" is also "ı"."""
    others = alphabet([word], [word])
    for char in filter(str.isalpha, word):
        if set(re.findall(char, others, re.IGNORECASE)) != {other for other in others if folded(other) == folded(char)}:
            raise Cannot(f"'{char}' is taken for letters that are not its small or capital form")
    return word


def _edges(word: str) -> tuple[bool, bool]:
    """Whether checkers find the word only where it begins, and only where it ends, a word: not in scripts without
    spaces."""
    pattern = whole_word(word).pattern
    return pattern.startswith("(?<!"), pattern.endswith("])")


def _count_keyword(args: dict[str, Any], context: Context) -> list[Way]:
    wanted, edges = _range(args), _edges(args["keyword"])
    if len(set(edges)) > 1:
        raise Cannot(f"'{args['keyword']}' mixes scripts with and without spaces")
    return [(Occurs(_bounded(args["keyword"], wanted), wanted, whole=all(edges)),)]


def _frequency(args: dict[str, Any], context: Context) -> list[Way]:
    wanted = _related(args["relation"], args["frequency"])
    # The published reading counts "art" in "start": an upper bound has to count that, a lower one must not need it.
    whole = wanted.high is None and any(_edges(args["keyword"]))
    return [(Occurs(_bounded(args["keyword"], wanted), wanted, whole=whole),)]


def _starts(phrase: str, **options: Any) -> list[Way]:
    return _cased(" ".join(phrase.split()), lambda p: Begins(p, **options))


def _repeat(prompt: str) -> list[Way]:
    return _cased(prompt.strip(), lambda p: Begins(p, wrapped=False, more=True))


def _ends(phrase: str) -> list[Way]:
    return _cased(phrase.strip(), Ends)


def _case(allowed: Callable[[str], bool]) -> Rule:
    every = "".join(map(chr, range(0xD7B0)))
    return lambda args, context: [(Only(_matching(every, allowed), letters=True),)]


@lru_cache(maxsize=8)
def _matching(chars: str, allowed: Callable[[str], bool]) -> frozenset[str]:
    return frozenset(c for c in chars if allowed(c))


COMMAS = ",，、،､﹐﹑"


def _paragraphs(args: dict[str, Any], context: Context) -> list[Way]:
    wanted = _range(args)
    if args.get("separator") == "***":
        return [(Divided("***", wanted),)]
    return [(Paragraphs(wanted),)]


def _several(args: dict[str, Any], context: Context) -> list[Way]:
    count, divider = args.get("count", 2), args.get("separator", "******").strip()
    if any(c.isspace() for c in divider):
        raise Cannot("its separator holds white space")
    return _cased("Response {i}:", lambda head: Divided(divider, Range(count, count), head.replace("{I}", "{i}")))


def _options(args: dict[str, Any], context: Context) -> list[Way]:
    from adhere.constraints.content import Options

    checker = Options(options=tuple(args["options"]), exact=args.get("exact", False))
    return _one_of([o.strip() for o in args["options"]], checker)


def _one_of(options: list[str], checker: Checker) -> list[Way]:
    # An option that holds another is none that could be told from it.
    variants = [o for o in options if checker.passes(o)]
    if not variants:
        raise Cannot("no option passes by itself")
    cased = [v for o in variants for v in (o.lower(), o.upper()) if checker.passes(v)]
    return [(OneOf(variants),), *([(OneOf(cased),)] if cased else [])]


def _published_options(args: dict[str, Any], context: Context) -> list[Way]:
    from adhere.constraints.ifeval.content import OPTIONS, ConstrainedResponse

    return _one_of(list(OPTIONS), ConstrainedResponse())


def _title(args: dict[str, Any], context: Context) -> list[Way]:
    return [(Titled(first=True),), (Titled(first=False),)]


def _nth(n: int, word: str, total: int | None) -> list[Way]:
    if not word.strip().isalnum():
        raise Cannot(f"'{word}' is no plain word")
    return _cased(word.strip(), lambda w: NthParagraph(n, w, total))


def _postscript(marker: str) -> list[Way]:
    if marker.lstrip()[:1] in set(WRAPPING):  # which checkers take off a line before they look for the marker
        raise Cannot(f"'{marker}' begins with a mark that may stand before it")
    return _cased(" ".join(marker.split()), Postscript)


def _sections(marker: str, wanted: Range) -> list[Way]:
    marker = " ".join(marker.split())
    if not _plain_word(marker):
        raise Cannot(f"'{marker}' is no plain word")
    return [(Sections(marker, wanted),)]


def _ruler(args: dict[str, Any], context: Context) -> list[Way]:
    from adhere.constraints.ruler import word_range

    fits = word_range(args["target"], args.get("level", "PM"))
    return _words(Range(fits.above + 1, fits.most), "runs", context)


def _codi(args: dict[str, Any], context: Context) -> list[Way]:
    low, high = args["low"], None if args["mode"] == "at least" else args["high"]
    return [(NoLead(), *way) for way in _words(Range(low, high), "split", context)]


def _json(args: dict[str, Any], context: Context) -> list[Way]:
    return [(Json(3),), (Json(1),)]


RULES: dict[str, Rule] = {
    "words": lambda a, c: _words(_range(a), "native", c),
    "length_constraints:number_words": lambda a, c: _words(
        _related(a["relation"], a["num_words"]), "runs", c  # of the two readings the one that counts more
    ),
    "ruler:length": _ruler,
    "codi:length": _codi,
    "sentences": lambda a, c: _sentences(_range(a), c),
    "length_constraints:number_sentences": lambda a, c: _sentences(_related(a["relation"], a["num_sentences"]), c),
    "paragraphs": _paragraphs,
    "length_constraints:number_paragraphs": lambda a, c: [(Divided("***", Range(a["num_paragraphs"],
                                                                               a["num_paragraphs"])),)],
    "nth_paragraph": lambda a, c: _nth(a["n"], a["first_word"], a.get("paragraphs")),
    "length_constraints:nth_paragraph_first_word": lambda a, c: _nth(
        a["nth_paragraph"], a["first_word"], a["num_paragraphs"]
    ),
    "lines": lambda a, c: [(Lines(_range(a)),)],
    "characters": lambda a, c: [(Characters(_range(a)),)],
    "bullets": lambda a, c: [(Items("bullet", _range(a)),)],
    "detectable_format:number_bullet_lists": lambda a, c: [(Items("bullet", Range(a["num_bullets"],
                                                                                  a["num_bullets"])),)],
    "numbered": lambda a, c: [(Items("number", _range(a)),)],
    "headings": lambda a, c: [(Items("heading", _range(a)),)],
    "highlights": lambda a, c: [(Highlighted(_range(a)),)],
    "detectable_format:number_highlighted_sections": lambda a, c: [(Highlighted(Range(a["num_highlights"], None)),)],
    "placeholders": lambda a, c: [(Bracketed(_range(a)),)],
    "detectable_content:number_placeholders": lambda a, c: [(Bracketed(Range(a["num_placeholders"], None)),)],
    "sections": lambda a, c: _sections(a.get("marker", "SECTION"), _range(a)),
    "detectable_format:multiple_sections": lambda a, c: _sections(a["section_spliter"], Range(a["num_sections"], None)),
    "no_commas": lambda a, c: [(Except(COMMAS),)],
    "punctuation:no_comma": lambda a, c: [(Except(COMMAS),)],
    "without": lambda a, c: [(Except(a["characters"]),)],
    "lowercase": _case(lambda c: not (c.isupper() or c.istitle())),
    "uppercase": _case(lambda c: not c.islower()),
    "title_case": lambda a, c: [(TitleCase(),)],
    "uppercase_words": lambda a, c: [(Capitals(_range(a)),)],
    "change_case:capital_word_frequency": lambda a, c: [(Capitals(_related(a["capital_relation"],
                                                                           a["capital_frequency"])),)],
    "starts_with": lambda a, c: _starts(a["phrase"]),
    "ends_with": lambda a, c: _ends(" ".join(a["phrase"].split())),
    "startend:end_checker": lambda a, c: _ends(a["end_phrase"]),
    "quoted": lambda a, c: [(Quoted(),)],
    "startend:quotation": lambda a, c: [(Quoted(),)],
    "repeat_prompt": lambda a, c: _repeat(a["prompt"]),
    "combination:repeat_prompt": lambda a, c: _repeat(a["prompt_to_repeat"]),
    "several_responses": _several,
    "combination:two_responses": _several,
    "postscript": lambda a, c: _postscript(a.get("marker", "P.S.")),
    "detectable_content:postscript": lambda a, c: _postscript(a["postscript_marker"]),
    "options": _options,
    "detectable_format:constrained_response": _published_options,
    "title": _title,
    "detectable_format:title": _title,
    "json": _json,
    "detectable_format:json_format": _json,
    "keywords": lambda a, c: _keywords(a["keywords"]),
    "keywords:existence": lambda a, c: _keywords(a["keywords"]),
    "keyword_count": _count_keyword,
    "keywords:frequency": _frequency,
    "forbidden": lambda a, c: _forbidden(a["words"]),
    "keywords:forbidden_words": lambda a, c: _forbidden(a["forbidden_words"]),
    "letter_count": lambda a, c: [(Letters(a["letter"], _range(a)),)],
    "keywords:letter_frequency": lambda a, c: [(Letters(a["letter"], _related(a["let_relation"],
                                                                              a["let_frequency"])),)],
}  # fmt: skip
RULES["change_case:english_lowercase"] = RULES["lowercase"]
RULES["change_case:english_capital"] = RULES["uppercase"]

# Kinds of which a grammar can hold one half, and what the other is.
PARTLY = {
    "change_case:english_lowercase": "its case is held; that the language is English is not",
    "change_case:english_capital": "its case is held; that the language is English is not",
}
WORD_KINDS = frozenset({"words", "length_constraints:number_words", "ruler:length"})
# Kinds that want something at the end, so that it would be wrong to stop at the end of a sentence.
TAILED = frozenset({
    "ends_with", "startend:end_checker", "postscript", "detectable_content:postscript", "sections",
    "detectable_format:multiple_sections", "several_responses", "combination:two_responses", "paragraphs", "bullets",
    "length_constraints:number_paragraphs", "nth_paragraph", "length_constraints:nth_paragraph_first_word", "numbered",
    "detectable_format:number_bullet_lists", "keywords", "keywords:existence", "keyword_count", "keywords:frequency",
    "sentences", "length_constraints:number_sentences", "json", "detectable_format:json_format", "lines", "highlights",
    "detectable_format:number_highlighted_sections", "placeholders", "detectable_content:number_placeholders",
})  # fmt: skip
