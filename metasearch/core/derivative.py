"""How often what is computed now will be differentiated: encoders choose their kernels by it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_twice: ContextVar[bool] = ContextVar("differentiated twice", default=False)


@contextmanager
def differentiated_twice(twice: bool = True) -> Iterator[None]:
    """What an encoder embeds in here is differentiated twice: a step of a second-order inner loop. ``twice=False``: it is not.

    Everything else (first order, the outer loss, steps whose graph is not kept, evaluation) is differentiated once at most, so
    that kernels without a second derivative may serve it.
    """
    token = _twice.set(twice)
    try:
        yield
    finally:
        _twice.reset(token)


def is_differentiated_twice() -> bool:
    """Whether this is inside :func:`differentiated_twice`."""
    return _twice.get()
