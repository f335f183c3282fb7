"""How long it takes to build the paper's 10,000 meta-tasks of a fold, per way of sampling.

    python tests/benchmarks/episodes.py FOLDER [MODEL]

FOLDER holds XQuAD-R's ar.json, de.json, ...; MODEL is any SentenceTransformer (default: the built-in one). One thread. Times are
given beside that of random sampling in the same run. Embeddings are made first, or read from the cache.
"""

from __future__ import annotations

import os
import sys
import time

os.environ.setdefault("OMP_NUM_THREADS", "1")

from metasearch.dataset import make_splits
from metasearch.episodes import BaseEmbeddings, EpisodeStream, parse_mode
from metasearch_plugins.datasets.xquad_r import XQuADR
from metasearch_plugins.encoders.triplet import TripletEncoder
from metasearch_plugins.samplers.random import RandomSampler

WAYS: list[dict[str, object]] = [
    {},
    {"query": "similar"},
    {"negatives": "hard"},
    {"negatives": "semi-hard"},
    {"negatives": "easy", "margin": 0.1},
    {"query": "similar", "negatives": "hard"},
    {"cached_negatives": 32},
]


def main(folder: str, model: str = "builtin:multilingual-e5-small") -> None:
    corpus = XQuADR(folder).load()
    (split,) = make_splits(corpus, 0)
    embed = BaseEmbeddings(TripletEncoder(model), [corpus])
    begin = time.perf_counter()
    embed([corpus.questions[0].text], "query")
    embed([corpus.candidates[0].text], "candidate")
    print(f"embeddings: {time.perf_counter() - begin:.1f} s")
    mode = parse_mode("mono-bi-multi")
    plain = None
    for options in WAYS:
        sampler = RandomSampler(**options)  # type: ignore[arg-type]
        sampler.use_embeddings(embed)
        begin, short = time.perf_counter(), 0
        for phase, part, count in (("train", split.train, 7000), ("valid", split.dev, 2000), ("test", split.test, 1000)):
            stream = EpisodeStream(part, mode.arrangement(phase), sampler, 0, phase)
            short += sum(stream.task(index).shortfall for index in range(count))
        took = time.perf_counter() - begin
        plain = plain or took
        print(f"{options or 'random'}: {took:.1f} s, {took / plain:.1f} times random, {short} of 480000 negatives fell short")


if __name__ == "__main__":
    main(*sys.argv[1:])
