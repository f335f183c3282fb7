"""The abstract interfaces that components implement, and the plain data that flows between them.

Nothing here imports torch, transformers, faiss or any concrete plugin.
"""

from metasearch.core.algorithm import MetaAlgorithm
from metasearch.core.corpus import Candidate, Corpus, Problem, Question
from metasearch.core.dataset import Dataset
from metasearch.core.encoder import CANDIDATE, QUERY, Encoder, Side
from metasearch.core.episode import ExampleSet, Task, Triplet, TripletExample
from metasearch.core.loss import Loss, TripletEmbeddings
from metasearch.core.metric import Metric
from metasearch.core.paths import expand
from metasearch.core.sampler import EpisodeSampler

__all__ = [
    "CANDIDATE",
    "QUERY",
    "Candidate",
    "Corpus",
    "Dataset",
    "Encoder",
    "EpisodeSampler",
    "ExampleSet",
    "Loss",
    "MetaAlgorithm",
    "Metric",
    "Problem",
    "Question",
    "Side",
    "Task",
    "Triplet",
    "TripletEmbeddings",
    "TripletExample",
    "expand",
]
