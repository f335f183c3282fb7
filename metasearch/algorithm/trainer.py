"""The training loop: per epoch a meta-train pass and a meta-valid pass, both updating; early stopping on dev."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Protocol

from metasearch.core.algorithm import MetaAlgorithm
from metasearch.core.episode import Task
from metasearch.errors import NotFiniteError, TrainingError


class TaskSource(Protocol):
    """Tasks by number; :class:`metasearch.episodes.EpisodeStream` is one."""

    def task(self, index: int) -> Task: ...


@dataclass(frozen=True)
class TrainingPlan:
    """How long to train.

    Attributes:
        train_tasks: meta-tasks of an epoch's meta-train pass.
        valid_tasks: meta-tasks of an epoch's meta-valid pass, which updates too (paper, appendix C); 0: none.
        epochs: most epochs.
        patience: stop after so many meta-batches without a better dev score; None: never.
        eval_every: score dev every so many meta-batches; None: at the end of each epoch only.
        checkpoint_every: keep the state every so many meta-batches; None: only when interrupted.
        on_nonfinite: what to do with a loss or gradient that is not finite: ``"stop"``, or ``"skip"`` the meta-batch.
        schedule: of the outer rate: ``"constant"``, or ``"linear"``: falling to nothing at the end of the plan.
        warmup: meta-batches over which the outer rate rises.
    """

    train_tasks: int
    valid_tasks: int
    epochs: int
    patience: int | None
    eval_every: int | None
    checkpoint_every: int | None = None
    on_nonfinite: str = "stop"
    schedule: str = "constant"
    warmup: int = 0

    def rate(self, step: int, steps: int) -> float:
        """The share of the outer rate that step number ``step`` (from 0) of ``steps`` is taken with.

        Example:
            >>> plan = TrainingPlan(8, 0, 1, None, None, schedule="linear", warmup=2)
            >>> [plan.rate(step, 8) for step in (0, 1, 4, 7)]
            [0.5, 0.875, 0.5, 0.125]
        """
        risen = min(1.0, (step + 1) / self.warmup) if self.warmup else 1.0
        return risen * (1 - step / steps if self.schedule == "linear" else 1.0)

    def steps(self, meta_batch_size: int) -> int:
        """Meta-batches of all epochs."""
        per_epoch = math.ceil(self.train_tasks / meta_batch_size) + math.ceil(self.valid_tasks / meta_batch_size)
        return per_epoch * self.epochs


@dataclass
class Progress:
    """Where training stands: all a restart needs beside the algorithm's state.

    Attributes:
        step: meta-batches done.
        best_step: meta-batch after which dev was best; -1 before the first score.
        best_score: the best dev score.
        seconds: time spent training, without scoring dev.
        seconds_scoring: time spent scoring dev.
        skipped: meta-batches left out because their loss was not finite.
        stopped: why training ended, or empty.
    """

    step: int = 0
    best_step: int = -1
    best_score: float = -math.inf
    seconds: float = 0.0
    seconds_scoring: float = 0.0
    skipped: int = 0
    stopped: str = ""

    def to_json(self) -> dict[str, Any]:
        """As in ``checkpoints/*.json``; a score that is not there yet is null."""
        return {**asdict(self), "best_score": self.best_score if math.isfinite(self.best_score) else None}


class Trainer:
    """Runs an algorithm over the tasks of a plan.

    Args:
        algorithm: started already.
        streams: ``"train"`` and, if the plan has valid tasks, ``"valid"``.
        plan: how long.
        score_dev: scores the encoder as it is on the dev split; higher is better.
        on_step: called after every meta-batch with a record to log.
        on_best: called when dev has improved (or, for the first time, been scored).
        on_checkpoint: called when the state is to be kept.
        interrupted: asked after every meta-batch whether to stop there.

    Attributes:
        progress: where training stands; set it before :meth:`run` to go on from there.
    """

    def __init__(
        self,
        algorithm: MetaAlgorithm,
        streams: Mapping[str, TaskSource],
        plan: TrainingPlan,
        score_dev: Callable[[], float] | None = None,
        on_step: Callable[[dict[str, Any]], None] = lambda record: None,
        on_best: Callable[[Progress], None] = lambda progress: None,
        on_checkpoint: Callable[[Progress], None] = lambda progress: None,
        interrupted: Callable[[], bool] = lambda: False,
    ) -> None:
        self.algorithm = algorithm
        self.streams = streams
        self.plan = plan
        self.score_dev = score_dev
        self.on_step = on_step
        self.on_best = on_best
        self.on_checkpoint = on_checkpoint
        self.interrupted = interrupted
        self.progress = Progress()

    def run(self) -> Progress:
        """Train to the end of the plan, or until patience runs out.

        Raises:
            TrainingError: a loss is not finite; the message names the tasks that caused it.
            KeyboardInterrupt: ``interrupted`` said so; the state has been kept.
        """
        schedule = [batch for epoch in range(self.plan.epochs) for batch in self._epoch(epoch)]
        state = self.progress
        while state.step < len(schedule) and not state.stopped:
            epoch, phase, indices = schedule[state.step]
            begin = time.perf_counter()
            tasks = [self.streams[phase].task(index) for index in indices]
            self.algorithm.scale_rate(self.plan.rate(state.step, len(schedule)))
            log = self._step(tasks)
            took = time.perf_counter() - begin
            state.step += 1
            state.seconds += took
            record: dict[str, Any] = {"step": state.step, "of": len(schedule), "epoch": epoch, "phase": phase, **log}
            record.update(
                tasks=len(tasks),
                shortfall=sum(t.shortfall for t in tasks),
                seconds=took,
                support=tasks[0].support.variant,
            )
            last_of_epoch = state.step == len(schedule) or schedule[state.step][0] != epoch
            if last_of_epoch or (self.plan.eval_every and state.step % self.plan.eval_every == 0):
                self._score(record)
            self.on_step(record)
            self._keep(len(schedule))
        state.stopped = state.stopped or "all epochs done"
        return state

    def _step(self, tasks: Sequence[Task]) -> dict[str, Any]:
        """One meta-batch; what to log of it. Of one that is left out, why."""
        try:
            log = self.algorithm.step(tasks)
            if not math.isfinite(log["loss"]):
                raise NotFiniteError(f"the loss is {log['loss']}", [task.index for task in tasks], updated=True)
            return log
        except NotFiniteError as error:
            where = f"meta-batch {self.progress.step + 1} ({tasks[0].phase} tasks {', '.join(map(str, error.tasks))})"
            if self.plan.on_nonfinite == "skip" and not error.updated:
                self.progress.skipped += 1
                return {"loss": None, "skipped": str(error)}
            way = "lower algo.inner_lr or algo.outer_lr, or leave such meta-batches out with train.on_nonfinite=skip"
            raise TrainingError(f"{where}: {error}; {way}") from error

    def _keep(self, steps: int) -> None:
        """Keep the state where that is due, or where the user wants to stop."""
        state, every = self.progress, self.plan.checkpoint_every
        if self.interrupted():
            self.on_checkpoint(state)
            raise KeyboardInterrupt
        if every and state.step % every == 0 and state.step < steps and not state.stopped:
            self.on_checkpoint(state)

    def _epoch(self, epoch: int) -> list[tuple[int, str, list[int]]]:
        """Meta-batches of an epoch: (epoch, phase, task indices). Every epoch draws new tasks."""
        size = self.algorithm.meta_batch_size
        batches = []
        for phase, count in (("train", self.plan.train_tasks), ("valid", self.plan.valid_tasks)):
            indices = range(epoch * count, (epoch + 1) * count)
            batches += [(epoch, phase, list(indices[i : i + size])) for i in range(0, count, size)]
        return batches

    def _score(self, record: dict[str, Any]) -> None:
        if self.score_dev is None:
            return
        state = self.progress
        begin = time.perf_counter()
        score = self.score_dev()
        state.seconds_scoring += time.perf_counter() - begin
        record["dev"] = score
        if score > state.best_score:
            state.best_score, state.best_step = score, state.step
            self.on_best(state)
        elif self.plan.patience is not None and state.step - state.best_step >= self.plan.patience:
            state.stopped = f"no better dev score for {state.step - state.best_step} meta-batches"
