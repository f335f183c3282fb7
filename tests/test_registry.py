"""Plugins: found by entry points, each on its own; names resolved, conflicts refused."""

from __future__ import annotations

import sys
import textwrap
from importlib import metadata
from pathlib import Path

import pytest

from metasearch.config import compose
from metasearch.errors import ConfigError, PluginError
from metasearch.registry import Registry

GOOD = """
    from metasearch import Component, Loss, hookimpl

    class Zero(Loss):
        def __init__(self, size=1):
            self.size = size
        def __call__(self, embeddings):
            return embeddings.question.sum() * 0

    class NotALoss:
        pass

    @hookimpl
    def metasearch_register_loss():
        option = {"type": "integer", "default": 1, "description": "A size."}
        return [
            Component("zero", "NAME:Zero", "Nothing.", {"size": option}, aliases=("nil",)),
            Component("odd", "NAME:NotALoss", "Not a loss."),
            Component("gone", "NAME.missing:Zero", "Not there.", requires=("no_such_module",), install="pip install no-such"),
        ]
"""


def write_plugin(folder: Path, name: str, source: str) -> metadata.EntryPoint:
    """A module with metadata beside it, as pip leaves them, and its entry point."""
    (folder / f"{name}.py").write_text(textwrap.dedent(source).replace("NAME", name), encoding="utf-8")
    info = folder / f"metasearch_{name}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: metasearch-{name}\nVersion: 1.0\n", encoding="utf-8")
    (info / "entry_points.txt").write_text(f"[metasearch.plugins]\n{name} = {name}\n", encoding="utf-8")
    found = next(d for d in metadata.distributions(path=[str(folder)]) if d.metadata["Name"] == f"metasearch-{name}")
    return next(iter(found.entry_points))


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path


def shipped() -> list[metadata.EntryPoint]:
    return [e for e in metadata.entry_points(group="metasearch.plugins") if e.name == "shipped"]


def test_shipped_components() -> None:
    registry = Registry(shipped())
    assert registry.names("algo") == ["anil", "centre", "fine-tune", "maml", "maml-align", "meta-sgd", "reptile", "zero-shot"]
    assert registry.names("data") == ["beir", "mini", "mini-sts", "pairs", "scored-pairs", "sts2017", "stsb", "xquad-r"]
    assert registry.broken == []
    assert registry.find("algo", "maml").provider.distribution == "metasearch"


def test_a_third_party_plugin_is_found_the_same_way(folder: Path) -> None:
    registry = Registry([*shipped(), write_plugin(folder, "plug1", GOOD)])
    item = registry.find("loss", "zero")
    assert str(item.provider) == "metasearch-plug1 1.0"
    assert registry.find("loss", "nil") is item
    assert registry.create("loss", "zero", size=3).size == 3
    config = compose("loss=zero", "loss.size=4", components=registry)
    assert config.create("loss").size == 4
    assert compose("loss=nil", components=registry)["loss.name"] == "zero"
    with pytest.raises(ConfigError, match="loss=zero has the keys loss.size"):
        compose("loss=zero", "loss.margin=1", components=registry)


def test_classes_are_imported_only_when_used(folder: Path) -> None:
    source = GOOD.replace("NAME:Zero", "NAME_heavy:Zero")
    registry = Registry([write_plugin(folder, "plug2", source)])
    (folder / "plug2_heavy.py").write_text("from plug2 import Zero\n", encoding="utf-8")
    assert registry.names("loss") == ["gone", "odd", "zero"]
    assert "plug2_heavy" not in sys.modules
    registry.create("loss", "zero")
    assert "plug2_heavy" in sys.modules


