"""Interfaces of metrics."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    import numpy as np


class Metric(ABC):
    """A measure of search quality: a :class:`RankingMetric` or a :class:`PairMetric`.

    Class attributes:
        kind: the data it measures on: ``"triplets"`` or ``"pairs"``.
        higher_is_better: direction.
    """

    kind: ClassVar[str]
    higher_is_better: ClassVar[bool] = True

    @property
    @abstractmethod
    def primary(self) -> str:
        """The name of the main value, for example ``"map@20"``: a key of what the metric returns."""


class RankingMetric(Metric):
    """A measure of one ranking per query, computed from the ranks of the relevant candidates alone."""

    kind: ClassVar[str] = "triplets"

    @abstractmethod
    def per_query(self, ranks: np.ndarray) -> dict[str, np.ndarray]:
        """Score each query.

        Args:
            ranks: float array ``(queries, most relevant candidates of any query)``: 1-based ranks of each query's
                relevant candidates in ascending order, ``inf`` behind the last. A query without relevant candidates in
                the pool is left out by the caller and counted.

        Returns:
            Metric name -> array ``(queries,)`` of values in 0..1.
        """


class PairMetric(Metric):
    """A measure of how predicted similarities of sentence pairs agree with gold scores."""

    kind: ClassVar[str] = "pairs"

    @abstractmethod
    def of_pairs(self, predicted: np.ndarray, gold: np.ndarray) -> dict[str, float]:
        """Score one track.

        Args:
            predicted: cosine similarities ``(pairs,)``.
            gold: gold scores ``(pairs,)``, 0 to 1.

        Returns:
            Metric name -> value, 1 at best; NaN where it is not defined (a constant column).
        """
