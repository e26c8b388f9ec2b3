"""A machine as GBNF, the notation of llama.cpp, which the torch engine reads too.

The grammar is right-linear, one rule a state, and deterministic: whatever the engine has read, it stands in exactly one
state, so its cost a token does not grow with the answer.

    root ::= s0
    s0 ::= "In my opinion" s13
    s13 ::= c0 s14 | " " s15 | ""
    c0 ::= [!-+.-~]
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from adhere.answer.constrained.machine import Machine

__all__ = ["Grammar", "charset", "literal", "within"]

EMPTY = ('""',)
_ESCAPES = {"\n": "\\n", "\r": "\\r", "\t": "\\t", "\\": "\\\\", '"': '\\"'}


def literal(text: str) -> str:
    """A text as a GBNF string."""
    return '"' + "".join(_escaped(c) for c in text) + '"'


def _escaped(char: str) -> str:
    known = _ESCAPES.get(char)
    if known:
        return known
    code = ord(char)
    if code < 0x20 or 0x7F <= code < 0xA0:
        return f"\\x{code:02x}"
    return char


def charset(chars: Iterable[str]) -> str:
    """Characters as a GBNF character class, runs of three and more as ranges."""
    codes = sorted(map(ord, set(chars)))
    runs: list[list[int]] = []
    for code in codes:
        if runs and code == runs[-1][1] + 1:
            runs[-1][1] = code
        else:
            runs.append([code, code])
    pieces: list[str] = []
    for first, last in runs:
        if last - first < 2:
            pieces += [_in_class(chr(code)) for code in range(first, last + 1)]
        else:
            pieces.append(f"{_in_class(chr(first))}-{_in_class(chr(last))}")
    return f"[{''.join(pieces)}]"


def _in_class(char: str) -> str:
    # These have a meaning by their place in a class; as codes they have none.
    return f"\\x{ord(char):02x}" if char in "^-[]" else _escaped(char)


class Grammar:
    """What a machine accepts, from any of its states on.

    Args:
        machine: The automaton.
        ends: Of each state whether the answer may stop there; None where the machine's answers may end.
    """

    def __init__(self, machine: Machine, ends: Sequence[bool] | None = None) -> None:
        self._machine = machine
        self._ends = machine.final if ends is None else ends
        self._sets: dict[tuple[int, ...], tuple[str, str]] = {}  # group of classes → name, characters
        self._rules: list[str] = []
        self._next: list[list[int]] = []
        for state in range(len(machine)):
            rule, following = self._rule(state)
            self._rules.append(rule)
            self._next.append(following)

    def text(self, start: int = 0) -> str:
        """The grammar of what may be written from a state on."""
        reached, order = {start}, [start]
        for state in order:  # grows while it is read
            for target in self._next[state]:
                if target not in reached:
                    reached.add(target)
                    order.append(target)
        sets = (f"{name} ::= {chars}" for name, chars in self._sets.values())
        rules = (f"s{state} ::= {self._rules[state]}" for state in order)
        return "\n".join([f"root ::= s{start}", *rules, *sets]) + "\n"

    def _rule(self, state: int) -> tuple[str, list[int]]:
        """The right side of a state's rule, and the states that it names."""
        targets: dict[int, list[int]] = {}
        for index, target in self._machine.moves[state].items():
            targets.setdefault(target, []).append(index)
        options, following = [], []
        for target, group in targets.items():
            if len(group) == 1 and len(self._machine.classes[group[0]]) == 1:
                text, target = self._run(self._machine.classes[group[0]], target)
                options.append(f"{literal(text)} s{target}")
            else:
                options.append(f"{self._set(tuple(sorted(group)))} s{target}")
            following.append(target)
        if self._ends[state]:
            options.append('""')
        return " | ".join(options), following

    def _run(self, text: str, state: int) -> tuple[str, int]:
        """Go on along single characters without a choice, so that a phrase is one string of the grammar."""
        while not self._ends[state] and len(self._machine.moves[state]) == 1:
            ((index, target),) = self._machine.moves[state].items()
            if len(self._machine.classes[index]) != 1:
                break
            text, state = text + self._machine.classes[index], target
        return text, state

    def _set(self, group: tuple[int, ...]) -> str:
        """The name of a set of characters: a rule that all states share."""
        if group not in self._sets:
            chars = charset("".join(self._machine.classes[i] for i in group))
            self._sets[group] = (f"c{len(self._sets)}", chars)
        return self._sets[group][0]


def within(machine: Machine, start: int, budget: int, most: int = 6000) -> str:
    """The grammar of the ASCII texts of at most `budget` characters that complete an answer from a state on.

    Every token holds at least one character of these, so as many tokens are always enough. The budget is widened to
    the shortest completion where it is less, and narrowed where the grammar would have more than `most` rules.
    """
    shortest = machine.distance[start]
    slack = max(0, budget - shortest)
    while (rules := _bounded(machine, start, shortest + slack, most if slack else None)) is None:
        slack //= 2
    return rules


def _bounded(machine: Machine, start: int, budget: int, most: int | None) -> str | None:
    """As `within`, for one budget; None for more than `most` rules. A rule is a state and the characters left."""
    plain = ["".join(filter(str.isascii, chars)) for chars in machine.classes]
    names: dict[tuple[int, int], str] = {(start, budget): "root"}
    order, rules, used = [(start, budget)], [], set()
    for state, left in order:  # grows while it is read
        if most is not None and len(order) > most:
            return None
        options = []
        for index, target in machine.moves[state].items():
            # A phrase that is not ASCII has to be written all the same.
            needed = plain[index] or machine.distance[target] < machine.distance[state]
            if not needed or machine.distance[target] >= left:
                continue
            node = (target, left - 1)
            if node not in names:
                names[node] = f"s{len(names)}"
                order.append(node)
            used.add(index)
            options.append(f"c{index} {names[node]}")
        rules.append(f"{names[state, left]} ::= {' | '.join([*options, *EMPTY[: machine.final[state]]])}")
    sets = (f"c{index} ::= {charset(plain[index] or machine.classes[index])}" for index in used)
    return "\n".join([*rules, *sets]) + "\n"
