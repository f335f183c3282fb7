"""The inner loop (paper, Algorithm 2) as one differentiable operation.

``adapt`` maps parameters to adapted parameters. It can be used inside any outer loss and chained; ``backward`` through it gives
the exact meta-gradient. With theta_{t+1} = theta_t - alpha * grad L(theta_t) and v_n = dL_outer / dtheta_n,

    v_t = v_{t+1} - H(theta_t) (alpha * v_{t+1}),        dL_outer / dtheta_0 = v_0,
    dL_outer / dalpha = - sum_t v_{t+1} * grad L(theta_t),

so walking back needs, per step, one Hessian-vector product at theta_t and nothing of the forward graph. ``keep`` trades memory
for time by keeping the graphs of the last steps. Of the theta_t only a few are held (:mod:`metasearch.algorithm.path`), so that
memory does not grow with the number of steps.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from metasearch.algorithm.path import Path
from metasearch.core.derivative import differentiated_twice

Params = dict[str, Tensor]
Rates = Mapping[str, Tensor | float]
InnerLoss = Callable[[Params], Tensor]


def adapt(
    loss: InnerLoss | Sequence[InnerLoss],
    params: Mapping[str, Tensor],
    steps: int,
    lr: float | Rates,
    order: str = "second",
    keep: int | None = 1,
) -> Params:
    """Take ``steps`` steps of gradient descent from ``params`` on ``loss``.

    Args:
        loss: parameters -> scalar; must depend on nothing that requires a gradient but its argument. A sequence: the loss is the
            sum of these terms, whose graphs are in memory one at a time, except in steps whose graph is kept.
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
    terms = [loss] if callable(loss) else list(loss)
    rates = {name: lr[name] for name in params if name in lr} if isinstance(lr, Mapping) else dict.fromkeys(params, lr)
    if steps == 0 or not rates:
        return dict(params)
    if order == "first":
        return _first_order(terms, params, rates, steps)
    kept = steps if keep is None else min(keep, steps)
    theta: Params = dict(params)
    if steps > kept:
        learned = {name: rate for name, rate in rates.items() if isinstance(rate, Tensor)}
        given = {name: rate for name, rate in rates.items() if name not in learned}
        tensors = _Adjoint.apply(terms, list(theta), list(learned), given, steps - kept, *theta.values(), *learned.values())
        theta.update(zip(rates, tensors, strict=True))
    for _ in range(kept):
        gradients = _gradient(terms, theta, list(rates), twice=True)
        theta.update({name: theta[name] - rate * gradients[name] for name, rate in rates.items()})
    return theta


def _first_order(terms: list[InnerLoss], params: Mapping[str, Tensor], rates: Rates, steps: int) -> Params:
    """theta_n = theta - alpha * (sum of the steps' gradients, which are constants)."""
    fixed = {name: p.detach() for name, p in params.items()}
    moving = {name: fixed[name] for name in rates}
    total = {name: torch.zeros_like(p) for name, p in moving.items()}
    for _ in range(steps):
        gradients = _gradient_at(terms, fixed, moving)
        for name, rate in rates.items():
            total[name] += gradients[name]
            moving[name] = moving[name] - _constant(rate) * gradients[name]
    return {**params, **{name: params[name] - rate * total[name] for name, rate in rates.items()}}


def _constant(rate: Tensor | float) -> Tensor | float:
    return rate.detach() if isinstance(rate, Tensor) else rate


def _gradient(terms: list[InnerLoss], theta: Params, names: list[str], twice: bool) -> Params:
    """The gradient of the sum of terms with respect to the parameters of these names."""
    found: Params = {}
    for term in terms:
        with differentiated_twice(twice):
            value = term(theta)
        parts = torch.autograd.grad(
            value, [theta[name] for name in names], create_graph=twice, allow_unused=True, materialize_grads=True
        )
        found = {name: found[name] + part if found else part for name, part in zip(names, parts, strict=True)}
    return found


def _gradient_at(terms: list[InnerLoss], start: Params, moving: Params) -> Params:
    """The gradient with respect to the moving parameters, without a graph."""
    with torch.enable_grad():
        leaves = {name: p.detach().requires_grad_() for name, p in moving.items()}
        return _gradient(terms, {**start, **leaves}, list(moving), twice=False)


class _Adjoint(torch.autograd.Function):
    """Steps without graphs; backwards one Hessian-vector product each."""

    @staticmethod
    def forward(
        ctx: Any, terms: list[InnerLoss], names: list[str], learned: list[str], given: Rates, steps: int, *tensors: Tensor
    ) -> tuple[Tensor, ...]:
        values = [p.detach() for p in tensors]
        start = dict(zip(names, values, strict=False))
        tensor_rates = dict(zip(learned, values[len(names) :], strict=True))
        # In the order of the parameters, which is the order of the results.
        rates: dict[str, Tensor | float] = {
            n: tensor_rates.get(n, given.get(n, 0.0)) for n in names if n in learned or n in given
        }

        def descend(moving: Params) -> Params:
            gradients = _gradient_at(terms, start, moving)
            return {name: p - rates[name] * gradients[name] for name, p in moving.items()}

        ctx.terms, ctx.start, ctx.rates, ctx.learned = terms, start, rates, learned
        ctx.path = Path({name: start[name] for name in rates}, steps, descend)
        return tuple(ctx.path.end().values())

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, *outer: Tensor) -> tuple[Any, ...]:
        v = {name: torch.zeros_like(p) for name, p in ctx.start.items() if name not in ctx.rates}
        v.update(zip(ctx.rates, outer, strict=True))
        rate_gradients = {name: torch.zeros_like(ctx.rates[name]) for name in ctx.learned}
        for moving in ctx.path.backwards():
            after = v
            direction = {name: rate * after[name] for name, rate in ctx.rates.items()}
            for term in ctx.terms:  # gradient and product of a sum are sums
                with torch.enable_grad():
                    theta = {name: p.detach().requires_grad_() for name, p in {**ctx.start, **moving}.items()}
                    gradients = _gradient([term], theta, list(ctx.rates), twice=True)
                    product = _hessian_product(gradients, theta, direction)
                for name in ctx.learned:
                    rate_gradients[name] -= (after[name] * gradients[name].detach()).sum_to_size(ctx.rates[name].shape)
                v = {name: v[name] - product[name] for name in theta}
        return (None, None, None, None, None, *(v[name] for name in ctx.start), *rate_gradients.values())


def _hessian_product(gradients: Params, theta: Params, direction: Params) -> Params:
    """The derivative of <gradients, direction> with respect to theta: H direction, where the gradients are those of one loss."""
    used = [name for name in gradients if gradients[name].requires_grad]
    if not used:  # the inner loss is linear: H = 0
        return {name: torch.zeros_like(p) for name, p in theta.items()}
    found = torch.autograd.grad(
        [gradients[name] for name in used],
        list(theta.values()),
        grad_outputs=[direction[name] for name in used],
        allow_unused=True,
        materialize_grads=True,
    )
    return dict(zip(theta, found, strict=True))
