"""A plane view of embeddings before and after training, for the report."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from metasearch.evaluation import EncodedCorpus, EncodedPairs

_MOST_POINTS = 400


def embedding_map(before: EncodedCorpus | EncodedPairs | None, after: EncodedCorpus | EncodedPairs) -> dict[str, Any]:
    """The content of ``map.json``: up to 400 embeddings of the test split on their two principal axes.

    Args:
        before: the split encoded by the untrained encoder; None: not there.
        after: the same split encoded by the encoder that was scored.

    Returns:
        ``{"schema": 1, "points": [{"language", "side", "text", "pair", "before": [x, y] | None, "after": [x, y]}, ...]}``. Points
        of the same ``pair`` belong together: a question and its answers in every language, or two sentences. Before and after
        each have their own axes.
    """
    if isinstance(after, EncodedPairs):
        points, rows = _of_pairs(after), _pair_rows
    else:
        points, rows = _of_corpus(after), _corpus_rows
    places_after = _principal_axes(rows(after, points))
    places_before = None if before is None else _principal_axes(rows(before, points))
    return {
        "schema": 1,
        "points": [
            {
                "language": language,
                "side": side,
                "text": text,
                "pair": pair,
                "before": None if places_before is None else places_before[i],
                "after": places_after[i],
            }
            for i, (language, side, text, pair, _) in enumerate(points)
        ],
    }


# (language, side, text, pair, where its row is)
_Point = tuple[str, str, str, str, tuple[str, int]]


def _of_corpus(encoded: EncodedCorpus) -> list[_Point]:
    corpus = encoded.corpus
    number = {(q.language, q.id): i for i, q in enumerate(corpus.questions)}
    languages = len(corpus.languages)
    ids = sorted({q.id for q in corpus.questions}, key=lambda i: (-sum((x, i) in number for x in corpus.languages), i))
    points: list[_Point] = []
    for question_id in _spread(ids, max(1, _MOST_POINTS // (2 * languages))):
        for language in corpus.languages:
            if (language, question_id) in number:
                i = number[language, question_id]
                points.append((language, "query", corpus.questions[i].text, question_id, ("query", i)))
            answers = corpus.answers.get((language, question_id), ())[:1]
            points += [(language, "candidate", a.text, question_id, ("candidate", encoded.column[a.id])) for a in answers]
    return points


def _corpus_rows(encoded: Any, points: Sequence[_Point]) -> np.ndarray:
    return np.stack(
        [
            encoded.question_rows[encoded.question_index[i]]
            if side == "query"
            else encoded.candidate_rows[encoded.candidate_index[i]]
            for *_, (side, i) in points
        ]
    )


def _of_pairs(encoded: EncodedPairs) -> list[_Point]:
    points: list[_Point] = []
    for i in _spread(list(range(len(encoded.corpus.pairs))), _MOST_POINTS // 2):
        pair = encoded.corpus.pairs[i]
        name = f"{'_'.join(pair.languages)} {pair.id}"
        points.append((pair.languages[0], "query", pair.first, name, ("first", i)))
        points.append((pair.languages[1], "query", pair.second, name, ("second", i)))
    return points


def _pair_rows(encoded: Any, points: Sequence[_Point]) -> np.ndarray:
    return np.stack([getattr(encoded, side)[i] for *_, (side, i) in points])


def _spread(items: list[Any], most: int) -> list[Any]:
    """At most so many items, evenly spread over the list."""
    return [items[i] for i in np.linspace(0, len(items) - 1, min(most, len(items))).round().astype(int)] if items else []


def _principal_axes(rows: np.ndarray) -> list[list[float]]:
    """``(n, d)`` -> n coordinates on the two axes of largest variance; the sign of an axis is fixed by its largest component."""
    if rows.shape[1] == 0:
        return [[0.0, 0.0] for _ in rows]
    centred = rows.astype(np.float64) - rows.mean(0, dtype=np.float64)
    _, _, axes = np.linalg.svd(centred, full_matrices=False)
    axes = axes[:2] * np.sign(axes[:2][np.arange(min(2, len(axes))), np.abs(axes[:2]).argmax(1)])[:, None]
    places = centred @ axes.T
    places = np.pad(places, ((0, 0), (0, 2 - places.shape[1])))
    return [[round(float(x), 5), round(float(y), 5)] for x, y in places]
