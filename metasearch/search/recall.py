"""How much an approximate index misses: exact search over vectors on disk, block by block."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np

_TIE = 1e-6  # of the score: equal vectors, whichever of them an index finds


def exact_scores(queries: np.ndarray, blocks: Iterable[np.ndarray], k: int, progress: Callable[[int], None]) -> np.ndarray:
    """The k largest dot products of each query with all vectors.

    Args:
        queries: float32 ``(m, dimension)``.
        blocks: all vectors, float32 ``(any, dimension)`` at a time.
        k: how many.
        progress: called with the number of vectors done since the last call.

    Returns:
        float32 ``(m, k)``, descending; fewer columns if there are fewer vectors.
    """
    best = np.empty((len(queries), 0), dtype=np.float32)
    for block in blocks:
        both = np.concatenate([best, queries @ block.T], axis=1)
        kept = min(k, both.shape[1])
        best = -np.partition(-both, kept - 1, axis=1)[:, :kept]
        progress(len(block))
    return -np.sort(-best, axis=1)


def recall(found: np.ndarray, exact: np.ndarray) -> float:
    """Mean share of the exact top k that was found.

    Args:
        found: exact scores of what the index found, ``(m, k)``; minus infinity where it found nothing.
        exact: scores of the exact top k, ``(m, k)``, descending.

    Example:
        >>> recall(np.array([[0.9, 0.7]]), np.array([[0.9, 0.8]]))
        0.5
    """
    worst = exact[:, -1:]
    return float((found >= worst - _TIE * np.maximum(1, np.abs(worst))).mean())
