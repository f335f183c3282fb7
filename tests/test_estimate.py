"""What a run will cost: passes counted against matrix products that torch counts, memory against what autograd keeps."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from metasearch import compose
from metasearch.algorithm import Learner, OuterLoop
from metasearch.core import MetaAlgorithm, Task
from metasearch.episodes import EpisodeStream, parse_mode
from metasearch.estimate import duration, estimate
from metasearch_plugins.algorithms.anil import ANIL
from metasearch_plugins.algorithms.fine_tune import FineTune
from metasearch_plugins.algorithms.maml import MAML
from metasearch_plugins.algorithms.maml_align import MAMLAlign
from metasearch_plugins.algorithms.meta_sgd import MetaSGD
from metasearch_plugins.algorithms.reptile import Reptile
from metasearch_plugins.encoders.triplet import TripletEncoder
from metasearch_plugins.losses.triplet import TripletLoss
from metasearch_plugins.samplers.random import RandomSampler
from tests.tiny import tiny_corpus


@pytest.fixture(scope="module")
def encoder(tiny_model: Path) -> TripletEncoder:
    return TripletEncoder(str(tiny_model))


@pytest.fixture(scope="module")
def task() -> Task:
    stream = EpisodeStream(tiny_corpus(), parse_mode("el_el -> el_ar -> el_hi").train, RandomSampler(6, 4, 3), 1, "train")
    return stream.task(0)


def counted(algorithm: OuterLoop, encoder: TripletEncoder, task: Task) -> tuple[float, float]:
    """Products with weights in a meta-gradient, as torch counts them (attention's are ``bmm``), and the passes that we count."""
    task = Task(task.index, task.phase, task.sets[: algorithm.sets or 3])
    algorithm.start(Learner(encoder, TripletLoss()))
    with FlopCounterMode(display=False) as counter:
        algorithm.meta_gradient([task])
    prepared = encoder.prepare(task.sets)
    tokens = [float(encoder.tokens(prepared, index) or 0) for index in range(len(task.sets))]
    products = counter.get_flop_counts()["Global"]
    return products[torch.ops.aten.mm] + products[torch.ops.aten.addmm], algorithm.cost(encoder, tokens).passes


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        (FineTune, {}),
        (MAML, {"keep_graphs": None, "inner_steps": 5}),
        (MAML, {"keep_graphs": 1, "inner_steps": 5}),
        (MAML, {"keep_graphs": 0, "inner_steps": 7}),
        (MAML, {"order": "first", "inner_steps": 5}),
        (MAMLAlign, {"keep_graphs": 1, "inner_steps": 5}),
        (MAMLAlign, {"keep_graphs": None, "inner_steps": 2}),
        (MAMLAlign, {"order": "first", "inner_steps": 2}),
        (MetaSGD, {"inner_steps": 2}),
        (Reptile, {"inner_steps": 3}),
        (ANIL, {"inner_steps": 3, "keep_graphs": 1}),
        (ANIL, {"inner_steps": 3, "keep_graphs": 0}),
    ],
)
def test_passes_are_what_torch_counts(
    encoder: TripletEncoder, task: Task, kind: type[OuterLoop], options: dict[str, Any]
) -> None:
    flops, passes = counted(kind(**options), encoder, task)
    weights = sum(p.numel() for name, p in encoder.parameters().items() if p.ndim == 2 and "embeddings" not in name)
    # Where some layers stay fixed, which products can be left out depends on which layer it is: counted by and large.
    assert flops / (2 * weights) == pytest.approx(passes, rel=0.1 if kind is ANIL else 0.03)


