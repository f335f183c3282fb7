"""Training curves by meta-batch: loss, dev score, and what the inner loops did."""

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


def adaptation_charts(folds: Sequence[Sequence[Step]]) -> list[Chart]:
    """What the inner loops did, as far as the log says: query loss before and after, move of the weights, second-order share."""
    students = [step.adaptation for steps in folds for step in steps if "student_move" in step.adaptation]
    teacher = "teacher" if students else "inner loop"
    charts = [
        _query_chart(folds, "query", "query loss before and after the inner loop" + (", teacher" if students else "")),
        _query_chart(folds, "student", "query loss before and after the inner loop, student"),
        _measure_chart(
            folds,
            {teacher: "move", "student": "student_move"},
            1e3,
            "relative move of the weights x 1000",
            "How far the inner loop moves the weights that it moves, relative to their size, x 1000",
        ),
        _measure_chart(
            folds,
            {teacher: "second_order_share", "student": "student_second_order_share"},
            100.0,
            "second-order share of the meta-gradient, %",
            "How much of the meta-gradient is due to its way back through the inner steps, in percent",
        ),
    ]
    return [chart for chart in charts if chart]


def adaptation_notes(folds: Sequence[Sequence[Step]]) -> list[str]:
    """What the charts of query losses say, in a sentence each, because their two lines may lie on one another."""
    told = {"query loss": _told(folds, "query"), "query loss of the student": _told(folds, "student")}
    return [f"{what.capitalize()}, {words}." for what, words in told.items() if words]


def _told(folds: Sequence[Sequence[Step]], role: str) -> str:
    """The mean query loss before and after the inner loop in words; empty where it was not logged."""
    both = [s.adaptation for steps in folds for s in steps if {f"{role}_before", f"{role}_after"} <= s.adaptation.keys()]
    if not both:
        return ""
    before, after = (statistics.fmean(measured[f"{role}_{when}"] for measured in both) for when in ("before", "after"))
    change = f", {100 * abs(after / before - 1):.2g} % {'lower' if after <= before else 'higher'}" if before else ""
    return f"mean over all meta-batches: {before:.5g} before the inner loop, {after:.5g} after{change}"


def _query_chart(folds: Sequence[Sequence[Step]], role: str, title: str) -> Chart | None:
    told = _told(folds, role)
    if not told:
        return None
    series = {when: _measured(folds, f"{role}_{when}") for when in ("before", "after")}
    return _chart(title, f"{title.capitalize()}, by meta-batch, mean over folds; {told}.", series)


def _measure_chart(
    folds: Sequence[Sequence[Step]], keys: Mapping[str, str], unit: float, title: str, meaning: str
) -> Chart | None:
    """A line for each inner loop: label -> key in the log."""
    measured = {label: _measured(folds, key, unit) for label, key in keys.items()}
    series = {label: lines for label, lines in measured.items() if any(lines)}
    if not series:
        return None
    told = []
    for label, lines in series.items():
        mean = _mean_line(lines)
        told.append(f"{label}: from {mean[0][1]:.3g} at step {mean[0][0]} to {mean[-1][1]:.3g} at step {mean[-1][0]}")
    return _chart(title, f"{meaning}, by meta-batch, mean over folds. {'; '.join(told)}.", series)


def _measured(folds: Sequence[Sequence[Step]], key: str, unit: float = 1.0) -> list[list[tuple[int, float]]]:
    return [[(s.step, unit * s.adaptation[key]) for s in steps if key in s.adaptation] for steps in folds]


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
