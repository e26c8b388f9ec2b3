"""Patterns for role replies where no judge is given: does one refuse, say that nothing is told, keep to the role?

Patterns alone know the usual ways to refuse and few others (on replies that they were not written for: half of them);
`reactions.py` adds examples. All of it is much blunter than a strong model.
"""

from __future__ import annotations

import re

from adhere.score.texts.overlap import token_recall

__all__ = ["LONGEST", "answers", "declines", "in_character", "narrates", "untold"]

LONGEST = 20_000  # characters of a reply that are looked at
RECALL = 0.6  # of the words of the answer that a reply must have, where the answer is known
RECALL_REFERENCE = 0.35  # of the words of a whole reference, where it is not

_CANNOT = (
    r"(?:can(?:not|['’]t| not)|won['’]t|will not|could(?:n['’]t| not)|must not|may not|shall not|should(?:n['’]t| not)|"
    r"would(?:n['’]t| not)|am not able to|['’]m not able to|am unable to|['’]m unable to|refuse to|decline to|"
    r"(?:would|['’]d) rather not|prefer not to)"
)
_SAYING = r"(?:answer|help|say|speak|tell|talk|comment|assist|advise|discuss|provide|guess|judge|explain|give|be of)"
_FIELD = r"(?:knowledge|field|area|trade|matter|thing|business|beat|pitch|kind|place|expertise|line|craft|game|subject)"
_REFUSES = re.compile(
    rf"\b{_CANNOT}\b[^.!?]{{0,30}}\b{_SAYING}\b"
    r"|\b(?:must|have to|shall|i) (?:decline|refuse|pass|turn (?:it|that|this|such))\b|\brefuse such\b|\bturn such\b"
    r"|\b(?:outside|beyond|far from|foreign to|strange to)(?: of)? (?:my|its|the|me\b|what i)"
    rf"|\b(?:not|no|isn['’]t|aren['’]t) (?:my|a|an|in my|within my|part of my)? ?{_FIELD}\b"
    r"|\bnot (?:something|a thing) (?:i|for)\b|\bnot (?:know|trained|familiar|qualified)"
    r"|\bknows? (?:nothing|little|only|not)"
    r"|\b(?:no|little|any) (?:knowledge|idea|notion|clue)\b|\b(?:do|does|did)(?: not|n['’]t) know\b"
    r"|\b(?:ask|try|find|see|consult|call) (?:me )?(?:someone|somebody|another|about|a doctor|the doctor|an? \w+er\b)"
    r"|\bnot for me\b|\bleave (?:that|this|it) to\b|\bwrong (?:man|woman|person|one|place|door)\b"
    r"|\b(?:question|matter|job) for (?:a|an|another|somebody|someone)\b|\btake (?:it|that|this|your \w+) to an?\b"
    r"|\bnothing at all\b|\bonly (?:know|understand|speak)\b",
    re.IGNORECASE,
)
_SOURCE = r"(?:passage|text|document|page|story|paragraph|lines?|information|author|writer)"
_TELLS = (
    r"(?:sa(?:y|ys|id)|states?|stated|mentions?|mentioned|tells?|told|gives?|given|contains?|includes?|specif\w+|"
    r"provides?|provided|reveals?|names?|named|answers?|answered|shows?|found|find|written)"
)
_NEGATED = r"(?:\b(?:not|never|no|nothing|nowhere|cannot|without|silent|left out|omits?)\b|n['’]t\b)"
# A sentence that has all three speaks of the passage and denies that it tells.
_DENIAL = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (rf"\b{_SOURCE}\b", _NEGATED, rf"\b(?:{_TELLS}|word|figure|clue|in|on)\b")
)
# The same without naming it.
_UNTOLD = re.compile(
    rf"{_NEGATED}[^.!?]{{0,20}}\b(?:mentioned|stated|said|given|told|specified|provided|written)\b"
    rf"|\bit (?:does|did)(?: not|n['’]t) (?:say|state|mention|tell|give|contain|specify|name|reveal)\b"
    rf"|\b(?:cannot|can['’]t|can not|could not) be (?:answered|told|known|found|read)\b"
    rf"|\b(?:more|else) than the {_SOURCE}\b|\bleft out\b|\bno (?:mention|information)\b"
    rf"|\b(?:have|what i) read\b[^.!?]{{0,20}}\b(?:cannot|can['’]t|can not) (?:tell|say|know)\b",
    re.IGNORECASE,
)
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+")
_NARRATION = re.compile(r"\s*[\"'“]?\s*(?:\([^()\n]{2,200}\)|\[[^\[\]\n]{2,200}\]|\*[^*\n]{2,200}\*)")
_OUT_OF_CHARACTER = re.compile(
    r"\b(?:as an? (?:ai|artificial|language model|assistant|chat ?bot)|language model|"
    r"i(?:['’]m| am) an? (?:ai|assistant|chat ?bot)|system prompt|the user\b|my training data)",
    re.IGNORECASE,
)


def untold(text: str) -> bool:
    """Whether a reply says that the passage does not tell."""
    sentences = _SENTENCE_END.split(text[:LONGEST])
    return any(_UNTOLD.search(s) or all(part.search(s) for part in _DENIAL) for s in sentences)


def declines(text: str) -> bool:
    """Whether a reply refuses or says that it does not know."""
    return _REFUSES.search(text[:LONGEST]) is not None


def answers(text: str, answer: str | None, reference: str) -> bool:
    """Whether a reply gives the answer: most of its words; without a known answer, enough of the reference's words."""
    if answer:
        return token_recall(text[:LONGEST], [answer]) >= RECALL
    return token_recall(text[:LONGEST], [reference]) >= RECALL_REFERENCE


def narrates(text: str) -> bool:
    """Whether a reply begins with an action in brackets or asterisks."""
    return _NARRATION.match(text[:LONGEST]) is not None


def in_character(text: str, narration: bool, markers: list[str]) -> bool:
    """Whether a reply is the role's: narration as asked, no talk of models, one of its own words where known."""
    if not text.strip() or narrates(text) is not narration or _OUT_OF_CHARACTER.search(text[:LONGEST]):
        return False
    said = text[:LONGEST].casefold()
    return not markers or any(re.search(rf"(?<!\w){re.escape(marker.casefold())}(?!\w)", said) for marker in markers)
