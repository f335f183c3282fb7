"""Runs side by side: a table and a dot plot for each variant."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from metasearch.report.compare import Cell, doubts, side_by_side
from metasearch.report.page.axes import WIDTH, Scale, Tick, placed, shortened
from metasearch.report.page.scores import shown_score
from metasearch.report.run_files import Run


@dataclass(frozen=True)
class ComparedCell:
    """A run's mean in one column as shown, and whether it is the best."""

    shown: str
    best: bool


@dataclass(frozen=True)
class ComparedLine:
    """A run in the comparison; ``number`` is its place on the page, from 1."""

    number: int
    run: Run
    cells: tuple[ComparedCell, ...]


@dataclass(frozen=True)
class Dot:
    """A run in a dot plot: its name and number, mean, ends of mean ± std (None with one fold), and its folds."""

    name: str
    number: int
    y: float
    mean: str
    ends: tuple[str, str] | None
    folds: tuple[str, ...]


@dataclass(frozen=True)
class DotPlot:
    """The runs' means of one variant.

    Attributes:
        variant: which.
        description: the same in words.
        height: of the drawing.
        ticks: of the axis.
        dots: runs from top to bottom.
    """

    variant: str
    description: str
    height: float
    ticks: tuple[Tick, ...]
    dots: tuple[Dot, ...]


@dataclass(frozen=True)
class Comparison:
    """Runs with the same main metric.

    Attributes:
        metric: their metric.
        columns: (degree of supervision or "all languages", variants).
        lines: runs.
        plots: one per variant.
        notes: why they may not be comparable.
    """

    metric: str
    columns: tuple[tuple[str, tuple[str, ...]], ...]
    lines: tuple[ComparedLine, ...]
    plots: tuple[DotPlot, ...]
    notes: tuple[str, ...]


def comparisons(runs: Sequence[Run]) -> list[Comparison]:
    """Runs side by side, a table for each main metric. Empty with one run."""
    groups: dict[str, list[tuple[int, Run]]] = {}
    for number, run in enumerate(runs, 1):
        groups.setdefault(run.metric, []).append((number, run))
    return [_compared(group) for group in groups.values()] if len(runs) > 1 else []


def _compared(numbered: Sequence[tuple[int, Run]]) -> Comparison:
    runs = [run for _, run in numbered]
    found = side_by_side(runs)
    parts = {part: tuple(v for p, v in found if p == part) for part, _ in found}
    columns = [[ComparedCell(shown_score(c.summary), best) for c, best in _marked(found[p, v])] for p in parts for v in parts[p]]
    lines = tuple(ComparedLine(number, run, tuple(column[i] for column in columns)) for i, (number, run) in enumerate(numbered))
    titles = tuple((part or "all languages", variants) for part, variants in parts.items())
    plots = tuple(_dot_plot(runs[0].metric, variant, numbered, found[None, variant]) for variant in parts[None])
    return Comparison(runs[0].metric, titles, lines, plots, tuple(doubts(runs, runs[0])))


def _marked(cells: Sequence[Cell]) -> list[tuple[Cell, bool]]:
    """Each cell and whether it is the best; none is if there are not two to choose from, or all are equal."""
    choice = len({cell.rank for cell in cells} - {None}) > 1
    return [(cell, choice and cell.rank == 1) for cell in cells]


def _dot_plot(metric: str, variant: str, runs: Sequence[tuple[int, Run]], cells: Sequence[Cell]) -> DotPlot:
    found = [(number, run, cell.summary) for (number, run), cell in zip(runs, cells, strict=True) if cell.summary.folds]
    ends = [(s.mean - (s.std or 0), s.mean + (s.std or 0)) for _, _, s in found]
    values = [v for (_, _, s), both in zip(found, ends, strict=True) for v in (*s.folds, *both)]
    across = Scale((100 * v for v in values), 14, WIDTH - 14, least=2.0)
    dots = tuple(
        Dot(
            shortened(run.name, 44),
            number,
            28.0 + 36 * i,
            placed(across(100 * summary.mean)),
            None if summary.std is None else (placed(across(100 * ends[i][0])), placed(across(100 * ends[i][1]))),
            tuple(placed(across(100 * v)) for v in summary.folds) if len(summary.folds) > 1 else (),
        )
        for i, (number, run, summary) in enumerate(found)
    )
    said = "; ".join(f"{run.name}: {shown_score(summary)}" for _, run, summary in found)
    return DotPlot(variant, f"Mean {metric} x 100, {variant}. {said}.", 36.0 * len(found) + 26, across.ticks(6), dots)
