"""Embeddings of a data set by the untrained encoder, kept on disk: what similar and hard sampling look at."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path

import numpy as np

from metasearch.core import CANDIDATE, QUERY, AnyCorpus, Encoder, Side, cache_dir
from metasearch.core.ranks import by_first, encode, ranks


class BaseEmbeddings:
    """``(texts, side) -> rows``, for the texts of some corpora (see :meth:`metasearch.core.EpisodeSampler.use_embeddings`).

    Nothing is encoded before the first call for a side; then all texts of that side are, and the result is kept in
    ``CACHE/embeddings/KEY.npy``, where the key stands for weights, prompts, lengths, texts, and the embeddings of a few of them.

    Args:
        encoder: as it is before any training.
        corpora: whose texts will be asked for.
        batch_size: texts per forward pass.
        progress: called with (texts done since the last call).
        folder: where to keep them; None: the user's cache.
    """

    def __init__(
        self,
        encoder: Encoder,
        corpora: Sequence[AnyCorpus],
        batch_size: int = 32,
        progress: Callable[[int], None] | None = None,
        folder: Path | None = None,
    ) -> None:
        self.encoder = encoder
        self.batch_size = batch_size
        self.progress = progress
        self.folder = folder or cache_dir() / "embeddings"
        self.texts: dict[Side, list[str]] = {
            side: sorted({text for corpus in corpora for text in corpus.texts[side]}) for side in (QUERY, CANDIDATE)
        }
        self._rows: dict[Side, tuple[dict[str, int], np.ndarray]] = {}

    def __call__(self, texts: Sequence[str], side: Side) -> np.ndarray:
        if side not in self._rows:
            self._rows[side] = ({text: i for i, text in enumerate(self.texts[side])}, self._load(side))
        place, rows = self._rows[side]
        found: np.ndarray = rows[[place[text] for text in texts]]
        return found

    def _load(self, side: Side) -> np.ndarray:
        file = self.folder / f"{self._key(side)}.npy"
        shape = (len(self.texts[side]), self.encoder.dimension)
        rows = ranks().from_first(lambda: _kept(file, shape))
        if rows is None:
            rows = encode(self.encoder, self.texts[side], side, self.batch_size, self.progress)
            _keep(file, rows)
        return rows

    def _key(self, side: Side) -> str:
        digest = hashlib.sha256(self._fingerprint)
        # What the encoder makes of a few texts: that tells pooling, tokenizer and precision apart, which weights do not.
        texts = self.texts[side]
        probe = texts[:: max(1, len(texts) // 16)]
        digest.update(self.encoder.encode(probe, side, self.batch_size).tobytes())
        for text in (side, *texts):
            digest.update(text.encode("utf-8", "surrogatepass") + b"\x1f")
        return digest.hexdigest()[:32]

    @cached_property
    def _fingerprint(self) -> bytes:
        """Of the encoder: its description (prompts, lengths) and every weight."""
        about = {key: value for key, value in self.encoder.describe().items() if key not in ("model", "attention")}
        digest = hashlib.sha256(json.dumps(about, sort_keys=True, default=str).encode())
        for name, tensor in self.encoder.parameters().items():
            digest.update(name.encode())
            digest.update(tensor.detach().cpu().contiguous().numpy().data)
        return digest.digest()


def _kept(file: Path, shape: tuple[int, int]) -> np.ndarray | None:
    """What an earlier process has kept; None if it is not there, or damaged: then it is made again."""
    try:
        rows: np.ndarray = np.load(file, allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return None
    return rows if rows.shape == shape and rows.dtype == np.float32 else None


@by_first
def _keep(file: Path, rows: np.ndarray) -> None:
    """Write beside and rename. A cache that cannot be written costs time, nothing else."""
    partial = file.with_name(f"{file.name}.{os.getpid()}.partial")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with partial.open("wb") as stream:
            np.save(stream, rows, allow_pickle=False)
        partial.replace(file)
    except OSError:
        with contextlib.suppress(OSError):
            partial.unlink(missing_ok=True)
