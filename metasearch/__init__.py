"""metasearch: meta-learned multilingual sentence-level semantic search.

The public names below are imported when first used, so that ``import metasearch`` and
``metasearch --help`` stay light (no torch, no transformers).

Example:
    >>> import metasearch
    >>> result = metasearch.run("algo=maml-align", "data=mini", "out=runs/first")  # doctest: +SKIP
    >>> result.main_score["value"]  # doctest: +SKIP
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from metasearch.config import Config as Config
    from metasearch.config import compose as compose
    from metasearch.core import (
        Corpus as Corpus,
    )
    from metasearch.core import (
        Dataset as Dataset,
    )
    from metasearch.core import (
        Encoder as Encoder,
    )
    from metasearch.core import (
        EpisodeSampler as EpisodeSampler,
    )
    from metasearch.core import (
        Index as Index,
    )
    from metasearch.core import (
        Loss as Loss,
    )
    from metasearch.core import (
        MetaAlgorithm as MetaAlgorithm,
    )
    from metasearch.core import (
        Metric as Metric,
    )
    from metasearch.errors import MetasearchError as MetasearchError
    from metasearch.registry import Component as Component
    from metasearch.registry import hookimpl as hookimpl
    from metasearch.report.compare import compare as compare
    from metasearch.report.page import write_report as write_report
    from metasearch.runner import evaluate as evaluate
    from metasearch.runner import resume as resume
    from metasearch.runner import run as run
    from metasearch.search import build_index as build_index
    from metasearch.search import open_index as open_index
    from metasearch.sweep import multirun as multirun

__version__ = "0.1.0"

_HOMES = {
    "Config": "metasearch.config",
    "compose": "metasearch.config",
    "Corpus": "metasearch.core",
    "Dataset": "metasearch.core",
    "Encoder": "metasearch.core",
    "EpisodeSampler": "metasearch.core",
    "Index": "metasearch.core",
    "Loss": "metasearch.core",
    "MetaAlgorithm": "metasearch.core",
    "Metric": "metasearch.core",
    "MetasearchError": "metasearch.errors",
    "Component": "metasearch.registry",
    "hookimpl": "metasearch.registry",
    "evaluate": "metasearch.runner",
    "resume": "metasearch.runner",
    "run": "metasearch.runner",
    "build_index": "metasearch.search",
    "open_index": "metasearch.search",
    "compare": "metasearch.report.compare",
    "write_report": "metasearch.report.page",
    "multirun": "metasearch.sweep",
}
__all__ = [*_HOMES, "__version__"]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'metasearch' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
