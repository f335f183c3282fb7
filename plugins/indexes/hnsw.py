"""Approximate search along a graph of neighbours."""

from __future__ import annotations

from typing import Any, ClassVar

import faiss
import numpy as np

from metasearch_plugins.indexes.faiss_index import FaissIndex, reserve


class HNSW(FaissIndex):
    """A hierarchical navigable small world: each vector is linked to its neighbours, and a search walks towards the query.

    Memory: 4 bytes x dimension + about 8 bytes x m per vector. Time of a query grows with the logarithm of the number of vectors.
    Made for vectors of one length (normalised, as encoders give them by default): with others, long vectors attract all links and
    recall falls.

    Args:
        m: links per vector (twice that in the bottom layer). More: better recall, more memory.
        ef_construction: vectors looked at when one is linked. More: better recall, slower build.
        ef_search: vectors looked at in a search, at least k. More: better recall, slower search.
        threads: that build the graph. With more than one the build is faster, and its graph is another one each time.

    Shapes: vectors ``(n, dimension)``, queries ``(m, dimension)``; scores and positions ``(m, k)``.

    Reference: Malkov and Yashunin 2018, "Efficient and robust approximate nearest neighbor search using hierarchical navigable
    small world graphs". Relations: finds what ``flat`` finds when ef_search reaches the number of vectors.
    """

    largest: ClassVar[int | None] = 1_000_000
    stored = "IndexHNSWFlat"

    def __init__(self, m: int = 32, ef_construction: int = 100, ef_search: int = 128, threads: int = 1) -> None:
        super().__init__()
        self.m, self.ef_construction, self.ef_search, self.build_threads = m, ef_construction, ef_search, threads

    def start(self, dimension: int, count: int, sample: np.ndarray) -> None:
        self.index = faiss.IndexHNSWFlat(dimension, self.m, faiss.METRIC_INNER_PRODUCT)
        self.index.hnsw.efConstruction = self.ef_construction
        storage: Any = faiss.downcast_index(self.index.storage)  # an IndexFlatIP
        reserve(storage.codes, 4 * dimension * count)

    def add(self, vectors: np.ndarray) -> None:
        self._add(vectors, self.build_threads)

    def search(self, queries: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        self.index.hnsw.efSearch = max(self.ef_search, k)
        return super().search(queries, k)
