"""Metrics and variants, against an independent implementation and by hand."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import metasearch
from metasearch.core import Corpus, Encoder, Side
from metasearch.evaluation import (
    OWN_LANGUAGE,
    EncodedCorpus,
    Row,
    encode_corpus,
    evaluate_corpus,
    main_score,
    own_language,
    rank_relevant,
    top_candidates,
)
from metasearch.report.compare import compare
from metasearch.report.page import write_report
from metasearch.report.summary import own_language_line, score_table
from metasearch_plugins.metrics.map import MeanAveragePrecision
from tests.tiny import tiny_corpus


def encoded(corpus: Corpus, seed: int = 0, dimension: int = 4, levels: int | None = None) -> EncodedCorpus:
    """Random embeddings; with ``levels``, integers, so that many scores are equal."""
    rng = np.random.default_rng(seed)

    class Fake:
        similarity = Encoder.similarity

        def encode(
            self, texts: Sequence[str], side: Side, batch_size: int = 32, progress: Callable[[int], None] | None = None
        ) -> np.ndarray:
            if levels is None:
                return rng.normal(size=(len(texts), dimension)).astype(np.float32)
            return rng.integers(levels, size=(len(texts), dimension)).astype(np.float32)

    return encode_corpus(Fake(), corpus)  # type: ignore[arg-type]


@pytest.mark.parametrize("levels", [None, 2])
def test_map_agrees_with_trec_eval(levels: int | None) -> None:
    """For every question and pool, to 1e-9; ties are broken by id, which trec_eval is told by ranks instead of scores."""
    import ir_measures
    from ir_measures import AP

    corpus = tiny_corpus(articles=12)
    case = encoded(corpus, seed=5, levels=levels)
    rows = evaluate_corpus(case, MeanAveragePrecision(20))
    ids = [c.id for c in case.candidates]
    language_of = {c.id: c.language for c in corpus.candidates}
    assert len(rows) == 2 * (4 + 12 + 4)
    for row in rows:
        numbers = np.array([i for i, q in enumerate(corpus.questions) if q.language == row.query_language])
        columns = [j for j, i in enumerate(ids) if language_of[i] in row.candidate_languages]
        scores = case.scores(numbers)[:, columns]
        qrels: dict[str, dict[str, int]] = {}
        run: dict[str, dict[str, float]] = {}
        for n, line in zip(numbers, scores, strict=True):
            question = corpus.questions[n]
            qrels[str(n)] = {i: 1 for i in corpus.relevant[question.id] if language_of[i] in row.candidate_languages}
            order = np.lexsort((np.arange(len(line)), -line))
            run[str(n)] = {ids[columns[j]]: float(len(line) - rank) for rank, j in enumerate(order)}
        measure = AP @ 20 if row.metric == "map@20" else AP
        assert row.value == pytest.approx(ir_measures.calc_aggregate([measure], qrels, run)[measure], abs=1e-9), row
        assert row.n == len(numbers)


@given(st.integers(0, 10_000), st.integers(1, 12), st.integers(1, 3))
@settings(max_examples=100, deadline=None)
def test_ranks_equal_those_of_a_stable_sort(seed: int, candidates: int, levels: int) -> None:
    rng = np.random.default_rng(seed)
    scores = rng.integers(levels, size=(5, candidates)).astype(np.float32)
    relevant = np.full((5, 3), -1)
    for row in relevant:
        chosen = rng.choice(candidates, size=min(candidates, rng.integers(1, 4)), replace=False)
        row[: len(chosen)] = chosen
    ranks = rank_relevant(scores, relevant)
    for line, wanted, found in zip(scores, relevant, ranks, strict=True):
        order = list(np.argsort(-line, kind="stable"))
        expected = sorted(order.index(j) + 1 for j in wanted if j >= 0)
        assert found[np.isfinite(found)].tolist() == expected


def test_average_precision_by_hand() -> None:
    ranks = np.array([[1.0, 2.0, 3.0], [1.0, 3.0, np.inf], [21.0, np.inf, np.inf], [20.0, 40.0, np.inf]])
    found = MeanAveragePrecision(20).per_query(ranks)
    np.testing.assert_allclose(found["map@20"], [1.0, (1 + 2 / 3) / 2, 0.0, (1 / 20) / 2])
    np.testing.assert_allclose(found["map"], [1.0, (1 + 2 / 3) / 2, 1 / 21, (1 / 20 + 2 / 40) / 2])
    # More relevant candidates than the cut-off: the best possible ranking still scores 1.
    assert MeanAveragePrecision(2).per_query(np.array([[1.0, 2.0, 3.0]]))["map@2"].tolist() == [1.0]


def test_variants_and_supervision() -> None:
    rows = [r for r in evaluate_corpus(encoded(tiny_corpus()), MeanAveragePrecision(), seen=("el", "ar")) if r.metric == "map@20"]
    multi = [r for r in rows if r.variant == "multi"]
    assert [(r.query_language, r.supervision) for r in multi] == [
        ("ar", "few-shot"),
        ("de", "zero-shot"),
        ("el", "few-shot"),
        ("hi", "zero-shot"),
    ]
    assert all(r.candidate_languages == ("ar", "de", "el", "hi") for r in multi)
    bi = {(r.query_language, *r.candidate_languages): r.supervision for r in rows if r.variant == "bi"}
    assert len(bi) == 12
    assert [pair for pair, supervision in bi.items() if supervision == "few-shot"] == [("ar", "el"), ("el", "ar")]
    assert len([r for r in rows if r.variant == "mono"]) == 4
    assert main_score(rows, "map@20") == pytest.approx(np.mean([r.value for r in multi]))


def test_the_order_of_questions_and_candidates_does_not_matter() -> None:
    corpus = tiny_corpus()
    rng = np.random.default_rng(0)
    table = {
        t: rng.integers(2, size=3).astype(np.float32)
        for t in [*(q.text for q in corpus.questions), *(c.text for c in corpus.candidates)]
    }

    class Fake:
        similarity = Encoder.similarity

        def encode(self, texts: Sequence[str], side: Side, batch_size: int = 32, progress: object = None) -> np.ndarray:
            return np.stack([table[t] for t in texts])

    shuffled = Corpus(
        "tiny",
        tuple(corpus.questions[i] for i in rng.permutation(len(corpus.questions))),
        tuple(corpus.candidates[i] for i in rng.permutation(len(corpus.candidates))),
        corpus.relevant,
    )
    one, other = (evaluate_corpus(encode_corpus(Fake(), c), MeanAveragePrecision()) for c in (corpus, shuffled))  # type: ignore[arg-type]
    for a, b in zip(one, other, strict=True):
        assert (a.metric, a.variant, a.query_language) == (b.metric, b.variant, b.query_language)
        assert a.value == pytest.approx(b.value, abs=1e-12)


def test_the_run_is_ordered_by_score_and_id() -> None:
    corpus = tiny_corpus()
    case = encoded(corpus, levels=2)
    ids = [c.id for c in case.candidates]
    assert ids == sorted(ids)
    for number, best in top_candidates(case, 7):
        line = case.scores(np.array([number]))[0]
        order = np.lexsort((np.arange(len(line)), -line))[:7]
        assert best == [(ids[j], float(line[j])) for j in order]


def test_a_question_without_an_answer_in_the_pool_is_left_out_and_counted() -> None:
    corpus = tiny_corpus()
    some = {i: frozenset(c for c in ids if not c.startswith("ar-000")) for i, ids in corpus.relevant.items()}
    rows = evaluate_corpus(encoded(Corpus("tiny", corpus.questions, corpus.candidates, some)), MeanAveragePrecision())
    assert {r.n for r in rows if r.candidate_languages == ("ar",)} == {36}
    assert {r.n for r in rows if r.variant == "multi"} == {40}


# -- language bias -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("levels", [None, 2])
def test_own_language_is_counted_in_the_first_twenty(levels: int | None) -> None:
    corpus = tiny_corpus()
    case = encoded(corpus, seed=3, levels=levels)
    language_of = {c.id: c.language for c in corpus.candidates}
    shares = defaultdict(list)
    for number, best in top_candidates(case, 20):
        own = corpus.questions[number].language
        shares[own].append(sum(language_of[i] == own for i, _ in best) / 20)
    rows = own_language(case, ("ar",), "dev", 3)
    assert {row.query_language: row.value for row in rows} == pytest.approx({k: np.mean(v) for k, v in shares.items()})
    assert [(row.query_language, row.supervision, row.n) for row in rows][:2] == [("ar", "few-shot", 40), ("de", "zero-shot", 40)]
    about = {(row.metric, row.variant, row.candidate_languages, row.split, row.fold) for row in rows}
    assert about == {("own-language@20", "multi", corpus.languages, "dev", 3)}


def test_own_language_of_an_encoder_that_knows_nothing_but_the_language() -> None:
    corpus = tiny_corpus()
    table = {
        t.text: np.eye(4, dtype=np.float32)[corpus.languages.index(t.language)] for t in (*corpus.questions, *corpus.candidates)
    }

    class Fake:
        similarity = Encoder.similarity

        def encode(self, texts: Sequence[str], side: Side, batch_size: int = 32, progress: object = None) -> np.ndarray:
            return np.stack([table[text] for text in texts])

    assert {row.value for row in own_language(encode_corpus(Fake(), corpus))} == {1.0}  # type: ignore[arg-type]
    few = Corpus("few", corpus.questions, tuple(c for c in corpus.candidates if c.group == "000"), corpus.relevant)
    assert {row.value for row in own_language(encode_corpus(Fake(), few))} == {5 / 20}  # type: ignore[arg-type]
    fewer = Corpus("fewer", corpus.questions, few.candidates[:8], corpus.relevant)  # a pool of 8: 5 of ar and 3 of de
    found = {row.query_language: row.value for row in own_language(encode_corpus(Fake(), fewer))}  # type: ignore[arg-type]
    assert found == {"ar": 5 / 8, "de": 3 / 8, "el": 0.0, "hi": 0.0}
    alone = corpus.of_languages(["ar"])
    assert own_language(encode_corpus(Fake(), alone)) == []  # type: ignore[arg-type]


def test_own_language_is_no_score() -> None:
    case = encoded(tiny_corpus())
    scores = evaluate_corpus(case, MeanAveragePrecision())
    both = [*scores, *own_language(case)]
    assert OWN_LANGUAGE not in {row.metric for row in scores}
    assert main_score(both, "map@20") == main_score(scores, "map@20")
    # A language whose questions nothing answers has a share, and no line among the scores.
    without = [row for row in both if row.metric == OWN_LANGUAGE or row.query_language != "hi"]
    table = score_table((), without, "map@20")
    assert [line[0] for line in table.rows] == ["ar", "de", "el", "mean"]


def test_own_language_in_words() -> None:
    row = Row(OWN_LANGUAGE, "multi", "ar", ("ar", "de"), "zero-shot", "test", 0, 0.5, 4)
    rows = [row, replace(row, query_language="de", value=0.75)]
    assert str(own_language_line((), rows)).startswith("own-language@20 x 100: 62.5 (")
    assert str(own_language_line([row], rows)).startswith("own-language@20 x 100: 50.0 before, 62.5 after (")
    assert own_language_line([], [replace(row, metric="map@20")]) is None


def test_own_language_of_a_run(tiny_model: Path, tmp_path: Path) -> None:
    """In results.json, the page and compare: as the run's ranking says, and never among the scores."""
    words = ("algo=zero-shot", f"encoder.model={tiny_model}", "data.languages=[ar,de]", "device=cpu")
    result = metasearch.run(*words, "eval.run_depth=20", f"out={tmp_path / 'a'}")
    metasearch.run(*words, f"out={tmp_path / 'b'}")
    scores = json.loads((tmp_path / "a" / "results.json").read_text(encoding="utf-8"))["scores"]
    found = {row["query_language"]: row["value"] for row in scores if row["metric"] == OWN_LANGUAGE}
    shares = defaultdict(list)
    for line in (tmp_path / "a" / "run.trec").read_text(encoding="utf-8").splitlines():
        question, _, candidate, *_ = line.split()
        shares[question[:2]].append(question[:2] == candidate[:2])
    assert found == pytest.approx({language: np.mean(own) for language, own in shares.items()})
    assert result.main_score["metric"] == "map@20"
    assert OWN_LANGUAGE not in (tmp_path / "a" / "model" / "README.md").read_text(encoding="utf-8")
    shown = f"{50 * sum(found.values()):.1f}"
    page = write_report([tmp_path / "a"]).read_text(encoding="utf-8")
    assert f"own-language@20 x 100: {shown} (" in page
    assert "Other metrics: map<" in page
    compared = compare([str(tmp_path / "a"), str(tmp_path / "b")])
    assert compared.tables()[0].header[-1] == OWN_LANGUAGE
    assert [row[-1] for row in compared.tables()[0].rows] == [shown, shown]
    assert compared.to_json()["runs"][0]["own_language"] == pytest.approx(np.mean(list(found.values())))
    assert {variant for _, variant in compared.columns} == {"multi", "bi", "mono"}
    mono = metasearch.evaluate(str(tiny_model), *words[2:], "data.fold=0", "eval.variants=[mono]")
    assert OWN_LANGUAGE not in {row.metric for row in mono.rows}