@pytest.mark.parametrize(
    ("name", "source", "cause"),
    [
        ("bad1", "import no_such_module_here", "ModuleNotFoundError: No module named 'no_such_module_here'"),
        ("bad2", "1/0", "ZeroDivisionError"),
        (
            "bad3",
            "from metasearch import hookimpl\n@hookimpl\ndef metasearch_register_los():\n    return []\n",
            "metasearch_register_los",
        ),
        (
            "bad4",
            "from metasearch import hookimpl\n@hookimpl\ndef metasearch_register_loss():\n    return [3]\n",
            "expected Component",
        ),
        (
            "bad5",
            "from metasearch import hookimpl\n@hookimpl\ndef metasearch_register_loss():\n    raise OSError('x')\n",
            "OSError: x",
        ),
        (
            "bad6",
            "from metasearch import Component, hookimpl\n@hookimpl\ndef metasearch_register_loss():\n"
            "    return [Component('Bad Name', 'a:b', 's')]\n",
            "'Bad Name' is no component name",
        ),
        (
            "bad7",
            "from metasearch import Component, hookimpl\n@hookimpl\ndef metasearch_register_loss():\n"
            "    return [Component('x', 'a:b', 's', {'o': {}})]\n",
            "option 'o' has no default",
        ),
    ],
)
def test_a_broken_plugin_costs_only_its_own_names(folder: Path, name: str, source: str, cause: str) -> None:
    registry = Registry([write_plugin(folder, name, source), *shipped()])
    assert registry.find("loss", "triplet").name == "triplet"
    [broken] = registry.broken
    said = str(broken)
    assert f'plugin metasearch-{name} 1.0 (entry point "{name}") could not be loaded' in said
    assert cause in said
    assert f"METASEARCH_DISABLE_PLUGINS={name}" in said
    with pytest.raises(ConfigError, match=f"metasearch-{name} 1.0"):  # asking for a name it may own tells the same
        registry.find("loss", "mine")


def test_disabled_plugins_are_not_loaded(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("METASEARCH_DISABLE_PLUGINS", "bad8, other")
    registry = Registry([write_plugin(folder, "bad8", "1/0"), *shipped()])
    assert registry.names("loss") == ["cached", "cosine-mse", "distillation", "infonce", "triplet"]
    assert (registry.broken, registry.disabled) == ([], ["bad8"])


def test_a_conflict_is_refused_and_can_be_resolved(folder: Path) -> None:
    again = GOOD.replace('"zero"', '"triplet"')
    registry = Registry([*shipped(), write_plugin(folder, "plug3", again)])
    with pytest.raises(PluginError) as caught:
        registry.find("loss", "triplet")
    said = str(caught.value)
    assert "metasearch 0.1.0" in said
    assert "metasearch-plug3 1.0" in said
    assert "loss=metasearch-plug3:triplet" in said
    config = compose("loss=metasearch-plug3:triplet", components=registry)
    assert type(config.create("loss")).__name__ == "Zero"
    assert config["loss.name"] == "metasearch-plug3:triplet"
    assert registry.find("loss", "metasearch:triplet").provider.distribution == "metasearch"
    assert compose("algo=maml", "loss=metasearch:triplet", components=registry)["algo.name"] == "maml"  # nothing else suffers


def test_components_that_cannot_be_loaded(folder: Path) -> None:
    registry = Registry([write_plugin(folder, "plug4", GOOD)])
    with pytest.raises(PluginError, match="not a subclass of Loss"):
        registry.find("loss", "odd").load()
    with pytest.raises(PluginError, match="pip install no-such"):
        registry.find("loss", "gone").load()
    assert registry.find("loss", "gone").missing == ["no_such_module"]


def test_unknown_kinds_and_names() -> None:
    registry = Registry(shipped())
    with pytest.raises(ConfigError, match="did you mean sampler"):
        registry.find("smapler", "random")
    with pytest.raises(ConfigError, match="did you mean maml-align"):
        registry.find("algo", "maml_align")


def test_the_core_imports_no_concrete_plugin() -> None:
    import metasearch

    root = Path(metasearch.__file__).parent
    for file in root.rglob("*.py"):
        assert "metasearch_plugins" not in file.read_text(encoding="utf-8"), file
