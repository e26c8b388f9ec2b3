"""What in a prompt asks nothing of the whole answer: pasted text, conditional demands, counts of one part of it.

Real requests bring the text they are about ("Summarise this email: …"), system prompts foresee cases ("If the customer
is angry, apologise"), and a demand on the headline is none on the answer. Read as constraints all three would grade
answers by what nobody asked of them, which is worse than leaving a wish to a judge.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from adhere.constraints.plain.reading import Reading

__all__ = ["conditional", "merged", "of_a_part", "pasted"]

SHORTEST_PASTE = 40  # characters; shorter quotations are phrases to use

_FENCE = re.compile(r"(?:^|(?<=\n))(?:'{3}|~{3})[^\n]{0,40}(?=\n|$)|\"{3}")
_TAG = re.compile(r"<(?P<end>/?)(?P<tag>[a-zA-Z][\w-]{0,30})>")
_QUOTATION = re.compile(r"\"[^\"\n]{0,4000}\"")
_PASTED = re.compile(
    r"\b(?:this|these|following|below|my|our|their|his|her|said|wrote|writes|says|asked|asks|review|e-?mail|message"
    r"|rewrite|rephrase|paraphrase|summari[sz]e|translate|proofread|shorten|edit|correct|fix)\b[^\".!?\n]{0,70}$",
    re.IGNORECASE,
)
_PHRASE_TO_USE = re.compile(
    r"\b(?:phrases?|exact(?:ly)?|repeat|finish|ends?|ending|conclude|starts?|begins?|beginning|opens?|include|mention"
    r"|contain|using|use|saying|words?|(?:answer|reply|respond) with|either|one of)\b",
    re.IGNORECASE,
)
# "Summarise the article:" and then a new line: what follows is the article.
_LABEL = re.compile(
    r"\b(?:text|article|passage|e-?mail|notes|transcript|document|review|message|paragraph|story|essay|draft|abstract"
    r"|post|context|excerpt|conversation|source|code|function|input)s?\b[^.\n:]{0,30}:\s?\n",
    re.IGNORECASE,
)
_DEMANDING_LINE = re.compile(
    r"\n(?=(?:please|make|ensure|use|do not|don't|never|write|answer|respond|reply|return|output|include|mention|keep"
    r"|end|finish|start|begin|give|list|summari|translate|rewrite|your|the (?:response|answer|output|summary|reply)"
    r"|in (?:at|no|exactly|under)|at (?:least|most)|no |only|avoid|wrap|highlight|first|now|remember)\b)",
    re.IGNORECASE,
)
_CONDITION = re.compile(
    r"(?:(?<=[.!?;]\s)|(?<=\n)|^)(?:[-*•]\s|\d{1,2}[.)]\s)?(?:and |but |also,? |however,? |then,? )?"
    r"(?:if|when|whenever|unless|in case)\b"
    r"(?! (?:possible|you can\b|you like|in doubt|(?:you(?:'re| are)? )?(?:answer|respond|reply|writ|explain|summari"
    r"|generat|creat|mak|giv|do)))",
    re.IGNORECASE,
)
_OPTIONAL = re.compile(
    r"(?:^|[.!?,;:\n])[^.!?,;:\n]{0,120}?\bif (?:it helps|that helps|needed|necessary|relevant|applicable|helpful"
    r"|appropriate|useful|you (?:want|wish|like|need)|(?:they|he|she|someone|anyone) asks?|asked|the (?:user|customer"
    r"|client|caller|reader|visitor) \w{1,15})\b",
    re.IGNORECASE,
)

_PART = (
    r"(?:(?:first|second|third|fourth|fifth|last|final|opening|closing|top) (?:lines?|sentences?|paragraphs?"
    r"|sections?"
    r"|parts?|stanzas?|verses?|bullets?|slides?|items?|words?|row|column)"
    r"|title|headline|subject(?: line)?|body|intro|introduction|conclusion|opening|closing|hook|docstring|comments?"
    r"|preface|abstract|footnotes?|signature|greeting|postscript|p\.s\.?|tagline|bio|sub-?heading|heading|column|row"
    r"|cell)"
)
_ABOUT_A_PART = re.compile(
    rf"(?:\b(?:each|every|per)\b|\b(?:a|an|the|its|your|whose|one) (?:\w{{1,12}} )?{_PART}\b(?! and\b| or\b))"
    r"[^.,;:\n]{0,40}$",
    re.IGNORECASE,
)
_IN_A_PART = re.compile(
    r"(?: long)? (?:each\b|apiece\b|per\b|(?:in|for|under|below|within|on|of|to) (?:each|every)\b"
    r"|(?:a|an) (?:paragraph|line|bullet|sentence|day|item)\b"
    r"|(?:below|under|underneath|beneath|above|before|after|following) (?:it|this|that|them|the (?:headline|title"
    r"|heading|name))\b)",
    re.IGNORECASE,
)


def pasted(text: str) -> list[tuple[int, int]]:
    """The stretches of an evened out prompt that are somebody's text and no demand, in order, without overlap."""
    return merged([*_fenced(text), *_tagged(text), *_quoted(text), *_labelled(text)])


