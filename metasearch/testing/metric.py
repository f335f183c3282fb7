"""The contract of metrics."""

from __future__ import annotations

import warnings
from itertools import pairwise

import numpy as np

from metasearch.core import Metric, PairMetric, RankingMetric
from metasearch.testing.demand import demand, demand_equal

_QUERIES, _MOST, _POOL = 40, 3, 200


def check_metric(metric: Metric) -> None:
    """Check what :class:`metasearch.core.RankingMetric` or :class:`metasearch.core.PairMetric` demands.

    ``primary`` is among the keys, every query is scored by itself, values lie in 0..1 (pairs: -1..1) unless the class docstring
    has a line ``Range: ...``, a perfect answer scores best, ``higher_is_better`` tells the direction, and a better answer never
    scores worse.

    Args:
        metric: constructed, with any options.

    Raises:
        AssertionError: what does not hold.

    Example:
        >>> from metasearch.registry import registry
        >>> check_metric(registry.create("metric", "map", cutoff=5))
    """
    if isinstance(metric, RankingMetric):
        demand(metric.kind == "triplets", f"kind of a RankingMetric is 'triplets', found {metric.kind!r}")
        _check_ranking(metric)
    elif isinstance(metric, PairMetric):
        demand(metric.kind == "pairs", f"kind of a PairMetric is 'pairs', found {metric.kind!r}")
        _check_pairs(metric)
    else:
        raise AssertionError(f"{type(metric).__name__} is neither a RankingMetric nor a PairMetric")


def _better(metric: Metric, one: np.ndarray | float, other: np.ndarray | float) -> np.ndarray:
    """Whether ``one`` is a better score than ``other``, by more than rounding."""
    gain = np.asarray(one) - np.asarray(other)
    found: np.ndarray = (gain if metric.higher_is_better else -gain) > 1e-9
    return found


def _check_range(metric: Metric, values: np.ndarray, lowest: float, name: str) -> None:
    if "Range:" in (type(metric).__doc__ or ""):
        return
    demand(
        bool(((values >= lowest - 1e-9) & (values <= 1 + 1e-9)).all()),
        f"{name}: values go from {values.min():.4g} to {values.max():.4g}, expected {lowest:g} to 1; "
        "where that is meant, say 'Range: ...' in the class docstring",
    )


# -- rankings ------------------------------------------------------------------------------------------------------------


def _check_ranking(metric: RankingMetric) -> None:
    ranks = _random_ranks()
    given = ranks.copy()
    found = _per_query(metric, ranks)
    demand(bool((ranks == given).all()), "per_query must not change the ranks it is given")
    for name, values in found.items():
        demand(values.shape == (len(ranks),), f"{name}: shape {values.shape}, expected one value per query, ({len(ranks)},)")
        demand(bool(np.isfinite(values).all()), f"{name}: a query with relevant candidates must have a finite score")
        _check_range(metric, values, 0.0, name)
    _check_alone(metric, ranks, found)
    _check_direction(metric, ranks, found[metric.primary])


def _random_ranks() -> np.ndarray:
    """Ranks ascending, ``inf`` behind the last; one to three relevant candidates per query."""
    rng = np.random.default_rng(0)
    ranks = np.full((_QUERIES, _MOST), np.inf)
    for row in ranks:
        count = rng.integers(1, _MOST + 1)
        highest = rng.choice([8, 40, _POOL])  # some queries are answered well
        row[:count] = np.sort(rng.choice(np.arange(1, highest + 1), size=count, replace=False))
    return ranks


def _per_query(metric: RankingMetric, ranks: np.ndarray) -> dict[str, np.ndarray]:
    found = metric.per_query(ranks)
    demand(isinstance(found, dict), f"per_query returns a dict of name -> values, found {type(found).__name__}")
    demand(metric.primary in found, f"primary is {metric.primary!r}, but per_query returns {', '.join(found) or 'nothing'}")
    return {name: np.asarray(values) for name, values in found.items()}


