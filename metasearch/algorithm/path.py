"""The points of a descent, walked backwards with few of them in memory (checkpointing, as in reverse-mode differentiation).

A step costs one gradient forwards and about four times that backwards, so taking a step again is cheap beside what it is for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache

from torch import Tensor

Point = dict[str, Tensor]

#: How many points are held beside the first. With two, the paper's five steps take two steps again, ten take eight.
SLOTS = 2


class Path:
    """theta_0 to theta_{n-1}, and theta_n, of n steps of a descent.

    Args:
        start: theta_0.
        steps: n, at least 1.
        descend: takes one step; must give the same result for the same point.
        slots: how many points to hold beside ``start``.
    """

    def __init__(self, start: Point, steps: int, descend: Callable[[Point], Point], slots: int = SLOTS) -> None:
        self.start = start
        self.steps = steps
        self.descend = descend
        self.slots = slots
        self.held: dict[int, Point] = {}

    def end(self) -> Point:
        """Take all steps, holding the points that :meth:`backwards` wants first; return theta_n."""
        wanted, first, slots = set(), 0, self.slots
        while slots and self.steps - first > 1:
            first += cut(self.steps - first, slots, True)
            slots -= 1
            wanted.add(first)
        point = self.start
        for number in range(1, self.steps + 1):
            point = self.descend(point)
            if number in wanted and number < self.steps:
                self.held[number] = point
        return point

    def backwards(self) -> Iterator[Point]:
        """theta_{n-1}, ..., theta_0. Can be walked again: what is not held any more is computed again."""
        yield from self._between(self.start, 0, self.steps, self.slots, True)

    def _between(self, point: Point, first: int, last: int, slots: int, ahead: bool) -> Iterator[Point]:
        """theta_{last-1}, ..., theta_first, of which the first is given."""
        if last - first > 1:
            if slots:
                middle = first + cut(last - first, slots, ahead)
                held = self.held.pop(middle, None)
                yield from self._between(held or self._ahead(point, middle - first), middle, last, slots - 1, ahead)
                del held
                yield from self._between(point, first, middle, slots, False)
                return
            for number in range(last - 1, first, -1):
                yield self._ahead(point, number - first)
        yield point

    def _ahead(self, point: Point, steps: int) -> Point:
        for _ in range(steps):
            point = self.descend(point)
        return point


@cache
def steps_again(steps: int, slots: int, passed: bool) -> int:
    """Least number of steps to take again for walking back over ``steps`` points with ``slots`` to hold.

    Args:
        passed: whether the points that should be held first were held when the descent came by.
    """
    if steps == 1:
        return 0
    if slots == 0:
        return steps * (steps - 1) // 2
    return min(_with_cut(steps, slots, passed, at) for at in range(1, steps))


def cut(steps: int, slots: int, passed: bool) -> int:
    """Which of ``steps`` points to hold next, so that the fewest steps are taken again; the furthest of equals."""
    return min(range(steps - 1, 0, -1), key=lambda at: _with_cut(steps, slots, passed, at))


def _with_cut(steps: int, slots: int, passed: bool, at: int) -> int:
    before = 0 if passed else at
    return before + steps_again(steps - at, slots - 1, passed) + steps_again(at, slots, False)
