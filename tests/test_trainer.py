"""The training loop: passes, early stopping, and what is handed on."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import pytest

from metasearch import MetaAlgorithm
from metasearch.algorithm import Learner, Trainer, TrainingPlan
from metasearch.core import Task
from metasearch.errors import TrainingError


class Recorder(MetaAlgorithm):
    """Remembers its tasks; the loss of a step is what the test says."""

    def __init__(self, losses: Sequence[float] = ()) -> None:
        self.seen: list[list[tuple[str, int]]] = []
        self.losses = losses
        self.rates: list[float] = []

    @property
    def meta_batch_size(self) -> int:
        return 2

    def start(self, learner: Learner) -> None:
        pass

    def scale_rate(self, share: float) -> None:
        self.rates.append(share)

    def step(self, tasks: Sequence[Task]) -> dict[str, float]:
        self.seen.append([(t.phase, t.index) for t in tasks])
        return {"loss": self.losses[len(self.seen) - 1] if self.losses else 1.0}


class Source:
    def __init__(self, phase: str) -> None:
        self.phase = phase

    def task(self, index: int) -> Task:
        from metasearch.core import ExampleSet

        return Task(index, self.phase, (ExampleSet((), "x_x"), ExampleSet((), "x_y")))


def train(plan: TrainingPlan, scores: Sequence[float] = (), losses: Sequence[float] = ()) -> tuple[Recorder, Trainer, list[Any]]:
    algorithm, best, left = Recorder(losses), [], list(scores)
    trainer = Trainer(
        algorithm,
        {"train": Source("train"), "valid": Source("valid")},
        plan,
        (lambda: left.pop(0)) if scores else None,
        on_best=lambda progress: best.append(progress.step),
    )
    trainer.run()
    return algorithm, trainer, best


def test_an_epoch_is_a_train_pass_and_a_valid_pass_and_each_epoch_draws_new_tasks() -> None:
    algorithm, trainer, _ = train(TrainingPlan(3, 2, 2, None, None))
    assert algorithm.seen == [
        [("train", 0), ("train", 1)],
        [("train", 2)],
        [("valid", 0), ("valid", 1)],
        [("train", 3), ("train", 4)],
        [("train", 5)],
        [("valid", 2), ("valid", 3)],
    ]
    assert trainer.plan.steps(2) == trainer.progress.step == 6
    assert trainer.progress.stopped == "all epochs done"
    assert trainer.progress.to_json()["best_score"] is None


def test_dev_is_scored_every_so_often_and_at_the_end_of_an_epoch() -> None:
    _, trainer, best = train(TrainingPlan(10, 0, 1, None, 2), scores=[0.1, 0.3, 0.2])
    assert best == [2, 4]
    assert (trainer.progress.best_step, trainer.progress.best_score) == (4, 0.3)


def test_the_outer_rate_rises_and_falls_as_planned() -> None:
    assert train(TrainingPlan(6, 2, 1, None, None))[0].rates == [1.0] * 4
    falling, _, _ = train(TrainingPlan(6, 2, 2, None, None, schedule="linear", warmup=2))
    assert falling.rates == pytest.approx([min(1, (i + 1) / 2) * (1 - i / 8) for i in range(8)])


def test_patience_counts_meta_batches_since_the_best() -> None:
    _, trainer, best = train(TrainingPlan(100, 0, 1, 3, 1), scores=[0.1, 0.5, 0.4, 0.5, 0.3, 0.9])
    assert best == [1, 2]
    assert trainer.progress.step == 5
    assert "no better dev score for 3 meta-batches" in trainer.progress.stopped


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_loss_that_is_not_finite_stops_and_names_the_tasks(bad: float) -> None:
    with pytest.raises(TrainingError, match=r"meta-batch 2 .train tasks 2, 3.: the loss is (nan|inf); lower"):
        train(TrainingPlan(10, 0, 1, None, None), losses=[1.0, bad])
