"""Approximate search in little memory: lists of similar vectors, each vector as a short code."""

from __future__ import annotations

import math
from typing import ClassVar

import faiss
import numpy as np

from metasearch.errors import ConfigError
from metasearch_plugins.indexes.faiss_index import THREADS, FaissIndex

_SEED = 1234
_MOST_LISTS = 65_536
_LEAST_PER_LIST = 39  # of vectors to train on, below which FAISS holds clusters for unreliable
_LEAST_SAMPLE = 16_384  # enough for the 256 code words of a segment


class IVFPQ(FaissIndex):
    """Inverted lists with product quantisation.

    Vectors are clustered into lists; what is left of each after its cluster's centre is cut into segments, and each segment is
    replaced by one of 256 code words. A search looks into the lists nearest to the query.

    Memory: segments + 8 bytes per vector (dimension 384: 200 bytes, against 1,536 for ``flat``).

    Args:
        lists: how many; None: 4 x the square root of the number of vectors, so that a list has 39 at least.
        probes: lists that a search looks into; None: twice the square root of their number. More: better recall, slower search.
        segments: of a vector, one byte each; must divide the dimension. None: segments of 2 numbers, or the next length that
            divides the dimension. More: better recall, more memory.
        sample: vectors per list that training sees, drawn uniformly.

    Shapes: vectors ``(n, dimension)``, queries ``(m, dimension)``; scores, approximate too, and positions ``(m, k)``.

    Reference: Jégou et al. 2011, "Product quantization for nearest neighbor search".
    """

    largest: ClassVar[int | None] = 1_000_000_000
    stored = "IndexIVFPQ"

    def __init__(
        self, lists: int | None = None, probes: int | None = None, segments: int | None = None, sample: int = 64
    ) -> None:
        super().__init__()
        self.lists, self.probes, self.segments, self.sample = lists, probes, segments, sample

    def sample_size(self, count: int) -> int:
        return min(count, max(self._lists(count) * self.sample, _LEAST_SAMPLE))

    def start(self, dimension: int, count: int, sample: np.ndarray) -> None:
        lists = self._lists(count)
        if count < 2 or lists > count:
            raise ConfigError(f"index.lists={lists}: more than the {count} texts there are; use index=flat for so few")
        segments = self._segments(dimension)
        bits = min(8, int(math.log2(len(sample))))  # a code word cannot be learnt from less than one vector
        quantizer = faiss.IndexFlatIP(dimension)
        self.index = faiss.IndexIVFPQ(quantizer, dimension, lists, segments, bits, faiss.METRIC_INNER_PRODUCT)
        for clustering in (self.index.cp, self.index.pq.cp):
            clustering.seed = _SEED
            clustering.min_points_per_centroid = 1  # says nothing of small samples on standard error
        self.index.cp.max_points_per_centroid = self.sample
        self.index.pq.cp.max_points_per_centroid = _LEAST_SAMPLE // 256  # more train longer, not better
        faiss.omp_set_num_threads(THREADS)
        self.index.train(np.ascontiguousarray(sample, dtype=np.float32))
        self.index.nprobe = min(lists, self.probes or round(2 * math.sqrt(lists)))

    def _lists(self, count: int) -> int:
        by_size = max(1, min(round(4 * math.sqrt(count)), count // _LEAST_PER_LIST, _MOST_LISTS))
        return self.lists or by_size

    def _segments(self, dimension: int) -> int:
        if self.segments is None:
            return dimension // next(length for length in range(min(2, dimension), dimension + 1) if dimension % length == 0)
        if dimension % self.segments:
            fit = ", ".join(str(n) for n in range(1, dimension + 1) if dimension % n == 0)
            raise ConfigError(f"index.segments={self.segments}: must divide the dimension {dimension}; one of {fit}")
        return self.segments
