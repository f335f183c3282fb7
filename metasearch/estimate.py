"""What a run will cost, before it starts: counted passes times the measured speed of this machine with this model."""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, fields, replace
from functools import partial

import numpy as np
import torch
from torch import Tensor

from metasearch.algorithm import Learner, TrainingPlan
from metasearch.config import Config
from metasearch.core import CANDIDATE, QUERY, AnyCorpus, Cost, Embed, Encoder, Side, Task, differentiated_twice
from metasearch.prepare import Clock, Parts, prepare, scores_dev, training_plan
from metasearch.report import Reporter

# Examples of a task that are embedded to measure speed and memory, and texts that are encoded.
_EXAMPLES, _TEXTS = 2, 48
# A run is slower than the best of a few small steps: fresh memory, larger tensors, drawing tasks. Measured: 1.2 to 1.8 times.
_COLD = 1.4
# Most numbers in the tensor whose update is timed: more than a cache holds.
_UPDATED = 16_000_000


@dataclass(frozen=True)
class Estimate:
    """Time and memory of a run, within about a factor of two.

    Attributes:
        setup: seconds for reading data and model, as just measured.
        scoring: seconds for all passes over dev and test texts.
        training: seconds for the meta-batches, at most: patience may end them sooner.
        meta_batches: of all folds.
        memory: bytes at the peak, of the process, or on the GPU where there is one.
        device: where the model is.
    """

    setup: float
    scoring: float
    training: float
    meta_batches: int
    memory: float
    device: str

    @property
    def seconds(self) -> float:
        """Of the whole run."""
        return self.setup + self.scoring + self.training

    def __str__(self) -> str:
        each = f", {duration(self.training / self.meta_batches)} each" if self.meta_batches > 1 else ""
        training = f", training {duration(self.training)} ({self.meta_batches} meta-batches{each})" if self.meta_batches else ""
        where = "" if self.device == "cpu" else f" on {self.device}"
        return (
            f"estimate, within a factor of two: {duration(self.seconds)}{training}, scoring {duration(self.scoring)}; "
            f"peak memory {self.memory / 1e9:.1f} GB{where}"
        )


def estimate(config: Config) -> Estimate | None:
    """Estimate a run of this configuration: reads data and model, and embeds a few texts. Writes nothing.

    Args:
        config: from :func:`metasearch.compose`.

    Returns:
        None where the encoder cannot count its tokens.

    Raises:
        MetasearchError: what the run itself would refuse.
    """
    begin = time.perf_counter()
    parts = prepare(config, Clock(), Reporter(), None, _anything)
    setup = time.perf_counter() - begin
    split, streams = parts.splits[0], parts.streams[0]  # folds differ little
    memory = _memory_in_use(parts.encoder)
    tests, devs, training, batches = 1, 0, 0.0, 0
    if parts.mode:
        plan = training_plan(config)
        batches = plan.steps(parts.algorithm.meta_batch_size)
        tests += bool(config["eval.baseline"])
        devs = _dev_scorings(plan, batches) if split.dev and scores_dev(config) else 0
        cost = _mean_cost(parts, [streams["train"].task(index) for index in range(3)])
        if cost is None:
            return None
        speed = _measure(parts, streams["train"].task(0))
        per_batch = speed.per_pass * cost.passes * parts.algorithm.meta_batch_size + speed.update
        training = _COLD * batches * per_batch
        memory += speed.update_bytes + max(speed.once * cost.held_once + speed.twice * cost.held_twice, speed.update_peak)
        memory += speed.moving_bytes * cost.copies
    per_character = _encoding_speed(parts.encoder, split.test, config["eval.batch_size"])
    if parts.algorithm.trains and not parts.mode:  # all it does is to encode the training split, as far as we know
        tests += bool(config["eval.baseline"])
        training = per_character * _characters(split.train)
    scoring = per_character * (tests * _characters(split.test) + devs * _characters(split.dev))
    folds = len(parts.splits)
    return Estimate(setup, folds * scoring, folds * training, folds * batches, memory, str(parts.encoder.device))


@dataclass(frozen=True)
class _Speed:
    """What was measured, and what follows from the number of parameters.

    Attributes:
        per_pass: seconds of a forward pass over a token.
        once, twice: bytes a token's graph takes, for a first and for a second derivative.
        update: seconds of AdamW's step.
        update_bytes: of AdamW's state, the gradient, and a copy: a checkpoint, or a sparse gradient made dense.
        update_peak: what the step takes beside them.
        moving_bytes: of the parameters that an inner loop copies: not the token table.
    """

    per_pass: float
    once: float
    twice: float
    update: float
    update_bytes: float
    update_peak: float
    moving_bytes: float


def _mean_cost(parts: Parts, tasks: Sequence[Task]) -> Cost | None:
    costs = []
    for task in tasks:
        prepared = parts.encoder.prepare(task.sets)
        tokens = [parts.encoder.tokens(prepared, index) for index in range(len(task.sets))]
        if any(count is None for count in tokens):
            return None
        costs.append(parts.algorithm.cost(parts.encoder, [float(count or 0) for count in tokens]))
    return Cost(*(sum(getattr(c, f.name) for c in costs) / len(costs) for f in fields(Cost)))


