"""BM25 against its formula, and its terms in several scripts."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from metasearch.core import QUERY
from metasearch.errors import ConfigError
from metasearch_plugins.encoders.bm25 import BM25Encoder, tokenize


@pytest.mark.parametrize(
    ("text", "terms"),
    [
        ("Die Größe der STADT, 3,5 km!", ["die", "grösse", "der", "stadt", "3", "5", "km"]),
        ("nai\u0308ve ﬁnance ①", ["naïve", "finance", "1"]),  # decomposed and compatibility characters
        ("x\u0303y", ["x\u0303y"]),  # a mark without a composed form stays inside its word
        ("हिन्दी में किताबें।", ["हिन्दी", "में", "किताबें"]),  # vowel signs and virama are marks
        ("क्\u200dष आ\u200bब", ["क्ष", "आ", "ब"]),  # the joiner is dropped, the zero-width space separates
        ("Ver\u00adein", ["verein"]),
        ("ที่นี่ ก", ["ที่นี่", "ก"]),  # two characters of three code points each
        ("กรุงเทพ", ["กรุ", "รุง", "งเ", "เท", "ทพ"]),
        ("ភាសា", ["ភា" + "សា"]),
        ("北京大学", ["北京", "京大", "大学"]),
        ("東京ﾀﾜｰへ2019年", ["東京", "京タ", "タワ", "ワー", "ーへ", "2019", "年"]),
        ("iPhone手机", ["iphone", "手机"]),
        ("서울 시", ["서울", "시"]),
        ("ΣΊΣΥΦΟΣ σίσυφος", ["σίσυφοσ", "σίσυφοσ"]),
        ("السلام ١٢", ["السلام", "١٢"]),
        ("", []),
        ("?! — …", []),
    ],
)
def test_terms(text: str, terms: list[str]) -> None:
    assert tokenize(text) == terms


@given(st.text(max_size=40))
@settings(max_examples=300, deadline=None)
def test_any_text_has_terms_that_do_not_change_when_folded_again(text: str) -> None:
    terms = tokenize(text)
    assert all(terms)
    assert all("".join(tokenize(term)) == term for term in terms)


def by_hand(query: str, candidates: Sequence[str], k1: float, b: float, method: str) -> list[float]:
    """The formulas as Kamphuis et al. 2020 write them, on words between spaces."""
    split = [Counter(c.split()) for c in candidates]
    number, average = len(split), sum(c.total() for c in split) / len(split)
    found = []
    for counts in split:
        score = 0.0
        for word in query.split():
            df = sum(word in c for c in split)
            if not df:
                continue
            odds = (number - df + 0.5) / (df + 0.5)
            idf = {"lucene": math.log(1 + odds), "robertson": max(0, math.log(odds)), "atire": math.log(number / df)}[method]
            tf = counts[word]
            top = tf * (k1 + 1) if method == "atire" else tf
            score += idf * top / (tf + k1 * (1 - b + b * counts.total() / average)) if tf else 0.0
        found.append(score)
    return found


COLLECTION = ["a b c", "a a a b", "c d", "e", "f f g h i j k", "a c e g"]


@pytest.mark.parametrize("method", ["lucene", "robertson", "atire"])
@pytest.mark.parametrize(("k1", "b"), [(1.2, 0.75), (0.9, 0.4), (2.0, 0.0), (0.0, 1.0)])
def test_scores_are_the_formula(method: str, k1: float, b: float) -> None:
    queries = ["a", "a c", "f f f", "k e unknown", "g a a"]
    found = BM25Encoder(k1, b, method).similarity(queries, COLLECTION)
    assert found.dtype == np.float32
    assert found.shape == (5, 6)
    np.testing.assert_allclose(found, [by_hand(q, COLLECTION, k1, b, method) for q in queries], rtol=1e-6, atol=1e-7)


def test_one_term_by_hand() -> None:
    """Two candidates of two and four words, the term twice in the second: idf = ln(1 + 1.5 / 1.5), average 3."""
    found = BM25Encoder().similarity(["x"], ["y z", "x x y z"])
    expected = math.log(2) * 2 / (2 + 1.2 * (0.25 + 0.75 * 4 / 3))
    np.testing.assert_allclose(found, [[0.0, expected]], rtol=1e-6)


def test_document_frequencies_are_those_of_the_candidates_given() -> None:
    few = BM25Encoder().similarity(["a"], COLLECTION[:2])
    np.testing.assert_allclose(few, [by_hand("a", COLLECTION[:2], 1.2, 0.75, "lucene")], rtol=1e-6)
    assert few[0, 0] != BM25Encoder().similarity(["a"], COLLECTION)[0, 0]


def test_unknown_words_and_empty_texts_score_nothing() -> None:
    found = BM25Encoder().similarity(["unknown words", "", "?!", "a"], ["", *COLLECTION])
    assert not found[:3].any()
    assert found[3, 0] == 0
    assert found[3, 1] > 0
    assert BM25Encoder().similarity(["a", ""], ["", "?"]).tolist() == [[0, 0], [0, 0]]
    assert BM25Encoder().similarity([], COLLECTION).shape == (0, 6)
    assert BM25Encoder().similarity(["a"], []).shape == (1, 0)


def test_equal_candidates_tie_exactly() -> None:
    """Also those of the same words in another order, and wherever they stand."""
    rng = np.random.default_rng(3)
    words = np.array([f"w{i}" for i in range(30)])
    candidates = [" ".join(rng.choice(words, size=rng.integers(3, 9))) for _ in range(200)]
    twice = [*candidates, *(" ".join(reversed(c.split())) for c in reversed(candidates))]
    found = BM25Encoder().similarity([" ".join(rng.choice(words, size=7)) for _ in range(50)], twice)
    assert (found[:, :200] == found[:, :199:-1]).all()
    assert len(np.unique(found)) > 1000


def test_case_and_composition_do_not_matter() -> None:
    found = BM25Encoder().similarity(["CAFE\u0301"], ["ein café", "ein Cafe"])
    assert found[0, 0] > 0
    assert found[0, 1] == 0


def test_progress_adds_up() -> None:
    done: list[int] = []
    BM25Encoder().similarity(["a"] * 600, COLLECTION, done.append)
    assert sum(done) == 606
    assert len(done) > 2


@pytest.mark.parametrize(
    "call",
    [
        lambda e: e.encode(["a"], QUERY),
        lambda e: e.prepare([]),
        lambda e: e.embed({}, None, 0),
        lambda e: e.dimension,
        lambda e: e.load_parameters({"w": None}),
        lambda e: e.save(Path("never"), ""),
    ],
)
def test_what_needs_a_model_says_so(call: Callable[[Any], Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match=r"encoder=bm25 has no parameters .* use algo=zero-shot"):
        call(BM25Encoder())
    assert not list(tmp_path.iterdir())


def test_it_is_an_encoder_without_parameters() -> None:
    encoder = BM25Encoder(b=0.5)
    assert not encoder.trainable
    assert encoder.kind == "triplets"
    assert encoder.parameters() == {}
    encoder.load_parameters({})
    encoder.to("cuda:1", "bfloat16")
    assert encoder.device.type == "cpu"
    assert encoder.describe() == {"model": "BM25 (lucene, k1 1.2, b 0.5)", "parameters": 0}
