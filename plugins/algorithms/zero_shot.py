"""No training: the encoder as it is."""

from __future__ import annotations

from collections.abc import Sequence

from metasearch import MetaAlgorithm
from metasearch.algorithm import Learner
from metasearch.core import Task


class ZeroShot(MetaAlgorithm):
    """Score the encoder without training it (paper section 4.3)."""

    trains = False
    sets = None

    def start(self, learner: Learner) -> None:
        self.learner = learner

    def step(self, tasks: Sequence[Task]) -> dict[str, float]:
        raise RuntimeError("zero-shot does not train")
