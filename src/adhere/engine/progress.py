"""Sight: a bar with rate and time left on a terminal; in a pipe one line at the end. On stderr, always."""

from __future__ import annotations

import sys
from time import monotonic
from typing import Any, Protocol, TextIO

__all__ = ["Progress", "Sight"]

REFRESH = 0.1  # seconds between updates of the bar: a row must not pay for drawing


class Sight(Protocol):
    """What `run` tells about its rows."""

    def start(self, total: int | None) -> None:
        """The run begins; `total` rows where that is known."""
        ...

    def advance(self, *, failed: bool = False) -> None:
        """One row is done."""
        ...

    def stop(self) -> None:
        """The run ended, well or not."""
        ...


class Progress:
    """The progress of one run.

    Args:
        label: What is being done, e.g. "answering".
        stream: Where to; stderr if None. A terminal gets a bar, anything else one line at the end.
        quiet: Say nothing at all.
        unit: What is counted, in the plural.
    """

    def __init__(
        self, label: str = "", *, stream: TextIO | None = None, quiet: bool = False, unit: str = "rows"
    ) -> None:
        self.label = label
        self.stream = stream
        self.quiet = quiet
        self.unit = unit
        self.done = 0
        self.failed = 0
        self.total: int | None = None
        self._began = self._drawn = monotonic()
        self._bar: Any = None

    def start(self, total: int | None) -> None:
        """Begin; `total` rows where that is known."""
        self.done = self.failed = 0
        self.total = total
        self._began = self._drawn = monotonic()
        stream = self.stream or sys.stderr
        if not self.quiet and stream.isatty():
            self._bar = _bar(stream, self.unit)
            self._bar.add_task(self.label, total=total, failed="")
            self._bar.start()

    def advance(self, *, failed: bool = False) -> None:
        """One row is done."""
        self.done += 1
        self.failed += failed
        if self._bar is not None and (now := monotonic()) - self._drawn >= REFRESH:
            self._drawn = now
            self._draw()

    def stop(self) -> None:
        """End: leave the bar as it stands, or write the one line."""
        if self._bar is not None:
            self._draw()
            self._bar.stop()
            self._bar = None
        elif not self.quiet:
            print(self.summary(), file=self.stream or sys.stderr, flush=True)

    def summary(self) -> str:
        """E.g. `answering: 1,000 of 1,000 rows, 3 failed, 12.3 s, 81.3 rows/s`."""
        seconds = monotonic() - self._began
        of = f" of {self.total:,}" if self.total is not None else ""
        failed = f", {self.failed:,} failed" if self.failed else ""
        rate = f", {self.done / seconds:,.1f} {self.unit}/s" if seconds > 0 else ""
        label = f"{self.label}: " if self.label else ""
        return f"{label}{self.done:,}{of} {self.unit}{failed}, {seconds:,.1f} s{rate}"

    def _draw(self) -> None:
        failed = f"[red]{self.failed:,} failed[/red]" if self.failed else ""
        self._bar.update(self._bar.task_ids[0], completed=self.done, failed=failed)


def _bar(stream: TextIO, unit: str) -> Any:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, ProgressColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar
    from rich.text import Text

    class Rate(ProgressColumn):
        def render(self, task: Any) -> Text:
            return Text(f"{task.speed:,.1f} {unit}/s" if task.speed else "", style="cyan")

    return Bar(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        Rate(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[failed]}"),
        console=Console(file=stream),
        refresh_per_second=5,
    )
