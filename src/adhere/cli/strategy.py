"""`--strategy` and `--prompt`, which several commands share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

__all__ = ["dress", "prompt_option", "strategy_option"]

strategy_option = click.option(
    "--strategy",
    metavar="TEXT",
    help="How to answer: decrim, 'best_of_n(n=8, scorer=constraints)', …; nest with brackets.",
)


def prompt_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """`--prompt FILE`: an optimised prompt around every request."""
    return click.option(
        "--prompt",
        "prompt_file",
        type=click.Path(exists=True, dir_okay=False, path_type=Path),
        help="Apply a prompt.json that `adhere optimize` wrote.",
    )(command)


def dress(model: Any, strategy: str | None, prompt_file: Path | None) -> Any:
    """The model with the prompt around it, and the strategy around that.

    Raises:
        UsageError: where the strategy's text goes wrong.
        DataError: if the file holds no prompt.
    """
    if prompt_file is not None:
        from adhere.answer.prompt_program import Prompted

        model = Prompted(model, str(prompt_file))
    if strategy is None:
        return model
    from adhere.answer import build

    return build(strategy, model)
