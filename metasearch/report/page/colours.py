"""Colours of the page: every number on a coloured cell can be read, with any kind of colour vision."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

# From low to high; blue, so that no kind of colour blindness loses it. In the dark, low is dark and high is bright.
LOW_TO_HIGH = {"light": ("#f4f8fc", "#a9cde9", "#3a82bd", "#0b3c6f"), "dark": ("#18222d", "#1d4c77", "#4a97d0", "#d5ebfc")}
# From worse over unchanged to better; orange and blue are told apart by everybody.
WORSE_TO_BETTER = {
    "light": ("#a84a00", "#f0a85c", "#f6f6f4", "#7db8e0", "#125a9c"),
    "dark": ("#ffb163", "#8f4d10", "#20252c", "#1c5a8c", "#86c9fa"),
}
LEVELS = 13  # odd, so that there is a middle
# Okabe and Ito 2008: eight colours that the colour-blind can tell apart (black is white in the dark: see the template).
PALETTE = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#d55e00", "#56b4e9", "#f0e442", "#000000")


@dataclass(frozen=True)
class Shade:
    """A cell's background and the text colour that can be read on it, as ``#rrggbb``."""

    background: str
    text: str


def contrast(first: str, second: str) -> float:
    """Contrast ratio of two ``#rrggbb`` colours, 1 to 21 (WCAG 2.2)."""
    lights = sorted((_luminance(_rgb(first)), _luminance(_rgb(second))))
    return (lights[1] + 0.05) / (lights[0] + 0.05)


def shades(stops: Sequence[str], count: int = LEVELS) -> list[Shade]:
    """So many colours, evenly between the stops, each with black or white text, whichever reads better (at least 4.5 : 1)."""
    found = []
    for i in range(count):
        place = i / (count - 1) * (len(stops) - 1)
        left = min(int(place), len(stops) - 2)
        mix = zip(_rgb(stops[left]), _rgb(stops[left + 1]), strict=True)
        background = "#" + "".join(f"{round(a + (b - a) * (place - left)):02x}" for a, b in mix)
        found.append(Shade(background, max(("#000000", "#ffffff"), key=lambda text: contrast(text, background))))
    return found


def _rgb(colour: str) -> tuple[int, int, int]:
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)


def _luminance(rgb: tuple[int, int, int]) -> float:
    linear = [c / 3294.6 if c <= 10 else ((c / 255 + 0.055) / 1.055) ** 2.4 for c in rgb]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
