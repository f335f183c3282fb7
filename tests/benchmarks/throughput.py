"""Sampling, encoding and scoring: each beside what else one would use."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
import torch

from metasearch.config import compose
from metasearch.core import CANDIDATE, Corpus, EpisodeSampler
from metasearch.dataset import make_splits
from metasearch.episodes import BaseEmbeddings, EpisodeStream, parse_mode
from metasearch.evaluation.ranking import rank_relevant
from metasearch_plugins.metrics.map import MeanAveragePrecision

WAYS: tuple[list[str], ...] = (
    [],
    ["sampler.query=similar"],
    ["sampler.negatives=hard"],
    ["sampler.negatives=semi-hard"],
    ["sampler.negatives=easy", "sampler.margin=0.1"],
    ["sampler=similar", "sampler.negatives=hard"],
    ["sampler.cached_negatives=32"],
)


def sampler(words: list[str], rounds: int, quick: bool) -> None:
    """The paper's tasks: 7000 to train, 2000 to validate (a tenth of them with ``quick``)."""
    del rounds
    config = compose("preset=paper", *words)
    corpus = config.create("data").load()
    (split,) = make_splits(corpus, 0, 0)
    embed = BaseEmbeddings(config.create("encoder"), [corpus])
    embed([corpus.questions[0].text], "query"), embed([corpus.candidates[0].text], "candidate")
    mode = parse_mode("mono-bi-multi")
    print("| sampling | tasks a second | time, against random |\n| --- | ---: | ---: |")
    plain = None
    for way in WAYS:
        made: EpisodeSampler = compose("preset=paper", *words, *way).create("sampler")
        made.use_embeddings(embed)
        count, begin = 0, time.perf_counter()
        for phase, part, tasks in (("train", split.train, 7000), ("valid", split.dev, 2000)):
            stream = EpisodeStream(part, mode.arrangement(phase), made, 0, phase)
            for index in range(tasks // 10 if quick else tasks):
                stream.task(index)
                count += 1
        took = (time.perf_counter() - begin) / count
        plain = plain or took
        print(f"| {' '.join(way) or 'random'} | {1 / took:.0f} | {took / plain:.1f} |", flush=True)


def encode(words: list[str], rounds: int, quick: bool) -> None:
    """Texts a second, beside ``SentenceTransformer.encode`` on the same texts, prompts and batch size; two threads."""
    torch.set_num_threads(2)
    config = compose(*words)
    corpus = config.create("data").load()
    encoder = config.create("encoder")
    texts = [c.text for c in corpus.candidates][:: max(1, len(corpus.candidates) // (100 if quick else 300))]
    prompt = encoder.prompts[CANDIDATE]

    def theirs() -> object:
        return encoder.model.encode(texts, prompt=prompt, batch_size=32, show_progress_bar=False)

    ours_, theirs_ = by_turns(lambda: encoder.encode(texts, CANDIDATE, 32), theirs, rounds=max(3, rounds))
    print(f"{len(texts)} candidates: ours {len(texts) / ours_:.0f} texts a second, {theirs_ / ours_:.2f} times theirs")


def mean_average_precision(words: list[str], rounds: int, quick: bool) -> None:
    """mAP@20 of questions against a multilingual pool, beside ranx, from the same matrix of similarities."""
    import ranx

    corpus: Corpus = compose(*words).create("data").load()
    questions = corpus.questions[:: 10 if quick else 2]
    similarity = np.random.default_rng(0).standard_normal((len(questions), len(corpus.candidates)), dtype=np.float32)
    ids = [c.id for c in corpus.candidates]
    place = {c: i for i, c in enumerate(ids)}
    most = max(len(corpus.relevant[q.id]) for q in questions)
    relevant = np.full((len(questions), most), -1)
    for row, question in enumerate(questions):
        columns = sorted(place[c] for c in corpus.relevant[question.id])
        relevant[row, : len(columns)] = columns
    metric = MeanAveragePrecision()

    def theirs() -> float:
        top = np.argpartition(-similarity, 20, axis=1)[:, :20]
        run = {str(row): {ids[c]: float(similarity[row, c]) for c in columns} for row, columns in enumerate(top)}
        qrels = {str(row): dict.fromkeys(corpus.relevant[q.id], 1) for row, q in enumerate(questions)}
        found = ranx.evaluate(ranx.Qrels(qrels), ranx.Run(run), "map@20")
        return float(found)

    def ours() -> float:
        return float(metric.per_query(rank_relevant(similarity, relevant))["map@20"].mean())

    print(f"{len(questions)} questions, {len(ids)} candidates: ours {ours():.6f}, ranx {theirs():.6f}")
    ours_, theirs_ = by_turns(ours, theirs, rounds=max(3, rounds))
    print(f"ours {ours_:.2f} s, ranx {theirs_:.2f} s ({theirs_ / ours_:.1f} times ours)")


def by_turns(*works: Callable[[], object], rounds: int) -> list[float]:
    """Least seconds of each, taken in turns after one to warm up."""
    for work in works:
        work()
    seconds: list[list[float]] = [[] for _ in works]
    for _ in range(rounds):
        for work, taken in zip(works, seconds, strict=True):
            begin = time.perf_counter()
            work()
            taken.append(time.perf_counter() - begin)
    return [min(taken) for taken in seconds]
