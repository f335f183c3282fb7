"""The contracts of metasearch.testing: every shipped component keeps them, and each finds what is wrong."""

from __future__ import annotations

import copy
import dataclasses
import random
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from metasearch import Component, compose, hookimpl
from metasearch.core import (
    CANDIDATE,
    Corpus,
    Dataset,
    Encoder,
    ExampleSet,
    Index,
    Loss,
    MetaAlgorithm,
    PairCorpus,
    PairMetric,
    RankingMetric,
    Task,
)
from metasearch.errors import DataError
from metasearch.registry import KINDS, Registry
from metasearch.testing import (
    check_algorithm,
    check_component,
    check_dataset,
    check_encoder,
    check_index,
    check_loss,
    check_metric,
    check_sampler,
    tiny_corpus,
    tiny_pairs,
    tiny_task,
)
from metasearch_plugins.algorithms.fine_tune import FineTune
from metasearch_plugins.algorithms.maml import MAML
from metasearch_plugins.encoders.bm25 import BM25Encoder
from metasearch_plugins.encoders.triplet import TripletEncoder
from metasearch_plugins.losses.infonce import Cached, InfoNCE
from metasearch_plugins.losses.triplet import TripletLoss
from metasearch_plugins.samplers.random import RandomSampler
from tests.test_registry import shipped

pytest_plugins = ["metasearch.testing"]

CHECKS: dict[str, Callable[[Any], None]] = {
    "encoder": check_encoder,
    "algo": check_algorithm,
    "sampler": check_sampler,
    "loss": check_loss,
    "data": check_dataset,
    "metric": check_metric,
    "index": check_index,
}
SHIPPED = list(Registry(shipped()))
NEEDS_FILES = {"xquad-r", "sts2017", "stsb", "beir", "pairs", "scored-pairs"}


@pytest.mark.parametrize("item", SHIPPED, ids=lambda item: f"{item.kind}={item.name}")
def test_shipped_components_keep_their_contracts(item: Any, metasearch_tiny_model: Path) -> None:
    check_component(item.kind, item.name)
    if item.kind == "data" and item.name in NEEDS_FILES:
        return  # what they load is tested beside their formats
    options = {"model": str(metasearch_tiny_model)} if "model" in item.component.options else {}
    CHECKS[item.kind](item.create(**options))


def test_there_is_a_contract_for_every_kind() -> None:
    assert set(CHECKS) == set(KINDS)


@pytest.mark.parametrize(
    ("kind", "name", "options"),
    [
        ("loss", "triplet", {"distance": "cosine"}),
        ("loss", "triplet", {"distance": "dot", "margin": 0.2}),
        ("algo", "maml", {"order": "first", "meta_batch_size": 2}),
        ("algo", "maml-align", {"student": "separate", "distill": "kl-losses"}),
        ("algo", "meta-sgd", {"rates": "tensor"}),
        ("sampler", "random", {"support_size": 3, "query": "similar", "negatives": "semi-hard", "cached_negatives": 5}),
        ("metric", "pearson", {"main": "spearman"}),
        ("metric", "map", {"cutoff": 1}),
        ("data", "mini", {"languages": ["en", "th"], "context": True}),
    ],
)
def test_options_keep_the_contracts_too(kind: str, name: str, options: dict[str, Any]) -> None:
    CHECKS[kind](Registry(shipped()).create(kind, name, **options))


# -- losses --------------------------------------------------------------------------------------------------------------


class OfRows(Loss):
    """A loss by a function of similarities ``(m, 1 + r)``."""

    mean_of_examples = True

    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        self.function = function

    def __call__(self, embeddings: Any) -> Tensor:
        return self.function(embeddings.similarities())


class NotMean(OfRows):
    mean_of_examples = False


class ForgottenCache(InfoNCE):
    needs_cached_negatives = True


class UndeclaredCache(Cached):
    needs_cached_negatives = False


class Refuses(torch.autograd.Function):
    """The identity, as kernels without a derivative are."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return x.clone()

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> Tensor:
        raise RuntimeError("derivative for aten::some_backward is not implemented")


class Once(torch.autograd.Function):
    """x^2 with a first derivative only."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return x * x

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> Tensor:
        return Refuses.apply(2 * ctx.saved_tensors[0] * g)


class Constant(Once):
    """x^2 whose gradient counts as a constant."""

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> Tensor:
        return (2 * ctx.saved_tensors[0] * g).detach()


