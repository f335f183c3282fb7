"""Softmax and regression losses: closed forms, and what counts as a negative."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch

from metasearch.core import Candidate, ExampleSet, PairEmbeddings, Question, TripletEmbeddings, TripletExample
from metasearch.episodes import parse_mode
from metasearch.errors import ConfigError
from metasearch_plugins.encoders.triplet import TripletEncoder
from metasearch_plugins.losses.cosine_mse import CosineMSE
from metasearch_plugins.losses.distillation import Distillation, monolingual_similarities
from metasearch_plugins.losses.infonce import Cached, InfoNCE
from metasearch_plugins.samplers.random import RandomSampler
from tests.tiny import tiny_corpus


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


def test_all_positives_by_hand() -> None:
    """The mean over the right candidates of -log(right / (right + the wrong ones)): no right one competes with another."""
    x = embeddings()
    assert x.pool is not None
    assert x.wrong is not None
    x.wrong[0, 2] = False  # anchor 0 has two positives
    total = 0.0
    for i in range(2):
        score = [math.exp(float(x.question[i] @ c) / 0.4) for c in x.pool]
        others = sum(s for s, w in zip(score, x.wrong[i], strict=True) if w)
        right = [-math.log(s / (s + others)) for s, w in zip(score, x.wrong[i], strict=True) if not w]
        total += sum(right) / len(right)
    assert InfoNCE(0.4, positives="all")(x).item() == pytest.approx(total / 2, rel=1e-5)
    assert InfoNCE(0.4, positives="all")(embeddings()).item() == pytest.approx(InfoNCE(0.4)(embeddings()).item(), rel=1e-5)


def base_of(*languages: torch.Tensor) -> torch.Tensor:
    """``(m, 2, d)`` per language -> ``(m, 2, L, d)``."""
    return torch.stack(languages, dim=2)


def test_distillation_of_scores_by_hand() -> None:
    generator = torch.Generator().manual_seed(2)
    one, other = torch.randn(2, 2, 3, generator=generator), torch.randn(2, 2, 3, generator=generator)
    x = embeddings(base=base_of(one, other))
    assert x.pool is not None
    assert x.wrong is not None
    x.wrong[0, 1] = False  # columns 0 and 1 answer question 0, column 2 question 1, column 3 none
    expected = 0.0
    for i in range(2):
        base = [float(one[i, 0] @ one[j, 1] + other[i, 0] @ other[j, 1]) / 2 for j in range(2)]
        shares = [math.exp(b / 0.5) for b in base]
        teacher = [s / sum(shares) for s in shares]
        answer = [0.3 * (i == j) + 0.7 * teacher[j] for j in range(2)]
        target = [answer[0] / 2, answer[0] / 2, answer[1], 0.0]
        assert sum(target) == pytest.approx(1)
        score = [math.exp(float(x.question[i] @ c) / 0.4) for c in x.pool]
        expected -= sum(t * math.log(s / sum(score)) for t, s in zip(target, score, strict=True))
    loss = Distillation(temperature=0.4, teacher_temperature=0.5, labels=0.3)
    assert loss(x).item() == pytest.approx(expected / 2, rel=1e-5)


def test_a_language_that_lacks_the_question_does_not_count() -> None:
    """Base similarities are means over the languages that have question and answer, not over all."""
    one = torch.randn(3, 2, 4, generator=torch.Generator().manual_seed(3))
    absent = torch.zeros_like(one)
    torch.testing.assert_close(monolingual_similarities(base_of(one, absent)), torch.einsum("id,jd->ij", one[:, 0], one[:, 1]))


def test_distillation_of_embeddings_by_hand() -> None:
    generator = torch.Generator().manual_seed(4)
    one, other = torch.randn(2, 2, 3, generator=generator), torch.randn(2, 2, 3, generator=generator)
    x = embeddings(base=base_of(one, other))
    assert x.pool is not None
    assert x.wrong is not None
    x.wrong[0, 1] = False
    goals = torch.nn.functional.normalize(one + other, dim=-1)
    questions = sum(float((x.question[i] - goals[i, 0]) @ (x.question[i] - goals[i, 0])) for i in range(2)) / 2
    pairs = [(0, 0), (0, 1), (1, 2)]
    answers = sum(float((x.pool[c] - goals[i, 1]) @ (x.pool[c] - goals[i, 1])) for i, c in pairs) / 3
    assert Distillation(embeddings=1.0, scale=2.0)(x).item() == pytest.approx(2 * (questions + answers), rel=1e-5)
    scores = Distillation(embeddings=0.0)(x).item()
    both = Distillation(embeddings=0.25, scale=2.0)(x).item()
    assert both == pytest.approx(0.75 * scores + 0.25 * 2 * (questions + answers), rel=1e-5)


def test_questions_and_their_translations_by_hand() -> None:
    generator = torch.Generator().manual_seed(6)
    base = base_of(torch.randn(2, 2, 3, generator=generator))
    other = torch.randn(2, 3, generator=generator)
    x = embeddings(base=base, translation=other)
    scores = [[math.exp(float(x.question[i] @ other[j]) / 0.4) for j in range(2)] for i in range(2)]
    there = -sum(math.log(scores[i][i] / sum(scores[i])) for i in range(2)) / 2
    back = -sum(math.log(scores[i][i] / (scores[0][i] + scores[1][i])) for i in range(2)) / 2
    without = Distillation(0.4)(x).item()
    assert Distillation(0.4, questions=0.5)(x).item() == pytest.approx(without + 0.5 * (there + back) / 2, rel=1e-5)
    assert Distillation(0.4, questions=0.5)(embeddings(base=base)).item() == pytest.approx(without, rel=1e-6)


def test_the_base_encoder_itself_is_at_distance_nought() -> None:
    """An encoder that gives every version the base encoder's mean over languages has nothing left to learn."""
    goals = torch.nn.functional.normalize(torch.randn(2, 2, 3, generator=torch.Generator().manual_seed(5)), dim=-1)
    wrong = torch.tensor([[False, True], [True, False]])
    x = TripletEmbeddings(goals[:, 0], goals[:, 1], goals[:, 1:], goals[:, 1], torch.arange(2), wrong, base=base_of(goals, goals))
    assert Distillation(embeddings=1.0)(x).item() == pytest.approx(0, abs=1e-10)


