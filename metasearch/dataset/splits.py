"""Five folds by group (article), the same in every language."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from metasearch.core import AnyCorpus, Dataset
from metasearch.errors import DataError

FOLDS = 5


@dataclass(frozen=True)
class Split:
    """One fold.

    Attributes:
        fold: number of the fold, or None where nothing is split.
        train, dev, test: parts of the corpus that share no group. Without a fold, ``test`` is everything and the others are
            empty.
    """

    fold: int | None
    train: AnyCorpus
    dev: AnyCorpus
    test: AnyCorpus

    @property
    def test_name(self) -> str:
        """What reports call the part that is scored: ``"test"``, or ``"all"`` without a fold."""
        return "all" if self.fold is None else "test"


def make_splits(corpus: AnyCorpus, fold: int | str, seed: int = 0, dev_share: float = Dataset.dev_share) -> list[Split]:
    """Split a corpus for five-fold cross-validation by group.

    The five test parts are a partition: everything is tested exactly once over the folds. Groups are dealt out in an
    order that the seed shuffles, each to the fold that has the fewest questions so far; of the rest, groups make up the dev
    part until it holds its share. A question counts once however many languages have it, so a subset of the languages is
    split the same way. Data that comes with a split of its own keeps it: that is fold 0.

    Args:
        corpus: the whole corpus.
        fold: ``0..4``, ``"all"`` (five splits) or ``"none"`` (one split that tests everything).
        seed: the folds are a pure function of (corpus, seed).
        dev_share: share of all questions (pairs) for the dev part (:attr:`metasearch.core.Dataset.dev_share`).

    Raises:
        DataError: there are fewer than five groups, or the data's own split has no such fold.
    """
    if fold == "none":
        nothing = corpus.of_groups(())
        return [Split(None, nothing, nothing, corpus)]
    if corpus.parts:
        if fold not in (0, "all"):
            raise DataError(f"data.fold={fold}: {corpus.name} comes with one split of its own; use data.fold=0, or none")
        parts = [[g for g in corpus.groups if corpus.parts.get(g) == part] for part in ("train", "dev", "test")]
        return [Split(0, *(corpus.of_groups(frozenset(part)) for part in parts))]
    sizes = corpus.group_sizes
    if len(sizes) < FOLDS:
        raise DataError(
            f"{corpus.name}: five folds need at least {FOLDS} articles (groups), found {len(sizes)}; use data.fold=none"
        )
    order = [corpus.groups[i] for i in np.random.default_rng([seed, 0xF01D]).permutation(len(corpus.groups))]
    folds: list[list[str]] = [[] for _ in range(FOLDS)]
    filled = [0] * FOLDS
    for group in order:
        least = filled.index(min(filled))
        folds[least].append(group)
        filled[least] += sizes[group]
    wanted = list(range(FOLDS)) if fold == "all" else [int(fold)]
    share = dev_share * sum(sizes.values())
    return [_split(corpus, number, folds[number], order, sizes, share) for number in wanted]


def _split(corpus: AnyCorpus, number: int, test: list[str], order: list[str], sizes: dict[str, int], share: float) -> Split:
    tested = frozenset(test)
    rest = [group for group in order if group not in tested]
    dev: set[str] = set()
    have = 0
    for group in rest:
        # Closest to the share: take a group while that brings the total nearer to it.
        if abs(have + sizes[group] - share) <= abs(have - share):
            dev.add(group)
            have += sizes[group]
        if have >= share:
            break
    train = frozenset(group for group in rest if group not in dev)
    return Split(number, *(corpus.of_groups(part) for part in (train, frozenset(dev), tested)))
