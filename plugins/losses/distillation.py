"""Distillation of the base encoder: what it finds within one language is the target over all languages."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from metasearch import Loss
from metasearch.core import TripletEmbeddings
from metasearch.errors import ConfigError


class Distillation(Loss):
    """The base encoder teaches its own multilingual search, by its scores within one language and by its embeddings.

    L = (1 - embeddings) * L_scores + embeddings * scale * L_embeddings + questions * L_questions; for question i of a set of m:

    - L_scores is the cross-entropy of ``softmax_c( s(q_i, c) / temperature )``, c any candidate of the set, with a target over
      answers, t_i = (1 - labels) * softmax_j( base_ij / teacher_temperature ) + labels * [j = i]. ``base_ij`` is how similar the
      base encoder finds question i and the answer to question j in one language, meaned over languages. An answer hands its share
      on to its versions in the pool in equal parts, so that no language is better than another; negatives have none.
    - L_embeddings is the mean squared distance of each question, and of each version of its answer, from the normalised mean of
      the base encoder's embeddings of it in all languages. It wants nothing in the set but the example itself.
    - L_questions is the in-batch softmax between questions and their translations, both ways, at the same temperature; nothing in
      sets that bring no translations (those of one language).

    Without meta-learning (``algo=fine-tune``) this is plain distillation from monolingual to multilingual search.

    Args:
        temperature: tau, of the encoder's own distribution.
        teacher_temperature: of the base encoder's.
        labels: share of the labels in the target; 1: the base encoder has no say in it.
        embeddings: share of L_embeddings; 0: scores alone, 1: embeddings alone.
        scale: what L_embeddings is multiplied by, since squared distances on the unit sphere are small.
        questions: weight of L_questions.

    Reference: Hinton et al. 2015, equation 1, over candidates; Reimers and Gurevych 2020, whose teacher is an English model.
    """

    needs_base = True

    def __init__(
        self,
        temperature: float = 0.05,
        teacher_temperature: float = 0.02,
        labels: float = 0.5,
        embeddings: float = 0.0,
        scale: float = 10.0,
        questions: float = 0.0,
    ) -> None:
        self.temperature = temperature
        self.teacher_temperature = teacher_temperature
        self.labels = labels
        self.embeddings = embeddings
        self.scale = scale
        self.questions = questions

    def __call__(self, embeddings: TripletEmbeddings) -> Tensor:
        pool, wrong, base = embeddings.pool, embeddings.wrong, embeddings.base
        if pool is None or wrong is None or base is None:
            raise ConfigError("loss=distillation needs an encoder that gives a pool of candidates, and sampler.base=true")
        loss = embeddings.question.new_zeros(())
        if self.embeddings < 1:
            log_shares = (embeddings.question @ pool.T / self.temperature).log_softmax(1)
            scores = -(self.target(base, wrong) * log_shares).sum(1).mean()
            loss = loss + (1 - self.embeddings) * scores
        if self.embeddings > 0:
            loss = loss + self.embeddings * self.scale * _distance_to_base(embeddings.question, pool, ~wrong, base)
        if self.questions > 0 and embeddings.translation is not None:
            scores = embeddings.question @ embeddings.translation.T / self.temperature
            own = torch.arange(len(scores), device=scores.device)
            loss = loss + self.questions * (F.cross_entropy(scores, own) + F.cross_entropy(scores.T, own)) / 2
        return loss

    def target(self, base: Tensor, wrong: Tensor) -> Tensor:
        """``(m, 2, L, d)`` and ``(m, c)`` of bool -> ``(m, c)`` shares, whose rows add up to 1."""
        versions = (~wrong).to(base)
        versions = versions / versions.sum(1, keepdim=True)
        teacher = (monolingual_similarities(base) / self.teacher_temperature).softmax(1)
        return self.labels * versions + (1 - self.labels) * teacher @ versions


def monolingual_similarities(base: Tensor) -> Tensor:
    """``(m, 2, L, d)`` -> ``(m, m)``: question i with the answer to question j, meaned over the languages that have both."""
    questions, answers = base.unbind(1)
    both = torch.einsum("il,jl->ij", questions.any(-1).to(base), answers.any(-1).to(base))
    return torch.einsum("ild,jld->ij", questions, answers) / both.clamp(min=1)


def _distance_to_base(question: Tensor, pool: Tensor, right: Tensor, base: Tensor) -> Tensor:
    """Mean squared distances of questions, plus that of their answers' versions, from the base encoder's mean over languages."""
    goals = F.normalize(base.sum(2), dim=-1)
    of_questions = (question - goals[:, 0]).pow(2).sum(-1).mean()
    away = (pool.unsqueeze(0) - goals[:, 1].unsqueeze(1)).pow(2).sum(-1)  # (m, c)
    return of_questions + (away * right).sum() / right.sum()
