"""Does it adapt at all? What the inner loops of a meta-batch did, for the log.

Everything here only looks: training depends on nothing that is measured.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial

import torch
from torch import Tensor

from metasearch.algorithm.adapt import Params
from metasearch.algorithm.learner import TaskFunction


class Adaptation:
    """Collects what the inner loops of a meta-batch did, task by task.

    Args:
        order: the algorithm's. With ``"second"`` the second-order share of each loop's gradient is measured, too. That takes no
            pass of its own: the backward pass shows the gradient before and after its way back through the steps.
        roles: which inner loops a task has: ``""``, the only one or the teacher's, and perhaps ``"student"``.

    Example:
        >>> from metasearch.algorithm import adapt
        >>> theta = {"w": torch.tensor([1.0], requires_grad=True)}
        >>> seen = Adaptation("second")
        >>> loop = seen.loop(theta)
        >>> theta_j = loop.end(adapt(lambda p: (p["w"] ** 2).sum(), loop.start, steps=1, lr=0.125))
        >>> theta_j["w"].sum().backward()  # the step multiplies the gradient by 1 - 0.125 * 2 = 0.75
        >>> found = seen.mean(tasks=1)
        >>> found["move"], round(found["second_order_share"], 3)
        (0.25, 0.333)
    """

    def __init__(self, order: str, roles: Iterable[str] = ("",)) -> None:
        self._second_order = order == "second"
        self._records: dict[str, list[_Record]] = {role: [] for role in roles}

    def loop(self, theta: Params, role: str = "") -> Loop:
        """An inner loop that is to start from ``theta``, restricted to the task."""
        record = _Record()
        self._records[role].append(record)
        return Loop(theta, record, self._second_order)

    def mean(self, tasks: int) -> dict[str, float]:
        """Values to log, to be asked for after the last backward pass.

        Args:
            tasks: of the whole batch, by which the sums over the tasks seen here are divided.

        Returns:
            ``query_before``, ``query_after``, ``move`` and, with second order, ``second_order_share`` (see :class:`Loop`); of the
            role ``"student"`` ``student_before``, ``student_after``, ``student_move`` and ``student_second_order_share``. All
            are there, as zeros, in a process without a task of its own, so that shares of processes can be added up.
        """
        found = {}
        for role, records in self._records.items():
            prefix = f"{role}_" if role else ""
            found[f"{prefix or 'query_'}before"] = sum(record.before for record in records)
            found[f"{prefix or 'query_'}after"] = sum(record.after for record in records)
            found[f"{prefix}move"] = sum(record.move for record in records)
            if self._second_order:
                found[f"{prefix}second_order_share"] = sum(record.second_order_share() for record in records)
        return {name: value / tasks for name, value in found.items()}


class Loop:
    """One inner loop, from ``start`` to where :meth:`end` says.

    Attributes:
        start: theta, to adapt from.
    """

    def __init__(self, theta: Params, record: _Record, second_order: bool) -> None:
        self._record = record
        self._second_order = second_order
        self.start = _views(theta) if second_order else theta

    def end(self, theta_j: Params) -> Params:
        """Take note of where the loop has arrived.

        Measured are ``move``, see :func:`relative_move`, and, when gradients flow back, the second-order share
        ``||exact - first|| / ||exact||``: exact is the gradient of the outer loss with respect to ``start``, first the same with
        the steps for constants, which is what arrives at theta_j.

        Returns:
            theta_j, to be used from here on.
        """
        self._record.move = relative_move(self.start, theta_j)
        if not self._second_order:
            return theta_j
        views = _views(theta_j)
        # Not before now: the gradients that the steps themselves take are none of ours.
        _show(self.start, self._record.at_start)
        _show(views, self._record.at_end)
        return views

    def query(self, f: TaskFunction, number: int, after: Tensor) -> None:
        """Take note of the loss on the query set before and after the loop.

        To be called last in a task: where dropout is on, a loss draws random numbers.

        Args:
            f: the task.
            number: of the query set.
            after: the loss at theta_j. That at theta is computed, without a graph.
        """
        with torch.no_grad():
            self._record.before = f.loss(self.start, number).item()
        self._record.after = after.item()


def relative_move(theta: Mapping[str, Tensor], theta_j: Mapping[str, Tensor]) -> float:
    """``||theta_j - theta|| / ||theta||`` over the parameters that are not the same tensor in both; 0 where all are."""
    moved = [name for name, p in theta.items() if theta_j[name] is not p]
    with torch.no_grad():
        way = _norm(torch.linalg.vector_norm(theta_j[name] - theta[name]) for name in moved)
        size = _norm(torch.linalg.vector_norm(theta[name]) for name in moved)
    return way / size if size else 0.0


@dataclass
class _Record:
    """What was measured of one inner loop: numbers, and for the time of a backward pass the gradients at its end."""

    before: float = 0.0
    after: float = 0.0
    move: float = 0.0
    first: dict[str, Tensor] = field(default_factory=dict)
    exact_norms: list[Tensor] = field(default_factory=list)
    second_norms: list[Tensor] = field(default_factory=list)

    def at_end(self, name: str, gradient: Tensor) -> None:
        self.first[name] = gradient

    def at_start(self, name: str, gradient: Tensor) -> None:
        first = self.first.pop(name, None)
        self.exact_norms.append(torch.linalg.vector_norm(gradient))
        self.second_norms.append(torch.linalg.vector_norm(gradient if first is None else gradient - first))

    def second_order_share(self) -> float:
        exact = _norm(self.exact_norms)
        return _norm(self.second_norms) / exact if exact else 0.0


def _norm(parts: Iterable[Tensor]) -> float:
    """Of a vector, from the norms of its parts."""
    return math.hypot(*map(float, parts))


def _views(params: Params) -> Params:
    """The same parameters as tensors of their own, so that gradients can be told apart.

    Of a parameter that does not move at both ends of a loop, and of a shared theta those through teacher and student.
    """
    return {name: p.view_as(p) for name, p in params.items()}


def _show(params: Params, seen: Callable[[str, Tensor], None]) -> None:
    """Have a backward pass call ``seen(name, gradient)`` with the whole gradient of each of these."""
    for name, p in params.items():
        if p.requires_grad:
            p.register_hook(partial(_shown, seen, name))


def _shown(seen: Callable[[str, Tensor], None], name: str, gradient: Tensor | None) -> None:
    if gradient is not None:
        seen(name, gradient.detach())
