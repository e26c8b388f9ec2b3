"""Wishes about what is mentioned, without quotation marks: "mention Rayleigh", "don't mention Tom", "never say sorry".

A wish names a word or a topic. Names, numbers, hashtags and addresses are both, since an answer can hardly mention them
otherwise; so are concrete nouns ("mention her roses"). "Mention the price" or "mention three reasons" names what stands
for something else in the answer ("$20"): that is left to a judge.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from adhere.constraints.plain.reading import Found, Reading
from adhere.constraints.plain.vocabulary import count_each, tail_count

__all__ = ["mentioned"]

_NO = r"(?:do not|don't|never|without|avoid|not to|must not|mustn't|should not|shouldn't|no|cannot|can't|refrain from)"
_MENTION = re.compile(
    rf"\b(?:(?P<none>no (?:mention|reference)s? (?:of|to)|leave out any mention of|stay silent (?:on|about))"
    rf"|(?:(?P<no>{_NO}) )?(?:ever |even |explicitly |directly |by any means )?"
    r"(?P<verb>mention(?:s|ing)?|refer(?:s|ring)? to|bring(?:ing)? up|name[- ]drop(?:ping)?|say(?:s|ing)?"
    r"|includ(?:es?|ing)"
    r"|reference|referencing))\s",
    re.IGNORECASE,
)
# Who else than the answer mentions something: "I forgot to mention Tom", "she never said sorry".
_SOMEBODY = re.compile(
    r"\b(?:I|he|she|they|we|who|which|people|forgot to|used to|want to|like to|how to|why|did|didn't|does|doesn't|has"
    r"|had|nobody|everyone|ask(?:ed)? (?:me|him|her|them) to)(?: \w{1,12})?\s$"
)
_TOKEN = (
    r"#\w{1,40}|@\w{1,40}|[$€£]\d[\d.,]{0,12}\d|[$€£]\d|\d[\d.,:/-]{0,12}\d(?:%|[ap]m\b)?|\d(?:%|[ap]m\b)?"
    r"|https?://[^\s,;\"'<>)]{0,200}[^\s,;\"'<>).]|[\w.+-]{1,40}@[\w.-]{1,60}\w"
)
# A full stop belongs to a name after a title or an initial; elsewhere it ends the sentence: "Mention Paris. Use …".
_CAPITALISED = (
    r"(?:(?:Dr|Mrs?|Ms|Prof|St|Mt|[A-Z])\.(?= [A-Z])(?! (?:Use|Write|Do|Don't|Keep|Make|Include|Mention|Never|Always"
    r"|Answer|The|No|End|Start|It|Give|Be|Add|Also|Please|In|At)\b)|[A-Z](?:[\w&.-]{0,30}\w)?)"
)
_NAME = rf"{_CAPITALISED}(?:(?: (?:of|of the|de|van|von|and the))? (?:{_CAPITALISED}|\d{{1,4}}\b)){{0,4}}"
# Case matters, as it tells a name; a noun has at most one word before it.
_ITEM = re.compile(
    rf"(?:(?P<token>{_TOKEN})|(?:the )?(?P<name>{_NAME})"
    r"|(?P<article>(?:the|his|her|my|our|your|their|its|any|an?|this|that) )?(?:(?P<first>[a-z][\w-]{1,20}) )?"
    r"(?P<noun>(?!(?:and|or|nor|but|in|at|on|as|by|to|for|of|with|from|while|when|so|once|twice|only|exactly|no)\b)"
    r"[a-z][\w-]{2,25}))(?![\w'])"
)
_JOINT = re.compile(r",? (?:and|or|nor|&) |, ?")
_END = re.compile(
    r"\s?(?:[,;:!?)\n]|\.(?!\w)|$|(?:and|but|or|in|at|on|somewhere|anywhere|explicitly|throughout|as|by name"
    r"|when|while|so)\b)",
    re.IGNORECASE,
)
_SAYING = re.compile(r"(?P<what>[\w'-]{2,20}(?: [\w'-]{2,20})?)(?=[.,;:!?\n]|$)")
_WORDS_THAT_ARE_NO_NOUNS = """
    the a an and or but it its this that these those them him her his me my you your us our they their he she we
    i who whom whose which what where when why how if whether both each all some any every another other others
    more most less least few many much several anything anyone everything everyone something someone nothing
    nobody none one two three four five also too only once twice again briefly explicitly clearly directly
    specifically either neither not never always just hello hi is are was were be been being do does did have
    has had can could will would should must may might about with without from into for to of in on at by as
    than then there here so such very up out off over under use using make keep write include add avoid end
    start stay put list please thanks thank kindly
