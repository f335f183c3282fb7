"""The inner loop, as maths: closed forms, finite differences and plain unrolling, in float64."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from metasearch.algorithm import Params, adapt


def quadratic(matrix: Tensor, centre: Tensor, name: str = "w"):  # type: ignore[no-untyped-def]
    """1/2 (w - c)' A (w - c): gradient A (w - c), Hessian A."""
    return lambda p: 0.5 * (p[name] - centre) @ matrix @ (p[name] - centre)


@pytest.fixture
def problem() -> tuple[Tensor, Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(3)
    root = torch.randn(4, 4, generator=generator, dtype=torch.float64)
    start = torch.randn(4, generator=generator, dtype=torch.float64)
    centre = torch.randn(4, generator=generator, dtype=torch.float64)
    target = torch.randn(4, generator=generator, dtype=torch.float64)
    return root @ root.T, start, centre, target


@pytest.mark.parametrize("keep", [0, 1, None])
@pytest.mark.parametrize("steps", [1, 2, 5])
def test_maml_on_a_quadratic_equals_the_closed_form(
    problem: tuple[Tensor, Tensor, Tensor, Tensor], steps: int, keep: int | None
) -> None:
    matrix, start, centre, target = problem
    rate = 0.05
    w = start.clone().requires_grad_()
    adapted = adapt(quadratic(matrix, centre), {"w": w}, steps, rate, keep=keep)["w"]
    # One step is w - a A (w - c) = c + (I - a A)(w - c), so n steps multiply by M = (I - a A)^n.
    m = torch.linalg.matrix_power(torch.eye(4, dtype=torch.float64) - rate * matrix, steps)
    expected = centre + m @ (start - centre)
    torch.testing.assert_close(adapted.detach(), expected, rtol=1e-12, atol=1e-12)
    (0.5 * (adapted - target).pow(2).sum()).backward()
    torch.testing.assert_close(w.grad, m.T @ (expected - target), rtol=1e-12, atol=1e-12)


def test_first_order_ignores_the_hessian(problem: tuple[Tensor, Tensor, Tensor, Tensor]) -> None:
    matrix, start, centre, target = problem
    w = start.clone().requires_grad_()
    adapted = adapt(quadratic(matrix, centre), {"w": w}, 3, 0.05, order="first")["w"]
    second = adapt(quadratic(matrix, centre), {"w": w}, 3, 0.05)["w"]
    torch.testing.assert_close(adapted.detach(), second.detach(), rtol=1e-12, atol=0)
    (0.5 * (adapted - target).pow(2).sum()).backward()
    torch.testing.assert_close(w.grad, (adapted - target).detach(), rtol=1e-12, atol=0)
    exact = torch.autograd.grad(0.5 * (second - target).pow(2).sum(), w)[0]
    assert (w.grad - exact).norm() / exact.norm() > 0.05


@pytest.mark.parametrize("keep", [0, 1, None])
def test_orders_agree_when_the_inner_loss_is_linear(keep: int | None) -> None:
    slope = torch.tensor([1.0, -2.0], dtype=torch.float64)
    gradients = []
    for order in ("first", "second"):
        w = torch.tensor([0.3, 0.7], dtype=torch.float64, requires_grad=True)
        adapted = adapt(lambda p: slope @ p["w"], {"w": w}, 4, 0.1, order=order, keep=keep)["w"]
        adapted.pow(3).sum().backward()
        gradients.append(w.grad)
    torch.testing.assert_close(gradients[0], gradients[1], rtol=1e-14, atol=0)


def test_a_rate_of_zero_gives_plain_gradients(problem: tuple[Tensor, Tensor, Tensor, Tensor]) -> None:
    matrix, start, centre, target = problem
    w = start.clone().requires_grad_()
    adapted = adapt(quadratic(matrix, centre), {"w": w}, 3, 0.0)["w"]
    adapted.sub(target).pow(2).sum().backward()
    torch.testing.assert_close(w.grad, 2 * (start - target), rtol=1e-12, atol=0)


def test_no_steps_is_theta_itself() -> None:
    w = torch.ones(2, requires_grad=True)
    assert adapt(lambda p: p["w"].sum(), {"w": w}, 0, 0.1)["w"] is w


def test_parameters_that_the_inner_loss_does_not_use_pass_through() -> None:
    for keep in (0, 1):
        used = torch.ones(2, dtype=torch.float64, requires_grad=True)
        other = torch.full((2,), 5.0, dtype=torch.float64, requires_grad=True)
        adapted = adapt(lambda p: p["used"].pow(2).sum(), {"used": used, "other": other}, 2, 0.1, keep=keep)
        (adapted["used"].sum() + 3 * adapted["other"].sum()).backward()
        assert adapted["other"].tolist() == [5.0, 5.0]
        assert other.grad is not None
        assert other.grad.tolist() == [3.0, 3.0]
        torch.testing.assert_close(used.grad, torch.full((2,), 0.64, dtype=torch.float64))


def network(p: Params, x: Tensor) -> Tensor:
    return torch.tanh(x @ p["a"]) @ p["b"]


@pytest.mark.parametrize("keep", [0, 1, 2, None])
def test_chained_loops_equal_plain_unrolling(keep: int | None) -> None:
    """A student that starts where a teacher ended, and a loss between the two: gradients reach theta through both loops."""
    generator = torch.Generator().manual_seed(0)
    x, y = (torch.randn(6, 3, generator=generator, dtype=torch.float64) for _ in range(2))
    values = [
        torch.randn(3, 5, generator=generator, dtype=torch.float64),
        torch.randn(5, 1, generator=generator, dtype=torch.float64),
    ]

    def outer(keep: int | None) -> list[Tensor]:
        theta = {name: v.clone().requires_grad_() for name, v in zip("ab", values, strict=True)}
        teacher = adapt(lambda p: network(p, x).pow(2).mean(), theta, 3, 0.1, keep=keep)
        student = adapt(lambda p: network(p, y).sub(1).pow(2).mean(), teacher, 2, 0.1, keep=keep)
        loss = (network(teacher, y) - network(student, y)).pow(2).mean() + network(student, x).mean()
        return list(torch.autograd.grad(loss, list(theta.values())))

    for ours, plain in zip(outer(keep), outer(None), strict=True):
        assert ((ours - plain).norm() / plain.norm()).item() < 1e-12


def test_gradient_of_the_adjoint_by_finite_differences() -> None:
    x = torch.linspace(-1, 1, 12, dtype=torch.float64).reshape(4, 3)

    def meta_loss(a: Tensor, b: Tensor) -> Tensor:
        adapted = adapt(lambda p: network(p, x).sub(0.5).pow(2).mean(), {"a": a, "b": b}, 3, 0.3, keep=1)
        return network(adapted, x.flip(0)).pow(2).mean()

    generator = torch.Generator().manual_seed(1)
    a = torch.randn(3, 4, generator=generator, dtype=torch.float64, requires_grad=True)
    b = torch.randn(4, 1, generator=generator, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(meta_loss, (a, b), eps=1e-6, atol=1e-8, rtol=1e-6)


def rated(rates: dict[str, Tensor | float], keep: int | None, order: str = "second") -> list[Tensor]:
    """The gradient of an outer loss with respect to parameters and learned rates."""
    generator = torch.Generator().manual_seed(2)
    x = torch.randn(6, 3, generator=generator, dtype=torch.float64)
    theta = {
        "a": torch.randn(3, 5, generator=generator, dtype=torch.float64).requires_grad_(),
        "b": torch.randn(5, 1, generator=generator, dtype=torch.float64).requires_grad_(),
    }
    adapted = adapt(lambda p: network(p, x).sub(0.5).pow(2).mean(), theta, 4, rates, order, keep)
    loss = network(adapted, x.flip(0)).pow(2).mean() + adapted["b"].sum()
    learned = [rate for rate in rates.values() if isinstance(rate, Tensor)]
    return list(torch.autograd.grad(loss, [*theta.values(), *learned]))


RATES = {
    "one of two moves": lambda: {"b": 0.3},
    "a rate each": lambda: {"b": 0.2, "a": 0.1},
    "learned scalars": lambda: {n: torch.tensor(0.2, dtype=torch.float64, requires_grad=True) for n in "ab"},
    "learned, full size, one fixed": lambda: {"a": torch.full((3, 5), 0.2, dtype=torch.float64, requires_grad=True)},
    "learned and given": lambda: {"a": 0.1, "b": torch.full((5, 1), 0.2, dtype=torch.float64, requires_grad=True)},
}


@pytest.mark.parametrize("keep", [0, 1, 3])
@pytest.mark.parametrize("name", list(RATES))
def test_rates_and_fixed_parameters_equal_plain_unrolling(name: str, keep: int) -> None:
    for ours, plain in zip(rated(RATES[name](), keep), rated(RATES[name](), None), strict=True):
        assert ((ours - plain).norm() / plain.norm()).item() < 1e-12


def test_gradient_of_learned_rates_by_finite_differences() -> None:
    x = torch.linspace(-1, 1, 12, dtype=torch.float64).reshape(4, 3)
    b = torch.linspace(1, 2, 4, dtype=torch.float64).reshape(4, 1)

    def meta_loss(a: Tensor, rate_a: Tensor, rate_b: Tensor, keep: int) -> Tensor:
        inner = adapt(lambda p: network(p, x).sub(0.5).pow(2).mean(), {"a": a, "b": b}, 3, {"a": rate_a, "b": rate_b}, keep=keep)
        return network(inner, x.flip(0)).pow(2).mean()

    a = torch.linspace(-1, 1, 12, dtype=torch.float64).reshape(3, 4).requires_grad_()
    rate_a = torch.full((3, 4), 0.2, dtype=torch.float64, requires_grad=True)
    rate_b = torch.tensor(0.1, dtype=torch.float64, requires_grad=True)
    for keep in (0, 1):
        assert torch.autograd.gradcheck(lambda *t, k=keep: meta_loss(*t, k), (a, rate_a, rate_b), eps=1e-6, atol=1e-8, rtol=1e-6)


def test_first_order_gradient_of_a_rate_is_minus_the_summed_gradients() -> None:
    w = torch.tensor([1.0, -2.0], dtype=torch.float64, requires_grad=True)
    rate = torch.tensor(0.1, dtype=torch.float64, requires_grad=True)
    adapted = adapt(lambda p: 0.5 * p["w"].pow(2).sum(), {"w": w}, 2, {"w": rate}, order="first")["w"]
    torch.testing.assert_close(adapted, 0.81 * w)
    w_gradient, rate_gradient = torch.autograd.grad(adapted.sum(), [w, rate])
    assert w_gradient.tolist() == [1.0, 1.0]
    # Gradients of the two steps, w and 0.9 w, count as constants.
    torch.testing.assert_close(rate_gradient, -(1.9 * w).sum())
