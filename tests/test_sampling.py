"""Sampling by similarity: what is drawn is what the definitions say, counted against brute force."""

from __future__ import annotations

import shutil
import zlib
from collections.abc import Sequence
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from metasearch.core import Corpus, Side, TripletExample
from metasearch.episodes import BaseEmbeddings, EpisodeStream, parse_mode
from metasearch.errors import ConfigError, DataError
from metasearch_plugins.encoders.triplet import TripletEncoder
from metasearch_plugins.samplers.hard import HardSampler
from metasearch_plugins.samplers.random import RandomSampler
from metasearch_plugins.samplers.similar import SimilarSampler
from tests.tiny import tiny_corpus, tiny_pairs

MARGIN = 0.2


def embed(texts: Sequence[str], side: Side) -> np.ndarray:
    """A fixed direction per text; query and candidate differ."""
    rows = [np.random.default_rng([zlib.crc32(t.encode()), len(side)]).normal(size=6) for t in texts]
    return np.array([row / np.linalg.norm(row) for row in rows], dtype=np.float32)


def distance(question: str, candidate: str) -> float:
    return float(np.linalg.norm(embed([question], "query")[0] - embed([candidate], "candidate")[0]))


def make(mode: str = "el_el -> el_ar -> el_{ar,el}", corpus: Corpus | None = None, **options: object) -> EpisodeStream:
    sampler = RandomSampler(**{"support_size": 4, "query_size": 3, "num_negatives": 2, "margin": MARGIN, **options})  # type: ignore[arg-type]
    if sampler.needs_embeddings:
        sampler.use_embeddings(embed)
    return EpisodeStream(corpus or tiny_corpus(), parse_mode(mode).train, sampler, 0, "train")


def qualifies(kind: str, example: TripletExample, candidate: str) -> bool:
    own, other = distance(example.question.text, example.positive.text), distance(example.question.text, candidate)
    return {"hard": other < own, "semi-hard": own < other < own + MARGIN, "easy": other > own + MARGIN}[kind]


@pytest.mark.parametrize("kind", ["hard", "semi-hard", "easy"])
def test_negatives_qualify_or_are_counted_and_nearest(kind: str) -> None:
    corpus = tiny_corpus()
    source = make(corpus=corpus, negatives=kind)
    short = 0
    for task in (source.task(i) for i in range(30)):
        fell = 0
        for example in (e for s in task.sets for e in s.examples):
            assert not {n.id for n in example.negatives} & corpus.relevant[example.question.id]
            assert len({n.id for n in example.negatives}) == 2
            for negative in example.negatives:
                if qualifies(kind, example, negative.text):
                    continue
                fell += 1
                taken = {n.id for n in example.negatives} | corpus.relevant[example.question.id]
                free = [c for c in corpus.candidates_of[negative.language] if c.id not in taken]
                assert not any(qualifies(kind, example, c.text) for c in free)
        assert task.shortfall == fell
        short += fell
    assert short < 30 * 10 * 2 / 2


def test_what_falls_short_is_the_nearest_to_qualifying() -> None:
    corpus = tiny_corpus()
    source = make("el_el -> el_el", corpus, negatives="easy", margin=1.99, num_negatives=1)
    for example in (e for i in range(10) for s in source.task(i).sets for e in s.examples):
        wrong = [c for c in corpus.candidates_of["el"] if c.id not in corpus.relevant[example.question.id]]
        farthest = max(wrong, key=lambda c: distance(example.question.text, c.text))
        assert example.negatives[0] == farthest
    assert source.task(0).shortfall == 7


def test_hard_negatives_are_drawn_from_all_that_qualify() -> None:
    corpus = tiny_corpus(articles=5)
    source = make("el_el -> el_el", corpus, negatives="hard", num_negatives=1, support_size=1, query_size=1)
    drawn: dict[str, set[str]] = {}
    examples: dict[str, TripletExample] = {}
    for example in (source.task(i).sets[0].examples[0] for i in range(3000)):
        drawn.setdefault(example.question.id, set()).add(example.negatives[0].id)
        examples[example.question.id] = example
    for question_id, example in examples.items():
        wrong = [c for c in corpus.candidates_of["el"] if c.id not in corpus.relevant[question_id]]
        hard = {c.id for c in wrong if qualifies("hard", example, c.text)}
        assert drawn[question_id] == (hard or drawn[question_id])


def test_similar_queries_are_the_nearest_unused_questions() -> None:
    corpus = tiny_corpus()
    task = make("el_el -> ar_ar -> el_el", corpus, query="similar", support_size=5, query_size=3).task(4)
    used = {e.question.id for e in task.sets[0].examples}
    for before, after in zip(task.sets, task.sets[1:], strict=False):
        for anchor, example in zip(before.examples, after.examples, strict=False):
            own = embed([anchor.question.text], "query")[0]
            free = [q for q in corpus.questions if q.language == example.question.language and q.id not in used]
            nearest = max(free, key=lambda q: float(embed([q.text], "query")[0] @ own))
            assert example.question == nearest
            used.add(nearest.id)


