"""Meta-tasks: the arrangement notation and the stream of tasks it stands for."""

from metasearch.episodes.arrangement import MODES, Arrangement, Chain, Link, Mode, parse_mode
from metasearch.episodes.embeddings import BaseEmbeddings
from metasearch.episodes.stream import EpisodeStream

__all__ = ["MODES", "Arrangement", "BaseEmbeddings", "Chain", "EpisodeStream", "Link", "Mode", "parse_mode"]
