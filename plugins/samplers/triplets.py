"""Drawing one anchor with its positive and negatives."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from metasearch.core import CANDIDATE, QUERY, Candidate, Corpus, Embed, Question, TripletExample
from metasearch.episodes import Link
from metasearch.errors import DataError

NEGATIVES = ("random", "hard", "semi-hard", "easy")
# Distances of a whole language pair are kept up to this many; beyond it (translated SQuAD) a row is computed when needed.
_MOST_KEPT = 2**25


@dataclass(frozen=True)
class TripletOptions:
    """The sampler's options (see :class:`~metasearch_plugins.samplers.random.RandomSampler`)."""

    num_negatives: int
    negatives: str
    margin: float
    cached_negatives: int
    negatives_in_question_language: bool
    versions: bool
    base: bool

    @property
    def need_embeddings(self) -> bool:
        """Whether the base encoder is needed."""
        return self.negatives != "random" or self.cached_negatives > 0 or self.base


class TripletDrawer:
    """Draws from one corpus.

    Args:
        corpus: the split.
        options: the sampler's.
        embed: the base encoder; None where nothing is drawn by similarity.
    """

    def __init__(self, corpus: Corpus, options: TripletOptions, embed: Embed | None) -> None:
        self.corpus = corpus
        self.options = options
        self.space = None if embed is None else _Space(corpus, embed)

    def draw(
        self, link: Link, used: set[str], need: int, rng: np.random.Generator, like: TripletExample | None
    ) -> tuple[TripletExample, int]:
        """Draw an example whose question is not in ``used``, and add its question to it.

        Args:
            link: the languages to choose from.
            used: ids of the task's questions so far.
            need: questions that the task needs, for the message.
            rng: the source of randomness.
            like: take the question nearest to this example's; None: any.

        Returns:
            The example, and how many of its negatives do not qualify.
        """
        corpus = self.corpus
        questions, candidates = link.pairs[rng.integers(len(link.pairs))]
        question_language = questions[rng.integers(len(questions))]
        positive_language = candidates[rng.integers(len(candidates))]
        ids = corpus.answerable(question_language, positive_language)
        if used.issuperset(ids):
            raise DataError(
                f"{corpus.name}: a task needs {need} different questions, but the split has only {len(ids)} in "
                f"{question_language} with an answer in {positive_language}; lower sampler.support_size or sampler.query_size"
            )
        if like is None:
            question_id = ids[rng.integers(len(ids))]
            while question_id in used:
                question_id = ids[rng.integers(len(ids))]
        else:
            question_id = self._space().nearest_question(like.question, question_language, positive_language, used)
        used.add(question_id)
        question = corpus.question_texts[question_language, question_id]
        answers = corpus.answers[positive_language, question_id]
        positive = answers[rng.integers(len(answers))]
        drawn: list[Candidate] = []
        shortfall = 0
        choices: dict[str, _Choice] = {}
        asked_alone = (question_language,) if self.options.negatives_in_question_language else candidates
        for _ in range(self.options.num_negatives):
            language = asked_alone[rng.integers(len(asked_alone))]
            if self.options.negatives == "random":
                drawn.append(self._random_negative(question_id, positive, language, drawn, rng))
                continue
            if language not in choices:
                choices[language] = self._choice(question, positive, language)
            place, qualifies = choices[language].draw(rng)
            if place is None:
                raise self._too_few(question_id, language)
            drawn.append(corpus.candidates_of[language][place])
            shortfall += not qualifies
        cached = self._cached(question, positive, candidates) if self.options.cached_negatives else None
        example = TripletExample(question, positive, tuple(drawn), corpus.relevant[question_id], cached)
        if self.options.versions:
            versions = self._versions(question_id, positive, candidates)
            example = replace(example, versions=versions, translation=self._translation(question, candidates, rng))
        return example, shortfall

    def with_base(self, example: TripletExample, languages: Sequence[str]) -> TripletExample:
        """Attach the base encoder's embeddings of the question and the first answer in each of the languages."""
        space, question_id = self._space(), example.question.id
        pairs = [space.question_and_answer(question_id, language) for language in languages]
        there = next(pair for pair in pairs if pair is not None)
        rows = [np.zeros_like(there) if pair is None else pair for pair in pairs]
        return replace(example, base=np.stack(rows, axis=1))

    def _versions(self, question_id: str, positive: Candidate, languages: Sequence[str]) -> tuple[Candidate, ...]:
        """The first answer in each language but the positive's."""
        answers = self.corpus.answers
        others = (answers.get((language, question_id)) for language in languages if language != positive.language)
        return tuple(found[0] for found in others if found)

    def _translation(self, question: Question, languages: Sequence[str], rng: np.random.Generator) -> Question | None:
        """The question in one of the languages that is not its own."""
        asked = self.corpus.question_texts
        others = [asked[language, question.id] for language in languages if (language, question.id) in asked]
        others = [other for other in others if other.language != question.language]
        return others[rng.integers(len(others))] if others else None

    def _space(self) -> _Space:
        if self.space is None:
            raise RuntimeError("sampling by similarity needs use_embeddings() first")
        return self.space

    def _random_negative(
        self, question_id: str, positive: Candidate, language: str, taken: list[Candidate], rng: np.random.Generator
    ) -> Candidate:
        pool = self.corpus.candidates_of[language]
        relevant = self.corpus.relevant[question_id]

        def wrong(candidate: Candidate) -> bool:
            return candidate.id in relevant or candidate.text == positive.text or candidate in taken

        for _ in range(100):  # rejection: nearly every draw is good
            candidate = pool[rng.integers(len(pool))]
            if not wrong(candidate):
                return candidate
        good = [candidate for candidate in pool if not wrong(candidate)]
        if not good:
            raise self._too_few(question_id, language)
        return good[rng.integers(len(good))]

    def _choice(self, question: Question, positive: Candidate, language: str) -> _Choice:
        """The negatives of one language to draw from."""
        space = self._space()
        to_positive = space.distances(question, positive.language)[space.column[positive.id]]
        gap = space.distances(question, language) - to_positive
        violation = _violation(self.options.negatives, gap, self.options.margin)
        violation[self._forbidden(question, positive, language)] = np.inf
        return _Choice(violation)

    def _forbidden(self, question: Question, positive: Candidate, language: str) -> list[int]:
        """Places of the candidates of a language that answer the question, or read as its positive does."""
        space = self._space()
        answers = [space.column[c.id] for c in self.corpus.answers.get((language, question.id), ())]
        return answers + space.columns_of_text.get((language, positive.text), [])

    def _cached(self, question: Question, positive: Candidate, languages: tuple[str, ...]) -> np.ndarray:
        """Embeddings of the nearest wrong candidates in the link's candidate languages, ``(cached_negatives, d)``."""
        space = self._space()
        by_language = []
        for language in languages:
            distances = space.distances(question, language).copy()
            distances[self._forbidden(question, positive, language)] = np.inf
            by_language.append(distances)
        distances = np.concatenate(by_language)
        wrong = int(np.isfinite(distances).sum())
        most = self.options.cached_negatives
        if wrong < most:
            raise DataError(
                f"{self.corpus.name}: question {question.id!r} has only {wrong} wrong candidates in "
                f"{', '.join(languages)}; lower sampler.cached_negatives={most}"
            )
        nearest = np.argpartition(distances, most - 1)[:most]
        nearest = nearest[np.argsort(distances[nearest], kind="stable")]
        found: np.ndarray = space.rows_of(languages)[nearest]
        return found

    def _too_few(self, question_id: str, language: str) -> DataError:
        return DataError(
            f"{self.corpus.name}: question {question_id!r} has fewer than {self.options.num_negatives} wrong candidates in "
            f"{language}; lower sampler.num_negatives"
        )


