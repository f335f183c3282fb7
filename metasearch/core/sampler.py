"""Interface of episode samplers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    import numpy as np

    from metasearch.core.corpus import Corpus
    from metasearch.core.episode import ExampleSet
    from metasearch.episodes.arrangement import Chain


class EpisodeSampler(ABC):
    """Draws the example sets of one meta-task.

    A sampler is a pure function: the same corpus, chain and generator state give the same sets. Seeding by task
    index is done outside, by :class:`metasearch.episodes.EpisodeStream`, so that any task can be rebuilt alone, on
    any rank, after any restart.

    Class attributes:
        kind: the examples it draws, ``"triplets"``.
    """

    kind: ClassVar[str] = "triplets"

    @abstractmethod
    def sample(self, corpus: Corpus, chain: Chain, rng: np.random.Generator) -> tuple[tuple[ExampleSet, ...], int]:
        """Draw one task.

        Args:
            corpus: the split to draw from (train for meta-train, dev for meta-valid).
            chain: one line of the arrangement, for example ``el_el -> el_ar -> el_{ar,el,hi}``.
            rng: the only source of randomness allowed.

        Returns:
            One :class:`ExampleSet` per link of the chain, and the number of examples that fell short of the sampling
            rule. No question occurs in two sets; no negative is relevant to its question in any language.

        Raises:
            DataError: the corpus holds too few questions for the sizes asked for.
        """
