"""The contract of losses."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from metasearch.core import Loss, PairEmbeddings, TripletEmbeddings
from metasearch.testing.demand import demand, difference

_ANCHORS, _NEGATIVES, _WIDTH = 4, 2, 6
# Field of the embeddings -> the flag of losses that want it, and its shape.
_CONSTANTS = {"cached": ("needs_cached_negatives", (_ANCHORS, 3, _WIDTH)), "base": ("needs_base", (_ANCHORS, 2, 3, _WIDTH))}
_POINTS = 3  # random points at which the maths is looked at
_STEP = 1e-5  # of finite differences, in float64
_CLOSE = 1e-4  # relative; finite differences are good to about 1e-9 where the loss is smooth

Value = Callable[[Tensor], Tensor]


def check_loss(loss: Loss) -> None:
    """Check what :class:`metasearch.core.Loss` demands, in float64 on random unit vectors.

    The loss is a finite scalar, differentiable and twice differentiable (against finite differences), does not depend on the
    order of examples, is the mean of its examples' losses exactly if ``mean_of_examples`` says so, and looks at cached
    negatives exactly if ``needs_cached_negatives`` says so.

    Args:
        loss: constructed, with any options.

    Raises:
        AssertionError: what does not hold.

    Example:
        >>> from metasearch.registry import registry
        >>> check_loss(registry.create("loss", "triplet", margin=0.5))
    """
    demand(loss.kind in ("triplets", "pairs"), f"kind is {loss.kind!r}, expected 'triplets' or 'pairs'")
    points = [_vectors(loss.kind, seed) for seed in range(_POINTS)]
    for x in points:
        _check_value(loss, x)
        _check_derivatives(lambda x: loss(_embeddings(loss, x)), x)
        _check_order(loss, x)
    _check_moves(loss, points)
    _check_mean(loss, points)
    _check_constants(loss, points)


def _check_value(loss: Loss, x: Tensor) -> None:
    value = loss(_embeddings(loss, x))
    demand(isinstance(value, Tensor), f"a loss returns a torch scalar, found {type(value).__name__}")
    demand(value.shape == (), f"a loss returns a scalar, found shape {tuple(value.shape)}: take the mean over examples")
    demand(value.dtype == x.dtype, f"embeddings are {x.dtype}, the loss is {value.dtype}: keep the precision")
    demand(bool(torch.isfinite(value)), f"the loss of unit vectors is {value.item()}, expected a finite number")
    demand(torch.equal(value, loss(_embeddings(loss, x))), "the loss of the same embeddings differs from call to call")
    demand(value.requires_grad, "the loss is cut off from the embeddings: no gradient can flow (detach, item or numpy in it?)")


def _check_derivatives(value: Value, x: Tensor) -> None:
    """First and second derivative along a random direction against central differences."""
    v = torch.randn(x.shape, generator=torch.Generator().manual_seed(9), dtype=x.dtype)
    g = _gradient(value, x, twice=True)
    demand(bool(torch.isfinite(g).all()), "the gradient is not finite at random unit vectors")
    ends = [float(value(x.detach() + sign * _STEP * v)) for sign in (1, -1)]
    slope, numeric = float((g.detach() * v).sum()), (ends[0] - ends[1]) / (2 * _STEP)
    demand(
        abs(slope - numeric) <= _CLOSE * max(abs(slope), abs(numeric)) + 1e-8,
        f"the gradient is wrong: {slope:.6g} along a direction in which finite differences give {numeric:.6g}",
    )
    product = _hessian_product(g, x, v)
    steps = [_gradient(value, x.detach() + sign * _STEP * v, twice=False) for sign in (1, -1)]
    numeric_product = (steps[0] - steps[1]) / (2 * _STEP)
    demand(
        difference(product, numeric_product) <= _CLOSE or float((product - numeric_product).norm()) <= 1e-6,
        "the second derivative is wrong: differentiating the gradient and finite differences of the gradient disagree "
        "(detach, or a custom backward that is not differentiable?)",
    )


def _gradient(value: Value, x: Tensor, twice: bool) -> Tensor:
    x.requires_grad_()
    (found,) = torch.autograd.grad(value(x), [x], create_graph=twice)
    return found


def _hessian_product(gradient: Tensor, x: Tensor, v: Tensor) -> Tensor:
    try:
        (found,) = torch.autograd.grad((gradient * v).sum(), [x], allow_unused=True, materialize_grads=True)
    except RuntimeError as error:
        raise AssertionError(f"the loss cannot be differentiated twice, which second-order algorithms need: {error}") from error
    return found


def _check_order(loss: Loss, x: Tensor) -> None:
    order = torch.tensor([2, 0, 3, 1])
    one, other = loss(_embeddings(loss, x)).item(), loss(_embeddings(loss, x, order)).item()
    demand(_near(one, other), f"the order of examples must not matter: the loss is {one:.8g}, of another order {other:.8g}")


def _check_moves(loss: Loss, points: Sequence[Tensor]) -> None:
    norms = [float(_gradient(lambda x: loss(_embeddings(loss, x)), x, twice=False).norm()) for x in points]
    demand(max(norms) > 0, "the gradient is zero at all random points: the loss teaches nothing")


def _check_mean(loss: Loss, points: Sequence[Tensor]) -> None:
    """A set cut into a part of one example and a part of the rest."""
    wholes = [loss(_embeddings(loss, x)).item() for x in points]
    parts = [[loss(_embeddings(loss, x, rows)).item() for rows in _cut()] for x in points]
    of_means = [sum(p * len(rows) / _ANCHORS for p, rows in zip(part, _cut(), strict=True)) for part in parts]
    is_mean = all(_near(whole, mean) for whole, mean in zip(wholes, of_means, strict=True))
    is_sum = not is_mean and all(_near(whole, sum(part)) for whole, part in zip(wholes, parts, strict=True))
    demand(not is_sum, "the loss is the sum over examples; it must be their mean, or rates mean another thing for each set size")
    if loss.mean_of_examples:
        demand(
            is_mean,
            f"mean_of_examples is True, but the loss of a set is {wholes[0]:.8g}, the mean of its parts' {of_means[0]:.8g}",
        )
    else:
        demand(
            not is_mean,
            "the loss is the mean of its examples' own losses: set mean_of_examples = True, so that algo.support_parts works",
        )


def _cut() -> tuple[Tensor, Tensor]:
    return torch.tensor([0]), torch.arange(1, _ANCHORS)


def _check_constants(loss: Loss, points: Sequence[Tensor]) -> None:
    """A loss must ask for what it looks at of the constants that samplers bring only when asked."""
    for field, (flag, shape) in _CONSTANTS.items():
        needed = getattr(loss, flag)
        if loss.kind != "triplets":
            demand(not needed, f"{flag} is for losses of kind 'triplets'")
            continue
        changed = []
        for x in points:
            found = _embeddings(loss, x)
            with_, other = (replace(found, **{field: _directions(shape, seed)}) for seed in (20, 21))
            changed.append(not torch.equal(loss(with_), loss(other)))
        if needed:
            demand(any(changed), f"{flag} is True, but the loss does not look at embeddings.{field}")
        else:
            demand(not any(changed), f"the loss looks at embeddings.{field}: set {flag} = True, or samplers will bring none")


def _near(a: float, b: float) -> bool:
    return abs(a - b) <= 1e-9 * max(1.0, abs(a), abs(b))  # not, if one is NaN


# -- embeddings ----------------------------------------------------------------------------------------------------------


def _directions(shape: tuple[int, ...], seed: int) -> Tensor:
    x = torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return torch.nn.functional.normalize(x, dim=-1)


def _vectors(kind: str, seed: int) -> Tensor:
    """``(anchors, texts per anchor, width)``: what the embeddings are made of."""
    return _directions((_ANCHORS, 2 + _NEGATIVES if kind == "triplets" else 2, _WIDTH), seed).requires_grad_()


def _embeddings(loss: Loss, x: Tensor, rows: Tensor | None = None) -> Any:
    """Embeddings of the anchors ``rows`` (None: of all), as encoders hand them over: unit vectors, the pool built of the set."""
    rows = torch.arange(len(x)) if rows is None else rows
    x = torch.nn.functional.normalize(x[rows], dim=-1)
    if loss.kind == "pairs":
        return PairEmbeddings(x[:, 0], x[:, 1], torch.tensor([0.9, 0.1, 0.4, 0.6], dtype=x.dtype)[rows])
    m = len(rows)
    question, positive, negatives = x[:, 0], x[:, 1], x[:, 2:]
    pool = torch.cat([positive, negatives.flatten(0, 1)])
    wrong = torch.ones(m, len(pool), dtype=torch.bool)
    wrong[torch.arange(m), torch.arange(m)] = False
    own = torch.arange(len(pool)).expand(m, -1) % 2 == 0
    constants = {field: _directions(shape, 19)[rows] for field, (flag, shape) in _CONSTANTS.items() if getattr(loss, flag)}
    translation = _directions((_ANCHORS, _WIDTH), 23)[rows]
    return TripletEmbeddings(
        question, positive, negatives, pool, torch.arange(m), wrong, own=own, translation=translation, **constants
    )
