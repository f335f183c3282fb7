"""The processes of one run: which of them this is, who does what, and what they tell one another.

``torchrun`` starts them, and the command line joins them (:func:`join`). Where there is one only, nothing here does anything.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from metasearch import errors
from metasearch.core.encoder import Encoder, Side
from metasearch.errors import LostProcessError, MetasearchError, TrainingError

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor
    from torch.distributed.distributed_c10d import Store

T = TypeVar("T")
P = ParamSpec("P")

#: How long a process waits for one that is alive but does not come. One that has died is noticed at once.
PATIENCE = timedelta(minutes=30)


@dataclass(frozen=True)
class _Failure:
    """What a process hands over in place of its share when it has failed."""

    kind: str
    text: str

    @classmethod
    def of(cls, error: Exception, rank: int) -> _Failure:
        """Of an error of any kind; our own keep kind and message."""
        if isinstance(error, MetasearchError):
            return cls(type(error).__name__, str(error))
        return cls(TrainingError.__name__, f"process {rank}: {type(error).__name__}: {error}")

    def error(self) -> MetasearchError:
        kind = getattr(errors, self.kind, TrainingError)
        found: MetasearchError = kind.__new__(kind, self.text)  # not by its arguments, which are not known here
        return found


class Ranks:
    """The process that asks, among those of the run.

    Every process must make the same calls in the same order. One that fails says so in its next exchange, and the error is
    then raised in all of them (see :meth:`together`).

    Args:
        rank: number of this process, from 0.
        world: how many there are.
        local: number of this process on its machine, from 0: which GPU is its own.
        store: what all of them can reach outside of exchanges.

    Attributes:
        way_on: how the user can go on if a process dies, for the message.
    """

    def __init__(self, rank: int = 0, world: int = 1, local: int = 0, store: Store | None = None) -> None:
        self.rank = rank
        self.world = world
        self.local = local
        self.way_on = ""
        self._store = store
        self._failed_elsewhere = False

    @property
    def first(self) -> bool:
        """Whether this process is the one that writes and talks."""
        return self.rank == 0

    def shard(self, items: Sequence[T]) -> Sequence[T]:
        """The part that is this process's: contiguous, so that sums over parts keep the order; perhaps empty.

        Example:
            >>> [list(Ranks(rank, 2).shard([1, 2, 3])) for rank in range(2)]
            [[1, 2], [3]]
        """
        begin, end = (-(-len(items) * rank // self.world) for rank in (self.rank, self.rank + 1))
        return items[begin:end]

    def gather(self, value: T) -> list[T]:
        """The values of all processes, in their order.

        Raises:
            LostProcessError: a process has died.
            MetasearchError: a process has failed; the error is of the kind and with the message that it has there.
        """
        if self.world == 1:
            return [value]
        import torch.distributed

        found: list[Any] = [None] * self.world
        with self._losses():
            torch.distributed.all_gather_object(found, value)
        failures = [item for item in found if isinstance(item, _Failure)]
        if failures and not isinstance(value, _Failure):
            self._failed_elsewhere = True
            raise failures[0].error()
        return found

    def any(self, flag: bool) -> bool:
        """Whether any process says so."""
        return any(self.gather(flag))

    def from_first(self, make: Callable[[], T]) -> T:
        """What the first process makes of it, for all."""
        if self.world == 1:
            return make()
        import torch.distributed

        box = [make() if self.first else None]
        self.gather(None)  # the first may have failed
        with self._losses():
            torch.distributed.broadcast_object_list(box, 0)
        return box[0]  # type: ignore[return-value]

    def sum_gradients(self, parameters: Sequence[Tensor]) -> None:
        """Add up ``grad`` over all processes, so that each has the same. A parameter that none has a gradient of keeps none."""
        if self.world == 1:
            return
        import torch

        own = [None if p.grad is None else _rows(p.grad) if p.grad.is_sparse else True for p in parameters]
        for p, *theirs in zip(parameters, *self.gather(own), strict=True):
            there = [grad for grad in theirs if grad is not None]
            if not there:
                continue
            if all(isinstance(grad, tuple) for grad in there):  # few rows of the token table: far less to send than all of it
                p.grad = torch.zeros_like(p)
                for rows, values in there:
                    p.grad.index_add_(0, rows.to(p.device), values.to(p.device))
                continue
            grad = torch.zeros_like(p) if p.grad is None else p.grad.to_dense().contiguous()
            with self._losses():
                torch.distributed.all_reduce(grad)
            p.grad = grad

    @contextmanager
    def together(self) -> Iterator[None]:
        """A stretch that ends alike in all processes: an error in one is raised in each, and none goes on before all are done.

        Raises:
            LostProcessError: a process has died.
        """
        try:
            yield
            self.gather(None)
        except LostProcessError:
            raise
        except Exception as error:
            if not self._failed_elsewhere:
                with suppress(LostProcessError):
                    self.gather(_Failure.of(error, self.rank))
            self._failed_elsewhere = False
            raise

    def first_to_tell(self) -> bool:
        """Whether no other process has asked this before: so that of many that fail, one says it."""
        if self._store is None:
            return True
        try:
            return bool(self._store.add("told", 1) == 1)
        except RuntimeError:  # the store has gone with the process or machine that held it
            return True

    def wait_until_told(self) -> None:
        """Give the process that says it the time to: torchrun ends all others as soon as one has ended."""
        if self._store is not None:
            with suppress(RuntimeError):
                self._store.wait(["told"], timedelta(seconds=10))

    def lost(self) -> LostProcessError:
        """The error of a run that has lost a process."""
        way_on = f"; {self.way_on}" if self.way_on else ""
        return LostProcessError(f"another process of this run has died, or was stopped; torchrun says which{way_on}")

    @contextmanager
    def _losses(self) -> Iterator[None]:
        """PyTorch's errors about a peer that is gone, in our words."""
        try:
            yield
        except RuntimeError as error:
            raise self.lost() from error


