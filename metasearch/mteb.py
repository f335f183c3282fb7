"""A run, or any encoder, as a model that ``mteb`` scores: ``mteb.evaluate(MtebEncoder("runs/first"), tasks)``.

Needs the extra ``metasearch[mteb]``. A run's ``model/`` folder is a plain SentenceTransformer, which mteb loads too; this
wrapper also brings the run's prompts and lengths per side, and encoders that are no SentenceTransformer.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from metasearch.core import CANDIDATE, QUERY, Side
from metasearch.errors import ModelError
from metasearch.prepare import usable_device
from metasearch.search.probe import take_probe
from metasearch.search.settings import read_settings

if TYPE_CHECKING:
    from mteb.models import ModelMeta


class MtebEncoder:
    """An encoder behind mteb's ``EncoderProtocol``.

    Queries are encoded as queries, documents as candidates; texts that a task calls neither (sentence pairs, classification) as
    queries, as metasearch does with sentence pairs. Similarity is the dot product.

    Args:
        model: built-in name, SentenceTransformer folder, hub name, a run folder or the ``model/`` in it. A run's settings hold
            unless ``words`` say otherwise.
        revision: what mteb files results under; None: a hash of what the model makes of a few texts, so that two models with one
            name are never mixed up.
        device: torch device; None: as ``words`` say, CUDA when there is one.
        words: ``"encoder.max_candidate_length=128"``, ``"eval.batch_size=64"``, ``"precision=bfloat16"``, ...

    Raises:
        ModelError: mteb is not installed, or the model cannot be loaded.

    Example:
        >>> import mteb  # doctest: +SKIP
        >>> mteb.evaluate(MtebEncoder("runs/first"), mteb.get_tasks(tasks=["BelebeleRetrieval"]))  # doctest: +SKIP
    """

    def __init__(self, model: str, revision: str | None = None, *, device: str | None = None, words: Iterable[str] = ()) -> None:
        try:
            from mteb.models import ModelMeta
        except ImportError as error:
            raise ModelError(f"mteb is not installed ({error}): pip install 'metasearch[mteb]'") from error
        config = read_settings(model, tuple(words)).encoder
        self.encoder = config.create("encoder")
        self.encoder.to(usable_device(device or config["device"]), config["precision"])
        self.batch_size: int = config["eval.batch_size"]
        about = self.encoder.describe()
        self._meta: ModelMeta = ModelMeta.create_empty(
            {
                "name": f"metasearch/{_name(model)}",
                "revision": revision or hashlib.sha256(take_probe(self.encoder)["float32"].encode()).hexdigest()[:16],
                "embed_dim": self.encoder.dimension,
                "max_tokens": max(about["max_length"].values()) if about.get("max_length") else None,
                "n_parameters": about.get("parameters"),
                "framework": ["PyTorch"],
                "open_weights": True,
                "use_instructions": any((about.get("prompts") or {}).values()),
            }
        )

    @property
    def mteb_model_meta(self) -> ModelMeta:
        """Name, revision and sizes, for mteb's result files."""
        return self._meta

    def encode(self, inputs: Iterable[Mapping[str, Any]], *, prompt_type: Any = None, **kwargs: Any) -> np.ndarray:
        """Encode a task's texts.

        Args:
            inputs: batches that hold a list of texts under ``"text"``.
            prompt_type: mteb's ``PromptType``: ``query``, ``document`` or None.
            kwargs: of mteb's options, ``batch_size`` is used.

        Returns:
            float32 ``(texts, dimension)``.
        """
        texts = [text for batch in inputs for text in batch["text"]]
        side: Side = CANDIDATE if getattr(prompt_type, "value", prompt_type) == "document" else QUERY
        found: np.ndarray = self.encoder.encode(texts, side, kwargs.get("batch_size") or self.batch_size)
        return found

    def similarity(self, embeddings1: Any, embeddings2: Any) -> np.ndarray:
        """Dot products of all rows with all rows, ``(m, n)``."""
        found: np.ndarray = np.atleast_2d(np.asarray(embeddings1)) @ np.atleast_2d(np.asarray(embeddings2)).T
        return found

    def similarity_pairwise(self, embeddings1: Any, embeddings2: Any) -> np.ndarray:
        """Dot products of rows with rows of the same number, ``(m,)``."""
        found: np.ndarray = (np.asarray(embeddings1) * np.asarray(embeddings2)).sum(-1)
        return found


def _name(model: str) -> str:
    """A short name for a model: a run's or a folder's own, or what it is called on the hub."""
    path = Path(model)
    name = path.parent.name if path.name == "model" else path.name
    return name.replace("builtin:", "")
