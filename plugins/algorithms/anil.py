"""ANIL: MAML whose inner loop moves the last layers only."""

from __future__ import annotations

from metasearch_plugins.algorithms.maml import MAML


class ANIL(MAML):
    """Almost no inner loop: the last transformer layer adapts to a task, everything learns in the outer loop.

    A sentence encoder has no classification head, so the last ``inner_layers`` transformer layers stand for it.

    Args:
        inner_layers: how many last layers adapt.
        inner_steps, inner_lr, outer_lr, order, meta_batch_size, keep_graphs, weight_decay, dropout: as for
            :class:`~metasearch_plugins.algorithms.maml.MAML`.

    Reference: Raghu et al. 2020.
    """

    citation = "Raghu, Raghu, Bengio and Vinyals (2020), Rapid Learning or Feature Reuse?"

    def __init__(
        self,
        inner_steps: int = 5,
        inner_lr: float = 1e-3,
        outer_lr: float = 1e-5,
        order: str = "second",
        meta_batch_size: int = 4,
        keep_graphs: int | None = 1,
        support_parts: int = 1,
        inner_layers: int | None = 1,
        weight_decay: float = 0.0,
        dropout: bool = False,
        backend: str = "metasearch",
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
            backend,
        )
