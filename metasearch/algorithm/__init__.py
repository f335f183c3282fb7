"""What meta-algorithms are made of: the differentiable inner loop, tasks as functions, the outer update, the training loop."""

from metasearch.algorithm.adapt import Params, Rates, adapt
from metasearch.algorithm.adaptation import Adaptation
from metasearch.algorithm.inner_loop import InnerLoop
from metasearch.algorithm.learner import Learner, TaskFunction
from metasearch.algorithm.outer_loop import OuterLoop
from metasearch.algorithm.trainer import Progress, Trainer, TrainingPlan

__all__ = [
    "Adaptation",
    "InnerLoop",
    "Learner",
    "OuterLoop",
    "Params",
    "Progress",
    "Rates",
    "TaskFunction",
    "Trainer",
    "TrainingPlan",
    "adapt",
]