def _measure(parts: Parts, task: Task) -> _Speed:
    """Take gradients of a small set, and update a small tensor."""
    encoder = parts.encoder
    small = replace(task.sets[0], examples=task.sets[0].examples[:_EXAMPLES])
    f = Learner(encoder, parts.loss).open(replace(task, sets=(small,)))
    theta = {name: p.detach().requires_grad_() for name, p in f.restrict(encoder.parameters()).items()}
    tokens = encoder.tokens(f.prepared, 0) or 1

    def gradient() -> None:
        torch.autograd.grad(f.loss(theta, 0), list(theta.values()), allow_unused=True)

    gradient()  # the first pays for lazy initialisation
    per_pass = min(_seconds(gradient, encoder) for _ in range(3)) / (3 * tokens)
    once = _graph_bytes(lambda: f.loss(theta, 0), theta.values())

    def step() -> object:
        with differentiated_twice():
            loss = f.loss(theta, 0)
        return torch.autograd.grad(loss, list(theta.values()), create_graph=True, allow_unused=True)

    try:
        twice = _graph_bytes(step, theta.values())
    except RuntimeError:  # a backbone without second derivatives: the run will say so if it needs them
        twice = once
    size = [p.numel() * p.element_size() for p in encoder.parameters().values()]
    probe = torch.zeros(min(_UPDATED, sum(size) // 4), device=encoder.device, requires_grad=True)
    probe.grad = torch.ones_like(probe)
    adam = torch.optim.AdamW([probe])
    adam.step()
    update = min(_seconds(adam.step, encoder) for _ in range(3)) * sum(size) / (probe.numel() * probe.element_size())
    del probe, adam
    moving = sum(p.numel() * p.element_size() for p in theta.values())
    return _Speed(per_pass, once / tokens, twice / tokens, update, 4 * sum(size), 2 * max(size), moving)


def _seconds(work: Callable[[], object], encoder: Encoder) -> float:
    begin = time.perf_counter()
    work()
    if encoder.device.type == "cuda":
        torch.cuda.synchronize(encoder.device)
    return time.perf_counter() - begin


def _graph_bytes(work: Callable[[], object], theta: Iterable[Tensor]) -> int:
    """Bytes that autograd keeps for the way back, without the parameters themselves."""
    own = {p.untyped_storage().data_ptr() for p in theta}
    kept: dict[int, int] = {}

    def note(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        result = work()
    del result
    return sum(kept.values())


def _dev_scorings(plan: TrainingPlan, batches: int) -> int:
    """At the end of each epoch, and every so many meta-batches."""
    return plan.epochs + (batches // plan.eval_every if plan.eval_every else 0)


def _encoding_speed(encoder: Encoder, corpus: AnyCorpus, batch_size: int) -> float:
    """Seconds per character, scored texts of both sides mixed as they are."""
    seconds = 0.0
    samples = {side: texts[:: max(1, len(texts) // _TEXTS)][:_TEXTS] for side, texts in corpus.texts.items()}
    begin = time.perf_counter()
    if all(samples.values()) and encoder.similarity(samples[QUERY], samples[CANDIDATE]) is not None:  # it scores by itself
        return (time.perf_counter() - begin) / sum(len(text) for sample in samples.values() for text in sample)
    for side, sample in samples.items():
        if sample:
            took = _seconds(partial(encoder.encode, sample, side, batch_size), encoder)
            seconds += took * len(corpus.texts[side]) / len(sample)
    return seconds / max(1, _characters(corpus))


def _characters(corpus: AnyCorpus | None) -> int:
    return sum(len(text) for texts in corpus.texts.values() for text in texts) if corpus else 0


def _memory_in_use(encoder: Encoder) -> float:
    """Bytes: on the GPU if the encoder is there, else the most that this process has had, which a run has, too."""
    if encoder.device.type == "cuda":
        return float(torch.cuda.memory_allocated(encoder.device))
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1.0 if sys.platform == "darwin" else 1024.0)


def _anything(encoder: Encoder) -> Embed:
    """Embeddings for samplers that want some: which texts they draw changes little about how long these are."""

    def embed(texts: Sequence[str], side: Side) -> np.ndarray:
        del side
        return np.random.default_rng(0).standard_normal((len(texts), encoder.dimension), dtype=np.float32)

    return embed


def duration(seconds: float) -> str:
    """A time to read: two figures are all that an estimate is worth.

    Example:
        >>> duration(4.4), duration(190), duration(7000)
        ('4.4 s', '3 min 10 s', '1 h 57 min')
    """
    if seconds < 60:
        return f"{seconds:.2g} s" if seconds < 10 else f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{int(seconds // 60)} min {int(seconds % 60)} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"
