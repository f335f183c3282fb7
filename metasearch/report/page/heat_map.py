"""The main metric by language of question and candidates, as coloured tables."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from metasearch.evaluation import Row
from metasearch.report.page.colours import LEVELS
from metasearch.report.page.scores import Change, change, hundredfold, shown_score
from metasearch.report.run_files import Run
from metasearch.report.summary import Summary, summarise


@dataclass(frozen=True)
class HeatCell:
    """A cell of a heat map: its text, its colour 0 to 12, and what a pointer is told. ``level`` -1: nothing was scored."""

    text: str
    level: int
    about: str


@dataclass(frozen=True)
class HeatPanel:
    """A heat map.

    Attributes:
        title: ``"before training"``, ...
        kind: ``"heat"`` (low to high) or ``"diff"`` (worse to better).
        columns: languages of the candidates.
        rows: (language of the questions, its cells).
        low, high: what the ends of the colour scale stand for, as shown.
    """

    title: str
    kind: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, tuple[HeatCell, ...]], ...]
    low: str
    high: str


def heat_panels(run: Run) -> list[HeatPanel]:
    """The main metric by language of question and candidates: before, after, change. Empty without bi and mono rows."""
    after, before = (_by_pair(rows, run.metric) for rows in (run.scores, run.before))
    before = {pair: found for pair, found in before.items() if pair in after}
    if not after:
        return []
    seen = run.seen

    def ordered(languages: Iterable[str]) -> tuple[str, ...]:
        return tuple(sorted(set(languages), key=lambda x: (x not in seen, x)))

    rows, columns = ordered(pair[0] for pair in after), ordered(pair[1] for pair in after)
    means = [s.mean for table in (after, before) for s, _ in table.values()]
    low, high = min(means), max(max(means), min(means) + 0.02)  # a spread below 2 points is not worth all colours

    def panel(title: str, kind: str, cells: Mapping[tuple[str, str], HeatCell], ends: tuple[float, float]) -> HeatPanel:
        nothing = HeatCell("", -1, "not scored")
        body = tuple((x, tuple(cells.get((x, y), nothing) for y in columns)) for x in rows)
        signed = "+" if kind == "diff" else ""
        shown = [hundredfold(end, f"{signed}.1f") for end in ends]
        return HeatPanel(title, kind, columns, body, shown[0], shown[1])

    def scores(title: str, table: Mapping[tuple[str, str], tuple[Summary, Row]]) -> HeatPanel:
        cells = {}
        for pair, (summary, row) in table.items():
            level = round((summary.mean - low) / (high - low) * (LEVELS - 1))
            about = _about(run, row, f"{shown_score(summary)} {run.metric} x 100")
            cells[pair] = HeatCell(hundredfold(summary.mean), level, about)
        return panel(title, "heat", cells, (low, high))

    found = [scores("before training", before)] if before else []
    found.append(scores("after training" if before else "", after))
    if before:
        differences = {pair: after[pair][0].mean - before[pair][0].mean for pair in before}
        most = max(0.02, *map(abs, differences.values()))
        cells = {}
        for pair, difference in differences.items():
            goodness = difference if run.higher_is_better else -difference
            level = round((goodness / most + 1) / 2 * (LEVELS - 1))
            told = change(difference, run.higher_is_better) or Change("", "same")
            cells[pair] = HeatCell(told.shown, level, _about(run, after[pair][1], f"{told.shown} points, {told.verdict}"))
        found.append(panel("change", "diff", cells, (-most, most) if run.higher_is_better else (most, -most)))
    return found


def _by_pair(rows: Sequence[Row], metric: str) -> dict[tuple[str, str], tuple[Summary, Row]]:
    """(question language, candidate language) -> mean over folds, and the first of its rows."""
    groups: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        if row.metric == metric and row.variant != "multi":
            groups.setdefault((row.query_language, row.candidate_languages[0]), []).append(row)
    return {pair: (summarise(group, metric, group[0].variant), group[0]) for pair, group in groups.items()}


def _about(run: Run, row: Row, value: str) -> str:
    sides = ("first sentence", "second sentence") if run.symmetric else ("questions", "candidates")
    return f"{sides[0]} in {row.query_language}, {sides[1]} in {row.candidate_languages[0]}: {value} ({row.supervision})"
