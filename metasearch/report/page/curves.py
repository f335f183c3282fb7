"""Training curves: loss and dev score by meta-batch."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from metasearch.report.page.axes import WIDTH, Scale, Tick, placed
from metasearch.report.run_files import Step

HEIGHT = 220.0
LEFT, RIGHT, TOP, BOTTOM = 40.0, 10.0, 10.0, 34.0
FRAME = {"height": HEIGHT, "left": LEFT, "right": RIGHT, "bottom": BOTTOM}  # what the template needs of these
_SMOOTH_FROM = 30  # steps: above, single meta-batches are noise and a running mean is drawn over them


@dataclass(frozen=True)
class Trace:
    """A line: its colour 0..., whether it is faint, its points as SVG wants them, and those to mark: (x, y)."""

    colour: int
    faint: bool
    points: str
    dots: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Chart:
    """A line chart of steps.

    Attributes:
        title: what is drawn.
        description: the same in a sentence, with figures, for those who do not see it.
        x_ticks, y_ticks: ticks.
        traces: lines, the faint ones first.
        legend: (colour, label).
    """

    title: str
    description: str
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]
    traces: tuple[Trace, ...]
    legend: tuple[tuple[int, str], ...]


def loss_chart(folds: Sequence[Sequence[Step]]) -> Chart | None:
    """Loss by meta-batch, a line per phase; thin lines per fold, or a running mean where there are many. None without losses."""
    series = {
        phase: [[(s.step, s.loss) for s in steps if s.phase == phase and s.loss is not None] for steps in folds]
        for phase in sorted({s.phase for steps in folds for s in steps if s.loss is not None})
    }
    if not series:
        return None
    said = []
    for phase, lines in series.items():
        mean = _mean_line(lines)
        said.append(f"{phase}: from {mean[0][1]:.4g} at step {mean[0][0]} to {mean[-1][1]:.4g} at step {mean[-1][0]}")
    return _chart("loss", f"Training loss by meta-batch, mean over folds. {'; '.join(said)}.", series)


def dev_once(folds: Sequence[Sequence[Step]], metric: str) -> str:
    """A sentence instead of a curve where no fold scored dev more than once; empty if one did, or none at all."""
    lines = _dev_lines(folds)
    if max(map(len, lines)) != 1:
        return ""
    scores = [line[0][1] for line in lines if line]
    return f"Dev was scored once: {metric} x 100 = {', '.join(f'{score:.1f}' for score in scores)}."


def dev_chart(folds: Sequence[Sequence[Step]], metric: str) -> Chart | None:
    """The dev score x 100 by meta-batch. None if no fold scored dev twice."""
    lines = _dev_lines(folds)
    if max(map(len, lines)) < 2:
        return None
    mean = _mean_line(lines)
    best = max(mean, key=lambda point: point[1])
    told = f"highest {best[1]:.1f} at step {best[0]}, last {mean[-1][1]:.1f} at step {mean[-1][0]}"
    return _chart(f"dev {metric} x 100", f"Dev score by meta-batch, mean over folds: {told}.", {"dev": lines})


def _dev_lines(folds: Sequence[Sequence[Step]]) -> list[list[tuple[int, float]]]:
    return [[(s.step, 100 * s.dev) for s in steps if s.dev is not None] for steps in folds]


def _chart(title: str, description: str, series: Mapping[str, Sequence[Sequence[tuple[int, float]]]]) -> Chart:
    everything = [point for lines in series.values() for line in lines for point in line]
    across = Scale((x for x, _ in everything), LEFT + 6, WIDTH - RIGHT - 6)
    up = Scale((y for _, y in everything), HEIGHT - BOTTOM - 8, TOP + 6)
    faint, bold = [], []
    for colour, lines in enumerate(series.values()):
        drawn = [line for line in lines if line]
        mean = _mean_line(drawn)
        smoothed = _running_mean(mean, len(mean) // 12) if len(mean) > _SMOOTH_FROM else mean
        if len(drawn) > 1 or smoothed is not mean:
            faint += [_trace(line, colour, True, across, up) for line in drawn]
        bold.append(_trace(smoothed, colour, False, across, up))
    legend = tuple(enumerate(series)) if len(series) > 1 else ()
    return Chart(title, description, across.ticks(6, whole=True), up.ticks(6), tuple(faint + bold), legend)


def _trace(line: Sequence[tuple[float, float]], colour: int, faint: bool, across: Scale, up: Scale) -> Trace:
    places = [(placed(across(x)), placed(up(y))) for x, y in line]
    dots = tuple(places) if not faint and len(places) <= _SMOOTH_FROM else ()
    return Trace(colour, faint, " ".join(f"{x},{y}" for x, y in places), dots)


def _mean_line(lines: Sequence[Sequence[tuple[int, float]]]) -> list[tuple[int, float]]:
    """The mean of several lines at each step that all of them have; where there is none such, at each step of any."""
    at: dict[int, list[float]] = {}
    lines = [line for line in lines if line]
    for line in lines:
        for x, y in line:
            at.setdefault(x, []).append(y)
    shared = {x for x, values in at.items() if len(values) == len(lines)} or set(at)
    return [(x, statistics.fmean(at[x])) for x in sorted(shared)]


def _running_mean(line: Sequence[tuple[int, float]], radius: int) -> list[tuple[int, float]]:
    """Each value's mean with so many neighbours on either side, as far as there are."""
    values = [y for _, y in line]
    return [(x, statistics.fmean(values[max(0, i - radius) : i + radius + 1])) for i, (x, _) in enumerate(line)]
