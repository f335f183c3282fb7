"""Interface of meta-algorithms."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    from metasearch.algorithm.learner import Learner
    from metasearch.core.encoder import Encoder
    from metasearch.core.episode import Task
    from metasearch.core.loss import Loss


class MetaAlgorithm(ABC):
    """An outer loop's update rule.

    The trainer hands over batches of tasks; the algorithm computes a (meta-)gradient and updates the encoder's own parameters in
    place: what is evaluated and saved is the encoder. Life cycle: ``start`` once, then ``step`` per meta-batch.

    Class attributes:
        trains: whether there is anything to train.
        sets: how many example sets a task must have (2: X -> X'; 3: X -> Y -> Z); None: any number.
        citation: how to cite the algorithm, for model cards.
    """

    trains: ClassVar[bool] = True
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

    def state_dict(self) -> dict[str, Any]:
        """Everything that :meth:`step` depends on beside the tasks: parameters and optimiser state."""
        return {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:  # noqa: B027 (nothing to restore by default)
        """Restore what :meth:`state_dict` returned."""
