"""Score an encoder: who ranks what, in which language variant (spec section 5)."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

import numpy as np

from metasearch.core import CANDIDATE, QUERY, Corpus, Encoder, RankingMetric
from metasearch.core.ranks import encode
from metasearch.evaluation.ranking import chunks, rank_relevant

VARIANTS = ("multi", "bi", "mono")


@dataclass(frozen=True)
class Row:
    """One line of ``scores`` in ``results.json``.

    Attributes:
        metric: for example ``"map@20"``; ``"own-language@20"`` is no score, but what language the candidates are in.
        variant: ``"multi"``, ``"bi"`` or ``"mono"``.
        query_language: language of the questions.
        candidate_languages: languages of the pool.
        supervision: ``"few-shot"`` or ``"zero-shot"``; for multi by the question language (the pool is the same for all), else
            few-shot only if training saw both languages.
        split: ``"test"``, ``"dev"`` or ``"all"``.
        fold: 0..4, or None without a split.
        value: mean over questions, 0 to 1 (for sentence pairs: of the track, -1 to 1).
        n: questions (pairs) scored.
    """

    metric: str
    variant: str
    query_language: str
    candidate_languages: tuple[str, ...]
    supervision: str
    split: str
    fold: int | None
    value: float
    n: int

    def to_json(self) -> dict[str, Any]:
        """As in ``results.json``."""
        return {**asdict(self), "candidate_languages": list(self.candidate_languages)}


@dataclass(frozen=True)
class EncodedCorpus:
    """A corpus with its embeddings. Identical texts share a row, so that they score exactly equal.

    Attributes:
        corpus: its questions and candidates in the order of the index arrays.
        question_rows: distinct question embeddings ``(u, d)``; question i has row ``question_index[i]``.
        candidate_rows: distinct candidate embeddings ``(v, d)``; columns are candidates in order of id, candidate j has row
            ``candidate_index[j]``.
        similarity: ``(u, candidates)``, instead of the dot products, for an encoder that has no embeddings (those are ``(., 0)``
            then), with all candidates as the collection.
        similarity_alone: the same with the candidates of each language as a collection of their own: word statistics of BM25
            depend on what else is in the pool.
    """

    corpus: Corpus
    question_rows: np.ndarray
    question_index: np.ndarray
    candidate_rows: np.ndarray
    candidate_index: np.ndarray
    similarity: np.ndarray | None = None
    similarity_alone: np.ndarray | None = None

    @cached_property
    def candidates(self) -> list[Any]:
        """Candidates in order of id: the columns of the score matrix."""
        return sorted(self.corpus.candidates, key=lambda c: c.id)

    @cached_property
    def column(self) -> dict[str, int]:
        """Candidate id -> column."""
        return {c.id: j for j, c in enumerate(self.candidates)}

    @cached_property
    def columns_of(self) -> dict[str, np.ndarray]:
        """Language -> its columns, ascending."""
        return {
            language: np.array([j for j, c in enumerate(self.candidates) if c.language == language], dtype=int)
            for language in self.corpus.languages
        }

    def scores(self, questions: np.ndarray, alone: bool = False) -> np.ndarray:
        """Similarities ``(len(questions), candidates)`` of the questions with these numbers.

        Args:
            questions: numbers.
            alone: for pools of one language.
        """
        rows = self.question_index[questions]
        if self.similarity is not None and self.similarity_alone is not None:
            lexical: np.ndarray = (self.similarity_alone if alone else self.similarity)[rows]
            return lexical
        found: np.ndarray = (self.question_rows[rows] @ self.candidate_rows.T)[:, self.candidate_index]
        return found


def encode_corpus(
    encoder: Encoder, corpus: Corpus, batch_size: int = 32, progress: Callable[[int], None] | None = None
) -> EncodedCorpus:
    """Embed all questions and candidates, each distinct text once (or score them, where an encoder does that itself)."""
    questions = {text: i for i, text in enumerate(dict.fromkeys(q.text for q in corpus.questions))}
    in_order = sorted(corpus.candidates, key=lambda c: c.id)
    candidates = {text: i for i, text in enumerate(dict.fromkeys(c.text for c in in_order))}
    question_index = np.array([questions[q.text] for q in corpus.questions], dtype=int)
    candidate_index = np.array([candidates[c.text] for c in in_order], dtype=int)
    similarity = encoder.similarity(list(questions), [c.text for c in in_order], progress)
    if similarity is not None:
        alone = np.empty_like(similarity)
        for language in corpus.languages:
            columns = [j for j, c in enumerate(in_order) if c.language == language]
            if columns:
                alone[:, columns] = encoder.similarity(list(questions), [in_order[j].text for j in columns])
        no_rows = np.empty((len(questions), 0)), np.empty((len(candidates), 0))
        return EncodedCorpus(corpus, no_rows[0], question_index, no_rows[1], candidate_index, similarity, alone)
    return EncodedCorpus(
        corpus,
        encode(encoder, list(questions), QUERY, batch_size, progress),
        question_index,
        encode(encoder, list(candidates), CANDIDATE, batch_size, progress),
        candidate_index,
    )


@dataclass(frozen=True)
class QueryScores:
    """The main metric of every query in one pool, for paired tests.

    Attributes:
        row: the row whose value is their mean.
        queries: cross-lingual ids of the questions.
        values: ``(len(queries),)``.
    """

    row: Row
    queries: tuple[str, ...]
    values: np.ndarray


def evaluate_corpus(
    encoded: EncodedCorpus,
    metric: RankingMetric,
    variants: Collection[str] = VARIANTS,
    seen: Collection[str] = (),
    split: str = "test",
    fold: int | None = None,
    queries: list[QueryScores] | None = None,
) -> list[Row]:
    """Score every question against every pool of the variants.

    Args:
        encoded: the corpus with its embeddings.
        metric: what to compute from the ranks.
        variants: which of multi (one pool of all languages), bi (every ordered pair of different languages) and mono.
        seen: languages that training saw: the few-shot languages.
        split: name of the split, for the rows.
        fold: number of the fold, for the rows.
        queries: a list to append the main metric of each query to.

    Returns:
        Rows in the order of variant, question language, pool, metric. A pool that answers none of the questions gives no row.
    """
    languages = [language for language, columns in encoded.columns_of.items() if len(columns)]
    rows: list[Row] = []
    for question_language in encoded.corpus.languages:
        numbers = np.array([i for i, q in enumerate(encoded.corpus.questions) if q.language == question_language], dtype=int)
        pools = list(_pools(question_language, languages, variants))
        columns = [np.sort(np.concatenate([encoded.columns_of[language] for language in pool])) for _, pool in pools]
        ranked = _ranks(encoded, numbers, columns, [variant != "multi" for variant, _ in pools])
        for (variant, pool), (answerable, ranks) in zip(pools, ranked, strict=True):
            if not len(ranks):
                continue
            involved = {question_language} if variant == "multi" else {question_language, *pool}
            supervision = "few-shot" if involved <= set(seen) else "zero-shot"
            for name, values in metric.per_query(ranks).items():
                place = (name, variant, question_language, pool, supervision, split, fold)
                row = Row(*place, float(values.mean()), len(values))
                rows.append(row)
                if queries is not None and name == metric.primary:
                    queries.append(QueryScores(row, tuple(encoded.corpus.questions[n].id for n in answerable), values))
    return sorted(rows, key=lambda r: (VARIANTS.index(r.variant), r.query_language, r.candidate_languages))


def _pools(question_language: str, languages: Sequence[str], variants: Collection[str]) -> Iterator[tuple[str, tuple[str, ...]]]:
    if "multi" in variants and languages:
        yield "multi", tuple(languages)
    for language in languages:
        variant = "mono" if language == question_language else "bi"
        if variant in variants:
            yield variant, (language,)


def _ranks(
    encoded: EncodedCorpus, numbers: np.ndarray, pools: list[np.ndarray], alone: list[bool]
) -> list[tuple[list[int], np.ndarray]]:
    """Per pool (columns) the numbers of the questions that have relevant candidates there, and those candidates' ranks.

    ``alone`` says which pools are of one language.
    """
    relevant = [
        [encoded.column[i] for i in encoded.corpus.relevant.get(encoded.corpus.questions[n].id, ()) if i in encoded.column]
        for n in numbers
    ]
    found: list[list[np.ndarray]] = [[] for _ in pools]
    inside = [{int(c): j for j, c in enumerate(pool)} for pool in pools]
    places = [[[where[c] for c in columns if c in where] for columns in relevant] for where in inside]
    most = [max((len(p) for p in of_pool), default=0) for of_pool in places]
    for part in chunks(len(numbers)):
        together = encoded.scores(numbers[part])
        by_itself = encoded.scores(numbers[part], alone=True) if encoded.similarity is not None else together
        for k, pool in enumerate(pools):
            scores = by_itself if alone[k] else together
            some = places[k][part]
            have = [i for i, p in enumerate(some) if p]
            if have:
                padded = np.full((len(have), most[k]), -1)
                for row, i in enumerate(have):
                    padded[row, : len(some[i])] = some[i]
                found[k].append(rank_relevant(scores[have][:, pool], padded))
    answerable = [[int(n) for n, some in zip(numbers, of_pool, strict=True) if some] for of_pool in places]
    ranks = [np.concatenate(parts) if parts else np.empty((0, 0)) for parts in found]
    return list(zip(answerable, ranks, strict=True))


def main_score(rows: Sequence[Row], metric: str) -> float:
    """The one number to look at: the multilingual mean over question languages, else the mean of all rows; NaN if none."""
    of_metric = [row for row in rows if row.metric == metric]
    values = [row.value for row in of_metric if row.variant == "multi"] or [row.value for row in of_metric]
    return float(np.mean(values)) if values else float("nan")


def top_candidates(encoded: EncodedCorpus, depth: int) -> Iterator[tuple[int, list[tuple[str, float]]]]:
    """The best candidates of the multilingual pool per question, ordered by (-score, id).

    Yields:
        (number of the question, [(candidate id, score), ...])
    """
    ids = [c.id for c in encoded.candidates]
    for part in chunks(len(encoded.corpus.questions)):
        numbers = np.arange(part.start, part.stop)
        for number, row in zip(numbers, encoded.scores(numbers), strict=True):
            yield int(number), [(ids[j], float(row[j])) for j in best_columns(row, depth)]


def best_columns(scores: np.ndarray, depth: int) -> np.ndarray:
    """Columns of the ``depth`` highest of one question's scores ``(candidates,)``, or of all if there are fewer, best first.

    Equal scores are ordered by column: by candidate id.
    """
    depth = min(depth, len(scores))
    # All that tie with the last place, then a stable sort.
    last = np.partition(scores, -depth)[-depth]
    columns = np.flatnonzero(scores >= last)
    found: np.ndarray = columns[np.argsort(-scores[columns], kind="stable")][:depth]
    return found
