"""Interface of losses, and the embeddings they take."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class TripletEmbeddings:
    """Embeddings of one example set.

    Attributes:
        question: ``(m, d)``, one row per anchor.
        positive: ``(m, d)``.
        negatives: ``(m, r, d)``, r negatives per anchor.
    """

    question: torch.Tensor
    positive: torch.Tensor
    negatives: torch.Tensor

    def similarities(self) -> torch.Tensor:
        """Dot products of each question with its candidates, ``(m, 1 + r)``; column 0 is the positive."""
        import torch

        candidates = torch.cat([self.positive.unsqueeze(1), self.negatives], dim=1)
        return torch.einsum("md,mcd->mc", self.question, candidates)


class Loss(ABC):
    """A training loss: embeddings of an example set in, a scalar out.

    Class attributes:
        kind: the embeddings it takes, ``"triplets"``.
    """

    kind: ClassVar[str] = "triplets"

    @abstractmethod
    def __call__(self, embeddings: TripletEmbeddings) -> torch.Tensor:
        """The mean loss over the set's examples, a scalar; twice differentiable almost everywhere."""
