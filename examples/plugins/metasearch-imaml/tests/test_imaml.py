"""Implicit MAML keeps the contract of algorithms, and its meta-gradient is that of the minimum."""

import pytest
import torch
from metasearch_imaml.algorithm import QUERY, ImplicitMAML, conjugate_gradients

from metasearch.algorithm import InnerLoop
from metasearch.errors import ConfigError
from metasearch.testing import check_algorithm, check_component, tiny_learner, tiny_task


def test_the_contract() -> None:
    check_component("algo", "imaml")
    check_algorithm(ImplicitMAML())


def meta_gradient(algorithm: InnerLoop) -> dict[str, torch.Tensor]:
    """The gradient of one task, dense."""
    algorithm.start(tiny_learner())
    algorithm.meta_gradient([tiny_task()])
    found = {n: torch.zeros_like(p) if p.grad is None else p.grad for n, p in algorithm.theta.items()}
    return {n: g.to_dense() if g.is_sparse else g for n, g in found.items()}


def test_the_meta_gradient_is_that_of_the_minimum() -> None:
    """Against finite differences of L(Q; phi(theta)), with the inner loop at its end."""
    algorithm = ImplicitMAML(inner_steps=400, inner_lr=0.05, strength=5.0, cg_steps=60)
    exact = meta_gradient(algorithm)
    f = algorithm.open(tiny_task())
    generator = torch.Generator().manual_seed(0)
    direction = {n: torch.randn(p.shape, generator=generator, dtype=p.dtype) for n, p in algorithm.theta.items()}

    def value(step: float) -> float:
        moved = {n: p.detach() + step * direction[n] for n, p in algorithm.theta.items()}
        return f.loss(algorithm.solve(f, f.restrict(moved)), QUERY).item()

    numeric = (value(1e-5) - value(-1e-5)) / 2e-5
    slope = float(sum((exact[n] * direction[n]).sum() for n in exact))
    assert slope == pytest.approx(numeric, rel=1e-4)
    without = meta_gradient(ImplicitMAML(inner_steps=400, inner_lr=0.05, strength=5.0, cg_steps=0))
    assert float(sum((without[n] * direction[n]).sum() for n in without)) != pytest.approx(numeric, rel=1e-2)


def test_held_tightly_it_is_plain_training_on_the_query_set() -> None:
    tight = meta_gradient(ImplicitMAML(strength=1e9, inner_lr=1e-9))
    algorithm = ImplicitMAML()
    algorithm.start(tiny_learner())
    f = algorithm.open(tiny_task())
    plain = torch.autograd.grad(f.loss(f.restrict(algorithm.theta), QUERY), list(algorithm.theta.values()))
    for name, g in zip(algorithm.theta, plain, strict=True):
        torch.testing.assert_close(tight[name], g.to_dense() if g.is_sparse else g, rtol=1e-6, atol=1e-9)


def test_conjugate_gradients_solve_exactly_in_as_many_steps_as_numbers() -> None:
    generator = torch.Generator().manual_seed(1)
    root = torch.randn(6, 6, generator=generator, dtype=torch.float64)
    a, b = root @ root.T + torch.eye(6), torch.randn(6, generator=generator, dtype=torch.float64)
    found = conjugate_gradients(lambda x: {"x": a @ x["x"]}, {"x": b}, 6)
    torch.testing.assert_close(found["x"], torch.linalg.solve(a, b), rtol=1e-8, atol=1e-8)


def test_where_there_is_no_minimum_the_gradient_stays_as_it_is() -> None:
    b = {"x": torch.tensor([1.0, 2.0])}
    assert torch.equal(conjugate_gradients(lambda x: {"x": -x["x"]}, b, 5)["x"], b["x"])


def test_a_rate_at_which_the_inner_loop_flies_apart_is_refused() -> None:
    learner = tiny_learner()
    with pytest.raises(ConfigError, match=r"algo\.inner_lr=0\.01: must be below 2 / algo\.strength = 0\.01"):
        ImplicitMAML(inner_lr=0.01).check(learner.encoder, learner.loss)
