"""Meta-tasks (episodes): the plain data that samplers make and algorithms consume."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from metasearch.core.corpus import Candidate, Question


@dataclass(frozen=True, slots=True)
class Triplet:
    """One question, one positive, one negative (paper section 5.1)."""

    question: Question
    positive: Candidate
    negative: Candidate


@dataclass(frozen=True, slots=True)
class TripletExample:
    """An anchor question with its positive and all its negatives."""

    question: Question
    positive: Candidate
    negatives: tuple[Candidate, ...]


@dataclass(frozen=True, slots=True)
class ExampleSet:
    """A support or a query set.

    Attributes:
        examples: the anchors, in order; all have the same number of negatives.
        variant: its arrangement, for example ``"el_{ar,el}"``.
    """

    examples: tuple[TripletExample, ...]
    variant: str

    def __len__(self) -> int:
        return len(self.examples)

    def triplets(self) -> Iterator[Triplet]:
        """Flatten into one-negative triplets that share their question and positive (spec section 3)."""
        for example in self.examples:
            for negative in example.negatives:
                yield Triplet(example.question, example.positive, negative)


@dataclass(frozen=True, slots=True)
class Task:
    """A meta-task: a chain of example sets, X -> X' for MAML, X -> Y -> Z for MAML-Align.

    In a chain of three, the set in the middle is at once the teacher's query set and the student's support set.

    Attributes:
        index: number of the task in its phase; (data, arrangement, sampler options, seed, phase, index) determine it.
        phase: ``"train"``, ``"valid"`` or ``"test"``.
        sets: two or more example sets.
        shortfall: how many examples could not be drawn as asked for and were replaced by the nearest thing.
    """

    index: int
    phase: str
    sets: tuple[ExampleSet, ...]
    shortfall: int = 0

    @property
    def support(self) -> ExampleSet:
        """The first set, S^X."""
        return self.sets[0]

    @property
    def query(self) -> ExampleSet:
        """The second set, Q^X' (Q^Y for MAML-Align)."""
        return self.sets[1]
