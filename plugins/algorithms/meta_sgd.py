"""Meta-SGD: MAML that learns its inner rates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch

from metasearch.algorithm import Learner, Rates, TaskFunction
from metasearch.algorithm.outer_loop import copy_into
from metasearch.core import Task
from metasearch.errors import ConfigError
from metasearch_plugins.algorithms.maml import MAML

RATES = ("parameter", "tensor")


class MetaSGD(MAML):
    """Start and inner rates are learned together, with the same meta-gradient.

    Args:
        inner_steps: n (Meta-SGD: 1).
        inner_lr: alpha at the start.
        outer_lr: beta.
        rates: ``"parameter"``: a rate per number in theta (Li et al.); ``"tensor"``: one per weight matrix or bias, cheaper and
            readable.
        rate_lr: AdamW's rate for the inner rates; None: ``outer_lr``. A step moves a rate by about so much, so compare it with
            ``inner_lr``.
        order, meta_batch_size, keep_graphs, support_parts, inner_layers, weight_decay, dropout: as for
            :class:`~metasearch_plugins.algorithms.maml.MAML`.

    Reference: Li et al. 2017, Algorithm 1.
    """

    citation = "Li, Zhou, Chen and Li (2017), Meta-SGD: Learning to Learn Quickly for Few-Shot Learning."

    def __init__(
        self,
        inner_steps: int = 1,
        inner_lr: float = 1e-3,
        outer_lr: float = 1e-5,
        rates: str = "parameter",
        rate_lr: float | None = None,
        order: str = "second",
        meta_batch_size: int = 4,
        keep_graphs: int | None = 1,
        support_parts: int = 1,
        inner_layers: int | None = None,
        weight_decay: float = 0.0,
        dropout: bool = False,
    ) -> None:
        super().__init__(
            inner_steps,
            inner_lr,
            outer_lr,
            order,
            meta_batch_size,
            keep_graphs,
            support_parts,
            inner_layers,
            weight_decay,
            dropout,
        )
        if rates not in RATES:
            raise ConfigError(f"algo.rates={rates!r}: expected one of {', '.join(RATES)}")
        self.per_tensor = rates == "tensor"
        self.rate_lr = outer_lr if rate_lr is None else rate_lr

    def start(self, learner: Learner) -> None:
        own = learner.encoder.parameters()
        shapes = {name: torch.zeros((), dtype=p.dtype, device=p.device) if self.per_tensor else p for name, p in own.items()}
        self.alpha = {name: torch.full_like(s, self.inner_lr).requires_grad_() for name, s in shapes.items()}
        super().start(learner)
        self.alpha = {name: self.alpha[name] for name in self.inner_names}

    def parameter_groups(self) -> list[dict[str, Any]]:
        rates = [self.alpha[name] for name in self.inner_names]
        return [*super().parameter_groups(), {"params": rates, "weight_decay": 0.0, "lr": self.rate_lr}]

    def rates(self, f: TaskFunction) -> Rates:
        # As theta itself, so that of the token table's rates only the rows that the task uses take part.
        return self.alpha if self.per_tensor else f.restrict(self.alpha)

    def step(self, tasks: Sequence[Task]) -> dict[str, float]:
        mean = torch.stack([rate.detach().mean() for rate in self.alpha.values()]).mean().item()
        return {**super().step(tasks), "mean_inner_lr": mean}

    def state_dict(self) -> dict[str, Any]:
        return {**super().state_dict(), "alpha": {n: rate.detach() for n, rate in self.alpha.items()}}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        super().load_state_dict(state)
        with torch.no_grad():
            copy_into(self.alpha, state["alpha"])
