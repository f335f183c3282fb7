"""Meta-algorithms on a tiny transformer in float64: exact gradients, limits, and who learns from what."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from metasearch.algorithm import Learner, adapt
from metasearch.core import PairEmbeddings, Task, TripletEmbeddings, differentiated_twice
from metasearch.episodes import EpisodeStream, parse_mode
from metasearch.errors import ConfigError, ModelError
from metasearch_plugins.algorithms import maml_align
from metasearch_plugins.algorithms.anil import ANIL
from metasearch_plugins.algorithms.fine_tune import FineTune
from metasearch_plugins.algorithms.maml import MAML
from metasearch_plugins.algorithms.maml_align import (
    MAMLAlign,
    X,
    Y,
    Z,
    kl_of_candidates,
    kl_of_losses,
    kl_of_pools,
    mse_of_losses,
)
from metasearch_plugins.algorithms.meta_sgd import MetaSGD
from metasearch_plugins.algorithms.reptile import Reptile
from metasearch_plugins.encoders import sentence_encoder
from metasearch_plugins.encoders.dual import DualEncoder
from metasearch_plugins.encoders.triplet import TripletEncoder
from metasearch_plugins.losses.cosine_mse import CosineMSE
from metasearch_plugins.losses.triplet import TripletLoss
from metasearch_plugins.samplers.random import RandomSampler
from tests.tiny import meta_gradient as gradient
from tests.tiny import tiny_corpus, tiny_pairs


@pytest.fixture
def learner(tiny_model: Path) -> Learner:
    encoder = TripletEncoder(str(tiny_model))
    encoder.to("cpu", "float64")
    return Learner(encoder, TripletLoss())


def make_tasks(count: int = 2, mode: str = "el_el -> el_ar -> el_{ar,el,hi}") -> list[Task]:
    stream = EpisodeStream(tiny_corpus(), parse_mode(mode).train, RandomSampler(3, 2, 2), seed=1, phase="train")
    return [stream.task(i) for i in range(count)]


def difference(a: dict[str, Tensor], b: dict[str, Tensor]) -> float:
    flat_a, flat_b = (torch.cat([t.flatten() for t in g.values()]) for g in (a, b))
    return float((flat_a - flat_b).norm() / flat_b.norm())


def by_finite_differences(value: Callable[[], float], theta: dict[str, Tensor], gradient: dict[str, Tensor]) -> float:
    """Relative error of <gradient, direction> against central differences, along a random direction."""
    generator = torch.Generator().manual_seed(5)
    direction = {n: torch.randn(p.shape, generator=generator, dtype=p.dtype) for n, p in theta.items()}
    step = 1e-6
    ends = []
    for sign in (1, -1):
        with torch.no_grad():
            for name, p in theta.items():
                p.add_(direction[name], alpha=sign * step)
        ends.append(value())
        with torch.no_grad():
            for name, p in theta.items():
                p.sub_(direction[name], alpha=sign * step)
    numeric = (ends[0] - ends[1]) / (2 * step)
    exact = float(sum((gradient[n] * direction[n]).sum() for n in theta))
    return abs(exact - numeric) / abs(numeric)


def test_meta_gradient_of_maml_by_finite_differences(learner: Learner) -> None:
    tasks = make_tasks(2, "el_el -> el_{ar,el}")
    algorithm = MAML(inner_steps=3, inner_lr=0.1)
    exact = gradient(algorithm, learner, tasks)

    def value() -> float:
        return algorithm.meta_gradient(tasks)["loss"] * len(tasks)

    assert by_finite_differences(value, algorithm.theta, exact) < 1e-5


@pytest.mark.parametrize("distill", ["kl", "kl-losses", "mse-losses"])
def test_meta_gradient_of_maml_align_by_finite_differences(learner: Learner, distill: str) -> None:
    tasks = make_tasks()
    options: dict[str, Any] = {"inner_steps": 2, "inner_lr": 0.1, "kd_weight": 3.0, "distill": distill, "detach_teacher": False}
    algorithm = MAMLAlign(**options)
    exact = gradient(algorithm, learner, tasks)

    def value() -> float:
        return algorithm.meta_gradient(tasks)["loss"] * len(tasks)

    assert by_finite_differences(value, algorithm.theta, exact) < 1e-5


@pytest.mark.parametrize("keep", [0, None])
def test_keeping_graphs_changes_memory_not_gradients(learner: Learner, keep: int | None) -> None:
    tasks = make_tasks()
    one = gradient(MAMLAlign(inner_steps=3, inner_lr=0.1, keep_graphs=1), learner, tasks)
    other = gradient(MAMLAlign(inner_steps=3, inner_lr=0.1, keep_graphs=keep), learner, tasks)
    assert difference(other, one) < 1e-10


def test_kd_weight_zero_gives_the_mean_of_two_mamls(learner: Learner) -> None:
    tasks = make_tasks()
    align = gradient(MAMLAlign(inner_steps=3, student_inner_steps=1, inner_lr=0.1, kd_weight=0.0), learner, tasks)
    teacher_tasks = [replace(t, sets=(t.sets[X], t.sets[Y])) for t in tasks]
    student_tasks = [replace(t, sets=(t.sets[Y], t.sets[Z])) for t in tasks]
    teacher = gradient(MAML(inner_steps=3, inner_lr=0.1), learner, teacher_tasks)
    student = gradient(MAML(inner_steps=1, inner_lr=0.1), learner, student_tasks)
    mean = {n: (teacher[n] + student[n]) / 2 for n in teacher}
    assert difference(align, mean) < 1e-12


def test_an_inner_rate_of_zero_gives_plain_training_on_the_query_sets(learner: Learner) -> None:
    tasks = make_tasks(2, "el_el -> el_{ar,el}")
    maml = gradient(MAML(inner_steps=5, inner_lr=0.0), learner, tasks)
    fine_tune = gradient(FineTune(), learner, [replace(t, sets=(t.sets[1],)) for t in tasks])
    # MAML sums over tasks, fine-tuning is a mean over examples.
    assert difference(maml, {n: 2 * g for n, g in fine_tune.items()}) < 1e-12


def test_student_inner_steps_move_the_student(learner: Learner) -> None:
    tasks = make_tasks(1)
    losses = []
    for steps in (0, 1, 3):
        algorithm = MAMLAlign(inner_lr=0.5, student_inner_steps=steps, outer_lr=0.0)
        algorithm.start(learner)
        losses.append(algorithm.step(tasks))
    assert len({log["student_loss"] for log in losses}) == 3
    assert len({log["teacher_loss"] for log in losses}) == 1


def test_first_order_differs_from_second_where_it_should(learner: Learner) -> None:
    tasks = make_tasks()
    second = gradient(MAMLAlign(inner_lr=0.3), learner, tasks)
    first = gradient(MAMLAlign(inner_lr=0.3, order="first"), learner, tasks)
    assert difference(first, second) > 1e-3
    second = gradient(MAMLAlign(inner_lr=0.0), learner, tasks)
    first = gradient(MAMLAlign(inner_lr=0.0, order="first"), learner, tasks)
    assert difference(first, second) < 1e-12


def test_the_students_support_set_is_the_teachers_query_set(learner: Learner, monkeypatch: pytest.MonkeyPatch) -> None:
    """By identity: one object, tokenised once, embedded by both."""
    task = make_tasks(1)[0]
    assert task.query is task.sets[Y]
    f = learner.open(task)
    embedded: list[object] = []
    original = type(learner.encoder).embed

    def spy(self: Any, params: Any, prepared: Any, index: int) -> Any:
        embedded.append(prepared.sets[index])
        return original(self, params, prepared, index)

    monkeypatch.setattr(type(learner.encoder), "embed", spy)
    theta = f.restrict(learner.encoder.parameters())
    f.loss_on(Y)[0](theta)  # the student's inner loss
    f.embed(theta, Y)  # the teacher's query
    assert embedded[0] is embedded[1]


def test_a_detached_teacher_is_not_taught_by_the_distillation_loss(learner: Learner) -> None:
    """With a student of its own, theta's gradient must not depend on kd_weight, unless the teacher is not detached."""
    tasks = make_tasks()
    for distill in ("kl", "kl-losses", "mse-losses"):
        for detach, same in ((True, True), (False, False)):
            options: dict[str, Any] = {"student": "separate", "inner_lr": 0.1, "distill": distill, "detach_teacher": detach}
            low = gradient(MAMLAlign(kd_weight=0.0, **options), learner, tasks)
            high = gradient(MAMLAlign(kd_weight=100.0, **options), learner, tasks)
            assert (difference(high, low) < 1e-12) is same, (distill, detach)


