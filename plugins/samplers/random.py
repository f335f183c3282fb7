"""Random sampling of episodes (paper section 5.2), and the options that all shipped samplers share."""

from __future__ import annotations

from typing import Any

import numpy as np

from metasearch import EpisodeSampler
from metasearch.core import AnyCorpus, Embed, ExampleSet, PairCorpus, TripletExample
from metasearch.episodes import Chain
from metasearch.errors import ConfigError
from metasearch_plugins.samplers.pairs import PairDrawer
from metasearch_plugins.samplers.triplets import NEGATIVES, TripletDrawer, TripletOptions

QUERIES = ("random", "similar")
NEGATIVE_LANGUAGES = ("any", "question")


class RandomSampler(EpisodeSampler):
    """Questions, positives and negatives (or sentence pairs) drawn uniformly, unless the options say otherwise.

    A task's first set has ``support_size`` anchors; each further set has ``query_size``, one for each of as many anchors of the
    set before it, its support set. No question occurs twice in a task. Per anchor, one pair of languages is drawn from the
    link's alternatives, then a language for the positive and for each negative.

    Args:
        support_size: anchors in the support set (k, paper: 8).
        query_size: anchors in each query set (q, paper: 4).
        num_negatives: negatives per anchor (paper: 3); anchor and positive are shared by that many triplets.
        query: ``"random"``: any other question; ``"similar"``: the nearest other question by the base encoder's cosine, in the
            query set's question language.
        negatives: with d the distance under the base encoder, ``"random"``: any candidate that answers the question in no
            language; ``"hard"``: one of those with d(q, n) < d(q, p); ``"semi-hard"``: d(q, p) < d(q, n) < d(q, p) + margin;
            ``"easy"``: d(q, n) > d(q, p) + margin. Where none qualifies, the nearest to qualifying is taken and counted.
        margin: in units of the Euclidean distance of embeddings.
        cached_negatives: K further negatives per anchor as embeddings, for ``loss=cached``: the nearest wrong candidates.
        negative_language: ``"any"``: each negative's language is drawn from the link's candidate languages; ``"question"``: it
            is the question's, whose bonus in a multilingual pool (language bias) such negatives fight.
        versions: bring the positive in every candidate language of the link, and the question in one of these that is not its
            own, for losses that align languages.
        base: bring the base encoder's embeddings of question and answer in all languages of the chain, for losses that distil
            its monolingual scores.

    Sentence pairs have no negatives: there only ``query`` matters beside the sizes.
    """

    kinds = ("triplets", "pairs")

    def __init__(
        self,
        support_size: int = 8,
        query_size: int = 4,
        num_negatives: int = 3,
        query: str = "random",
        negatives: str = "random",
        margin: float = 1.0,
        cached_negatives: int = 0,
        negative_language: str = "any",
        versions: bool = False,
        base: bool = False,
    ) -> None:
        if query not in QUERIES:
            raise ConfigError(f"sampler.query={query!r}: expected one of {', '.join(QUERIES)}")
        if negatives not in NEGATIVES:
            raise ConfigError(f"sampler.negatives={negatives!r}: expected one of {', '.join(NEGATIVES)}")
        if negative_language not in NEGATIVE_LANGUAGES:
            raise ConfigError(f"sampler.negative_language={negative_language!r}: expected one of {', '.join(NEGATIVE_LANGUAGES)}")
        self.support_size = support_size
        self.query_size = query_size
        self.query = query
        self.cached_negatives = cached_negatives
        self.base = base
        self.options = TripletOptions(
            num_negatives, negatives, margin, cached_negatives, negative_language == "question", versions, base
        )
        self.embed: Embed | None = None
        self._drawers: dict[int, tuple[AnyCorpus, TripletDrawer | PairDrawer]] = {}

    @property
    def needs_embeddings(self) -> bool:
        return self.query != "random" or self.options.need_embeddings

    def use_embeddings(self, embed: Embed) -> None:
        self.embed = embed
        self._drawers.clear()

    def sample(self, corpus: AnyCorpus, chain: Chain, rng: np.random.Generator) -> tuple[tuple[ExampleSet[Any], ...], int]:
        drawer = self._drawer(corpus)
        need = self.support_size + self.query_size * (len(chain.links) - 1)
        used: set[str] = set()
        sets: list[ExampleSet[Any]] = []
        shortfall = 0
        for number, link in enumerate(chain.links):
            examples = []
            for i in range(self.query_size if number else self.support_size):
                like = sets[-1].examples[i % len(sets[-1])] if number and self.query == "similar" else None
                example, short = drawer.draw(link, used, need, rng, like)
                shortfall += short
                if self.options.base and isinstance(drawer, TripletDrawer) and isinstance(example, TripletExample):
                    example = drawer.with_base(example, sorted(chain.languages))
                examples.append(example)
            sets.append(ExampleSet(tuple(examples), link.text))
        return tuple(sets), shortfall

    def _drawer(self, corpus: AnyCorpus) -> TripletDrawer | PairDrawer:
        if id(corpus) not in self._drawers:
            drawer = (
                PairDrawer(corpus, self.embed)
                if isinstance(corpus, PairCorpus)
                else TripletDrawer(corpus, self.options, self.embed)
            )
            self._drawers[id(corpus)] = (corpus, drawer)  # with the corpus, so that its id is not given to another
        return self._drawers[id(corpus)][1]
