"""Rules for the answer as a whole: its language, its first and last words, its options, a repeated request."""

from __future__ import annotations

import re
from collections.abc import Iterator

from adhere.constraints.language import LANGUAGES as KNOWN
from adhere.constraints.plain.reading import Found, Reading

__all__ = ["LANGUAGES", "RULES"]

# What people call a language, beside the names that the checker itself knows.
_OTHER_NAMES = {"mandarin": "zh", "farsi": "fa", "filipino": "tl", "bangla": "bn", "castilian": "es"}
LANGUAGES = {name.lower(): code for code, name in KNOWN.items()} | _OTHER_NAMES
_NAME = rf"(?P<name>{'|'.join(LANGUAGES)})"
# "Explain in French" may well be the task of a prompt; these are words that bind the whole answer to the language.
_ONLY = re.compile(
    r"\b(?:only|entire|entirely|completely|fully|solely|exclusively|whole|all of|everything|no other languages?"
    r"|throughout)\b"
    r"|\b(?:response|answer|reply|output|respond|reply) (?:should|must|has to|needs to|to me|is to)?\b",
    re.IGNORECASE,
)
_LANGUAGE = re.compile(
    rf"\b(?:only |entirely |completely |fully |solely |exclusively |just |respond |reply |answer |write |written "
    rf"|all |be |in |using |use "
    rf"|the |of |brazilian |european |mexican |latin american |canadian |british |american |australian |us |uk "
    rf"|simplified "
    rf"|traditional |swiss |austrian |plain |simple |formal "
    rf"|informal ){{0,6}}{_NAME}\b(?: language)?(?: only)?(?:(?:,|;| and|\.)? (?:with )?no other languages? "
    rf"(?:is |are |besides \w{{1,15}} )?(?:allowed|permitted)?)?",
    re.IGNORECASE,
)
_LANGUAGE_WISH = re.compile(r"\bin \w|\b(?:respond|reply|answer|written|language|only)\b|^\w+$", re.IGNORECASE)
# "Write the invitation in French." is composed in French; "explain the tenses in French" may be about French.
_COMPOSED = re.compile(
    r"(?:^|[.!?;:\n,]\s?|\b(?:please|and|then|to|you) )(?:write|compose|draft|reply|answer|respond|summari[sz]e"
    r"|put it|tell me"
    r"|do it|speak|all) ?(?!.{0,118}\b(?:how|about|mean|word for|called|grammar|translation)\b)[^.!?\n\"]{0,100}$",
    re.IGNORECASE,
)
_LANGUAGE_ENDS = re.compile(
    r"(?:,? (?:please|only))?\s?(?:[.,;:!?)\n]|$| and | with | using | without | in )", re.IGNORECASE
)
_CASE_NEAR = re.compile(r"\b(?:capital|lower|upper|caps\b)", re.IGNORECASE)