def test_a_separate_student_is_what_the_encoder_becomes(learner: Learner) -> None:
    before = {n: p.detach().clone() for n, p in learner.encoder.parameters().items()}
    algorithm = MAMLAlign(student="separate", outer_lr=0.0, student_outer_lr=1e-3, inner_lr=0.1)
    algorithm.start(learner)
    algorithm.step(make_tasks())
    after = learner.encoder.parameters()
    assert any(not torch.equal(after[n], before[n]) for n in before)  # the student moved
    assert all(torch.equal(algorithm.theta[n], before[n]) for n in before)  # the teacher's rate is 0


def test_one_step_lowers_the_loss_it_descends(learner: Learner) -> None:
    tasks = make_tasks()
    for algorithm in (MAMLAlign(outer_lr=1e-3, inner_lr=0.1), MAML(outer_lr=1e-3), FineTune(outer_lr=1e-3)):
        algorithm.start(learner)
        losses = [algorithm.step(tasks)["loss"] for _ in range(3)]
        assert losses[-1] < losses[0]


def test_state_round_trip_continues_as_if_nothing_happened(tiny_model: Path) -> None:
    def make() -> MAMLAlign:
        encoder = TripletEncoder(str(tiny_model))
        encoder.to("cpu", "float64")
        algorithm = MAMLAlign(outer_lr=1e-3, inner_lr=0.1, student="separate")
        algorithm.start(Learner(encoder, TripletLoss()))
        return algorithm

    tasks = make_tasks(4)
    one, other = make(), make()
    one.step(tasks[:2])
    other.load_state_dict(one.state_dict())
    assert one.step(tasks[2:]) == other.step(tasks[2:])
    assert all(torch.equal(one.theta_student[n], other.theta_student[n]) for n in one.theta_student)


