"""Regression of the cosine onto gold similarity."""

from __future__ import annotations

from torch import Tensor

from metasearch import Loss
from metasearch.core import PairEmbeddings


class CosineMSE(Loss):
    """mean over pairs of (cos(first, second) - score)^2, with gold scores scaled to 0..1.

    Shapes: first and second ``(m, d)``, scores ``(m,)`` -> scalar.

    Reference: paper section 5.1 (dual encoder); Reimers and Gurevych 2019 (Sentence-BERT, regression objective).

    Example:
        >>> import torch
        >>> e = torch.eye(2)
        >>> CosineMSE()(PairEmbeddings(e, e, torch.tensor([1.0, 0.5]))).item()
        0.125
    """

    kind = "pairs"
    mean_of_examples = True

    def __call__(self, embeddings: PairEmbeddings) -> Tensor:
        return (embeddings.cosines() - embeddings.scores).pow(2).mean()
