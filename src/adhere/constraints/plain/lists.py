"""Rules for lists and the like: numbered lists, bullet points, headings, tables, code blocks, and none of them."""

from __future__ import annotations

import re
from collections.abc import Iterator

from adhere.constraints.plain.reading import Found, Quantity, Reading

__all__ = ["forms", "marked", "none_of"]

_NAMED = (
    r"(?P<kind>bullet(?:ed)?(?:[- ]?points?| list(?: items?)?| items?|s)?\b|bulletpoints?\b|dot points?\b"
    r"|(?:numbered|ordered|enumerated) (?:lists?|steps|points|items|bullets)\b|(?:sub-?)?headings\b"
    r"|(?:square )?(?:bracketed )?placeholders\b)"
)
_FORM = re.compile(rf"\b{_NAMED}", re.IGNORECASE)
# "A numbered list of 5", "bullet points: 3".
_COUNTED = re.compile(
    rf"\b{_NAMED}(?: \([^()\n]{{1,20}}\))?:?(?: (?:of|with|that has|containing|in|exactly)(?= ))?\s", re.IGNORECASE
)
_AFTER_COUNT = re.compile(
    r"[\s-](?:bullet(?:ed)?|numbered|items?|points?|steps?|entries|things|lines?|tips|ideas|ones)\b", re.I
)
# "Exactly four houseplants that need little light, as bullet points"
_AS_LIST = re.compile(
    r"(?: [\w'-]{1,20}){1,8},? (?:as|in|in the form of)(?: an?| markdown){0,2} "
    r"(?P<kind>bullet(?:ed)?(?: points?| list|s)|numbered list|ordered list)\b",
    re.IGNORECASE,
)
# A form that is asked for: "as a numbered list", "use bullet points"; or a fragment: "Numbered list, no preamble."
_ASKED = re.compile(
    r"(?:\b(?P<verb>as|in|into|using|use|with|give me|gimme|write|want|prefer|provide|format(?:ted)?(?: it| this"
    r"| them)? (?:as|in)"
    r"|list(?: them| it| these)? (?:as|in|with)|organi[sz]ed? (?:as|in|into|with)|answer (?:in|with|as)|under)"
    r"(?: an?| the| some| short| clear| simple| concise| brief| markdown| plain| neat| nice){0,3}\s"
    r"|(?:^|[.!?:;\n(]\s?|,\s)(?:an? |please,? )?)$",
    re.IGNORECASE,
)
# "Why do people use bullet points?"
_WONDERED = re.compile(
    r"\s?(?:why\b|how\b(?! about)|(?:should|do|does|did) (?:I|we|they|people|you|he|she|it)\b)[^,;:\n]{0,60}"
    r"\b(?:use|want|prefer|write|provide) (?:[a-z]{1,6} ){0,2}$",
    re.IGNORECASE,
)
# "Suggest three questions for … . Numbered list." But where each thing has parts, the list may have more items.
_THINGS = re.compile(
    r"(?:^|[.!?\n]\s?)(?:please |can you |could you )?(?:give|suggest|list|name|recommend|propose|provide|tell"
    r"|share|come up with"
    r"|brainstorm|show)(?: me| us)?\s",
    re.IGNORECASE,
)
_PLURAL = re.compile(r"(?: [\w-]{1,15}){0,2}? [a-z]{2,15}s\b")
_PARTS = re.compile(r"\b(?:and|with|each|their|its|including)\b", re.IGNORECASE)
_FRAGMENT_ENDS = re.compile(r"(?: (?:only|please|format|form))?(?:[.,;:!?)\n]|$)", re.IGNORECASE)
_NO = re.compile(
    r"\b(?:no|zero|without(?: any| using)?|avoid(?: using)?|skip(?: the)?|not? in|(?:do not|don't|never) (?:use"
    r"|write|give|include"
    r"|add|make|put)(?: me| it in| it as)?|not use(?: any)?|instead of|rather than|not as|free of|drop the"
    r"|leave out(?: the)?"
    r"|nor|(?:no|not|don't use|avoid|without) [\w ]{1,20}(?:,| or| and))"
    r"(?: any| an?| the| markdown| more){0,3}\s$",
    re.IGNORECASE,
)
_NONE_OF = re.compile(
    rf"\b(?:{_NAMED}|(?P<lists>(?:bullets? or numbered |numbered or bulleted )?lists?\b)|(?P<bold>bold(?:face"
    rf"|ing)?(?: text"
    r"| type| formatting)?|italics|highlighting|(?:double )?asterisks for emphasis)\b"
    r"|(?P<heads>(?:section |markdown )?(?:sub-?)?head(?:ing|er)s?|section titles)\b"
    r"|(?P<markdown>markdown(?: formatting| syntax| format| mark-?up)?)\b(?! (?:table|list|head|bullet|code|bold"
    r"|link)))",
    re.IGNORECASE,
)
_PLAIN_TEXT = re.compile(
    r"\b(?:in|as|use|only|write|output|return) plain[- ]text(?: only)?\b|\bplain[- ]text only\b", re.I
)
_NUMBER_THEM = re.compile(
    r"(?:^|[.!?:;,\n]\s?|\band |\bplease )number (?:the|your|each|every|all)(?: the| of the)? (?:steps?|items?"
    r"|points?|ideas|tips"
    r"|questions|reasons|lines|options|suggestions|entries)\b|\bnumber them\b|(?:^"
    r"|[,;:.\n(]\s?)numbered(?=[,.;:!?)\n]|$)",
    re.IGNORECASE,
)

