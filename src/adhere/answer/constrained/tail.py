"""What an answer still needs that no model has to write: fixed phrases, marks of lists, closing brackets."""

from __future__ import annotations

from adhere.answer.constrained.machine import Machine

__all__ = ["Tails"]

# Of several marks that all lead on: what to take first.
_PREFERRED = ' \n.-*["}]'


_OPENING = " \n\"'“‘(*"  # between the end of a sentence and the first letter of the next


def _one_of(chars: str) -> tuple[str | None, str]:
    if len(chars) == 1:
        return chars, ""
    letters = [c for c in chars if c.isalnum()]
    if not letters:
        return next((c for c in _PREFERRED if c in chars), None), ""
    same = len(letters) == len(chars) and len({c.casefold() for c in letters}) == 1
    return None, chars if same else ""


class Tails:
    """The fixed continuations of a machine's states.

    A continuation is fixed as long as all the shortest ways to an end go on with the same character, up to white
    space, marks of the same use and the case of a letter.
    """

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self._known: dict[tuple[int, ...], tuple[str | None, str]] = {}

    def opening(self) -> tuple[str, int]:
        """What every answer begins with, and the state behind it."""
        text, state = "", 0
        while not self._machine.final[state]:
            moves = self._machine.moves[state]
            ((index, target),) = moves.items() if len(moves) == 1 else ((-1, -1),)
            if index < 0 or len(self._machine.classes[index]) != 1:
                break
            text, state = text + self._machine.classes[index], target
        return self._without_space(text, state, "", 0)

    def forced(self, text: str, state: int) -> tuple[str, int]:
        """The fixed continuation of a text that has led to a state, and the state behind it. May be empty."""
        begin = state
        tail = ""
        spaced = self._spaced(text, state)
        if spaced is not None:
            tail, state = " ", spaced
        while not self._machine.final[state]:
            chosen = self._choice(text + tail, state)
            if chosen is None:
                break
            tail, state = tail + chosen, self._after(chosen, state)
        return self._without_space(tail, state, text, begin)

    def shortest(self, text: str, state: int) -> str:
        """The shortest completion of a text that has led to a state, of whatever characters: the form, at least."""
        tail = ""
        while not self._machine.final[state]:
            chosen = self._choice(text + tail, state)
            if chosen is None:
                nearer = "".join(self._machine.classes[index] for index in self._machine.nearer(state))
                chosen = next((c for c in " \n" if c in nearer), min(nearer))
            tail, state = tail + chosen, self._after(chosen, state)
        return tail

    def _spaced(self, text: str, state: int) -> int | None:
        """The state behind a space, where one may part the text from what follows without making that longer."""
        after = self._machine.run(" ", state) if text and not text[-1].isspace() else None
        if after is None or self._machine.distance[after] > self._machine.distance[state]:
            return None
        return after

    def _after(self, char: str, state: int) -> int:
        following = self._machine.run(char, state)
        assert following is not None
        return following

    def _choice(self, text: str, state: int) -> str | None:
        """The next character of the fixed continuation, if there is one."""
        fixed, either = self._common(tuple(self._machine.nearer(state)))
        if not either:
            return fixed
        before = text.rstrip(_OPENING)
        begins = not before or before[-1] in ".!?"
        return max(either, key=lambda c: (c.isupper() == begins, c))

    def _common(self, classes: tuple[int, ...]) -> tuple[str | None, str]:
        """What some classes of characters come to: a fixed character, or the forms of one letter."""
        if classes not in self._known:
            chars = "".join(self._machine.classes[index] for index in classes)
            self._known[classes] = _one_of(chars)
        return self._known[classes]

    def _without_space(self, tail: str, state: int, text: str, begin: int) -> tuple[str, int]:
        """Without a last space: tokens begin with theirs."""
        bare = tail.rstrip(" ")
        if bare == tail:
            return tail, state
        return bare, self._after(bare, begin)

    def stops(self) -> list[bool]:
        """Of each state whether the model may end its turn there: at an end, or where something fixed comes next."""
        return [final or self._has_next(state) for state, final in enumerate(self._machine.final)]

    def _has_next(self, state: int) -> bool:
        """Whether the fixed continuation of a text has more than white space that words begin with anyway."""
        state = self._spaced("x", state) or state
        while not self._machine.final[state]:
            chosen = self._choice("x", state)
            if chosen != " ":
                return chosen is not None
            state = self._after(chosen, state)
        return False

    def closable(self) -> list[bool]:
        """Of each state whether its fixed continuation is all that the answer lacks."""
        final = self._machine.final
        return [end or final[self.forced("x", state)[1]] for state, end in enumerate(final)]

    def goes_on(self, state: int) -> bool:
        """Whether a complete answer may go on with another word and still be complete."""
        after = self._machine.run(" a", state)
        after = self._machine.run(" A", state) if after is None else after
        return after is not None and self._machine.final[after]

    def reserve(self, state: int, limit: int) -> int:
        """Tokens to keep for what has to come at the end: none where every answer is complete with a letter."""
        distance = self._machine.distance[state]
        return 0 if distance <= 1 else min(limit // 4, distance // 2 + 16)

    def parts_left(self, state: int) -> int:
        """How many stretches of the model's own words the shortest completion still has, behind something fixed."""
        number = 0
        while not self._machine.final[state]:
            tail, behind = self.forced("x", state)
            if tail:
                number += not self._machine.final[behind]
                state = behind
            else:
                state = self._machine.moves[state][next(self._machine.nearer(state))]
        return number
