"""Interface of losses, and the embeddings they take."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class TripletEmbeddings:
    """Embeddings of one example set of questions with their candidates.

    The first three are all that an encoder has to give. One that leaves the next three out does without in-batch negatives:
    losses then compare an anchor with its own negatives alone. ``cached`` is what the examples bring (:class:`TripletExample`).

    Attributes:
        question: ``(m, d)``, one row per anchor.
        positive: ``(m, d)``.
        negatives: ``(m, r, d)``, r negatives per anchor.
        pool: ``(c, d)``, the set's distinct candidates, for losses with in-batch negatives.
        positive_index: ``(m,)``, row of each anchor's positive in the pool.
        wrong: ``(m, c)`` of bool, whether a candidate of the pool is a negative for the anchor: not known to answer it.
        cached: ``(m, K, d)``, embeddings of further negatives per anchor by the base encoder: constants; None: none.
    """

    question: torch.Tensor
    positive: torch.Tensor
    negatives: torch.Tensor
    pool: torch.Tensor | None = None
    positive_index: torch.Tensor | None = None
    wrong: torch.Tensor | None = None
    cached: torch.Tensor | None = None

    def similarities(self) -> torch.Tensor:
        """Dot products of each question with its candidates, ``(m, 1 + r)``; column 0 is the positive."""
        import torch

        candidates = torch.cat([self.positive.unsqueeze(1), self.negatives], dim=1)
        return torch.einsum("md,mcd->mc", self.question, candidates)


@dataclass(frozen=True)
class PairEmbeddings:
    """Embeddings of one example set of sentence pairs.

    Attributes:
        first, second: ``(m, d)``, one row per pair.
        scores: ``(m,)``, gold similarity, 0 to 1.
    """

    first: torch.Tensor
    second: torch.Tensor
    scores: torch.Tensor

    def cosines(self) -> torch.Tensor:
        """Cosine similarity of each pair, ``(m,)``."""
        import torch

        return torch.nn.functional.cosine_similarity(self.first, self.second, dim=-1)

    def similarities(self) -> torch.Tensor:
        """The pairs' cosine similarities as one distribution over the batch, ``(1, m)``."""
        return self.cosines().unsqueeze(0)


class Loss(ABC):
    """A training loss: embeddings of an example set in, a scalar out.

    Class attributes:
        kind: the embeddings it takes: ``"triplets"`` (:class:`TripletEmbeddings`) or ``"pairs"`` (:class:`PairEmbeddings`).
        needs_cached_negatives: whether the sampler must attach cached negatives.
        mean_of_examples: whether the loss of a set is the mean of its examples' own losses, so that a set can be taken in parts.
    """

    kind: ClassVar[str] = "triplets"
    needs_cached_negatives: ClassVar[bool] = False
    mean_of_examples: ClassVar[bool] = False

    @abstractmethod
    def __call__(self, embeddings: Any) -> torch.Tensor:
        """The mean loss over the set's examples, a scalar; twice differentiable almost everywhere."""
