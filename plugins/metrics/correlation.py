"""Correlation of predicted similarities with gold scores."""

from __future__ import annotations

import numpy as np

from metasearch.core import PairMetric


class Correlation(PairMetric):
    """Pearson's r and Spearman's rho, per track.

    Args:
        main: ``"pearson"`` (the paper's) or ``"spearman"``: which one is the main score; both are computed.

    Reference: paper section 6; Cer et al. 2017 (SemEval-2017 task 1).

    Example:
        >>> found = Correlation().of_pairs(np.array([0.1, 0.2, 0.9]), np.array([0.0, 0.5, 1.0]))
        >>> {name: round(value, 3) for name, value in found.items()}
        {'pearson': 0.918, 'spearman': 1.0}
    """

    def __init__(self, main: str = "pearson") -> None:
        self.main = main

    @property
    def primary(self) -> str:
        return self.main

    def of_pairs(self, predicted: np.ndarray, gold: np.ndarray) -> dict[str, float]:
        from scipy.stats import rankdata

        return {"pearson": pearson(predicted, gold), "spearman": pearson(rankdata(predicted), rankdata(gold))}


def pearson(a: np.ndarray, b: np.ndarray) -> float:
    """Pearson's r of two vectors of the same length; NaN if one of them is constant."""
    a, b = a - a.mean(), b - b.mean()
    lengths = float(np.sqrt((a * a).sum() * (b * b).sum()))
    return float((a * b).sum() / lengths) if lengths > 0 else float("nan")
