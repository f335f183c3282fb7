"""Meta-steps to compare: ours, and the same meta-gradient by libraries that people use. One per worker process."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from metasearch.algorithm import Learner, learn2learn_backend
from metasearch.core import CANDIDATE, QUERY, ExampleSet, MetaAlgorithm, Side, Task, TripletEmbeddings, TripletExample
from metasearch_plugins.encoders.triplet import TripletEncoder
from metasearch_plugins.losses.triplet import TripletLoss

Engine = Callable[[Sequence[Task]], float]
INNER_LR = 1e-3
# The reference code pads every text to these lengths.
REFERENCE_LENGTHS = {QUERY: 96, CANDIDATE: 256}


def load(model: str, layers: int | None = None) -> TripletEncoder:
    """The encoder, cut to its first ``layers`` transformer layers, and without BERT's pooler, which takes no part."""
    encoder = TripletEncoder(model)
    if layers is not None:
        stack = encoder.transformer.encoder.layer
        encoder.transformer.encoder.layer = torch.nn.ModuleList(list(stack)[:layers])
    encoder.transformer.pooler = None
    for parameter in encoder.model.parameters():  # out of the file's pages, which come into memory one by one
        parameter.data = parameter.data.clone()
    return encoder


def ours(encoder: TripletEncoder, algorithm: Any) -> Engine:
    """A shipped algorithm's meta-gradient. No update: AdamW costs every engine the same."""
    algorithm.start(Learner(encoder, TripletLoss()))

    def step(tasks: Sequence[Task]) -> float:
        algorithm.optimizer.zero_grad(set_to_none=True)
        loss: float = algorithm.meta_gradient(tasks)["loss"]
        return loss

    return step


def count(encoder: TripletEncoder, algorithm: MetaAlgorithm, tasks: Sequence[Task]) -> dict[str, float]:
    """What a step takes at least: passes over the tokens of distinct texts, unpadded, and the weights that a pass multiplies."""
    passes = 0.0
    for task in tasks:
        prepared = encoder.prepare(task.sets)
        groups = [[g for batch in (s.queries, s.candidates) for g in batch.groups] for s in prepared.sets]
        tokens = [float(sum(int(g["attention_mask"].sum()) for g in of_set)) for of_set in groups]
        passes += algorithm.cost(encoder, tokens).passes
    weights = sum(p.numel() for name, p in encoder.parameters().items() if p.ndim == 2 and "embeddings" not in name)
    return {"passes": passes, "weights": weights}


class Flattened:
    """A task as the reference code feeds it: one-negative triplets, each text as often as it occurs.

    Args:
        padded: to the reference code's fixed lengths, instead of the longest text of the batch.
    """

    def __init__(self, encoder: TripletEncoder, padded: bool) -> None:
        self.encoder = encoder
        self.padded = padded
        self.loss = TripletLoss()
        encoder.transformer.set_attn_implementation("eager")  # what can be differentiated twice

    def features(self, examples: ExampleSet[TripletExample]) -> tuple[dict[str, Tensor], ...]:
        triplets = [t for e in examples.examples for t in e.triplets()]
        return (
            self._tokens([t.question.text for t in triplets], QUERY),
            self._tokens([t.positive.text for t in triplets], CANDIDATE),
            self._tokens([t.negative.text for t in triplets], CANDIDATE),
        )

    def _tokens(self, texts: list[str], side: Side) -> dict[str, Tensor]:
        model = self.encoder.model
        features = model.preprocess(texts, prompt=self.encoder.prompts[side], max_length=self.encoder.max_length[side])
        tokens, mask = features["input_ids"], features["attention_mask"]
        missing = max(0, REFERENCE_LENGTHS[side] - tokens.shape[1]) if self.padded else 0
        pad = torch.nn.functional.pad
        return {
            "input_ids": pad(tokens, (0, missing), value=model.tokenizer.pad_token_id),
            "attention_mask": pad(mask, (0, missing)),
        }

    def __call__(self, model: Any, features: Sequence[dict[str, Tensor]]) -> Tensor:
        question, positive, negative = (self._embed(model, f) for f in features)
        return self.loss(TripletEmbeddings(question, positive, negative.unsqueeze(1)))

    def _embed(self, model: Any, features: dict[str, Tensor]) -> Tensor:
        """Mean pooling and normalisation by hand, as in the reference code: ``higher`` cannot patch a SentenceTransformer."""
        tokens = model(features["input_ids"], attention_mask=features["attention_mask"])[0]
        mask = features["attention_mask"].unsqueeze(-1).to(tokens.dtype)
        return torch.nn.functional.normalize((tokens * mask).sum(1) / mask.sum(1), dim=-1)


def learn2learn(encoder: TripletEncoder, steps: int, first_order: bool, padded: bool = False) -> Engine:
    """``learn2learn.algorithms.MAML`` around the transformer, as the reference code uses it."""
    loss, model = Flattened(encoder, padded), encoder.transformer
    maml = learn2learn_backend.load().MAML(model, lr=INNER_LR, first_order=first_order)

    def step(tasks: Sequence[Task]) -> float:
        model.zero_grad(set_to_none=True)
        total = 0.0
        for task in tasks:
            support, query = (loss.features(s) for s in task.sets)
            learner = maml.clone()
            for _ in range(steps):
                learner.adapt(loss(learner, support))
            outer = loss(learner, query)
            outer.backward()
            total += outer.item()
        return total / len(tasks)

    return step


def higher(encoder: TripletEncoder, steps: int, first_order: bool) -> Engine:
    """``higher.innerloop_ctx`` around the transformer."""
    library = importlib.import_module("higher")
    loss, model = Flattened(encoder, False), encoder.transformer
    sgd = torch.optim.SGD(model.parameters(), lr=INNER_LR)

    def step(tasks: Sequence[Task]) -> float:
        model.zero_grad(set_to_none=True)
        total = 0.0
        for task in tasks:
            support, query = (loss.features(s) for s in task.sets)
            with library.innerloop_ctx(model, sgd, copy_initial_weights=False, track_higher_grads=not first_order) as (
                net,
                inner,
            ):
                for _ in range(steps):
                    inner.step(loss(net, support))
                outer = loss(net, query)
                if first_order:  # without higher gradients the link to theta is cut: FOMAML takes the gradient at theta_n
                    found = torch.autograd.grad(outer, list(net.parameters()))
                    for parameter, gradient in zip(model.parameters(), found, strict=True):
                        parameter.grad = gradient if parameter.grad is None else parameter.grad + gradient
                else:
                    outer.backward()
            total += outer.item()
        return total / len(tasks)

    return step


def torchopt(encoder: TripletEncoder, steps: int) -> Engine:
    """``torchopt.MetaSGD`` around the transformer."""
    library = importlib.import_module("torchopt")
    loss, model = Flattened(encoder, False), encoder.transformer
    inner = library.MetaSGD(model, lr=INNER_LR)
    start, state = library.extract_state_dict(model, by="reference"), library.extract_state_dict(inner)
    theta = [p for p in model.parameters() if p.requires_grad]

    def step(tasks: Sequence[Task]) -> float:
        for p in theta:
            p.grad = None
        total = 0.0
        for task in tasks:
            support, query = (loss.features(s) for s in task.sets)
            for _ in range(steps):
                inner.step(loss(model, support))
            outer = loss(model, query)
            outer.backward()
            total += outer.item()
            library.recover_state_dict(model, start)
            library.recover_state_dict(inner, state)
        return total / len(tasks)

    return step


PEERS: dict[str, Callable[..., Engine]] = {"learn2learn": learn2learn, "higher": higher, "torchopt": torchopt}
