"""How much a ranking prefers the question's own language."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np

from metasearch.evaluation.evaluate import EncodedCorpus, Row, best_columns
from metasearch.evaluation.ranking import chunks

_DEPTH = 20
OWN_LANGUAGE = f"own-language@{_DEPTH}"


def own_language(encoded: EncodedCorpus, seen: Collection[str] = (), split: str = "test", fold: int | None = None) -> list[Row]:
    """Share of the first 20 candidates of the multilingual pool that are in the question's own language.

    Without language bias it is about the language's share of the pool. It says nothing of whether the candidates are relevant, so
    it is no score: neither higher nor lower is better in itself.

    Args:
        encoded: the corpus with its embeddings.
        seen: languages that training saw, for the rows.
        split: name of the split, for the rows.
        fold: number of the fold, for the rows.

    Returns:
        A row for each question language, over all its questions, answered in the pool or not; empty where all candidates are in
        one language.
    """
    languages = tuple(language for language, columns in encoded.columns_of.items() if len(columns))
    if len(languages) < 2:
        return []
    language_of = np.array([c.language for c in encoded.candidates])
    rows = []
    for language in encoded.corpus.languages:
        numbers = np.array([i for i, q in enumerate(encoded.corpus.questions) if q.language == language], dtype=int)
        own = [
            (language_of[best_columns(scores, _DEPTH)] == language).mean()
            for part in chunks(len(numbers))
            for scores in encoded.scores(numbers[part])
        ]
        if own:
            supervision = "few-shot" if language in seen else "zero-shot"
            value = float(np.mean(own))
            rows.append(Row(OWN_LANGUAGE, "multi", language, languages, supervision, split, fold, value, len(own)))
    return rows
