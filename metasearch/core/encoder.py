"""Interface of encoders."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

if TYPE_CHECKING:
    import numpy as np
    import torch

    from metasearch.core.episode import ExampleSet
    from metasearch.core.loss import PairEmbeddings, TripletEmbeddings

Side = Literal["query", "candidate"]
QUERY: Side = "query"
CANDIDATE: Side = "candidate"


class Encoder(ABC):
    """Turns texts into vectors, as a differentiable function of its parameters.

    Meta-learning needs the encoder twice: as a *model* that scores text (:meth:`encode`, :meth:`save`), and as
    a *function* ``embed(params, batch)`` that can be evaluated at parameters other than its own, for example at
    those an inner loop has reached.

    Required: ``dimension``, ``device``, ``to``, ``parameters``, ``load_parameters``, ``prepare``, ``embed``, ``encode`` and
    ``save``. Optional: ``restrict``, ``tokens``, ``similarity``, ``dropout`` and ``describe``.

    Class attributes:
        kind: the examples it embeds, ``"triplets"`` (question, positive, negatives) or ``"pairs"`` (two sentences).
        trainable: whether it has parameters; else it can only be scored (``algo=zero-shot``), and there is no model to save.
        citation: how to cite the encoder, for model cards. May be empty.
    """

    kind: ClassVar[str] = "triplets"
    trainable: ClassVar[bool] = True
    citation: ClassVar[str] = ""

    @property
    @abstractmethod
    def dimension(self) -> int:
        """Length of an embedding."""

    @property
    @abstractmethod
    def device(self) -> torch.device:
        """Where the parameters are."""

    @abstractmethod
    def to(self, device: str, precision: str = "float32") -> None:
        """Move to ``device`` (``"cpu"``, ``"cuda"``, ``"cuda:1"``).

        Args:
            device: a torch device name.
            precision: ``"float32"``, ``"float64"`` (for exact tests) or ``"bfloat16"`` (autocast of the forward
                pass; parameters and gradients stay in float32).
        """

    @abstractmethod
    def parameters(self) -> dict[str, torch.Tensor]:
        """Name -> trainable parameter: leaves with ``requires_grad``, shared with the model (not copies)."""

    @abstractmethod
    def load_parameters(self, params: Mapping[str, torch.Tensor]) -> None:
        """Overwrite the model's parameters, in place, by those of the same names."""

    @abstractmethod
    def prepare(self, sets: Sequence[ExampleSet[Any]]) -> Any:
        """Do for the example sets of one task whatever does not depend on the parameters: tokenise them, as a rule, together.

        Returns:
            An object of the encoder's own, handed back to :meth:`restrict` and :meth:`embed`.
        """

    def restrict(self, params: Mapping[str, torch.Tensor], prepared: Any) -> dict[str, torch.Tensor]:
        """Keep of ``params`` only what the task can touch, differentiably.

        An inner loop copies its parameters at every step, so it pays to leave out rows of the token table
        that do not occur in the task: their gradient is zero throughout. The default keeps everything.
        """
        return dict(params)

    @abstractmethod
    def embed(self, params: Mapping[str, torch.Tensor], prepared: Any, index: int) -> TripletEmbeddings | PairEmbeddings:
        """Embed set number ``index`` of a prepared task at ``params`` (as :meth:`restrict` returns them).

        Must be a deterministic function of ``params``, and inside
        :func:`~metasearch.core.derivative.differentiated_twice` a twice differentiable one.

        Raises:
            ModelError: the backbone cannot be differentiated twice.
        """

    def tokens(self, prepared: Any, index: int) -> int | None:
        """How many tokens embedding set ``index`` takes, padding included; None (the default): not known, so no estimate."""
        return None

    @abstractmethod
    def encode(
        self,
        texts: Sequence[str],
        side: Side,
        batch_size: int = 32,
        progress: Callable[[int], None] | None = None,
    ) -> np.ndarray:
        """Embed texts for search, without gradients.

        Args:
            texts: any number of texts, none included; each distinct text is encoded once.
            side: ``"query"`` or ``"candidate"``: chooses prompt and maximal length.
            batch_size: texts per forward pass.
            progress: called with the number of texts done since the last call.

        Returns:
            float32 array ``(len(texts), dimension)``; the dot product of two rows is their similarity.
        """

    def similarity(
        self, queries: Sequence[str], candidates: Sequence[str], progress: Callable[[int], None] | None = None
    ) -> np.ndarray | None:
        """Score queries against candidates, for encoders whose scores are no dot product of :meth:`encode` (BM25).

        Args:
            queries: distinct texts.
            candidates: the whole collection, in which a text may occur more than once.
            progress: called with the number of texts done since the last call.

        Returns:
            float32 ``(len(queries), len(candidates))``; the default, None, means: the dot product of :meth:`encode`.
        """
        return None

    @abstractmethod
    def save(self, path: Path, model_card: str) -> None:
        """Write a folder that plain ``SentenceTransformer(path)`` loads, with ``model_card`` as README.md."""

    def dropout(self, active: bool) -> None:  # noqa: B027 (an optional hook, not forgotten)
        """Switch dropout in :meth:`embed` on or off (off when never called)."""

    def describe(self) -> dict[str, Any]:
        """What the manifest and the model card should say, as plain values.

        The card uses ``model`` (a name), ``prompts`` (``{"query": text, "candidate": text}``) and ``max_length``
        (``{"query": tokens, "candidate": tokens}``), where they are there; anything else is for the manifest.
        """
        return {}
