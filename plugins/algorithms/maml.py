"""MAML: transfer from X to X' (paper, Algorithm 1)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from metasearch.algorithm import Adaptation, InnerLoop
from metasearch.core import Cost, Encoder, Task

SUPPORT, QUERY = 0, 1


class MAML(InnerLoop):
    """Learn a start from which a few steps on the support set lower the loss on the query set.

    theta_j = n steps of SGD on L(S_j^X) from theta; theta moves by the gradient of sum_j L(Q_j^X'; theta_j), through the inner
    steps (second order) or treating them as constants (first order: FOMAML).

    Args:
        inner_steps: n (paper: 5).
        inner_lr: alpha (paper: 1e-3).
        outer_lr: beta (paper: 1e-5).
        order, meta_batch_size, keep_graphs, support_parts, inner_layers, weight_decay, dropout, backend: see
            :class:`~metasearch.algorithm.InnerLoop` (paper: second order, b = 4).

    Reference: paper Algorithms 1 and 2; Finn et al. 2017. With ``inner_lr=0`` it is plain training on the query sets.
    """

    citation = "Finn, Abbeel and Levine (2017), Model-Agnostic Meta-Learning for Fast Adaptation of Deep Networks."

    def meta_gradient(self, tasks: Sequence[Task]) -> dict[str, float]:
        total, seen = 0.0, Adaptation(self.order)
        for task in self.own(tasks):
            f = self.open(task)
            loop = seen.loop(f.restrict(self.theta))
            theta_j = loop.end(self.adapt(f, SUPPORT, loop.start, self.inner_steps))
            loss = f.loss(theta_j, QUERY)
            loss.backward()  # gradients add up over the batch; the graph of one task at a time is in memory
            total += loss.item()
            loop.query(f, QUERY, loss)
        return {"loss": total / len(tasks), **seen.mean(len(tasks))}

    def cost(self, encoder: Encoder, tokens: Sequence[float]) -> Cost:
        inner = self.adapting(encoder, self.inner_steps, tokens[SUPPORT])
        # The query set's gradient at theta_j, and its loss at theta, for the log.
        return replace(inner, passes=inner.passes + 4 * tokens[QUERY], held_once=max(inner.held_once, tokens[QUERY]))
