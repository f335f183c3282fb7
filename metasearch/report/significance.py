"""Ranks, and whether a difference between two runs is more than chance: paired randomisation tests."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

RESAMPLES = 10_000
# Scores are of order 1: what differs by less is equal, whatever order it was summed in.
_EQUAL = 1e-12
# Swaps are made in batches of about so many, to bound memory.
_FLIPS_AT_ONCE = 1_000_000


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


def ranks_within(values: np.ndarray, groups: Sequence[Hashable]) -> np.ndarray:
    """Ranks of ``values`` ``(n,)`` among those of the same group, ties sharing their mean rank."""
    from scipy.stats import rankdata

    ranks = np.empty(len(values))
    for rows in _rows_of(groups):
        ranks[rows] = rankdata(values[rows])
    return ranks
