"""Scores of an encoder on the language variants of a corpus."""

from metasearch.evaluation.evaluate import (
    VARIANTS,
    EncodedCorpus,
    QueryScores,
    Row,
    encode_corpus,
    evaluate_corpus,
    main_score,
    top_candidates,
)
from metasearch.evaluation.language_bias import OWN_LANGUAGE, own_language
from metasearch.evaluation.pairs import EncodedPairs, encode_pairs, evaluate_pairs
from metasearch.evaluation.ranking import rank_relevant
from metasearch.evaluation.score import Scored, check_metric, count_texts, score_corpus

__all__ = [
    "OWN_LANGUAGE",
    "VARIANTS",
    "EncodedCorpus",
    "EncodedPairs",
    "QueryScores",
    "Row",
    "Scored",
    "check_metric",
    "count_texts",
    "encode_corpus",
    "encode_pairs",
    "evaluate_corpus",
    "evaluate_pairs",
    "main_score",
    "own_language",
    "rank_relevant",
    "score_corpus",
    "top_candidates",
]