def _check_alone(metric: RankingMetric, ranks: np.ndarray, found: dict[str, np.ndarray]) -> None:
    """A query's score depends on its own ranks, not on who is scored beside it, nor on how wide the array is."""
    wider = _per_query(metric, np.concatenate([ranks, np.full((len(ranks), 2), np.inf)], axis=1))
    for name, values in found.items():
        demand_equal(wider[name], values, 1e-12, f"{name}: columns of inf behind the last rank must not matter")
    for i in (0, len(ranks) // 2):
        alone = _per_query(metric, ranks[i : i + 1])
        for name, values in found.items():
            demand_equal(alone[name], values[i : i + 1], 1e-12, f"{name}: a query must score alone as it does among others")


def _check_direction(metric: RankingMetric, ranks: np.ndarray, scores: np.ndarray) -> None:
    relevant = np.isfinite(ranks)
    perfect = np.where(relevant, np.arange(1, ranks.shape[1] + 1.0), np.inf)
    worst = np.where(relevant, 1e6 + np.arange(ranks.shape[1]), np.inf)
    best, least = (_per_query(metric, r)[metric.primary] for r in (perfect, worst))
    way = f"higher_is_better is {metric.higher_is_better}"
    demand(not _better(metric, scores, best).any(), f"{metric.primary}: a ranking scores better than the perfect one ({way})")
    demand(
        bool(_better(metric, best, least).all()),
        f"{metric.primary}: a perfect ranking must score better than one with every relevant candidate at rank 1,000,000 ({way})",
    )
    up = ranks.copy()
    up[:, 0] = np.maximum(1, np.floor(ranks[:, 0] / 2))  # the first relevant candidate moves up
    demand(
        not _better(metric, scores, _per_query(metric, up)[metric.primary]).any(),
        f"{metric.primary}: a relevant candidate that moves up must not make the score worse ({way})",
    )


# -- pairs ---------------------------------------------------------------------------------------------------------------


def _check_pairs(metric: PairMetric) -> None:
    rng = np.random.default_rng(0)
    gold = rng.uniform(0, 1, 60)
    noise = rng.normal(size=60)
    order = rng.permutation(60)
    found = _of_pairs(metric, gold + 0.3 * noise, gold)
    for name, value in found.items():
        demand(np.ndim(value) == 0 and bool(np.isfinite(value)), f"{name}: expected one finite number, found {value!r}")
        _check_range(metric, np.array([value]), -1.0, name)
    again = _of_pairs(metric, (gold + 0.3 * noise)[order], gold[order])
    for name, value in found.items():
        demand(abs(again[name] - value) <= 1e-9, f"{name}: the order of pairs must not matter")
    perfect = _of_pairs(metric, gold.copy(), gold)[metric.primary]
    if metric.higher_is_better:
        demand(abs(perfect - 1) <= 1e-9, f"{metric.primary}: predictions equal to gold must score 1, found {perfect:.6g}")
    values = [perfect, *(_of_pairs(metric, gold + s * noise, gold)[metric.primary] for s in (0.3, 3.0))]
    values.append(_of_pairs(metric, -gold, gold)[metric.primary])
    demand(
        all(bool(_better(metric, one, other)) for one, other in pairwise(values)),
        f"{metric.primary}: predictions equal to gold, with little noise, with much, turned round must score worse and worse, "
        f"found {', '.join(f'{v:.3g}' for v in values)} (higher_is_better is {metric.higher_is_better})",
    )
    _check_constant(metric, gold)


def _check_constant(metric: PairMetric, gold: np.ndarray) -> None:
    """A constant column: a number or NaN, neither an exception nor a warning."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            value = _of_pairs(metric, np.zeros_like(gold), gold)[metric.primary]
        except Exception as error:
            raise AssertionError(
                f"{metric.primary}: equal predictions must give NaN where the metric is not defined, "
                f"found {type(error).__name__}: {error}"
            ) from error
    demand(np.ndim(value) == 0, f"{metric.primary}: expected a number or NaN, found {value!r}")


def _of_pairs(metric: PairMetric, predicted: np.ndarray, gold: np.ndarray) -> dict[str, float]:
    found = metric.of_pairs(predicted, gold)
    demand(isinstance(found, dict), f"of_pairs returns a dict of name -> value, found {type(found).__name__}")
    demand(metric.primary in found, f"primary is {metric.primary!r}, but of_pairs returns {', '.join(found) or 'nothing'}")
    return found
