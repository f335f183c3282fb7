"""The dual encoder of symmetric search."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from metasearch.core import QUERY, ExampleSet, PairEmbeddings, SentencePair
from metasearch_plugins.encoders.sentence_encoder import SentenceEncoder, TextBatch


@dataclass(frozen=True)
class PreparedPairs:
    """One example set: its distinct sentences, and which of them each pair uses.

    Attributes:
        sentences: distinct sentences of both sides.
        first, second: ``(m,)`` rows of ``sentences``.
        scores: ``(m,)`` gold scores.
    """

    sentences: TextBatch
    first: Tensor
    second: Tensor
    scores: Tensor


@dataclass(frozen=True)
class PreparedPairTask:
    """All sets of a task, and the rows of the token table that they use."""

    sets: tuple[PreparedPairs, ...]
    rows: Tensor | None


class DualEncoder(SentenceEncoder):
    """Both sentences of a pair through one shared transformer, both as queries (paper section 5.1).

    See :class:`~metasearch_plugins.encoders.sentence_encoder.SentenceEncoder` for the arguments; of the lengths and prompts
    only those of queries matter.
    """

    kind = "pairs"

    def prepare(self, sets: Sequence[ExampleSet[SentencePair]]) -> PreparedPairTask:
        batches: list[TextBatch] = []
        indices: list[tuple[Tensor, Tensor, Tensor]] = []
        for pairs in sets:
            texts = (text for pair in pairs.examples for text in (pair.first, pair.second))
            sentences = {text: i for i, text in enumerate(dict.fromkeys(texts))}
            batches.append(self.tokenize(list(sentences), QUERY))
            indices.append(
                (
                    torch.tensor([sentences[pair.first] for pair in pairs.examples]),
                    torch.tensor([sentences[pair.second] for pair in pairs.examples]),
                    torch.tensor([pair.score for pair in pairs.examples], dtype=self.dtype),
                )
            )
        moved, rows = self.active_rows(batches)
        prepared = (
            PreparedPairs(batch, *(part.to(self.device) for part in index)) for batch, index in zip(moved, indices, strict=True)
        )
        return PreparedPairTask(tuple(prepared), rows)

    def restrict(self, params: Mapping[str, Tensor], prepared: PreparedPairTask) -> dict[str, Tensor]:
        return self.gather_rows(params, prepared.rows)

    def embed(self, params: Mapping[str, Tensor], prepared: PreparedPairTask, index: int) -> PairEmbeddings:
        part = prepared.sets[index]
        sentences = self.forward(params, part.sentences)
        return PairEmbeddings(sentences[part.first], sentences[part.second], part.scores)