_QUOTED = r"(?:\"(?P<quote>[^\"\n]{1,200})\"|'(?P<single>[^'\n](?:[^'\n]|'(?=\w)){0,200})'(?!\w))"
_TEXT = rf"(?:{_QUOTED}|(?P<bare>[^\"'\n][^\n]{{0,160}}))"
_PHRASE = (
    r"(?: (?:the|this|these|exactly|exact|following|words?|phrase|sentence|line|question|of|text|saying"
    r"|precise|statement))"
)
_WHOLE = (
    r"(?:(?:off|up|out|your|the|this|whole|entire|response|answer|reply|output|it) ?|\w{2,12} (?=with|by)"
    r"|blog post ){0,5}"
)
_ENDS = re.compile(
    rf"\b(?:(?:ends?|ending|finish(?:es|ing)?|conclud(?:es?|ing)|clos(?:es?|ing)) {_WHOLE}(?:with|by saying)"
    r"|(?:the )?(?:very end|last (?:line|sentence|words?|phrase))(?: of (?:your|the)(?: \w{1,12}){1,2})? (?:should"
    r"|must) (?:be|read))"
    rf"{_PHRASE}{{0,7}}:?\s{_TEXT}",
    re.IGNORECASE,
)
_ENDS_EXACT = re.compile(r"\b(?:exact|phrase|words?|sentence|line|following)\b|:\s?$", re.IGNORECASE)
# "and no other words should follow this phrase"
_NOTHING_AFTER = re.compile(
    r"[\"'.,]{0,3}\s?(?:(?:and|with)\s)?(?:no|do not|don't)\s(?:(?:other|additional|further|more|say|add|write)\s)"
    r"(?:words?|text|characters?|anything)[^.\n]{0,60}",
    re.IGNORECASE,
)
# "Start with Dear Ms Ito, and sign off with Best wishes": unquoted, only capitals tell words from a topic.
_CAPITALS = (
    r"(?P<bare>(?:Best|Kind|Warm|Many|Kindest|Warmest) (?:wishes|regards|thanks)|Yours (?:sincerely|faithfully"
    r"|truly)|All the best"
    r"|[A-Z][\w'.-]{0,20}(?:,? [A-Z][\w'-]{0,20}){0,4})(?=\s?(?:[.,;:!?\n)]|$)| and | but | then )"
)
_STARTS_BARE = re.compile(
    r"\b(?:[Ss]tart|[Bb]egin|[Oo]pen)(?: (?:off|your|the|this|whole|entire|response|answer|reply|output|it"
    r"|letter|email"
    rf"|e-mail|message)){{0,4}} with:? {_CAPITALS}"
)
_ENDS_BARE = re.compile(
    r"\b(?:(?:[Ss]ign|[Ss]igned)(?: (?:it|off|this))?(?: (?:with|as|by))?|[Ee]nd(?: (?:it|your|the|letter|email"
    r"|message))"
    rf"{{0,3}} with:?) {_CAPITALS}"
)
_STARTS_WITH_THAT = re.compile(
    r"\b(?:start|begin|open|continue)s?(?: (?:off|your|the|response|answer|reply|story|it)){0,4} with (?:that"
    r"|this|the same"
    r"|the given|the above|exactly that|exactly this) (?:sentence|line|phrase|opening|words?)\b",
    re.IGNORECASE,
)
_ONE_QUOTATION = re.compile(r"\"([^\"\n]{1,200})\"")
_TOPIC_WORDS = "I You The A An It This That My Your His Her Python Java SQL HTML CSS Chapter Step Part P.S"
_NO_GREETING = frozenset(_TOPIC_WORDS.split())
_STARTS = re.compile(
    r"(?:\b(?:the )?first (?:words?|sentence)(?: (?:of|in) (?:your|the) \w{1,12})? (?:must|should|has to) be\b"
    r"|\b(?:starts?|starting|begins?|beginning|opens?)\b(?: (?:off|your|the|this|whole|entire|response|answer"
    r"|reply|output|it|text|letter|email|post|message|poem|story)){0,5} with)"
    r"(?: (?:the|this|these|exactly|exact|following|words?|phrase|sentence|line|greeting)){0,5}"
    rf":?\s{_QUOTED}",
    re.IGNORECASE,
)
_PART_OF_ANSWER = re.compile(
    r"\b(?:paragraph|sentence|line|word|section|bullet(?: point)?|each|every|item|postscript|stanza|note|ps)s?"
    r"(?: (?:of (?:your|the) \w{1,12}|should|must|has to|needs to|that|which|to|will|each|of)){0,12}\s$",
    re.IGNORECASE,
)
_POSTSCRIPT = re.compile(r"(?<!\w)(?P<marker>P\.\s?P\.\s?S\.?|P\.S\.?|PPS|PS)(?![\w.])|\bpost-?script\b", re.IGNORECASE)

