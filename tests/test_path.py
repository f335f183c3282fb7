"""Walking a descent backwards with few of its points in memory."""

from __future__ import annotations

import functools

import pytest
import torch

from metasearch.algorithm.path import Path, Point, steps_again


class Counting:
    """A descent that adds one, counts its steps, and watches how many points are alive."""

    def __init__(self) -> None:
        self.steps = 0

    def __call__(self, point: Point) -> Point:
        self.steps += 1
        return {"x": point["x"] + 1}


@pytest.mark.parametrize("slots", range(5))
@pytest.mark.parametrize("steps", [1, 2, 3, 5, 8, 13])
def test_every_point_comes_by_once_from_last_to_first(steps: int, slots: int) -> None:
    descend = Counting()
    path = Path({"x": torch.zeros(())}, steps, descend, slots)
    assert path.end()["x"] == steps
    assert descend.steps == steps
    assert len(path.held) <= slots
    assert [int(point["x"]) for point in path.backwards()] == list(range(steps - 1, -1, -1))
    assert descend.steps - steps == steps_again(steps, slots, True)
    assert not path.held  # nothing stays in memory


def test_it_can_be_walked_again() -> None:
    """A graph may be used twice (retain_graph)."""
    path = Path({"x": torch.zeros(())}, 5, Counting())
    path.end()
    first, second = ([int(point["x"]) for point in path.backwards()] for _ in range(2))
    assert first == second == [4, 3, 2, 1, 0]


@functools.cache
def least(held: tuple[int, ...], position: int, slots: int) -> int:
    """Least steps to take again, by trying everything: visit ``position``, ..., 0 with at most ``slots`` points held beside 0."""
    if position < 0:
        return 0
    held = tuple(h for h in held if h <= position)  # what lies behind is of no use any more
    if position == 0:
        return 0
    start = max((0, *held))
    best = None
    between = list(range(start + 1, position))
    room = slots - len(held)
    for chosen in range(2 ** len(between)):
        keep = tuple(p for i, p in enumerate(between) if chosen >> i & 1)
        if len(keep) <= room:
            cost = position - start + least(tuple(sorted({*held, *keep})), position - 1, slots)
            best = cost if best is None else min(best, cost)
    assert best is not None
    return best


@pytest.mark.parametrize("slots", [0, 1, 2, 3])
@pytest.mark.parametrize("steps", [2, 3, 4, 5, 6, 7])
def test_no_way_of_holding_points_takes_fewer_steps_again(steps: int, slots: int) -> None:
    from itertools import combinations

    first = [c for size in range(slots + 1) for c in combinations(range(1, steps), size)]
    assert steps_again(steps, slots, True) == min(least(held, steps - 1, slots) for held in first)


def test_more_to_hold_never_takes_more_steps() -> None:
    for steps in range(1, 15):
        again = [steps_again(steps, slots, True) for slots in range(6)]
        assert again == sorted(again, reverse=True)
        assert again[0] == steps * (steps - 1) // 2
