"""Centring: language bias removed from a finished encoder, without training it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from metasearch import MetaAlgorithm
from metasearch.algorithm import Learner
from metasearch.core import CANDIDATE, QUERY, AnyCorpus, Encoder, Loss, PairCorpus, Side, Task
from metasearch.core.ranks import encode
from metasearch.errors import ConfigError
from metasearch_plugins.encoders.sentence_encoder import SentenceEncoder

if TYPE_CHECKING:
    from sentence_transformers.sentence_transformer.modules import Dense

_LINEAR = 1e-3  # tanh(u) is u - u^3/3 + ...: as far out as this, it is linear to 3.4e-7 of u's range
_SHARPNESS = 1e3  # a gate is fully open or shut beyond 0.01 of the logistic regression's decision value
_MOST = 2000  # texts of a language and side that a gate is fitted to, evenly spaced where there are more
_PENALTY = 0.1  # of the logistic regressions; from 0.01 to 10 it hardly matters


class Centre(MetaAlgorithm):
    """Subtract from each embedding the mean of its language and side, then normalise. Nothing is trained, no label is read.

    What an embedding says of its text's language is mostly the same for all texts of the language. Here that is estimated from
    the texts of the training split, in all languages of the data, and taken away by standard ``Dense`` modules behind the
    encoder's own, so the model stays a plain SentenceTransformer folder. All scores count as zero-shot: no language was trained
    on, though the unlabelled texts of all of them were seen.

    - ``remove=means``: ``y = x - m_c``, where c is the language and side (question or candidate) of the text. A query comes
      without its language, so a gate for each c, a logistic regression of c against the rest behind a steep tanh, recognises it:
      ``y = x - m - sum_c g_c(x) (m_c - m)``, with m the mean of all m_c. In a language that the data does not have, no gate opens
      and m alone is subtracted, or the gate of a similar language opens.
    - ``remove=components``: ``y = (I - U U^T)(x - m)``, where U are the first principal components of the m_c. It is one linear
      map for all texts, so no language is recognised. With all components, all m_c become 0.

    Last in the chain: centre what has been trained (``encoder.model=RUN/model``), and do not train what has been centred, whose
    weights are of very different sizes.

    Args:
        remove: ``"means"`` or ``"components"``.
        components: columns of U, at most one less than there are languages and sides; None: so many.

    Shapes: embeddings ``(n, d)`` stay ``(n, d)``.

    Reference: Libovický, Rosa and Fraser 2020 (means); Yang, Yang, Cer and Darve 2021, whose LIR removes the principal
    components of each language's own embeddings. That needs the language of every query; ``components`` differs from it by
    removing the directions in which languages differ from one another, the same ones from every text. Relations: where there is
    one language and one side, both subtract its mean.

    Raises:
        ConfigError: the encoder is no SentenceTransformer, or computes in bfloat16.
    """

    needs_tasks = False
    sets = None
    citation = (
        "Libovický, Rosa and Fraser (2020), On the Language Neutrality of Pre-trained Multilingual Representations; "
        "Yang, Yang, Cer and Darve (2021), A Simple and Effective Method To Eliminate the Self Language Bias in "
        "Multilingual Representations."
    )

    def __init__(self, remove: str = "means", components: int | None = None) -> None:
        self.remove = remove
        self.components = components
        self.appended = 0

    def check(self, encoder: Encoder, loss: Loss) -> None:
        if not isinstance(encoder, SentenceEncoder):
            raise ConfigError(
                f"algo=centre: appends modules to a SentenceTransformer, and {type(encoder).__name__} is none that it knows; "
                "use encoder=triplet or encoder=dual"
            )
        if encoder.precision == "bfloat16":
            raise ConfigError(
                "precision=bfloat16: algo=centre subtracts vectors that are nearly equal, which three digits are too few for; "
                "use precision=float32"
            )

    def start(self, learner: Learner) -> None:
        self.check(learner.encoder, learner.loss)
        self.encoder: SentenceEncoder = learner.encoder  # type: ignore[assignment]

    def step(self, tasks: Sequence[Task]) -> dict[str, float]:
        raise RuntimeError("centre takes no steps")

    def finish(self, corpus: AnyCorpus) -> dict[str, float]:
        """Append the modules.

        Returns:
            ``recognised``: for means, the share of texts for which the gate of their language and side opens and no other, tested
            on every fifth text with gates that were fitted to the others; ``components``: for components, how many are removed.
        """
        from sentence_transformers.sentence_transformer.modules import Normalize

        groups = [encode(self.encoder, texts, side).astype(np.float64) for side, texts in _texts(corpus)]
        if self.remove == "components":
            count = min(self.components or len(groups), len(groups) - 1, self.encoder.dimension)
            modules, found = [projection(means_of(groups), count)], {"components": float(count)}
        else:
            modules, found = centring(groups), {"recognised": recognised(groups)}
        for module in [*modules, Normalize()]:
            module.to(self.encoder.device, self.encoder.dtype).requires_grad_(False).eval()
            self.encoder.model.append(module)
            self.appended += 1
        return found

    def undo(self) -> None:
        for _ in range(self.appended):
            self.encoder.model.pop(-1)
        self.appended = 0


def _texts(corpus: AnyCorpus) -> list[tuple[Side, list[str]]]:
    """The distinct texts of each language and side that has some; sentences of pairs are all queries."""
    found: dict[tuple[str, Side], dict[str, None]] = {}
    places: list[tuple[str, Side, str]]
    if isinstance(corpus, PairCorpus):
        places = [
            (language, QUERY, text)
            for pair in corpus.pairs
            for language, text in zip(pair.languages, (pair.first, pair.second), strict=True)
        ]
    else:
        places = [(q.language, QUERY, q.text) for q in corpus.questions]
        places += [(c.language, CANDIDATE, c.text) for c in corpus.candidates]
    for language, side, text in places:
        found.setdefault((language, side), {})[text] = None
    return [(side, list(texts)) for (_, side), texts in sorted(found.items())]


def means_of(groups: Sequence[np.ndarray]) -> np.ndarray:
    """The mean of each group of embeddings ``(n_c, d)``: ``(groups, d)``."""
    return np.stack([rows.mean(0) for rows in groups])


def projection(means: np.ndarray, components: int) -> Dense:
    """A Dense module that is ``(I - U U^T)(x - m)``: m is the mean of ``means`` ``(groups, d)``, U their first components."""
    middle = means.mean(0)
    directions = np.linalg.svd(means - middle, full_matrices=False)[2][:components]
    weight = np.eye(len(middle)) - directions.T @ directions
    return _dense(weight, -weight @ middle, nn.Identity())


def centring(groups: Sequence[np.ndarray]) -> list[Dense]:
    """Two Dense modules that subtract from an embedding the mean of its group, as the gates recognise it.

    The first hands the embedding on through the linear middle of tanh, and holds the gates: +1 for open, -1 for shut. With
    (1 + t) / 2 for g, the second is ``x - m - sum_c t_c (m_c - m) / 2``, because the m_c - m add up to 0.

    Args:
        groups: embeddings ``(n_c, d)`` of each language and side.
    """
    means = means_of(groups)
    middle, size = means.mean(0), means.shape[1]
    reach = max(float(np.abs(rows).max()) for rows in groups)
    scale = 2.0 ** math.floor(math.log2(_LINEAR / reach))  # a power of two, so that it and its inverse are exact in any precision
    weight, bias = fit_gates(groups)
    inwards = np.concatenate([scale * np.eye(size), _SHARPNESS * weight])
    outwards = np.concatenate([np.eye(size) / scale, -(means - middle).T / 2], axis=1)
    return [
        _dense(inwards, np.concatenate([np.zeros(size), _SHARPNESS * bias]), nn.Tanh()),
        _dense(outwards, -middle, nn.Identity()),
    ]


def recognised(groups: Sequence[np.ndarray]) -> float:
    """Share of every fifth embedding of each group for which its own gate opens and no other, when fitted to the others."""
    others = [np.delete(rows, np.s_[::5], axis=0) if len(rows) > 1 else rows for rows in groups]
    weight, bias = fit_gates(others)
    wanted = np.eye(len(groups), dtype=bool)
    right = [((rows[::5] @ weight.T + bias > 0) == own).all(1) for rows, own in zip(groups, wanted, strict=True)]
    return float(np.concatenate(right).mean())


def fit_gates(groups: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """A logistic regression of each group against the rest, with a small penalty on the squared weights.

    Args:
        groups: embeddings ``(n_c, d)``.

    Returns:
        Weights ``(groups, d)`` and biases ``(groups,)``: above 0 means that it is the group.
    """
    groups = [rows[:: -(-len(rows) // _MOST)] for rows in groups]
    rows = np.concatenate(groups)
    labels = torch.repeat_interleave(torch.arange(len(groups)), torch.tensor([len(group) for group in groups]))
    middle, spread = rows.mean(0), max(float((rows - rows.mean(0)).std()), 1e-12)
    inputs = F.pad(torch.from_numpy((rows - middle) / spread), (0, 1), value=1.0)
    signs = 2.0 * F.one_hot(labels, len(groups)).to(inputs.dtype) - 1.0
    found = torch.zeros(len(groups), inputs.shape[1], dtype=inputs.dtype, requires_grad=True)
    optimizer = torch.optim.LBFGS([found], max_iter=200, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        optimizer.zero_grad()
        value: Tensor = (F.softplus(-signs * (inputs @ found.T)).sum() + _PENALTY / 2 * found.square().sum()) / len(inputs)
        value.backward()
        return value

    with torch.enable_grad():
        optimizer.step(loss)  # type: ignore[no-untyped-call, unused-ignore]
    weight = found.detach().numpy()[:, :-1] / spread
    return weight, found.detach().numpy()[:, -1] - weight @ middle


def _dense(weight: np.ndarray, bias: np.ndarray, activation: nn.Module) -> Dense:
    """The module ``activation(weight x + bias)``."""
    from sentence_transformers.sentence_transformer.modules import Dense

    tensors = (torch.tensor(values, dtype=torch.float64) for values in (weight, bias))
    return Dense(weight.shape[1], weight.shape[0], True, activation, *tensors)
