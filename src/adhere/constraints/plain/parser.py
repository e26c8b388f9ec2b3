"""Runs the rules over a text, merges what belongs together, and tells what was left over."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from adhere.constraints.plain import amounts, lists, mentions, scope, shape, vocabulary, whole
from adhere.constraints.plain.reading import Found, Reading
from adhere.records import Constraint

__all__ = ["Parsed", "find_in", "parse"]

# Earlier rules take their stretch of the text away from later ones: the special before the general.
RULES: tuple[Callable[[Reading], Iterator[Found]], ...] = (
    whole.repeat_prompt,
    whole.options,
    whole.postscript,
    shape.title,
    amounts.capital_words,
    amounts.nth_paragraph,
    whole.ends_with,
    whole.starts_with,
    shape.quoted,
    shape.highlights,
    amounts.sections,
    vocabulary.letters,
    vocabulary.counted_words,
    vocabulary.keywords,
    mentions.mentioned,
    amounts.separated,
    amounts.counted,
    shape.case,
    vocabulary.characters,
    shape.json_format,
    lists.none_of,
    lists.marked,
    lists.forms,
    whole.language,
)

_FILLER_WORDS = """
    a an the and or but also of in on at to for with by be is are it its this that there as so do does please make
    sure ensure use using write written have has having contain contains containing include includes including must
    should shall will need needs give me your my you i want like would answer response reply output text entire whole
    entirely respond format formatted keep put then just only long exactly all whatsoever allowed throughout each
    separate separated any not no symbol symbols marked wrapped wrap words word markdown following from them total
    length single every other than end add name list
"""
# Words that a rule may have read without taking them; not before a constraint they mean something.
_LEADING_WORDS = """
    never nothing don't don avoid avoiding without refrain cannot can't mention mentions begin start starting beginning
    labelled labeled exclude omit