@pytest.mark.parametrize("detach", [True, False])
def test_passes_of_pools_are_what_torch_counts(encoder: TripletEncoder, detach: bool) -> None:
    mode = parse_mode("el_el -> el_ar -> el_{ar,el,hi}").train
    task = EpisodeStream(tiny_corpus(), mode, RandomSampler(6, 4, 3, versions=True), 1, "train").task(0)
    flops, passes = counted(MAMLAlign(distill="kl-pools", inner_steps=2, detach_teacher=detach), encoder, task)
    weights = sum(p.numel() for name, p in encoder.parameters().items() if p.ndim == 2 and "embeddings" not in name)
    assert flops / (2 * weights) == pytest.approx(passes, rel=0.03)


def test_the_default_is_one_gradient_a_set(encoder: TripletEncoder) -> None:
    class Other(MetaAlgorithm):
        def start(self, learner: Learner) -> None: ...

        def step(self, tasks: object) -> dict[str, float]:
            return {"loss": 0.0}

    cost = Other().cost(encoder, [10.0, 20.0])
    assert (cost.passes, cost.held_once, cost.held_twice) == (90.0, 20.0, 0.0)


def test_parts_and_graphs_trade_memory(encoder: TripletEncoder) -> None:
    tokens = [100.0, 50.0]
    whole = MAML(keep_graphs=None).cost(encoder, tokens)
    one = MAML(keep_graphs=1).cost(encoder, tokens)
    parts = MAML(keep_graphs=0, support_parts=4).cost(encoder, tokens)
    assert (whole.held_twice, one.held_twice, parts.held_twice) == (500.0, 100.0, 25.0)
    assert whole.passes < one.passes < parts.passes
    assert (
        MAML(keep_graphs=0, inner_steps=10).cost(encoder, tokens).held_twice
        == MAML(keep_graphs=0).cost(encoder, tokens).held_twice
    )


def words(tiny_model: Path, *more: str) -> tuple[str, ...]:
    return ("data.languages=[ar,de,el,hi]", f"encoder.model={tiny_model}", *more)


def test_more_work_is_estimated_as_more(tiny_model: Path) -> None:
    small = estimate(compose(*words(tiny_model, "train.tasks=4")))
    large = estimate(compose(*words(tiny_model, "train.tasks=40", "train.epochs=3", "data.fold=all")))
    assert small is not None
    assert large is not None
    assert (small.meta_batches, large.meta_batches) == (4, 330)
    assert small.device == "cpu"
    assert large.training > 20 * small.training
    assert large.scoring > small.scoring > 0
    assert "4 meta-batches" in str(small)


def test_without_training_there_is_only_scoring(tiny_model: Path) -> None:
    found = estimate(compose(*words(tiny_model, "algo=zero-shot")))
    assert found is not None
    assert (found.meta_batches, found.training) == (0, 0.0)
    assert "training" not in str(found)


def test_samplers_that_want_embeddings_get_some_without_encoding_everything(tiny_model: Path) -> None:
    found = estimate(compose(*words(tiny_model, "sampler=hard", "sampler.query=similar")))
    assert found is not None
    assert found.training > 0


def test_an_encoder_that_cannot_count_its_tokens_has_no_estimate(tiny_model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(TripletEncoder, "tokens", lambda self, prepared, index: None)
    assert estimate(compose(*words(tiny_model))) is None


def test_the_graphs_of_a_small_step_are_weighed(encoder: TripletEncoder, task: Task) -> None:
    """A product of a (3, 4) and a (4, 5) matrix keeps both for the way back; with its result, which is no part of it."""
    from metasearch.estimate import _graph_bytes

    a, b = torch.randn(3, 4, requires_grad=True), torch.randn(4, 5, requires_grad=True)
    assert _graph_bytes(lambda: (a @ b) * 2, [a, b]) == 0
    assert _graph_bytes(lambda: (a @ b) * 2, [a]) == 4 * 5 * 4
    assert _graph_bytes(lambda: (a @ b).sin(), [a, b]) == 3 * 5 * 4


def test_durations_are_read_at_a_glance() -> None:
    assert [duration(s) for s in (0.25, 59, 60, 3599, 7200)] == ["0.25 s", "59 s", "1 min 0 s", "1 h 0 min", "2 h 0 min"]
