"""Does it adapt? The measures of inner loops: closed forms on a quadratic, through algorithms, and that they only look."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from metasearch.algorithm import Adaptation, Learner, OuterLoop, adapt
from metasearch.algorithm.adaptation import _Record, relative_move
from metasearch.core import Task
from metasearch.episodes import EpisodeStream, parse_mode
from metasearch_plugins.algorithms.anil import ANIL
from metasearch_plugins.algorithms.maml import MAML
from metasearch_plugins.algorithms.maml_align import MAMLAlign, X, Y, Z
from metasearch_plugins.algorithms.meta_sgd import MetaSGD
from metasearch_plugins.algorithms.reptile import Reptile
from metasearch_plugins.encoders.triplet import TripletEncoder
from metasearch_plugins.losses.triplet import TripletLoss
from metasearch_plugins.samplers.random import RandomSampler
from tests.tiny import meta_gradient, tiny_corpus

RATE = 0.05
TEACHER = ["query_before", "query_after", "move"]
STUDENT = ["student_before", "student_after", "student_move"]


def make_learner(model: Path, precision: str = "float64") -> Learner:
    encoder = TripletEncoder(str(model))
    encoder.to("cpu", precision)
    return Learner(encoder, TripletLoss())


@pytest.fixture
def learner(tiny_model: Path) -> Learner:
    return make_learner(tiny_model)


@pytest.fixture(scope="module")
def tasks() -> list[Task]:
    stream = EpisodeStream(tiny_corpus(), parse_mode("el_el -> el_ar -> el_{ar,el}").train, RandomSampler(3, 2, 2), 1, "train")
    return [stream.task(i) for i in range(2)]


def pairs(tasks: list[Task]) -> list[Task]:
    return [replace(t, sets=t.sets[:2]) for t in tasks]


def flat(gradient: dict[str, Tensor]) -> Tensor:
    return torch.cat([g.flatten() for g in gradient.values()])


def share(algorithms: tuple[OuterLoop, OuterLoop], learner: Learner, tasks: list[Task]) -> float:
    """``||exact - first|| / ||exact||`` from two whole meta-gradients."""
    first, exact = (flat(meta_gradient(algorithm, learner, tasks)) for algorithm in algorithms)
    return float((exact - first).norm() / exact.norm())


@pytest.mark.parametrize("keep", [0, 1, None])
@pytest.mark.parametrize("steps", [0, 1, 5])
def test_on_a_quadratic_the_measures_have_closed_forms(steps: int, keep: int | None) -> None:
    generator = torch.Generator().manual_seed(3)
    root, start, target = (torch.randn(*shape, generator=generator, dtype=torch.float64) for shape in ((4, 4), (4,), (4,)))
    matrix = root @ root.T
    theta = {"w": start.clone().requires_grad_(), "fixed": torch.ones(3, dtype=torch.float64, requires_grad=True)}
    seen = Adaptation("second")
    loop = seen.loop(theta)
    found = loop.end(adapt(lambda p: 0.5 * p["w"] @ matrix @ p["w"], loop.start, steps, {"w": RATE}, keep=keep))
    (0.5 * (found["w"] - target).pow(2).sum() + (2.0 * found["fixed"]).sum()).backward()
    # theta_j = M theta with M = (I - a A)^n, so the gradient at theta_j, v = M theta - target, becomes M v.
    m = torch.linalg.matrix_power(torch.eye(4, dtype=torch.float64) - RATE * matrix, steps)
    v = m @ start - target
    fixed = math.sqrt(3 * 2.0**2)  # what does not move has a gradient, but none through the steps
    logged = seen.mean(1)
    assert logged["move"] == pytest.approx(float((m @ start - start).norm() / start.norm()), rel=1e-12)
    exact = math.hypot(float((m @ v).norm()), fixed)
    assert logged["second_order_share"] == pytest.approx(float((m @ v - v).norm()) / exact, rel=1e-12)
    torch.testing.assert_close(theta["w"].grad, m @ v, rtol=1e-12, atol=1e-12)


def test_what_does_not_move_may_have_a_gradient_through_the_steps() -> None:
    """Inner loss a b, of which a moves: it ends at a - 2 r b. Of the outer loss a + b, b's is 1 - 2 r; at first order 1."""
    theta = {name: torch.tensor([2.0], dtype=torch.float64, requires_grad=True) for name in ("a", "b")}
    seen = Adaptation("second")
    loop = seen.loop(theta)
    found = loop.end(adapt(lambda p: (p["a"] * p["b"]).sum(), loop.start, 2, {"a": 0.25}))
    (found["a"] + found["b"]).sum().backward()
    assert theta["b"].grad == 0.5
    assert seen.mean(1)["second_order_share"] == pytest.approx(0.5 / math.hypot(1.0, 0.5))
    assert seen.mean(1)["move"] == pytest.approx(2 * 0.25 * 2.0 / 2.0)


