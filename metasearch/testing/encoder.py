"""The contract of encoders."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from torch import Tensor

from metasearch.core import CANDIDATE, QUERY, Encoder, ExampleSet, PairEmbeddings, Side, TripletEmbeddings, differentiated_twice
from metasearch.testing.demand import demand, demand_equal, difference
from metasearch.testing.tiny import tiny_task

# Two that are equal, and some of quite different lengths.
_TEXTS = ["el1 el2", "ar5 ar6 ar7 of 3 2", "el3", "el1 el2", "hi7 hi8 hi9 hi10 hi11 of 2 4 " * 3]
_CARD = "# A model\n\nTrained by a test.\n"
_ROUNDING = 1e-5  # of float32 embeddings of length 1
_STEP = 1e-6  # of finite differences, in float64

Params = Mapping[str, Tensor]


def check_encoder(encoder: Encoder) -> None:
    """Check what :class:`metasearch.core.Encoder` demands, as a model and as a function of its parameters.

    As a model: ``encode`` is deterministic, encodes each distinct text once, and plain ``SentenceTransformer`` gives the same
    vectors from the saved folder. As a function: ``embed`` at the own parameters is ``encode``; it can be evaluated at
    others, which leaves the own alone; ``restrict`` and ``embed`` have right first derivatives and, inside
    ``differentiated_twice``, right second ones. An encoder that is not ``trainable`` is checked for ``similarity`` alone.

    Args:
        encoder: constructed, small (``metasearch.testing.make_tiny_model`` writes a model for ``model=``), on the CPU. Its
            parameters and precision are changed by the checks.

    Raises:
        AssertionError: what does not hold.

    Example:
        >>> from metasearch.registry import registry
        >>> check_encoder(registry.create("encoder", "bm25"))
    """
    demand(encoder.kind in ("triplets", "pairs"), f"kind is {encoder.kind!r}, expected 'triplets' or 'pairs'")
    _check_similarity(encoder)
    _check_description(encoder)
    if not encoder.trainable:
        demand(not encoder.parameters(), "trainable is False, but there are parameters")
        return
    encoder.to("cpu", "float32")
    _check_model(encoder)
    _check_saved(encoder)
    encoder.to("cpu", "float64")
    _check_parameters(encoder)
    prepared = encoder.prepare(tiny_task(encoder.kind, 3).sets)
    _check_shapes(encoder, prepared)
    _check_equals_encode(encoder, prepared)
    _check_functional(encoder, prepared)
    for index in (0, 2):
        _check_derivatives(encoder, prepared, index)
    _check_repeatable(encoder, prepared)
    encoder.to("cpu", "float32")


# -- the model -----------------------------------------------------------------------------------------------------------


def _check_similarity(encoder: Encoder) -> None:
    """The hook for encoders whose scores are no dot products: two queries, three candidates of which two are equal."""
    queries, candidates = [_TEXTS[0], _TEXTS[1]], [_TEXTS[1], _TEXTS[2], _TEXTS[1]]
    scores = encoder.similarity(queries, candidates)
    if scores is None:
        demand(encoder.trainable, "trainable is False and similarity() returns None: then there is nothing to score with")
        return
    demand(scores.shape == (2, 3), f"similarity of 2 queries and 3 candidates has shape {scores.shape}, expected (2, 3)")
    demand(scores.dtype == np.float32, f"similarity returns {scores.dtype}, expected float32")
    demand(bool(np.isfinite(scores).all()), "similarity must be finite")
    demand(np.array_equal(scores[:, 0], scores[:, 2]), "equal candidates must score equal")
    one = encoder.similarity(queries[:1], candidates)
    demand(one is not None and np.array_equal(one[0], scores[0]), "the scores of a query must not depend on the other queries")


def _check_description(encoder: Encoder) -> None:
    about = encoder.describe()
    try:
        json.dumps(about)
    except TypeError as error:
        raise AssertionError(f"describe() goes into manifest.json, so it must hold plain values: {error}") from error
    for key in ("prompts", "max_length"):
        found = about.get(key, {})
        demand(
            isinstance(found, dict) and set(found) <= {QUERY, CANDIDATE},
            f"describe()[{key!r}] is {found!r}, expected a dictionary with the keys {QUERY!r} and {CANDIDATE!r}, or no such key",
        )


def _check_model(encoder: Encoder) -> None:
    demand(isinstance(encoder.device, torch.device), f"device is a torch.device, found {encoder.device!r}")
    for side in (QUERY, CANDIDATE):
        done: list[int] = []
        try:
            rows = encoder.encode(_TEXTS, side, 2, done.append)
        except TypeError as error:
            raise AssertionError(f"encode must take (texts, side, batch_size, progress): {error}") from error
        shape = (len(_TEXTS), encoder.dimension)
        demand(rows.shape == shape, f"encode of {len(_TEXTS)} texts has shape {rows.shape}, expected {shape} (texts, dimension)")
        demand(rows.dtype == np.float32, f"encode returns {rows.dtype}, expected float32")
        demand(bool(np.isfinite(rows).all()), "embeddings must be finite")
        distinct = len(set(_TEXTS))
        demand(
            sum(done) == distinct, f"progress was told of {sum(done)} texts; each of {distinct} distinct texts is encoded once"
        )
        demand(np.array_equal(rows[0], rows[3]), "equal texts must have equal embeddings")
        demand_equal(encoder.encode(_TEXTS, side, 2), rows, 0.0, "encode must be deterministic")
        demand_equal(encoder.encode(_TEXTS[::-1], side)[::-1], rows, _ROUNDING, "rows must come in the order of the texts")
        _check_no_texts(encoder, side)


def _check_no_texts(encoder: Encoder, side: Side) -> None:
    shape = (0, encoder.dimension)
    try:
        found = encoder.encode([], side)
    except Exception as error:
        raise AssertionError(f"encode([]) must return an array of shape {shape}: {type(error).__name__}: {error}") from error
    demand(found.shape == shape, f"encode([]) has shape {found.shape}, expected {shape}")


def _check_saved(encoder: Encoder) -> None:
    """The folder is loaded by SentenceTransformer alone, from stock modules; it holds what training made of the parameters."""
    from sentence_transformers import SentenceTransformer

    start = {name: p.detach().clone() for name, p in encoder.parameters().items()}
    encoder.load_parameters(_shifted(start))
    with TemporaryDirectory() as folder:
        path = Path(folder) / "model"
        encoder.save(path, _CARD)
        demand((path / "README.md").is_file(), "save writes the model card as README.md")
        demand((path / "README.md").read_text(encoding="utf-8") == _CARD, "README.md must be the model card that save is given")
        for module in json.loads((path / "modules.json").read_text(encoding="utf-8")):
            demand(
                module["type"].startswith("sentence_transformers."),
                f"the saved model needs {module['type']}: to load anywhere it must be made of sentence-transformers' own",
            )
        plain = SentenceTransformer(str(path), device="cpu", trust_remote_code=False, local_files_only=True)
        ways: dict[Side, Callable[..., np.ndarray]] = {QUERY: plain.encode_query, CANDIDATE: plain.encode_document}
        for side, way in ways.items():
            name = getattr(way, "__name__", "encode")
            message = f"SentenceTransformer(folder).{name} must give what encode(texts, {side!r}) gives"
            demand_equal(np.asarray(way(_TEXTS)), encoder.encode(_TEXTS, side), _ROUNDING, message)
    encoder.load_parameters(start)


# -- the function --------------------------------------------------------------------------------------------------------


def _check_parameters(encoder: Encoder) -> None:
    params = encoder.parameters()
    demand(bool(params), "trainable is True, but there are no parameters")
    for name, p in params.items():
        demand(p.is_leaf and p.requires_grad, f"parameter {name} must be a leaf that requires a gradient")
        demand(p.dtype == torch.float64, f"after to('cpu', 'float64') parameter {name} is {p.dtype}")
    again = encoder.parameters()
    shared = list(again) == list(params) and all(again[n].data_ptr() == params[n].data_ptr() for n in params)
    demand(shared, "parameters() must hand out the model's own tensors, not copies: an optimiser updates them in place")
    before = encoder.encode(_TEXTS, QUERY)
    start = {name: p.detach().clone() for name, p in params.items()}
    encoder.load_parameters(_shifted(params))
    demand(
        not np.array_equal(encoder.encode(_TEXTS, QUERY), before),
        "encode does not change with load_parameters: parameters() are copies, or not what the model computes with",
    )
    demand(
        all(p.data_ptr() == params[n].data_ptr() for n, p in encoder.parameters().items()),
        "load_parameters must overwrite in place: an optimiser holds the tensors",
    )
    encoder.load_parameters(start)
    demand_equal(
        encoder.encode(_TEXTS, QUERY), before, 0.0, "load_parameters with the old values must bring the old embeddings back"
    )


def _shifted(params: Params) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(3)
    return {n: p.detach() + 0.05 * torch.randn(p.shape, generator=generator, dtype=p.dtype) for n, p in params.items()}


def _check_shapes(encoder: Encoder, prepared: Any) -> None:
    theta = encoder.restrict(encoder.parameters(), prepared)
    demand(set(theta) <= set(encoder.parameters()), "restrict must keep the names of the parameters, some or all of them")
    for index, examples in enumerate(tiny_task(encoder.kind, 3).sets):
        found = encoder.embed(theta, prepared, index)
        m, d = len(examples), encoder.dimension
        if isinstance(found, PairEmbeddings):
            demand(encoder.kind == "pairs", "an encoder of kind 'triplets' returns TripletEmbeddings")
            shapes = {"first": (m, d), "second": (m, d), "scores": (m,)}
        else:
            demand(isinstance(found, TripletEmbeddings), f"embed returns {type(found).__name__}")
            demand(encoder.kind == "triplets", "an encoder of kind 'pairs' returns PairEmbeddings")
            shapes = {"question": (m, d), "positive": (m, d), "negatives": (m, len(examples.examples[0].negatives), d)}
            _check_pool(found)
        for name, shape in shapes.items():
            tensor = getattr(found, name)
            demand(tuple(tensor.shape) == shape, f"{name} of a set of {m}: shape {tuple(tensor.shape)}, expected {shape}")
        tokens = encoder.tokens(prepared, index)
        demand(tokens is None or (isinstance(tokens, int) and tokens > 0), f"tokens() is a count or None, found {tokens!r}")


def _check_pool(found: TripletEmbeddings) -> None:
    """For losses with in-batch negatives: the set's candidates, where an anchor's own positive is none of its negatives."""
    if found.pool is None:
        return
    demand(found.positive_index is not None and found.wrong is not None, "with pool come positive_index and wrong")
    if found.positive_index is None or found.wrong is None:
        return
    m, c = len(found.question), len(found.pool)
    demand(tuple(found.wrong.shape) == (m, c), f"wrong has shape {tuple(found.wrong.shape)}, expected {(m, c)}")
    demand(
        torch.equal(found.pool[found.positive_index], found.positive),
        "positive_index must give each anchor's positive in the pool",
    )
    own = found.wrong[torch.arange(m), found.positive_index]
    demand(not bool(own.any()), "an anchor's positive is marked as wrong for it")


def _check_equals_encode(encoder: Encoder, prepared: Any) -> None:
    theta = encoder.restrict(encoder.parameters(), prepared)
    for index, examples in enumerate(tiny_task(encoder.kind, 3).sets):
        found = encoder.embed(theta, prepared, index)
        for name, (texts, side) in _texts(encoder.kind, examples).items():
            rows = getattr(found, name).detach().reshape(len(texts), -1).numpy()
            message = f"embed at the encoder's own parameters must be encode: {name} of set {index}"
            demand_equal(rows.astype(np.float32), encoder.encode(texts, side), _ROUNDING, message)


def _texts(kind: str, examples: ExampleSet[Any]) -> dict[str, tuple[list[str], Side]]:
    """Field of the embeddings -> its texts, row by row, and their side."""
    if kind == "pairs":
        return {
            "first": ([e.first for e in examples.examples], QUERY),
            "second": ([e.second for e in examples.examples], QUERY),
        }
    return {
        "question": ([e.question.text for e in examples.examples], QUERY),
        "positive": ([e.positive.text for e in examples.examples], CANDIDATE),
        "negatives": ([n.text for e in examples.examples for n in e.negatives], CANDIDATE),
    }


def _vector(encoder: Encoder, restricted: Params, prepared: Any, index: int) -> Tensor:
    """All embeddings of a set, one after the other."""
    found = encoder.embed(restricted, prepared, index)
    names = ("first", "second") if encoder.kind == "pairs" else ("question", "positive", "negatives")
    return torch.cat([getattr(found, name).flatten() for name in names])


def _check_functional(encoder: Encoder, prepared: Any) -> None:
    def embedded(params: Params) -> Tensor:
        return _vector(encoder, encoder.restrict(params, prepared), prepared, 0).detach()

    own = encoder.parameters()
    start = {name: p.detach().clone() for name, p in own.items()}
    here, other = embedded(own), _shifted(own)
    there = embedded(other)
    demand(not torch.equal(here, there), "embed at other parameters gives the same: it must compute with the ones it is given")
    unchanged = all(torch.equal(own[n].detach(), start[n]) for n in own)
    demand(unchanged, "embed at other parameters must leave the encoder's own parameters alone")
    encoder.load_parameters(other)
    same = difference(embedded(encoder.parameters()), there) < 1e-9
    encoder.load_parameters(start)
    demand(same, "embed at given parameters must equal embed after load_parameters of the same")


def _check_derivatives(encoder: Encoder, prepared: Any, index: int) -> None:
    """Of a smooth function of the embeddings, along a random direction: the first through restrict, the second behind it."""
    theta = _leaves(encoder.parameters())
    generator = torch.Generator().manual_seed(4)
    size = _vector(encoder, encoder.restrict(theta, prepared), prepared, index).shape
    weights = torch.randn(size, generator=generator, dtype=torch.float64)

    def behind(restricted: Params) -> Tensor:
        return (weights * _vector(encoder, restricted, prepared, index)).sum()

    def through(params: Params) -> Tensor:
        return behind(encoder.restrict(params, prepared))

    direction = _direction(theta, generator)
    once = _slope(_gradients(through, theta, twice=False), direction)
    ends = [float(through(_moved(theta, direction, sign)).detach()) for sign in (1, -1)]
    _demand_near(once, (ends[0] - ends[1]) / (2 * _STEP), "the gradient through restrict and embed is wrong")
    untouched = all(p.grad is None for p in encoder.parameters().values())
    demand(untouched, "a gradient at other parameters must not reach the encoder's own")

    restricted = _leaves(encoder.restrict(theta, prepared))
    direction = _direction(restricted, generator)
    gradients = _gradients(behind, restricted, twice=True)
    plain = _slope(_gradients(behind, restricted, twice=False), direction)
    _demand_near(_slope(gradients, direction), plain, "the gradient inside differentiated_twice() is another one than outside")
    exact = _slope(_second(gradients, direction, restricted), direction)
    slopes = [_slope(_gradients(behind, _moved(restricted, direction, s), twice=True), direction) for s in (1, -1)]
    _demand_near(exact, (slopes[0] - slopes[1]) / (2 * _STEP), "the second derivative inside differentiated_twice() is wrong")


def _leaves(params: Params) -> dict[str, Tensor]:
    return {name: p.detach().clone().requires_grad_() for name, p in params.items()}


def _direction(theta: Params, generator: torch.Generator) -> dict[str, Tensor]:
    return {n: torch.randn(p.shape, generator=generator, dtype=p.dtype) for n, p in theta.items()}


def _moved(theta: Params, direction: Params, sign: int) -> dict[str, Tensor]:
    return {n: (p.detach() + sign * _STEP * direction[n]).requires_grad_() for n, p in theta.items()}


def _gradients(value: Callable[[Params], Tensor], theta: Params, twice: bool) -> dict[str, Tensor]:
    with differentiated_twice(twice):
        total = value(theta)
    demand(total.requires_grad, "no gradient flows from the embeddings to the parameters that restrict and embed are given")
    found = torch.autograd.grad(total, list(theta.values()), create_graph=twice, allow_unused=True, materialize_grads=True)
    return dict(zip(theta, found, strict=True))


def _slope(gradients: Params, direction: Params) -> float:
    dense = {n: g.detach().to_dense() if g.is_sparse else g.detach() for n, g in gradients.items()}
    return sum(float((g * direction[n]).sum()) for n, g in dense.items())


def _second(gradients: Params, direction: Params, theta: Params) -> dict[str, Tensor]:
    """The derivative of <gradients, direction>: the Hessian times the direction."""
    parts = [(g * direction[n]).sum() for n, g in gradients.items() if g.requires_grad]
    if not parts:  # linear in its parameters
        return {n: torch.zeros_like(p) for n, p in theta.items()}
    total = torch.stack(parts).sum()
    try:
        found = torch.autograd.grad(total, list(theta.values()), allow_unused=True, materialize_grads=True)
    except RuntimeError as error:
        raise AssertionError(
            f"inside differentiated_twice(), embed must be twice differentiable, which second-order algorithms need: {error}"
        ) from error
    return dict(zip(theta, found, strict=True))


def _demand_near(found: float, expected: float, message: str) -> None:
    near = abs(found - expected) <= 1e-4 * max(abs(found), abs(expected)) + 1e-6
    demand(near, f"{message}: {found:.8g} along a direction in which {expected:.8g} is right")


def _check_repeatable(encoder: Encoder, prepared: Any) -> None:
    theta = encoder.restrict(encoder.parameters(), prepared)
    one = _vector(encoder, theta, prepared, 0).detach()
    encoder.dropout(True)
    encoder.dropout(False)
    other = _vector(encoder, theta, prepared, 0).detach()
    demand(
        torch.equal(one, other), "embed must be a deterministic function of its parameters; is dropout off after dropout(False)?"
    )
