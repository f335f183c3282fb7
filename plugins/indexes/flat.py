"""Exact search: compare the query with every vector."""

from __future__ import annotations

from typing import ClassVar

import faiss
import numpy as np

from metasearch_plugins.indexes.faiss_index import FaissIndex, reserve


class Flat(FaissIndex):
    """All vectors as they are; a search computes every dot product.

    Memory: 4 bytes x dimension per vector, mapped from the file. Time of a query grows with the number of vectors.

    Shapes: vectors ``(n, dimension)``, queries ``(m, dimension)``; scores and positions ``(m, k)``.

    Relations: what recall of the other indexes is measured against.

    Example:
        >>> import numpy as np
        >>> index = Flat()
        >>> index.start(2, 3, np.empty((0, 2)))
        >>> index.add(np.array([[1, 0], [0, 1], [0.6, 0.8]]))
        >>> index.search(np.array([[0, 1]]), 2)[1].tolist()
        [[1, 2]]
    """

    exact: ClassVar[bool] = True
    largest: ClassVar[int | None] = 200_000
    stored = "IndexFlatIP"

    def start(self, dimension: int, count: int, sample: np.ndarray) -> None:
        self.index = faiss.IndexFlatIP(dimension)
        reserve(self.index.codes, 4 * dimension * count)
