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

    The first three are all that an encoder has to give. One that leaves the next four out does without in-batch negatives:
    losses then compare an anchor with its own negatives alone. ``cached`` and ``base`` are what the examples bring
    (:class:`TripletExample`).

    Attributes:
        question: ``(m, d)``, one row per anchor.
        positive: ``(m, d)``.
        negatives: ``(m, r, d)``, r negatives per anchor.
        pool: ``(c, d)``, the set's distinct candidates, for losses with in-batch negatives.
        positive_index: ``(m,)``, row of each anchor's positive in the pool.
        wrong: ``(m, c)`` of bool, whether a candidate of the pool is a negative for the anchor: not known to answer it.
        own: ``(m, c)`` of bool, whether a candidate of the pool is in the anchor's language.
        cached: ``(m, K, d)``, embeddings of further negatives per anchor by the base encoder: constants; None: none.
        translation: ``(m, d)``, each question in another language; None where an example of the set has none.
        base: ``(m, 2, L, d)``, embeddings by the base encoder of each question and its answer in L languages, zeros where the
            data has not both: constants; None: not asked for.
    """

    question: torch.Tensor
    positive: torch.Tensor
    negatives: torch.Tensor
    pool: torch.Tensor | None = None
    positive_index: torch.Tensor | None = None
    wrong: torch.Tensor | None = None
    cached: torch.Tensor | None = None
    own: torch.Tensor | None = None
    base: torch.Tensor | None = None
    translation: torch.Tensor | None = None

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
        needs_base: whether the sampler must attach what the base encoder makes of question and answer (``base``).
        mean_of_examples: whether the loss of a set is the mean of its examples' own losses, so that a set can be taken in parts.
    """

    kind: ClassVar[str] = "triplets"
    needs_cached_negatives: ClassVar[bool] = False
    needs_base: ClassVar[bool] = False
    mean_of_examples: ClassVar[bool] = False

    @abstractmethod
    def __call__(self, embeddings: Any) -> torch.Tensor:
        """The mean loss over the set's examples, a scalar; twice differentiable almost everywhere."""
