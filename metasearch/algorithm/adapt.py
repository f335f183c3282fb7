"""The inner loop (paper, Algorithm 2) as one differentiable operation.

``adapt`` maps parameters to adapted parameters. It can be used inside any outer loss and chained; ``backward`` through it gives
the exact meta-gradient. With theta_{t+1} = theta_t - alpha * grad L(theta_t) and v_n = dL_outer / dtheta_n,

    v_t = v_{t+1} - H(theta_t) (alpha * v_{t+1}),        dL_outer / dtheta_0 = v_0,
    dL_outer / dalpha = - sum_t v_{t+1} * grad L(theta_t),

so walking back needs, per step, one Hessian-vector product at the stored theta_t and nothing of the forward graph. Memory
therefore does not grow with the number of steps; ``keep`` trades memory for time by keeping the graphs of the last steps.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

Params = dict[str, Tensor]
Rates = Mapping[str, Tensor | float]
InnerLoss = Callable[[Params], Tensor]


def adapt(
    loss: InnerLoss,
    params: Mapping[str, Tensor],
    steps: int,
    lr: float | Rates,
    order: str = "second",
    keep: int | None = 1,
) -> Params:
    """Take ``steps`` steps of gradient descent from ``params`` on ``loss``.

    Args:
        loss: parameters -> scalar; must depend on nothing that requires a gradient but its argument.
        params: theta, name -> tensor.
        steps: n, how many steps; 0 returns theta itself.
        lr: alpha, the inner rate: one for all, or name -> rate (a number, or a tensor that broadcasts to the parameter and may
            be learned); parameters without a rate stay as they are.
        order: ``"second"``: gradients flow through the steps; ``"first"``: the steps' gradients count as constants.
        keep: with second order, how many last steps keep their graph (None: all, plain unrolling).

    Returns:
        theta_n, differentiable with respect to ``params`` and to the rates.

    Example:
        >>> theta = {"w": torch.tensor([1.0], requires_grad=True)}
        >>> adapt(lambda p: (p["w"] ** 2).sum(), theta, steps=1, lr=0.1)["w"].item()
        0.800000011920929
    """
    rates = {name: lr[name] for name in params if name in lr} if isinstance(lr, Mapping) else dict.fromkeys(params, lr)
    if steps == 0 or not rates:
        return dict(params)
    if order == "first":
        fixed = {name: p.detach() for name, p in params.items()}
        path = _descend(loss, fixed, {name: _constant(rate) for name, rate in rates.items()}, steps)
        # theta_n = theta - alpha * (sum of the steps' gradients, which are constants).
        total = {name: sum(gradients[name] for _, gradients in path) for name in rates}
        return {**params, **{name: params[name] - rate * total[name] for name, rate in rates.items()}}
    kept = steps if keep is None else min(keep, steps)
    theta: Params = dict(params)
    if steps > kept:
        learned = {name: rate for name, rate in rates.items() if isinstance(rate, Tensor)}
        given = {name: rate for name, rate in rates.items() if name not in learned}
        tensors = _Adjoint.apply(loss, list(theta), list(learned), given, steps - kept, *theta.values(), *learned.values())
        theta.update(zip(rates, tensors, strict=True))
    for _ in range(kept):
        gradients = _gradient(loss, theta, list(rates), create_graph=True)
        theta.update({name: theta[name] - rate * gradients[name] for name, rate in rates.items()})
    return theta


def _constant(rate: Tensor | float) -> Tensor | float:
    return rate.detach() if isinstance(rate, Tensor) else rate


def _gradient(loss: InnerLoss, theta: Params, names: list[str], create_graph: bool) -> Params:
    """The gradient with respect to the parameters of these names."""
    found = torch.autograd.grad(
        loss(theta), [theta[name] for name in names], create_graph=create_graph, allow_unused=True, materialize_grads=True
    )
    return dict(zip(names, found, strict=True))


def _descend(loss: InnerLoss, start: Params, rates: Rates, steps: int) -> list[tuple[Params, Params]]:
    """(theta_t, gradient) of each step, detached, without keeping any graph; theta_t holds the moving parameters only."""
    path: list[tuple[Params, Params]] = []
    moving = {name: start[name] for name in rates}
    for _ in range(steps):
        with torch.enable_grad():
            leaves = {name: p.detach().requires_grad_() for name, p in moving.items()}
            gradients = _gradient(loss, {**start, **leaves}, list(rates), create_graph=False)
        path.append((moving, gradients))
        moving = {name: p - rates[name] * gradients[name] for name, p in moving.items()}
    return path


class _Adjoint(torch.autograd.Function):
    """Steps without graphs; backwards one Hessian-vector product each."""

    @staticmethod
    def forward(
        ctx: Any, loss: InnerLoss, names: list[str], learned: list[str], given: Rates, steps: int, *tensors: Tensor
    ) -> tuple[Tensor, ...]:
        values = [p.detach() for p in tensors]
        start = dict(zip(names, values, strict=False))
        tensor_rates = dict(zip(learned, values[len(names) :], strict=True))
        # In the order of the parameters, which is the order of the results.
        rates: dict[str, Tensor | float] = {
            n: tensor_rates.get(n, given.get(n, 0.0)) for n in names if n in learned or n in given
        }
        path = _descend(loss, start, rates, steps)
        ctx.loss, ctx.start, ctx.rates, ctx.learned = loss, start, rates, learned
        ctx.path = [moving for moving, _ in path]
        last, gradients = path[-1]
        return tuple(last[name] - rate * gradients[name] for name, rate in rates.items())

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, *outer: Tensor) -> tuple[Any, ...]:
        v = {name: torch.zeros_like(p) for name, p in ctx.start.items() if name not in ctx.rates}
        v.update(zip(ctx.rates, outer, strict=True))
        rate_gradients = {name: torch.zeros_like(ctx.rates[name]) for name in ctx.learned}
        for moving in reversed(ctx.path):
            with torch.enable_grad():
                theta = {name: p.detach().requires_grad_() for name, p in {**ctx.start, **moving}.items()}
                gradients = _gradient(ctx.loss, theta, list(ctx.rates), create_graph=True)
                used = [name for name in ctx.rates if gradients[name].requires_grad]
                product = (
                    torch.autograd.grad(
                        [gradients[name] for name in used],
                        list(theta.values()),
                        grad_outputs=[ctx.rates[name] * v[name] for name in used],
                        allow_unused=True,
                        materialize_grads=True,
                    )
                    if used  # else the inner loss is linear: H = 0
                    else [torch.zeros_like(p) for p in theta.values()]
                )
            for name in ctx.learned:
                rate_gradients[name] -= (v[name] * gradients[name].detach()).sum_to_size(ctx.rates[name].shape)
            v = {name: v[name] - hv for name, hv in zip(theta, product, strict=True)}
        return (None, None, None, None, None, *(v[name] for name in ctx.start), *rate_gradients.values())