def test_distillation_losses_by_hand() -> None:
    a, b = torch.tensor([0.5, 1.0]), torch.tensor([0.2, 0.1])
    assert mse_of_losses(a, b).item() == pytest.approx(1.2**2)
    p, q = a.softmax(0), b.softmax(0)
    assert kl_of_losses(a, b).item() == pytest.approx((p * (p / q).log()).sum().item())
    assert kl_of_losses(a, a).item() == pytest.approx(0.0, abs=1e-7)
    assert set(maml_align.BATCH_DISTILL) == {"kl-losses", "mse-losses"}


def pools(seed: int, own: Sequence[Sequence[bool]]) -> TripletEmbeddings:
    """Two anchors; columns 0, 1 answer the first, 2, 3 the second, 4 none."""
    generator = torch.Generator().manual_seed(seed)
    question, pool = (torch.randn(n, 3, generator=generator, dtype=torch.float64) for n in (2, 5))
    wrong = torch.tensor([[False, False, True, True, True], [True, True, False, False, True]])
    return TripletEmbeddings(
        question, pool[[0, 2]], pool[4].expand(2, 1, 3), pool, torch.tensor([0, 2]), wrong, own=torch.tensor(own)
    )


def test_kl_of_pools_by_hand() -> None:
    own = [[True, False, True, False, True], [False, True, False, True, False]]  # anchors in different languages
    teacher, student = pools(0, own), pools(1, own)
    assert teacher.pool is not None
    assert student.pool is not None
    expected = 0.0
    for i, mine in enumerate(([0, 2], [1, 3])):
        scores = [math.exp(float(teacher.question[i] @ teacher.pool[c]) / 0.7) for c in mine]
        goal = [s / sum(scores) / 2 for s in scores for _ in range(2)]  # two versions of each answer
        found = [math.exp(float(student.question[i] @ student.pool[c]) / 0.7) for c in range(4)]
        expected += sum(g * math.log(g * sum(found) / f) for g, f in zip(goal, found, strict=True)) / 2
    assert kl_of_pools(teacher, student, 0.7).item() == pytest.approx(expected, rel=1e-9)


