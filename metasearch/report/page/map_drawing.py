"""Maps of embeddings before and after training."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, replace

from metasearch.report.page.axes import WIDTH, placed, shortened
from metasearch.report.run_files import SIDES, Point

HEIGHT, _EDGE = 300.0, 10.0
_LONGEST_TOOLTIP = 200


@dataclass(frozen=True)
class Mark:
    """A point of the map: its place, language number, shape (else a circle) and tooltip."""

    x: str
    y: str
    language: int
    triangle: bool
    about: str


@dataclass(frozen=True)
class MapPanel:
    """A map.

    Attributes:
        title: ``"before training"`` or ``"after training"``.
        marks: its points.
        threads: (language number, SVG path) of lines from each text to the middle of its pair.
        spread: mean distance of a text to the middle of its pair, as a share of its mean distance to the middle of all; None if
            no pair has two texts.
    """

    title: str
    marks: tuple[Mark, ...]
    threads: tuple[tuple[int, str], ...]
    spread: float | None


@dataclass(frozen=True)
class MapView:
    """The maps of a fold.

    Attributes:
        fold: None without a split.
        languages: their numbers are their places here.
        sides: which kinds of text there are.
        panels: before (if known) and after training.
        texts: all points.
    """

    fold: int | None
    languages: tuple[str, ...]
    sides: tuple[str, ...]
    panels: tuple[MapPanel, ...]
    texts: tuple[Point, ...]


def map_view(points: Sequence[Point], fold: int | None = None) -> MapView | None:
    """Draw the map of a fold. None if there is no point, or all points coincide (an encoder without embeddings)."""
    languages = tuple(sorted({p.language for p in points}))
    panels = []
    for title, places in (
        ("before training", [(p, p.before) for p in points if p.before is not None]),
        ("after training", [(p, p.after) for p in points]),
    ):
        if len({place for _, place in places}) > 1:
            panels.append(_map_panel(title, places, languages))
    if not panels or panels[-1].title != "after training":
        return None
    if len(panels) == 1:
        panels = [replace(panels[0], title="")]
    sides = tuple(side for side in SIDES if any(p.side == side for p in points))
    return MapView(fold, languages, sides, tuple(panels), tuple(points))


def _map_panel(title: str, places: Sequence[tuple[Point, tuple[float, float]]], languages: Sequence[str]) -> MapPanel:
    xs, ys = [place[0] for _, place in places], [place[1] for _, place in places]
    # The same scale on both axes: distances are what the map is about.
    unit = max((max(xs) - min(xs)) / (WIDTH - 2 * _EDGE), (max(ys) - min(ys)) / (HEIGHT - 2 * _EDGE))
    middle = (min(xs) + max(xs)) / 2, (min(ys) + max(ys)) / 2

    def put(place: tuple[float, float]) -> tuple[str, str]:
        x, y = (place[0] - middle[0]) / unit, (place[1] - middle[1]) / unit
        return placed(WIDTH / 2 + x), placed(HEIGHT / 2 - y)

    number = {language: i for i, language in enumerate(languages)}
    pairs: dict[str, list[tuple[Point, tuple[float, float]]]] = {}
    for point, place in places:
        pairs.setdefault(point.pair, []).append((point, place))
    lines: dict[int, list[str]] = {}
    inside: list[float] = []
    for members in pairs.values():
        if len(members) > 1:
            centre = statistics.fmean(p[0] for _, p in members), statistics.fmean(p[1] for _, p in members)
            for point, place in members:
                inside.append(math.dist(place, centre))
                path = "M{} {}L{} {}".format(*put(place), *put(centre))
                lines.setdefault(number[point.language], []).append(path)
    whole = statistics.fmean(xs), statistics.fmean(ys)
    outside = statistics.fmean(math.dist(place, whole) for _, place in places)
    marks = []
    two_sides = len({point.side for point, _ in places}) > 1
    for point, place in sorted(places, key=lambda found: -SIDES.index(found[0].side)):  # questions on top
        about = f"{point.language}, {point.side}, {point.pair}: {shortened(point.text, _LONGEST_TOOLTIP)}"
        marks.append(Mark(*put(place), number[point.language], two_sides and point.side == "query", about))
    threads = tuple((language, "".join(paths)) for language, paths in sorted(lines.items()))
    return MapPanel(title, tuple(marks), threads, statistics.fmean(inside) / outside if inside else None)
