"""Mean average precision."""

from __future__ import annotations

import numpy as np

from metasearch.core import RankingMetric


class MeanAveragePrecision(RankingMetric):
    """AP@k and full AP per query; their mean over queries is mAP.

    AP@k = (sum over relevant candidates at ranks r <= k of precision@r) / min(relevant, k). Full AP has no cut-off; the authors'
    released code reports it under the name mAP@20, so both are computed (spec section 5).

    Args:
        cutoff: k (paper: 20).

    Reference: paper section 6; XTREME-R (Ruder et al. 2021).

    Example:
        >>> ranks = np.array([[1.0, 3.0], [30.0, np.inf]])
        >>> {name: values.round(3).tolist() for name, values in MeanAveragePrecision(20).per_query(ranks).items()}
        {'map@20': [0.833, 0.0], 'map': [0.833, 0.033]}
    """

    def __init__(self, cutoff: int = 20) -> None:
        self.cutoff = cutoff

    @property
    def primary(self) -> str:
        return f"map@{self.cutoff}"

    def per_query(self, ranks: np.ndarray) -> dict[str, np.ndarray]:
        found = np.arange(1, ranks.shape[1] + 1)
        precision = found / ranks  # of the k-th relevant candidate; 0 behind the last, whose rank is inf
        relevant = np.isfinite(ranks).sum(1)
        at_cutoff = np.where(ranks <= self.cutoff, precision, 0.0).sum(1) / np.minimum(relevant, self.cutoff)
        return {self.primary: at_cutoff, "map": precision.sum(1) / relevant}
