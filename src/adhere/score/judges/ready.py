"""Before anything is generated: can the endpoints that a judge asks be asked at all?

    await check_endpoints("pairwise(model=openai:gpt-4o@https://…)")

Each is asked once for the list of its models. That is billed by nobody, and finds a server that is not there, a key
that is missing or refused, and a model that the server does not have. A first verdict would find more (a server that
guards its answers and not its list, an account without credit), but it is billed, and it needs an answer to judge: what
only a verdict can tell is told by the rows that it fails.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from adhere.errors import ModelError
from adhere.partspec import Call, parse

__all__ = ["check_endpoints"]

KIND = "openai:"


async def check_endpoints(*specs: str | None) -> None:
    """Ask the endpoints that the specs of judges and scorers name.

    Raises:
        UsageError: for a spec that cannot be read, or an address that cannot be used.
        ModelError: in one line, what is wrong with the first that cannot be asked.
    """
    from adhere.models.names import load

    named = [name for spec in specs if spec and KIND in spec for name in _endpoints(parse(spec))]
    for name in dict.fromkeys(named):
        async with load(name, store=None) as model:
            try:
                await model.check()
            except ModelError as error:
                raise ModelError(f"the judge cannot be asked: {error.message}", hint=error.hint) from error


def _endpoints(value: Any) -> Iterator[str]:
    """The names of endpoints in a call, as deep as they stand."""
    if isinstance(value, str) and value.startswith(KIND):
        yield value
    elif isinstance(value, Call):
        for inner in (value.name, *value.args, *value.kwargs.values()):
            yield from _endpoints(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _endpoints(inner)
