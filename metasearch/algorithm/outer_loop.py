"""The outer update that gradient-based algorithms share: AdamW on theta with the (meta-)gradient of a batch of tasks."""

from __future__ import annotations

import copy
import math
import zlib
from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from metasearch.algorithm.adapt import Params
from metasearch.algorithm.learner import Learner
from metasearch.core.algorithm import MetaAlgorithm
from metasearch.core.episode import Task
from metasearch.core.ranks import ranks
from metasearch.errors import ModelError, NotFiniteError


class OuterLoop(MetaAlgorithm):
    """Base of algorithms that update theta with AdamW (eps 1e-8; no weight decay on biases and LayerNorm).

    Subclasses implement :meth:`meta_gradient`, which accumulates into the parameters' ``grad``. One that goes over the tasks by
    :meth:`own` shares them with the other processes of a run; one that goes over all of them does that in every process.

    Args:
        outer_lr: beta.
        meta_batch_size: b, tasks per update.
        weight_decay: AdamW's, on matrices only (paper: 0).
        dropout: leave dropout on inside episodes. A step is then not a function of its parameters any more.
    """

    def __init__(self, outer_lr: float, meta_batch_size: int = 4, weight_decay: float = 0.0, dropout: bool = False) -> None:
        self.outer_lr = outer_lr
        self._meta_batch_size = meta_batch_size
        self.weight_decay = weight_decay
        self.dropout = dropout
        self.learner: Learner
        self.theta: Params
        self.optimizer: torch.optim.AdamW
        self.shared = False

    @property
    def meta_batch_size(self) -> int:
        return self._meta_batch_size

    def start(self, learner: Learner) -> None:
        self.learner = learner
        self._seed = torch.initial_seed()
        self.theta = self.initial_theta(learner)
        self.optimizer = torch.optim.AdamW(self.parameter_groups(), lr=self.outer_lr, eps=1e-8)
        self._rates = [group["lr"] for group in self.optimizer.param_groups]

    def initial_theta(self, learner: Learner) -> Params:
        """theta: the encoder's own parameters, so that updating them updates the encoder."""
        return learner.encoder.parameters()

    def parameter_groups(self) -> list[dict[str, Any]]:
        """AdamW parameter groups."""
        return decay_groups(self.theta, self.weight_decay, self.outer_lr)

    @abstractmethod
    def meta_gradient(self, tasks: Sequence[Task]) -> dict[str, float]:
        """Accumulate the gradient of the batch's outer loss; return values to log, ``"loss"`` among them.

        With several processes, and tasks from :meth:`own`, both are this process's share: gradients and values are then added up
        over the processes. So what is a mean must be divided by the size of the whole batch, ``len(tasks)``.
        """

    def own(self, tasks: Sequence[Task]) -> Iterator[Task]:
        """The tasks of a batch that are this process's to do: all, if there is only one process; perhaps none.

        Dropout is drawn by seed and task, so that it does not depend on who does the task.
        """
        self.shared = True
        for task in ranks().shard(tasks):
            if self.dropout:
                torch.manual_seed(zlib.crc32(f"{self._seed} {task.phase} {task.index}".encode()))
            yield task

    def whole_batch(self, values: Sequence[Tensor]) -> Tensor:
        """A scalar of each own task -> those of the whole batch, ``(b,)``, for losses that compare tasks.

        Those of other processes are constants. Each process that differentiates a function of them by its own tasks' values has
        its share of the gradient.
        """
        theirs = ranks().gather([value.item() for value in values])
        like = next(iter(self.theta.values()))
        parts = [torch.tensor(part, dtype=like.dtype, device=like.device) for part in theirs]
        if values:
            parts[ranks().rank] = torch.stack(list(values))
        return torch.cat(parts)

    def scale_rate(self, share: float) -> None:
        for group, rate in zip(self.optimizer.param_groups, self._rates, strict=True):
            group["lr"] = rate * share

    def step(self, tasks: Sequence[Task]) -> dict[str, float]:
        encoder = self.learner.encoder
        encoder.dropout(self.dropout)
        self.optimizer.zero_grad(set_to_none=True)
        try:
            log = self._summed_gradient(tasks)
        except RuntimeError as error:
            if "derivative for" in str(error) and "not implemented" in str(error):
                raise ModelError(
                    f"the backbone cannot be differentiated twice ({error}); use algo.order=first, or another encoder.model"
                ) from error
            raise
        finally:
            encoder.dropout(False)
        for parameter in self._updated():
            # A task touches few rows of the token table, so its gradient is sparse until here.
            if parameter.grad is not None and parameter.grad.is_sparse:
                parameter.grad = parameter.grad.to_dense()
        self._check_finite(log, tasks)
        self.optimizer.step()
        return log

    def _updated(self) -> list[Tensor]:
        """All that the optimiser moves."""
        return [parameter for group in self.optimizer.param_groups for parameter in group["params"]]

    def _summed_gradient(self, tasks: Sequence[Task]) -> dict[str, float]:
        """:meth:`meta_gradient` of the whole batch, whichever processes do it."""
        log = self.meta_gradient(tasks)
        if not self.shared or ranks().world == 1:
            return log
        shares = ranks().gather(log)
        ranks().sum_gradients(self._updated())
        return {name: sum(share[name] for share in shares) for name in log}

    def _check_finite(self, log: Mapping[str, float], tasks: Sequence[Task]) -> None:
        """Refuse an update that would spoil every parameter, and find the tasks that are to blame.

        Raises:
            NotFiniteError: loss or gradient is not finite; no parameter has moved.
        """
        what = _not_finite(log["loss"], self.optimizer)
        if not what:
            return
        guilty = []
        for task in tasks if len(tasks) > 1 else ():
            self.optimizer.zero_grad(set_to_none=True)
            if _not_finite(self._summed_gradient([task])["loss"], self.optimizer):
                guilty.append(task.index)
        self.optimizer.zero_grad(set_to_none=True)
        raise NotFiniteError(what, guilty or [task.index for task in tasks])

    def state_dict(self) -> dict[str, Any]:
        return {"theta": {n: p.detach() for n, p in self.theta.items()}, "optimizer": self.optimizer.state_dict()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        copy_into(self.theta, state["theta"])
        # A copy, because the optimiser would otherwise go on to update the caller's tensors.
        self.optimizer.load_state_dict(copy.deepcopy(state["optimizer"]))


def _not_finite(loss: float, optimizer: torch.optim.Optimizer) -> str:
    """What is not finite, in words; empty if everything is."""
    if not math.isfinite(loss):
        return f"the loss is {loss}"
    gradients = [p.grad for group in optimizer.param_groups for p in group["params"] if p.grad is not None]
    # A sum is finite only if all of it is; one number per tensor crosses from the device.
    sums = [torch.sparse.sum(g) if g.is_sparse else g.sum() for g in gradients]
    return "" if all(math.isfinite(total) for total in map(float, sums)) else "the gradient is not finite"


def decay_groups(theta: Mapping[str, Tensor], weight_decay: float, lr: float) -> list[dict[str, Any]]:
    """Split parameters into those with and those without weight decay (vectors: biases and LayerNorm)."""
    matrices = [p for p in theta.values() if p.ndim > 1]
    vectors = [p for p in theta.values() if p.ndim <= 1]
    return [
        {"params": matrices, "weight_decay": weight_decay, "lr": lr},
        {"params": vectors, "weight_decay": 0.0, "lr": lr},
    ]


@torch.no_grad()
def copy_into(target: Mapping[str, Tensor], source: Mapping[str, Tensor]) -> None:
    """Overwrite ``target``'s tensors, in place, by ``source``'s of the same names."""
    for name, tensor in target.items():
        tensor.copy_(source[name])
