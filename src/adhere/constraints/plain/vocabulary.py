"""Rules for words and letters: keywords present, absent or counted, letters counted, characters banned."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from adhere.constraints.plain.reading import Found, Quantity, Reading
from adhere.records import Constraint

__all__ = ["RULES", "count_each", "read_list", "tail_count"]

_HEAD = re.compile(
    r"\b(?:(?:the|these|this|those|any|following|all|negative|both|exact|specific|important|of|key|two|three|four"
    r"|five|certain) )"
    r"{0,4}(?:(?:key ?words?|key ?phrases?|words?|terms?|phrases?|expressions?|strings?|hash ?tags?|sentences?"
    r"|lines?)"
    r"|(?:the|these) names?)\b(?P<plus>(?: (?:in"
    r"|throughout) (?:your|the) (?:response|answer|text))?"
    r"(?: such as| like)?)(?P<colon>:?)\s",
    re.IGNORECASE,
)
# "The sentence structure", "each line": these name a word to use only where one is quoted.
_QUOTED_ONLY = re.compile(r"\b(?:lines?|expressions?|strings?|sentences?|hash ?tags?)\b", re.IGNORECASE)
# "He used to say 'cheese'" tells of somebody else.
_SOMEBODY = re.compile(r"\b(?:I|he|she|they|we|who|used(?: to)?|how(?: to)?|why|did)(?: \w{1,12})?\s$")
_VERB = re.compile(
    r"\b(?:includ\w{1,3}|contain\w{0,3}|us(?:e|es|ing|ed)|mention\w{0,4}|incorporat\w{1,3}|has|have|having|add|with"
    r"|insert|feature|"
    r"featuring|keywords?|work in|say(?:ing)?|exclud\w{1,3}|avoid\w{0,3}|without|no|not|omit\w{0,4}|leav\w{1,3} out"
    r"|ban\w{0,4}|featur\w{1,3}|weav\w{1,3}|slip\w{0,4}|squeez\w{1,3}|sneak|(?:want|like) to see|skip"
    r"|ditch|steer|stay away|"
    r"forbid\w{0,3}|forbidden|refer to|weave in|needs?|neither|never)\b",
    re.IGNORECASE,
)
_BANS = re.compile(
    r"\b(?:exclud\w{1,3}|avoid\w{0,3}|without|no|omit\w{0,4}|leav\w{1,3} out|ban(?:ned|s|ning)?|forbid\w{0,4}"
    r"|forbidden|not|never"
    r"|neither|none|refrain\w{0,3}|cannot|skip|ditch|steer clear|stay away|leave out|minus|w/o"
    r"|(?:do|does|should|must|ca)nt)\b|n't\b",
    re.IGNORECASE,
)
_NEW_DEMAND = re.compile(
    r"[.;!?\n]|\bbut\b|\b(?:don't|do not|never) forget(?: to)?\b"
    r"|(?:,| and)\s(?=(?:and |also |please ){0,3}(?:make|ensure|includ|use|using|mention|add|have|contain|do"
    r"|don't|avoid"
    r"|the (?:key ?)?words?\b|the phrases?\b))",
    re.IGNORECASE,
)
# 'No other words after the word "with"' says where the answer ends; "the meaning of the word x" is the task.
_ASIDE = re.compile(
    r"\b(?:other|after|before|meanings? of|mean by|instead of|rather than|synonyms? (?:of|for)|rhym\w{1,4} with"
    r"|(?<!words )(?<!terms )(?<!phrases )like"
    r"|defin\w{1,6}(?: of)?|spell|origin of|etymology of|replac\w{1,3}|translat\w{1,4}|pronounce"
    r"|difference between|history of|made of)(?: the)?(?: (?:words?|terms?|phrases?))?\s$"
    r"|\b(?:start|begin|end)\w{0,5} with(?: (?:the|this|these))?(?: (?:words?|terms?|phrases?|sentences?"
    r"|lines?))?:?\s$",
    re.IGNORECASE,
)
_NOT_MENTIONED = re.compile(
    r"\b(?:do not|don't|never|without) (?:mention|say)(?:ing)? (?=[\w'-]{1,30}(?:(?:,| and| or|, and"
    r"|, or) [\w'-]{1,30}){0,5}"
    r" (?:in|throughout|anywhere)\b)",
    re.IGNORECASE,
)
_BARE_MENTION = re.compile(
    r"\b(?:(?P<no>(?:do not|don't|never|without|avoid|no|refrain from)(?: (?:use|using|mention|mentioning"
    r"|include|including"
    r"|say|saying|write|writing))?)"
    r"|(?:please |and |, |must |should |to )?(?:mentions?|includes?|exclud(?:e|es|ing)|uses?|using|contain"
    r"|contains|containing|including|features?|featuring|incorporat(?:e|es|ing)|add|adding|insert|work in"
    r"|weave in|slip in"
    r"|throw in|say"
    r"|mentioning))"
    r"\s(?=[\"'])",
    re.IGNORECASE,
)
_TIMES_WORD = re.compile(r"\s?\(?times?\b|\s?x\b", re.IGNORECASE)
_GLUE = re.compile(
    r"(?: (?:should|must|shall|will|needs?|has|have|to|is|be|are|it|in|your|the|entire|response|answer|output|text"
    r"|story|total"
    r"|of|for|appears?|appearing|shows?|showing|up|occurs?|occurring|used|mentioned|included|repeated|present"
    r"|found|written"
    r"|throughout|whole|reply|essay|poem|email|article|anywhere)){0,12}\s",
    re.IGNORECASE,
)
_OCCURRENCES = re.compile(
    r"\s(?:(?:occurrences?|instances?|mentions?|uses?|repetitions?"
    r"|times?)(?: of)?(?: the)?(?: (?:key)?word)?\s)(?=[\"']?\w)",
    re.IGNORECASE,
)
_SUBJECT_QUOTED = re.compile(
    r"[\"'](?P<word>[^\"'\n]{1,40})[\"'](?= (?:should|must|has to|needs to|appear|show|occur|at least|exactly"
    r"|\w{2,10} than))",
    re.IGNORECASE,
)
_SUBJECT_LIST = re.compile(r"\b(?:make sure|ensure)(?: that)?\s(?=[\"'])", re.IGNORECASE)
_APPEAR = re.compile(
    r" (?:all |both )?(?:appears?|occurs?|are (?:used|mentioned|included))\b(?! (?:at|exactly|\d))", re.IGNORECASE
)
_LETTER = re.compile(
    r"\b(?:the )?(?:letter|character|symbol)s? [\"'(]?(?P<letter>[^\s\"'])[\"')]?(?!\w)", re.IGNORECASE
)
_ITEM = re.compile(
    r"\s?(?:\"(?P<double>[^\"\n]{1,60})\"|'(?P<single>[^'\n]{1,60}?)'(?!\w)|(?P<bare>[^\W_][\w-]{0,40}(?:'\w{1,3})?))"
)
_SEPARATOR = re.compile(
    r"[\s\]]?(?:,|;|/|&|\s(?:and|or|nor)\b)(?:\s?(?:and|or|nor)\b)?(?: the word)?\s?(?=[\"'\w])", re.IGNORECASE
)
# A bare word after "and" that opens a new demand instead of being one more keyword.
_OPENING_WORDS = """
    a an the and or to be is are at in on of for with your you it its this that these those make made makes use using
    do don not no never write put include avoid also then please ensure keep must should has have contain add all
    exactly only less more fewer wrap end finish start respond reply give between highlight mention refrain
