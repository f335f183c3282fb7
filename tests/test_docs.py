"""The documents tell the truth: commands compose, names exist, the plugin of docs/plugins.md works."""

from __future__ import annotations

import inspect
import re
import shlex
from pathlib import Path
from typing import Any

import pytest

import metasearch
from metasearch.config import compose, presets
from metasearch.config.overrides import expand_sweep
from metasearch.config.schema import COMMON, fixed_defaults
from metasearch.registry import KINDS, Registry
from tests.conftest import ROOT
from tests.test_registry import shipped, write_plugin

DOCUMENTS = sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md")])


def commands() -> list[list[str]]:
    found = []
    for document in DOCUMENTS:
        for line in document.read_text(encoding="utf-8").splitlines():
            match = re.search(r"metasearch (?:run|evaluate) ([^`|]*=[^`|]*)", line.partition("#")[0])
            if match and "KEY=" not in line:
                words = [w for w in shlex.split(match.group(1)) if "=" in w and not w.startswith("-")]
                words = [w for w in words if "..." not in w]
                found += expand_sweep(words) if " -m " in line else [words]
    return found


def test_there_are_commands_to_check() -> None:
    assert len(commands()) >= 8


@pytest.mark.parametrize("words", [c for c in commands() if not any("soft-margin" in w for w in c)], ids=" ".join)
def test_documented_commands_compose(words: list[str]) -> None:
    compose(*words)


def whole_commands() -> list[list[str]]:
    """Words of every command that stands on a line of its own, without the comment behind it."""
    lines = [line for document in DOCUMENTS for line in document.read_text(encoding="utf-8").splitlines()]
    return [shlex.split(line, comments=True)[1:] for line in lines if re.match(r"(    )?metasearch [a-z-]", line)]


def named_commands() -> list[list[str]]:
    """Words of every command that is named in running text."""
    texts = (document.read_text(encoding="utf-8") for document in DOCUMENTS)
    return [found.split() for text in texts for found in re.findall(r"`metasearch ([a-z-][^`\n]*)`", text)]


def command_of(words: list[str]) -> tuple[Any, list[str]]:
    """The Typer command that the words call, and the words that are left for it."""
    import typer

    from metasearch.cli.app import app

    command: Any = typer.main.get_command(app)
    left = list(words)
    while left and not left[0].startswith("-") and hasattr(command, "commands"):
        assert left[0] in command.commands, f"no such command: metasearch {' '.join(words)}"
        command = command.commands[left.pop(0)]
    return command, left


@pytest.mark.parametrize("words", [w for w in whole_commands() if "..." not in w and "[KEY=VALUE]..." not in w], ids=" ".join)
def test_documented_commands_parse(words: list[str]) -> None:
    command, left = command_of(words)
    assert not hasattr(command, "commands") or not left
    command.make_context("metasearch", left)  # parses arguments and options; runs nothing


@pytest.mark.parametrize("words", named_commands(), ids=" ".join)
def test_named_commands_and_their_options_exist(words: list[str]) -> None:
    command, left = command_of(words)
    known = {option for parameter in command.params for option in parameter.opts} | {"--help", "--verbose"}
    assert {word.partition("=")[0] for word in left if re.match("--?[a-z]", word)} <= known


def test_every_key_is_documented() -> None:
    text = (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8")
    for key in [*fixed_defaults(), *(f"data.{name}" for name in COMMON["data"])]:
        assert f"`{key}`" in text, key
    for name in presets():
        assert f"`{name}`" in text


def test_every_link_leads_somewhere() -> None:
    for document in DOCUMENTS:
        for target in re.findall(r"\]\(([^)#:]+)\)", document.read_text(encoding="utf-8")):
            assert (document.parent / target).exists(), f"{document.name}: {target}"


def test_public_names_have_docstrings() -> None:
    for name in metasearch.__all__:
        value = getattr(metasearch, name)
        if inspect.isclass(value) or inspect.isfunction(value):
            assert value.__doc__, name
    for kind, interface in KINDS.items():
        module, _, name = interface.partition(":")
        cls: Any = getattr(__import__(module, fromlist=[name]), name)
        for method, value in vars(cls).items():
            if inspect.isfunction(value) and not method.startswith("_"):
                assert value.__doc__, f"{kind}: {name}.{method}"


def test_every_shipped_component_has_a_docstring_with_its_arguments() -> None:
    for item in Registry(shipped()):
        cls = item.load()
        text = (cls.__doc__ or "") + "".join(base.__doc__ or "" for base in cls.__mro__[1:3])
        for option in item.component.options:
            assert f"{option}:" in text, f"{item.kind}={item.name}: {option}"


def test_the_plugin_of_the_docs_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    from metasearch.core import TripletEmbeddings

    text = (ROOT / "docs" / "plugins.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```python\n# (\S+)\n(.*?)```", text, re.DOTALL)
    assert [name for name, _ in blocks] == ["metasearch_soft_margin/plugin.py", "metasearch_soft_margin/loss.py"]
    monkeypatch.syspath_prepend(str(tmp_path))
    plugin = blocks[0][1].replace("metasearch_soft_margin.loss:", "soft_loss:")
    (tmp_path / "soft_loss.py").write_text(blocks[1][1], encoding="utf-8")
    registry = Registry([*shipped(), write_plugin(tmp_path, "soft", plugin)])
    loss = compose("loss=soft-margin", "loss.scale=20", components=registry).create("loss")
    same = torch.ones(2, 3)
    assert loss(TripletEmbeddings(same, same, same.unsqueeze(1))).item() == pytest.approx(0.6931, abs=1e-3)


def test_the_example_searches(tiny_model: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    import runpy

    monkeypatch.setattr("sys.argv", ["search_mini.py", str(tiny_model), "ποιος;"])
    runpy.run_path(str(ROOT / "examples" / "search_mini.py"), run_name="__main__")
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "ποιος;"
    assert len(lines) == 9


def test_the_example_configuration_is_valid() -> None:
    config = compose(file=ROOT / "examples" / "three-languages.yaml")
    assert config["mode"].startswith("en_en")
    assert config["seed"] == 1


def test_ci_runs_the_readmes_test_command() -> None:
    block = re.search(r"pass the tests:\n\n```sh\n(.*?)\n```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL)
    assert block
    assert block.group(1) in (ROOT / ".ci" / "run").read_text(encoding="utf-8").splitlines()