def test_every_combination_of_query_and_negative_sampling_draws_a_pure_function() -> None:
    for query, negatives in product(("random", "similar"), ("random", "hard", "semi-hard", "easy")):
        one, other = (make(query=query, negatives=negatives) for _ in range(2))
        alone = other.task(3)
        assert [one.task(i) for i in range(4)][3] == alone
        ids = [e.question.id for s in alone.sets for e in s.examples]
        assert len(ids) == len(set(ids)) == 10


def test_the_samplers_are_presets_of_one_another() -> None:
    for preset, options in ((SimilarSampler, {"query": "similar"}), (HardSampler, {"negatives": "hard"})):
        named, spelled = preset(4, 3, 2), RandomSampler(4, 3, 2, **options)
        for sampler in (named, spelled):
            assert sampler.needs_embeddings
            sampler.use_embeddings(embed)
        arrangement = parse_mode("mono-bi").train
        assert EpisodeStream(tiny_corpus(), arrangement, named, 0, "train").task(1) == EpisodeStream(
            tiny_corpus(), arrangement, spelled, 0, "train"
        ).task(1)
    assert not RandomSampler().needs_embeddings


def test_cached_negatives_are_the_nearest_wrong_candidates() -> None:
    corpus = tiny_corpus()
    example = make("el_el -> el_{ar,el}", corpus, cached_negatives=5).task(0).sets[1].examples[0]
    wrong = [c for language in ("ar", "el") for c in corpus.candidates_of[language] if c.id not in example.relevant]
    nearest = sorted(wrong, key=lambda c: distance(example.question.text, c.text))[:5]
    assert example.cached is not None
    np.testing.assert_allclose(example.cached, embed([c.text for c in nearest], "candidate"), atol=1e-6)
    with pytest.raises(DataError, match=r"only 49 wrong candidates in el; lower sampler.cached_negatives=60"):
        make("el_el -> el_el", corpus, cached_negatives=60).task(0)


def test_negatives_in_the_questions_language() -> None:
    source = make("el_el -> ar_{de,el}", negative_language="question")
    negatives = [
        (e.question.language, n.language) for i in range(20) for s in source.task(i).sets for e in s.examples for n in e.negatives
    ]
    assert set(negatives) == {("el", "el"), ("ar", "ar")}
    anywhere = make("el_el -> ar_{de,el}")
    assert {n.language for i in range(20) for e in anywhere.task(i).query.examples for n in e.negatives} == {"de", "el"}


def test_versions_are_the_answers_in_the_links_other_languages() -> None:
    corpus = tiny_corpus()
    source = make("el_el -> el_ar -> el_{ar,de,el}", corpus=corpus, versions=True)
    for task in (source.task(i) for i in range(10)):
        for examples, languages in zip(task.sets, ({"el"}, {"ar"}, {"ar", "de", "el"}), strict=True):
            for example in examples.examples:
                right = (example.positive, *example.versions)
                assert sorted(c.language for c in right) == sorted(languages)
                assert {c.id for c in right} <= corpus.relevant[example.question.id]
    plain = make("el_el -> el_ar -> el_{ar,de,el}", corpus=corpus)
    assert not any(e.versions for i in range(5) for s in plain.task(i).sets for e in s.examples)


def test_base_brings_question_and_answer_in_the_chains_languages() -> None:
    corpus = tiny_corpus()
    for task in (make("el_el -> el_{ar,de}", corpus=corpus, base=True).task(i) for i in range(5)):
        for example in (e for s in task.sets for e in s.examples):
            assert example.base is not None
            for place, language in enumerate(("ar", "de", "el")):
                question = corpus.question_texts[language, example.question.id].text
                answer = corpus.answers[language, example.question.id][0].text
                np.testing.assert_array_equal(example.base[0, place], embed([question], "query")[0])
                np.testing.assert_array_equal(example.base[1, place], embed([answer], "candidate")[0])


def test_translations_are_the_question_in_another_language_of_the_link() -> None:
    source = make("el_el -> el_ar -> el_{ar,de,el}", versions=True)
    for task in (source.task(i) for i in range(10)):
        assert not any(e.translation for e in task.support.examples)
        for examples, languages in zip(task.sets[1:], ({"ar"}, {"ar", "de"}), strict=True):
            for example in examples.examples:
                assert example.translation is not None
                assert example.translation.id == example.question.id
                assert example.translation.language in languages


def test_base_changes_no_draw() -> None:
    def drawn(**options: object) -> list[object]:
        source = make("el_el -> el_{ar,el}", **options)
        return [e for i in range(10) for s in source.task(i).sets for e in s.examples]

    assert drawn() == drawn(base=True)


