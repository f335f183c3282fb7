"""Interface of metrics."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    import numpy as np


class Metric(ABC):
    """A measure of one ranking per query, computed from the ranks of the relevant candidates alone.

    Class attributes:
        higher_is_better: direction.
    """

    higher_is_better: ClassVar[bool] = True

    @property
    @abstractmethod
    def primary(self) -> str:
        """The name of the main value, for example ``"map@20"``: a key of what :meth:`per_query` returns."""

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