def test_distillation_says_what_it_lacks() -> None:
    with pytest.raises(ConfigError, match="sampler.base=true"):
        Distillation()(embeddings())


def test_the_triplet_encoder_knows_languages_and_versions(tiny_model: Path) -> None:
    """Columns in the question's language, versions that are right, and base embeddings as they were brought."""
    corpus = tiny_corpus()
    sampler = RandomSampler(2, 2, 1, versions=True, base=True)
    sampler.use_embeddings(lambda texts, side: np.array([[len(t), len(side)] for t in texts], dtype=np.float32))
    chain = parse_mode("el_el -> el_{ar,de,el}").train.chains[0]
    sets, _ = sampler.sample(corpus, chain, np.random.default_rng(0))
    encoder = TripletEncoder(str(tiny_model))
    prepared = encoder.prepare(sets)
    x = encoder.embed(encoder.restrict(encoder.parameters(), prepared), prepared, 1)
    examples = sets[1].examples
    assert x.own is not None
    assert x.wrong is not None
    assert x.base is not None
    assert [{v.language for v in e.versions} | {e.positive.language} for e in examples] == [{"ar", "de", "el"}] * 2
    assert (~x.wrong).sum(1).tolist() == [3, 3]
    assert (~x.wrong & x.own).sum(1).tolist() == [1, 1]
    texts = list(dict.fromkeys(c.text for e in examples for c in (e.positive, *e.versions, *e.negatives)))
    languages = {c.text: c.language for c in corpus.candidates}
    assert x.own.tolist() == [[languages[text] == "el" for text in texts]] * 2
    assert x.base.shape == (2, 2, 3, 2)
    asked = [e.translation for e in examples if e.translation]
    assert {q.language for q in asked} <= {"ar", "de"}
    assert x.translation is not None
    alone = torch.from_numpy(encoder.encode([q.text for q in asked], "query"))
    torch.testing.assert_close(x.translation.detach(), alone, rtol=1e-4, atol=1e-5)
    mono = encoder.embed(encoder.restrict(encoder.parameters(), prepared), prepared, 0)
    assert mono.translation is None
    by_language = [
        [len(corpus.question_texts[language, e.question.id].text) for language in ("ar", "de", "el")] for e in examples
    ]
    assert x.base[:, 0, :, 0].tolist() == by_language


def test_cosine_mse_by_hand() -> None:
    first = torch.tensor([[2.0, 0.0], [1.0, 1.0], [0.0, 3.0]])
    second = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, -1.0]])
    scores = torch.tensor([1.0, 0.5, 0.0])
    expected = (0 + (0.5**0.5 - 0.5) ** 2 + 1) / 3
    assert CosineMSE()(PairEmbeddings(first, second, scores)).item() == pytest.approx(expected, rel=1e-5)
