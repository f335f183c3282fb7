"""The contract of samplers."""

from __future__ import annotations

import copy
import random
from typing import Any

import numpy as np

from metasearch.core import AnyCorpus, Corpus, EpisodeSampler, ExampleSet, SentencePair, TripletExample
from metasearch.episodes import Chain, Link, parse_mode
from metasearch.errors import DataError, MetasearchError
from metasearch.testing.demand import demand
from metasearch.testing.tiny import tiny_corpus, tiny_embed, tiny_pairs

_MODES = {
    "triplets": ("el_el -> el_ar -> el_{ar,el,hi}", "hi_hi -> hi_de", "{el,hi}_ar -> de_{ar,de}"),
    "pairs": ("ar_ar -> de_de", "de_de -> ar_de -> ar_{ar,de}"),
}
_TASKS = 12

Drawn = tuple[tuple[ExampleSet[Any], ...], int]


def check_sampler(sampler: EpisodeSampler) -> None:
    """Check what :class:`metasearch.core.EpisodeSampler` demands, on the tiny corpora.

    Drawing is a pure function of corpus, chain and generator; there is one set per link, in the link's languages, of the
    sizes that ``support_size`` and ``query_size`` say (where the sampler has them); no question (pair) is in two sets, no
    negative answers its question in any language; a corpus too small is a DataError.

    Args:
        sampler: constructed, with any options that tasks of 40 questions allow.

    Raises:
        AssertionError: what does not hold.

    Example:
        >>> from metasearch.registry import registry
        >>> check_sampler(registry.create("sampler", "random", support_size=3))
    """
    demand(bool(sampler.kinds), "kinds must name what the sampler draws: 'triplets', 'pairs' or both")
    for kind in sampler.kinds:
        demand(kind in _MODES, f"kinds has {kind!r}, expected 'triplets' or 'pairs'")
        corpus: AnyCorpus = tiny_corpus() if kind == "triplets" else tiny_pairs()
        small: AnyCorpus = tiny_corpus(articles=1, questions=1) if kind == "triplets" else tiny_pairs(rows=1)
        for mode in _MODES[kind]:
            (chain,) = parse_mode(mode).train.chains
            _check_pure(sampler, corpus, chain)
            for seed in range(_TASKS):
                _check_task(sampler, corpus, chain, _draw(_ready(sampler), corpus, chain, seed))
        _check_too_small(sampler, small, chain)


def _ready(sampler: EpisodeSampler) -> EpisodeSampler:
    """A copy that has drawn nothing yet."""
    fresh = copy.deepcopy(sampler)
    if fresh.needs_embeddings:
        fresh.use_embeddings(tiny_embed)
    return fresh


def _draw(sampler: EpisodeSampler, corpus: AnyCorpus, chain: Chain, seed: int) -> Drawn:
    return sampler.sample(corpus, chain, np.random.default_rng([7, seed]))


def _check_pure(sampler: EpisodeSampler, corpus: AnyCorpus, chain: Chain) -> None:
    used = _ready(sampler)
    before = (random.getstate(), np.random.get_state()[1].tolist())  # type: ignore[index]
    tasks = [_draw(used, corpus, chain, seed) for seed in range(4)]
    after = (random.getstate(), np.random.get_state()[1].tolist())  # type: ignore[index]
    demand(before == after, "sample must draw from the rng it is given alone, not from the global generators")
    demand(
        tasks[1] == _draw(used, corpus, chain, 1) == _draw(_ready(sampler), corpus, chain, 1),
        "the same corpus, chain and generator state must give the same task, whatever was drawn before",
    )
    demand(any(task != tasks[0] for task in tasks[1:]), "four generators give the same task: rng is not used")


def _check_task(sampler: EpisodeSampler, corpus: AnyCorpus, chain: Chain, drawn: Drawn) -> None:
    demand(isinstance(drawn, tuple) and len(drawn) == 2, "sample returns (example sets, how many examples fell short)")
    sets, shortfall = drawn
    demand(isinstance(shortfall, (int, np.integer)) and shortfall >= 0, f"the shortfall is a count, found {shortfall!r}")
    demand(
        len(sets) == len(chain.links), f"{len(sets)} sets for the chain {chain}: one per link, {len(chain.links)}, is expected"
    )
    for number, (found, link) in enumerate(zip(sets, chain.links, strict=True)):
        demand(isinstance(found, ExampleSet) and len(found) > 0, f"set {number} is no ExampleSet with examples: {found!r:.80}")
        demand(
            found.variant == link.text, f"variant of set {number} is {found.variant!r}, expected the link's text {link.text!r}"
        )
        size = getattr(sampler, "query_size" if number else "support_size", None)
        demand(size is None or len(found) == size, f"set {number} has {len(found)} examples, but the option asks for {size}")
        for example in found.examples:
            if isinstance(corpus, Corpus):
                _check_triplet(corpus, link, example)
            else:
                _check_pair(link, example)
        if isinstance(corpus, Corpus):
            counts = {len(example.negatives) for example in found.examples}
            demand(len(counts) == 1, f"all examples of a set have the same number of negatives, found {sorted(counts)}")
    _check_disjoint(sets)


def _check_triplet(corpus: Corpus, link: Link, example: Any) -> None:
    demand(
        isinstance(example, TripletExample), f"an example of kind 'triplets' is a TripletExample, found {type(example).__name__}"
    )
    question, candidates = example.question, (example.positive, *example.negatives)
    relevant = corpus.relevant[question.id]
    demand(len(example.negatives) > 0, "an example needs at least one negative")
    demand(example.positive.id in relevant, f"the positive {example.positive.id} does not answer {question.id}")
    bad = [n.id for n in example.negatives if n.id in relevant]
    demand(not bad, f"negatives of {question.id} answer it, if in another language: {', '.join(bad)}")
    demand(
        example.relevant == relevant,
        f"relevant of {question.id} must hold every answer of the corpus, {sorted(relevant)}, found {sorted(example.relevant)}",
    )
    fits = any(question.language in asked and all(c.language in answering for c in candidates) for asked, answering in link.pairs)
    found = f"{question.language}_{{{','.join(sorted({c.language for c in candidates}))}}}"
    demand(fits, f"languages {found} in a set whose link is {link.text}")


def _check_pair(link: Link, example: Any) -> None:
    demand(isinstance(example, SentencePair), f"an example of kind 'pairs' is a SentencePair, found {type(example).__name__}")
    first, second = example.languages
    fits = any(first in firsts and second in seconds for firsts, seconds in link.pairs)
    demand(fits, f"a pair of {first}_{second} in a set whose link is {link.text}")


def _check_disjoint(sets: tuple[ExampleSet[Any], ...]) -> None:
    ids = [{e.id if isinstance(e, SentencePair) else e.question.id for e in s.examples} for s in sets]
    for i, one in enumerate(ids):
        for j in range(i + 1, len(ids)):
            twice = sorted(one & ids[j])
            demand(not twice, f"{', '.join(twice)} is in sets {i} and {j} of one task: the query set would be known already")


def _check_too_small(sampler: EpisodeSampler, corpus: AnyCorpus, chain: Chain) -> None:
    try:
        _draw(_ready(sampler), corpus, chain, 0)
    except DataError:
        return
    except MetasearchError as error:
        raise AssertionError(f"a corpus with too few questions is a DataError, found {type(error).__name__}: {error}") from error
    except Exception as error:
        raise AssertionError(
            f"a corpus with too few questions must be a DataError that says so, found {type(error).__name__}: {error}"
        ) from error
    raise AssertionError("a corpus of one question was enough for a task of several sets: expected a DataError")
