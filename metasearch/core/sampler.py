"""Interface of episode samplers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    import numpy as np

    from metasearch.core.corpus import AnyCorpus
    from metasearch.core.encoder import Side
    from metasearch.core.episode import ExampleSet
    from metasearch.episodes.arrangement import Chain

Embed = Callable[["Sequence[str]", "Side"], "np.ndarray"]


class EpisodeSampler(ABC):
    """Draws the example sets of one meta-task.

    A sampler is a pure function: the same corpus, chain and generator state give the same sets. Seeding by task
    index is done outside, by :class:`metasearch.episodes.EpisodeStream`, so that any task can be rebuilt alone, on
    any rank, after any restart.

    Class attributes:
        kinds: the examples it can draw, of ``"triplets"`` and ``"pairs"``.
    """

    kinds: ClassVar[tuple[str, ...]] = ("triplets",)

    @property
    def needs_embeddings(self) -> bool:
        """Whether :meth:`sample` needs :meth:`use_embeddings` to be called before."""
        return False

    def use_embeddings(self, embed: Embed) -> None:  # noqa: B027 (an optional hook, not forgotten)
        """Take the base encoder, for sampling by similarity. Called before the first :meth:`sample`, if it is needed.

        Args:
            embed: ``(texts, "query" | "candidate")`` -> float32 ``(len(texts), d)``, the embeddings of the encoder as it
                was before any training; computed once for all texts of a data set and kept on disk.
        """

    @abstractmethod
    def sample(self, corpus: AnyCorpus, chain: Chain, rng: np.random.Generator) -> tuple[tuple[ExampleSet[Any], ...], int]:
        """Draw one task.

        Args:
            corpus: the split to draw from (train for meta-train, dev for meta-valid).
            chain: one line of the arrangement, for example ``el_el -> el_ar -> el_{ar,el,hi}``.
            rng: the only source of randomness allowed.

        Returns:
            One :class:`ExampleSet` per link of the chain, and the number of examples that fell short of the sampling
            rule. No question (no pair) occurs in two sets; no negative is relevant to its question in any language.

        Raises:
            DataError: the corpus holds too few questions for the sizes asked for.
        """
