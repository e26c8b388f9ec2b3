"""Rules for the shape of an answer: case, mark-up, JSON, tables, titles, quotation marks."""

from __future__ import annotations

import re
from collections.abc import Iterator

from adhere.constraints.plain.reading import Found, Reading

__all__ = ["RULES"]

_UPPER = r"(?:capital(?:ized)? letters?|capitals|caps|upper[- ]?cased?(?: letters?)?|block letters|block capitals)"
_LOWER = r"(?:lower[- ]?cased?(?: (?:letters?|english))?|small letters)"
_CASE = re.compile(
    rf"\b(?:(?P<none>no|without(?: any| using)?|not a single|zero|never use|do not use(?: any)?|don't use(?: any)?"
    rf"|avoid(?: any| using)?"
    rf"|not contain any|free of) )?(?:(?:all|only|entirely|fully|completely|in|the|use|using|english|letters?|are|be"
    rf"|is|must"
    rf"|should|into|with) ){{0,6}}(?:(?P<upper>{_UPPER})|(?P<lower>{_LOWER})|(?P<title>title[- ]case))\b"
    rf"(?: (?:letters? )?(?:are|is) allowed| whatsoever| only)?",
    re.IGNORECASE,
)
# "Don't write in all caps" leaves a single acronym in peace: neither case is demanded, and it is left to a judge.
_SHOUTING = re.compile(
    r"(?:\b(?:no|not|never|without|avoid)|n't)(?: \w{1,12}){0,3}? (?:all|full|entirely|only)[- ]"
    r"(?:caps|capitals|capital letters|upper[- ]?case)\b",
    re.IGNORECASE,
)
_CASE_CUE = re.compile(r"\b(?:all|only|in|every|entire|entirely|completely|fully|whole|always)\b|^", re.IGNORECASE)
_CAPITALIZE = re.compile(
    r"\bcapitali[sz]e (?:all|every|each)(?: of)?(?: (?:the|your|single)){0,12}? (?:letters?|words?|text|characters?)\b"
    r"|\b(?:all|every) (?:the )?(?:letters?|words?|characters?)(?: \w{1,12}){0,6}? (?:should|must|are|is|be"
    r"|to)(?: be)? "
    r"(?:capitali[sz]ed|uppercased?|upper-cased)\b",
    re.IGNORECASE,
)
_NO_CAPITALIZED = re.compile(
    r"\b(?:not a single|no) (?:letter|word)s?(?: \w{1,12}){0,6}? (?:is|are|be|should be|may be"
    r"|can be) capitali[sz]ed\b"
    r"|\bno capitali[sz]ations?\b|\bletters?(?: \w{1,12}){0,4}? lower-?cased\b",
    re.IGNORECASE,
)
_TITLE_WORDS = re.compile(
    r"\bcapitali[sz]e the first letter of (?:every|each) word\b"
    r"|\b(?:every|each) (?:\w{1,12} )?word (?:starts|begins|starting|beginning) with a capital(?: letter)?",
    re.IGNORECASE,
)

_MARKED_UNIT = (
    r"(?:sections?|parts?|words?|phrases?|key ?words?|passages?|portions?|terms?|ideas?|points?"
    r"|sentences?|pieces?|texts?|bits?|names?)"
)
_HIGHLIGHT = re.compile(
    r"\b(?:high-?light|italici[sz]e|bold|embolden|emphasi[sz]e)(?:s|ing|ed)?\b(?: of| the| your| in| using| with"
    r"| markdown){0,4}\s",
    re.IGNORECASE,
)
_HIGHLIGHT_SOME = re.compile(
    r"\b(?:high-?light|italici[sz]e|bold|emphasi[sz]e)(?:ing)? (?:(?:some|key|a few|several|the|important|main"
    r"|certain|or|text|words|its"
    r"|your) ){0,5}\w{2,12}",
    re.IGNORECASE,
)
_MARKED = re.compile(
    rf"\s(?:(?:text|key|different|separate|of|the|important|main) ){{0,3}}(?:(?P<style>high-?lighted|italic(?:ized"
    rf"|ised)?|bold(?:ed)?"
    rf"|emphasi[sz]ed) )?(?:text )?(?P<unit>{_MARKED_UNIT})\b",
    re.IGNORECASE,
)
_MARK_CUE = re.compile(r"\b(?:high-?light|italic|bold|emphasi[sz])", re.IGNORECASE)
_ASTERISK = re.compile(r"(?<!\*)\*(?!\*{2})|\basterisks?\b|\bmarkdown\b", re.IGNORECASE)
_TWICE = re.compile(r"\s(?:once|twice|thrice)\b", re.IGNORECASE)
_INLINE_MARK = re.compile(
    r"\b(?:text |words? |phrases? |titles? )?in (?:bold|italics?)\b(?: text| type| font)?"
    r"|\bhighlights\b",
    re.IGNORECASE,
)

