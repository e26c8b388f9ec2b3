"""Rules for amounts: words, sentences, paragraphs, bullets, placeholders … and separators."""

from __future__ import annotations

import re
from collections.abc import Iterator

from adhere.constraints.plain.numbers import ORDINALS
from adhere.constraints.plain.reading import Found, Quantity, Reading
from adhere.constraints.plain.scope import of_a_part

__all__ = ["RULES"]

_CAPITAL = r"(?:all[- ])?(?:caps|capitals|capital letters|capitalized letters|upper[- ]?case(?: letters)?)"
_CAPITAL_WORDS = re.compile(
    rf"\s(?:words?|words? (?:or|and) phrases?)(?: (?:that|which))?(?: (?:in|with|of|are|is|be|should|must|the|your"
    rf"|response|output|answer"
    rf"|it|may|can|by|writing|them|written|fully|appear|using|all|have|has|to|text)){{0,8}}\s{_CAPITAL}\b"
    rf"|\s(?:all[- ]caps|capitalized|fully capitalized|upper[- ]?case|all-uppercase) words?\b",
    re.IGNORECASE,
)
_CAPITAL_WORDS_FIRST = re.compile(
    rf"\bwords? (?:in|with|of|that are|written in) (?:all )?{_CAPITAL}(?: (?:should|must|to|may|can|appear|be|occur"
    rf"|is|are"
    r"|in|your|the|response|used|show|up|for)){0,8}\s",
    re.IGNORECASE,
)
_SOME_CAPITAL_WORDS = re.compile(
    rf"\b(?:a few|some|several) words? (?:in|with|of) (?:all )?{_CAPITAL}\b", re.IGNORECASE
)

# What follows a number, in order of precedence: the noun decides the kind.
_NOUNS = (
    ("bullets", r"(?:\w{1,15} )?bullet(?:ed)?(?:[- ]?points?| items?| list items?|s)?\b"),
    (
        "numbered",
        r"(?:numbered|ordered) (?:items?|steps?|points?|entries|list items?|tips|ideas|questions|reasons|lines)\b",
    ),
    ("headings", r"(?:markdown |section )?(?:sub-?)?(?:headings?|headers?)\b"),
    ("placeholders", r"(?:\w{1,15} )?placeholders?\b(?: (?:represented by|in|wrapped in|with|using) square brackets)?"),
    ("sentences", r"(?:\w{1,15} )?sentences?\b"),
    ("paragraphs", r"(?:\w{1,15} )?paragraphs?\b"),
    ("characters", r"(?:characters?|chars?)\b"),
    ("lines", r"(?:[\w-]{1,15} )?lines?\b(?! of (?!text|verse|poetry|prose|output|plain|rhym))"),
    ("words", r"(?:\w{1,15} )?words?\b(?! (?:or phrases?|that|which|starting|beginning|in (?:all|caps|bold|italic)))"),
)
_NOUN = re.compile(r"[\s-](?:" + "|".join(f"(?P<{kind}>{noun})" for kind, noun in _NOUNS) + ")", re.IGNORECASE)
# "The number of sentences should be in the range of 40 to 60"; "keep the word count under 100".
_NOUN_FIRST = re.compile(
    r"\b(?:(?:the )?number of (?P<many>words|sentences|paragraphs|characters|lines|bullets|bullet points"
    r"|placeholders)"
    r"|(?P<count>word|sentence|paragraph|character|line) (?:count|limit))(?: (?:in (?:your|the)(?! range)|of|your"
    r"|the|entire|whole|response|answer"
    r"|output|reply|should|must|needs?|has|have|to|be|is|stay|kept|remain|limited|lie|are)){0,10}:?\s",
    re.IGNORECASE,
)
# A bare number ("5 sentences") counts in a prompt only where a verb makes it a demand on the answer.
_DEMAND = re.compile(
    r"\b(?:in|into|use|using|write|with|contains?|containing|have|has|having|be|of|includes?|including|exactly"
    r"|provide|give)"
    r"(?: (?:me|us|it|up))?\s$",
    re.IGNORECASE,
)
# A clause that is nothing but an amount is a demand too: "Write a limerick. Five lines, no title."
_CLAUSE_BEGINS = re.compile(r"(?:^|[.!?:;\n(]\s?|,\s|[-*•]\s)(?:and |but |please )?$", re.IGNORECASE)
_CLAUSE_ENDS = re.compile(r"(?: only| please| long| total| in total| overall)?(?:[.,;:!?)\n]|$)", re.IGNORECASE)
_IN_WORDS = re.compile(r"\b(?:in|be|is) (?:just )?$", re.IGNORECASE)
FEW = 20  # so many words can be counted while writing: a bare number of them is exact, a larger one approximate
_TOO_MUCH = re.compile(r" (?:is|are|would be) (?:far |way |much )?too\b", re.IGNORECASE)
_LETTER_TASK = re.compile(r"\b(?:e-?mail|letter|reply to|note to|message to|cover letter)\b", re.IGNORECASE)
# "A three-line poem" counts the lines of the whole; "a 200-word essay" only says how long it may be.
_COMPOUND = re.compile(r"-(?:sentence|line)$", re.IGNORECASE)
_BARE_IN_PROMPTS = {"bullets", "numbered", "headings", "placeholders", "paragraphs"}
_NOT_COUNTED = {"per", "first", "last", "following", "previous", "above", "next"}

