"""Reptile: move towards where a few steps on a task lead."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch

from metasearch.algorithm import InnerLoop, adapt
from metasearch.algorithm.adaptation import relative_move
from metasearch.core import Cost, Encoder, Task


class Reptile(InnerLoop):
    """theta_j = n steps of SGD on all examples of a task; theta moves along the mean of theta_j - theta.

    AdamW takes (theta - theta_j) / (n * alpha), the mean gradient along the way, as its gradient. No second derivative is needed.

    Args:
        inner_steps: n; with 1 it is plain training on all examples.
        inner_lr: alpha.
        outer_lr: AdamW's rate (beta).
        meta_batch_size, support_parts, inner_layers, weight_decay, dropout: see :class:`~metasearch.algorithm.InnerLoop`.

    Reference: Nichol, Achiam and Schulman 2018, Algorithm 2 (batched).
    """

    sets = None
    citation = "Nichol, Achiam and Schulman (2018), On First-Order Meta-Learning Algorithms."

    def __init__(
        self,
        inner_steps: int = 5,
        inner_lr: float = 1e-3,
        outer_lr: float = 1e-5,
        meta_batch_size: int = 4,
        support_parts: int = 1,
        inner_layers: int | None = None,
        weight_decay: float = 0.0,
        dropout: bool = False,
    ) -> None:
        super().__init__(
            inner_steps, inner_lr, outer_lr, "first", meta_batch_size, None, support_parts, inner_layers, weight_decay, dropout
        )

    def meta_gradient(self, tasks: Sequence[Task]) -> dict[str, float]:
        total, move = 0.0, 0.0
        for task in self.own(tasks):
            f = self.open(task)
            theta = f.restrict(self.theta)

            loss = f.loss_on(*range(len(task.sets)))
            theta_j = adapt(loss, theta, self.inner_steps, self.rates(f), "first")
            move += relative_move(theta, theta_j)
            moved = self.inner_steps * self.inner_lr * len(tasks)
            # A linear function whose gradient is (theta - theta_j) / (n * alpha), so that the token table's stays sparse.
            direction = [(p * ((p - theta_j[n]).detach() / moved)).sum() for n, p in theta.items()]
            torch.stack(direction).sum().backward()
            with torch.no_grad():
                total += sum(term(theta_j).item() for term in loss)
        return {"loss": total / len(tasks), "move": move / len(tasks)}

    def cost(self, encoder: Encoder, tokens: Sequence[float]) -> Cost:
        inner = self.adapting(encoder, self.inner_steps, sum(tokens))
        return replace(inner, passes=inner.passes + sum(tokens), held_once=max(tokens))  # the loss at the end, for the log