_TABLE = re.compile(
    r"\b(?:(?:as|in|into|with|using|use|make|include|add|want|provide|give me|draw|present)(?: it| this| them"
    r"| the \w{1,12})?"
    r"(?: (?:in|as|into))?(?: me)? an? (?:[\w-]{1,15} ){0,2}table\b(?! of contents)(?: format| form)?"
    r"|(?:in )?(?:tabular|table) (?:form|format)\b|markdown table\b|in table form\b)|"
    r"(?:^|(?<=[.!?:;\n]\s)|(?<=\n))(?:an? )?(?:\w{1,12} )?table (?:with|of|showing|comparing)\b",
    re.IGNORECASE,
)
# "Create a table users" is about a database, "a table for two" about a restaurant.
_OTHER_TABLE = re.compile(
    r" (?:for (?:\w{1,8} )?(?:people|persons|guests|two|three|four|six|eight|\d)|at |in (?:the|a|my"
    r"|our) (?:database|restaurant"
    r"|db|schema|kitchen|corner)|called|named|where|legs?\b|cloth|tennis|lamp|leg\b|manners)",
    re.IGNORECASE,
)
_DATABASE = re.compile(
    r"\b(?:SQL|database|schema|Postgres|MySQL|SQLite|migration|restaurant|carpent|furniture|wooden)", re.I
)
_TABLE_WISH = re.compile(
    r"\b(?:a |as a |in a |include a |one |using a |markdown ){1,3}table\b(?: format)?(?! of contents)"
    r"|\bin table format\b",
    re.I,
)
_CODE = re.compile(
    r"\b(?:(?:in|a|one|fenced|markdown|inside|within|single|the) ){1,4}code[- ]?(?:block|fence)\b"
    r"|\bbetween '{3}(?!')",
    re.IGNORECASE,
)


def none_of(reading: Reading) -> Iterator[Found]:
    """No bullet points; don't use lists; no headings; without bold; no markdown; plain text only."""
    for name in reading.find(_NONE_OF):
        before = reading.text[max(0, name.start() - 45) : name.start()]
        if not (no := _NO.search(before[_clause(before) :])):
            continue
        start = name.start() - len(before) + _clause(before) + no.start()
        if not reading.free(start, name.start()):  # "no lists, headings or bold": the first has taken the "no"
            start = name.start()
        yield from _each(reading, start, name.end(), _banned(name))
    for plain in reading.find(_PLAIN_TEXT):
        if not reading.negated(plain.start()):
            yield from _each(reading, *plain.span(), ("headings", "highlights"))


