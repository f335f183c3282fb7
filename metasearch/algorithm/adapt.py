"""The inner loop (paper, Algorithm 2) as one differentiable operation.

``adapt`` maps parameters to adapted parameters. It can be used inside any outer loss and chained; ``backward`` through it gives
the exact meta-gradient. With theta_{t+1} = theta_t - alpha * grad L(theta_t) and v_n = dL_outer / dtheta_n,

    v_t = v_{t+1} - alpha * H(theta_t) v_{t+1},        dL_outer / dtheta_0 = v_0,

so walking back needs, per step, one Hessian-vector product at the stored theta_t and nothing of the forward graph. Memory
therefore does not grow with the number of steps; ``keep`` trades memory for time by keeping the graphs of the last steps.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

Params = dict[str, Tensor]
InnerLoss = Callable[[Params], Tensor]


def adapt(
    loss: InnerLoss,
    params: Mapping[str, Tensor],
    steps: int,
    lr: float,
    order: str = "second",
    keep: int | None = 1,
) -> Params:
    """Take ``steps`` steps of gradient descent from ``params`` on ``loss``.

    Args:
        loss: parameters -> scalar; must depend on nothing that requires a gradient but its argument.
        params: theta, name -> tensor.
        steps: n, how many steps; 0 returns theta itself.
        lr: alpha, the inner rate.
        order: ``"second"``: gradients flow through the steps; ``"first"``: the steps' gradients count as constants.
        keep: with second order, how many last steps keep their graph (None: all, plain unrolling).

    Returns:
        theta_n, differentiable with respect to ``params``.

    Example:
        >>> theta = {"w": torch.tensor([1.0], requires_grad=True)}
        >>> adapt(lambda p: (p["w"] ** 2).sum(), theta, steps=1, lr=0.1)["w"].item()
        0.800000011920929
    """
    if steps == 0:
        return dict(params)
    if order == "first":
        moved = _descend(loss, [p.detach() for p in params.values()], list(params), steps, lr)[-1]
        # The value is theta_n, the gradient passes to theta unchanged.
        return {name: new + (p - p.detach()) for (name, p), new in zip(params.items(), moved, strict=True)}
    kept = steps if keep is None else min(keep, steps)
    theta: Params = dict(params)
    if steps > kept:
        tensors = _Adjoint.apply(loss, list(theta), steps - kept, lr, *theta.values())
        theta = dict(zip(theta, tensors, strict=True))
    for _ in range(kept):
        gradients = _gradient(loss, theta, create_graph=True)
        theta = {name: p - lr * g for (name, p), g in zip(theta.items(), gradients, strict=True)}
    return theta


def _gradient(loss: InnerLoss, theta: Params, create_graph: bool) -> tuple[Tensor, ...]:
    return torch.autograd.grad(
        loss(theta), tuple(theta.values()), create_graph=create_graph, allow_unused=True, materialize_grads=True
    )


def _descend(loss: InnerLoss, start: list[Tensor], names: list[str], steps: int, lr: float) -> list[list[Tensor]]:
    """theta_0 .. theta_n, detached, without keeping any graph."""
    path = [start]
    for _ in range(steps):
        with torch.enable_grad():
            theta = {name: p.detach().requires_grad_() for name, p in zip(names, path[-1], strict=True)}
            gradients = _gradient(loss, theta, create_graph=False)
        path.append([p - lr * g for p, g in zip(path[-1], gradients, strict=True)])
    return path


class _Adjoint(torch.autograd.Function):
    """Steps without graphs; backwards one Hessian-vector product each."""

    @staticmethod
    def forward(ctx: Any, loss: InnerLoss, names: list[str], steps: int, lr: float, *tensors: Tensor) -> tuple[Tensor, ...]:
        path = _descend(loss, [p.detach() for p in tensors], names, steps, lr)
        ctx.loss, ctx.names, ctx.lr, ctx.path = loss, names, lr, path[:-1]
        return tuple(path[-1])

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, *v: Tensor) -> tuple[Any, ...]:
        for tensors in reversed(ctx.path):
            with torch.enable_grad():
                theta = {name: p.detach().requires_grad_() for name, p in zip(ctx.names, tensors, strict=True)}
                gradients = _gradient(ctx.loss, theta, create_graph=True)
                used = [(g, u) for g, u in zip(gradients, v, strict=True) if g.requires_grad]
                if not used:  # the inner loss is linear: H = 0
                    continue
                product = torch.autograd.grad(
                    [g for g, _ in used],
                    tuple(theta.values()),
                    grad_outputs=[u for _, u in used],
                    allow_unused=True,
                    materialize_grads=True,
                )
            v = tuple(u - ctx.lr * hv for u, hv in zip(v, product, strict=True))
        return (None, None, None, None, *v)
