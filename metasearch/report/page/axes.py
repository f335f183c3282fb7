"""From values to places in a drawing, and round values along its edge."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from metasearch.report.page.scores import MINUS

WIDTH = 360.0  # of every drawing


@dataclass(frozen=True)
class Tick:
    """A place on an axis, in the units of the drawing, and its label."""

    place: str
    label: str


class Scale:
    """Maps values to places in a drawing.

    Args:
        values: what has to fit in.
        start, end: places of the ends.
        least: values span at least this, so that a small difference does not look large.
    """

    def __init__(self, values: Iterable[float], start: float, end: float, least: float = 0.0) -> None:
        values = list(values)
        self.low, self.high = min(values), max(values)
        if self.high - self.low <= 1e-9 * max(abs(self.low), abs(self.high)):
            least = max(least, abs(self.low) / 5 or 1.0)
        room = max(0.0, least - (self.high - self.low)) / 2
        self.low, self.high = self.low - room, self.high + room
        self.start, self.end = start, end

    def __call__(self, value: float) -> float:
        return self.start + (value - self.low) / (self.high - self.low) * (self.end - self.start)

    def ticks(self, most: int, whole: bool = False) -> tuple[Tick, ...]:
        """At most so many round values within the ends; with ``whole`` only whole numbers."""
        step = 10.0 ** math.floor(math.log10((self.high - self.low) / most))
        while (self.high - self.low) / step > most or (whole and step < 1):
            # 1, 2, 5, 10, 20, ...
            step *= 2.5 if f"{step:.0e}"[0] == "2" else 2.0
        digits = max(0, -math.floor(math.log10(step) + 1e-9))
        form = f".{digits}f" if digits <= 4 and step < 1e6 else ".3g"
        numbers = range(math.ceil(self.low / step - 1e-9), math.floor(self.high / step + 1e-9) + 1)
        return tuple(Tick(placed(self(i * step)), f"{i * step:{form}}".replace("-", MINUS)) for i in numbers)


def placed(value: float) -> str:
    """A coordinate as SVG wants it."""
    return f"{value:.1f}"


def shortened(text: str, most: int) -> str:
    """A text of at most so many characters."""
    return text if len(text) <= most else text[: most - 1] + "…"
