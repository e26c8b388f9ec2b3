"""What an answer still needs that no model has to write: fixed phrases, marks of lists, closing brackets."""

from __future__ import annotations

from adhere.answer.constrained.machine import Machine

__all__ = ["Tails"]

# Of several marks that all lead on: what to take first.
_PREFERRED = ' \n.-*["}]'


class Tails:
    """The fixed continuations of a machine's states.

    A continuation is fixed as long as all the shortest ways to an end go on with the same character, up to white
    space, marks of the same use and the case of a letter.
    """

    def __init__(self, machine: Machine) -> None:
        self._machine = machine

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
        spaced = self._machine.run(" ", state)
        apart = not text or text[-1].isspace()
        if not apart and spaced is not None and self._machine.distance[spaced] <= self._machine.distance[state]:
            tail, state = " ", spaced
        while not self._machine.final[state]:
            chosen = self._choice(text + tail, state)
            if chosen is None:
                break
            following = self._machine.run(chosen, state)
            assert following is not None
            tail, state = tail + chosen, following
        return self._without_space(tail, state, text, begin)

    def _choice(self, text: str, state: int) -> str | None:
        """The next character of the fixed continuation, if there is one."""
        chars = "".join(chars for chars, _ in self._machine.nearer(state))
        if len(chars) == 1:
            return chars
        letters = {c for c in chars if c.isalnum()}
        if not letters:
            return next((c for c in _PREFERRED if c in chars), None)
        if len(letters) == len(chars) and len({c.casefold() for c in letters}) == 1:
            begins = not text.rstrip(" \n\"'“‘(*") or text.rstrip(" \n\"'“‘(*")[-1] in ".!?"
            return max(letters, key=lambda c: (c.isupper() == begins, c))
        return None

    def _without_space(self, tail: str, state: int, text: str, begin: int) -> tuple[str, int]:
        """Without a last space: tokens begin with theirs."""
        bare = tail.rstrip(" ")
        if bare == tail:
            return tail, state
        before = self._machine.run(bare, begin)
        assert before is not None
        return bare, before

    def stops(self) -> list[bool]:
        """Of each state whether the model may end its turn there: at an end, or where something fixed comes next."""
        return [final or bool(self.forced("x", state)[0]) for state, final in enumerate(self._machine.final)]

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