def test_nothing_that_moves_is_no_move() -> None:
    same = {"w": torch.ones(2)}
    assert relative_move(same, dict(same)) == 0.0


def test_keys_are_there_without_a_task_so_that_processes_can_add_theirs() -> None:
    assert Adaptation("first").mean(4) == dict.fromkeys(TEACHER, 0.0)
    both = Adaptation("second", roles=("", "student")).mean(4)
    assert set(both) == {*TEACHER, *STUDENT, "second_order_share", "student_second_order_share"}
    assert set(both.values()) == {0.0}


@pytest.mark.parametrize("keep", [0, 1, None])
def test_maml_logs_what_its_loops_did(learner: Learner, tasks: list[Task], keep: int | None) -> None:
    two = pairs(tasks)
    algorithm = MAML(inner_steps=3, inner_lr=RATE, keep_graphs=keep)
    algorithm.start(learner)
    log = algorithm.meta_gradient(two)
    expected: dict[str, list[float]] = {key: [] for key in (*TEACHER, "second_order_share")}
    for task in two:
        f = learner.open(task)
        theta = as_leaves(f.restrict(learner.encoder.parameters()))
        theta_j = adapt(f.loss_on(0), theta, 3, RATE, keep=None)
        exact, first = gradient(f.loss(theta_j, 1), theta), gradient(f.loss(ends := as_leaves(theta_j), 1), ends)
        expected["query_before"].append(f.loss(theta, 1).item())
        expected["query_after"].append(f.loss(theta_j, 1).item())
        start, end = flat(theta).detach(), flat(theta_j).detach()
        expected["move"].append(float((end - start).norm() / start.norm()))
        expected["second_order_share"].append(float((exact - first).norm() / exact.norm()))
    for key, values in expected.items():
        assert log[key] == pytest.approx(sum(values) / 2, rel=1e-9), key
    assert log["query_after"] == log["loss"] != log["query_before"]
    assert 0 < log["second_order_share"] < 1.5


def as_leaves(params: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: p.detach().requires_grad_() for name, p in params.items()}


def gradient(loss: Tensor, params: dict[str, Tensor]) -> Tensor:
    found = torch.autograd.grad(loss, list(params.values()), allow_unused=True, materialize_grads=True)
    return torch.cat([g.flatten() for g in found])


@pytest.mark.parametrize(("distill", "student"), [("kl", "shared"), ("kl-losses", "separate")])
def test_maml_align_logs_teacher_and_student(learner: Learner, tasks: list[Task], distill: str, student: str) -> None:
    """Without distillation teacher and student are two MAMLs, whose logs they must have."""
    options: dict[str, Any] = {"distill": distill, "student": student, "kd_weight": 0.0}
    align = MAMLAlign(inner_steps=3, student_inner_steps=2, inner_lr=RATE, **options)
    align.start(learner)
    log = align.meta_gradient(tasks)
    for sets, steps, keys in ((X, 3, [*TEACHER, "second_order_share"]), (Y, 2, [*STUDENT, "student_second_order_share"])):
        maml = MAML(inner_steps=steps, inner_lr=RATE)
        maml.start(learner)
        alone = maml.meta_gradient([replace(t, sets=t.sets[sets : sets + 2]) for t in tasks])
        for key, of_maml in zip(keys, [*TEACHER, "second_order_share"], strict=True):
            # theta has the token table's rows of all three sets here; the third set's have a length, but do not move.
            assert log[key] == pytest.approx(alone[of_maml], rel=1e-3 if of_maml == "move" else 1e-9), key
    assert (log["query_after"], log["student_after"]) == (log["teacher_loss"], log["student_loss"])
    assert Z == 2


