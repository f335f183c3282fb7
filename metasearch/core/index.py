"""Interface of vector indexes."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    import numpy as np


class Index(ABC):
    """Finds, among many vectors, those with the largest dot product with a query.

    Vectors come in blocks, so that a build needs no more memory than the index itself. Life cycle of a build: :meth:`start`
    once, :meth:`add` per block, :meth:`save`; of a search: :meth:`open` once, :meth:`search` per batch of queries.
    A vector's position is its number in the order in which vectors were added, from 0. The same vectors, added in the same
    blocks, must give the same index: whatever is drawn at random is drawn by a fixed seed.

    Class attributes:
        exact: whether :meth:`search` always returns the true nearest; else recall is measured after a build.
        largest: up to how many vectors this index is chosen by itself; None: never chosen, only on request. Of all
            indexes that still hold the corpus, the one with the smallest limit is chosen, or the one with the largest if none
            does.
    """

    exact: ClassVar[bool] = False
    largest: ClassVar[int | None] = None

    def sample_size(self, count: int) -> int:
        """How many of ``count`` vectors :meth:`start` wants to see for training; 0 (the default): none."""
        return 0

    @abstractmethod
    def start(self, dimension: int, count: int, sample: np.ndarray) -> None:
        """Begin an empty index.

        Args:
            dimension: length of a vector.
            count: how many vectors will be added.
            sample: float32 ``(s, dimension)``, drawn uniformly from them, s as :meth:`sample_size` asks (or all there are).

        Raises:
            ConfigError: the options do not fit dimension or count; the message names the option.
        """

    @abstractmethod
    def add(self, vectors: np.ndarray) -> None:
        """Append a block, float32 ``(any, dimension)``."""

    @abstractmethod
    def search(self, queries: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        """Find the k best for each query.

        Args:
            queries: float32 ``(m, dimension)``.
            k: how many; may be more than there are.

        Returns:
            Scores, float32 ``(m, k)``, descending, and positions, int64 ``(m, k)``; -1 where fewer were found.
        """

    @abstractmethod
    def save(self, file: Path) -> None:
        """Write the index to one file.

        Raises:
            DataError: the file cannot be written.
        """

    @abstractmethod
    def open(self, file: Path) -> None:
        """Read what :meth:`save` wrote, memory-mapped where that works.

        Raises:
            DataError: the file is damaged, or another index wrote it.
        """
