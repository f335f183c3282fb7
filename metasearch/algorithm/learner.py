"""A task as a function of parameters: what an algorithm sees of encoder and loss."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from metasearch.algorithm.adapt import Params
from metasearch.core.encoder import Encoder
from metasearch.core.episode import Task
from metasearch.core.loss import Loss, PairEmbeddings, TripletEmbeddings


@dataclass(frozen=True)
class Learner:
    """Encoder and loss together: B_theta and L of the paper."""

    encoder: Encoder
    loss: Loss

    def open(self, task: Task) -> TaskFunction:
        """Tokenise a task once, for all evaluations at whatever parameters."""
        return TaskFunction(self.encoder, self.loss, self.encoder.prepare(task.sets))


@dataclass(frozen=True)
class TaskFunction:
    """One task's losses and embeddings as functions of parameters.

    The sets are numbered along the chain: 0 is S^X; 1 is Q^Y, which is also the student's S^Y; 2 is Q^Z.
    """

    encoder: Encoder
    criterion: Loss
    prepared: Any

    def restrict(self, theta: Mapping[str, Tensor]) -> Params:
        """The part of theta that this task can touch (see :meth:`Encoder.restrict`)."""
        return self.encoder.restrict(theta, self.prepared)

    def embed(self, params: Params, number: int) -> TripletEmbeddings | PairEmbeddings:
        """Embeddings of set ``number``."""
        return self.encoder.embed(params, self.prepared, number)

    def loss(self, params: Params, number: int) -> Tensor:
        """The loss on set ``number``, a scalar."""
        return self.criterion(self.embed(params, number))

    def loss_on(self, number: int) -> Callable[[Params], Tensor]:
        """The loss on set ``number`` as a function of parameters alone, for the inner loop."""
        return lambda params: self.loss(params, number)
