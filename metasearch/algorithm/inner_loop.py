"""What algorithms with an inner loop share: its options, and which parameters move in it."""

from __future__ import annotations

import re
from collections.abc import Iterable

from metasearch.algorithm.adapt import Params, Rates, adapt
from metasearch.algorithm.learner import Learner, TaskFunction
from metasearch.algorithm.outer_loop import OuterLoop
from metasearch.core.encoder import Encoder
from metasearch.errors import ConfigError

_LAYER = re.compile(r"(?:^|\.)(?:layers?|blocks?|h)\.(\d+)\.")


class InnerLoop(OuterLoop):
    """Base of algorithms that adapt to a task before they look at their outer loss.

    Args:
        inner_steps: n.
        inner_lr: alpha.
        outer_lr: beta.
        order: ``"second"``: gradients flow through the inner steps; ``"first"``: the steps count as constants.
        meta_batch_size: b.
        keep_graphs: of how many last inner steps the graph is kept (None: all): more memory, less time.
        inner_layers: only so many last transformer layers move in the inner loop (None: every parameter does).
        weight_decay: AdamW's, on matrices only.
        dropout: leave dropout on inside episodes (forces ``keep_graphs=None``, since a step is then no function).
    """

    def __init__(
        self,
        inner_steps: int,
        inner_lr: float,
        outer_lr: float,
        order: str = "second",
        meta_batch_size: int = 4,
        keep_graphs: int | None = 1,
        inner_layers: int | None = None,
        weight_decay: float = 0.0,
        dropout: bool = False,
    ) -> None:
        super().__init__(outer_lr, meta_batch_size, weight_decay, dropout)
        self.inner_steps = inner_steps
        self.inner_lr = inner_lr
        self.order = order
        self.keep_graphs = None if dropout else keep_graphs
        self.inner_layers = inner_layers
        self.second_order = order == "second" and inner_steps > 0

    def check(self, encoder: Encoder) -> None:
        self._names(encoder)

    def start(self, learner: Learner) -> None:
        self.inner_names = self._names(learner.encoder)
        super().start(learner)

    def _names(self, encoder: Encoder) -> list[str]:
        names = encoder.parameters()
        return list(names) if self.inner_layers is None else last_layers(names, self.inner_layers)

    def rates(self, f: TaskFunction) -> Rates:
        """The inner rate of each parameter that moves."""
        return dict.fromkeys(self.inner_names, self.inner_lr)

    def adapt(self, f: TaskFunction, number: int, theta: Params, steps: int) -> Params:
        """INNER_LOOP (paper, Algorithm 2): ``steps`` steps from ``theta`` on the loss of the task's set ``number``."""
        return adapt(f.loss_on(number), theta, steps, self.rates(f), self.order, self.keep_graphs)


def last_layers(names: Iterable[str], count: int) -> list[str]:
    """Names of the parameters in the last ``count`` transformer layers.

    Raises:
        ConfigError: no name looks like a layer's, or there are fewer layers.

    Example:
        >>> last_layers(["embeddings.weight", "encoder.layer.0.bias", "encoder.layer.1.bias"], 1)
        ['encoder.layer.1.bias']
    """
    layer = {name: int(match.group(1)) for name in names if (match := _LAYER.search(name))}
    there = sorted(set(layer.values()))
    if not 0 < count <= len(there):
        raise ConfigError(f"algo.inner_layers={count}: the encoder has {len(there)} transformer layers")
    return [name for name, number in layer.items() if number in there[-count:]]