_NO_POSTSCRIPT = re.compile(
    r"(?:\b(?:no|not|without|skip)|n't)(?: (?:add|include|use|write))?(?: an?| any| the)?\s$", re.IGNORECASE
)
_ADDED = re.compile(r"\b(?:add|include|with|append|put)(?: in)? an? (?:\w{1,12} )?$", re.IGNORECASE)
# "Answer yes or no", "reply only with true or false".
_YES_OR_NO = re.compile(
    r"(?<!\b(?:the|our|his|her) )(?<!\byour )\b(?:answer|reply|respond|say|output|return|write)(?:s|ing)?"
    r"(?: (?:me|this|it|the question))?(?: with)?"
    r"(?P<only> only| just| simply| either| nothing but)?(?: with)?(?: a)?(?: simple| single)? "
    r"(?:(?P<a>yes|true)(?: or |/|, ?)(?P<b>no|false))\b(?P<else> only|,? (?:and )?nothing (?:else|more))?",
    re.IGNORECASE,
)
_OPTIONS = re.compile(
    r"\b(?:(?:answer|respond|reply|say|choose|pick|select|contain|include|use|output|give)\b[^.\n]{0,60}?\b(?:one"
    r"|any) (?:of|from)"
    r"(?: (?:the|these|following|below|options?|phrases?|answers?|choices|words|labels|sentences|categories"
    r"|values|exact|in|your|answer|reply|only|and|write|say|nothing|else|more)){0,8}"
    r"|(?:choose|pick|select) (?:from|between|among)(?: (?:the|these|following|below|options|phrases|choices)){0,4}"
    r"|(?:just |only )?(?:answer|say|reply|respond)(?: with)?(?: only| just| either)?(?=\s\")"
    r"|either(?=\s\"))(?: below)?"
    r"[:;,]?(?: -{1,40})?\s",
    re.IGNORECASE,
)
_OPTIONS_WISH = re.compile(r"\b(?:exactly |just |only )?(?:one|either) of(?: the)?(?: following)?:?\s", re.IGNORECASE)
_NOTHING_ELSE = re.compile(r"\b(?:just|only|nothing (?:else|more))\b", re.IGNORECASE)
_OPTION = re.compile(
    r"[\s(\[]{0,2}(?:[-*•]\s|\(?[a-zA-Z\d][).]\s)?"
    r"(?:\"(?P<double>[^\"\n]{1,80})\"|'(?P<single>[^'\n]{1,80})'|(?P<bare>[\w][^\"\n,;]{0,80}?)(?=\n|,|;|$| or "
    r"|\.(?:\s|$)))"
)
_OPTIONS_WISH = re.compile(r"\b(?:exactly |just |only )?(?:one|either) of(?: the)?(?: following)?:?\s", re.IGNORECASE)
_HAS_LETTER = re.compile(r"[^\W_]")
_NEXT_OPTION = re.compile(r"[,;/]?\s?(?:or\b(?: only)?|and\b|\n)?\s?", re.IGNORECASE)
_REPEAT = re.compile(
    r"\b(?:repeat(?:ing)?|restate|copy)\b(?: (?:back|first))?(?: (?:the|this|my|your|exact|entire|whole|full"
    r"|original|above|following|sentence|same|given)){0,12}?"
    r" (?P<what>request|question|prompt|instructions?|query|sentence above|text above)\b(?P<where>[^.\n]{0,60})"
    r"|\brepeat \"(?P<quote>[^\"\n]{1,600})\"",
    re.IGNORECASE,
)


def postscript(reading: Reading) -> Iterator[Found]:
    """Add a postscript starting with P.S."""
    matches = [
        m
        for m in reading.find(_POSTSCRIPT)
        if not _NO_POSTSCRIPT.search(reading.text, max(0, m.start() - 30), m.start())
    ]
    if not matches:
        return
    marked = next((m for m in matches if m["marker"] and (m["marker"].isupper() or "." in m["marker"])), None)
    bare = marked and marked["marker"] in ("PS", "PPS") and len(matches) == 1 and not reading.wish
    if bare and not _ADDED.search(reading.text, max(0, matches[0].start() - 20), matches[0].start()):
        return
    marker = "P.P.S" if marked and marked["marker"].upper().count("P") == 2 else "P.S."
    yield reading.found(matches[0].start(), (marked or matches[0]).end(), "postscript", marker=marker)
    for again in matches:
        reading.take(*again.span())


def ends_with(reading: Reading) -> Iterator[Found]:
    """Finish your response with this exact phrase: "…"."""
    for match in reading.find(_ENDS):
        if reading.negated(match.start(), 12):
            continue
        phrase = match["quote"] or match["single"]
        if not phrase and _ENDS_EXACT.search(reading.text[match.start() : match.start("bare")]):
            phrase = match["bare"]
        if phrase and phrase.strip():
            after = _NOTHING_AFTER.match(reading.text, match.end())
            yield reading.found(
                match.start(), after.end() if after else match.end(), "ends_with", phrase=phrase.strip()
            )
            return


def starts_with(reading: Reading) -> Iterator[Found]:
    """Begin your answer with the words "…"."""
    for match in reading.find(_STARTS):
        phrase = (match["quote"] or match["single"]).strip()
        part = _PART_OF_ANSWER.search(reading.text[max(0, match.start() - 60) : match.start()])
        if phrase and not part and not reading.negated(match.start(), 12):
            yield reading.found(*match.span(), "starts_with", phrase=phrase)
    quotations = {m[1].strip() for m in _ONE_QUOTATION.finditer(reading.text)}
    for match in reading.find(_STARTS_WITH_THAT):
        if len(quotations) == 1 and (phrase := next(iter(quotations))) and not reading.negated(match.start(), 12):
            yield reading.found(*match.span(), "starts_with", phrase=phrase.rstrip(" ."))
    for pattern, kind in ((_STARTS_BARE, "starts_with"), (_ENDS_BARE, "ends_with")):
        for match in reading.find(pattern):
            part = _PART_OF_ANSWER.search(reading.text[max(0, match.start() - 60) : match.start()])
            if not part and match["bare"].split()[0] not in _NO_GREETING and not reading.negated(match.start(), 12):
                yield reading.found(*match.span(), kind, phrase=match["bare"].rstrip(" ."))
                break


