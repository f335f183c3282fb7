"""Every knob of the inner loop against the plain thing in float64: everything unrolled, every text padded, the whole token table.

The reference here shares nothing with ours but the model and its tokenizer: triplets are flattened, each text is encoded as often
as it occurs, one forward pass a side, and every step is ``torch.autograd.grad(..., create_graph=True)`` on all parameters.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from metasearch.algorithm import Learner
from metasearch.core import Task
from metasearch.episodes import EpisodeStream, parse_mode
from metasearch_plugins.algorithms.anil import ANIL
from metasearch_plugins.algorithms.maml import MAML
from metasearch_plugins.algorithms.maml_align import MAMLAlign, X, Y, Z
from metasearch_plugins.algorithms.meta_sgd import MetaSGD
from metasearch_plugins.encoders import sentence_encoder
from metasearch_plugins.encoders.triplet import TripletEncoder
from metasearch_plugins.losses.triplet import TripletLoss
from metasearch_plugins.samplers.random import RandomSampler
from tests.tiny import meta_gradient as ours
from tests.tiny import tiny_corpus

Params = Mapping[str, Tensor]
RATE = 0.1
needs_learn2learn = pytest.mark.skipif(
    importlib.util.find_spec("learn2learn") is None, reason="learn2learn is not installed; `make learn2learn` does it"
)


class Plain:
    """Losses and gradients of a task without any of our savings."""

    def __init__(self, encoder: TripletEncoder) -> None:
        self.encoder = encoder
        self.theta = encoder.parameters()
        encoder.transformer.set_attn_implementation("eager")

    def embed(self, params: Params, task: Task, number: int) -> list[Tensor]:
        triplets = [t for e in task.sets[number].examples for t in e.triplets()]
        texts = {
            "query": [t.question.text for t in triplets],
            "candidate": [t.positive.text for t in triplets] + [t.negative.text for t in triplets],
        }
        rows = []
        for side, of_side in texts.items():
            model = self.encoder.model
            features = model.preprocess(of_side, prompt=self.encoder.prompts[side], max_length=self.encoder.max_length[side])  # type: ignore[index]
            rows.append(torch.func.functional_call(model, dict(params), (features,))["sentence_embedding"])
        return [rows[0], *rows[1].chunk(2)]

    def loss(self, params: Params, task: Task, number: int) -> Tensor:
        q, p, n = self.embed(params, task, number)
        near, far = (((q - c).pow(2).sum(-1) + 1e-12).sqrt() for c in (p, n))
        return torch.relu(near - far + 1).mean()

    def similarities(self, params: Params, task: Task, number: int) -> Tensor:
        """``(m, 1 + r)`` from the flattened triplets."""
        q, p, n = self.embed(params, task, number)
        m = len(task.sets[number])
        positive = (q * p).sum(-1).reshape(m, -1)[:, :1]
        return torch.cat([positive, (q * n).sum(-1).reshape(m, -1)], dim=1)

    def adapt(
        self, theta: Params, task: Task, number: int, steps: int, rates: Params | float = RATE, first_order: bool = False
    ) -> Params:
        for _ in range(steps):
            found = torch.autograd.grad(
                self.loss(theta, task, number),
                list(theta.values()),
                create_graph=not first_order,
                allow_unused=True,
                materialize_grads=True,
            )
            moved = {}
            for (name, p), g in zip(theta.items(), found, strict=True):
                rate = rates if isinstance(rates, float) else rates.get(name)
                moved[name] = p if rate is None else p - rate * g
            theta = moved
        return theta

    def gradient(self, loss: Tensor) -> dict[str, Tensor]:
        found = torch.autograd.grad(loss, list(self.theta.values()), allow_unused=True, materialize_grads=True)
        return dict(zip(self.theta, found, strict=True))

    def maml(self, tasks: list[Task], steps: int, **options: Any) -> dict[str, Tensor]:
        losses = [self.loss(self.adapt(self.theta, t, X, steps, **options), t, Y) for t in tasks]
        return self.gradient(torch.stack(losses).sum())

    def maml_align(self, tasks: list[Task], distill: str, detach: bool, first_order: bool = False) -> dict[str, Tensor]:
        total = torch.zeros((), dtype=torch.float64)
        on_y: list[tuple[Tensor, Tensor]] = []
        for task in tasks:
            teacher = self.adapt(self.theta, task, X, 3, first_order=first_order)
            student = self.adapt(self.theta, task, Y, 2, first_order=first_order)
            total = total + (self.loss(teacher, task, Y) + self.loss(student, task, Z)) / 2
            if distill == "kl":
                p, q = ((self.similarities(w, task, Y) / 0.05).log_softmax(-1) for w in (teacher, student))
                p = p.detach() if detach else p
                total = total + 0.5 * (p.exp() * (p - q)).sum(-1).mean()
            else:
                on_y.append((self.loss(teacher, task, Y), self.loss(student, task, Y)))
        if on_y:
            t, s = (torch.stack(column) for column in zip(*on_y, strict=True))
            t = t.detach() if detach else t
            kl = F.kl_div(s.log_softmax(0), t.log_softmax(0), reduction="sum", log_target=True)
            total = total + 0.5 * (kl if distill == "kl-losses" else (t.sum() - s.sum()) ** 2)
        return self.gradient(total)


def make_learner(tiny_model: Path, precision: str = "float64") -> Learner:
    encoder = TripletEncoder(str(tiny_model))
    encoder.to("cpu", precision)
    return Learner(encoder, TripletLoss())


@pytest.fixture
def learner(tiny_model: Path) -> Learner:
    return make_learner(tiny_model)


@pytest.fixture
def plain(tiny_model: Path) -> Plain:
    encoder = make_learner(tiny_model).encoder
    assert isinstance(encoder, TripletEncoder)
    return Plain(encoder)


@pytest.fixture(scope="module")
def tasks() -> list[Task]:
    # Few articles, so that texts are shared between anchors.
    stream = EpisodeStream(tiny_corpus(4), parse_mode("el_el -> el_ar -> el_{ar,el}").train, RandomSampler(5, 3, 2), 1, "train")
    return [stream.task(i) for i in range(2)]


def error(found: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> float:
    a, b = (torch.cat([g[name].flatten() for name in expected]) for g in (found, expected))
    return float((a - b).norm() / b.norm())


def pairs(tasks: list[Task]) -> list[Task]:
    return [Task(t.index, t.phase, t.sets[:2]) for t in tasks]


@pytest.mark.parametrize("parts", [1, 2, 3, 99])
@pytest.mark.parametrize("keep", [0, 1, 2, None])
def test_maml_with_every_knob_equals_plain_unrolling(
    learner: Learner, plain: Plain, tasks: list[Task], keep: int | None, parts: int
) -> None:
    two = pairs(tasks)
    found = ours(MAML(inner_steps=3, inner_lr=RATE, keep_graphs=keep, support_parts=parts), learner, two)
    assert error(found, plain.maml(two, 3)) < 1e-9


def test_more_steps_than_points_are_held_equal_plain_unrolling(learner: Learner, plain: Plain, tasks: list[Task]) -> None:
    one = pairs(tasks)[:1]
    assert error(ours(MAML(inner_steps=7, inner_lr=RATE, keep_graphs=0), learner, one), plain.maml(one, 7)) < 1e-9


@pytest.mark.parametrize("per_pass", [0, 24, 10**6])
def test_grouping_by_length_equals_padding_to_the_longest(
    learner: Learner, plain: Plain, tasks: list[Task], per_pass: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sentence_encoder._TOKENS_PER_PASS, "cpu", per_pass)
    two = pairs(tasks)
    assert error(ours(MAML(inner_steps=2, inner_lr=RATE), learner, two), plain.maml(two, 2)) < 1e-9


@pytest.mark.parametrize("parts", [1, 2])
def test_first_order_equals_plain_first_order(learner: Learner, plain: Plain, tasks: list[Task], parts: int) -> None:
    two = pairs(tasks)
    found = ours(MAML(inner_steps=3, inner_lr=RATE, order="first", support_parts=parts), learner, two)
    expected = plain.maml(two, 3, first_order=True)
    assert error(found, expected) < 1e-9
    assert error(found, plain.maml(two, 3)) > 1e-3  # and it is another thing than second order


@pytest.mark.parametrize("keep", [0, 1])
def test_layers_that_do_not_move_equal_plain_unrolling(learner: Learner, plain: Plain, tasks: list[Task], keep: int) -> None:
    two = pairs(tasks)
    algorithm = ANIL(inner_steps=2, inner_lr=RATE, inner_layers=1, keep_graphs=keep, support_parts=2)
    found = ours(algorithm, learner, two)
    moving = {name: torch.tensor(RATE, dtype=torch.float64) for name in algorithm.inner_names}
    assert 0 < len(moving) < len(plain.theta)
    assert error(found, plain.maml(two, 2, rates=moving)) < 1e-9


@pytest.mark.parametrize("rates", ["parameter", "tensor"])
@pytest.mark.parametrize("keep", [0, None])
def test_learned_rates_equal_plain_unrolling(
    learner: Learner, plain: Plain, tasks: list[Task], rates: str, keep: int | None
) -> None:
    two = pairs(tasks)
    algorithm = MetaSGD(inner_steps=2, inner_lr=RATE, rates=rates, keep_graphs=keep, support_parts=2)
    found = ours(algorithm, learner, two)
    alpha = {n: torch.full_like(a, RATE, requires_grad=True) for n, a in algorithm.alpha.items()}
    losses = [plain.loss(plain.adapt(plain.theta, t, X, 2, alpha), t, Y) for t in two]
    both = {**plain.theta, **{f"alpha {n}": a for n, a in alpha.items()}}
    expected = torch.autograd.grad(torch.stack(losses).sum(), list(both.values()), allow_unused=True, materialize_grads=True)
    for name, a in algorithm.alpha.items():
        g = torch.zeros_like(a) if a.grad is None else a.grad
        found[f"alpha {name}"] = g.to_dense() if g.is_sparse else g
    assert error(found, dict(zip(both, expected, strict=True))) < 1e-9


@pytest.mark.parametrize("detach", [True, False])
@pytest.mark.parametrize("distill", ["kl", "kl-losses", "mse-losses"])
@pytest.mark.parametrize(("keep", "parts"), [(0, 1), (1, 2), (None, 1)])
def test_maml_align_with_every_distillation_equals_plain_unrolling(
    learner: Learner, plain: Plain, tasks: list[Task], distill: str, detach: bool, keep: int | None, parts: int
) -> None:
    algorithm = MAMLAlign(
        inner_steps=3,
        student_inner_steps=2,
        inner_lr=RATE,
        distill=distill,
        detach_teacher=detach,
        keep_graphs=keep,
        support_parts=parts,
    )
    assert error(ours(algorithm, learner, tasks), plain.maml_align(tasks, distill, detach)) < 1e-9


def test_the_token_tables_meta_gradient_is_sparse_until_the_update(learner: Learner, tasks: list[Task]) -> None:
    algorithm = MAML(inner_steps=2, inner_lr=RATE)
    algorithm.start(learner)
    algorithm.meta_gradient(pairs(tasks))
    encoder = learner.encoder
    assert isinstance(encoder, TripletEncoder)
    assert encoder.table is not None
    gradient = algorithm.theta[encoder.table[0]].grad
    assert gradient is not None
    assert gradient.is_sparse


# -- learn2learn -----------------------------------------------------------------------------------------------------------


@needs_learn2learn
@pytest.mark.parametrize(("precision", "rate", "bound"), [("float64", RATE, 1e-9), ("float32", 1e-3, 1e-5)])
@pytest.mark.parametrize(
    "options",
    [{}, {"order": "first"}, {"support_parts": 2}],
    ids=["second order", "first order", "parts"],
)
def test_learn2learn_gives_the_same_meta_gradient(
    tiny_model: Path, tasks: list[Task], options: dict[str, Any], precision: str, rate: float, bound: float
) -> None:
    learner = make_learner(tiny_model, precision)
    for cls, given in ((MAML, pairs(tasks)), (ANIL, pairs(tasks)), (MAMLAlign, tasks)):
        made = {b: cls(inner_lr=rate, inner_steps=3, backend=b, **options) for b in ("metasearch", "learn2learn")}
        found = {backend: ours(algorithm, learner, given) for backend, algorithm in made.items()}
        assert error(found["metasearch"], found["learn2learn"]) < bound, cls


@needs_learn2learn
def test_learn2learns_own_way_gives_the_same_meta_gradient(learner: Learner, plain: Plain, tasks: list[Task]) -> None:
    """The library as its own documentation uses it: around the module, cloned, adapted."""
    from metasearch.algorithm import learn2learn_backend

    model = plain.encoder.model
    unused = [p.requires_grad_(False) for n, p in model.named_parameters() if n not in plain.theta]
    maml = learn2learn_backend.load().MAML(model, lr=RATE, allow_nograd=bool(unused), allow_unused=True)
    task = pairs(tasks)[0]
    clone = maml.clone()

    def loss(number: int) -> Tensor:
        return plain.loss(dict(clone.module.named_parameters()), task, number)

    for _ in range(3):
        clone.adapt(loss(X))
    expected = plain.gradient(loss(Y))
    assert error(ours(MAML(inner_steps=3, inner_lr=RATE), learner, [task]), expected) < 1e-9
