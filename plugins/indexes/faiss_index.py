"""What the indexes on FAISS share: adding, searching, files, threads."""

from __future__ import annotations

from abc import abstractmethod
from pathlib import Path
from typing import Any, ClassVar

import faiss
import numpy as np

from metasearch import Index
from metasearch.errors import DataError

# More gain nothing for a query at a time, and a shared machine loses. Asked once: an index that sets it sets it for all.
THREADS = min(8, faiss.omp_get_max_threads())
# Of FAISS 1.10 and later; before, only inverted lists can be mapped.
_MAPPED = getattr(faiss, "IO_FLAG_MMAP_IFC", faiss.IO_FLAG_MMAP)


class FaissIndex(Index):
    """An index whose work FAISS does, by inner product. Takes at most 8 threads, fewer where ``OMP_NUM_THREADS`` says so.

    Class attributes:
        stored: name of the FAISS class that its file holds.

    Reference: Douze et al. 2024, "The Faiss library".
    """

    stored: ClassVar[str]

    def __init__(self) -> None:
        self.index: Any = None  # FAISS has no types

    @abstractmethod
    def start(self, dimension: int, count: int, sample: np.ndarray) -> None: ...

    def add(self, vectors: np.ndarray) -> None:
        self._add(vectors, THREADS)

    def _add(self, vectors: np.ndarray, threads: int) -> None:
        faiss.omp_set_num_threads(threads)
        self.index.add(np.ascontiguousarray(vectors, dtype=np.float32))

    def search(self, queries: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        faiss.omp_set_num_threads(THREADS)
        scores, positions = self.index.search(np.ascontiguousarray(queries, dtype=np.float32), k)
        return scores, positions

    def save(self, file: Path) -> None:
        try:
            faiss.write_index(self.index, str(file))
        except RuntimeError as error:
            raise DataError(f"{file}: cannot be written: {_cause(error)}") from error

    def open(self, file: Path) -> None:
        try:
            index = faiss.read_index(str(file), _MAPPED)
        except RuntimeError as error:
            raise DataError(f"{file}: damaged, or no FAISS index: {_cause(error)}") from error
        if type(index).__name__ != self.stored:
            raise DataError(f"{file}: holds a FAISS {type(index).__name__}, expected {self.stored}")
        self.index = index


def reserve(codes: Any, size: int) -> None:
    """Make room for ``size`` bytes at once: a vector that grows is held twice while it moves."""
    codes.resize(size)
    codes.resize(0)


def _cause(error: RuntimeError) -> str:
    """FAISS's own words, without the C++ signature before them."""
    return " ".join(str(error).rpartition("Error: ")[2].split())[:300]
