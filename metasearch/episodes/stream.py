"""Tasks by number: any task can be rebuilt alone, on any rank, after any restart."""

from __future__ import annotations

import zlib

import numpy as np

from metasearch.core.corpus import AnyCorpus, PairCorpus
from metasearch.core.episode import Task
from metasearch.core.sampler import EpisodeSampler
from metasearch.episodes.arrangement import Arrangement
from metasearch.errors import ConfigError


class EpisodeStream:
    """The endless sequence of tasks of one phase; ``task(index)`` is a pure function.

    Args:
        corpus: the split to draw from; of questions only those in the arrangement's languages are looked at.
        arrangement: its chains are taken in turn, by task index.
        sampler: draws the example sets.
        seed: the run's seed.
        phase: ``"train"``, ``"valid"`` or ``"test"``; phases draw different tasks.

    Raises:
        ConfigError: the arrangement names a language, or a pair of languages, that the corpus lacks; the message lists those
            it has.
    """

    def __init__(self, corpus: AnyCorpus, arrangement: Arrangement, sampler: EpisodeSampler, seed: int, phase: str) -> None:
        missing = sorted(arrangement.languages - set(corpus.languages))
        if missing:
            raise ConfigError(
                f"mode={arrangement}: the data {corpus.name!r} has no {', '.join(missing)}; "
                f"it has {', '.join(corpus.languages) or 'nothing'}"
            )
        if isinstance(corpus, PairCorpus):
            _check_tracks(corpus, arrangement)
            self.corpus: AnyCorpus = corpus
        else:
            self.corpus = corpus.of_languages(arrangement.languages)  # samplers that embed texts embed no others
        self.arrangement = arrangement
        self.sampler = sampler
        self.seed = seed
        self.phase = phase

    def task(self, index: int) -> Task:
        """Build task number ``index`` (from 0)."""
        chain = self.arrangement.chains[index % len(self.arrangement.chains)]
        rng = np.random.default_rng([self.seed, zlib.crc32(self.phase.encode()), index])
        sets, shortfall = self.sampler.sample(self.corpus, chain, rng)
        return Task(index, self.phase, sets, shortfall)


def _check_tracks(corpus: PairCorpus, arrangement: Arrangement) -> None:
    asked = {
        (first, second)
        for chain in arrangement.chains
        for link in chain.links
        for firsts, seconds in link.pairs
        for first in firsts
        for second in seconds
    }
    missing = sorted(f"{first}_{second}" for first, second in asked if not corpus.pairs_of(first, second))
    if missing:
        has = ", ".join(f"{first}_{second}" for first, second in corpus.tracks)
        raise ConfigError(f"mode={arrangement}: the data {corpus.name!r} has no pairs {', '.join(missing)}; it has {has}")
