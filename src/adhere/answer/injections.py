"""Orders in a text that should only inform: patterns and plain rules, no model.

Two strengths. A *strong* flag is wording with no business in a passage: it revokes instructions, speaks to the model,
forges a turn of the conversation, asks for the prompt, or hides characters. A *weak* flag is a sentence that asks or
commands, as planted questions do (Li et al. 2023, arXiv 2308.10819) and as honest texts (a FAQ, a recipe) do too; so a
weak flag is a reason to look, and a strong one to distrust.

Measured on rows that the rules were not written with (`benchmarks/injections.py`): of honest passages 0.5 % (SQuAD,
n=200) and 2.0 % (FollowRAG, n=300) have a flag, 0.5 % and 0 % a strong one. Of planted questions 100 % have a flag
(n=200) and 98 % a strong one if they begin with "Question:"; of planted Self-Instruct tasks 86 % (n=115) have a flag.

Not covered: orders in other languages than English (but for hidden characters and forged turns), in images, or encoded.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import islice
from typing import Literal

from adhere.records import Document, Record

__all__ = ["Flag", "scan"]

LONGEST = 1_000_000  # characters; what stands behind them is not read, and that is flagged
MOST = 200  # flags of one text


class Flag(Record, omit_defaults=False):
    """A stretch `text[start:end]` (characters) of a document that looks like an order.

    Attributes:
        kind: What gave it away, e.g. "override", "question".
        start: Of the stretch.
        end: Of the stretch.
        text: The stretch, cut at 200 characters.
        strength: "strong" is wording that informs nobody; "weak" occurs in honest texts too.
        reason: In one clause, for people.
    """

    kind: str
    start: int
    end: int
    text: str
    strength: Literal["strong", "weak"]
    reason: str


_GAP = r"(?:\s{1,3}[\w'\u2019,]{1,30}){0,6}?\s{1,3}"  # at most six words in between; all bounded: texts are hostile
_ORDERS = (
    r"(?:instructions?|prompts?|orders?|commands?|directions?|directives?|guidelines?|rules?|questions?|requests?"
    r"|tasks?|quer(?:y|ies)|messages?|context)"
)
_SAID = (
    r"(?:everything|anything|all|what)\b[^.!?\n]{0,40}"
    r"\b(?:said|told|asked|above|before|previous(?:ly)?|so far|below|next)"
)
_REVOKE = (
    r"(?:ignor(?:e|ing)|disregard(?:ing)?|forget(?:ting)?|overrid(?:e|ing)|overlook|neglect|skip|drop|discard|bypass"
    r"|retract|scratch|cancel|undo|erase|abandon|withdraw|dismiss|revoke|nullify|void|scrap|set aside|never mind"
    r"|pay no attention to|(?:do not|don['\u2019]t|stop) (?:follow|obey|answer)(?:ing)?)"
)
_MODEL = r"(?:assistant|chatbot|language model|AI(?:[ \t]+(?:model|agent|system|assistant))?|LLM|DAN)"
_SAY = r"(?:answer|write|tell|say|output|print|respond|reply)"
_ANY_WORDS = r"(?:\w{1,30}[ \t]+){0,3}"

_STRONG: tuple[tuple[str, str, re.Pattern[str]], ...] = tuple(
    (kind, reason, re.compile(pattern, re.I | re.M))
    for kind, reason, pattern in (
        ("override", "revokes what was asked", rf"\b{_REVOKE}\b{_GAP}(?:{_ORDERS}|{_SAID})\b"),
        (
            "override",
            "declares what was asked void",
            rf"\b(?:previous|prior|earlier|above|original|user['\u2019]s)[ \t]+{_ORDERS}[ \t]+"
            rf"(?:is|are|was|were)[ \t]+{_ANY_WORDS}"
            r"(?:invalid|void|wrong|obsolete|outdated|cancell?ed|superseded|an? (?:test|example|mistake))\b"
            rf"|\b{_ORDERS}[ \t]+(?:that[ \t]+)?(?:I|you)[ \t]+{_ANY_WORDS}"
            r"(?:said|gave|mentioned|told|provided|were given|received)\b",
        ),
        (
            "override",
            "puts other orders in place of the user's",
            r"\b(?:your|the)[ \t]+(?:new|real|actual|true|only|next|updated)[ \t]+"
            r"(?:task|instructions?|goal|job|objective|role|mission|question|order)[ \t]*(?:is|are|:)"
            rf"|\b(?:{_SAY}|do|follow|obey)[ \t]+(?:the[ \t]+following|this|these)[ \t]+{_ANY_WORDS}instead\b"
            rf"|\binstead(?: of[^.!?\n]{{1,60}})?,?[ \t]+(?:please[ \t]+)?{_SAY}\b",
        ),
        (
            "addressed",
            "speaks to the model",
            rf"\byou(?:'re|\u2019re|[ \t]+are)[ \t]+{_ANY_WORDS}{_MODEL}\b"
            rf"|\b(?:dear|hey|hi|hello|attention|note to|to the|as an?)[ \t,:]+{_ANY_WORDS}{_MODEL}\b[ \t]*[,:!]"
            rf"|\b(?:answer|respond to|reply to)[ \t]+(?:only[ \t]+)?(?:the|this|these|my)[ \t]+{_ANY_WORDS}question"
            rf"|\byou (?:must|should|have to|need to|will)[ \t]+(?:(?:now|only|instead)[ \t]+)?(?:{_SAY}|ignore)\b",
        ),
        (
            "exfiltration",
            "asks for the prompt, or sends data away",
            r"\b(?:reveal|repeat|print|show|output|leak|tell me)\b[^.!?\n]{0,40}\b(?:(?:system|initial|hidden) prompt"
            r"|your (?:prompt|instructions|rules)|api keys?|passwords?|secrets?)\b"
            r"|!\[[^\]\n]{0,100}\]\(https?://[^)\s?]{1,300}\?[^)\s]{0,300}\)"
            r"|\b(?:send|post|forward|upload|email)\b[^.!?\n]{0,60}\b(?:conversation|chat|history|messages?|data|passwords?)\b"
            r"[^.!?\n]{0,40}\bto\b[^.!?\n]{0,20}(?:https?://|[\w.]{1,40}@)",
        ),
        (
            "turn",
            "forges a turn of the conversation",
            r"<\|[^|<>\n]{1,40}\|>|</?s>|<(?:start|end)_of_turn>|\[/?INST\]|<</?SYS>>"
            r"|^#{2,3}[ \t]*(?:instruction|response|system|user|human)\b"
            r"|</?(?:system|user|assistant|instructions?|context|documents?)>"
            r"|(?:^|(?<=[.!?\])\"'\u201d])[ \t]?)"
            r"(?:system|user|human|assistant|instruction|question|task|prompt|query)[ \t]?:",
        ),
        # Direction marks, tag characters (which render as nothing) and runs of zero-width ones; one alone is common.
        (
            "hidden",
            "characters that nobody sees",
            r"[\u202a-\u202e\u2066-\u2069\U000e0000-\U000e007f]+|[\u200b\u2060\ufeff]{3,}",
        ),
    )
)
_SENTENCE = re.compile(r"[^.!?\n]+[.!?]*[\"')\]\u201d\u2019]*")
_COMMANDS = re.compile(
    r"(?:(?:given|using|based on|to|in|for|from|with)\b[^,.!?\n]{1,120},)?[ \t]*(?:please|kindly|now)?[ \t,]{0,3}"
    r"(?:write|rewrite|translate|summari[sz]e|paraphrase|list|generate|create|compose|explain|describe|classify|add"
    r"|calculate|compute|count|answer|respond|reply|output|print|say|tell|give|provide|suggest|recommend|identify|name"
    r"|convert|find|detect|solve|compare|complete|edit|correct|extract|return|make|come up with|brainstorm|determine"
    r"|choose|select|decide|design|discuss|develop|propose|sort|rank|arrange|reverse|repeat|pretend|act as|imagine"
    r"|click|visit|call|send|construct|predict|estimate|evaluate|judge|check|verify|fix|replace|parse|match|analy[sz]e"
    r"|draft|plan|think of|show|use)\b",
    re.I,
)


def scan(document: Document | str) -> list[Flag]:
    """What in a document looks like an order, in the order of the text; at most 200 flags.

    Args:
        document: The record, or its text. Its title is looked at with the text (positions count from the text's start,
            a flag in the title stands at 0, 0).
    """
    if isinstance(document, Document):
        in_title = [Flag(f.kind, 0, 0, f.text, f.strength, f"{f.reason} (in the title)") for f in _scan(document.title)]
        return (in_title + _scan(document.text))[:MOST]
    return _scan(document)


def _scan(whole: str) -> list[Flag]:
    text = whole[:LONGEST]
    found = [
        _flag(kind, match, "strong", reason)
        for kind, reason, pattern in _STRONG
        for match in islice(pattern.finditer(text), MOST)
    ]
    if len(whole) > LONGEST:
        found.append(Flag("unread", LONGEST, len(whole), "", "strong", f"only {LONGEST:,} characters were read"))
    return sorted([*found, *islice(_weak(text), MOST)], key=lambda f: (f.start, f.end))[:MOST]


def _weak(text: str) -> Iterator[Flag]:
    """Sentences that ask or command."""
    for match in _SENTENCE.finditer(text):
        sentence = match[0].strip(" \t\"'\u201c\u2018(*-")
        if sentence.endswith("?"):
            yield _flag("question", match, "weak", "a question to the reader")
        elif _COMMANDS.match(sentence):
            yield _flag("command", match, "weak", "a command to the reader")


def _flag(kind: str, match: re.Match[str], strength: Literal["strong", "weak"], reason: str) -> Flag:
    return Flag(kind, match.start(), match.end(), match[0].strip()[:200], strength, reason)
