"""The contract of meta-algorithms."""

from __future__ import annotations

import copy
import io
import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from metasearch.algorithm import Learner
from metasearch.core import Cost, MetaAlgorithm, Task
from metasearch.errors import MetasearchError
from metasearch.registry import Registry, registry
from metasearch.testing.demand import demand
from metasearch.testing.tiny import tiny_learner, tiny_task

_STEPS = 4  # outer updates on the same tasks, after which the loss must be lower


def check_algorithm(
    algorithm: MetaAlgorithm, learner: Callable[[], Learner] = tiny_learner, components: Registry = registry
) -> None:
    """Check what :class:`metasearch.core.MetaAlgorithm` demands, on a tiny encoder in float64.

    A step changes the encoder's own parameters in place and returns a finite ``"loss"``; steps on the same tasks lower it;
    batches of ``meta_batch_size`` tasks and smaller ones work, with as many sets as ``sets`` says; training that goes on from
    a saved state equals training that was not interrupted, exactly; ``inner_steps=0`` and ``inner_lr=0`` work where the
    registered schema allows them, and with ``inner_lr=0`` the number of steps does not matter. An algorithm that takes no steps
    (``trains`` or ``needs_tasks`` is false) is not asked for any.

    Args:
        algorithm: constructed, not started, with any options.
        learner: makes encoder and loss; must give equal ones at each call.
        components: where the class is registered; what is installed, unless told otherwise.

    Raises:
        AssertionError: what does not hold.

    Example:
        >>> from metasearch.registry import registry
        >>> check_algorithm(registry.create("algo", "zero-shot"))
    """
    size, sets = algorithm.meta_batch_size, algorithm.sets
    demand(isinstance(size, int) and size >= 1, f"meta_batch_size is a number of tasks, at least 1, found {size!r}")
    demand(sets is None or sets >= 1, f"sets is how many example sets a task must have, or None for any, found {sets!r}")
    if not (algorithm.trains and algorithm.needs_tasks):
        return
    for count in (2, 3) if sets is None else (sets,):
        _check_step(algorithm, learner(), _tasks(size, count))
        _check_state(algorithm, learner, size, count)
    _check_cost(algorithm, learner(), sets or 2)
    _check_no_inner_loop(algorithm, learner, components)


def _tasks(count: int, sets: int, start: int = 0) -> list[Task]:
    return [tiny_task("triplets", sets, (start + i) % 5) for i in range(count)]


def _started(algorithm: MetaAlgorithm, learner: Learner) -> MetaAlgorithm:
    """A fresh copy that has been checked and started."""
    fresh = copy.deepcopy(algorithm)
    try:
        fresh.check(learner.encoder, learner.loss)
    except MetasearchError as error:
        raise AssertionError(f"check() refuses a plain encoder and the triplet loss: {error}") from error
    fresh.start(learner)
    return fresh


def _values(learner: Learner) -> dict[str, Tensor]:
    return {name: p.detach().clone() for name, p in learner.encoder.parameters().items()}


def _check_log(log: Any) -> None:
    demand(
        isinstance(log, dict) and "loss" in log, f"step returns a dict of values to log with 'loss' among them, found {log!r:.80}"
    )
    for name, value in log.items():
        demand(isinstance(value, (int, float)), f"step: {name} is a {type(value).__name__}, expected a float")
    demand(math.isfinite(log["loss"]), f"the loss is {log['loss']} on plain tasks, expected a finite number")


def _check_step(algorithm: MetaAlgorithm, learner: Learner, tasks: Sequence[Task]) -> None:
    fresh = _started(algorithm, learner)
    before = _values(learner)
    own = learner.encoder.parameters()
    logs = [fresh.step(tasks)]
    _check_log(logs[0])
    changed = [name for name in own if not torch.equal(own[name].detach(), before[name])]
    demand(bool(changed), "a step changes no parameter of the encoder: what is evaluated and saved is learner.encoder")
    demand(all(bool(torch.isfinite(p).all()) for p in own.values()), "a step leaves parameters that are not finite")
    same = all(p.data_ptr() == own[n].data_ptr() for n, p in learner.encoder.parameters().items())
    demand(same, "a step must update the encoder's parameters in place, not put other tensors in their place")
    logs += [fresh.step(tasks) for _ in range(_STEPS)]
    first, last = logs[0]["loss"], logs[-1]["loss"]
    demand(last < first, f"{_STEPS} steps on the same tasks must lower their loss: {first:.8g} before, {last:.8g} after (sign?)")
    _check_log(fresh.step(tasks[:1]))  # the last batch of a pass may be smaller


