"""The abstract interfaces that components implement, and the plain data that flows between them.

Nothing here imports torch, transformers, faiss or any concrete plugin.
"""

from metasearch.core.algorithm import Cost, MetaAlgorithm
from metasearch.core.corpus import AnyCorpus, Candidate, Corpus, PairCorpus, Problem, Question, SentencePair
from metasearch.core.dataset import Dataset
from metasearch.core.derivative import differentiated_twice, is_differentiated_twice
from metasearch.core.encoder import CANDIDATE, QUERY, Encoder, Side
from metasearch.core.episode import ExampleSet, Task, Triplet, TripletExample
from metasearch.core.index import Index
from metasearch.core.loss import Loss, PairEmbeddings, TripletEmbeddings
from metasearch.core.metric import Metric, PairMetric, RankingMetric
from metasearch.core.paths import cache_dir, expand, held
from metasearch.core.sampler import Embed, EpisodeSampler

__all__ = [
    "CANDIDATE",
    "QUERY",
    "AnyCorpus",
    "Candidate",
    "Corpus",
    "Cost",
    "Dataset",
    "Embed",
    "Encoder",
    "EpisodeSampler",
    "ExampleSet",
    "Index",
    "Loss",
    "MetaAlgorithm",
    "Metric",
    "PairCorpus",
    "PairEmbeddings",
    "PairMetric",
    "Problem",
    "Question",
    "RankingMetric",
    "SentencePair",
    "Side",
    "Task",
    "Triplet",
    "TripletEmbeddings",
    "TripletExample",
    "cache_dir",
    "differentiated_twice",
    "expand",
    "held",
    "is_differentiated_twice",
]
