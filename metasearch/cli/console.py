"""How the command line draws: tables and progress, plain when nobody watches."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)
from rich.table import Table as RichTable
from rich.text import Text

from metasearch.core.printable import printable
from metasearch.report.progress import Reporter, Stage
from metasearch.report.summary import Table

_PLAIN_EVERY = 10.0  # seconds between lines of a stage when standard error is no terminal
_LONGEST = 4000  # characters of a line of a message: what is wrong with ten megabytes is said in less


class _Console(Console):
    """Takes every text for what it is, not for markup, and shows it with :func:`told`: lines, cells and titles alike."""

    def __init__(self, **options: Any) -> None:
        super().__init__(highlight=False, markup=False, emoji=False, **options)

    def render_str(self, text: str, **options: Any) -> Text:
        return super().render_str(told(text), **options)


def out() -> Console:
    """Standard output; honours NO_COLOR, and is wide enough not to cut tables when it is no terminal."""
    console = _Console()
    return console if console.is_terminal else _Console(width=200)


def print_json(content: Mapping[str, Any] | list[Any]) -> None:
    """The only thing on standard output with ``--json``."""
    print(told(json.dumps(content, indent=2, ensure_ascii=False), longest=None))


def print_table(table: Table) -> None:
    """Draw a table; the first column is text, the others are numbers."""
    drawn = RichTable(title=table.title, title_justify="left")
    for i, name in enumerate(table.header):
        drawn.add_column(name, justify="left" if i == 0 else "right")
    for i, row in enumerate(table.rows):
        mean = row[0].startswith("mean") and not table.rows[i - 1][0].startswith("mean")
        if mean and i:
            drawn.add_section()
        drawn.add_row(*row)
    out().print(drawn)


def told(text: str, longest: int | None = _LONGEST) -> str:
    """A message, or a part of one, for a terminal: each line :func:`printable`, and without its middle if it is too long."""
    lines = map(printable, text.split("\n"))
    return "\n".join(line if longest is None or len(line) <= longest else _cut(line, longest) for line in lines)


def _cut(line: str, longest: int) -> str:
    half = longest // 2
    return f"{line[:half]} ... ({len(line) - 2 * half} characters) ... {line[-half:]}"


def warn(text: str) -> None:
    """A warning, on standard error."""
    print(told(f"warning: {text}"), file=sys.stderr, flush=True)


class LineReporter(Reporter):
    """Plain lines on standard error, at most one per ten seconds and stage."""

    def say(self, text: str) -> None:
        print(told(text), file=sys.stderr, flush=True)

    def warn(self, text: str) -> None:
        warn(text)

    @contextmanager
    def stage(self, title: str, total: int) -> Iterator[Stage]:
        self.say(f"{title} (0 of {total})")
        stage = _LineStage(self, title, total)
        yield stage
        self.say(f"{title} ({total} of {total}) in {time.monotonic() - stage.begin:.0f} s {stage.note}".rstrip())


class _LineStage(Stage):
    def __init__(self, reporter: LineReporter, title: str, total: int) -> None:
        self.reporter, self.title, self.total = reporter, title, total
        self.done, self.note = 0, ""
        self.begin = self.told = time.monotonic()

    def advance(self, done: int, note: str = "") -> None:
        self.done, self.note = self.done + done, note or self.note
        now = time.monotonic()
        if now - self.told >= _PLAIN_EVERY and self.done < self.total:
            self.told = now
            left = (now - self.begin) / self.done * (self.total - self.done)
            self.reporter.say(f"{self.title} ({self.done} of {self.total}, {left:.0f} s left) {self.note}".rstrip())


class QuietReporter(Reporter):
    """Warnings only."""

    def warn(self, text: str) -> None:
        warn(text)


class BarReporter(Reporter):
    """A progress bar per stage on a terminal."""

    def __init__(self) -> None:
        self.console = _Console(stderr=True)

    def say(self, text: str) -> None:
        self.console.print(text)

    def warn(self, text: str) -> None:
        self.console.print(f"warning: {text}", style="yellow")

    @contextmanager
    def stage(self, title: str, total: int) -> Iterator[Stage]:
        columns = (
            SpinnerColumn(),
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TimeRemainingColumn(elapsed_when_finished=True),
            TextColumn("{task.fields[note]}", markup=False),
        )
        with Progress(*columns, console=self.console) as progress:
            yield _BarStage(progress, progress.add_task(title, total=total, note=""))


class _BarStage(Stage):
    def __init__(self, progress: Progress, task: TaskID) -> None:
        self.progress, self.task = progress, task

    def advance(self, done: int, note: str = "") -> None:
        if note:
            self.progress.update(self.task, advance=done, note=note)
        else:
            self.progress.update(self.task, advance=done)


def reporter(quiet: bool) -> Reporter:
    """The reporter that fits: bars on a terminal, lines elsewhere, warnings only with ``--quiet``."""
    if quiet:
        return QuietReporter()
    return BarReporter() if sys.stderr.isatty() else LineReporter()
