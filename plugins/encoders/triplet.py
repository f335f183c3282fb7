"""The triplet encoder of asymmetric search."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from metasearch.core import CANDIDATE, QUERY, ExampleSet, Question, TripletEmbeddings, TripletExample
from metasearch_plugins.encoders.sentence_encoder import SentenceEncoder, TextBatch


@dataclass(frozen=True)
class PreparedSet:
    """One example set: its distinct texts, and which of them each example uses.

    Attributes:
        queries: distinct questions, translations among them.
        candidates: distinct positives, versions of them, and negatives.
        question: ``(m,)`` rows of ``queries``.
        positive: ``(m,)`` rows of ``candidates``.
        negatives: ``(m, r)`` rows of ``candidates``.
        wrong: ``(m, c)`` of bool, whether a row of ``candidates`` is a negative for the anchor.
        own: ``(m, c)`` of bool, whether a row of ``candidates`` is in the anchor's language.
        cached: ``(m, K, d)`` embeddings of further negatives, or None.
        base: ``(m, 2, L, d)`` embeddings of question and answer by the base encoder, or None.
        translation: ``(m,)`` rows of ``queries``, or None.
    """

    queries: TextBatch
    candidates: TextBatch
    question: Tensor
    positive: Tensor
    negatives: Tensor
    wrong: Tensor
    own: Tensor
    cached: Tensor | None
    base: Tensor | None
    translation: Tensor | None


@dataclass(frozen=True)
class PreparedTask:
    """All sets of a task, and the rows of the token table that they use."""

    sets: tuple[PreparedSet, ...]
    rows: Tensor | None


class TripletEncoder(SentenceEncoder):
    """Question, positive and negatives through one shared transformer (paper section 5.1).

    See :class:`~metasearch_plugins.encoders.sentence_encoder.SentenceEncoder` for the arguments.
    """

    kind = "triplets"

    def prepare(self, sets: Sequence[ExampleSet[TripletExample]]) -> PreparedTask:
        # Identical texts are encoded once: a question shared by its triplets, a candidate drawn twice.
        questions = [_numbered([q.text for e in s.examples for q in (e.question, e.translation) if q]) for s in sets]
        candidates = [_numbered([c.text for e in s.examples for c in e.candidates]) for s in sets]
        batches: list[TextBatch] = []
        for asked, answers in zip(questions, candidates, strict=True):
            batches += [self.tokenize(list(asked), QUERY), self.tokenize(list(answers), CANDIDATE)]
        moved, rows = self.active_rows(batches)
        prepared = (
            PreparedSet(
                moved[2 * i],
                moved[2 * i + 1],
                torch.tensor([questions[i][e.question.text] for e in s.examples]).to(self.device),
                torch.tensor([candidates[i][e.positive.text] for e in s.examples]).to(self.device),
                torch.tensor([[candidates[i][n.text] for n in e.negatives] for e in s.examples]).to(self.device),
                _wrong(s.examples, candidates[i]).to(self.device),
                _own(s.examples, candidates[i]).to(self.device),
                self._constant([e.cached for e in s.examples]),
                self._constant([e.base for e in s.examples]),
                self._rows([e.translation for e in s.examples], questions[i]),
            )
            for i, s in enumerate(sets)
        )
        return PreparedTask(tuple(prepared), rows)

    def _constant(self, arrays: Sequence[np.ndarray | None]) -> Tensor | None:
        """What the examples of a set bring, stacked; None if one brings nothing."""
        there = [array for array in arrays if array is not None]
        return torch.from_numpy(np.stack(there)).to(self.device, self.dtype) if len(there) == len(arrays) else None

    def _rows(self, asked: Sequence[Question | None], numbers: Mapping[str, int]) -> Tensor | None:
        """Where these questions are among the distinct ones; None if there is one missing."""
        there = [numbers[question.text] for question in asked if question is not None]
        return torch.tensor(there).to(self.device) if len(there) == len(asked) else None

    def restrict(self, params: Mapping[str, Tensor], prepared: PreparedTask) -> dict[str, Tensor]:
        return self.gather_rows(params, prepared.rows)

    def embed(self, params: Mapping[str, Tensor], prepared: PreparedTask, index: int) -> TripletEmbeddings:
        part = prepared.sets[index]
        queries = self.forward(params, part.queries)
        candidates = self.forward(params, part.candidates)
        return TripletEmbeddings(
            queries[part.question],
            candidates[part.positive],
            candidates[part.negatives],
            candidates,
            part.positive,
            part.wrong,
            part.cached,
            part.own,
            part.base,
            None if part.translation is None else queries[part.translation],
        )


def _numbered(texts: Sequence[str]) -> dict[str, int]:
    return {text: i for i, text in enumerate(dict.fromkeys(texts))}


def _wrong(examples: Sequence[TripletExample], candidates: Mapping[str, int]) -> Tensor:
    """``(m, c)``: which distinct candidate texts of the set are negatives of which anchor."""
    wrong = torch.ones(len(examples), len(candidates), dtype=torch.bool)
    here = [(c.id, candidates[c.text]) for e in examples for c in e.candidates]
    for row, example in zip(wrong, examples, strict=True):
        row[candidates[example.positive.text]] = False
        row[[column for candidate_id, column in here if candidate_id in example.relevant]] = False
    return wrong


def _own(examples: Sequence[TripletExample], candidates: Mapping[str, int]) -> Tensor:
    """``(m, c)``: which distinct candidate texts of the set are in which anchor's language."""
    own = torch.zeros(len(examples), len(candidates), dtype=torch.bool)
    for row, example in zip(own, examples, strict=True):
        row[[candidates[c.text] for e in examples for c in e.candidates if c.language == example.question.language]] = True
    return own