_TITLE = re.compile(
    r"(?:\b(?:a |the |with |have |has |include |contain |add |its ){0,3}(?:title|name|headline)\b[^.\n]{0,60}?)?"
    r"(?:\bdouble(?:d)?[- ]ang(?:ular|led?) brackets?|<<[^<>\n]{1,60}>>)",
    re.IGNORECASE,
)
_JSON = re.compile(
    r"\b(?:a |an |one |single |valid |well-formed |proper |only |in |as |into |using |to |the |of |syntactically "
    r"|correct |raw |return |output |respond with |reply with |answer with |just ){0,5}"
    r"JSON\b(?P<after> ?(?:format|object|block|array|document|output|structure|only"
    r"|syntax)?)(?! schema)(?P<ticks> format)?",
    re.IGNORECASE,
)
# A program that returns JSON is no answer in JSON.
_PROGRAM = re.compile(
    r"\b(?:function|script|program|code|class|method|endpoint|API|parser|parse|parses|parsing|query|app|command"
    r"|tool|file"
    r"|schema|library|module|server|database|what is|difference)\b",
    re.IGNORECASE,
)
_ANSWER = re.compile(
    r"\b(?:(?:your|the|entire|whole) (?:entire |whole )?(?:answer|response|output|reply|result)|respond|reply|answer"
    r"|return only|output only|output)\b|(?:^|[.!?;:\n]\s?)(?:only )?(?:return|give)\b",
    re.IGNORECASE,
)
_JSON_CUE = re.compile(
    r"\b(?:in|as|into|valid|using|to|of|return|output|with|just|only)(?: \w{1,8})? JSON\b", re.IGNORECASE
)
_QUOTED = re.compile(
    r"\b(?:(?:wrap|put|enclos|surround|plac|us|includ|add|insid|within|in|with|between|writ|giv|answer"
    r"|respond)\w{0,4}\b[^.,\n\"]{0,80}?)?"
    r"\bdouble[- ]?(?:quot\w{1,8}|apostrophes)(?:[- ]marks?)?(?: \w{1,10}){0,3}?(?: (?:around|at the beginning"
    r"|at the start)\b)?",
    re.IGNORECASE,
)
_QUOTED_WHOLE = re.compile(
    r"\b(?:wrap|enclose|put|surround) (?:your |the |this )?(?:(?:entire|whole|full) )?(?:answer|response|reply|output"
    r"|everything|it all)(?: \w{1,10}){0,2} (?:in|with|by|inside) (?:quotes|quotation marks|speech marks)\b",
    re.IGNORECASE,
)
_QUOTED_WISH = re.compile(
    r"\b(?:wrapped|enclosed|put|wrap|surrounded|everything|all|entirely)(?: \w{1,10}){0,4} (?:in|with|by"
    r"|inside) (?:quotes|quotation marks)\b",
    re.IGNORECASE,
)

# "Words in all capital letters" are some words of the answer, "your words in all capital letters" are all of it.
_SOME_WORDS = re.compile(
    r"(?<!\ball )(?<!every )(?<!your )(?<!the )\bwords?(?: (?:or|and) phrases?)?(?: (?:that|which) are| written)?\s$",
    re.IGNORECASE,
)
_IN_BOLD = re.compile(r"(?: [\w-]{1,15}){1,4}? in (?:markdown )?(?:bold|italics?)\b", re.IGNORECASE)


def title(reading: Reading) -> Iterator[Found]:
    """A title wrapped in double angular brackets, i.e. <<title>>."""
    if match := next(reading.find(_TITLE), None):
        yield reading.found(*match.span(), "title")
        for again in reading.find(_TITLE):
            reading.take(*again.span())


def json_format(reading: Reading) -> Iterator[Found]:
    """Wrap the entire output in JSON format."""
    for match in reading.find(_JSON):
        asked = match["after"].strip() or _JSON_CUE.search(match.group()) or match.group().lower().startswith("valid")
        quoted = reading.text[match.start() - 1 : match.start()] in ("'", '"')
        if not reading.wish and _is_about_json(reading, match):
            continue
        if (asked or (reading.wish and not quoted)) and not reading.negated(match.start()):
            yield reading.found(*match.span(), "json")
            return


def quoted(reading: Reading) -> Iterator[Found]:
    """Wrap your entire response with double quotation marks."""
    for pattern in (_QUOTED, _QUOTED_WHOLE, *((_QUOTED_WISH,) if reading.wish else ())):
        for match in reading.find(pattern):
            if not reading.negated(match.start() + 1):
                yield reading.found(*match.span(), "quoted")
                return


