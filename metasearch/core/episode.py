"""Meta-tasks (episodes): the plain data that samplers make and algorithms consume."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from metasearch.core.corpus import Candidate, Question

if TYPE_CHECKING:
    import numpy as np

Example = TypeVar("Example")


@dataclass(frozen=True, slots=True)
class Triplet:
    """One question, one positive, one negative (paper section 5.1)."""

    question: Question
    positive: Candidate
    negative: Candidate


@dataclass(frozen=True, slots=True)
class TripletExample:
    """An anchor question with its positive and all its negatives.

    Attributes:
        question: the anchor.
        positive: a candidate that answers it.
        negatives: candidates that do not.
        relevant: ids of all candidates that answer it, in any language: no other example's candidate among them is a negative.
        cached: ``(K, d)`` embeddings of further negatives by the base encoder, constants; None: not asked for.
        versions: the positive in further languages.
        translation: the question in another language; None: there is none, or it was not asked for.
        base: ``(2, L, d)`` embeddings by the base encoder, constants: the question, and an answer to it, in each of L languages;
            zeros where the data has not both. None: not asked for.
    """

    question: Question
    positive: Candidate
    negatives: tuple[Candidate, ...]
    relevant: frozenset[str] = frozenset()
    cached: np.ndarray | None = field(default=None, compare=False, repr=False)
    versions: tuple[Candidate, ...] = ()
    translation: Question | None = None
    base: np.ndarray | None = field(default=None, compare=False, repr=False)

    @property
    def candidates(self) -> tuple[Candidate, ...]:
        """All that is encoded for it: the positive, its versions, the negatives."""
        return (self.positive, *self.versions, *self.negatives)

    def triplets(self) -> Iterator[Triplet]:
        """Flatten into one-negative triplets that share question and positive (spec section 3)."""
        for negative in self.negatives:
            yield Triplet(self.question, self.positive, negative)


@dataclass(frozen=True, slots=True)
class ExampleSet(Generic[Example]):
    """A support or a query set.

    Attributes:
        examples: :class:`TripletExample` (all with the same number of negatives) or
            :class:`~metasearch.core.corpus.SentencePair`, in order.
        variant: its arrangement, for example ``"el_{ar,el}"``.
    """

    examples: tuple[Example, ...]
    variant: str

    def __len__(self) -> int:
        return len(self.examples)


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
    sets: tuple[ExampleSet[Any], ...]
    shortfall: int = 0

    @property
    def support(self) -> ExampleSet[Any]:
        """The first set, S^X."""
        return self.sets[0]

    @property
    def query(self) -> ExampleSet[Any]:
        """The second set, Q^X' (Q^Y for MAML-Align)."""
        return self.sets[1]
