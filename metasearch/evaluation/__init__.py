"""Scores of an encoder on the language variants of a corpus."""

from metasearch.evaluation.evaluate import (
    VARIANTS,
    EncodedCorpus,
    Row,
    encode_corpus,
    evaluate_corpus,
    main_score,
    top_candidates,
)
from metasearch.evaluation.ranking import rank_relevant

__all__ = [
    "VARIANTS",
    "EncodedCorpus",
    "Row",
    "encode_corpus",
    "evaluate_corpus",
    "main_score",
    "rank_relevant",
    "top_candidates",
]
