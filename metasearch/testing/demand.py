"""What all contracts are written with: a demand that raises AssertionError with words for the author."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor


def demand(holds: bool, message: str) -> None:
    """Raise AssertionError unless it holds. Not ``assert``, which ``python -O`` leaves out.

    Args:
        holds: whether it does.
        message: what the interface demands, and what was found.
    """
    if not holds:
        raise AssertionError(message)


def difference(a: Tensor, b: Tensor) -> float:
    """How far ``a`` is from ``b``, relative to the longer of them; 0 where both are zero, ``inf`` where one is not finite."""
    a, b = a.detach(), b.detach()
    longest = max(float(a.norm()), float(b.norm()))
    found = float((a - b).norm())
    return found / longest if longest > 0 and found == found else (0.0 if longest == 0 else float("inf"))


def demand_equal(found: np.ndarray, expected: np.ndarray, tolerance: float, message: str) -> None:
    """Demand equal shapes, and values that differ by ``tolerance`` at most; the message is followed by what differs."""
    demand(found.shape == expected.shape, f"{message}: shapes {found.shape} and {expected.shape}")
    worst = float(abs(found - expected).max()) if found.size else 0.0
    demand(worst <= tolerance, f"{message}: they differ by up to {worst:.2g}")
