"""Fixtures for the tests of plugins; ``pytest_plugins = ["metasearch.testing"]`` brings them.

PYTEST_DONT_REWRITE (there is no ``assert`` here, and it may be imported before pytest looks at it).
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from metasearch.core import Corpus, PairCorpus
from metasearch.registry import Registry
from metasearch.registry.loading import GROUP, SHIPPED
from metasearch.testing.tiny import make_tiny_model, tiny_corpus, tiny_pairs

Register = Callable[..., Registry]


@pytest.fixture
def metasearch_registry(monkeypatch: pytest.MonkeyPatch) -> Register:
    """``metasearch_registry(plugin, ...)``: a fresh registry of the shipped components and of these plugins.

    A plugin is what an entry point would load: a module, or any object, with ``@hookimpl`` functions. Nothing needs to be
    installed. The registry looks names up (``registry.create("loss", "mine")``) and goes into ``metasearch.compose(...,
    components=registry)``.
    """

    def register(*plugins: Any) -> Registry:
        shipped = [e for e in metadata.entry_points(group=GROUP) if e.dist is not None and e.dist.metadata["Name"] == SHIPPED]
        return Registry([*shipped, *(_entry_point(plugin, monkeypatch) for plugin in plugins)])

    return register


def _entry_point(plugin: Any, monkeypatch: pytest.MonkeyPatch) -> metadata.EntryPoint:
    """An entry point that loads the plugin; an object is put where imports find it, as an attribute of a module."""
    name = plugin.__name__ if isinstance(plugin, ModuleType) else f"metasearch_testing_{id(plugin):x}"
    if isinstance(plugin, ModuleType):
        monkeypatch.setitem(sys.modules, name, plugin)
        return metadata.EntryPoint(name, name, GROUP)
    holder = ModuleType(name)
    holder.plugin = plugin  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, name, holder)
    return metadata.EntryPoint(name, f"{name}:plugin", GROUP)


@pytest.fixture(scope="session")
def metasearch_tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a SentenceTransformer with random weights (2 layers, width 32, words of the tiny corpus), for ``model=``."""
    return make_tiny_model(tmp_path_factory.mktemp("metasearch-tiny") / "model")


@pytest.fixture(scope="session")
def metasearch_corpus() -> Corpus:
    """A parallel corpus of made-up words in ar, de, el and hi: 10 articles, 40 questions each."""
    return tiny_corpus()


@pytest.fixture(scope="session")
def metasearch_pairs() -> PairCorpus:
    """40 scored sentence pairs of made-up words for each two of ar and de."""
    return tiny_pairs()