"""
_NOT_ITEMS = frozenset(_OPENING_WORDS.split())
_HAS_WORD = re.compile(r"\w")
_LIST_ENDS = re.compile(
    r"\s?(?:[.!?;:)\]\n,]|$|(?:in|throughout|anywhere|somewhere|at|for|should|must|need|appear|each|within|into"
    r"|while|as|when)\b)"
)

_NEVER = re.compile(r" (?:must|should|may|can)(?: not|not| never) (?:be used|occur|appear)\b", re.IGNORECASE)

CHARACTERS = {
    "comma": ",", "exclamation mark": "!", "exclamation point": "!", "question mark": "?", "semicolon": ";",
    "semi-colon": ";", "colon": ":", "hyphen": "-", "period": ".", "full stop": ".", "asterisk": "*",
    "digit": "0123456789", "numeral": "0123456789", "quotation mark": '"', "double quote": '"', "apostrophe": "'",
    "parenthese": "()", "parenthesis": "()", "parentheses": "()", "bracket": "()[]{}", "em dash": "—",
    "em dashe": "—", "dash": "-–—", "dashe": "-–—", "hashtag": "#", "ampersand": "&", "underscore": "_", "slash": "/",
    "slashe": "/", "at sign": "@", "exclamation": "!", "en dash": "–", "en dashe": "–", "em-dash": "—", "em-dashe": "—",
    "speech mark": '"', "percent sign": "%", "dollar sign": "$", "ellipse": "…", "punctuation": ",.;:!?",
    "punctuation mark": ",.;:!?",
}  # fmt: skip
_NAMES = "|".join(sorted(CHARACTERS, key=len, reverse=True))
_CHARACTER = re.compile(
    rf"\b(?:any |a single |single |the |use of |of )?(?P<name>{_NAMES})(?:s|\b)(?: symbols?)?"
    rf"(?:(?: or| and|,) (?:any )?(?P<other>{_NAMES})s?\b)?",
    re.IGNORECASE,
)
_NOT_ALLOWED = re.compile(
    r"(?: (?:is|are|at|all|should|must|may|can|to|be)){0,12}? (?:not|n't|never|forbidden|prohibited|banned|disallowed"
    r"|avoided)\b",
    re.IGNORECASE,
)
_NO = re.compile(r"\b(?:no|without|free (?:of|from)|zero|omit|exclude|skip|avoid)(?: \w{1,10})?\s$", re.IGNORECASE)
_FREE = re.compile(r"[- ]free\b", re.IGNORECASE)


class Items(NamedTuple):
    """A list of words in the text, where it ends, and whether each was in quotation marks."""

    words: tuple[str, ...]
    end: int
    quoted: bool


def read_list(text: str, position: int, *, several: bool) -> Items:
    """Read `"a", "b" and c` from `position` on.

    Args:
        text: The text.
        position: Where the first item begins.
        several: Whether bare words may go on after "and"; "the word land and make it rhyme" names one word.
    """
    words: list[str] = []
    end, quoted = position, False
    if text[position : position + 1] == "[":
        position += 1
    while match := _ITEM.match(text, position):
        bare = match["bare"]
        if bare and words and (quoted or bare.lower() in _NOT_ITEMS or not (several or _ends(text, match.end()))):
            break
        if bare and words and bare.isdecimal() and not _ends(text, match.end()):
            break
        if bare and not words and bare.lower() in _NOT_ITEMS - {"no", "less", "more", "use", "make"}:
            break
        quoted = quoted or not bare
        words.append((match["double"] or match["single"] or bare).strip(" ,."))
        end = match.end()
        separator = _SEPARATOR.match(text, end)
        if not separator or len(words) == 100:
            break
        position = separator.end()
    return Items(tuple(w for w in words if _HAS_WORD.search(w)), end, quoted)


def letters(reading: Reading) -> Iterator[Found]:
    """The letter q at least 3 times; no letter e."""
    for letter in reading.find(_LETTER):
        tail = tail_count(reading, letter.end())
        if tail:
            yield reading.found(letter.start(), tail.end, "letter_count", letter=letter["letter"].lower(), **tail.args)
        elif quantity := _quantity_before(reading, letter.start()):
            yield reading.found(
                quantity.start, letter.end(), "letter_count", letter=letter["letter"].lower(), **quantity.args
            )
        elif reading.negated(letter.start()) or _NEVER.match(reading.text, letter.end()):
            yield reading.found(*letter.span(), "letter_count", letter=letter["letter"].lower(), exactly=0)


def keywords(reading: Reading) -> Iterator[Found]:
    """Include the keywords a and b; the word c at least twice; do not use the words d or e."""
    for head in reading.find(_HEAD):
        several = bool(re.search(r"words\b|terms\b|phrases\b|names\b", head.group(), re.IGNORECASE))
        items = read_list(reading.text, head.end(), several=several or bool(head["colon"]))
        if not items.words or not reading.free(head.start(), items.end):
            continue
        if items.quoted or not _QUOTED_ONLY.search(head.group()):
            yield from _judge(reading, head, items)
    for bare in reading.find(_BARE_MENTION):
        items = read_list(reading.text, bare.end(), several=False)
        told = _SOMEBODY.search(reading.text, max(0, bare.start() - 30), bare.start())
        if items.words and items.quoted and not told and reading.free(bare.start(), items.end):
            yield from _judge(reading, bare, items)
    for ban in reading.find(_NOT_MENTIONED):
        items = read_list(reading.text, ban.end(), several=True)
        if items.words and reading.free(ban.start(), items.end):
            yield reading.found(ban.start(), items.end, "forbidden", words=list(items.words))


def counted_words(reading: Reading) -> Iterator[Found]:
    """At least 3 mentions of "cat"; "cat" should appear twice."""
    for quantity in list(reading.quantities.values()):
        if (of := _OCCURRENCES.match(reading.text, quantity.end)) and reading.free(quantity.start, of.end()):
            items = read_list(reading.text, of.end(), several=False)
            if items.words and (items.quoted or "word" in of.group()):
                yield from count_each(reading, quantity.start, items.end, items.words, quantity)
    for lead in reading.find(_SUBJECT_LIST):
        items = read_list(reading.text, lead.end(), several=False)
        if items.quoted and _APPEAR.match(reading.text, items.end) and reading.free(lead.start(), items.end):
            yield reading.found(lead.start(), items.end, "keywords", keywords=list(dict.fromkeys(items.words)))
    for subject in reading.find(_SUBJECT_QUOTED):
        tail = tail_count(reading, subject.end())
        if tail and reading.free(subject.start(), tail.end):
            yield reading.found(subject.start(), tail.end, "keyword_count", keyword=subject["word"], **tail.args)


def characters(reading: Reading) -> Iterator[Found]:
    """No commas; without exclamation marks; 6 or more exclamation marks."""
    for name in reading.find(_CHARACTER):
        quantity = _quantity_before(reading, name.start())
        banned = "".join(CHARACTERS[name[g].lower()] for g in ("name", "other") if name[g])
        if quantity and quantity.how != "bare" and len(banned) == 1:
            yield reading.found(quantity.start, name.end(), "letter_count", letter=banned, **quantity.args)
            continue
        after = _NOT_ALLOWED.match(reading.text, name.end()) or _FREE.match(reading.text, name.end())
        no = _NO.search(reading.text, max(0, name.start() - 24), name.start())
        if after or no or reading.negated(name.start()):
            start, end = no.start() if no else name.start(), after.end() if after else name.end()
            if banned == ",":
                yield reading.found(start, end, "no_commas")
            else:
                yield reading.found(start, end, "without", characters=banned)


RULES = (letters, counted_words, keywords, characters)


def _judge(reading: Reading, head: re.Match[str], items: Items) -> Iterator[Found]:
    """Whether a list of words is wanted, unwanted or counted, by what stands before and after it."""
    if tail := tail_count(reading, items.end):
        yield from count_each(reading, head.start(), tail.end, items.words, tail)
        return
    if not items.quoted and _quantity_before(reading, head.start()):
        return  # "200 words about cats"
    before = reading.text[max(0, head.start() - 70) : head.end()]
    clause = before[max((m.end() for m in _NEW_DEMAND.finditer(before)), default=0) :]
    if _ASIDE.search(clause):
        return
    wanted = _VERB.search(before[max((m.end() for m in re.finditer(r"[.;!?\n]", before)), default=0) :])
    asked = re.match(
        r" (?:(?:should|must|shall|may|can|(?:has|have|need|needs) to)(?P<no> not| never|n't)? (?:be )?\w{2,12}"
        r"|(?P<banned>cannot \w|(?:is|are) (?:banned|forbidden|prohibited|not allowed|taboo|off[- ]limits"
        r"|out of bounds))"
        r"|(?:is|are) (?:required|mandatory|compulsory|a must))",
        reading.text[items.end : items.end + 60],
        re.IGNORECASE,
    )
    if not wanted and not asked:
        return
    allowed = asked and re.match(r" (?:may|can) (?!not|never)", asked.group())
    if allowed:
        return
    banned = bool(asked["no"] or asked["banned"] if asked else _BANS.search(clause))
    kind, name = ("forbidden", "words") if banned else ("keywords", "keywords")
    yield reading.found(head.start(), items.end, kind, **{name: list(dict.fromkeys(items.words))})


def count_each(reading: Reading, start: int, end: int, words: Sequence[str], quantity: Quantity) -> Iterator[Found]:
    """One constraint for each word; they share the stretch."""
    yield reading.found(start, end, "keyword_count", keyword=words[0], **quantity.args)
    for word in words[1:]:
        yield Found(start, end, Constraint("keyword_count", {"keyword": word, **quantity.args}))


def tail_count(reading: Reading, position: int) -> Quantity | None:
    """The "should appear at least 3 times" after a word; the word "times" may be missing only after "twice"."""
    glue = _GLUE.match(reading.text, position)
    quantity = reading.at(glue.end()) if glue else None
    if not quantity:
        return None
    times = _TIMES_WORD.match(reading.text, quantity.end)
    if not times and not quantity.times:
        return None
    return quantity._replace(end=times.end() if times else quantity.end)


def _quantity_before(reading: Reading, position: int) -> Quantity | None:
    """The number that stands right before: "6 or more | exclamation marks"."""
    near = reading.near(position - 60, position)
    return near[-1] if near and near[-1].end == position - 1 else None


def _ends(text: str, position: int) -> bool:
    return bool(_LIST_ENDS.match(text, position))
