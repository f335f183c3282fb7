"""For the tests of plugins: a contract for each kind of component, small data and models, and pytest fixtures.

A test of a plugin is two lines:

    from metasearch.testing import check_component, check_loss

    def test_it() -> None:
        check_component("loss", "mine")
        check_loss(MyLoss())

A contract raises AssertionError with words on what the interface demands. ``pytest_plugins = ["metasearch.testing"]`` in a
test file (or in the topmost conftest.py) brings the fixtures ``metasearch_registry``, ``metasearch_tiny_model``,
``metasearch_corpus`` and ``metasearch_pairs``; nothing is loaded into anybody's pytest unasked. PYTEST_DONT_REWRITE (there is
no ``assert`` here, and tests import it before pytest looks at it).
"""

from metasearch.testing.algorithm import check_algorithm
from metasearch.testing.component import check_component
from metasearch.testing.dataset import check_dataset
from metasearch.testing.encoder import check_encoder
from metasearch.testing.index import check_index
from metasearch.testing.loss import check_loss
from metasearch.testing.metric import check_metric
from metasearch.testing.sampler import check_sampler
from metasearch.testing.tiny import make_tiny_model, tiny_corpus, tiny_embed, tiny_learner, tiny_pairs, tiny_task
from metasearch.testing.tiny_encoder import TinyEncoder

__all__ = [
    "TinyEncoder",
    "check_algorithm",
    "check_component",
    "check_dataset",
    "check_encoder",
    "check_index",
    "check_loss",
    "check_metric",
    "check_sampler",
    "make_tiny_model",
    "tiny_corpus",
    "tiny_embed",
    "tiny_learner",
    "tiny_pairs",
    "tiny_task",
]

pytest_plugins = ("metasearch.testing.fixtures",)
