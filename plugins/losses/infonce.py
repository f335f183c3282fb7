"""Softmax losses over candidates: in-batch negatives, and negatives from a cache."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from metasearch import Loss
from metasearch.core import TripletEmbeddings
from metasearch.errors import ConfigError

POSITIVES = ("one", "all")


class InfoNCE(Loss):
    """Cross-entropy of the positive among all candidates of the set that are not known to answer the question.

    L = mean over anchors of -log( exp(s(q, p) / tau) / sum over p and every wrong candidate c of the set of exp(s(q, c) / tau) ).
    The set's other positives and all negatives of all anchors are in the pool; a candidate that answers the anchor's question, in
    whatever language, is no negative of it. Embeddings that bring no pool are compared with their own negatives alone.

    Args:
        temperature: tau.
        positives: ``"one"``: p is the anchor's positive; ``"all"``: the mean over all candidates of the pool that answer it, each
            against the wrong ones (``sampler.versions`` brings the positive in further languages).

    Reference: van den Oord et al. 2018, equation 4; Henderson et al. 2017 (in-batch negatives).
    """

    def __init__(self, temperature: float = 0.05, positives: str = "one") -> None:
        if positives not in POSITIVES:
            raise ConfigError(f"loss.positives={positives!r}: expected one of {', '.join(POSITIVES)}")
        self.temperature = temperature
        self.positives = positives

    def __call__(self, embeddings: TripletEmbeddings) -> Tensor:
        if self.positives == "all" and embeddings.pool is not None and embeddings.wrong is not None:
            right = (embeddings.question @ embeddings.pool.T) / self.temperature
            wrong = self.logits(embeddings)[:, 1:].logsumexp(1, keepdim=True)
            share = (~embeddings.wrong).to(right)
            return (share * F.softplus(wrong - right)).sum(1).div(share.sum(1)).mean()
        return F.cross_entropy(self.logits(embeddings), torch.zeros_like(embeddings.question[:, 0], dtype=torch.long))

    def logits(self, embeddings: TripletEmbeddings) -> Tensor:
        """``(m, 1 + c)``: the positive first, then the pool, with ``-inf`` where a candidate is no negative."""
        if embeddings.pool is None or embeddings.wrong is None:
            return embeddings.similarities() / self.temperature
        positive = (embeddings.question * embeddings.positive).sum(-1, keepdim=True)
        others = embeddings.question @ embeddings.pool.T
        return torch.cat([positive, others.masked_fill(~embeddings.wrong, -torch.inf)], dim=1) / self.temperature


class Cached(InfoNCE):
    """InfoNCE whose denominator also has each anchor's hardest negatives of the whole split, from a cache.

    Their embeddings are the base encoder's, computed once and kept on disk (``sampler.cached_negatives`` of them per anchor):
    constants, so hundreds of negatives cost one matrix product. They grow stale as the encoder moves, like a cross-batch memory.

    Args:
        temperature: tau.
        positives: see :class:`InfoNCE`.

    Reference: Wang et al. 2020 (cross-batch memory), with the base encoder as the memory.
    """

    needs_cached_negatives = True

    def logits(self, embeddings: TripletEmbeddings) -> Tensor:
        logits = super().logits(embeddings)
        if embeddings.cached is None:
            return logits
        cached = torch.einsum("md,mkd->mk", embeddings.question, embeddings.cached)
        return torch.cat([logits, cached / self.temperature], dim=1)
