"""A task as a function of parameters: what an algorithm sees of encoder and loss."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from torch import Tensor

from metasearch.algorithm.adapt import InnerLoss, Params
from metasearch.core.encoder import Encoder
from metasearch.core.episode import ExampleSet, Task
from metasearch.core.loss import Loss, PairEmbeddings, TripletEmbeddings


@dataclass(frozen=True)
class Learner:
    """Encoder and loss together: B_theta and L of the paper."""

    encoder: Encoder
    loss: Loss

    def open(self, task: Task, parts: int = 1) -> TaskFunction:
        """Tokenise a task once, for all evaluations at whatever parameters.

        Args:
            task: the example sets.
            parts: into how many parts :meth:`TaskFunction.loss_on` cuts a set.
        """
        sets = list(task.sets)
        numbers = []
        for examples in task.sets:
            pieces = in_parts(examples, parts) if parts > 1 and len(examples) > 1 else []
            numbers.append(range(len(sets), len(sets) + len(pieces)))
            sets += pieces
        return TaskFunction(self.encoder, self.loss, self.encoder.prepare(sets), tuple(map(len, sets)), tuple(numbers))


def in_parts(examples: ExampleSet[Any], parts: int) -> list[ExampleSet[Any]]:
    """Cut a set into ``parts`` sets, as equal as can be; into single examples where there are not so many.

    Example:
        >>> [len(part) for part in in_parts(ExampleSet(tuple("abcdefgh"), ""), 3)]
        [3, 3, 2]
    """
    size, count = len(examples), min(parts, len(examples))
    ends = [-(-size * (i + 1) // count) for i in range(count)]
    return [replace(examples, examples=examples.examples[a:b]) for a, b in zip([0, *ends], ends, strict=False)]


@dataclass(frozen=True)
class TaskFunction:
    """One task's losses and embeddings as functions of parameters.

    The sets are numbered along the chain: 0 is S^X; 1 is Q^Y, which is also the student's S^Y; 2 is Q^Z. Parts of sets follow.
    """

    encoder: Encoder
    criterion: Loss
    prepared: Any
    sizes: tuple[int, ...]
    parts: tuple[range, ...]

    def restrict(self, theta: Mapping[str, Tensor]) -> Params:
        """The part of theta that this task can touch (see :meth:`Encoder.restrict`)."""
        return self.encoder.restrict(theta, self.prepared)

    def embed(self, params: Params, number: int) -> TripletEmbeddings | PairEmbeddings:
        """Embeddings of set ``number``."""
        return self.encoder.embed(params, self.prepared, number)

    def loss(self, params: Params, number: int) -> Tensor:
        """The loss on set ``number``, a scalar."""
        return self.criterion(self.embed(params, number))

    def loss_on(self, *numbers: int) -> list[InnerLoss]:
        """The mean loss over the examples of these sets as a function of parameters alone, for the inner loop.

        Returns:
            Terms of a sum: one for each set, or each of its parts.
        """
        total = sum(self.sizes[number] for number in numbers)
        pieces = [piece for number in numbers for piece in self.parts[number] or [number]]
        return [self._share(piece, self.sizes[piece] / total) for piece in pieces]

    def _share(self, number: int, weight: float) -> InnerLoss:
        return lambda params: self.loss(params, number) * weight
