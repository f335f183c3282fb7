"""Encode a split and score it, whatever kind of data it is."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass

from metasearch.core import AnyCorpus, Encoder, Metric, PairCorpus, PairMetric, RankingMetric
from metasearch.errors import ConfigError
from metasearch.evaluation.evaluate import VARIANTS, EncodedCorpus, QueryScores, Row, encode_corpus, evaluate_corpus
from metasearch.evaluation.pairs import EncodedPairs, encode_pairs, evaluate_pairs


@dataclass(frozen=True)
class Scored:
    """What scoring a split found.

    Attributes:
        rows: scores.
        encoded: the split with its embeddings.
        queries: the main metric of each query; empty for sentence pairs, whose predictions are in ``encoded``.
    """

    rows: list[Row]
    encoded: EncodedCorpus | EncodedPairs
    queries: list[QueryScores]


def score_corpus(
    encoder: Encoder,
    corpus: AnyCorpus,
    metric: Metric,
    variants: Collection[str] = VARIANTS,
    seen: Collection[str] = (),
    split: str = "test",
    fold: int | None = None,
    batch_size: int = 32,
    progress: Callable[[int], None] | None = None,
) -> Scored:
    """Encode a corpus and score it (see :func:`evaluate_corpus` and :func:`evaluate_pairs`).

    Raises:
        ConfigError: the metric does not fit the data.
    """
    check_metric(metric, corpus.kind)
    if isinstance(corpus, PairCorpus) and isinstance(metric, PairMetric):
        pairs = encode_pairs(encoder, corpus, batch_size, progress)
        return Scored(evaluate_pairs(pairs, metric, variants, seen, split, fold), pairs, [])
    if isinstance(corpus, PairCorpus) or not isinstance(metric, RankingMetric):
        raise ConfigError(f"{type(metric).__name__} is neither a RankingMetric nor a PairMetric")
    queries: list[QueryScores] = []
    encoded = encode_corpus(encoder, corpus, batch_size, progress)
    return Scored(evaluate_corpus(encoded, metric, variants, seen, split, fold, queries), encoded, queries)


def check_metric(metric: Metric, kind: str) -> None:
    """Raise ConfigError unless the metric measures on this kind of data."""
    if metric.kind != kind:
        raise ConfigError(f"metric {metric.primary} measures on {metric.kind}, but the data holds {kind}")


def count_texts(corpus: AnyCorpus) -> int:
    """Distinct texts that scoring encodes, for progress."""
    return sum(map(len, corpus.texts.values()))
