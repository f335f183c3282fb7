"""The contract of vector indexes."""

from __future__ import annotations

import copy
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from metasearch.core import Index
from metasearch.errors import DataError
from metasearch.testing.demand import demand, demand_equal

_COUNT, _DIMENSION, _QUERIES, _K = 600, 32, 40, 10
_LEAST_RECALL = 0.5  # how often an approximate index must find, among ten, a vector that was asked for with a little noise


def check_index(index: Index) -> None:
    """Check what :class:`metasearch.core.Index` demands, on 600 unit vectors of length 32.

    Results have their shapes and types, fall in score, and are padded with -1; a second build and a reopened file answer the
    same; a damaged file is a DataError. An exact index returns the true best, the same however blocks were cut, also where
    scores are equal; one that is not exact finds at least half of what it is asked for.

    Args:
        index: constructed, not started, with options that fit so few vectors.

    Raises:
        AssertionError: what does not hold.

    Example:
        >>> from metasearch.registry import registry
        >>> check_index(registry.create("index", "flat"))
    """
    largest = index.largest
    demand(largest is None or largest > 0, f"largest is a number of vectors or None, found {largest!r}")
    vectors, queries = _unit_vectors()
    built = _build(index, vectors, [_COUNT // 2, _COUNT // 3])
    found = _search(built, queries, _K)
    _check_answers(found, _COUNT)
    again = _search(_build(index, vectors, [_COUNT // 2, _COUNT // 3]), queries, _K)
    _demand_same(again, found, "the same vectors in the same blocks must give the same answers; draw at random by a fixed seed")
    _demand_same(_search(built, queries, _K), found, "the same search must give the same answers")
    _check_padding(index, vectors, queries)
    _check_file(index, built, queries, found)
    if index.exact:
        _check_exact(index, vectors, queries)
        _check_exact(index, *_equal_scores())
    else:
        recall = float((found[1] == np.arange(_QUERIES)[:, None]).any(1).mean())
        demand(
            recall >= _LEAST_RECALL,
            f"finds the vector that is asked for in {recall:.0%} of searches, {_LEAST_RECALL:.0%} expected",
        )


Answers = tuple[np.ndarray, np.ndarray]


def _unit_vectors() -> Answers:
    """Vectors, and queries: the first of them with a little noise."""
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(_COUNT, _DIMENSION))
    queries = vectors[:_QUERIES] + 0.1 * rng.normal(size=(_QUERIES, _DIMENSION))
    made = [(x / np.linalg.norm(x, axis=1, keepdims=True)).astype(np.float32) for x in (vectors, queries)]
    return made[0], made[1]


def _equal_scores() -> Answers:
    """Small whole numbers, each vector three times: their products are exact, and many scores are equal."""
    rng = np.random.default_rng(1)
    vectors = np.tile(rng.integers(-2, 3, (50, _DIMENSION)), (3, 1)).astype(np.float32)
    return vectors, rng.integers(-2, 3, (_QUERIES, _DIMENSION)).astype(np.float32)


def _build(index: Index, vectors: np.ndarray, cuts: list[int]) -> Index:
    """A fresh index of the vectors, added in blocks that end where ``cuts`` say."""
    fresh = copy.deepcopy(index)
    size = fresh.sample_size(len(vectors))
    demand(size >= 0, f"sample_size is a count, found {size}")
    chosen = np.sort(np.random.default_rng(2).permutation(len(vectors))[:size])
    fresh.start(vectors.shape[1], len(vectors), vectors[chosen])
    for block in np.split(vectors, sorted(cuts)):
        fresh.add(block)
    return fresh


def _search(index: Index, queries: np.ndarray, k: int) -> Answers:
    scores, positions = index.search(queries.copy(), k)
    for name, array, dtype in (("scores", scores, np.float32), ("positions", positions, np.int64)):
        demand(array.shape == (len(queries), k), f"{name}: shape {array.shape}, expected {(len(queries), k)}")
        demand(array.dtype == dtype, f"{name}: {array.dtype}, expected {np.dtype(dtype)}")
    return np.array(scores), np.array(positions)


def _check_answers(found: Answers, count: int) -> None:
    for scores, positions in zip(*found, strict=True):
        there = positions >= 0
        demand(bool((np.diff(there.astype(int)) <= 0).all()), "positions of -1 stand behind all others")
        demand(
            bool((positions < count).all()) and bool((positions[~there] == -1).all()),
            f"positions go from 0 to {count - 1}, or are -1",
        )
        demand(len(set(positions[there].tolist())) == int(there.sum()), "a position occurs twice among the answers to one query")
        demand(bool((np.diff(scores[there]) <= 0).all()), "scores must fall from the first answer to the last")


def _demand_same(one: Answers, other: Answers, message: str) -> None:
    demand(np.array_equal(one[1], other[1]), message)
    there = one[1] >= 0
    demand_equal(one[0][there], other[0][there], 1e-6, message)


def _check_padding(index: Index, vectors: np.ndarray, queries: np.ndarray) -> None:
    """More answers asked for than there are vectors."""
    few = _build(index, vectors, [])
    found = _search(few, queries[:3], _COUNT + 7)
    _check_answers(found, _COUNT)
    demand(
        bool((found[1][:, _COUNT:] == -1).all()),
        f"asked for {_COUNT + 7} of {_COUNT} vectors, positions behind the last must be -1",
    )
    demand(not index.exact or bool((found[1][:, :_COUNT] >= 0).all()), "an exact index asked for more than there are returns all")


def _check_file(index: Index, built: Index, queries: np.ndarray, found: Answers) -> None:
    with TemporaryDirectory() as folder:
        file = Path(folder) / "vectors.index"
        built.save(file)
        demand([p.name for p in Path(folder).iterdir()] == [file.name], "save writes one file, of the name it is given")
        reopened = copy.deepcopy(index)
        reopened.open(file)
        _demand_same(_search(reopened, queries, _K), found, "a saved and reopened index must answer as before")
        del reopened  # it may have mapped the file
        damaged = Path(folder) / "damaged.index"
        damaged.write_bytes(b"not an index\n")
        try:
            copy.deepcopy(index).open(damaged)
        except DataError as error:
            demand(damaged.name in str(error), f"the error about a damaged file must name it: {error}")
        except Exception as error:
            raise AssertionError(f"a damaged file must be a DataError, found {type(error).__name__}: {error}") from error
        else:
            raise AssertionError("a damaged file must be a DataError, but it was opened")


def _check_exact(index: Index, vectors: np.ndarray, queries: np.ndarray) -> None:
    built = _build(index, vectors, [7, len(vectors) // 2])
    found = _search(built, queries, _K)
    products = queries.astype(np.float64) @ vectors.T.astype(np.float64)
    best = -np.sort(-products, axis=1)[:, :_K]
    demand_equal(found[0].astype(np.float64), best, 1e-5, "exact is True, but the scores are not the largest dot products")
    own = np.take_along_axis(products, found[1], axis=1)
    demand_equal(
        own, found[0].astype(np.float64), 1e-5, "a score must be the dot product of the query with the vector at that position"
    )
    at_once = _search(_build(index, vectors, []), queries, _K)
    _demand_same(
        at_once, found, "an exact index must answer the same however its vectors were cut into blocks, equal scores included"
    )
