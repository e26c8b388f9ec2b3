"""Automata over characters: what a constraint allows is one, what several allow at once is their product.

A `Piece` is a small automaton that sees a character only through a label ("a digit", "a line end", "the next letter of
the phrase"). A `Machine` is the automaton of everything so far: `meet` intersects it with one more piece, which is the
textbook product construction on the common refinement of both alphabets, and cuts off every state from which no
complete answer can be reached. What is left of a machine is therefore never a dead end: any text that it has read can
be completed, and `distance` says in how many characters.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Hashable, Iterator
from typing import Any, Generic, TypeVar

__all__ = ["LIMIT", "Empty", "Machine", "Piece", "TooLarge", "universe"]

S = TypeVar("S")
L = TypeVar("L")
LIMIT = 20_000  # states: llama.cpp reads so many rules in 0.5 s, and is no slower a token for them

_NONE = -1


class Empty(Exception):
    """No text is allowed by both."""


class TooLarge(Exception):
    """The product has more states than engines take."""


class Piece(Generic[S, L]):
    """One constraint as a deterministic automaton over labels: S are its states, L its labels, both hashable.

    Attributes:
        start: Its state before the first character.
    """

    start: S

    def label(self, char: str) -> L | None:
        """What the character is to this constraint; None where it may never occur."""
        raise NotImplementedError

    def step(self, state: S, label: L) -> S | None:
        """The state after a character of that label; None where it may not come here."""
        raise NotImplementedError

    def accepts(self, state: S) -> bool:
        """Whether the answer may end here."""
        raise NotImplementedError


class Machine:
    """A deterministic automaton in which every state leads to an end.

    Attributes:
        classes: The characters, grouped by what they do everywhere alike; `moves` speaks of their indices.
        moves: Of each state: class → next state. State 0 is the start.
        final: Of each state: whether the answer may end there.
        distance: Of each state: the fewest characters to a final one.
    """

    def __init__(self, classes: list[str], moves: list[dict[int, int]], final: list[bool]) -> None:
        self.classes = classes
        self.moves = moves
        self.final = final
        self.distance = _distances(moves, final)
        self._class_of = {char: index for index, chars in enumerate(classes) for char in chars}

    def __len__(self) -> int:
        return len(self.moves)

    def run(self, text: str, state: int = 0) -> int | None:
        """The state after a text; None where the text leaves the language."""
        for char in text:
            index = self._class_of.get(char, _NONE)
            following = self.moves[state].get(index, _NONE)
            if following == _NONE:
                return None
            state = following
        return state

    def accepts(self, text: str) -> bool:
        """Whether the whole text is an answer of the language."""
        state = self.run(text)
        return state is not None and self.final[state]

    def meet(self, piece: Piece[Any, Any], limit: int = LIMIT) -> Machine:
        """This machine and one more constraint.

        Raises:
            Empty: if they have no text in common.
            TooLarge: if the product has more than `limit` states.
        """
        classes, parts = self._refined(piece)
        step = _remembered(piece.step)
        index: dict[tuple[int, Hashable], int] = {(0, piece.start): 0}
        order: list[tuple[int, Hashable]] = [(0, piece.start)]
        moves: list[dict[int, int]] = []
        for mine, its in order:  # grows while it is read
            row: dict[int, int] = {}
            for old, target in self.moves[mine].items():
                for new, label in parts[old]:
                    following = step(its, label)
                    if following is None:
                        continue
                    pair = (target, following)
                    known = index.get(pair, _NONE)
                    if known == _NONE:
                        known = index[pair] = len(order)
                        order.append(pair)
                    row[new] = known
            moves.append(row)
            if len(order) > 2 * limit:  # before trimming; most of them may yet fall away
                raise TooLarge
        final = [self.final[mine] and piece.accepts(its) for mine, its in order]
        return _trimmed(classes, moves, final, limit)

    def _refined(self, piece: Piece[Any, Any]) -> tuple[list[str], list[list[tuple[int, Any]]]]:
        """The classes split by the piece's labels, and of each old class its new ones with their labels."""
        classes: list[str] = []
        parts: list[list[tuple[int, Any]]] = []
        for chars in self.classes:
            groups: dict[Hashable, list[str]] = {}
            for char in chars:
                label = piece.label(char)
                if label is not None:
                    groups.setdefault(label, []).append(char)
            parts.append([(len(classes) + i, label) for i, label in enumerate(groups)])
            classes += ["".join(group) for group in groups.values()]
        return classes, parts

    def nearer(self, state: int) -> Iterator[int]:
        """The classes of characters that lead nearer to an end."""
        for index, target in self.moves[state].items():
            if self.distance[target] < self.distance[state]:
                yield index


def universe(chars: str) -> Machine:
    """The machine of every text over some characters."""
    return Machine([chars], [{0: 0}], [True])


def _remembered(step: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    known: dict[tuple[Any, Any], Any] = {}

    def remembered(state: Any, label: Any) -> Any:
        key = (state, label)
        if key not in known:
            known[key] = step(state, label)
        return known[key]

    return remembered


def _distances(moves: list[dict[int, int]], final: list[bool]) -> list[int]:
    """Of each state the fewest steps to a final one; -1 where there is no way."""
    before: list[list[int]] = [[] for _ in moves]
    for state, row in enumerate(moves):
        for target in row.values():
            before[target].append(state)
    distance = [0 if end else _NONE for end in final]
    queue = deque(state for state, end in enumerate(final) if end)
    while queue:
        state = queue.popleft()
        for earlier in before[state]:
            if distance[earlier] == _NONE:
                distance[earlier] = distance[state] + 1
                queue.append(earlier)
    return distance


def _trimmed(classes: list[str], moves: list[dict[int, int]], final: list[bool], limit: int) -> Machine:
    """Without the states that lead to no end, the classes that no move names, and classes that always go together."""
    distance = _distances(moves, final)
    if distance[0] == _NONE:
        raise Empty
    kept = [state for state, steps in enumerate(distance) if steps != _NONE]
    if len(kept) > limit:
        raise TooLarge
    number = {state: new for new, state in enumerate(kept)}
    rows = [{c: number[t] for c, t in moves[state].items() if t in number} for state in kept]
    groups: dict[tuple[tuple[int, int], ...], list[int]] = {}
    columns: dict[int, list[tuple[int, int]]] = {}
    for state, row in enumerate(rows):
        for index, target in row.items():
            columns.setdefault(index, []).append((state, target))
    for index, column in columns.items():
        groups.setdefault(tuple(column), []).append(index)
    merged = list(groups.values())
    new_class = {old: new for new, group in enumerate(merged) for old in group}
    joined = ["".join(sorted("".join(classes[old] for old in group))) for group in merged]
    return Machine(joined, [{new_class[c]: t for c, t in row.items()} for row in rows], [final[s] for s in kept])