def test_anil_counts_only_what_moves_and_all_that_learns(learner: Learner, tasks: list[Task]) -> None:
    one = pairs(tasks)[:1]
    algorithm = ANIL(inner_steps=2, inner_lr=0.5)
    algorithm.start(learner)
    log = algorithm.meta_gradient(one)
    f = learner.open(one[0])
    theta = f.restrict(learner.encoder.parameters())
    theta_j = algorithm.adapt(f, 0, theta, 2)
    start, end = (flat({n: p[n].detach() for n in algorithm.inner_names}) for p in (theta, theta_j))
    assert log["move"] == pytest.approx(float((end - start).norm() / start.norm()), rel=1e-9)
    # Of the second-order part, some is the lower layers' and the token table's.
    both = ANIL(inner_steps=2, inner_lr=0.5, order="first"), ANIL(inner_steps=2, inner_lr=0.5)
    assert log["second_order_share"] == pytest.approx(share(both, learner, one), rel=1e-6)


@pytest.mark.parametrize("kind", [MAML, MetaSGD])
def test_the_share_is_the_distance_of_first_order_from_second(learner: Learner, tasks: list[Task], kind: type[MAML]) -> None:
    one = pairs(tasks)[:1]
    algorithm = kind(inner_steps=2, inner_lr=RATE)
    algorithm.start(learner)
    found = algorithm.meta_gradient(one)["second_order_share"]
    both = kind(inner_steps=2, inner_lr=RATE, order="first"), kind(inner_steps=2, inner_lr=RATE)
    assert found == pytest.approx(share(both, learner, one), rel=1e-6)


def test_a_small_rate_has_a_small_share_and_a_small_move(learner: Learner, tasks: list[Task]) -> None:
    logs = []
    for rate in (1e-4, 1e-3):
        algorithm = MAML(inner_steps=1, inner_lr=rate)
        algorithm.start(learner)
        logs.append(algorithm.meta_gradient(pairs(tasks)))
    for key in ("move", "second_order_share"):  # both proportional to the rate while it is small
        assert logs[1][key] == pytest.approx(10 * logs[0][key], rel=0.05), key


def test_first_order_has_no_second_order_share(learner: Learner, tasks: list[Task]) -> None:
    algorithm = MAMLAlign(inner_lr=RATE, order="first")
    algorithm.start(learner)
    log = algorithm.meta_gradient(tasks)
    assert {*TEACHER, *STUDENT} <= set(log)
    assert not [key for key in log if "second_order" in key]


def test_reptile_logs_how_far_it_went(learner: Learner, tasks: list[Task]) -> None:
    algorithm = Reptile(inner_steps=2, inner_lr=RATE)
    algorithm.start(learner)
    log = algorithm.meta_gradient(tasks[:1])
    f = learner.open(tasks[0])
    theta = f.restrict(learner.encoder.parameters())
    theta_j = adapt(f.loss_on(0, 1, 2), theta, 2, RATE, "first")
    assert log["move"] == pytest.approx(relative_move(theta, theta_j), rel=1e-9)
    assert set(log) == {"loss", "move"}


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        (MAML, {"keep_graphs": 0}),
        (MAML, {"dropout": True}),
        (ANIL, {}),
        (MAMLAlign, {}),
        (MAMLAlign, {"distill": "kl-losses", "student": "separate", "dropout": True}),
    ],
)
def test_looking_changes_no_parameter(
    tiny_model: Path, tasks: list[Task], kind: type[MAML], options: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Bit for bit, in float32, with everything that is measured and with nothing."""

    def train() -> dict[str, Tensor]:
        torch.manual_seed(0)
        learner = make_learner(tiny_model, "float32")
        algorithm = kind(inner_steps=2, inner_lr=RATE, outer_lr=1e-3, **options)
        algorithm.start(learner)
        for _ in range(2):
            algorithm.step(tasks if kind is MAMLAlign else pairs(tasks))
        return learner.encoder.parameters()

    looked = train()
    for name in ("at_start", "at_end"):
        monkeypatch.setattr(_Record, name, lambda self, name, gradient: None)
    monkeypatch.setattr("metasearch.algorithm.adaptation.Loop.query", lambda self, f, number, after: None)
    monkeypatch.setattr("metasearch.algorithm.adaptation.relative_move", lambda theta, theta_j: 0.0)
    blind = train()
    assert all(torch.equal(looked[name], blind[name]) for name in looked)
