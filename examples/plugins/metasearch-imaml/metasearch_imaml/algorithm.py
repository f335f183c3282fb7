"""Implicit MAML: the meta-gradient from where the inner loop ends, not from the way that led there."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from metasearch.algorithm import InnerLoop, Params, TaskFunction, adapt
from metasearch.core import Cost, Encoder, Loss, Task, differentiated_twice
from metasearch.errors import ConfigError

SUPPORT, QUERY = 0, 1


class ImplicitMAML(InnerLoop):
    """phi = argmin over phi of L(S; phi) + lambda / 2 |phi - theta|^2; theta moves by the gradient of sum_j L(Q_j; phi_j).

    Where the inner loop has reached its minimum, d phi / d theta = (I + H / lambda)^-1 with H the Hessian of L(S) at phi, so
    that the meta-gradient solves (I + H / lambda) g = grad L(Q; phi). Conjugate gradients do that with products of H alone:
    memory does not grow with the inner steps, and no step's graph is kept.

    Args:
        inner_steps: n, steps of SGD towards the minimum.
        inner_lr: alpha; must be below 2 / lambda.
        strength: lambda: what a task gains must outweigh half of it times the squared way from theta.
        cg_steps: steps of conjugate gradients; fewer where the answer is exact before. 0: g = grad L(Q; phi).
        outer_lr: beta, AdamW's rate.
        meta_batch_size: b, tasks per update.
        weight_decay: AdamW's, on matrices only.

    Raises:
        ConfigError: alpha is not below 2 / lambda.

    Reference: Rajeswaran et al. 2019, Algorithms 1 and 2. Relations: with lambda -> infinity plain training on the query sets.
    """

    citation = "Rajeswaran, Finn, Kakade and Levine (2019), Meta-Learning with Implicit Gradients."

    def __init__(
        self,
        inner_steps: int = 10,
        inner_lr: float = 2.5e-3,
        strength: float = 200.0,
        cg_steps: int = 5,
        outer_lr: float = 1e-5,
        meta_batch_size: int = 4,
        weight_decay: float = 0.0,
    ) -> None:
        super().__init__(inner_steps, inner_lr, outer_lr, "first", meta_batch_size, weight_decay=weight_decay)
        self.strength = strength
        self.cg_steps = cg_steps

    def check(self, encoder: Encoder, loss: Loss) -> None:
        super().check(encoder, loss)
        if self.inner_lr * self.strength >= 2:
            raise ConfigError(
                f"algo.inner_lr={self.inner_lr:g}: must be below 2 / algo.strength = {2 / self.strength:g}, "
                "or the inner loop flies apart"
            )

    def meta_gradient(self, tasks: Sequence[Task]) -> dict[str, float]:
        total = 0.0
        for task in self.own(tasks):
            f = self.open(task)
            theta = f.restrict(self.theta)
            phi = self.solve(f, theta)
            loss = f.loss(phi, QUERY)
            g = self._implicit(f, phi, _gradient(loss, phi))
            # A linear function whose gradient is g, so that the token table's stays sparse.
            torch.stack([(p * g[name]).sum() for name, p in theta.items()]).sum().backward()
            total += loss.item()
        return {"loss": total / len(tasks)}

    def solve(self, f: TaskFunction, theta: Mapping[str, Tensor]) -> Params:
        """phi: where the inner loop ends, as leaves."""
        start = {name: p.detach() for name, p in theta.items()}

        def held(params: Params) -> Tensor:
            return torch.stack([(params[name] - p).pow(2).sum() for name, p in start.items()]).sum() * (self.strength / 2)

        phi = adapt([*f.loss_on(SUPPORT), held], start, self.inner_steps, self.inner_lr, "first")
        return {name: p.detach().requires_grad_() for name, p in phi.items()}

    def _implicit(self, f: TaskFunction, phi: Params, g: Params) -> Params:
        """(I + H / lambda)^-1 g."""
        if not self.cg_steps:
            return g
        with differentiated_twice():
            loss = f.loss(phi, SUPPORT)
        slope = _gradient(loss, phi, twice=True)

        def product(x: Params) -> Params:
            h = torch.autograd.grad(
                list(slope.values()),
                list(phi.values()),
                grad_outputs=list(x.values()),
                retain_graph=True,
                allow_unused=True,
                materialize_grads=True,
            )
            return {name: x[name] + part / self.strength for name, part in zip(phi, h, strict=True)}

        return conjugate_gradients(product, g, self.cg_steps)

    def cost(self, encoder: Encoder, tokens: Sequence[float]) -> Cost:
        inner = self.adapting(encoder, self.inner_steps, tokens[SUPPORT])
        products = (3 + 6 * self.cg_steps) * tokens[SUPPORT] if self.cg_steps else 0
        return replace(
            inner,
            passes=inner.passes + 3 * tokens[QUERY] + products,
            held_once=max(tokens),
            held_twice=tokens[SUPPORT] if self.cg_steps else 0,
            copies=6,  # theta, phi, and the vectors of the conjugate gradients
        )


def conjugate_gradients(product: Callable[[Params], Params], b: Params, steps: int) -> Params:
    """Solve A x = b for a symmetric A, in at most ``steps`` products.

    Args:
        product: x -> A x.
        b: the right side, which is also where the search begins.
        steps: how many.

    Returns:
        The best x found; the search stops where the residual is zero, or where A turns out not to be positive definite.

    Example:
        >>> x = conjugate_gradients(lambda x: {"x": 2 * x["x"]}, {"x": torch.tensor([4.0, 6.0])}, 1)
        >>> x["x"].tolist()
        [2.0, 3.0]
    """
    x = {name: torch.zeros_like(p) for name, p in b.items()}
    residual, direction = dict(b), dict(b)
    size = _dot(residual, residual)
    for _ in range(steps):
        if size <= 1e-20:
            break
        turned = product(direction)
        curvature = _dot(direction, turned)
        if curvature <= 0:  # the loss is not convex here: no minimum in this direction to go to
            break
        step = size / curvature
        x = {name: p + step * direction[name] for name, p in x.items()}
        residual = {name: p - step * turned[name] for name, p in residual.items()}
        before, size = size, _dot(residual, residual)
        direction = {name: residual[name] + (size / before) * p for name, p in direction.items()}
    return x if any(bool(p.any()) for p in x.values()) else b


def _dot(a: Params, b: Params) -> float:
    return sum(float((p * b[name]).sum()) for name, p in a.items())


def _gradient(loss: Tensor, params: Params, twice: bool = False) -> Params:
    found = torch.autograd.grad(loss, list(params.values()), create_graph=twice, allow_unused=True, materialize_grads=True)
    return dict(zip(params, found, strict=True))