def test_kl_of_pools_is_nought_for_a_student_that_ranks_so_in_every_language() -> None:
    own = [[True, False, True, False, True]] * 2
    teacher = pools(0, own)
    assert teacher.pool is not None
    same = teacher.pool[[0, 0, 2, 2, 4]]
    student = replace(teacher, pool=same)
    assert kl_of_pools(teacher, student, 0.1).item() == pytest.approx(0, abs=1e-12)
    assert kl_of_pools(teacher, pools(1, own), 0.1).item() > 0.01


def test_kl_of_pools_wants_answers_in_the_questions_language() -> None:
    with pytest.raises(ConfigError, match="sampler.versions=true"):
        kl_of_pools(pools(0, [[False] * 5] * 2), pools(1, [[False] * 5] * 2), 0.1)


def test_pools_are_for_questions(learner: Learner, tiny_model: Path) -> None:
    MAMLAlign(distill="kl-pools").check(learner.encoder, learner.loss)
    with pytest.raises(ConfigError, match="not for sentence pairs"):
        MAMLAlign(distill="kl-pools").check(DualEncoder(str(tiny_model)), CosineMSE())


def test_kl_of_candidates_by_hand() -> None:
    def one(positive: float, negative: float) -> TripletEmbeddings:
        q = torch.tensor([[1.0, 0.0]])
        return TripletEmbeddings(q, torch.tensor([[positive, 1.0]]), torch.tensor([[[negative, 2.0]]]))

    teacher, student = one(0.3, 0.1), one(0.2, 0.2)
    p = 1 / (1 + math.exp(-(0.3 - 0.1) / 0.05))
    expected = p * math.log(p / 0.5) + (1 - p) * math.log((1 - p) / 0.5)
    assert kl_of_candidates(teacher, student, 0.05).item() == pytest.approx(expected, rel=1e-5)


def test_a_backbone_without_second_derivatives_is_explained(learner: Learner, monkeypatch: pytest.MonkeyPatch) -> None:
    """Fused attention kernels have none on the CPU; when eager attention cannot be had, the message says what to do."""
    monkeypatch.setattr(sentence_encoder, "is_differentiated_twice", lambda: False)
    learner.encoder.to("cpu", "float32")
    algorithm = MAML(inner_lr=0.1)
    algorithm.start(learner)
    with pytest.raises(ModelError, match="algo.order=first"):
        algorithm.step(make_tasks(1, "el_el -> el_ar"))


# -- Reptile, Meta-SGD, ANIL -----------------------------------------------------------------------------------------------


def test_reptile_with_one_step_is_the_gradient_of_the_mean_loss(learner: Learner) -> None:
    tasks = make_tasks(2, "el_el -> el_ar")
    ours = gradient(Reptile(inner_steps=1, inner_lr=0.1), learner, tasks)
    theta = learner.encoder.parameters()
    functions = [learner.open(task) for task in tasks]
    # 3 support and 2 query examples, all of the same weight.
    loss = torch.stack([f.loss(f.restrict(theta), n) * (3, 2)[n] / 10 for f in functions for n in (0, 1)]).sum()
    plain = torch.autograd.grad(loss, list(theta.values()), allow_unused=True, materialize_grads=True)
    dense = {n: g.to_dense() if g.is_sparse else g for n, g in zip(theta, plain, strict=True)}
    assert difference(ours, dense) < 1e-9


