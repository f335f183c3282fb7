"""Triplet loss with a margin."""

from __future__ import annotations

import torch
from torch import Tensor

from metasearch import Loss
from metasearch.core import TripletEmbeddings
from metasearch.errors import ConfigError


class TripletLoss(Loss):
    """mean over triplets of max(0, d(q, p) - d(q, n) + margin).

    An anchor with r negatives counts as r one-negative triplets that share question and positive (spec section 3).

    Args:
        margin: in units of the distance (paper: 1).
        distance: ``"euclidean"`` (default; what the authors' code does), ``"cosine"`` (1 - cosine), or ``"dot"`` (negated dot
            product, as the paper writes).

    Shapes: questions ``(m, d)``, positives ``(m, d)``, negatives ``(m, r, d)`` -> scalar.

    Reference: paper section 5.1 and appendix B; Schroff et al. 2015 (FaceNet), equation 1.

    Example:
        >>> x = TripletEmbeddings(torch.zeros(1, 2), torch.tensor([[0.0, 1.0]]), torch.tensor([[[3.0, 0.0]]]))
        >>> round(TripletLoss(margin=2.5)(x).item(), 4)
        0.5
    """

    mean_of_examples = True

    def __init__(self, margin: float = 1.0, distance: str = "euclidean") -> None:
        if distance not in _DISTANCES:
            raise ConfigError(f"loss.distance={distance!r}: expected one of {', '.join(_DISTANCES)}")
        self.margin = margin
        self.distance = _DISTANCES[distance]

    def __call__(self, embeddings: TripletEmbeddings) -> Tensor:
        question = embeddings.question.unsqueeze(1)  # (m, 1, d)
        positive = self.distance(question, embeddings.positive.unsqueeze(1))  # (m, 1)
        negative = self.distance(question, embeddings.negatives)  # (m, r)
        return torch.relu(positive - negative + self.margin).mean()


def euclidean(a: Tensor, b: Tensor) -> Tensor:
    """Length of a - b over the last axis; the tiny constant keeps the gradient finite at 0."""
    return ((a - b).pow(2).sum(-1) + 1e-12).sqrt()


def cosine(a: Tensor, b: Tensor) -> Tensor:
    """1 - cosine similarity over the last axis."""
    return 1 - torch.nn.functional.cosine_similarity(a, b, dim=-1)


def dot(a: Tensor, b: Tensor) -> Tensor:
    """Negated dot product over the last axis."""
    return -(a * b).sum(-1)


_DISTANCES = {"euclidean": euclidean, "cosine": cosine, "dot": dot}