def marked(reading: Reading) -> Iterator[Found]:
    """A numbered list of 5; three plants as bullet points; in a prompt the mere form too, where it is asked for."""
    for match in reading.find(_COUNTED):
        quantity = reading.at(match.end())
        if quantity and (reading.wish or "of" in match.group() or _AFTER_COUNT.match(reading.text, quantity.end)):
            yield reading.found(match.start(), quantity.end, _kind(match["kind"]), **quantity.args)
    for quantity in reading.near(0, len(reading.text)):
        if (listed := _AS_LIST.match(reading.text, quantity.end)) and reading.free(quantity.start, listed.end()):
            yield reading.found(quantity.start, listed.end(), _kind(listed["kind"]), **quantity.args)
    for numbers in reading.find(_NUMBER_THEM):
        yield reading.found(*numbers.span(), "numbered", at_least=2)
    asked = [q for m in _THINGS.finditer(reading.text) if (q := reading.at(m.end()))]
    for match in reading.find(_FORM):
        if reading.negated(match.start()) or not (reading.wish or _is_asked(reading, match)):
            continue
        kind = _kind(match["kind"])
        one = match["kind"].lower() in ("bullet", "bullet point", "bulletpoint") or kind in ("headings", "placeholders")
        many = None if one or reading.wish else _things(reading, asked, match.start())
        yield reading.found(*match.span(), kind, **(many.args if many else {"at_least": 1 if one else 2}))


def forms(reading: Reading) -> Iterator[Found]:
    """As a table; in a code block."""
    for pattern, kind in ((_TABLE_WISH if reading.wish else _TABLE, "table"), (_CODE, "code_block")):
        for match in reading.find(pattern):
            before = reading.text[max(0, match.start() - 30) : match.start()]
            optional = re.search(r"\b(?:may|can)\b", before)
            other = kind == "table" and not reading.wish and _other_table(reading, match)
            if not (optional or other or reading.negated(match.start() + 1) or reading.quoted(match.start())):
                yield reading.found(*match.span(), kind)
                break


def _is_asked(reading: Reading, match: re.Match[str]) -> bool:
    """Whether a prompt asks for the form that it names; counts inside one are `counted`'s matter."""
    before = reading.text[max(0, match.start() - 50) : match.start()]
    asked = _ASKED.search(before)
    if not asked or reading.quoted(match.start()):
        return False
    begin, _ = reading.sentence(match.start())
    if _WONDERED.match(reading.text, begin, match.start()):
        return False
    after = reading.text[match.end() : match.end() + 25]
    if not asked["verb"] and not _FRAGMENT_ENDS.match(after):
        return False
    return not re.match(
        r"\s(?:with|of|in|from)\s(?:the|my|this|that|your)\b|['’]s|\s(?:above|i |you gave)", after, re.I
    )


def _things(reading: Reading, asked: list[Quantity], before: int) -> Quantity | None:
    """How many things a prompt asks for, where one sentence says so before it names the form of the list."""
    found = [q for q in asked[:2] if q.start <= before]
    if len(found) != 1 or found[0].low is None or not reading.free(found[0].start, found[0].end):
        return None
    noun = _PLURAL.match(reading.text, found[0].end)
    _, end = reading.sentence(found[0].end)
    return None if not noun or _PARTS.search(reading.text, noun.end(), end) else found[0]


def _banned(name: re.Match[str]) -> tuple[str, ...]:
    if name["kind"]:
        return (_kind(name["kind"]),)
    if name["lists"]:
        return ("bullets", "numbered")
    return ("headings",) if name["heads"] else ("highlights",) if name["bold"] else ("headings", "highlights")


def _each(reading: Reading, start: int, end: int, kinds: tuple[str, ...]) -> Iterator[Found]:
    """None of several kinds; they share the stretch."""
    if not reading.free(start, end):
        return
    first = reading.found(start, end, kinds[0], exactly=0)
    yield first
    for kind in kinds[1:]:
        yield first._replace(constraint=type(first.constraint)(kind, {"exactly": 0}))


def _kind(name: str) -> str:
    name = name.lower()
    if "placeholder" in name:
        return "placeholders"
    if "heading" in name:
        return "headings"
    return "numbered" if name.startswith(("num", "ord", "enum")) else "bullets"


def _other_table(reading: Reading, match: re.Match[str]) -> bool:
    begin, end = reading.sentence(match.start())
    return bool(_OTHER_TABLE.match(reading.text, match.end()) or _DATABASE.search(reading.text, begin, end))


def _clause(before: str) -> int:
    return max((m.end() for m in re.finditer(r"[.;!?\n]", before)), default=0)