"""
# What stands for something else in an answer, or is a figure of speech: a price is "$20" there, a benefit is told.
_STAND_INS = """
    price prices cost costs fee fees amount amounts rate rates salary date dates deadline deadlines day days
    month year years time times hour hours duration age name names surname address location place places city
    country countries number numbers figure figures statistic statistics data percentage quantity size distance
    weight height temperature benefit benefits advantage advantages disadvantage disadvantages pros cons
    downside downsides upside drawback drawbacks limitation limitations risk risks danger feature features
    example examples reason reasons fact facts detail details source sources reference references citation
    citations author authors title topic topics subject theme point points step steps option options alternative
    alternatives idea ideas way ways type types kind kinds method methods tip tips tool tools technique
    techniques cause causes effect effects symptom symptoms treatment treatments qualification qualifications
    experience skill skills strength strengths weakness weaknesses achievement achievements background history
    origin context purpose goal goals result results outcome outcomes impact importance role roles problem
    problems issue issues solution solutions challenge challenges question questions answer answers thing things
    part parts item items word words phrase phrases term terms language languages person people user users
    customer customers competitor competitors client clients company companies brand brands product products
    service services ingredient ingredients side-effect side-effects contact information info link links website
    email phone color colour mood tone style character characters event events law laws rule rules policy
    policies opinion opinions yourself himself herself themselves prompt instructions instruction system
"""
_NO_NOUNS, _OTHERS = frozenset(_WORDS_THAT_ARE_NO_NOUNS.split()), frozenset(_STAND_INS.split())
# After "include" a format is asked for, not a name.
_FORMAT_NAMES = "json html css sql csv xml yaml markdown latex faq faqs cta ctas url urls ps p.s tldr pdf"
_SAID_WORDS = "that this it so anything something nothing more no yes which what why how who if hello"
_FORMATS, _SAID = frozenset(_FORMAT_NAMES.split()), frozenset(_SAID_WORDS.split())


class _Items(NamedTuple):
    words: tuple[str, ...]
    end: int


def mentioned(reading: Reading) -> Iterator[Found]:
    """Mention Rayleigh and NASA; no mention of competitors; never say sorry; mention Paris at least twice."""
    for verb in reading.find(_MENTION):
        said = (verb["verb"] or "mention").lower()
        banned = bool(verb["none"] or verb["no"]) or reading.negated(verb.start(), 30)
        if _SOMEBODY.search(reading.text, max(0, verb.start() - 30), verb.start()) or reading.quoted(verb.start()):
            continue
        if said.startswith("say") and not banned:
            continue
        items = _said(reading, verb.end()) if said.startswith("say") else _items(reading.text, verb.end(), said)
        if not items.words or not reading.free(verb.start(), items.end):
            continue
        if tail := tail_count(reading, items.end):
            yield from count_each(reading, verb.start(), tail.end, items.words, tail)
        elif banned:
            yield reading.found(verb.start(), items.end, "forbidden", words=list(dict.fromkeys(items.words)))
        else:
            yield reading.found(verb.start(), items.end, "keywords", keywords=list(dict.fromkeys(items.words)))


def _items(text: str, position: int, verb: str) -> _Items:
    """The names and nouns that can be looked for, from `position` on; the list ends before what is neither."""
    words: list[str] = []
    end = position
    names_only = verb.startswith("includ")
    joint: re.Match[str] | None = None
    while len(words) < 20 and (item := _ITEM.match(text, position)):
        word = _worth(item, names_only)
        if joint and joint.group() == ", " and item["first"] and not item["article"]:
            break  # "Without referring to Wikipedia, | explain gravity"
        joint = _JOINT.match(text, item.end())
        if not word or not (joint or _END.match(text, item.end()) or _counts(text, item.end())):
            break
        words.append(word)
        end = item.end()
        if not joint:
            break
        position = joint.end()
    return _Items(tuple(words), end)


def _worth(item: re.Match[str], names_only: bool) -> str:
    """The word to look for, or nothing where the item names a topic in other words."""
    if item["token"] or item["name"]:
        word = (item["token"] or item["name"]).rstrip(".-&")
        is_format = names_only and word.lower() in _FORMATS
        return "" if is_format or word.lower() in _NO_NOUNS or (names_only and word.isdecimal()) else word
    noun, first = item["noun"], item["first"]
    if names_only or noun in _NO_NOUNS or noun in _OTHERS or first in _NO_NOUNS or noun.endswith("ly"):
        return ""
    if (item["article"] or "").strip() in ("a", "an", "any", "this", "that"):
        return ""
    return f"{first} {noun}" if first and not item["article"] else noun


def _counts(text: str, position: int) -> bool:
    return bool(
        re.match(
            r" (?:at least|at most|exactly|only|no more|once|twice|\w{2,6} times)\b", text[position : position + 30]
        )
    )


def _said(reading: Reading, position: int) -> _Items:
    """One word or two that may not be said, to the end of the clause."""
    word = _SAYING.match(reading.text, position)
    if not word or set(word["what"].lower().split()) & (_SAID | _NO_NOUNS):
        return _Items((), position)
    return _Items((word["what"],), word.end())
