"""An encoder small enough to test algorithms with in milliseconds: a table of words and two layers."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from metasearch.core import Encoder, ExampleSet, Side, TripletEmbeddings
from metasearch.errors import ModelError

_WORDS, _WIDTH = 97, 8
_DTYPES = {"float32": torch.float32, "bfloat16": torch.float32, "float64": torch.float64}


@dataclass(frozen=True)
class PreparedTask:
    """Distinct texts of a task's sets.

    Attributes:
        weights: ``(texts, rows)``, how often each row of the table occurs in each text, over the text's words.
        rows: ``(rows,)`` of the table that occur.
        sets: per set the numbers of its texts: questions ``(m,)``, positives ``(m,)``, negatives ``(m, r)``.
    """

    weights: Tensor
    rows: Tensor
    sets: tuple[tuple[Tensor, Tensor, Tensor], ...]


class TinyEncoder(Encoder):
    """Mean of hashed words' vectors, through two tanh layers, normalised; queries and candidates alike.

    It has what algorithms meet in a transformer: layers with numbers in their names, and a table whose gradient is sparse. It
    cannot be saved.

    Args:
        seed: of the random parameters.

    Example:
        >>> TinyEncoder().encode(["a text", "another"], "query").shape
        (2, 8)
    """

    def __init__(self, seed: int = 0) -> None:
        generator = torch.Generator().manual_seed(seed)
        shapes: dict[str, tuple[int, ...]] = {"table": (_WORDS, _WIDTH)}
        for layer in (0, 1):
            shapes.update({f"layers.{layer}.weight": (_WIDTH, _WIDTH), f"layers.{layer}.bias": (_WIDTH,)})
        self.own = {n: (0.6 * torch.randn(shape, generator=generator)).requires_grad_() for n, shape in shapes.items()}

    @property
    def dimension(self) -> int:
        return _WIDTH

    @property
    def device(self) -> torch.device:
        return self.own["table"].device

    def to(self, device: str, precision: str = "float32") -> None:
        self.own = {n: p.detach().to(device, _DTYPES[precision]).requires_grad_() for n, p in self.own.items()}

    def parameters(self) -> dict[str, Tensor]:
        return dict(self.own)

    @torch.no_grad()
    def load_parameters(self, params: Mapping[str, Tensor]) -> None:
        for name, tensor in params.items():
            self.own[name].copy_(tensor)

    def prepare(self, sets: Sequence[ExampleSet[Any]]) -> PreparedTask:
        texts: dict[str, int] = {}

        def number(text: str) -> int:
            return texts.setdefault(text, len(texts))

        numbered = tuple(
            (
                torch.tensor([number(e.question.text) for e in s.examples]),
                torch.tensor([number(e.positive.text) for e in s.examples]),
                torch.tensor([[number(n.text) for n in e.negatives] for e in s.examples]),
            )
            for s in sets
        )
        counts = self._counts(list(texts))
        rows = counts.any(0).nonzero().squeeze(1)
        return PreparedTask(counts[:, rows], rows, numbered)

    def _counts(self, texts: Sequence[str]) -> Tensor:
        """``(texts, words)``, each row adds up to 1."""
        counts = torch.zeros(len(texts), _WORDS, dtype=self.own["table"].dtype)
        for row, text in zip(counts, texts, strict=True):
            for word in text.split():
                row[zlib.crc32(word.encode()) % _WORDS] += 1
        return counts / counts.sum(1, keepdim=True).clamp_min(1)

    def restrict(self, params: Mapping[str, Tensor], prepared: PreparedTask) -> dict[str, Tensor]:
        return {**params, "table": F.embedding(prepared.rows, params["table"], sparse=True)}

    def embed(self, params: Mapping[str, Tensor], prepared: PreparedTask, index: int) -> TripletEmbeddings:
        found = _forward(params, prepared.weights)
        question, positive, negatives = (found[numbers] for numbers in prepared.sets[index])
        return TripletEmbeddings(question, positive, negatives)

    def tokens(self, prepared: PreparedTask, index: int) -> int:
        return sum(numbers.numel() for numbers in prepared.sets[index])

    def encode(
        self, texts: Sequence[str], side: Side, batch_size: int = 32, progress: Callable[[int], None] | None = None
    ) -> np.ndarray:
        distinct = {text: i for i, text in enumerate(dict.fromkeys(texts))}
        with torch.no_grad():
            rows = _forward(self.own, self._counts(list(distinct)))
        if progress is not None:
            progress(len(distinct))
        found: np.ndarray = rows.float().numpy()[[distinct[text] for text in texts]].reshape(len(texts), _WIDTH)
        return found

    def save(self, path: Path, model_card: str) -> None:
        raise ModelError(f"{path}: the tiny encoder is for tests alone and cannot be saved")


def _forward(params: Mapping[str, Tensor], weights: Tensor) -> Tensor:
    """``(texts, rows)`` -> unit vectors ``(texts, width)``."""
    x = weights @ params["table"]
    for layer in (0, 1):
        x = torch.tanh(x @ params[f"layers.{layer}.weight"] + params[f"layers.{layer}.bias"])
    return F.normalize(x, dim=-1)