@pytest.mark.parametrize(
    ("loss", "said"),
    [
        (OfRows(lambda s: s.mean(1)), "a loss returns a scalar"),
        (OfRows(lambda s: s.mean().float()), "keep the precision"),
        (OfRows(lambda s: s.mean() / 0), "finite number"),
        (OfRows(lambda s: s.mean() + random.random()), "differs from call to call"),  # noqa: S311
        (OfRows(lambda s: s.mean().detach()), "cut off"),
        (OfRows(lambda s: (s * s.detach()).mean()), "the gradient is wrong"),
        (OfRows(lambda s: Constant.apply(s).mean()), "the second derivative is wrong"),
        (OfRows(lambda s: Once.apply(s).mean()), "cannot be differentiated twice"),
        (OfRows(lambda s: (s.flatten() * torch.arange(s.numel())).mean()), "order of examples"),
        (OfRows(lambda s: 0 * s.mean()), "teaches nothing"),
        (OfRows(lambda s: s.mean() ** 2), "mean_of_examples is True"),
        (NotMean(lambda s: s.mean()), "set mean_of_examples = True"),
        (NotMean(lambda s: s.sum()), "the sum over examples"),
        (ForgottenCache(), "does not look at embeddings.cached"),
        (UndeclaredCache(), "set needs_cached_negatives = True"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_wrong_loss_is_found(loss: Loss, said: str) -> None:
    with pytest.raises(AssertionError, match=said):
        check_loss(loss)


# -- metrics -------------------------------------------------------------------------------------------------------------


class OfRanks(RankingMetric):
    """A measure by a function of ranks."""

    def __init__(self, function: Callable[[np.ndarray], np.ndarray], primary: str = "x") -> None:
        self.function = function
        self.name = primary

    @property
    def primary(self) -> str:
        return self.name

    def per_query(self, ranks: np.ndarray) -> dict[str, np.ndarray]:
        return {"x": self.function(ranks)}


class FirstRank(OfRanks):
    """Rank of the first relevant candidate. Range: 1 to infinity, lower is better."""

    higher_is_better = False


class Agreement(PairMetric):
    def __init__(self, function: Callable[[np.ndarray, np.ndarray], float]) -> None:
        self.function = function

    @property
    def primary(self) -> str:
        return "x"

    def of_pairs(self, predicted: np.ndarray, gold: np.ndarray) -> dict[str, float]:
        return {"x": self.function(predicted, gold)}


def correlation(a: np.ndarray, b: np.ndarray) -> float:
    a, b = a - a.mean(), b - b.mean()
    return float((a * b).sum() / max(np.sqrt((a * a).sum() * (b * b).sum()), 1e-12))


def reciprocal(ranks: np.ndarray) -> np.ndarray:
    return 1 / ranks[:, 0]


def test_metrics_that_are_right() -> None:
    check_metric(OfRanks(reciprocal))
    check_metric(FirstRank(lambda ranks: ranks[:, 0]))
    check_metric(Agreement(correlation))


@pytest.mark.parametrize(
    ("metric", "said"),
    [
        (OfRanks(reciprocal, "mrr"), "primary is 'mrr', but per_query returns x"),
        (OfRanks(lambda r: r[:, 0]), "expected 0 to 1"),
        (OfRanks(lambda r: 1 / r), "one value per query"),
        (OfRanks(lambda r: np.where(r[:, 0] > 20, np.nan, 1.0)), "finite score"),
        (OfRanks(lambda r: reciprocal(r) / reciprocal(r).max() * 0.9 + 0.1 * (len(r) > 1)), "alone as it does among others"),
        (OfRanks(lambda r: reciprocal(r) / r.shape[1]), "columns of inf"),
        (OfRanks(lambda r: 1 - reciprocal(r)), "scores better than the perfect one"),
        (OfRanks(lambda r: np.full(len(r), 0.5)), "must score better than one with every relevant candidate"),
        (OfRanks(lambda r: np.where(r[:, 0] == 1, 1.0, np.minimum(r[:, 0], 500) / 1000 * (r[:, 0] < 1e5))), "moves up"),
        (FirstRank(lambda r: 1e7 - r[:, 0]), "scores better than the perfect one"),
        (Agreement(lambda p, g: correlation(p, g) ** 2), "worse and worse"),
        (Agreement(lambda p, g: 0.5 * correlation(p, g)), "must score 1"),
        (Agreement(lambda p, g: 3 * correlation(p, g)), "expected -1 to 1"),
        (Agreement(lambda p, g: correlation(p[1:], g[:-1])), "order of pairs"),
        (Agreement(lambda p, g: float(np.corrcoef(p, g)[0, 1])), "must give NaN"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_wrong_metric_is_found(metric: Any, said: str) -> None:
    with pytest.raises(AssertionError, match=said):
        check_metric(metric)


# -- samplers ------------------------------------------------------------------------------------------------------------


class Changed(RandomSampler):
    """The random sampler, whose sets a function changes."""

    kinds = ("triplets",)

    def __init__(self, change: Callable[..., Any]) -> None:
        super().__init__(3, 2, 2)
        self.change = change

    def sample(self, corpus: Any, chain: Any, rng: Any) -> Any:
        sets, shortfall = super().sample(corpus, chain, rng)
        return self.change(sets, corpus), shortfall


def each(change: Callable[..., Any]) -> Callable[..., Any]:
    """Change every example."""
    return lambda sets, corpus: tuple(dataclasses.replace(s, examples=tuple(change(e, corpus) for e in s.examples)) for s in sets)


def wrong_answer(example: Any, corpus: Corpus) -> Any:
    """Another language's answer as a negative."""
    ids = [i for i in sorted(corpus.relevant[example.question.id]) if i != example.positive.id]
    answer = next(c for c in corpus.candidates if c.id == ids[0])
    return dataclasses.replace(example, negatives=(answer, *example.negatives[1:]))


def other_language(example: Any, corpus: Corpus) -> Any:
    negative = next(c for c in corpus.candidates_of["de"] if c.id not in corpus.relevant[example.question.id])
    return dataclasses.replace(example, negatives=(negative, *example.negatives[1:]))


def asked_again(sets: Any, corpus: Corpus) -> Any:
    """The first question of the support set in the query set too."""
    question, first = sets[0].examples[0].question, sets[1].examples[0]
    answer = corpus.answers[first.positive.language, question.id][0]
    relevant = corpus.relevant[question.id]
    negatives = tuple(n for n in corpus.candidates_of[answer.language] if n.id not in relevant)[: len(first.negatives)]
    again = dataclasses.replace(first, question=question, positive=answer, negatives=negatives, relevant=relevant)
    return (sets[0], dataclasses.replace(sets[1], examples=(again, *sets[1].examples[1:])), *sets[2:])


class Stateful(RandomSampler):
    """Goes on drawing from a generator of its own."""

    kinds = ("triplets",)

    def sample(self, corpus: Any, chain: Any, rng: Any) -> Any:
        self.rng = getattr(self, "rng", np.random.default_rng(0))
        return super().sample(corpus, chain, self.rng)


class GlobalRandom(RandomSampler):
    def sample(self, corpus: Any, chain: Any, rng: Any) -> Any:
        random.random()  # noqa: S311
        return super().sample(corpus, chain, rng)


class Fixed(RandomSampler):
    def sample(self, corpus: Any, chain: Any, rng: Any) -> Any:
        return super().sample(corpus, chain, np.random.default_rng(0))


class Runs(RandomSampler):
    """Takes an error of its own kind for a corpus that is too small."""

    def sample(self, corpus: Any, chain: Any, rng: Any) -> Any:
        try:
            return super().sample(corpus, chain, rng)
        except DataError as error:
            raise ValueError("low >= high") from error


@pytest.mark.parametrize(
    ("sampler", "said"),
    [
        (Changed(each(wrong_answer)), "answer it, if in another language"),
        (Changed(each(other_language)), "in a set whose link is"),
        (Changed(each(lambda e, c: dataclasses.replace(e, relevant=frozenset()))), "must hold every answer"),
        (Changed(each(lambda e, c: dataclasses.replace(e, positive=e.negatives[0]))), "does not answer"),
        (Changed(each(lambda e, c: dataclasses.replace(e, negatives=()))), "at least one negative"),
        (Changed(asked_again), "is in sets 0 and 1 of one task"),
        (Changed(lambda sets, c: sets[:1]), "one per link"),
        (Changed(lambda sets, c: tuple(ExampleSet(s.examples[:1], s.variant) for s in sets)), "the option asks for 3"),
        (Changed(lambda sets, c: tuple(ExampleSet(s.examples, "?") for s in sets)), "variant of set 0"),
        (Stateful(3, 2, 2), "must give the same task"),
        (GlobalRandom(3, 2, 2), "global generators"),
        (Fixed(3, 2, 2), "rng is not used"),
        (Runs(3, 2, 2), "must be a DataError"),
    ],
    ids=lambda value: value if isinstance(value, str) else type(value).__name__,
)
def test_a_wrong_sampler_is_found(sampler: Any, said: str) -> None:
    with pytest.raises(AssertionError, match=said):
        check_sampler(sampler)


# -- data sets -----------------------------------------------------------------------------------------------------------


class Given(Dataset):
    def __init__(self, corpus: Any) -> None:
        self.corpus = corpus

    def load(self) -> Any:
        return self.corpus() if callable(self.corpus) else self.corpus


class GivenPairs(Given):
    kind = "pairs"


def questions(**changed: Any) -> Corpus:
    """The tiny corpus with its first question changed."""
    corpus = tiny_corpus(2, 2, ("ar", "de"))
    first = dataclasses.replace(corpus.questions[0], **changed)
    return dataclasses.replace(corpus, questions=(first, *corpus.questions[1:]))


def candidates(**changed: Any) -> Corpus:
    corpus = tiny_corpus(2, 2, ("ar", "de"))
    first = dataclasses.replace(corpus.candidates[0], **changed)
    return dataclasses.replace(corpus, candidates=(first, *corpus.candidates[1:]))


def pairs(**changed: Any) -> PairCorpus:
    corpus = tiny_pairs(4)
    return dataclasses.replace(corpus, pairs=(dataclasses.replace(corpus.pairs[0], **changed), *corpus.pairs[1:]))


def test_data_sets_that_are_right() -> None:
    check_dataset(Given(questions()))
    check_dataset(GivenPairs(pairs()))


@pytest.mark.parametrize(
    ("dataset", "said"),
    [
        (GivenPairs(questions()), "kind is 'pairs', but load returns a corpus of 'triplets'"),
        (Given(Corpus("empty", (), (), {})), "the corpus is empty"),
        (Given(questions(text=" ")), "has no text"),
        (Given(questions(group="001")), "is in group '001' in one language"),
        (Given(questions(language="xx_yy")), "no language code"),
        (Given(questions(id="q000-1")), "must be unique"),
        (Given(dataclasses.replace(questions(), relevant={"gone": frozenset()})), "relevant names the question 'gone'"),
        (Given(dataclasses.replace(questions(), relevant={})), "no question has an answer"),
        (Given(candidates(id="ar-000-1")), "ids of candidates must be unique"),
        (Given(candidates(id="new")), "relevant names the candidate"),
        (Given(candidates(group="001")), "folds would part them"),
        (Given(lambda: questions(text=f"{random.random()}")), "loading twice"),  # noqa: S311
        (GivenPairs(pairs(score=3.5)), "scale it"),
        (GivenPairs(pairs(group="other")), "in one language and in"),
        (GivenPairs(pairs(id="001")), "must be unique"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_wrong_data_set_is_found(dataset: Any, said: str) -> None:
    with pytest.raises(AssertionError, match=said):
        check_dataset(dataset)


# -- indexes -------------------------------------------------------------------------------------------------------------


class Plain(Index):
    """Exact search in numpy; ``fault`` names what is wrong with it."""

    exact = True

    def __init__(self, fault: str = "") -> None:
        self.fault = fault
        self.vectors = np.zeros((0, 0), dtype=np.float32)

    def start(self, dimension: int, count: int, sample: np.ndarray) -> None:
        self.vectors = np.zeros((0, dimension), dtype=np.float32)

    def add(self, vectors: np.ndarray) -> None:
        blocks = [vectors, self.vectors] if self.fault == "order" else [self.vectors, vectors]
        self.vectors = np.concatenate(blocks)

    def search(self, queries: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        products = queries @ self.vectors.T
        if self.fault == "random":
            products = products + np.random.default_rng().normal(size=products.shape, scale=0.1)
        order = np.argsort(products if self.fault == "worst" else -products, axis=1, kind="stable")[:, :k]
        scores = np.take_along_axis(products, order, axis=1)
        short = max(0, k - order.shape[1])
        fill = 0 if self.fault == "padding" else -1
        order = np.pad(order, ((0, 0), (0, short)), constant_values=fill)
        scores = np.pad(scores, ((0, 0), (0, short)), constant_values=-np.inf)
        if self.fault == "types":
            return scores.astype(np.float64), order
        if self.fault == "distance":
            return (2 * scores).astype(np.float32), order
        return scores.astype(np.float32), order.astype(np.int64)

    def save(self, file: Path) -> None:
        with file.open("wb") as stream:
            np.save(stream, self.vectors[:-1] if self.fault == "file" else self.vectors)

    def open(self, file: Path) -> None:
        try:
            self.vectors = np.load(file, allow_pickle=False)
        except ValueError as error:
            if self.fault == "damaged":
                raise
            raise DataError(f"{file}: damaged") from error
        if self.fault == "file":
            self.vectors = self.vectors[::-1]


def test_an_index_that_is_right() -> None:
    check_index(Plain())


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("order", "not the largest dot products|dot product of the query|blocks"),
        ("random", "same vectors in the same blocks"),
        ("worst", "scores must fall"),
        ("padding", "-1|occurs twice"),
        ("types", "scores: float64, expected float32"),
        ("distance", "not the largest dot products"),
        ("file", "saved and reopened"),
        ("damaged", "must be a DataError, found ValueError"),
    ],
)
def test_a_wrong_index_is_found(fault: str, said: str) -> None:
    with pytest.raises(AssertionError, match=said):
        check_index(Plain(fault))


def test_an_approximate_index_that_finds_nothing_is_found() -> None:
    class Approximate(Plain):
        exact = False

        def search(self, queries: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
            return super().search(-queries, k)

    with pytest.raises(AssertionError, match="of searches, 50% expected"):
        check_index(Approximate())


# -- encoders ------------------------------------------------------------------------------------------------------------


class Copies(TripletEncoder):
    def parameters(self) -> dict[str, Tensor]:
        return {n: p.detach().clone().requires_grad_() for n, p in super().parameters().items()}


class IgnoresParams(TripletEncoder):
    def embed(self, params: Any, prepared: Any, index: int) -> Any:
        return super().embed(self.gather_rows(self.parameters(), prepared.rows), prepared, index)


class CutOff(TripletEncoder):
    def restrict(self, params: Mapping[str, Tensor], prepared: Any) -> dict[str, Tensor]:
        return {n: p.detach() for n, p in super().restrict(params, prepared).items()}


class CutOffTable(TripletEncoder):
    def restrict(self, params: Mapping[str, Tensor], prepared: Any) -> dict[str, Tensor]:
        found = super().restrict(params, prepared)
        assert self.table
        return {n: p.detach() if n == self.table[0] else p for n, p in found.items()}


class OnceOnly(TripletEncoder):
    """As fused kernels are, also where they must not be."""

    def forward(self, params: Any, batch: Any) -> Tensor:
        x = super().forward(params, batch)
        return x + Once.apply(x) - x * x


class OtherSide(TripletEncoder):
    def encode(self, texts: Sequence[str], side: Any, *more: Any, **named: Any) -> np.ndarray:
        return super().encode(texts, CANDIDATE, *more, **named)


class EveryText(TripletEncoder):
    def encode(self, texts: Sequence[str], side: Any, batch_size: int = 32, progress: Any = None) -> np.ndarray:
        if progress:
            progress(len(texts) - len(set(texts)))
        return super().encode(texts, side, batch_size, progress)


class NoCard(TripletEncoder):
    def save(self, path: Path, model_card: str) -> None:
        super().save(path, "another card")


class NotSaved(TripletEncoder):
    """Saves what it was before the last change of its parameters."""

    def save(self, path: Path, model_card: str) -> None:
        before = {n: p.detach().clone() for n, p in self.parameters().items()}
        self.load_parameters({n: 1.3 * p for n, p in before.items()})
        super().save(path, model_card)
        self.load_parameters(before)


class Replaces(TripletEncoder):
    def load_parameters(self, params: Mapping[str, Tensor]) -> None:
        for name, value in params.items():
            module, _, leaf = name.rpartition(".")
            setattr(self.model.get_submodule(module), leaf, torch.nn.Parameter(value.detach().clone()))


class NoisyDropout(TripletEncoder):
    def dropout(self, active: bool) -> None:
        super().dropout(True)


class OddSimilarity(BM25Encoder):
    def similarity(self, queries: Any, candidates: Any, progress: Any = None) -> np.ndarray:
        return super().similarity(queries, candidates, progress).T


@pytest.mark.parametrize(
    ("encoder", "said"),
    [
        (Copies, "not copies"),
        (IgnoresParams, "must compute with the ones it is given"),
        (CutOff, "no gradient flows"),
        (CutOffTable, "gradient through restrict and embed is wrong"),
        (OnceOnly, "must be twice differentiable"),
        (OtherSide, "must give what encode"),
        (EveryText, "encoded once"),
        (NoCard, "must be the model card"),
        (NotSaved, "must give what encode"),
        (Replaces, "overwrite in place"),
        (NoisyDropout, "deterministic function"),
    ],
)
def test_a_wrong_encoder_is_found(encoder: type[Encoder], said: str, metasearch_tiny_model: Path) -> None:
    with pytest.raises(AssertionError, match=said):
        check_encoder(encoder(str(metasearch_tiny_model)))  # type: ignore[call-arg]


def test_a_wrong_similarity_is_found() -> None:
    with pytest.raises(AssertionError, match="has shape"):
        check_encoder(OddSimilarity())


# -- algorithms ----------------------------------------------------------------------------------------------------------


class Ascends(FineTune):
    def meta_gradient(self, tasks: Sequence[Task]) -> dict[str, float]:
        log = super().meta_gradient(tasks)
        for p in self.theta.values():
            p.grad = None if p.grad is None else -p.grad
        return log


class Idle(MAML):
    def step(self, tasks: Sequence[Task]) -> dict[str, float]:
        return {"loss": 1.0}


class NoLoss(MAML):
    def step(self, tasks: Sequence[Task]) -> dict[str, float]:
        return {"mean": super().step(tasks)["loss"]}


class Tensors(MAML):
    def step(self, tasks: Sequence[Task]) -> Any:
        return {"loss": torch.tensor(super().step(tasks)["loss"])}


class Forgets(FineTune):
    """A state without the optimiser's moments."""

    def state_dict(self) -> dict[str, Any]:
        return {"theta": super().state_dict()["theta"]}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        super().load_state_dict({**state, "optimizer": self.optimizer.state_dict()})


class ForgetsAll(FineTune):
    def state_dict(self) -> dict[str, Any]:
        return {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        pass


class FullBatchesOnly(MAML):
    def step(self, tasks: Sequence[Task]) -> dict[str, float]:
        return super().step([tasks[i] for i in range(self.meta_batch_size)])


class MovesAtRateZero(MAML):
    def rates(self, f: Any) -> Any:
        return dict.fromkeys(super().rates(f), self.inner_lr + 0.1)


@pytest.mark.parametrize(
    ("algorithm", "said"),
    [
        (Ascends(), "must lower their loss"),
        (Idle(), "changes no parameter"),
        (NoLoss(), "'loss' among them"),
        (Tensors(), "loss is a Tensor, expected a float"),
        (Forgets(), "training that goes on from a saved state differs|after load_state_dict"),
        (ForgetsAll(), "must bring back the encoder's parameters"),
    ],
    ids=lambda value: value if isinstance(value, str) else type(value).__name__,
)
def test_a_wrong_algorithm_is_found(algorithm: MetaAlgorithm, said: str) -> None:
    with pytest.raises(AssertionError, match=said):
        check_algorithm(algorithm)


def test_an_algorithm_that_needs_full_batches_fails() -> None:
    with pytest.raises(IndexError):
        check_algorithm(FullBatchesOnly())


class MovesPlugin:
    @hookimpl
    def metasearch_register_algo(self) -> list[Component]:
        options = {name: {"minimum": 0, "default": None, "description": "-"} for name in ("inner_lr", "inner_steps")}
        return [Component("moves", f"{__name__}:MovesAtRateZero", "-", options)]


def test_an_inner_loop_that_moves_at_rate_zero_is_found(metasearch_registry: Callable[..., Registry]) -> None:
    check_algorithm(MovesAtRateZero())  # nobody has registered that the rate may be 0
    with pytest.raises(AssertionError, match="with inner_lr=0 no parameter moves"):
        check_algorithm(MovesAtRateZero(), components=metasearch_registry(MovesPlugin()))


# -- records -------------------------------------------------------------------------------------------------------------


class Documented(TripletLoss):
    """A loss.

    Args:
        margin: in units of the distance.
    """

    def __init__(self, margin: float = 1.0) -> None:
        super().__init__(margin)


class Silent(TripletLoss):
    def __init__(self, margin: float = 1.0) -> None:
        super().__init__(margin)


class Terse(Documented):
    """Says nothing of its option."""

    def __init__(self, other: float = 1.0) -> None:
        super().__init__(other)


class Abstract(Loss):
    """Not finished."""


MARGIN = {"type": "number", "default": 1.0, "description": "A margin."}


class LossPlugin:
    def __init__(self, target: str = "Documented", summary: str = "A loss.", **options: Any) -> None:
        self.records = [Component("mine", f"{__name__}:{target}", summary, options, implies=options.pop("implies", {}))]

    @hookimpl
    def metasearch_register_loss(self) -> list[Component]:
        return self.records


def test_a_record_that_is_right(metasearch_registry: Callable[..., Registry]) -> None:
    check_component("loss", "mine", metasearch_registry(LossPlugin(margin=MARGIN)))


@pytest.mark.parametrize(
    ("plugin", "said"),
    [
        (LossPlugin(summary=" "), "the summary is one line"),
        (LossPlugin(margin={"default": 1.0}), "no description"),
        (LossPlugin(margin={**MARGIN, "maximum": 0.5}), "does not allow its own default"),
        (LossPlugin(margin={**MARGIN, "default": 2.0}), "the record's default is 2.0, that of Documented 1.0"),
        (LossPlugin(), "takes 'margin', which the record of loss 'mine' does not declare"),
        (LossPlugin(margin=MARGIN, more=MARGIN), "declares the option 'more', but Documented takes no such argument"),
        (LossPlugin("Silent", margin=MARGIN), "no docstring of its own"),
        (LossPlugin("Terse", other=MARGIN), "does not document the option 'other'"),
        (LossPlugin("Abstract"), "does not implement __call__"),
        (LossPlugin("Given"), "not a subclass of Loss"),
        (LossPlugin("Nobody", margin=MARGIN), "could not be loaded"),
        (LossPlugin(margin=MARGIN, implies={"algo": "nothing-such"}), "does not compose"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_wrong_record_is_found(plugin: Any, said: str, metasearch_registry: Callable[..., Registry]) -> None:
    with pytest.raises(AssertionError, match=said):
        check_component("loss", "mine", metasearch_registry(plugin))


def test_a_name_that_nobody_registers_is_explained() -> None:
    with pytest.raises(AssertionError, match="is the package installed"):
        check_component("loss", "nobody-has-this")


def test_a_heavy_plugin_module_is_found(tmp_path: Path) -> None:
    (tmp_path / "heavy_one.py").write_text(
        "import scipy\nfrom metasearch import Component, hookimpl\n\n\n@hookimpl\ndef metasearch_register_loss():\n"
        "    return [Component('heavy', 'metasearch_plugins.losses.cosine_mse:CosineMSE', 'Heavy.')]\n",
        encoding="utf-8",
    )
    info = tmp_path / "heavy_one-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: heavy-one\nVersion: 1.0\n", encoding="utf-8")
    (info / "entry_points.txt").write_text("[metasearch.plugins]\nheavy = heavy_one\n", encoding="utf-8")
    code = "from metasearch.testing import check_component; check_component('loss', 'heavy')"
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code],
        env={"PYTHONPATH": str(tmp_path), "PATH": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "heavy_one imports scipy" in done.stderr


# -- fixtures ------------------------------------------------------------------------------------------------------------


def test_the_registry_holds_shipped_and_given_components(metasearch_registry: Callable[..., Registry]) -> None:
    registry = metasearch_registry(LossPlugin(margin=MARGIN))
    assert {"mine", "triplet"} <= set(registry.names("loss"))
    assert compose("loss=mine", "loss.margin=0.5", components=registry).create("loss").margin == 0.5
    assert "mine" not in metasearch_registry().names("loss")


def test_the_data_fixtures(metasearch_corpus: Corpus, metasearch_pairs: PairCorpus, metasearch_tiny_model: Path) -> None:
    assert metasearch_corpus == tiny_corpus()
    assert metasearch_pairs == tiny_pairs()
    assert (metasearch_tiny_model / "modules.json").is_file()


def test_tiny_tasks_share_no_question() -> None:
    tasks = [tiny_task("triplets", 3, index) for index in range(5)]
    ids = [e.question.id for task in tasks for s in task.sets for e in s.examples]
    assert len(ids) == len(set(ids)) == 35
    assert copy.deepcopy(tasks[0]) == tiny_task("triplets", 3, 0)


def test_the_contracts_need_no_pytest() -> None:
    code = "import sys, metasearch.testing; print('pytest' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