@pytest.mark.parametrize("query", ["random", "similar"])
def test_pairs_never_repeat_and_similar_ones_are_nearest(query: str) -> None:
    corpus = tiny_pairs()
    task = make("ar_ar -> {ar_de,de_de} -> de_ar", corpus, query=query, support_size=5, query_size=3).task(2)  # type: ignore[arg-type]
    groups = [pair.group for s in task.sets for pair in s.examples]
    assert len(groups) == len(set(groups)) == 11
    assert {pair.languages for pair in task.sets[2].examples} == {("de", "ar")}  # turned round: the data has ar_de
    if query == "similar":
        used = {pair.group for pair in task.sets[0].examples}
        first = task.sets[1].examples[0]

        def direction(pair: object) -> np.ndarray:
            total = embed([pair.first], "query")[0] + embed([pair.second], "query")[0]  # type: ignore[attr-defined]
            found: np.ndarray = total / np.linalg.norm(total)
            return found

        anchor = direction(task.sets[0].examples[0])
        free = [pair for pair in corpus.pairs_of(*first.languages) if pair.group not in used]
        assert first == max(free, key=lambda pair: float(direction(pair) @ anchor))


def test_too_few_pairs_says_what_to_lower() -> None:
    with pytest.raises(DataError, match=r"needs 12 different pairs.*only 10 of ar_ar; lower sampler.support_size"):
        make("ar_ar -> ar_ar", tiny_pairs(10), support_size=8, query_size=4).task(0)  # type: ignore[arg-type]


def test_unknown_tracks_list_those_there() -> None:
    with pytest.raises(ConfigError, match=r"has no pairs ar_xx; it has ar_ar, ar_de, de_de|has no xx; it has ar, de"):
        make("ar_ar -> ar_xx", tiny_pairs())  # type: ignore[arg-type]
    corpus = tiny_pairs()
    without = type(corpus)("part", tuple(p for p in corpus.pairs if p.languages != ("de", "de")))
    with pytest.raises(ConfigError, match="has no pairs de_de; it has ar_ar, ar_de"):
        make("ar_ar -> de_de", without)  # type: ignore[arg-type]


def test_bad_options() -> None:
    with pytest.raises(ConfigError, match=r"sampler.negatives='hardest': expected one of random, hard, semi-hard, easy"):
        RandomSampler(negatives="hardest")
    with pytest.raises(ConfigError, match=r"sampler.query='near': expected one of random, similar"):
        RandomSampler(query="near")


def test_base_embeddings_are_kept_and_remade_when_damaged(tiny_model: Path, tmp_path: Path) -> None:
    corpus = tiny_corpus(articles=5)
    encoder = TripletEncoder(str(tiny_model))
    texts = [q.text for q in corpus.questions][:7]
    first = BaseEmbeddings(encoder, [corpus], folder=tmp_path)(texts, "query")
    np.testing.assert_allclose(first, encoder.encode(texts, "query"), atol=1e-6)
    (kept,) = tmp_path.glob("*.npy")

    encode = encoder.encode
    asked: list[int] = []

    def counted(texts: Sequence[str], *rest: Any) -> np.ndarray:
        asked.append(len(texts))
        return encode(texts, *rest)

    encoder.encode = counted  # type: ignore[method-assign, assignment]
    np.testing.assert_array_equal(BaseEmbeddings(encoder, [corpus], folder=tmp_path)(texts, "query"), first)
    assert max(asked) <= 20 < len({q.text for q in corpus.questions})  # a few for the key, not all of them
    kept.write_bytes(kept.read_bytes()[:200])
    np.testing.assert_array_equal(BaseEmbeddings(encoder, [corpus], folder=tmp_path)(texts, "query"), first)
    # Other weights, other embeddings.
    with_other = {name: p.detach() + 0.1 for name, p in encoder.parameters().items()}
    encoder.load_parameters(with_other)
    BaseEmbeddings(encoder, [corpus], folder=tmp_path)(texts, "query")
    assert len(list(tmp_path.glob("*.npy"))) == 2


def test_another_pooling_has_other_embeddings(tiny_model: Path, tmp_path: Path) -> None:
    """The weights are the same, so the key must come from what the encoder does."""
    corpus = tiny_corpus(articles=5)
    first_token = shutil.copytree(tiny_model, tmp_path / "cls")
    config = first_token / "1_Pooling" / "config.json"
    config.write_text(config.read_text(encoding="utf-8").replace('"mean"', '"cls"'), encoding="utf-8")
    texts = [q.text for q in corpus.questions][:5]
    encoders = [TripletEncoder(str(path)) for path in (tiny_model, first_token)]
    found = [BaseEmbeddings(encoder, [corpus], folder=tmp_path / "kept")(texts, "query") for encoder in encoders]
    np.testing.assert_allclose(found[1], encoders[1].encode(texts, "query"), atol=1e-6)
    assert np.abs(found[0] - found[1]).max() > 0.01


def test_a_cache_that_cannot_be_written_costs_nothing_else(tiny_model: Path) -> None:
    corpus = tiny_corpus(articles=5)
    rows = BaseEmbeddings(TripletEncoder(str(tiny_model)), [corpus], folder=Path("/dev/null/x"))(
        [corpus.questions[0].text], "query"
    )
    assert rows.shape == (1, 32)