"""
_FILLER, _LEADS = frozenset(_FILLER_WORDS.split()), frozenset(_LEADING_WORDS.split())
_WORD = re.compile(r"[^\W_]+(?:['’-][^\W_]+)*")
_CLAUSES = re.compile(r"[.;:!?\n]|,(?!\d)|\s(?:and|but)\s", re.IGNORECASE)
_SENTENCES = re.compile(r"(?<=[.!?])\s|\n")
_CUE = re.compile(
    r"\b(?:must|at least|at most|exactly|no more than|less than|more than|fewer than|do not|don't|avoid|without"
    r"|only use|refrain|never|always|should|needs? to|make sure|ensure|mention|be sure|stay|keep (?:it|the|your)"
    r"|in an? [\w-]{1,15} (?:tone|style|voice)|no longer than)\b",
    re.IGNORECASE,
)
# Where the next demand of a sentence begins.
_DEMANDS = re.compile(
    r"[;:]\s|,\s(?:and |but |then )?|\s(?:and|but|then)\s(?=(?:also |please )?(?:do not|don't|never|always|avoid"
    r"|make|keep"
    r"|use|include|mention|write|end|start|stay|be|add|give|refrain|ensure)\b)",
    re.IGNORECASE,
)


class Parsed(NamedTuple):
    """What was understood.

    Attributes:
        constraints: In the order in which the text asks for them.
        unparsed: Stretches that nothing was made of. In a wish: every one with a word that carries meaning. In a
            prompt: the sentences that sound like a demand ("must", "at least", "avoid") and gave no constraint.
        spans: For each constraint, the `(start, end)` in characters of the text that asks for it.
    """

    constraints: tuple[Constraint, ...]
    unparsed: tuple[str, ...]
    spans: tuple[tuple[int, int], ...]


def parse(text: str) -> Parsed:
    """Read a wish, in which every word is about the answer, as in `adhere check "no commas, at least 3 bullets"`."""
    reading, found = _read(text, wish=True)
    return _parsed(reading, found, _left_over(reading))


def find_in(prompt: str) -> Parsed:
    """Find the constraints inside a whole prompt; what it says about the task is left alone."""
    reading, found = _read(prompt, wish=False)
    return _parsed(reading, found, _suspicious(reading))


def _read(text: str, *, wish: bool) -> tuple[Reading, list[Found]]:
    reading = Reading(text, wish=wish)
    if not wish:
        for start, end in (*scope.pasted(reading.text), *scope.conditional(reading)):
            reading.take(start, end)
    found = [one for rule in RULES for one in rule(reading)]
    return reading, _merge(sorted(found, key=lambda f: (f.start, f.end)))


def _parsed(reading: Reading, found: list[Found], unparsed: Iterable[str]) -> Parsed:
    spans = tuple((reading.origin(f.start), reading.origin(f.end)) for f in found)
    return Parsed(tuple(f.constraint for f in found), tuple(unparsed), spans)


def _merge(found: list[Found]) -> list[Found]:
    """Join two bounds on one thing, drop repetitions, and let an n-th paragraph know how many there are."""
    kept: dict[tuple[str, str], Found] = {}
    for new in found:
        counts = {k: v for k, v in new.constraint.args.items() if k in ("at_least", "at_most", "exactly")}
        rest = {k: v for k, v in new.constraint.args.items() if k not in counts}
        key = (new.constraint.kind, repr(sorted(rest.items())))
        old = kept.get(key)
        if old is None:
            kept[key] = new
        elif counts.keys() | old.constraint.args.keys() >= {"at_least", "at_most"} and len(counts) == 1:
            joined = {**counts, **old.constraint.args}
            if joined["at_least"] <= joined["at_most"]:
                kept[key] = old._replace(end=max(old.end, new.end), constraint=Constraint(key[0], joined))
    return _with_paragraph_count(list(kept.values()))


def _with_paragraph_count(found: list[Found]) -> list[Found]:
    total = next((f for f in found if f.constraint.kind == "paragraphs" and "exactly" in f.constraint.args), None)
    nth = [f for f in found if f.constraint.kind == "nth_paragraph"]
    if not total or not nth or "separator" in total.constraint.args:
        return found
    count = {"paragraphs": total.constraint.args["exactly"]}
    if any(f.constraint.args["n"] > count["paragraphs"] for f in nth):
        return found
    return [
        f._replace(constraint=Constraint("nth_paragraph", {**f.constraint.args, **count})) if f in nth else f
        for f in found
        if f is not total
    ]


def _left_over(reading: Reading) -> Iterator[str]:
    """The stretches between what was understood, cut into clauses, that hold a word which carries meaning."""
    position, last = 0, len(reading.text)
    for start, end in [*reading.taken, (last, last)]:
        clauses = _CLAUSES.split(reading.text[position:start])
        for clause in clauses:
            leads = _LEADS if clause is clauses[-1] and start < last else frozenset()
            words = [w.group().lower() for w in _WORD.finditer(clause)]
            if any(w not in _FILLER and w not in leads for w in words):
                yield clause.strip(" \"'()-")
        position = end


def _suspicious(reading: Reading) -> Iterator[str]:
    """What sounds like a demand and gave no constraint: sentences, and clauses of those that gave another one."""
    conditions = set(scope.conditional(reading))
    aside = [stretch for stretch in reading.taken if stretch not in conditions]
    position = 0
    for cut in [*(m.end() for m in _SENTENCES.finditer(reading.text)), len(reading.text)]:
        if not _overlaps(aside, position, cut):
            clauses = [(position, cut)]
        else:
            joints = [m.span() for m in _DEMANDS.finditer(reading.text, position, cut)]
            starts, ends = [position, *(end for _, end in joints)], [*(start for start, _ in joints), cut]
            clauses = [c for c in zip(starts, ends, strict=True) if not _overlaps(aside, *c)]
        for start, end in clauses:
            if _CUE.search(reading.text, start, end):
                yield reading.text[start:end].strip()
        position = cut


def _overlaps(stretches: list[tuple[int, int]], start: int, end: int) -> bool:
    """Whether one of the ordered stretches shares a character with that one."""
    index = bisect_left(stretches, (end,))
    return index > 0 and stretches[index - 1][1] > start