def merged(stretches: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Stretches in order, without overlap."""
    merged: list[tuple[int, int]] = []
    for start, end in sorted(stretches):
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return merged


def conditional(reading: Reading) -> Iterator[tuple[int, int]]:
    """Sentences that begin with a condition, and clauses that end in "if it helps"; they may overlap."""
    for condition in _CONDITION.finditer(reading.text):
        _, end = reading.sentence(condition.end())
        yield condition.start(), end
    for optional in _OPTIONAL.finditer(reading.text):
        yield optional.span()


def of_a_part(text: str, start: int, end: int) -> bool:
    """Whether a count there is of one part of the answer: "the title in | five words", "two sentences | each"."""
    before = text[max(0, start - 60) : start]
    joint = max((m.end() for m in re.finditer(r"\band |\bbut |\bthen ", before)), default=0)
    eachwise = re.search(r"\b(?:each|every|per)\b[^.,;:\n]{0,40}$", before, re.IGNORECASE)
    return bool(eachwise or _ABOUT_A_PART.search(before[joint:]) or _IN_A_PART.match(text, end))


def _fenced(text: str) -> Iterator[tuple[int, int]]:
    """Between two fences, or two tripled quotation marks, of the same sort."""
    opened: dict[str, re.Match[str]] = {}
    for fence in _FENCE.finditer(text):
        if (begin := opened.pop(fence.group()[:3], None)) is not None:
            yield begin.start(), fence.end()
        else:
            opened[fence.group()[:3]] = fence


def _tagged(text: str) -> Iterator[tuple[int, int]]:
    """Between <tag> and </tag>."""
    opened: dict[str, int] = {}
    for tag in _TAG.finditer(text):
        if not tag["end"]:
            opened.setdefault(tag["tag"], tag.start())
        elif (begin := opened.pop(tag["tag"], -1)) >= 0 and tag.end() - begin >= SHORTEST_PASTE:
            yield begin, tag.end()


def _quoted(text: str) -> Iterator[tuple[int, int]]:
    """A long quotation that the words before call somebody's text, and not a phrase to use."""
    for quotation in _QUOTATION.finditer(text):
        start, end = quotation.span()
        before = text[max(0, start - 80) : start]
        if end - start >= SHORTEST_PASTE and _PASTED.search(before) and not _PHRASE_TO_USE.search(before[-50:]):
            yield start, end


def _labelled(text: str) -> Iterator[tuple[int, int]]:
    """From a label with a colon to the end, or to the next line that begins like a demand."""
    position = 0
    while label := _LABEL.search(text, position):
        position = label.end()
        demand = _DEMANDING_LINE.search(text, position)
        end = demand.start() if demand else len(text)
        if end - position >= SHORTEST_PASTE:
            yield position, end
            position = end