def highlights(reading: Reading) -> Iterator[Found]:
    """Highlight at least 3 sections with markdown."""
    for verb in reading.find(_HIGHLIGHT):
        quantity = reading.at(verb.end())
        unit = _MARKED.match(reading.text, quantity.end) if quantity else None
        if quantity and unit:
            yield reading.found(
                verb.start(), unit.end(), "highlights", **_at_least(reading, quantity.args, quantity.how)
            )
    for quantity in reading.near(0, len(reading.text)):
        unit = _MARKED.match(reading.text, quantity.end)
        if not unit or not reading.free(quantity.start, unit.end()):
            continue
        _, end = reading.sentence(quantity.start, 160)
        passive = _MARK_CUE.search(reading.text, unit.end(), min(end, unit.end() + 60))
        if unit["style"] or passive or (unit["unit"].startswith("section") and _next_marks(reading, end)):
            after = passive.end() + 2 if passive and not unit["style"] else unit.end()
            yield reading.found(quantity.start, after, "highlights", **_at_least(reading, quantity.args, quantity.how))
    for quantity in reading.near(0, len(reading.text)):
        if bold := _IN_BOLD.match(reading.text, quantity.end):
            yield reading.found(quantity.start, bold.end(), "highlights", **quantity.args)
    for some in reading.find(_HIGHLIGHT_SOME):
        if any(f in some.group().lower() for f in ("highlighted", "highlights")):
            continue
        _, end = reading.sentence(some.start())
        if _ASTERISK.search(reading.text, some.end(), min(end + 120, some.end() + 200)) or _starred_before(
            reading, some.start()
        ):
            times = next((q for q in reading.near(some.end(), end, times=True)), None)
            yield reading.found(*some.span(), "highlights", at_least=times.low if times and times.low else 1)
            return
    if reading.wish:
        for mark in reading.find(_INLINE_MARK):
            yield reading.found(*mark.span(), "highlights", at_least=1)


def case(reading: Reading) -> Iterator[Found]:
    """In all capital letters; no capital letters; title case. One case an answer: the first that is named counts."""
    said: set[str] = set()
    for kind, start, end in sorted(_cases(reading), key=lambda c: c[1]):
        if not reading.free(start, end):
            continue
        if not kind or kind in said:
            reading.take(start, end)
            continue
        said.add(kind)
        yield reading.found(start, end, kind)


RULES = (title, json_format, quoted, highlights, case)


def _cases(reading: Reading) -> Iterator[tuple[str, int, int]]:
    for match in reading.find(_TITLE_WORDS):
        yield "title_case", *match.span()
    for match in reading.find(_CAPITALIZE):
        yield "uppercase", *match.span()
    for match in reading.find(_NO_CAPITALIZED):
        yield "lowercase", *match.span()
    for match in reading.find(_SHOUTING):
        yield "", *match.span()
    for match in reading.find(_CASE):
        kind = "uppercase" if match["upper"] else "lowercase" if match["lower"] else "title_case"
        if match["none"] or reading.negated(match.start(), 20):
            kind = {"uppercase": "lowercase", "lowercase": "uppercase"}.get(kind, "")
        elif not _whole_case(reading, match, kind):
            continue
        if kind:
            yield kind, *match.span()


def _whole_case(reading: Reading, match: re.Match[str], kind: str) -> bool:
    """Whether a case that is named is the case of the whole answer, and not of some words or one letter."""
    if kind == "uppercase" and match["upper"].lower().endswith("letter"):
        return False
    if kind == "uppercase" and _SOME_WORDS.search(reading.text, max(0, match.start() - 40), match.start()):
        return False
    return reading.wish or kind == "lowercase" or bool(_CASE_CUE.search(match.group()))


def _is_about_json(reading: Reading, match: re.Match[str]) -> bool:
    begin, end = reading.sentence(match.start())
    around = reading.text[begin:end]
    return bool(_PROGRAM.search(around)) and not _ANSWER.search(around)


def _at_least(reading: Reading, args: dict[str, int], how: str) -> dict[str, int]:
    """ "Highlight 3 sections" is satisfied by four: only "exactly" bars more."""
    return {"at_least": args["exactly"]} if how == "bare" and "exactly" in args else args


def _next_marks(reading: Reading, end: int) -> bool:
    """Whether the next sentence says how to highlight: "5 or more sections. Highlight each section name"."""
    return bool(re.match(r"\s?Highlight each\b", reading.text[end : end + 20], re.IGNORECASE))


def _starred_before(reading: Reading, position: int) -> bool:
    return bool(re.search(r"\basterisk symbol|\bUse \*", reading.text[max(0, position - 60) : position], re.IGNORECASE))
