"""The triplet encoder of asymmetric search."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from metasearch.core import CANDIDATE, QUERY, ExampleSet, TripletEmbeddings
from metasearch_plugins.encoders.sentence_encoder import SentenceEncoder, TextBatch


@dataclass(frozen=True)
class PreparedSet:
    """One example set: its distinct texts, and which of them each example uses.

    Attributes:
        queries: distinct questions.
        candidates: distinct positives and negatives.
        question: ``(m,)`` rows of ``queries``.
        positive: ``(m,)`` rows of ``candidates``.
        negatives: ``(m, r)`` rows of ``candidates``.
    """

    queries: TextBatch
    candidates: TextBatch
    question: Tensor
    positive: Tensor
    negatives: Tensor


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

    def prepare(self, sets: Sequence[ExampleSet]) -> PreparedTask:
        batches: list[TextBatch] = []
        indices: list[tuple[Tensor, Tensor, Tensor]] = []
        for example_set in sets:
            # Identical texts are encoded once: a question shared by its triplets, a candidate drawn twice.
            questions = {text: i for i, text in enumerate(dict.fromkeys(e.question.text for e in example_set.examples))}
            texts = (c.text for e in example_set.examples for c in (e.positive, *e.negatives))
            candidates = {text: i for i, text in enumerate(dict.fromkeys(texts))}
            batches += [self.tokenize(list(questions), QUERY), self.tokenize(list(candidates), CANDIDATE)]
            indices.append(
                (
                    torch.tensor([questions[e.question.text] for e in example_set.examples]),
                    torch.tensor([candidates[e.positive.text] for e in example_set.examples]),
                    torch.tensor([[candidates[n.text] for n in e.negatives] for e in example_set.examples]),
                )
            )
        moved, rows = self.active_rows(batches)
        prepared = (
            PreparedSet(moved[2 * i], moved[2 * i + 1], *(index.to(self.device) for index in indices[i]))
            for i in range(len(sets))
        )
        return PreparedTask(tuple(prepared), rows)

    def restrict(self, params: Mapping[str, Tensor], prepared: PreparedTask) -> dict[str, Tensor]:
        return self.gather_rows(params, prepared.rows)

    def embed(self, params: Mapping[str, Tensor], prepared: PreparedTask, index: int) -> TripletEmbeddings:
        part = prepared.sets[index]
        queries = self.forward(params, part.queries)
        candidates = self.forward(params, part.candidates)
        return TripletEmbeddings(queries[part.question], candidates[part.positive], candidates[part.negatives])