def _check_state(algorithm: MetaAlgorithm, learner: Callable[[], Learner], size: int, sets: int) -> None:
    """Save after one step, go on in another process's stead, compare with going on."""
    one, other = learner(), learner()
    going_on, restored = _started(algorithm, one), _started(algorithm, other)
    going_on.step(_tasks(size, sets))
    restored.load_state_dict(_written(going_on.state_dict()))
    a, b = _values(one), _values(other)
    demand(all(torch.equal(a[n], b[n]) for n in a), "load_state_dict must bring back the encoder's parameters")
    for start in (1, 2):
        tasks = _tasks(size, sets, start)
        logs = going_on.step(tasks), restored.step(tasks)
        demand(logs[0] == logs[1], f"after load_state_dict a step logs {logs[1]}, without the interruption {logs[0]}")
        a, b = _values(one), _values(other)
        equal = all(torch.equal(a[n], b[n]) for n in a)
        demand(equal, "training that goes on from a saved state differs: state_dict must hold all that step depends on")


def _written(state: Any) -> Any:
    """The state as a checkpoint file gives it back."""
    file = io.BytesIO()
    torch.save(state, file)
    file.seek(0)
    return torch.load(file, weights_only=True)


def _check_cost(algorithm: MetaAlgorithm, learner: Learner, sets: int) -> None:
    cost = copy.deepcopy(algorithm).cost(learner.encoder, [100.0] * sets)
    demand(isinstance(cost, Cost), f"cost returns a Cost, found {type(cost).__name__}")
    numbers = (cost.passes, cost.held_once, cost.held_twice, cost.copies)
    demand(cost.passes > 0 and min(numbers) >= 0, f"cost counts work and memory, so nothing in it is below 0: {cost}")


# -- limits --------------------------------------------------------------------------------------------------------------


def _check_no_inner_loop(algorithm: MetaAlgorithm, learner: Callable[[], Learner], components: Registry) -> None:
    size, sets = algorithm.meta_batch_size, algorithm.sets or 2
    if _allows_zero(algorithm, "inner_steps", components):
        without = _with(algorithm, inner_steps=0)
        _check_log(_started(without, learner()).step(_tasks(size, sets)))
    if _allows_zero(algorithm, "inner_lr", components):
        still = [_with(algorithm, inner_lr=0.0, inner_steps=steps) for steps in (1, 3)]
        losses = [_started(a, learner()).step(_tasks(size, sets))["loss"] for a in still]
        demand(
            math.isclose(*losses, rel_tol=1e-9, abs_tol=1e-12),
            f"with inner_lr=0 no parameter moves, but the loss is {losses[0]:.8g} after 1 inner step and {losses[1]:.8g} after 3",
        )


def _with(algorithm: MetaAlgorithm, **options: Any) -> MetaAlgorithm:
    changed = copy.deepcopy(algorithm)
    for name, value in options.items():
        setattr(changed, name, value)
    return changed


def _allows_zero(algorithm: MetaAlgorithm, option: str, components: Registry) -> bool:
    """Whether the algorithm has this attribute, and its record an option of that name that may be 0."""
    from jsonschema import Draft202012Validator

    target = f"{type(algorithm).__module__}:{type(algorithm).__qualname__}"
    records = [item.component for item in components if item.kind == "algo" and item.component.target == target]
    schemas = [dict(record.options[option]) for record in records if option in record.options]
    return hasattr(algorithm, option) and any(Draft202012Validator(schema).is_valid(0) for schema in schemas)
