"""How a run tells what it is doing. The runner talks to a Reporter; the command line brings one that draws."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


class Reporter:
    """Says nothing. Subclasses override what they show."""

    def say(self, text: str) -> None:
        """One line of news."""

    def warn(self, text: str) -> None:
        """One line that the user should act on or know of."""

    @contextmanager
    def stage(self, title: str, total: int) -> Iterator[Stage]:
        """A stretch of work of ``total`` units (texts, tasks)."""
        yield Stage()


class Stage:
    """One stretch of work in progress."""

    def advance(self, done: int, note: str = "") -> None:
        """``done`` more units are finished; ``note`` says how it goes, for example the loss."""
