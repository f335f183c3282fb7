"""Softmax and regression losses: closed forms, and what counts as a negative."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch

from metasearch.core import Candidate, ExampleSet, PairEmbeddings, Question, TripletEmbeddings, TripletExample
from metasearch_plugins.encoders.triplet import TripletEncoder
from metasearch_plugins.losses.cosine_mse import CosineMSE
from metasearch_plugins.losses.infonce import Cached, InfoNCE


def embeddings(**more: torch.Tensor) -> TripletEmbeddings:
    generator = torch.Generator().manual_seed(0)
    question, pool = torch.randn(2, 3, generator=generator), torch.randn(4, 3, generator=generator)
    wrong = torch.tensor([[False, True, True, True], [True, True, False, True]])  # positives are rows 0 and 2
    negatives = pool[torch.tensor([[1], [3]])]
    return TripletEmbeddings(question, pool[[0, 2]], negatives, pool, torch.tensor([0, 2]), wrong, **more)


def by_hand(x: TripletEmbeddings, temperature: float, extra: torch.Tensor | None = None) -> float:
    assert x.pool is not None
    assert x.wrong is not None
    total = 0.0
    for i in range(len(x.question)):
        score = [math.exp(float(x.question[i] @ c) / temperature) for c in x.pool]
        others = [s for s, w in zip(score, x.wrong[i], strict=True) if w]
        others += [] if extra is None else [math.exp(float(x.question[i] @ c) / temperature) for c in extra[i]]
        positive = math.exp(float(x.question[i] @ x.positive[i]) / temperature)
        total -= math.log(positive / (positive + sum(others)))
    return total / len(x.question)


@pytest.mark.parametrize("temperature", [0.3, 1.0])
def test_infonce_by_hand(temperature: float) -> None:
    x = embeddings()
    assert InfoNCE(temperature)(x).item() == pytest.approx(by_hand(x, temperature), rel=1e-5)


def test_a_relevant_candidate_is_no_negative() -> None:
    x = embeddings()
    assert x.wrong is not None
    wrong = x.wrong.clone()
    wrong[0, 2] = False  # the other question's positive answers this one too
    fewer = TripletEmbeddings(x.question, x.positive, x.negatives, x.pool, x.positive_index, wrong)
    assert InfoNCE(0.5)(fewer).item() == pytest.approx(by_hand(fewer, 0.5), rel=1e-5)
    assert InfoNCE(0.5)(fewer).item() < InfoNCE(0.5)(x).item()


def test_cached_negatives_join_the_denominator() -> None:
    cached = torch.randn(2, 6, 3, generator=torch.Generator().manual_seed(1))
    x = embeddings(cached=cached)
    assert Cached(0.7)(x).item() == pytest.approx(by_hand(x, 0.7, cached), rel=1e-5)
    assert InfoNCE(0.7)(x).item() == pytest.approx(by_hand(x, 0.7), rel=1e-5)
    assert Cached(0.7)(embeddings()).item() == pytest.approx(by_hand(x, 0.7), rel=1e-5)


def test_without_a_pool_the_own_negatives_count() -> None:
    x = embeddings()
    bare = TripletEmbeddings(x.question, x.positive, x.negatives)
    s = (x.question * x.positive).sum(1), (x.question * x.negatives[:, 0]).sum(1)
    assert InfoNCE(1.0)(bare).item() == pytest.approx(torch.log1p((s[1] - s[0]).exp()).mean().item(), rel=1e-5)


def test_gradients_are_finite_where_everything_is_masked() -> None:
    x = embeddings()
    assert x.wrong is not None
    nothing = TripletEmbeddings(
        x.question.clone().requires_grad_(), x.positive, x.negatives, x.pool, x.positive_index, torch.zeros_like(x.wrong)
    )
    loss = InfoNCE(0.05)(nothing)
    loss.backward()
    assert loss.item() == 0.0
    assert nothing.question.grad is not None
    assert torch.isfinite(nothing.question.grad).all()


def test_the_triplet_encoder_knows_which_candidates_are_wrong(tiny_model: Path) -> None:
    def question(i: int) -> Question:
        return Question(f"q{i}", "el", f"which el{i}", "g")

    def candidate(i: int, text: str = "") -> Candidate:
        return Candidate(f"c{i}", "el", text or f"el{i} of {i}", "g")

    same_text = candidate(9, candidate(0).text)
    examples = (
        TripletExample(question(0), candidate(0), (candidate(1),), frozenset({"c0", "c4"})),
        TripletExample(question(1), candidate(4), (same_text,), frozenset({"c4"})),
    )
    encoder = TripletEncoder(str(tiny_model))
    prepared = encoder.prepare([ExampleSet(examples, "el_el")])
    x = encoder.embed(encoder.restrict(encoder.parameters(), prepared), prepared, 0)
    # Distinct texts in order: c0 (and c9), c1, c4.
    assert x.wrong is not None
    assert x.wrong.tolist() == [[False, True, False], [True, True, False]]
    assert x.positive_index is not None
    assert x.positive_index.tolist() == [0, 2]
    assert x.pool is not None
    torch.testing.assert_close(x.pool[x.positive_index], x.positive)


def test_cosine_mse_by_hand() -> None:
    first = torch.tensor([[2.0, 0.0], [1.0, 1.0], [0.0, 3.0]])
    second = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, -1.0]])
    scores = torch.tensor([1.0, 0.5, 0.0])
    expected = (0 + (0.5**0.5 - 0.5) ** 2 + 1) / 3
    assert CosineMSE()(PairEmbeddings(first, second, scores)).item() == pytest.approx(expected, rel=1e-5)