def _rows(grad: Tensor) -> tuple[Tensor, Tensor]:
    """Row numbers and values of a sparse gradient, on the CPU."""
    whole = grad.coalesce()
    return whole.indices()[0].cpu(), whole.values().cpu()


_here = Ranks()


def ranks() -> Ranks:
    """The process that asks, among those of the run; the only one, unless it has joined others."""
    return _here


def of_torchrun() -> bool:
    """Whether ``torchrun``, or something that sets the same variables, has started this process as one of several."""
    return {"RANK", "LOCAL_RANK"} <= os.environ.keys() and int(os.environ.get("WORLD_SIZE", "1")) > 1


@contextmanager
def join() -> Iterator[Ranks]:
    """Join the other processes: gloo between CPUs, NCCL between GPUs."""
    global _here
    import torch
    import torch.distributed as dist
    from torch.distributed.rendezvous import rendezvous

    store, rank, world = next(rendezvous("env://", timeout=PATIENCE))
    gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
    backend = "cpu:gloo,cuda:nccl" if gpus else "gloo"
    dist.init_process_group(backend, store=store, rank=rank, world_size=world, timeout=PATIENCE)
    local = int(os.environ["LOCAL_RANK"])
    if local < gpus:
        torch.cuda.set_device(local)
    _here = Ranks(rank, world, local, store)
    try:
        yield _here
    finally:
        _here = Ranks()
    dist.destroy_process_group()  # not after an error: it would wait for the others


def by_first(method: Callable[P, None]) -> Callable[P, None]:
    """Have only the first process do it: a run has one writer."""

    @functools.wraps(method)
    def guarded(*args: P.args, **kwargs: P.kwargs) -> None:
        if ranks().first:
            method(*args, **kwargs)

    return guarded


def encode(
    encoder: Encoder, texts: Sequence[str], side: Side, batch_size: int = 32, progress: Callable[[int], None] | None = None
) -> np.ndarray:
    """:meth:`Encoder.encode` of distinct texts, parted between the processes; all of them get all rows."""
    here = ranks()
    if here.world == 1:
        return encoder.encode(texts, side, batch_size, progress)
    import numpy as np

    # The batches that one process would make, long texts first, dealt out in turn, so that each gets its share of the long ones.
    order = sorted(range(len(texts)), key=lambda i: (-len(texts[i]), texts[i]))
    batches = [order[i : i + batch_size] for i in range(0, len(order), batch_size)]
    parts = [[i for batch in batches[rank :: here.world] for i in batch] for rank in range(here.world)]
    own = [texts[i] for i in parts[here.rank]]
    tell = None if progress is None else _of_all(progress, here.world, len(texts))
    rows = encoder.encode(own, side, batch_size, tell) if own else np.empty((0, encoder.dimension), np.float32)
    found = np.empty((len(texts), encoder.dimension), rows.dtype)
    for part, theirs in zip(parts, here.gather(rows), strict=True):
        found[part] = theirs
    return found


def _of_all(progress: Callable[[int], None], world: int, total: int) -> Callable[[int], None]:
    """Progress of all processes, from that of one, which does every ``world``-th batch."""
    told = 0

    def tell(done: int) -> None:
        nonlocal told
        news = min(done * world, total - told)
        told += news
        progress(news)

    return tell
