"""Tables of scores by language or track, before and after training."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from metasearch.evaluation import VARIANTS, Row
from metasearch.report.run_files import DEGREES, Pool, Run, pool_of
from metasearch.report.summary import Summary, summarise

MINUS, NOTHING = "\u2212", "\u2013"


@dataclass(frozen=True)
class Change:
    """A difference x 100 as shown, and whether it is ``"better"``, ``"worse"`` or the ``"same"``."""

    shown: str
    verdict: str


@dataclass(frozen=True)
class Cell:
    """A score before (None: not known) and after training, as shown."""

    before: str | None
    after: str
    change: Change | None


@dataclass(frozen=True)
class Line:
    """A line of a score table: a language, a track or a mean."""

    title: str
    is_mean: bool
    cells: tuple[Cell, ...]


@dataclass(frozen=True)
class Group:
    """Lines that belong together: ``"few-shot"``, ``"zero-shot"`` or ``"all"``."""

    title: str
    lines: tuple[Line, ...]


@dataclass(frozen=True)
class ScoreTable:
    """Scores of one metric.

    Attributes:
        metric: its name.
        rows_are: what a line is.
        columns: what is scored; every column is before, after and change if ``both``.
        both: whether there are scores before training.
        groups: few-shot, zero-shot, all.
    """

    metric: str
    rows_are: str
    columns: tuple[str, ...]
    both: bool
    groups: tuple[Group, ...]


def score_table(run: Run, metric: str) -> ScoreTable:
    """Scores by language of the question, or by track for sentence pairs; means over folds with standard deviation."""
    after = [r for r in run.scores if r.metric == metric]
    before = [r for r in run.before if r.metric == metric]
    variants = [v for v in VARIANTS if any(r.variant == v for r in after)]
    seen = run.seen
    degrees = [d for d in DEGREES if any(r.supervision == d for r in after)]

    def line(title: str, keep: Callable[[Row], bool], columns: Sequence[str], is_mean: bool = False) -> Line:
        new, old = [r for r in after if keep(r)], [r for r in before if keep(r)]
        summaries = [(summarise(new, metric, v), summarise(old, metric, v)) for v in columns]
        return Line(title, is_mean, tuple(_cell(*both, run.higher_is_better, bool(before)) for both in summaries))

    def means(title: str, keep: Callable[[Row], bool]) -> list[Line]:
        if not run.symmetric:
            return [line(title, keep, variants, is_mean=True)]
        return [
            line(f"{title}, {v}", keep, (v,), is_mean=True) for v in variants if any(r.variant == v and keep(r) for r in after)
        ]

    def lines(degree: str) -> list[Line]:
        if run.symmetric:
            tracks = {pool_of(r) for r in after if r.supervision == degree}
            return [line(_track(t), _of(t), (t[0],)) for t in sorted(tracks, key=lambda t: (VARIANTS.index(t[0]), t))]
        languages = {r.query_language for r in after if (r.query_language in seen) == (degree == "few-shot")}
        return [line(language, _where(query_language=language), variants) for language in sorted(languages)]

    groups = [Group("all", tuple(means("mean", lambda row: True)))]
    for degree in reversed(degrees):
        summed = means(f"mean, {degree}", _where(supervision=degree)) if len(degrees) > 1 else []
        groups.insert(0, Group(degree, (*lines(degree), *summed)))
    columns = (metric,) if run.symmetric else tuple(variants)
    return ScoreTable(metric, "track" if run.symmetric else "questions in", columns, bool(before), tuple(groups))


def _where(**wanted: object) -> Callable[[Row], bool]:
    return lambda row: all(getattr(row, name) == value for name, value in wanted.items())


def _of(pool: Pool) -> Callable[[Row], bool]:
    return lambda row: pool_of(row) == pool


def _track(pool: Pool) -> str:
    return f"{pool[1]} \u2013 {', '.join(pool[2])}"


def _cell(after: Summary, before: Summary, higher_is_better: bool, both: bool) -> Cell:
    if not both:
        return Cell(None, shown_score(after), None)
    return Cell(shown_score(before), shown_score(after), change(after.mean - before.mean, higher_is_better))


def shown_score(summary: Summary) -> str:
    """X 100, with the deviation over folds; a dash where nothing was scored."""
    return summary.shown().replace("-", MINUS) if summary.folds else NOTHING


def hundredfold(value: float, form: str = ".1f") -> str:
    """X 100 as shown."""
    return format(100 * value, form).replace("-", MINUS)


def change(difference: float, higher_is_better: bool = True) -> Change | None:
    """A difference as shown; None if it is not a number.

    Example:
        >>> change(-0.0312)
        Change(shown='−3.1', verdict='worse')
    """
    if math.isnan(difference):
        return None
    points = round(100 * difference, 1)
    if points == 0:
        return Change("0.0", "same")
    return Change(hundredfold(difference, "+.1f"), "better" if (points > 0) == higher_is_better else "worse")


def tiles(run: Run) -> list[tuple[str, Cell]]:
    """The mean of each variant in the main metric."""
    found = []
    for variant in run.variants:
        after, before = (summarise(rows, run.metric, variant) for rows in (run.rows, run.before))
        found.append((variant, _cell(after, before, run.higher_is_better, bool(before.folds))))
    return found