_UNIT = (
    r"(?:parts?|paragraphs?|sections?|stanzas?|steps?|pieces?|versions?|poems?|jokes?|limericks?|answers?|responses?"
    r"|songs?"
    r"|alternatives?|options?|snippets?|advices?|letters?|movies?|drafts?|replies|ideas?|examples?|haikus?|verses?"
    r"|summaries"
    r"|stories|tweets|captions|outputs?|names?|titles?|suggestions?|items?|ads?|slogans?|riddles?|emails?|posts?)\b"
)
_SOME_UNIT = re.compile(rf"\s(?:\w{{1,20}} ){{0,3}}{_UNIT}", re.IGNORECASE)
_SIX = re.compile(r"(?<!\*)\*{6}(?!\*)|\b(?:6|six) (?:asterisks?|stars)\b", re.IGNORECASE)
_THREE = re.compile(
    r"(?<![*\w])\*{3}(?![*\w])|\b(?:3|three) (?:asterisks?|stars|[\"']?\*[\"']? symbols)\b", re.IGNORECASE
)
_BLANK_LINE = re.compile(
    r"\b(?:separated|divided|split)(?: from each other)? by (?:a |one )?(?:single )?(?:blank|empty) lines?\b"
    r"|\bwith (?:a |one )?(?:blank|empty) lines? between (?:them|each|the \w{1,15})\b",
    re.IGNORECASE,
)
# Of these each is one paragraph; a poem or an email may hold blank lines of its own.
_ONE_PARAGRAPH = re.compile(
    r"\s(?:\w{1,20} ){0,2}(?:paragraphs|tweets|captions|headlines|slogans|taglines|titles|jokes|sentences|lines"
    r"|one-liners"
    r"|quotes|riddles|blurbs|haikus|couplets)\b",
    re.IGNORECASE,
)
_PAIR = re.compile(r"\bseparat\w{1,5} [^.\n]{1,60}? and [^.\n]{1,60}?\b(?:by|with|using)\b", re.IGNORECASE)
_DIVIDER_LINE = re.compile(r"\n(?:\*{3}|\[?\*{3}\]?)(?=\n)")
_LABELLED = re.compile(r"[\"'(\[]?\b(?P<marker>[A-Z][A-Za-z]{2,20})\s(?:\[?[XN#]\]?|\{X\}|<X>|1|I|A)[\"')\]]?(?![\w-])")
_NUMBERED_LABEL = re.compile(r"\b(?P<marker>[A-Z][A-Za-z]{2,20}) (?P<n>\d{1,2})\b")
_SECTIONS = re.compile(
    r"[\s-](?:\w{1,15} ){0,2}(?:sections?|parts|paragraphs?|chapters|scenes|days|stanzas|acts|advertisements?)\b",
    re.IGNORECASE,
)
_LABEL_CUE = re.compile(
    r"\b(?:mark|label|start|begin|noted|indicat|titled|named|denot|preced|headed|called)\w{0,8}\b", re.IGNORECASE
)
_NTH = re.compile(
    rf"\b(?:(?P<word>{'|'.join(ORDINALS)})|(?P<digit>\d{{1,2}})(?:st|nd|rd|th)) paragraph\b"
    rf"|\bparagraph (?P<number>\d{{1,2}})\b",
    re.IGNORECASE,
)
_NTH_STARTS = re.compile(
    r"(?: (?:of|your|the|response|answer|must|should|needs?|has|have|to|will|that)){0,12}?"
    r" (?:start|begin)(?:s|ning|ing)?"
    r" with(?: the)?(?: (?:exact|single|first))? ?(?:word)?:?\s?[\"']?(?P<first>[^\W_][\w'-]{0,39})",
    re.IGNORECASE,
)
_IS = re.compile(r"\s?(?:must|should|has to) be(?: the word)?:?\s[\"']?(?P<first>[^\W_][\w'-]{0,39})", re.IGNORECASE)
_STARTS_NTH = re.compile(r"\s?with(?: the)?(?: word)?:?\s[\"']?(?P<first>[^\W_][\w'-]{0,39})", re.IGNORECASE)


