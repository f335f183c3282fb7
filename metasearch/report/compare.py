"""Run folders side by side: means over folds, ranks, and whether a difference is more than chance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from metasearch.core import expand
from metasearch.errors import ConfigError
from metasearch.evaluation import OWN_LANGUAGE, VARIANTS
from metasearch.report.run_files import DEGREES, Pool, Run, Scored, pool_of, read_run, read_runs, read_scored, run_paths
from metasearch.report.significance import RESAMPLES, TestResult, paired_pearson_test, paired_test, rank_column, ranks_within
from metasearch.report.summary import Summary, Table, summarise

__all__ = ["Cell", "Comparison", "compare", "doubts", "read_run", "run_table", "side_by_side"]


@dataclass(frozen=True)
class Cell:
    """One run in one column.

    Attributes:
        summary: mean and standard deviation over folds.
        rank: from best (1) to worst; None without a mean.
        test: against the baseline; None for the baseline itself, or where nothing could be tested.
    """

    summary: Summary
    rank: int | None
    test: TestResult | None = None

    def shown(self) -> str:
        """As in the paper: mean ± std (rank)."""
        return self.summary.shown() if self.rank is None else f"{self.summary.shown()} ({self.rank})"

    def to_json(self) -> dict[str, Any]:
        """Plain values; fractions."""
        test = self.test
        return {
            "mean": None if self.rank is None else self.summary.mean,
            "std": self.summary.std,
            "folds": list(self.summary.folds),
            "rank": self.rank,
            "test": test and {**vars(test), "significant_at": test.significance},
        }


@dataclass(frozen=True)
class Comparison:
    """Runs side by side.

    Attributes:
        runs: in the order of the rows.
        baseline: the run that the others are tested against, one of ``runs``.
        higher_is_better: direction of the metric.
        columns: (None, variant) -> cells of all runs; ("few-shot" or "zero-shot", variant) as well where there are both.
        seed: of the randomisation.
        warnings: why figures may not be comparable, or are missing.
    """

    runs: tuple[Run, ...]
    baseline: Run
    higher_is_better: bool
    columns: Mapping[tuple[str | None, str], tuple[Cell, ...]]
    seed: int
    warnings: tuple[str, ...]

    @property
    def _variants(self) -> list[str]:
        return [variant for part, variant in self.columns if part is None]

    @property
    def _own_language(self) -> list[Summary]:
        return [summarise(run.scores, OWN_LANGUAGE, "multi") for run in self.runs]

    def tables(self) -> list[Table]:
        """All languages with p-values, then few-shot and zero-shot parts if there are both."""
        header, body = ["run"], [[run.label] for run in self.runs]
        for variant in self._variants:
            header += [variant, f"p ({variant})"]
            for run, cells, cell in zip(self.runs, body, self.columns[None, variant], strict=True):
                cells += [cell.shown(), "baseline" if run is self.baseline else _shown_p(cell.test)]
        if any(own.folds for own in self._own_language):
            header.append(OWN_LANGUAGE)  # no score: neither rank nor test
            body = [[*cells, own.shown()] for cells, own in zip(body, self._own_language, strict=True)]
        title = f"{self.baseline.metric} x 100 (rank)"
        found = [Table(title, tuple(header), tuple(map(tuple, body)))]
        parts = [column for column in self.columns if column[0] is not None]
        if parts:
            header = ["run", *(f"{variant} {part}" for part, variant in parts)]
            body = [[run.label, *(self.columns[part][i].shown() for part in parts)] for i, run in enumerate(self.runs)]
            found.append(Table(f"{title}, few-shot and zero-shot apart", tuple(header), tuple(map(tuple, body))))
        return found

    def footnotes(self) -> list[str]:
        """What the p-values say, in words."""
        unit = "sentence pair" if self.baseline.symmetric else "question (in all its languages together)"
        notes: list[str] = []
        tests = 0
        for i, run in enumerate(self.runs):
            said: list[str] = []
            for variant in self._variants:
                test = self.columns[None, variant][i].test
                if test is not None:
                    said.append(f"{variant} {self._verdict(test)}")
            tests += len(said)
            if said:
                notes.append(f"{run.label} against {self.baseline.label}: {'; '.join(said)}")
        if not tests:
            return []
        first = f"p: two-sided paired randomisation test, up to {RESAMPLES} resamples, one {unit} as the unit; "
        several = "not corrected for the number of tests; " if tests > 1 else ""
        return [f"{first}{several}** below 0.01, * below 0.05", *notes]

    def _verdict(self, test: TestResult) -> str:
        on = f"n = {test.units}"
        if test.significance is None:
            return f"no significant difference (p = {test.p:.4f}, {on})"
        better = "better" if (test.difference > 0) == self.higher_is_better else "worse"
        return f"significantly {better} at p < {test.significance} (p = {test.p:.4f}, {on})"

    def to_json(self) -> dict[str, Any]:
        """Everything, as plain values; fractions."""
        return {
            "schema": 1,
            "metric": self.baseline.metric,
            "higher_is_better": self.higher_is_better,
            "baseline": str(self.baseline.path),
            "seed": self.seed,
            "runs": [
                {
                    "run": str(run.path),
                    "label": run.label,
                    "algorithm": run.algorithm,
                    "fingerprint": run.fingerprint,
                    "folds": run.folds,
                    "own_language": self._own_language[i].mean if self._own_language[i].folds else None,
                    "scores": {
                        part or "all": {v: cells[i].to_json() for (p, v), cells in self.columns.items() if p == part}
                        for part in dict.fromkeys(part for part, _ in self.columns)
                    },
                }
                for i, run in enumerate(self.runs)
            ],
            "notes": self.footnotes(),
            "warnings": list(self.warnings),
        }


def _shown_p(test: TestResult | None) -> str:
    if test is None:
        return "-"
    return f"{test.p:.4f}" + {0.01: " **", 0.05: " *", None: ""}[test.significance]


def compare(folders: Sequence[str], baseline: str | None = None, seed: int = 0) -> Comparison:
    """Compare runs: what ``metasearch compare`` does.

    Args:
        folders: run folders, in the order of the rows.
        baseline: the run folder that the others are tested against, in front if not among ``folders``; None: the first.
        seed: of the randomisation tests.

    Raises:
        ConfigError: fewer than two runs, one twice, not a run folder, or runs of different metrics.
        DataError: a file of a run is broken.
    """
    if seed < 0:
        raise ConfigError(f"--seed {seed}: expected 0 or more")
    runs, base = _read_runs(folders, baseline)
    warnings = doubts(runs, base)
    if base.direction is None:
        warnings.append(f"metric {base.metric} is not installed here; taken as better when higher")
    tests = _tests(runs, base, seed, warnings)
    columns = {
        (part, variant): tuple(
            replace(cell, test=None if part else tests.get((run.path, variant))) for run, cell in zip(runs, cells, strict=True)
        )
        for (part, variant), cells in side_by_side(runs).items()
    }
    return Comparison(tuple(runs), base, base.higher_is_better, columns, seed, tuple(warnings))


def side_by_side(runs: Sequence[Run]) -> dict[tuple[str | None, str], tuple[Cell, ...]]:
    """Means and ranks of runs of the same metric, without tests: the columns of a :class:`Comparison`."""
    variants = [v for v in VARIANTS if any(v in run.variants for run in runs)]
    # A pool on which runs do not agree is in neither part: a column has to be the mean of the same things in every row.
    degrees = {pool: next(iter(found)) for pool, found in _degrees(runs).items() if len(found) == 1}
    parts = DEGREES if set(degrees.values()) == set(DEGREES) else ()
    found: dict[tuple[str | None, str], tuple[Cell, ...]] = {}
    for part, variant in [*((None, v) for v in variants), *((part, v) for v in variants for part in parts)]:
        rows = [[row for row in run.rows if part in (None, degrees.get(pool_of(row)))] for run in runs]
        summaries = [summarise(of_run, run.metric, variant) for run, of_run in zip(runs, rows, strict=True)]
        if any(s.folds for s in summaries):
            ranks = rank_column([s.mean for s in summaries], runs[0].higher_is_better)
            found[part, variant] = tuple(Cell(s, rank if s.folds else None) for s, rank in zip(summaries, ranks, strict=True))
    return found


def doubts(runs: Sequence[Run], base: Run) -> list[str]:
    """Why the means of these runs may not be of the same thing."""
    found = [doubt for run in runs if run is not base for doubt in _mismatches(run, base)]
    if any(len(degrees) > 1 for degrees in _degrees(runs).values()):
        found.append("runs were trained on different languages: the few-shot and zero-shot parts hold what is so in all of them")
    return found


def run_table(folders: Sequence[Path]) -> Table:
    """One line per run: its folder and the mean of its main metric in each variant, without tests.

    Raises:
        ConfigError, DataError: as :func:`read_run`.
    """
    runs = [read_run(folder) for folder in folders]
    metrics = list(dict.fromkeys(run.metric for run in runs))
    columns = [(m, v) for m in metrics for v in VARIANTS if any(run.metric == m and v in run.variants for run in runs)]
    return Table(
        "scores x 100",
        ("run", *(f"{metric} {variant}" for metric, variant in columns)),
        tuple((run.path.name, *(summarise(run.rows, *column).shown() for column in columns)) for run in runs),
    )


def _read_runs(folders: Sequence[str], baseline: str | None) -> tuple[list[Run], Run]:
    paths = run_paths(folders)
    first = 0
    if baseline is not None:
        wanted = expand(baseline, "--baseline")
        places = [path.resolve() for path in paths]
        if wanted.resolve() in places:
            first = places.index(wanted.resolve())
        else:
            paths.insert(0, wanted)
    if len(paths) < 2:
        raise ConfigError(f"compare: {len(paths)} run given; expected two or more run folders")
    runs = read_runs(paths)
    base = runs[first]
    for run in runs:
        if run.metric != base.metric:
            raise ConfigError(
                f"{run.path}: its main metric is {run.metric}, but {base.path} has {base.metric}; expected the same"
            )
    return runs, base


def _mismatches(run: Run, base: Run) -> list[str]:
    found: list[str] = []
    if run.fingerprint is None or run.fingerprint != base.fingerprint:
        prints = [f"{(r.fingerprint or 'unknown')[:12]} of {r.label}" for r in (run, base)]
        found.append(f"not known to be the same data: fingerprints {' and '.join(prints)} differ or are missing")
    for what, ours, theirs in (
        ("folds", run.folds, base.folds),
        ("splits", sorted({r.split for r in run.rows}), sorted({r.split for r in base.rows})),
    ):
        if ours != theirs:
            lists = [", ".join("none" if x is None else str(x) for x in values) for values in (ours, theirs)]
            found.append(
                f"{what} differ, so other questions and candidates may have been scored: "
                f"{run.label} has {lists[0]}, {base.label} has {lists[1]}"
            )
    pools = [
        {pool_of(row) for row in r.rows if row.variant in run.variants and row.variant in base.variants} for r in (run, base)
    ]
    odd = sorted(pools[0] ^ pools[1])
    if odd:
        variant, language, pool = odd[0]
        found.append(
            f"{run.label} and {base.label} were scored in different languages, so their means are not of the same: {len(odd)} "
            f"pools are in one only, the first: {variant}, questions in {language}, candidates in {', '.join(pool)}"
        )
    return found


def _degrees(runs: Sequence[Run]) -> dict[Pool, set[str]]:
    """Pool -> what it is to these runs; of a run that trained nothing all is zero-shot, so the others decide."""
    found: dict[Pool, set[str]] = {}
    for run in runs:
        if any(row.supervision == "few-shot" for row in run.rows):
            for row in run.rows:
                found.setdefault(pool_of(row), set()).add(row.supervision)
    return found


def _tests(runs: Sequence[Run], base: Run, seed: int, warnings: list[str]) -> dict[tuple[Path, str], TestResult]:
    """(run, variant) -> test against the baseline, where both have results of single questions."""
    scored: dict[Path, dict[tuple[Pool, str], Scored]] = {}
    for run in runs:
        try:
            scored[run.path] = read_scored(run)
        except FileNotFoundError as error:
            warnings.append(f"{error}: not there, so {run.label} cannot be tested for significance")
    found: dict[tuple[Path, str], TestResult] = {}
    for run in runs:
        if run is base or run.path not in scored or base.path not in scored:
            continue
        for variant in VARIANTS:
            if variant in run.variants and variant in base.variants:
                try:
                    found[run.path, variant] = _test(run, base, scored[run.path], scored[base.path], variant, seed, warnings)
                except ValueError as error:
                    warnings.append(f"{run.label} against {base.label}, {variant}: not tested: {error}")
    return found


def _test(
    run: Run,
    base: Run,
    ours: Mapping[tuple[Pool, str], Scored],
    theirs: Mapping[tuple[Pool, str], Scored],
    variant: str,
    seed: int,
    warnings: list[str],
) -> TestResult:
    """Test one variant on what both runs scored.

    Raises:
        ValueError: it cannot be tested; the message says why.
    """
    what = "sentence pairs" if base.symmetric else "questions"
    keys = sorted(key for key in ours.keys() & theirs.keys() if key[0][0] == variant)
    if not keys:
        raise ValueError(f"no {what} in common")
    ids = [query for _, query in keys]
    every = {query for pool, query in ours.keys() | theirs.keys() if pool[0] == variant}
    if len(set(ids)) < len(every):
        warnings.append(
            f"{run.label} against {base.label}, {variant}: tested on the {len(set(ids))} of {len(every)} {what} that both have"
        )
    pairs = [(ours[key], theirs[key]) for key in keys]
    values, reference = [a.value for a, _ in pairs], [b.value for _, b in pairs]
    if not base.symmetric:
        return paired_test(values, reference, ids, seed)
    if any(abs(a.gold - b.gold) > 1e-9 for a, b in pairs):
        raise ValueError("the same pairs have different gold scores")
    # r is computed per fold, as in results.json: predictions of the models of two folds need not be on one scale.
    tracks = [(*pool, a.fold, b.fold) for (pool, _), (a, b) in zip(keys, pairs, strict=True)]
    run_column, base_column, gold = (np.array(column) for column in (values, reference, [a.gold for a, _ in pairs]))
    if base.metric == "spearman":  # Pearson's r of ranks within each track
        run_column, base_column, gold = (ranks_within(column, tracks) for column in (run_column, base_column, gold))
    return paired_pearson_test(run_column, base_column, gold, tracks, ids, seed)
