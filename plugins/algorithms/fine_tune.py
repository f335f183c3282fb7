"""Ordinary training on the examples of meta-tasks: the fair few-shot baseline."""

from __future__ import annotations

from collections.abc import Sequence

from metasearch.algorithm import OuterLoop
from metasearch.core import Task


class FineTune(OuterLoop):
    """AdamW on the mean loss over all support and query examples of a batch of tasks (paper section 5.3, *S-BERT + Fine-tune*).

    Args:
        outer_lr: AdamW's rate (paper: 5e-5).
        meta_batch_size: tasks whose examples make one update.
        weight_decay: on matrices only.
        dropout: leave dropout on.
    """

    sets = None

    def __init__(
        self, outer_lr: float = 5e-5, meta_batch_size: int = 4, weight_decay: float = 0.0, dropout: bool = False
    ) -> None:
        super().__init__(outer_lr, meta_batch_size, weight_decay, dropout)

    def meta_gradient(self, tasks: Sequence[Task]) -> dict[str, float]:
        examples = sum(len(examples) for task in tasks for examples in task.sets)
        total = 0.0
        for task in self.own(tasks):
            f = self.learner.open(task)
            for number, example_set in enumerate(task.sets):
                loss = f.loss(f.restrict(self.theta), number) * (len(example_set) / examples)
                loss.backward()
                total += loss.item()
        return {"loss": total}