def _violation(negatives: str, gap: np.ndarray, margin: float) -> np.ndarray:
    """How far each candidate is from qualifying, given d(q, n) - d(q, p); below 0 it does."""
    by_kind = {"hard": gap, "semi-hard": np.maximum(-gap, gap - margin), "easy": margin - gap}
    found: np.ndarray = by_kind[negatives]
    return found


class _Choice:
    """Candidates to draw negatives from, each at most once.

    Args:
        violation: ``(candidates,)``, how far each is from qualifying: below 0 it does, ``inf``: never to be drawn.
    """

    def __init__(self, violation: np.ndarray) -> None:
        self.violation = violation
        self.qualifying = np.flatnonzero(violation < 0)

    def draw(self, rng: np.random.Generator) -> tuple[int | None, bool]:
        """Place of one that qualifies, or else of the nearest to qualifying; and whether it does. None: there are no more."""
        qualifies = len(self.qualifying) > 0
        if qualifies:
            number = rng.integers(len(self.qualifying))
            place = int(self.qualifying[number])
            self.qualifying = np.delete(self.qualifying, number)
        else:
            place = int(np.argmin(self.violation))
            if np.isinf(self.violation[place]):
                return None, False
        self.violation[place] = np.inf
        return place, qualifies


class _Space:
    """The base encoder's view of a split: embeddings and Euclidean distances, per language."""

    def __init__(self, corpus: Corpus, embed: Embed) -> None:
        self.corpus = corpus
        self.embed = embed
        self._distances: dict[tuple[str, str], np.ndarray] = {}
        self._orders: dict[tuple[str, str], np.ndarray] = {}
        self._rows_of: dict[tuple[str, ...], np.ndarray] = {}

    @cached_property
    def candidate_rows(self) -> dict[str, np.ndarray]:
        """Language -> ``(candidates, d)`` in order of id."""
        return {
            language: self.embed([c.text for c in candidates], CANDIDATE)
            for language, candidates in self.corpus.candidates_of.items()
        }

    @cached_property
    def column(self) -> dict[str, int]:
        """Candidate id -> its place within its language."""
        return {c.id: j for candidates in self.corpus.candidates_of.values() for j, c in enumerate(candidates)}

    @cached_property
    def columns_of_text(self) -> dict[tuple[str, str], list[int]]:
        """(language, text) -> places of the candidates with that text."""
        found: dict[tuple[str, str], list[int]] = {}
        for language, candidates in self.corpus.candidates_of.items():
            for j, candidate in enumerate(candidates):
                found.setdefault((language, candidate.text), []).append(j)
        return found

    @cached_property
    def question_ids(self) -> dict[str, list[str]]:
        """Language -> ids of its questions, sorted: the order of ``question_rows``."""
        return {
            language: sorted(q.id for q in self.corpus.questions if q.language == language) for language in self.corpus.languages
        }

    @cached_property
    def question_place(self) -> dict[tuple[str, str], int]:
        """(language, question id) -> its row in ``question_rows``."""
        return {(language, i): place for language, ids in self.question_ids.items() for place, i in enumerate(ids)}

    @cached_property
    def question_rows(self) -> dict[str, np.ndarray]:
        """Language -> ``(questions, d)`` in order of id."""
        texts = self.corpus.question_texts
        return {
            language: self.embed([texts[language, i].text for i in ids], QUERY) for language, ids in self.question_ids.items()
        }

    def question_and_answer(self, question_id: str, language: str) -> np.ndarray | None:
        """``(2, d)`` of a question and its first answer in one language; None where the data has not both."""
        answers = self.corpus.answers.get((language, question_id))
        place = self.question_place.get((language, question_id))
        if place is None or not answers:
            return None
        answer = self.candidate_rows[language][self.column[answers[0].id]]
        return np.stack([self.question_rows[language][place], answer])

    def distances(self, question: Question, language: str) -> np.ndarray:
        """Euclidean distances from a question to all candidates of a language, in order of id."""
        return self._kept_row(self._distances, _euclidean, question, language, self.candidate_rows[language])

    def _kept_row(
        self,
        kept: dict[tuple[str, str], np.ndarray],
        matrix: Callable[[np.ndarray, np.ndarray], np.ndarray],
        question: Question,
        language: str,
        others: np.ndarray,
    ) -> np.ndarray:
        """The question's row of ``matrix(all questions of its language, others)``, which is kept unless it is too large."""
        rows = self.question_rows[question.language]
        place = self.question_place[question.language, question.id]
        if len(rows) * len(others) > _MOST_KEPT:
            found: np.ndarray = matrix(rows[place : place + 1], others)[0]
            return found
        key = (question.language, language)
        if key not in kept:
            kept[key] = matrix(rows, others)
        row: np.ndarray = kept[key][place]
        return row

    def rows_of(self, languages: tuple[str, ...]) -> np.ndarray:
        """Candidates of several languages, one language after the other."""
        if languages not in self._rows_of:
            self._rows_of[languages] = np.concatenate([self.candidate_rows[language] for language in languages])
        return self._rows_of[languages]

    def nearest_question(self, question: Question, language: str, answered_in: str, used: set[str]) -> str:
        """The question in ``language`` nearest to one by cosine.

        Args:
            question: the one.
            language: of the other.
            answered_in: the other has an answer in this language.
            used: ids that it must not have.
        """
        ids = self.question_ids[language]
        for place in self._kept_row(self._orders, _nearest_first, question, language, self.question_rows[language]):
            question_id = ids[int(place)]
            if question_id not in used and (answered_in, question_id) in self.corpus.answers:
                return question_id
        raise RuntimeError("all questions are used")  # the caller has counted them


def _nearest_first(rows: np.ndarray, others: np.ndarray) -> np.ndarray:
    """``(n, d)`` and ``(m, d)`` -> ``(n, m)``: places of the others by falling cosine."""
    directions = others / np.maximum(np.linalg.norm(others, axis=1, keepdims=True), 1e-12)
    order: np.ndarray = np.argsort(-(rows @ directions.T), axis=1, kind="stable").astype(np.int32)
    return order


def _euclidean(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """``(n, d)`` and ``(m, d)`` -> ``(n, m)``."""
    squared = (a * a).sum(1)[:, None] + (b * b).sum(1)[None, :] - 2 * (a @ b.T)
    found: np.ndarray = np.sqrt(np.maximum(squared, 0))
    return found
