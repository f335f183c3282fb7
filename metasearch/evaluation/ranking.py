"""Ranks of the relevant candidates, exactly and without sorting."""

from __future__ import annotations

import numpy as np

_CHUNK = 512


def rank_relevant(scores: np.ndarray, relevant: np.ndarray) -> np.ndarray:
    """Rank each query's relevant candidates among all candidates.

    Equal scores are ordered by column, so columns must stand in order of candidate id. A rank is one plus the number of
    candidates that score higher, or equal and stand before: so nothing is sorted, and full AP costs no more than AP@20.

    Args:
        scores: ``(queries, candidates)``.
        relevant: ``(queries, most)`` columns of relevant candidates, -1 where a query has fewer.

    Returns:
        float64 ``(queries, most)``: 1-based ranks ascending, ``inf`` behind the last.
    """
    columns = np.arange(scores.shape[1])
    ranks = np.full(relevant.shape, np.inf)
    for k in range(relevant.shape[1]):
        have = np.flatnonzero(relevant[:, k] >= 0)
        column = relevant[have, k]
        own = scores[have, column]
        rows = scores[have]
        above = (rows > own[:, None]).sum(1)
        before = ((rows == own[:, None]) & (columns < column[:, None])).sum(1)
        ranks[have, k] = 1 + above + before
    return np.sort(ranks, axis=1)


def chunks(total: int) -> list[slice]:
    """Slices of queries, so that a score matrix stays small."""
    return [slice(start, min(start + _CHUNK, total)) for start in range(0, total, _CHUNK)]
