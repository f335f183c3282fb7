"""Score an encoder on sentence pairs: how its cosines agree with gold scores, per track (spec section 5)."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass

import numpy as np

from metasearch.core import QUERY, Encoder, PairCorpus, PairMetric
from metasearch.core.ranks import encode
from metasearch.evaluation.evaluate import VARIANTS, Row


@dataclass(frozen=True)
class EncodedPairs:
    """A pair corpus with its embeddings: row i of ``first`` and of ``second``, ``(pairs, d)``, is pair i of ``corpus.pairs``."""

    corpus: PairCorpus
    first: np.ndarray
    second: np.ndarray

    def cosines(self) -> np.ndarray:
        """Cosine similarity of each pair, float64 ``(pairs,)``."""
        first, second = self.first.astype(np.float64), self.second.astype(np.float64)
        lengths = np.linalg.norm(first, axis=1) * np.linalg.norm(second, axis=1)
        found: np.ndarray = (first * second).sum(1) / np.maximum(lengths, 1e-12)
        return found


def encode_pairs(
    encoder: Encoder, corpus: PairCorpus, batch_size: int = 32, progress: Callable[[int], None] | None = None
) -> EncodedPairs:
    """Embed all sentences, each distinct one once, both sides as queries: the search is symmetric."""
    sentences = {text: i for i, text in enumerate(dict.fromkeys(t for p in corpus.pairs for t in (p.first, p.second)))}
    rows = encode(encoder, list(sentences), QUERY, batch_size, progress)
    first = rows[[sentences[p.first] for p in corpus.pairs]]
    second = rows[[sentences[p.second] for p in corpus.pairs]]
    return EncodedPairs(corpus, first, second)


def evaluate_pairs(
    encoded: EncodedPairs,
    metric: PairMetric,
    variants: Collection[str] = VARIANTS,
    seen: Collection[str] = (),
    split: str = "test",
    fold: int | None = None,
) -> list[Row]:
    """Score every track: mono where both sentences are of one language, else bi.

    Args:
        encoded: the corpus with its embeddings.
        metric: Pearson, for example.
        variants: which of bi and mono (multi does not exist for pairs).
        seen: languages that training saw; a track is few-shot if both of its languages are among them.
        split, fold: for the rows.

    Returns:
        Rows in the order of variant, languages, metric; the first sentence's language stands as the query language. A track on
        which the metric is not defined gives no row.
    """
    cosines = encoded.cosines()
    rows: list[Row] = []
    for languages in encoded.corpus.tracks:
        variant = "mono" if languages[0] == languages[1] else "bi"
        if variant not in variants:
            continue
        numbers = [i for i, pair in enumerate(encoded.corpus.pairs) if pair.languages == languages]
        gold = np.array([encoded.corpus.pairs[i].score for i in numbers])
        supervision = "few-shot" if set(languages) <= set(seen) else "zero-shot"
        for name, value in metric.of_pairs(cosines[numbers], gold).items():
            if not np.isnan(value):
                rows.append(Row(name, variant, languages[0], (languages[1],), supervision, split, fold, value, len(numbers)))
    return sorted(rows, key=lambda r: (VARIANTS.index(r.variant), r.query_language, r.candidate_languages))
