"""The shipped indexes as mathematics: against exact search by numpy, twice the same, refusing what does not fit."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from metasearch.core import Index
from metasearch.errors import ConfigError, DataError
from metasearch.registry import registry
from metasearch.search.recall import exact_scores, recall
from metasearch.search.settings import index_for
from metasearch_plugins.indexes import faiss_index

NAMES = ("flat", "hnsw", "ivf-pq")
# So many vectors looked at that nothing is missed by looking at too few.
THOROUGH = {"flat": {}, "hnsw": {"ef_search": 2000, "ef_construction": 200}, "ivf-pq": {"probes": 10_000}}


def vectors(count: int, dimension: int = 16, seed: int = 0) -> np.ndarray:
    drawn = np.random.default_rng(seed).standard_normal((count, dimension)).astype(np.float32)
    return drawn / np.linalg.norm(drawn, axis=1, keepdims=True)


def built(name: str, data: np.ndarray, block: int = 128, **options: int) -> Index:
    index: Index = registry.create("index", name, **options)
    sample = data[np.random.default_rng(0).permutation(len(data))[: index.sample_size(len(data))]]
    index.start(data.shape[1], len(data), sample)
    for start in range(0, len(data), block):
        index.add(data[start : start + block])
    return index


def nearest(data: np.ndarray, queries: np.ndarray, k: int) -> np.ndarray:
    return np.argsort(-(queries @ data.T), axis=1, kind="stable")[:, :k]


@pytest.mark.parametrize("name", ["flat", "hnsw"])
def test_finds_what_exact_search_finds(name: str, tmp_path: Path) -> None:
    data, queries = vectors(1500), vectors(20, seed=1)
    index = built(name, data, **THOROUGH[name])
    index.save(tmp_path / "index")
    opened: Index = registry.create("index", name, **THOROUGH[name])
    opened.open(tmp_path / "index")
    for found in (index, opened):
        scores, positions = found.search(queries, 10)
        np.testing.assert_array_equal(positions, nearest(data, queries, 10))
        np.testing.assert_allclose(scores, np.take_along_axis(queries @ data.T, positions, 1), atol=1e-5)


def test_flat_takes_vectors_of_any_length() -> None:
    data = vectors(300) * np.linspace(0.1, 5, 300, dtype=np.float32)[:, None]
    queries = vectors(5, seed=1)
    np.testing.assert_array_equal(built("flat", data).search(queries, 7)[1], nearest(data, queries, 7))


def test_ivf_pq_gets_better_with_longer_codes_and_more_probes() -> None:
    data = vectors(4000)
    queries = data[:100] + 0.1 * vectors(100, seed=1)
    truth = nearest(data, queries, 10)

    def found(**options: int) -> float:
        positions = built("ivf-pq", data, **options).search(queries, 10)[1]
        return float(np.mean([len(set(a) & set(b)) / 10 for a, b in zip(positions, truth, strict=True)]))

    few, codes, both = found(segments=2, probes=1), found(segments=16, probes=1), found(segments=16, probes=100)
    assert few < codes < both
    assert both > 0.9


@pytest.mark.parametrize("name", NAMES)
def test_the_same_build_gives_the_same_file(name: str, tmp_path: Path) -> None:
    for file in ("one", "two"):
        built(name, vectors(1000)).save(tmp_path / file)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("count", [2, 5, 60])
def test_few_vectors_and_a_larger_k(name: str, count: int) -> None:
    data = vectors(count)
    scores, positions = built(name, data, **THOROUGH[name]).search(data[:1], 70)
    assert scores.shape == positions.shape == (1, 70)
    assert sorted(positions[0][:count].tolist()) == list(range(count))
    assert set(positions[0][count:].tolist()) == {-1}
    assert positions[0][0] == 0


@pytest.mark.parametrize("name", ["flat", "hnsw"])
def test_one_vector(name: str) -> None:
    assert built(name, vectors(1)).search(vectors(1), 2)[1].tolist() == [[0, -1]]


@pytest.mark.parametrize(
    ("options", "count", "message"),
    [
        ({"segments": 5}, 500, r"index.segments=5: must divide the dimension 16; one of 1, 2, 4, 8, 16"),
        ({"lists": 501}, 500, r"index.lists=501: more than the 500 texts there are; use index=flat"),
        ({}, 1, "use index=flat"),
    ],
)
def test_options_that_do_not_fit_the_data(options: dict[str, int], count: int, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        built("ivf-pq", vectors(count), **options)


@pytest.mark.parametrize("dimension", [1, 3, 7, 32, 384])
def test_segments_divide_any_dimension(dimension: int) -> None:
    data = vectors(300, dimension)
    assert built("ivf-pq", data, probes=100).search(data[:1], 3)[1].min() >= 0


@pytest.mark.parametrize("name", NAMES)
def test_a_damaged_file_is_refused(name: str, tmp_path: Path) -> None:
    built(name, vectors(500)).save(tmp_path / "index")
    whole = (tmp_path / "index").read_bytes()
    for content in (whole[: len(whole) // 2], b"no index at all", b""):
        (tmp_path / "cut").write_bytes(content)
        with pytest.raises(DataError, match="cut: damaged, or no FAISS index"):
            registry.create("index", name).open(tmp_path / "cut")
    other = "flat" if name == "hnsw" else "hnsw"
    with pytest.raises(DataError, match="holds a FAISS Index"):
        registry.create("index", other).open(tmp_path / "index")


def test_a_build_by_one_thread_leaves_the_others_to_searches(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    monkeypatch.setattr(faiss_index.faiss, "omp_set_num_threads", asked.append)
    monkeypatch.setattr(faiss_index, "THREADS", 5)
    built("hnsw", vectors(10)).search(vectors(1), 1)
    assert asked == [1, 5]


def test_a_file_that_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot be written"):
        built("flat", vectors(5)).save(tmp_path / "missing" / "index")


@pytest.mark.parametrize(
    ("count", "name"),
    [(1, "flat"), (200_000, "flat"), (200_001, "hnsw"), (1_000_000, "hnsw"), (1_000_001, "ivf-pq"), (10**12, "ivf-pq")],
)
def test_the_size_chooses(count: int, name: str) -> None:
    assert index_for(count, print).name == name


def test_training_sees_a_sample_only() -> None:
    index: Index = registry.create("index", "ivf-pq")
    assert index.sample_size(1000) == 1000
    assert index.sample_size(1_000_000) == 4000 * 64
    assert registry.create("index", "hnsw").sample_size(1000) == 0


# -- recall ----------------------------------------------------------------------------------------------------------------


@settings(max_examples=30, deadline=None)
@given(count=st.integers(1, 60), block=st.integers(1, 60), k=st.integers(1, 70))
def test_exact_scores_do_not_depend_on_blocks(count: int, block: int, k: int) -> None:
    data, queries = vectors(count, 4), vectors(3, 4, seed=1)
    told: list[int] = []
    found = exact_scores(queries, (data[i : i + block] for i in range(0, count, block)), k, told.append)
    np.testing.assert_allclose(found, -np.sort(-(queries @ data.T), axis=1)[:, :k], atol=1e-6)
    assert sum(told) == count


def test_recall_counts_ties_and_misses() -> None:
    exact = np.array([[0.9, 0.5, 0.5], [0.9, 0.8, 0.7]])
    assert recall(exact, exact) == 1
    assert recall(np.array([[0.5, 0.9, 0.5], [0.7, 0.8, 0.9]]), exact) == 1  # whichever of equal ones, in any order
    assert recall(np.array([[0.9, 0.5, -np.inf], [0.9, 0.6, 0.6]]), exact) == pytest.approx(3 / 6)