_NO_CAPITAL_WORDS = re.compile(
    r"\b(?:no|without|avoid|don't use|do not use|never use)(?: any)? (?:words? (?:entirely |completely |fully "
    r"|written |put )?"
    rf"(?:in |with )(?:all )?{_CAPITAL}|(?:all[- ]caps|fully capitali[sz]ed|all[- ]capitals?|all-uppercase) words)\b",
    re.IGNORECASE,
)


def capital_words(reading: Reading) -> Iterator[Found]:
    """At least 3 words in all capital letters."""
    for none in reading.find(_NO_CAPITAL_WORDS):
        yield reading.found(*none.span(), "uppercase_words", exactly=0)
    for quantity in reading.near(0, len(reading.text)):
        if noun := _CAPITAL_WORDS.match(reading.text, quantity.end):
            yield reading.found(quantity.start, noun.end(), "uppercase_words", **quantity.args)
    for noun in reading.find(_CAPITAL_WORDS_FIRST):
        if quantity := reading.at(noun.end()):
            yield reading.found(noun.start(), quantity.end, "uppercase_words", **quantity.args)
    for some in reading.find(_SOME_CAPITAL_WORDS):
        yield reading.found(*some.span(), "uppercase_words", at_least=1)


def nth_paragraph(reading: Reading) -> Iterator[Found]:
    """The second paragraph must start with "president"."""
    for which in reading.find(_NTH):
        n = int(which["digit"] or which["number"] or ORDINALS[(which["word"] or "first").lower()])
        before = reading.text[max(0, which.start() - 20) : which.start()].lower()
        begins = _NTH_STARTS.match(reading.text, which.end())
        if not begins and before.endswith(("first word of ", "first word of the ")):
            begins = _IS.match(reading.text, which.end())
        if not begins and re.search(r"\b(?:start|begin) (?:the |your )?(?:very )?$", before):
            begins = _STARTS_NTH.match(reading.text, which.end())
        if begins and n:
            yield reading.found(
                which.start(), begins.end(), "nth_paragraph", n=n, first_word=begins["first"].strip("'-")
            )


def separated(reading: Reading) -> Iterator[Found]:
    """Parts separated by ***, and several responses separated by six asterisks."""
    for blank in reading.find(_BLANK_LINE):
        counted = [
            q for q in reading.near(blank.start() - 200, blank.start()) if _ONE_PARAGRAPH.match(reading.text, q.end)
        ]
        if len(counted) == 1 and counted[0].how != "about":
            reading.take(counted[0].start, counted[0].end)
            yield reading.found(*blank.span(), "paragraphs", **counted[0].args)
            break
    if six := next(reading.find(_SIX), None):
        quantity = _units_before(reading, six.start())
        count = {"count": quantity.low} if quantity and quantity.low and quantity.low > 2 else {}
        start = _from_units(reading, quantity, six.start())
        yield reading.found(start, six.end(), "several_responses", **count)
    elif three := next(reading.find(_THREE), None):
        quantity = _units_before(reading, three.start())
        args = quantity.args if quantity else _count_dividers(reading, three)
        if args:
            start = _from_units(reading, quantity, three.start())
            yield reading.found(start, three.end(), "paragraphs", separator="***", **args)


def sections(reading: Reading) -> Iterator[Found]:
    """4 sections, each marked with SECTION X."""
    highest: dict[str, int] = {}
    for numbered in _NUMBERED_LABEL.finditer(reading.text):
        highest[numbered["marker"]] = max(int(numbered["n"]), highest.get(numbered["marker"], 0))
    for label in reading.find(_LABELLED):
        begin, end = reading.sentence(label.start())
        nouns = [(q, m) for q in reading.near(begin - 200, end) if (m := _SECTIONS.match(reading.text, q.end))]
        cued = _LABEL_CUE.search(reading.text, max(0, label.start() - 120), label.start())
        nouns = [(q, m) for q, m in nouns if cued or "section" in m.group().lower()]
        if highest.get(label["marker"], 0) > 1 and (cued or nouns):
            for quantity, noun in nouns:
                reading.take(quantity.start, noun.end())
            yield reading.found(*label.span(), "sections", marker=label["marker"], exactly=highest[label["marker"]])
            return
        if nouns:
            quantity, noun = min(nouns, key=lambda pair: abs(pair[0].start - label.start()))
            reading.take(quantity.start, noun.end())
            yield reading.found(*label.span(), "sections", marker=label["marker"], **quantity.args)
            return


