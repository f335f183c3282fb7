"""What algorithms with an inner loop share: its options, and which parameters move in it."""

from __future__ import annotations

import re
from collections.abc import Iterable

from metasearch.algorithm import learn2learn_backend
from metasearch.algorithm.adapt import Params, Rates, adapt
from metasearch.algorithm.learner import Learner, TaskFunction
from metasearch.algorithm.outer_loop import OuterLoop
from metasearch.algorithm.path import SLOTS, steps_again
from metasearch.core.algorithm import Cost
from metasearch.core.encoder import Encoder
from metasearch.core.episode import Task
from metasearch.core.loss import Loss
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
        support_parts: into how many parts the set that is adapted to is cut: less memory, more time; their gradients add up.
        inner_layers: only so many last transformer layers move in the inner loop (None: every parameter does).
        weight_decay: AdamW's, on matrices only.
        dropout: leave dropout on inside episodes (forces ``keep_graphs=None``, since a step is then no function).
        backend: ``"metasearch"``, or ``"learn2learn"``: the inner loop by that library, which keeps every graph.
    """

    def __init__(
        self,
        inner_steps: int = 5,
        inner_lr: float = 1e-3,
        outer_lr: float = 1e-5,
        order: str = "second",
        meta_batch_size: int = 4,
        keep_graphs: int | None = 1,
        support_parts: int = 1,
        inner_layers: int | None = None,
        weight_decay: float = 0.0,
        dropout: bool = False,
        backend: str = "metasearch",
    ) -> None:
        super().__init__(outer_lr, meta_batch_size, weight_decay, dropout)
        self.inner_steps = inner_steps
        self.inner_lr = inner_lr
        self.order = order
        self.keep_graphs = None if dropout else keep_graphs
        self.inner_layers = inner_layers
        self.support_parts = support_parts
        self.backend = backend

    def check(self, encoder: Encoder, loss: Loss) -> None:
        self._names(encoder)
        if self.support_parts > 1 and not loss.mean_of_examples:
            raise ConfigError(
                f"algo.support_parts={self.support_parts}: {type(loss).__name__} compares the examples of a set with one "
                "another, so that a set cannot be taken in parts; use 1, or loss=triplet"
            )
        if self.backend == "learn2learn":
            learn2learn_backend.load()

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
        if self.backend == "learn2learn":
            return learn2learn_backend.adapt(f.loss_on(number), theta, self.inner_names, steps, self.inner_lr, self.order)
        return adapt(f.loss_on(number), theta, steps, self.rates(f), self.order, self.keep_graphs)

    def adapting(self, encoder: Encoder, steps: int, tokens: float) -> Cost:
        """What ``steps`` inner steps on a set of so many tokens cost, there and back.

        With a share r of the layers moving, a gradient takes 1 forward pass and 2 r backwards; differentiating it takes 4 r for
        the way back and 2 for the way there. A step whose graph is not kept takes its gradient once more, and a few take their
        step again.
        """
        r = 1.0 if self.inner_layers is None else self.inner_layers / len(layers_of(encoder.parameters()))
        gradient, product = 1 + 2 * r, 4 * r + 2
        if self.order == "first" or not steps:
            return Cost(
                steps * gradient * tokens, held_once=tokens / self.support_parts if steps else 0, copies=2 if steps else 0
            )
        everything = self.keep_graphs is None or self.backend == "learn2learn"
        kept = steps if everything else min(self.keep_graphs or 0, steps)
        free = steps - kept
        again = steps_again(free, SLOTS, True) if free else 0
        held = max(kept * tokens, tokens / self.support_parts if free else 0)
        passes = steps * (gradient + product) + (free + again) * gradient
        # One copy is the gradient at theta_j, which waits for that at theta: see metasearch.algorithm.adaptation.
        return Cost(passes * tokens, held_twice=held, copies=1 + 2 * kept + min(free, SLOTS) + (3 if free else 1))

    def open(self, task: Task) -> TaskFunction:
        """The task as a function of parameters."""
        return self.learner.open(task, self.support_parts)


def last_layers(names: Iterable[str], count: int) -> list[str]:
    """Names of the parameters in the last ``count`` transformer layers.

    Raises:
        ConfigError: no name looks like a layer's, or there are fewer layers.

    Example:
        >>> last_layers(["embeddings.weight", "encoder.layer.0.bias", "encoder.layer.1.bias"], 1)
        ['encoder.layer.1.bias']
    """
    layer = _layer_numbers(names)
    there = sorted(set(layer.values()))
    if not 0 < count <= len(there):
        raise ConfigError(f"algo.inner_layers={count}: the encoder has {len(there)} transformer layers")
    return [name for name, number in layer.items() if number in there[-count:]]


def layers_of(names: Iterable[str]) -> set[int]:
    """Numbers of the transformer layers that these parameters belong to."""
    return set(_layer_numbers(names).values())


def _layer_numbers(names: Iterable[str]) -> dict[str, int]:
    return {name: int(match.group(1)) for name in names if (match := _LAYER.search(name))}
