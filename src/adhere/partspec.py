"""Parts as text: `best_of_n(n=8, scorer=constraints)`, on the command line and in model names of the server.

A call is a name and arguments in brackets. Values are numbers, `true`, `false`, `none`, bare words, quoted strings
("…" or '…', a backslash before a quote or a backslash), lists in square brackets, and calls again. Nothing is
evaluated; errors name the position.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple, NoReturn

from adhere.errors import UsageError, did_you_mean

__all__ = ["Call", "bind", "construct", "parse", "wrong"]

# A bare word may hold what names of models and files hold: smollm2, runs/x.json, openai:gpt@http://host/v1.
_TOKEN = re.compile(
    r"""\s*(?:(?P<string>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')|(?P<mark>[()\[\],=])|(?P<word>[^\s()\[\],='"]+))"""
)
_NUMBER = re.compile(r"[+-]?(?:\d+|\d*\.\d+|\d+\.\d*)(?:[eE][+-]?\d+)?")
_WORDS: dict[str, Any] = {"true": True, "false": False, "none": None}
LONGEST = 4_000
DEEPEST = 16


class Call(NamedTuple):
    """A part and its arguments, as written.

    Attributes:
        name: Of the part.
        args: Values without a name.
        kwargs: Values by name.
        source: The whole text, for errors.
        at: Where in it the name stands.
        where: Where each named argument stands.
    """

    name: str
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    source: str
    at: int
    where: dict[str, int]

    @property
    def bare(self) -> bool:
        """Whether it is a word without arguments, which may stand for a plain string."""
        return not self.args and not self.kwargs


def parse(text: str) -> Call:
    """Read one call. A bare word as an argument is a `Call` without arguments too: what it means is up to its reader.

    Raises:
        UsageError: with the position (counted from 1) and what was expected there.
    """
    if len(text) > LONGEST:
        raise UsageError(f"a strategy of {len(text)} characters is too long", hint=f"At most {LONGEST}")
    reader = _Reader(text)
    call = reader.call()
    reader.end()
    return call


def wrong(call: Call, message: str, *, at: int | None = None, hint: str = "") -> NoReturn:
    """Raise the error for a place in the text that a call came from."""
    place = (call.at if at is None else at) + 1
    raise UsageError(f"'{call.source}', position {place}: {message}", hint=hint)


def bind(call: Call, known: Iterable[str]) -> None:
    """Make sure that every named argument is known.

    Raises:
        UsageError: with position and suggestion.
    """
    names = list(known)
    for name in call.kwargs:
        if name not in names:
            takes = f"{call.name} takes: {', '.join(names)}" if names else f"{call.name} takes no arguments"
            wrong(call, f"unknown argument '{name}'", at=call.where[name], hint=did_you_mean(name, names) or takes)


class _Reader:
    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.depth = 0

    def call(self) -> Call:
        start, kind, name = self._next()
        if kind != "word":
            self._fail(start, "a name was expected")
        return self._arguments(name, start)

    def end(self) -> None:
        start, kind, _ = self._next()
        if kind:
            self._fail(start, "the text should end here", hint="One strategy is given; nest others in its brackets")

    def _arguments(self, name: str, start: int) -> Call:
        args: list[Any] = []
        kwargs: dict[str, Any] = {}
        where: dict[str, int] = {}
        if self._peek() != "(":
            return Call(name, (), {}, self.text, start, {})
        self._enter()
        self._next()
        while self._peek() != ")":
            at, key = self._key()
            if key is None:
                if kwargs:
                    self._fail(at, "an argument without a name comes after one with a name")
                args.append(self._value())
            elif key in kwargs:
                self._fail(at, f"'{key}' is given twice")
            else:
                where[key] = at
                kwargs[key] = self._value()
            if self._peek() == ",":
                self._next()
            elif self._peek() != ")":
                self._fail(self._skip(), "',' or ')' was expected")
        self._next()
        self.depth -= 1
        return Call(name, tuple(args), kwargs, self.text, start, where)

    def _key(self) -> tuple[int, str | None]:
        """The name before `=`, if the next argument has one."""
        before = self.at
        start, kind, value = self._next()
        if kind == "word" and self._peek() == "=":
            self._next()
            return start, value
        self.at = before
        return start, None

    def _value(self) -> Any:
        start, kind, value = self._next()
        if kind == "string":
            return re.sub(r"\\(.)", r"\1", value[1:-1])
        if kind == "word":
            if self._peek() == "(":
                return self._arguments(value, start)
            if _NUMBER.fullmatch(value):
                return int(value) if re.fullmatch(r"[+-]?\d+", value) else float(value)
            lower = value.lower()
            return _WORDS[lower] if lower in _WORDS else Call(value, (), {}, self.text, start, {})
        if value == "[":
            return self._list()
        self._fail(start, "a value was expected")

    def _list(self) -> list[Any]:
        self._enter()
        items = []
        while self._peek() != "]":
            items.append(self._value())
            if self._peek() == ",":
                self._next()
            elif self._peek() != "]":
                self._fail(self._skip(), "',' or ']' was expected")
        self._next()
        self.depth -= 1
        return items

    def _enter(self) -> None:
        self.depth += 1
        if self.depth > DEEPEST:
            self._fail(self.at, f"more than {DEEPEST} brackets within each other")

    def _peek(self) -> str:
        before = self.at
        _, kind, value = self._next()
        self.at = before
        return value if kind == "mark" else ""

    def _skip(self) -> int:
        while self.at < len(self.text) and self.text[self.at].isspace():
            self.at += 1
        return self.at

    def _next(self) -> tuple[int, str, str]:
        """(start, kind, text) of the next token; kind "" at the end."""
        found = _TOKEN.match(self.text, self.at)
        if found is None:
            start = self._skip()
            if start < len(self.text):
                self._fail(start, "a quote is not closed")
            return start, "", ""
        self.at = found.end()
        kind = found.lastgroup or ""
        return found.start(kind), kind, found[kind]

    def _fail(self, at: int, message: str, hint: str = "") -> NoReturn:
        raise UsageError(
            f"'{self.text}', position {at + 1}: {message}", hint=hint or "Write e.g. best_of_n(n=8, scorer=constraints)"
        )


def construct(
    call: Call, target: Callable[..., Any], convert: Callable[[Any, str, Call, int], Any], **given: Any
) -> Any:
    """Call a part's constructor with the arguments of a text.

    Args:
        call: The text; its arguments without a name go to the first parameters that are not in `given`.
        target: A class or function.
        convert: (value, the parameter's annotation, call, position) → the value to pass, for calls among the arguments.
        given: Arguments that do not come from the text; left out where the constructor has no such parameter.

    Raises:
        UsageError: for unknown, missing or unusable arguments, with the position.
    """
    parameters = inspect.signature(target).parameters
    given = {k: v for k, v in given.items() if k in parameters and k not in call.kwargs}
    free = [name for name in parameters if name not in given]
    bind(call, free)
    if len(call.args) > len(free):
        wrong(call, f"{len(call.args)} arguments without a name, but {call.name} takes {len(free)}")
    values = dict(zip(free, call.args, strict=False))
    if twice := values.keys() & call.kwargs.keys():
        wrong(call, f"'{min(twice)}' is given twice")
    values |= call.kwargs
    lacking = [n for n in free if parameters[n].default is inspect.Parameter.empty and n not in values]
    if lacking:
        wrong(call, f"{call.name} needs {', '.join(lacking)}", hint=f"Write {call.name}({lacking[0]}=…)")
    made = {}
    for name, value in values.items():
        at = call.where.get(name, call.at)
        annotation = str(parameters[name].annotation)
        made[name] = convert(value, annotation, call, at)
        _check_type(call, name, made[name], annotation, at)
    try:
        return target(**given, **made)
    except (TypeError, ValueError) as error:
        wrong(call, f"{call.name} cannot be made: {error}")


def _check_type(call: Call, name: str, value: Any, annotation: str, at: int) -> None:
    """Refuse a value whose parameter is annotated with plain types only, none of which it has."""
    plain = {"int": int, "float": (int, float), "bool": bool, "str": str, "None": type(None)}
    kinds = [kind.strip() for kind in annotation.split("|")]
    if not all(kind in plain for kind in kinds):
        return
    if isinstance(value, bool) and "bool" not in kinds:
        wrong(call, f"{name}={value} is not {annotation}", at=at)
    if not any(isinstance(value, plain[kind]) for kind in kinds):
        wrong(call, f"{name}={value!r} is not {annotation}", at=at)
