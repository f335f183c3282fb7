"""Run folders side by side: means over folds, ranks, and whether a difference is more than chance."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import numpy as np

from metasearch.core import expand
from metasearch.errors import ConfigError, DataError, MetasearchError
from metasearch.evaluation import VARIANTS, Row
from metasearch.report.summary import Summary, Table, summarise

RESAMPLES = 10_000
PARTS = ("few-shot", "zero-shot")
# Scores are of order 1: what differs by less is equal, whatever order it was summed in.
_EQUAL = 1e-12
# Swaps are made in batches of about so many, to bound memory.
_FLIPS_AT_ONCE = 1_000_000

Pool = tuple[str, str, tuple[str, ...]]  # variant, question language, candidate languages in order of name


# -- mathematics ---------------------------------------------------------------------------------------------------------


def rank_column(values: Sequence[float], higher_is_better: bool = True) -> list[int]:
    """Rank from best (1) to worst; ties share the best rank, as in 1, 2, 2, 4.

    Args:
        values: one per row. Values closer than about 1e-9 tie. NaN (no value) ranks behind all.
        higher_is_better: direction.
    """
    goodness = [-math.inf if math.isnan(v) else round(v if higher_is_better else -v, 9) for v in values]
    return [1 + sum(other > own for other in goodness) for own in goodness]


@dataclass(frozen=True)
class TestResult:
    """Outcome of a paired randomisation test.

    Attributes:
        difference: run minus baseline, as a fraction: the mean over units, or over tracks for Pearson's r.
        p: probability under the null hypothesis of a difference at least as large, either way.
        units: questions (in all their languages) or sentence pairs whose results were swapped.
        resamples: ways of swapping that were looked at.
        exact: whether these were all there are, 2 ** units.
    """

    __test__: ClassVar[bool] = False  # pytest takes classes of this name for tests

    difference: float
    p: float
    units: int
    resamples: int
    exact: bool

    @property
    def significance(self) -> float | None:
        """The level 0.01 or 0.05 that ``p`` is below, None for neither."""
        return next((level for level in (0.01, 0.05) if self.p < level), None)


def paired_test(
    run: Sequence[float] | np.ndarray, baseline: Sequence[float] | np.ndarray, units: Sequence[Hashable], seed: int = 0
) -> TestResult:
    """Test whether two systems' mean scores differ, by two-sided paired randomisation (Smucker et al. 2007).

    The null hypothesis is that it does not matter which system gave which score. What is swapped together is a *unit*: the
    cross-lingual question. Its versions in several languages, and its results in several pools, are translations of one another
    and so not independent; swapped one by one they would count as many times the evidence that there is. So differences are
    first averaged per unit, and every unit counts the same.

    Args:
        run: scores ``(n,)`` of one system.
        baseline: scores ``(n,)`` of the other, of the same questions in the same pools.
        units: ``(n,)`` the question that each score is of; an id occurs once for each of its languages and pools.
        seed: of the random swaps; with 13 units or fewer all ways are tried instead.

    Returns:
        p = (1 + swaps at least as extreme) / (1 + swaps), or the exact share. The order of the scores does not matter.

    Raises:
        ValueError: there is nothing to test.

    Example:
        >>> paired_test([0.9, 0.8, 0.7], [0.4, 0.5, 0.6], ["a", "b", "c"]).p  # 2 of 8 ways are as extreme
        0.25
    """
    number, index = _numbered(units)
    differences = np.asarray(run, dtype=np.float64) - np.asarray(baseline, dtype=np.float64)
    means = np.bincount(index, weights=differences) / np.bincount(index)
    return _randomise(lambda signs: signs @ means / number, number, seed)


def paired_pearson_test(
    run: Sequence[float] | np.ndarray,
    baseline: Sequence[float] | np.ndarray,
    gold: Sequence[float] | np.ndarray,
    tracks: Sequence[Hashable],
    units: Sequence[Hashable],
    seed: int = 0,
) -> TestResult:
    """Test whether two systems' Pearson correlations with gold scores differ, averaged over tracks, by paired randomisation.

    Both systems' predictions are standardised per track, because their scales need not be the same; then they are swapped per
    sentence pair (the same pair in several languages is swapped as one), and both correlations are computed anew.

    Args:
        run: predictions ``(n,)`` of one system.
        baseline: predictions ``(n,)`` of the other.
        gold: ``(n,)``.
        tracks: ``(n,)`` the track that each pair is of. Tracks in which a correlation is not defined (fewer than two pairs, or
            a constant column) are left out.
        units: ``(n,)`` ids of the pairs.
        seed: of the random swaps.

    Raises:
        ValueError: no track has a correlation.
    """
    ours, theirs, target = (np.asarray(column, dtype=np.float64) for column in (run, baseline, gold))
    members = _rows_of(tracks)
    kept = [rows for rows in members if all(np.ptp(column[rows]) > 0 for column in (ours, theirs, target))]
    if not kept:
        raise ValueError("no track in which Pearson's r is defined")
    everything = np.concatenate(kept)
    number, index = _numbered([units[i] for i in everything])
    # With mean m and half difference h of a pair's two predictions and a swap s of +1 or -1, the systems predict m + s h and
    # m - s h. All that r needs of them is linear in s: sums of s h, s h m and s h g, so all resamples are one matrix product.
    weights = np.zeros((number, 3 * len(kept)))
    constants: list[tuple[float, float]] = []
    start = 0
    for track, rows in enumerate(kept):
        a, b, g = (_standardised(column[rows]) for column in (ours, theirs, target))
        m, h = (a + b) / 2, (a - b) / 2
        sums = np.stack([h, h * m, h * g], axis=1) / len(rows)
        np.add.at(weights[:, 3 * track : 3 * track + 3], index[start : start + len(rows)], sums)
        constants.append((float(np.mean(m * m + h * h)), float(np.mean(m * g))))
        start += len(rows)
    squares, products = np.array(constants).T

    def difference(signs: np.ndarray) -> np.ndarray:
        sums = signs @ weights
        mean, cross, product = sums[..., 0::3], sums[..., 1::3], sums[..., 2::3]
        ours = _ratio(products + product, squares + 2 * cross - mean**2)
        theirs = _ratio(products - product, squares - 2 * cross - mean**2)
        found: np.ndarray = (ours - theirs).mean(-1)
        return found

    return _randomise(difference, number, seed)


def _ratio(covariance: np.ndarray, variance: np.ndarray) -> np.ndarray:
    """Correlation with a target of variance 1; 0 where swapping left no variance."""
    return np.where(variance > 1e-12, covariance / np.sqrt(np.maximum(variance, 1e-12)), 0.0)


def _standardised(column: np.ndarray) -> np.ndarray:
    found: np.ndarray = (column - column.mean()) / column.std()
    return found


def _numbered(units: Sequence[Hashable]) -> tuple[int, np.ndarray]:
    """How many units there are, and the number of each entry's: in sorted order, so that the order of entries does not matter."""
    if not len(units):
        raise ValueError("nothing to test")
    number = {unit: i for i, unit in enumerate(sorted(set(units), key=repr))}
    return len(number), np.array([number[unit] for unit in units])


