"""Negatives that the base encoder takes for answers."""

from __future__ import annotations

from metasearch_plugins.samplers.random import RandomSampler


class HardSampler(RandomSampler):
    """As :class:`~metasearch_plugins.samplers.random.RandomSampler`, with ``negatives="hard"`` unless told otherwise.

    Reference: paper section 6.2, Figure 6.
    """

    def __init__(
        self,
        support_size: int = 8,
        query_size: int = 4,
        num_negatives: int = 3,
        query: str = "random",
        negatives: str = "hard",
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
