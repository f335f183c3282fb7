"""Small things to test with: those that plugins are tested with too, and a meta-gradient."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from metasearch.core import Task
from metasearch.testing.tiny import LANGUAGES, make_tiny_model, tiny_corpus, tiny_pairs

if TYPE_CHECKING:
    from torch import Tensor

    from metasearch.algorithm import Learner, OuterLoop

__all__ = ["LANGUAGES", "make_tiny_model", "meta_gradient", "tiny_corpus", "tiny_pairs"]


def meta_gradient(algorithm: OuterLoop, learner: Learner, tasks: Sequence[Task]) -> dict[str, Tensor]:
    """The meta-gradient that a step would hand to the optimiser, dense."""
    import torch

    algorithm.start(learner)
    algorithm.optimizer.zero_grad()
    algorithm.meta_gradient(tasks)
    found = {}
    for name, p in algorithm.theta.items():
        g = torch.zeros_like(p) if p.grad is None else p.grad
        found[name] = (g.to_dense() if g.is_sparse else g).detach().clone()
        p.grad = None
    return found