def test_reptile_moves_along_the_way_that_the_steps_went(learner: Learner) -> None:
    (task,) = make_tasks(1, "el_el -> el_ar")
    ours = gradient(Reptile(inner_steps=3, inner_lr=0.2), learner, [task])
    f = learner.open(task)
    theta = {n: p.detach().clone().requires_grad_() for n, p in f.restrict(learner.encoder.parameters()).items()}
    start = {n: p.detach().clone() for n, p in theta.items()}
    for _ in range(3):
        g = torch.autograd.grad(0.6 * f.loss(theta, 0) + 0.4 * f.loss(theta, 1), list(theta.values()), allow_unused=True)
        theta = {n: (p - 0.2 * d).detach().requires_grad_() for (n, p), d in zip(theta.items(), g, strict=True)}
    for name in theta:
        if "word_embeddings" not in name:
            torch.testing.assert_close(ours[name], (start[name] - theta[name]).detach() / 0.6, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("rates", ["parameter", "tensor"])
def test_meta_sgd_starts_as_maml_and_its_rates_have_the_exact_gradient(learner: Learner, rates: str) -> None:
    tasks = make_tasks(1, "el_el -> el_ar")
    sgd = MetaSGD(inner_steps=2, inner_lr=0.1, rates=rates)
    ours = gradient(sgd, learner, tasks)
    assert difference(ours, gradient(MAML(inner_steps=2, inner_lr=0.1), learner, tasks)) < 1e-9

    f = learner.open(tasks[0])
    theta = f.restrict(learner.encoder.parameters())

    def value() -> float:
        own = f.restrict(sgd.alpha) if rates == "parameter" else sgd.alpha
        return f.loss(adapt(f.loss_on(0), theta, 2, own), 1).item()

    found = {n: (a.grad.to_dense() if a.grad.is_sparse else a.grad) for n, a in sgd.alpha.items() if a.grad is not None}
    assert len(found) == len(sgd.alpha)
    assert by_finite_differences(value, {n: sgd.alpha[n] for n in found}, found) < 1e-5


def test_meta_sgd_learns_its_rates_and_restores_them(learner: Learner) -> None:
    tasks = make_tasks(2, "el_el -> el_ar")
    algorithm = MetaSGD(inner_steps=1, inner_lr=0.1, rates="tensor", rate_lr=0.01)
    algorithm.start(learner)
    before = {n: a.item() for n, a in algorithm.alpha.items()}
    log = algorithm.step(tasks)
    moved = [n for n, a in algorithm.alpha.items() if a.item() != before[n]]
    assert len(moved) > len(before) / 2
    assert log["mean_inner_lr"] == pytest.approx(0.1, abs=1e-9)  # of the rates that the step used
    state = {k: v if k == "optimizer" else {n: t.clone() for n, t in v.items()} for k, v in algorithm.state_dict().items()}
    other = MetaSGD(inner_steps=1, inner_lr=0.1, rates="tensor", rate_lr=0.01)
    other.start(learner)
    other.load_state_dict(state)
    assert {n: a.item() for n, a in other.alpha.items()} == {n: a.item() for n, a in algorithm.alpha.items()}


def test_anil_adapts_the_last_layer_only_but_learns_everything(learner: Learner) -> None:
    (task,) = make_tasks(1, "el_el -> el_ar")
    algorithm = ANIL(inner_steps=2, inner_lr=0.5)
    ours = gradient(algorithm, learner, [task])
    f = learner.open(task)
    theta = f.restrict(learner.encoder.parameters())
    adapted = algorithm.adapt(f, 0, theta, 2)
    moved = {name for name in theta if not torch.equal(theta[name], adapted[name])}
    assert moved
    assert all(".layer.1." in name for name in moved)
    assert ours[next(n for n in ours if ".layer.0." in n and n.endswith("query.weight"))].norm() > 0
    # Exact: the same as unrolling by hand, with everything but the last layer held fixed inside.
    last = [n for n in theta if ".layer.1." in n]
    params = dict(theta)
    for _ in range(2):
        with differentiated_twice():
            loss = f.loss(params, 0)
        g = torch.autograd.grad(loss, [params[n] for n in last], create_graph=True)
        params = {**params, **{n: params[n] - 0.5 * d for n, d in zip(last, g, strict=True)}}
    own = learner.encoder.parameters()
    plain = torch.autograd.grad(f.loss(params, 1), list(own.values()), allow_unused=True, materialize_grads=True)
    dense = {n: g.to_dense() if g.is_sparse else g for n, g in zip(own, plain, strict=True)}
    assert difference(ours, dense) < 1e-9


def test_more_layers_than_there_are(learner: Learner) -> None:
    with pytest.raises(ConfigError, match=r"algo.inner_layers=3: the encoder has 2 transformer layers"):
        ANIL(inner_layers=3).start(learner)


# -- sentence pairs --------------------------------------------------------------------------------------------------------


def test_maml_align_on_sentence_pairs_has_the_exact_gradient(tiny_model: Path) -> None:
    encoder = DualEncoder(str(tiny_model))
    encoder.to("cpu", "float64")
    learner = Learner(encoder, CosineMSE())
    stream = EpisodeStream(tiny_pairs(), parse_mode("ar_ar -> ar_de -> ar_{ar,de}").train, RandomSampler(3, 2), 1, "train")
    task = stream.task(0)
    algorithm = MAMLAlign(inner_steps=2, student_inner_steps=1, inner_lr=0.5, kd_weight=0.7, detach_teacher=False)
    ours = gradient(algorithm, learner, [task])
    theta = encoder.parameters()

    def value() -> float:
        f = learner.open(task)
        teacher = adapt(f.loss_on(X), f.restrict(theta), 2, 0.5)
        student = adapt(f.loss_on(Y), f.restrict(theta), 1, 0.5)
        kd = kl_of_candidates(f.embed(teacher, Y), f.embed(student, Y), 0.05, detach_teacher=False)
        return ((f.loss(teacher, Y) + f.loss(student, Z)) / 2 + 0.7 * kd).item()

    assert by_finite_differences(value, theta, ours) < 1e-5


def test_similarities_of_pairs_are_one_distribution_over_the_batch() -> None:
    first = torch.tensor([[1.0, 0.0], [0.0, 2.0]])
    embeddings = PairEmbeddings(first, torch.tensor([[1.0, 0.0], [1.0, 1.0]]), torch.tensor([1.0, 0.5]))
    assert embeddings.similarities().shape == (1, 2)
    torch.testing.assert_close(embeddings.similarities()[0], torch.tensor([1.0, 0.5**0.5]))


def test_half_the_outer_rate_moves_half_as_far(learner: Learner) -> None:
    """AdamW's first step has the length of the rate in every coordinate."""
    task = make_tasks(1, "el_el -> el_ar")[0]
    start = {n: p.detach().clone() for n, p in learner.encoder.parameters().items()}
    moves = []
    for share in (1.0, 0.5):
        learner.encoder.load_parameters(start)
        algorithm = FineTune(outer_lr=1e-3)
        algorithm.start(learner)
        algorithm.scale_rate(share)
        algorithm.step([task])
        moves.append({n: p.detach() - start[n] for n, p in learner.encoder.parameters().items()})
    assert any(move.abs().max() > 1e-4 for move in moves[0].values())
    for name, move in moves[0].items():
        torch.testing.assert_close(moves[1][name], move / 2, rtol=1e-6, atol=1e-12)
