"""`adhere serve`: an OpenAI-compatible server in front of any model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from adhere.cli.output import say
from adhere.cli.strategy import prompt_option
from adhere.errors import UsageError, missing_extra

LOOPBACK = ("127.0.0.1", "::1", "localhost")


@click.group("serve", invoke_without_command=True)
@click.option("-m", "--model", "models", multiple=True, help="As everywhere; repeatable.  [default: smollm2]")
@click.option(
    "--strategy",
    "strategies",
    multiple=True,
    metavar="TEXT",
    help="Also serve each model with this strategy, as MODEL+TEXT; repeatable.",
)
@prompt_option
@click.option("--host", default="127.0.0.1", show_default=True, help="0.0.0.0 serves the network: use --keys then.")
@click.option("--port", type=click.IntRange(0, 65535), default=8080, show_default=True, help="0 takes a free one.")
@click.option("--keys", type=click.Path(dir_okay=False, path_type=Path), help="Let in only keys of this file.")
@click.option("--rate", type=click.FloatRange(0, min_open=True), help="Requests a minute of one key (or address).")
@click.option("--max-body", type=click.IntRange(1), default=4 * 2**20, show_default=True, help="Bytes of one request.")
@click.option("--max-tokens", type=click.IntRange(1), help="Most tokens of an answer.  [models run here: 1024]")
@click.option(
    "--timeout",
    type=click.FloatRange(0, 86400, min_open=True),
    default=300.0,
    show_default=True,
    help="Seconds for an answer.",
)
@click.option("--log-prompts", is_flag=True, help="Write what is asked and answered into the access log.")
@click.pass_context
def command(ctx: click.Context, **options: Any) -> None:
    """Serve models, with strategies around them, to any OpenAI client.

    \b
    adhere serve --model smollm2 --strategy decrim            # models "smollm2" and "smollm2+decrim"
    adhere serve --model openai:gpt@https://host/v1 --keys keys.txt

    A request may bring `constraints` (plain words, or kind and args); the reply says which of them hold. The access log
    goes to stderr, one JSON line a request.
    """
    if ctx.invoked_subcommand is None:
        _serve(options)


@command.command("key")
@click.argument("name")
@click.option("--keys", required=True, type=click.Path(dir_okay=False, path_type=Path), help="File to add it to.")
@click.option("--rate", type=click.FloatRange(0, min_open=True), help="Requests a minute of this key.")
def key(name: str, keys: Path, rate: float | None) -> None:
    """Make an API key for NAME: printed once, kept as a hash. Delete its line to revoke it."""
    from adhere.serve.keys import add_key

    click.echo(add_key(keys, name, rate))


def _serve(options: dict[str, Any]) -> None:
    try:
        from adhere.serve.run import bound, serve
    except ImportError as error:
        raise missing_extra(error.name or "starlette", "serve", "adhere serve") from error
    from adhere.models.names import load
    from adhere.serve.app import build_app  # noqa: F401  a missing library shows here
    from adhere.serve.job import model_sampling
    from adhere.serve.served import gather
    from adhere.serve.settings import Settings

    settings = Settings(
        options["keys"], options["max_body"], options["max_tokens"], options["rate"], options["timeout"],
        options["log_prompts"],
    )  # fmt: skip
    if options["host"] not in LOOPBACK and options["keys"] is None:
        say("warning: anybody who reaches this port can use it; --keys FILE lets in only who has a key")
    with bound(options["host"], options["port"]) as listening:
        names = dict.fromkeys(options["models"] or ("smollm2",))
        models = [load(name, store=None, sampling=model_sampling(), notify=say) for name in names]
        catalog = gather(models, options["strategies"], options["prompt_file"])
        if not catalog.by_name:
            raise UsageError("no model to serve")
        port = listening.getsockname()[1]
        host = f"[{options['host']}]" if ":" in options["host"] else options["host"]
        line = _ready_line(f"http://{host}:{port}/v1", list(catalog.by_name), options["keys"] is not None)
        serve(catalog, models, settings, listening, ready=lambda: click.echo(line), warn=say)


def _ready_line(url: str, names: list[str], keys: bool) -> str:
    auth = "-H 'authorization: Bearer KEY' " if keys else ""
    messages = '[{"role":"user","content":"Name three rivers."}]'
    body = f'{{"model":"{names[-1]}","messages":{messages},"constraints":"no commas"}}'
    return f"{url} serves {', '.join(names)} · try: curl {url}/chat/completions {auth}-d '{body}'"


__all__ = ["command"]
