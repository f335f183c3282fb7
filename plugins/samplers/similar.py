"""Query sets that resemble their support sets."""

from __future__ import annotations

from metasearch_plugins.samplers.random import RandomSampler


class SimilarSampler(RandomSampler):
    """As :class:`~metasearch_plugins.samplers.random.RandomSampler`, with ``query="similar"`` unless told otherwise.

    Reference: paper section 6.2, Figure 5.
    """

    def __init__(
        self,
        support_size: int = 8,
        query_size: int = 4,
        num_negatives: int = 3,
        query: str = "similar",
        negatives: str = "random",
        margin: float = 1.0,
        cached_negatives: int = 0,
        negative_language: str = "any",
        versions: bool = False,
        base: bool = False,
    ) -> None:
        super().__init__(
            support_size,
            query_size,
            num_negatives,
            query,
            negatives,
            margin,
            cached_negatives,
            negative_language,
            versions,
            base,
        )
