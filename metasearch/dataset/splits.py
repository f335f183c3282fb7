"""Five folds by group (article), the same in every language."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from metasearch.core.corpus import Corpus
from metasearch.errors import DataError

FOLDS = 5
# The paper's Table 2 has 220 dev questions of 1190.
DEV_SHARE = 220 / 1190


@dataclass(frozen=True)
class Split:
    """One fold.

    Attributes:
        fold: number of the fold, or None where nothing is split.
        train, dev, test: parts of the corpus that share no group. Without a fold, ``test`` is everything and the others are
            empty.
    """

    fold: int | None
    train: Corpus
    dev: Corpus
    test: Corpus

    @property
    def test_name(self) -> str:
        """What reports call the part that is scored: ``"test"``, or ``"all"`` without a fold."""
        return "all" if self.fold is None else "test"


def make_splits(corpus: Corpus, fold: int | str, seed: int = 0) -> list[Split]:
    """Split a corpus for five-fold cross-validation by group.

    The five test parts are a partition: every question is tested exactly once over the folds. Groups are dealt out in an
    order that the seed shuffles, each to the fold that has the fewest questions so far; of the rest, groups make up the dev
    part until it holds its share (220 / 1190, the paper's Table 2). A question counts once however many languages have
    it, so a subset of the languages is split the same way.

    Args:
        corpus: the whole corpus.
        fold: ``0..4``, ``"all"`` (five splits) or ``"none"`` (one split that tests everything).
        seed: the folds are a pure function of (corpus, seed).

    Raises:
        DataError: there are fewer than five groups.
    """
    nothing = corpus.of_groups(())
    if fold == "none":
        return [Split(None, nothing, nothing, corpus)]
    sizes = dict.fromkeys(corpus.groups, 0)
    for group in {q.id: q.group for q in corpus.questions}.values():
        sizes[group] += 1
    if len(sizes) < FOLDS:
        raise DataError(
            f"{corpus.name}: five folds need at least {FOLDS} articles (groups), found {len(sizes)}; use data.fold=none"
        )
    order = [corpus.groups[i] for i in np.random.default_rng([seed, 0xF01D]).permutation(len(corpus.groups))]
    parts: list[list[str]] = [[] for _ in range(FOLDS)]
    for group in order:
        min(parts, key=lambda part: sum(sizes[g] for g in part)).append(group)
    wanted = list(range(FOLDS)) if fold == "all" else [int(fold)]
    return [_split(corpus, number, parts[number], order, sizes) for number in wanted]


def _split(corpus: Corpus, number: int, test: list[str], order: list[str], sizes: dict[str, int]) -> Split:
    rest = [group for group in order if group not in test]
    share = DEV_SHARE * sum(sizes.values())
    dev: list[str] = []
    for group in rest:
        # Closest to the share: take a group while that brings the total nearer to it.
        have = sum(sizes[g] for g in dev)
        if abs(have + sizes[group] - share) <= abs(have - share):
            dev.append(group)
        if have >= share:
            break
    train = [group for group in rest if group not in dev]
    return Split(number, *(corpus.of_groups(frozenset(part)) for part in (train, dev, test)))