def _rows_of(groups: Sequence[Hashable]) -> list[np.ndarray]:
    rows: dict[Hashable, list[int]] = {}
    for i, group in enumerate(groups):
        rows.setdefault(group, []).append(i)
    return [np.array(rows[group]) for group in sorted(rows, key=repr)]


def _randomise(statistic: Callable[[np.ndarray], np.ndarray], units: int, seed: int) -> TestResult:
    """Test ``statistic(signs)``, where signs ``(..., units)`` are +1 for a unit as it is and -1 for one that is swapped.

    scipy.stats.permutation_test finds the same p-values (the tests compare), but it refuses one unit, is ten times slower, and
    the SciPy of Python 3.10 warns of an overflow from 1,024 units on.
    """
    exact = 2**units <= RESAMPLES
    resamples = 2**units if exact else RESAMPLES
    observed = float(statistic(np.ones(units)))
    rng = np.random.default_rng(seed)
    batch = max(1, _FLIPS_AT_ONCE // units)
    extreme = 0
    for start in range(0, resamples, batch):
        numbers = np.arange(start, min(start + batch, resamples))
        if exact:
            swapped = numbers[:, None] >> np.arange(units) & 1
        else:
            swapped = rng.integers(2, size=(len(numbers), units), dtype=np.int8)
        extreme += int((np.abs(statistic(1.0 - 2.0 * swapped)) >= abs(observed) - _EQUAL).sum())
    p = extreme / resamples if exact else (1 + extreme) / (1 + resamples)
    return TestResult(observed, p, units, resamples, exact)


# -- runs ----------------------------------------------------------------------------------------------------------------


class Scored(NamedTuple):
    """One line of ``per-query.tsv`` or ``pairs.tsv``.

    Attributes:
        value: the metric of the question, or the predicted cosine of the pair.
        gold: the pair's gold score; NaN for questions.
        fold: where it was scored.
    """

    value: float
    gold: float
    fold: int | None


@dataclass(frozen=True)
class ComparedRun:
    """What is read of a run folder.

    Attributes:
        path: the folder.
        label: its name and its algorithm.
        algorithm: ``"maml-align"``, ...
        metric: name of the main metric.
        metric_component: name of the component that computes it.
        fingerprint: of the data; None if the manifest has none.
        rows: scores of the main metric.
    """

    path: Path
    label: str
    algorithm: str
    metric: str
    metric_component: str
    fingerprint: str | None
    rows: tuple[Row, ...]

    @property
    def folds(self) -> list[int | None]:
        """Folds that were scored, in order; [None] without a split."""
        return sorted({row.fold for row in self.rows}, key=lambda fold: -1 if fold is None else fold)

    @property
    def pools(self) -> set[Pool]:
        """What was scored against what."""
        return {_pool(row) for row in self.rows}


def _pool(row: Row) -> Pool:
    return row.variant, row.query_language, tuple(sorted(row.candidate_languages))


def read_run(path: Path) -> ComparedRun:
    """Read ``results.json`` and ``manifest.json`` of a run folder.

    Raises:
        ConfigError: it is not a run folder, or its run has not ended.
        DataError: a file is broken; the message names it, what was found and what was expected.
    """
    if not path.is_dir():
        raise ConfigError(f"{path}: no such folder; expected a run folder, as metasearch run writes it")
    file = path / "results.json"
    if not file.exists():
        raise ConfigError(f"{path}: holds no results.json; expected the folder of a run that has ended")
    results, manifest = _json(file), _json(path / "manifest.json")
    if results.get("schema") != 1:
        raise DataError(f"{file}: schema is {results.get('schema')!r}, expected 1 (was it written by a newer metasearch?)")
    main, records = results.get("main_score"), results.get("scores")
    metric = main.get("metric") if isinstance(main, dict) else None
    if not isinstance(metric, str):
        raise DataError(f"{file}: main_score.metric is {metric!r}, expected the name of a metric")
    if not isinstance(records, list):
        raise DataError(f"{file}: scores is {type(records).__name__}, expected a list of rows")
    rows = tuple(row for i, record in enumerate(records) if (row := _row(record, f"{file}: scores[{i}]")).metric == metric)
    if not rows:
        raise DataError(f"{file}: no row of scores is of the main metric {metric}")
    algorithm = _inside(manifest, "components", "algo", "name") or "?"
    return ComparedRun(
        path,
        f"{path.resolve().name} ({algorithm})",
        algorithm,
        metric,
        _inside(manifest, "components", "metric", "name") or "",
        _inside(manifest, "data", "fingerprint"),
        rows,
    )


def run_table(folders: Sequence[Path]) -> Table:
    """One line per run: its folder and the mean of its main metric in each variant, without tests.

    Raises:
        ConfigError, DataError: as :func:`read_run`.
    """
    runs = [read_run(folder) for folder in folders]
    metrics = list(dict.fromkeys(run.metric for run in runs))
    columns = [
        (m, v) for m in metrics for v in VARIANTS if any(r.metric == m and r.variant == v for run in runs for r in run.rows)
    ]
    return Table(
        "scores x 100",
        ("run", *(f"{metric} {variant}" for metric, variant in columns)),
        tuple((run.path.name, *(_summary(run.rows, *column).shown() for column in columns)) for run in runs),
    )


def _json(file: Path) -> dict[str, Any]:
    try:
        content = json.loads(_text(file))
    except ValueError as error:
        raise DataError(f"{file}: not JSON: {error}") from error
    if not isinstance(content, dict):
        raise DataError(f"{file}: holds a {type(content).__name__}, expected an object")
    return content


def _text(file: Path) -> str:
    try:
        return file.read_bytes().decode("utf-8", errors="surrogatepass")
    except UnicodeDecodeError as error:
        raise DataError(f"{file}: not UTF-8: {error.reason} at byte {error.start}") from error
    except OSError as error:
        raise DataError(f"{file}: cannot be read: {error.strerror or error}") from error


def _inside(content: Any, *keys: str) -> str | None:
    for key in keys:
        content = content.get(key) if isinstance(content, dict) else None
    return content if isinstance(content, str) else None


def _row(record: Any, place: str) -> Row:
    if not isinstance(record, dict):
        raise DataError(f"{place} is {type(record).__name__}, expected an object")

    def take(key: str, expected: str, fits: Callable[[Any], bool]) -> Any:
        if key not in record or not fits(record[key]):
            found = repr(record[key]) if key in record else "missing"
            raise DataError(f"{place}.{key} is {found}, expected {expected}")
        return record[key]

    def text(key: str) -> str:
        return take(key, "text", lambda v: isinstance(v, str))  # type: ignore[no-any-return]

    pool = take("candidate_languages", "a list of languages", lambda v: isinstance(v, list) and all(type(x) is str for x in v))
    value = take("value", "a number, or null where it is not defined", lambda v: v is None or _finite(v))
    return Row(
        text("metric"),
        take("variant", " or ".join(VARIANTS), lambda v: v in VARIANTS),
        text("query_language"),
        tuple(pool),
        take("supervision", " or ".join(PARTS), lambda v: v in PARTS),
        text("split"),
        take("fold", "a whole number or null", lambda v: v is None or type(v) is int),
        math.nan if value is None else float(value),
        take("n", "a whole number", lambda v: type(v) is int),
    )


def _finite(value: Any) -> bool:
    return type(value) in (int, float) and math.isfinite(value)


def read_scored(run: ComparedRun) -> dict[tuple[Pool, str], Scored]:
    """Read a run's result of each question in each pool (``per-query.tsv``), or of each sentence pair (``pairs.tsv``).

    Returns:
        (pool, question id) -> result, of all folds.

    Raises:
        FileNotFoundError: a fold lacks the file (older runs have none).
        DataError: a file is broken.
    """
    name, columns = "per-query.tsv", ["variant", "query_language", "candidate_languages", "query", "value"]
    if run.metric == "pearson":
        name, columns = "pairs.tsv", [*columns, "gold"]
    found: dict[tuple[Pool, str], Scored] = {}
    for fold in run.folds:
        file = (run.path if len(run.folds) == 1 else run.path / f"fold-{fold}") / name
        if not file.exists():
            raise FileNotFoundError(file)
        for line, cells in _lines(file, columns):
            variant, language, pool, query, *numbers = cells
            place = f"{file}, line {line}"
            value, *gold = [_number(text, place) for text in numbers]
            key = (variant, language, tuple(sorted(pool.split(",")))), query
            if key in found:
                raise DataError(f"{place}: {query!r} of {language} was there before; expected once in a pool")
            found[key] = Scored(value, gold[0] if gold else math.nan, fold)
    return found


def _lines(file: Path, columns: list[str]) -> Iterator[tuple[int, list[str]]]:
    lines = _text(file).split("\n")  # not splitlines: an id may hold a character that Unicode takes for a line's end
    if lines[0].split("\t") != columns:
        raise DataError(f"{file}, line 1: {lines[0][:100]!r}, expected the header {' '.join(columns)} (tabs between)")
    for number, line in enumerate(lines[1:], 2):
        cells = line.split("\t")
        if len(cells) == len(columns):
            yield number, cells
        elif line or number < len(lines):
            raise DataError(f"{file}, line {number}: {len(cells)} fields, expected {len(columns)} with tabs between")


def _number(text: str, place: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise DataError(f"{place}: {text!r}, expected a number")
    return value


# -- comparison ----------------------------------------------------------------------------------------------------------


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

    runs: tuple[ComparedRun, ...]
    baseline: ComparedRun
    higher_is_better: bool
    columns: Mapping[tuple[str | None, str], tuple[Cell, ...]]
    seed: int
    warnings: tuple[str, ...]

    @property
    def _variants(self) -> list[str]:
        return [variant for part, variant in self.columns if part is None]

    def tables(self) -> list[Table]:
        """All languages with p-values, then few-shot and zero-shot parts if there are both."""
        header, body = ["run"], [[run.label] for run in self.runs]
        for variant in self._variants:
            header += [variant, f"p ({variant})"]
            for run, cells, cell in zip(self.runs, body, self.columns[None, variant], strict=True):
                cells += [cell.shown(), "baseline" if run is self.baseline else _shown_p(cell.test)]
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
        unit = "sentence pair" if self.baseline.metric == "pearson" else "question (in all its languages together)"
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
    warnings: list[str] = []
    runs, base = _read_runs(folders, baseline)
    for run in runs:
        if run is not base:
            warnings += _mismatches(run, base)
    higher_is_better = _direction(base, warnings)
    tests = _tests(runs, base, seed, warnings)
    columns: dict[tuple[str | None, str], tuple[Cell, ...]] = {}

    def add(part: str | None, variant: str, rows: Sequence[Sequence[Row]]) -> None:
        summaries = [_summary(of_run, base.metric, variant) for of_run in rows]
        ranks = rank_column([s.mean for s in summaries], higher_is_better)
        columns[part, variant] = tuple(
            Cell(s, None if math.isnan(s.mean) else rank, tests.get((run.path, variant)) if part is None else None)
            for run, s, rank in zip(runs, summaries, ranks, strict=True)
        )

    variants = [v for v in VARIANTS if any(row.variant == v for run in runs for row in run.rows)]
    for variant in variants:
        add(None, variant, [run.rows for run in runs])
    degrees = _degrees(runs, warnings)
    for variant in variants if set(degrees.values()) == set(PARTS) else ():
        for part in PARTS:
            rows = [[row for row in run.rows if degrees.get(_pool(row)) == part] for run in runs]
            if any(row.variant == variant for of_run in rows for row in of_run):
                add(part, variant, rows)
    return Comparison(tuple(runs), base, higher_is_better, columns, seed, tuple(warnings))


def _summary(rows: Sequence[Row], metric: str, variant: str) -> Summary:
    """As :func:`summarise`, but without a mean where a score of the variant is not defined."""
    if any(math.isnan(row.value) for row in rows if row.variant == variant):
        return Summary(math.nan, None, ())
    return summarise(rows, metric, variant)


def _read_runs(folders: Sequence[str], baseline: str | None) -> tuple[list[ComparedRun], ComparedRun]:
    paths = [expand(folder, "run") for folder in folders]
    places = [path.resolve() for path in paths]
    for i, place in enumerate(places):
        if place in places[:i]:
            raise ConfigError(f"{folders[i]}: given twice")
    first = 0
    if baseline is not None:
        wanted = expand(baseline, "--baseline")
        if wanted.resolve() in places:
            first = places.index(wanted.resolve())
        else:
            paths.insert(0, wanted)
    if len(paths) < 2:
        raise ConfigError(f"compare: {len(paths)} run given; expected two or more run folders")
    runs = [read_run(path) for path in paths]
    labels = [run.label for run in runs]
    runs = [r if labels.count(r.label) == 1 else replace(r, label=f"{r.path} ({r.algorithm})") for r in runs]
    base = runs[first]
    for run in runs:
        if run.metric != base.metric:
            raise ConfigError(
                f"{run.path}: its main metric is {run.metric}, but {base.path} has {base.metric}; expected the same"
            )
    return runs, base


def _mismatches(run: ComparedRun, base: ComparedRun) -> list[str]:
    """Why the means of two runs may not be of the same thing."""
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
    shared = {pool[0] for pool in run.pools} & {pool[0] for pool in base.pools}
    odd = sorted(pool for pool in run.pools ^ base.pools if pool[0] in shared)
    if odd:
        variant, language, pool = odd[0]
        found.append(
            f"{run.label} and {base.label} were scored in different languages, so their means are not of the same: {len(odd)} "
            f"pools are in one only, the first: {variant}, questions in {language}, candidates in {', '.join(pool)}"
        )
    return found


def _direction(base: ComparedRun, warnings: list[str]) -> bool:
    from metasearch.registry import registry

    try:
        return bool(registry.find("metric", base.metric_component).load().higher_is_better)
    except MetasearchError:
        warnings.append(f"metric {base.metric_component or base.metric} is not installed here; taken as better when higher")
        return True


def _degrees(runs: Sequence[ComparedRun], warnings: list[str]) -> dict[Pool, str]:
    """Pool -> few-shot or zero-shot, the same for all runs: of a run that trained nothing all is zero-shot, so the others decide.

    Pools on which they do not agree are in neither part, because a column has to be the mean of the same things in every row.
    """
    trained = [run for run in runs if any(row.supervision == "few-shot" for row in run.rows)]
    found: dict[Pool, set[str]] = {}
    for run in trained:
        for row in run.rows:
            found.setdefault(_pool(row), set()).add(row.supervision)
    if any(len(degrees) > 1 for degrees in found.values()):
        warnings.append(
            "runs were trained on different languages: the few-shot and zero-shot parts hold what is so in all of them"
        )
    return {pool: degrees.pop() for pool, degrees in found.items() if len(degrees) == 1}


def _tests(runs: Sequence[ComparedRun], base: ComparedRun, seed: int, warnings: list[str]) -> dict[tuple[Path, str], TestResult]:
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
            if all(any(pool[0] == variant for pool in r.pools) for r in (run, base)):
                try:
                    found[run.path, variant] = _test(run, base, scored[run.path], scored[base.path], variant, seed, warnings)
                except ValueError as error:
                    warnings.append(f"{run.label} against {base.label}, {variant}: not tested: {error}")
    return found


def _test(
    run: ComparedRun,
    base: ComparedRun,
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
    what = "sentence pairs" if base.metric == "pearson" else "questions"
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
    if base.metric != "pearson":
        return paired_test(values, reference, ids, seed)
    if any(abs(a.gold - b.gold) > 1e-9 for a, b in pairs):
        raise ValueError("the same pairs have different gold scores")
    # r is computed per fold, as in results.json: predictions of the models of two folds need not be on one scale.
    tracks = [(*pool, a.fold, b.fold) for (pool, _), (a, b) in zip(keys, pairs, strict=True)]
    return paired_pearson_test(values, reference, [a.gold for a, _ in pairs], tracks, ids, seed)