def options(reading: Reading) -> Iterator[Found]:
    """Answer with one of the following: "yes", "no", "maybe"."""
    for match in reading.find(_YES_OR_NO):
        if not reading.negated(match.start()) and not reading.quoted(match.start()):
            exact = {"exact": True} if match["only"] or match["else"] else {}
            yield reading.found(*match.span(), "options", options=[match["a"].lower(), match["b"].lower()], **exact)
            return
    leads = [*reading.find(_OPTIONS), *(reading.find(_OPTIONS_WISH) if reading.wish else ())]
    for match in leads:
        listed: list[str] = []
        quoted = False
        position = match.end()
        while len(listed) < 20 and (option := _OPTION.match(reading.text, position)):
            if option["bare"] and listed and (quoted or not _same_style(listed, option["bare"])):
                break  # 'Say "cheese" | at least twice'
            quoted = not option["bare"]
            listed.append((option["double"] or option["single"] or option["bare"]).strip())
            joint = _NEXT_OPTION.match(reading.text, option.end())
            if not joint or not joint.group():
                position = option.end()
                if reading.text[position : position + 2].strip() != ".":
                    break
                position += 1
                continue
            position = joint.end()
        if len(listed) > 1 and all(map(_HAS_LETTER.search, listed)) and reading.free(match.start(), position):
            exact = bool(_NOTHING_ELSE.search(match.group()))
            yield reading.found(
                match.start(), position, "options", options=listed, **({"exact": True} if exact else {})
            )
            return


def repeat_prompt(reading: Reading) -> Iterator[Found]:
    """First repeat the request word for word, then answer. A wish alone has no request to repeat."""
    match = next(reading.find(_REPEAT), None)
    if not match or reading.wish or reading.negated(match.start()):
        return
    begin, _ = reading.sentence(match.start())
    raw_begin = reading.origin(begin)
    if match["quote"]:
        prompt = match["quote"]
    elif "below" in (match["where"] or "") or not reading.raw[:raw_begin].strip():
        after = re.search(r"\n\s*\n", reading.raw[reading.origin(match.end()) :])
        prompt = reading.raw[reading.origin(match.end()) + after.end() :] if after else ""
    else:
        prompt = reading.raw[:raw_begin]
    if prompt.strip():
        yield reading.found(*match.span(), "repeat_prompt", prompt=prompt.strip())


def language(reading: Reading) -> Iterator[Found]:
    """In French only, no other language is allowed."""
    for match in reading.find(_LANGUAGE):
        code = LANGUAGES[match["name"].lower()]
        begin, end = reading.sentence(match.start(), 200)
        around = reading.text[begin:end]
        if code == "en" and (_CASE_NEAR.search(around) or (reading.wish and _CASE_NEAR.search(reading.text))):
            reading.take(*match.span())
            continue
        binding = _LANGUAGE_WISH.search(match.group()) if reading.wish else _binds(reading, match, around)
        if binding and not reading.negated(match.start()):
            yield reading.found(*match.span(), "language", language=code)
            return


RULES = (repeat_prompt, options, postscript, ends_with, starts_with, language)


def _binds(reading: Reading, match: re.Match[str], sentence: str) -> bool:
    """Whether the prompt binds the whole answer to the language, here or in a later "no other language than …"."""
    if not re.search(r"\b(?:in|only|using|use|of|the)\b", match.group(), re.IGNORECASE):
        return False
    if _COMPOSED.search(reading.text[max(0, match.start() - 120) : match.start()]) and _LANGUAGE_ENDS.match(
        reading.text, match.end()
    ):
        return True
    later = reading.text[match.end() : match.end() + 600].lower()
    return bool(_ONLY.search(sentence)) or "no other language" in later


def _same_style(listed: list[str], candidate: str) -> bool:
    """Bare options go on while they look like the first: "My answer is yes." then "My answer is no."."""
    return candidate[:1].isupper() == listed[0][:1].isupper() and len(candidate) <= 3 * len(listed[0]) + 10
