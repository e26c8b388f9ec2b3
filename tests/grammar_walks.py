"""Random answers of a grammar: the adversary of `test_constrained*.py`. It knows GBNF and nothing of the compiler."""

from __future__ import annotations

import heapq
import random
import re
from functools import cached_property

# What checkers disagree about, or what looks like what they count.
FRAGMENTS = (
    "Dr. ", "e.g. ", "don't ", "3,000.5 ", "U.S. ", "* ", "- ", "** ", "**bold** ", "*x* ", "```", "~~~", "SECTION 3",
    "Section 1", "P.S.", "p.s. ", "***", "******", "\n", "\n\n", "\n- ", "\n* ", "\n1. ", "\n2. ", "\n12) ", "\n# ",
    "\n> - ", "well-known ", "a_b ", "’", "'", '"', "“quoted” ", "<<", ">>", "[name] ", "[x] ", "[]", "](", "I ",
    "NASA ", "CANNOT ", "McDonald ", "B2B ", "é", "Ñ ", "ß", "…", "? ", "! ", ". ", ".", ", ", ": ", ":\n", "; ", "—",
    "etc. ", "No. 5 ", "yes", "no", "maybe", "river ", "Rivers ", "start ", "art ", "the end.", "A. ", "really?! ",
    "co. ",
    "Response 1:", "{", "}", '"a": ', "true", "-1.5", "\\", "the sun. ", "It ", "is ", "Water flows. ", "hello ",
)  # fmt: skip


class Walker:
    """Derives random texts from GBNF of the form that the compiler writes.

    Args:
        grammar: GBNF in which every alternative is `TERMINAL rule`, `""` or `rule`.
    """

    def __init__(self, grammar: str) -> None:
        self.rules = dict(line.split(" ::= ", 1) for line in grammar.splitlines())
        self._options: dict[str, list[tuple[str, str, str]]] = {}

    def options(self, rule: str) -> list[tuple[str, str, str]]:
        """Alternatives as (string, characters, next rule); one of the first two is empty; a rule "" is the end."""
        if rule not in self._options:
            self._options[rule] = [self._option(found) for found in _OPTION.findall(self.rules[rule])]
        return self._options[rule]

    def _option(self, found: tuple[str, str, str]) -> tuple[str, str, str]:
        string, charset, rule = found
        if charset and charset[0] == "c":
            charset = self.rules[charset]
        return _unescape(string[1:-1]), _members(charset[1:-1]) if charset else "", rule

    @cached_property
    def shortest(self) -> dict[str, int]:
        """Of each rule the fewest characters of any text."""
        before: dict[str, list[tuple[str, int]]] = {}
        known: dict[str, int] = {}
        for rule in self.rules:
            for string, chars, following in self.options(rule) if rule[0] != "c" else ():
                if following:
                    before.setdefault(following, []).append((rule, len(string) + bool(chars)))
                else:
                    known[rule] = len(string)
        queue = [(steps, rule) for rule, steps in known.items()]
        heapq.heapify(queue)
        while queue:
            steps, rule = heapq.heappop(queue)
            for earlier, more in before.get(rule, ()):
                if steps + more < known.get(earlier, 10**9):
                    known[earlier] = steps + more
                    heapq.heappush(queue, (steps + more, earlier))
        return known

    def text(self, rng: random.Random, length: int) -> str:
        """A random text: about `length` characters at will, then the shortest way to an end."""
        out, rule = "", "root"
        while rule:
            if len(out) < length and rng.random() < 0.5 and (led := self._follow(rule, rng.choice(FRAGMENTS))):
                out, rule = out + led[0], led[1]
                continue
            options = self.options(rule)
            onward = [o for o in options if o[2]]
            if len(out) >= length or not onward:
                chosen = min(options, key=lambda o: len(o[0]) + bool(o[1]) + (self.shortest[o[2]] if o[2] else 0))
            elif len(onward) < len(options) and rng.random() < 0.02:
                break
            else:
                chosen = rng.choice(onward)
            string, chars, rule = chosen
            out += string or (rng.choice(chars if rng.random() < 0.3 else _usual(chars)) if chars else "")
        return out

    def _follow(self, rule: str, fragment: str) -> tuple[str, str] | None:
        """As much of a fragment as the grammar allows from here, whole strings only; None for nothing."""
        out = ""
        while len(out) < len(fragment):
            for string, chars, following in self.options(rule):
                if string and fragment.startswith(string, len(out)):
                    out, rule = out + string, following
                    break
                if fragment[len(out)] in chars:
                    out, rule = out + fragment[len(out)], following
                    break
                if not string and not chars and following:
                    rule = following
                    break
            else:
                break
        return (out, rule) if out else None


def _usual(chars: str) -> str:
    common = [c for c in chars if c in "etaoin shrdlu.TAOS\n"]
    return "".join(common) or chars


_STRING = r'"(?:[^"\\]|\\.)*"'
_OPTION = re.compile(rf"(?=\S)({_STRING})?\s*(\[(?:[^\]\\]|\\.)*\]|c\d+\b)?\s*(s\d+)?(?:\s*\|\s*|$)")


def _unescape(text: str) -> str:
    def one(match: re.Match[str]) -> str:
        body = match[1]
        return chr(int(body[1:], 16)) if body[0] == "x" else {"n": "\n", "r": "\r", "t": "\t"}.get(body, body)

    return re.sub(r"\\(x[0-9a-f]{2}|.)", one, text)


def _members(body: str) -> str:
    pieces = re.findall(r"\\x[0-9a-f]{2}|\\.|.", body, re.DOTALL)
    out, i = "", 0
    while i < len(pieces):
        if i + 2 < len(pieces) and pieces[i + 1] == "-":
            first, last = _unescape(pieces[i]), _unescape(pieces[i + 2])
            out += "".join(map(chr, range(ord(first), ord(last) + 1)))
            i += 3
        else:
            out += _unescape(pieces[i])
            i += 1
    return out
