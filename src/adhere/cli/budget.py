"""`adhere budget DIR`: what fewer candidates would have given."""

from __future__ import annotations

from pathlib import Path

import click

from adhere.cli.output import json_option, print_json


@click.command("budget")
@click.argument("directory", type=click.Path(path_type=Path))
@json_option
def command(directory: Path, as_json: bool) -> None:
    """Show the accuracy of a best-of-n run at every number of candidates: picked, oracle, and one picked blindly.

    Run it with early_stop=false, so that all candidates are there: adhere eval … --strategy 'best_of_n(n=8,
    early_stop=false)' --out DIR
    """
    from adhere.bench.budget import of_run
    from adhere.bench.run_dir import load
    from adhere.score.budget import lines

    found = of_run(load(directory))
    if as_json:
        print_json({"budget": [{k: v._asdict() if k != "k" else v for k, v in b._asdict().items()} for b in found]})
    else:
        for line in lines(found):
            click.echo(line)
