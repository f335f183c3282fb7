"""Interface of meta-algorithms."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    from metasearch.algorithm.learner import Learner
    from metasearch.core.corpus import AnyCorpus
    from metasearch.core.encoder import Encoder
    from metasearch.core.episode import Task
    from metasearch.core.loss import Loss


@dataclass(frozen=True)
class Cost:
    """What one meta-task costs, by counting.

    The unit of work is a forward pass over a token: its matrix products. A gradient takes three times those, a gradient that is
    differentiated again nine times.

    Attributes:
        passes: forward passes times tokens.
        held_once: tokens whose graph for a first derivative is in memory at the peak.
        held_twice: tokens whose graph for a second derivative is in memory at the peak.
        copies: copies of the parameters that move in the inner loop, beside the encoder's own.
    """

    passes: float
    held_once: float = 0.0
    held_twice: float = 0.0
    copies: float = 0.0


class MetaAlgorithm(ABC):
    """An outer loop's update rule.

    The trainer hands over batches of tasks; the algorithm computes a (meta-)gradient and updates the encoder's own parameters in
    place: what is evaluated and saved is the encoder. Life cycle, in each fold: ``start`` once, ``step`` per meta-batch,
    ``finish`` once; ``undo`` before the next fold.

    Class attributes:
        trains: whether there is anything to train.
        needs_tasks: whether it takes steps with meta-tasks; else :meth:`finish` does all, and no mode is needed.
        sets: how many example sets a task must have (2: X -> X'; 3: X -> Y -> Z); None: any number.
        citation: how to cite the algorithm, for model cards.
    """

    trains: ClassVar[bool] = True
    needs_tasks: ClassVar[bool] = True
    sets: ClassVar[int | None] = 2
    citation: ClassVar[str] = ""

    @property
    def meta_batch_size(self) -> int:
        """Tasks per :meth:`step` (b in the paper)."""
        return 1

    def check(self, encoder: Encoder, loss: Loss) -> None:  # noqa: B027 (nothing to check by default)
        """Refuse options that do not fit encoder or loss, before anything is written.

        Raises:
            ConfigError: an option does not fit; the message names it.
        """

    @abstractmethod
    def start(self, learner: Learner) -> None:
        """Take the learner (encoder and loss) and build the optimiser."""

    @abstractmethod
    def step(self, tasks: Sequence[Task]) -> dict[str, float]:
        """Do one outer update with a batch of tasks.

        Returns:
            Values to log; ``"loss"`` must be among them; one that is not finite stops the run.
        """

    def finish(self, corpus: AnyCorpus) -> dict[str, float]:
        """Do what is left to do once the last step is done and the best checkpoint has been put back.

        Args:
            corpus: the fold's training split, in all its languages.

        Returns:
            Values to report; the default does nothing and has none.
        """
        return {}

    def undo(self) -> None:  # noqa: B027 (nothing to undo by default)
        """Undo what :meth:`finish` changed in the encoder beside its parameters, which are put back without it."""

    def scale_rate(self, share: float) -> None:  # noqa: B027 (an optional hook, not forgotten)
        """Take the coming steps at this share of the outer rate (``train.schedule``); the default has no rate to scale."""

    def cost(self, encoder: Encoder, tokens: Sequence[float]) -> Cost:
        """Count the work and the memory of a meta-task, for the estimate of ``metasearch run --cfg``.

        Args:
            encoder: the encoder to train.
            tokens: of each of the task's sets, padding included.

        Returns:
            The default: one gradient of the loss on each set, one set after the other.
        """
        return Cost(3 * sum(tokens), held_once=max(tokens))

    def state_dict(self) -> dict[str, Any]:
        """Everything that :meth:`step` depends on beside the tasks: parameters and optimiser state."""
        return {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:  # noqa: B027 (nothing to restore by default)
        """Restore what :meth:`state_dict` returned."""