def counted(reading: Reading) -> Iterator[Found]:
    """At least 300 words, exactly 3 paragraphs, fewer than 5 bullets, 10 placeholders."""
    letter = _LETTER_TASK.search(reading.text)
    for quantity in reading.near(0, len(reading.text)):
        noun = _NOUN.match(reading.text, quantity.end)
        if not noun or not reading.free(quantity.start, noun.end()):
            continue
        kind = noun.lastgroup or ""
        quantity = quantity._replace(end=noun.end()).bounded(reading.text)
        within = letter is not None and letter.end() <= quantity.start
        if _NOT_COUNTED & set(noun.group().lower().split()) or not _claimed(reading, quantity, kind, letter=within):
            continue
        if kind == "words" and quantity.how == "bare" and not reading.wish and (quantity.low or 0) > FEW:
            quantity = quantity.roughly()
        yield reading.found(quantity.start, quantity.end, kind, **quantity.args)
    for noun in reading.find(_NOUN_FIRST):
        if (quantity := reading.at(noun.end())) and not of_a_part(reading.text, noun.start(), quantity.end):
            if quantity.how == "bare" and "limit" in noun.group().lower():
                quantity = quantity._replace(low=None, how="bound")
            kind = (noun["many"] or f"{noun['count']}s").lower().replace("bullet points", "bullets")
            yield reading.found(noun.start(), quantity.end, kind, **quantity.args)


RULES = (capital_words, nth_paragraph, sections, separated, counted)


def _claimed(reading: Reading, quantity: Quantity, kind: str, *, letter: bool) -> bool:
    """Whether a number is a demand on the answer. In a wish it is; in a prompt "a 200 word essay" is a description.

    `letter` tells whether a letter was asked for before.
    """
    if of_a_part(reading.text, quantity.start, quantity.end) or _only_named(reading, quantity):
        return False
    if reading.wish or quantity.how in ("bound", "exactly"):
        return True
    if quantity.how == "about":
        return not reading.text.startswith(("some", "Some"), quantity.start)
    if kind in _BARE_IN_PROMPTS:
        # A letter's greeting and closing are paragraphs of their own, which nobody counts who wants two of them.
        return kind != "paragraphs" or not letter
    before = reading.text[max(0, quantity.start - 16) : quantity.start]
    clause_ends = bool(_CLAUSE_ENDS.match(reading.text, quantity.end))
    if clause_ends and kind != "characters" and _CLAUSE_BEGINS.search(before):
        return True
    if kind == "words":
        return clause_ends and bool(_IN_WORDS.search(before))
    demanded = _DEMAND.search(reading.text, max(0, quantity.start - 16), quantity.start)
    compound = _COMPOUND.search(reading.text, quantity.start, quantity.end)
    return kind in ("sentences", "lines") and bool(demanded or compound)


def _only_named(reading: Reading, quantity: Quantity) -> bool:
    """Whether an amount is spoken of and not asked for: "what 'at least 300 words' means", "over 90 is too long"."""
    text = reading.text
    in_quotes = text[max(0, quantity.start - 1) : quantity.start] == "'" == text[quantity.end : quantity.end + 1]
    begin, _ = reading.sentence(quantity.start)
    asked = text[begin : begin + 12].strip().lower().startswith(("how many", "how much"))
    return reading.quoted(quantity.start) or in_quotes or asked or bool(_TOO_MUCH.match(text, quantity.end))


def _units_before(reading: Reading, position: int) -> Quantity | None:
    """The last "exactly 3 parts" in the 250 characters before a separator is mentioned."""
    found = None
    for quantity in reading.near(position - 250, position):
        if (unit := _SOME_UNIT.match(reading.text, quantity.end)) and unit.end() <= position:
            found = quantity
    return found


def _from_units(reading: Reading, quantity: Quantity | None, separator: int) -> int:
    """Where the demand begins: at "3 parts" where nothing else lies between, else at the separator."""
    if quantity is None:
        return separator
    if reading.free(quantity.start, separator) and not re.search(r"[.\n]", reading.text[quantity.end : separator]):
        return quantity.start
    unit = _SOME_UNIT.match(reading.text, quantity.end)
    reading.take(quantity.start, unit.end() if unit else quantity.end)
    return separator


def _count_dividers(reading: Reading, three: re.Match[str]) -> dict[str, int]:
    """Without a number: "separate A and B by ***" makes two parts; an example's own *** lines show how many."""
    start, _ = reading.sentence(three.start())
    if _PAIR.search(reading.text, start, three.start()):
        return {"exactly": 2}
    lines = sum(1 for _ in _DIVIDER_LINE.finditer(reading.text))
    return {"exactly": lines + 1} if lines else {}
