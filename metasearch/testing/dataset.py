"""The contract of data sets."""

from __future__ import annotations

import copy
import re
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from metasearch.core import AnyCorpus, Candidate, Corpus, Dataset, PairCorpus, Problem, Question, SentencePair
from metasearch.testing.demand import demand

_LANGUAGE = re.compile(r"[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*\Z")


def check_dataset(dataset: Dataset) -> None:
    """Check what :class:`metasearch.core.Dataset` demands of what it loads.

    It loads something, the same each time (by fingerprint); ids are unique; judgements name what is there; the same id in several
    languages is in one group, and so are a question and its answers, since folds are cut between groups.

    Args:
        dataset: constructed, with options under which it loads.

    Raises:
        AssertionError: what does not hold.

    Example:
        >>> from metasearch.registry import registry
        >>> check_dataset(registry.create("data", "mini", languages=["en", "de"]))
    """
    demand(0 < dataset.dev_share < 1, f"dev_share is a share of all questions, between 0 and 1, found {dataset.dev_share}")
    demand(
        type(dataset).reads(Path("no", "such", "folder")) is False,
        "reads() of a path that is not there must return False, quietly",
    )
    corpus = copy.deepcopy(dataset).load()
    demand(isinstance(corpus, (Corpus, PairCorpus)), f"load returns a Corpus or a PairCorpus, found {type(corpus).__name__}")
    demand(corpus.kind == dataset.kind, f"kind is {dataset.kind!r}, but load returns a corpus of {corpus.kind!r}")
    demand(bool(corpus), "the corpus is empty")
    _check_languages(corpus)
    demand(all(isinstance(p, Problem) for p in corpus.problems), "problems holds Problem records")
    if isinstance(corpus, Corpus):
        _check_questions(corpus)
    else:
        _check_pairs(corpus)
    again = copy.deepcopy(dataset).load()
    demand(again.fingerprint == corpus.fingerprint, "loading twice gives different data: runs could not be repeated")


def _check_languages(corpus: AnyCorpus) -> None:
    for language in corpus.languages:
        demand(
            bool(_LANGUAGE.match(language)), f"{language!r} is no language code such as 'ar' or 'pt-BR': modes could not name it"
        )


def _check_text(text: str, what: str) -> None:
    demand(isinstance(text, str) and bool(text.strip()), f"{what} has no text: leave it out, and list it in problems")


def _demand_once(keys: Iterable[Any], what: str) -> None:
    twice = [key for key, count in Counter(keys).items() if count > 1]
    demand(not twice, f"{what} must be unique, but {twice[0]!r} occurs more than once" if twice else "")


def _demand_one_group(items: Iterable[Question | SentencePair], what: str) -> None:
    groups: dict[str, str] = {}
    for item in items:
        demand(bool(item.group), f"{what} {item.id} has an empty group")
        first = groups.setdefault(item.id, item.group)
        demand(
            first == item.group,
            f"{what} {item.id} is in group {first!r} in one language and in {item.group!r} in another: "
            "a fold would train on what it is tested on",
        )


def _check_questions(corpus: Corpus) -> None:
    _demand_once(((q.language, q.id) for q in corpus.questions), "(language, id) of questions")
    _demand_once((c.id for c in corpus.candidates), "ids of candidates")
    _demand_one_group(corpus.questions, "question")
    for question in corpus.questions:
        _check_text(question.text, f"question {question.id} in {question.language}")
    for candidate in corpus.candidates:
        _check_text(candidate.text, f"candidate {candidate.id}")
        demand(bool(candidate.group), f"candidate {candidate.id} has an empty group")
    _check_judgements(corpus, {c.id: c for c in corpus.candidates})


def _check_judgements(corpus: Corpus, candidates: dict[str, Candidate]) -> None:
    groups = {q.id: q.group for q in corpus.questions}
    for question_id, ids in corpus.relevant.items():
        demand(question_id in groups, f"relevant names the question {question_id!r}, which is not there")
        for candidate_id in ids:
            demand(
                candidate_id in candidates,
                f"relevant names the candidate {candidate_id!r} of {question_id!r}, which is not there",
            )
            demand(
                candidates[candidate_id].group == groups[question_id],
                f"question {question_id} is in group {groups[question_id]!r}, its answer {candidate_id} in "
                f"{candidates[candidate_id].group!r}: folds would part them",
            )
    demand(any(corpus.relevant.get(i) for i in groups), "no question has an answer")


def _check_pairs(corpus: PairCorpus) -> None:
    _demand_once(((p.languages, p.id) for p in corpus.pairs), "(languages, id) of pairs")
    _demand_one_group(corpus.pairs, "pair")
    for pair in corpus.pairs:
        for text in (pair.first, pair.second):
            _check_text(text, f"pair {pair.id}")
        demand(0 <= pair.score <= 1, f"score of pair {pair.id} is {pair.score}, expected 0 to 1: scale it")
    for group, part in corpus.parts.items():
        demand(part in ("train", "dev", "test"), f"parts: {group!r} is in {part!r}, expected train, dev or test")
