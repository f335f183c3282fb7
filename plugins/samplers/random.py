"""Random sampling of triplet episodes (paper section 5.2)."""

from __future__ import annotations

import numpy as np

from metasearch import Corpus, EpisodeSampler
from metasearch.core import Candidate, ExampleSet, TripletExample
from metasearch.episodes import Chain, Link
from metasearch.errors import DataError


class RandomSampler(EpisodeSampler):
    """Questions, positives and negatives drawn uniformly.

    A task's first set has ``support_size`` anchors; each further set has ``query_size``, one for each of as many support
    anchors: another question, drawn uniformly. No question occurs twice in a task. Per anchor, one pair of languages is drawn
    from the link's alternatives, then a language for the positive and for each negative; negatives are drawn uniformly
    from that language's candidates of the split that are not relevant to the question in any language (and do not repeat
    the positive's text).

    Args:
        support_size: anchors in the support set (k, paper: 8).
        query_size: anchors in each query set (q, paper: 4).
        num_negatives: negatives per anchor (paper: 3); anchor and positive are shared by that many triplets.
    """

    def __init__(self, support_size: int = 8, query_size: int = 4, num_negatives: int = 3) -> None:
        self.support_size = support_size
        self.query_size = query_size
        self.num_negatives = num_negatives

    def sample(self, corpus: Corpus, chain: Chain, rng: np.random.Generator) -> tuple[tuple[ExampleSet, ...], int]:
        need = self.support_size + self.query_size * (len(chain.links) - 1)
        used: set[str] = set()
        sets: list[ExampleSet] = []
        for number, link in enumerate(chain.links):
            size = self.query_size if number else self.support_size
            examples = []
            for _ in range(size):
                example = self._example(corpus, link, used, need, rng)
                used.add(example.question.id)
                examples.append(example)
            sets.append(ExampleSet(tuple(examples), link.text))
        return tuple(sets), 0

    def _example(self, corpus: Corpus, link: Link, used: set[str], need: int, rng: np.random.Generator) -> TripletExample:
        questions, candidates = link.pairs[rng.integers(len(link.pairs))]
        question_language = questions[rng.integers(len(questions))]
        positive_language = candidates[rng.integers(len(candidates))]
        ids = corpus.answerable(question_language, positive_language)
        if used.issuperset(ids):
            raise DataError(
                f"{corpus.name}: a task needs {need} different questions, but the split has only {len(ids)} in "
                f"{question_language} with an answer in {positive_language}; lower sampler.support_size or sampler.query_size"
            )
        question_id = ids[rng.integers(len(ids))]
        while question_id in used:
            question_id = ids[rng.integers(len(ids))]
        question = corpus.question_texts[question_language, question_id]
        answers = corpus.answers[positive_language, question_id]
        positive = answers[rng.integers(len(answers))]
        negatives: list[Candidate] = []
        for _ in range(self.num_negatives):
            language = candidates[rng.integers(len(candidates))]
            negatives.append(self._negative(corpus, question_id, positive, language, negatives, rng))
        return TripletExample(question, positive, tuple(negatives))

    def _negative(
        self,
        corpus: Corpus,
        question_id: str,
        positive: Candidate,
        language: str,
        taken: list[Candidate],
        rng: np.random.Generator,
    ) -> Candidate:
        pool = corpus.candidates_of[language]
        relevant = corpus.relevant[question_id]

        def wrong(candidate: Candidate) -> bool:
            return candidate.id in relevant or candidate.text == positive.text or candidate in taken

        for _ in range(100):  # rejection: nearly every draw is good
            candidate = pool[rng.integers(len(pool))]
            if not wrong(candidate):
                return candidate
        good = [candidate for candidate in pool if not wrong(candidate)]
        if not good:
            raise DataError(
                f"{corpus.name}: question {question_id!r} has fewer than {self.num_negatives} wrong candidates in "
                f"{language}; lower sampler.num_negatives"
            )
        return good[rng.integers(len(good))]
