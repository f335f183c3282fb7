"""Drawing one sentence pair."""

from __future__ import annotations

import numpy as np

from metasearch.core import QUERY, Embed, PairCorpus, SentencePair
from metasearch.episodes import Link
from metasearch.errors import DataError


class PairDrawer:
    """Draws from one corpus of sentence pairs.

    Args:
        corpus: the split.
        embed: the base encoder; None where nothing is drawn by similarity.
    """

    def __init__(self, corpus: PairCorpus, embed: Embed | None) -> None:
        self.corpus = corpus
        self.embed = embed
        self._rows: dict[tuple[str, str], np.ndarray] = {}

    def draw(
        self, link: Link, used: set[str], need: int, rng: np.random.Generator, like: SentencePair | None
    ) -> tuple[SentencePair, int]:
        """Draw a pair whose group is not in ``used``, and add its group to it (a translation is the same pair).

        Args:
            link: the languages to choose from.
            used: groups of the task's pairs so far.
            need: pairs that the task needs, for the message.
            rng: the source of randomness.
            like: take the pair nearest to this one; None: any.

        Returns:
            The pair, and 0: no pair falls short of anything.
        """
        firsts, seconds = link.pairs[rng.integers(len(link.pairs))]
        first = firsts[rng.integers(len(firsts))]
        second = seconds[rng.integers(len(seconds))]
        pairs = self.corpus.pairs_of(first, second)
        free = [i for i, pair in enumerate(pairs) if pair.group not in used]
        if not free:
            raise DataError(
                f"{self.corpus.name}: a task needs {need} different pairs, but the split has only {len(pairs)} of "
                f"{first}_{second}; "
                "lower sampler.support_size or sampler.query_size"
            )
        if like is None:
            pair = pairs[free[rng.integers(len(free))]]
        else:
            cosines = self._pair_rows(first, second)[free] @ self._row(like)
            pair = pairs[free[int(np.argmax(cosines))]]
        used.add(pair.group)
        return pair, 0

    def _pair_rows(self, first: str, second: str) -> np.ndarray:
        """A direction per pair: its two sentences' embeddings, added."""
        key = (first, second)
        if key not in self._rows:
            pairs = self.corpus.pairs_of(first, second)
            self._rows[key] = self._directions([p.first for p in pairs], [p.second for p in pairs])
        return self._rows[key]

    def _row(self, pair: SentencePair) -> np.ndarray:
        found: np.ndarray = self._directions([pair.first], [pair.second])[0]
        return found

    def _directions(self, firsts: list[str], seconds: list[str]) -> np.ndarray:
        if self.embed is None:
            raise RuntimeError("sampling by similarity needs use_embeddings() first")
        rows = self.embed(firsts, QUERY) + self.embed(seconds, QUERY)
        found: np.ndarray = rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)
        return found
