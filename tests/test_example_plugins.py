"""The packages in examples/plugins: built as wheels, installed in a clean environment, and run together."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import ROOT, Cli

PACKAGES = sorted((ROOT / "examples" / "plugins").glob("metasearch-*"))
PIP = [sys.executable, "-m", "pip"]
Call = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Built from a copy: a build leaves its traces beside the source."""
    folder = tmp_path_factory.mktemp("wheels")
    for package in PACKAGES:
        shutil.copytree(package, folder / package.name, ignore=shutil.ignore_patterns("__pycache__", "build", "*.egg-info"))
    sources = [str(folder / package.name) for package in PACKAGES]
    command = [*PIP, "wheel", "-q", "--no-deps", "--no-build-isolation", "--no-index", "-w", str(folder / "out"), *sources]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return sorted((folder / "out").glob("*.whl"))


@pytest.fixture(scope="module")
def call(wheels: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Call:
    """Call a fresh environment's interpreter, which sees this one's packages and, beside them, the two wheels."""
    folder = tmp_path_factory.mktemp("clean")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder / "venv")], check=True)
    python = folder / "venv" / "bin" / "python"
    site = sysconfig.get_path("purelib", "venv", vars={"base": str(folder / "venv"), "platbase": str(folder / "venv")})
    ours = sysconfig.get_path("purelib")
    (Path(site) / "seen.pth").write_text(f"import site; site.addsitedir({ours!r})\n", encoding="utf-8")
    command = [*PIP, "--python", str(python), "install", "-q", "--no-deps", "--no-index", *map(str, wheels)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        environment = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "PYTHONHOME")}
        environment.update(COLUMNS="200", METASEARCH_STRICT_PLUGINS="1")
        return subprocess.run(
            [str(python), *words], cwd=folder, env=environment, capture_output=True, text=True, encoding="utf-8", check=False
        )

    return run


def test_there_are_two_of_them(wheels: list[Path]) -> None:
    assert [w.name for w in wheels] == ["metasearch_imaml-0.1.0-py3-none-any.whl", "metasearch_static-0.1.0-py3-none-any.whl"]


def test_they_are_listed_in_the_new_environment_and_nowhere_else(call: Call) -> None:
    words = ["-W", "ignore", "-m", "metasearch", "plugins", "list", "--json"]
    done = call(*words)
    assert done.returncode == 0, done.stderr
    wanted = {
        ("encoder", "static", "metasearch-static", "0.1.0", "ready"),
        ("algo", "imaml", "metasearch-imaml", "0.1.0", "ready"),
    }

    def found(text: str) -> set[tuple[str, ...]]:
        return {(r["kind"], r["name"], r["distribution"], r["version"], r["state"]) for r in json.loads(text)}

    assert wanted <= found(done.stdout)
    here = subprocess.run([sys.executable, *words], capture_output=True, text=True, check=True)
    assert not wanted & found(here.stdout)


def test_they_pass_their_own_tests(call: Call) -> None:
    tests = [str(package / "tests") for package in PACKAGES]
    done = call("-m", "pytest", "-q", "-W", "error", "-p", "no:cacheprovider", "--import-mode=importlib", "--rootdir=.", *tests)
    assert done.returncode == 0, done.stdout + done.stderr


def test_they_run_together(call: Call, tiny_model: Path, tmp_path: Path) -> None:
    chosen = [
        "encoder=static",
        "algo=imaml",
        "data=mini",
        f"encoder.model={tiny_model}",
        "encoder.width=16",
        f"out={tmp_path / 'run'}",
    ]
    small = ["train.epochs=1", "train.tasks=4", "valid.tasks=2", "algo.meta_batch_size=2", "algo.outer_lr=1e-3", "device=cpu"]
    done = call("-W", "ignore", "-m", "metasearch", "run", *chosen, *small, "--quiet")
    assert done.returncode == 0, done.stdout + done.stderr
    results = json.loads((tmp_path / "run" / "results.json").read_text(encoding="utf-8"))
    assert results["main_score"]["metric"] == "map@20"
    assert 0 < results["main_score"]["value"] < 1
    assert {row["variant"] for row in results["scores"]} == {"multi", "bi", "mono"}
    steps = (tmp_path / "run" / "log.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line)["tasks"] for line in steps] == [2, 2, 2]
    providers = json.loads((tmp_path / "run" / "manifest.json").read_text(encoding="utf-8"))["components"]
    assert providers["encoder"]["distribution"] == "metasearch-static"
    assert providers["algo"] == {**providers["algo"], "name": "imaml", "distribution": "metasearch-imaml", "version": "0.1.0"}
    assert providers["loss"]["distribution"] == "metasearch"
    card = (tmp_path / "run" / "model" / "README.md").read_text(encoding="utf-8")
    assert "Rajeswaran" in card

    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(str(tmp_path / "run" / "model"), device="cpu")  # here, where the plugin is not installed
    assert [type(module).__name__ for module in model] == ["StaticEmbedding", "Normalize"]
    assert model.encode(["el1 el2"]).shape == (1, 16)


@pytest.mark.parametrize("package", PACKAGES, ids=lambda p: p.name)
def test_each_is_complete(package: Path) -> None:
    assert (package / "pyproject.toml").is_file()
    readme = (package / "README.md").read_text(encoding="utf-8")
    assert "Licence: Apache-2.0" in readme
    assert list((package / "tests").glob("test_*.py"))


def documented(first_line: str) -> str:
    """The Python block of docs/plugins.md that begins so."""
    text = (ROOT / "docs" / "plugins.md").read_text(encoding="utf-8")
    (found,) = (block for block in re.findall(r"```python\n(.*?)```", text, re.DOTALL) if block.startswith(first_line))
    return str(found)


def test_the_lone_file_of_the_docs_works(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "my_loss.py").write_text(documented("import torch\n\nfrom metasearch import Component"), encoding="utf-8")
    code = (
        "from metasearch.registry import registry; from metasearch.testing import *; "
        "check_component('loss', 'soft-margin-lite'); check_loss(registry.create('loss', 'soft-margin-lite'))"
    )
    words = [sys.executable, "-W", "ignore", "-c", code]
    environment = {**os.environ, "METASEARCH_LOAD_PLUGINS": "./my_loss.py"}
    done = subprocess.run(words, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    composed = cli("run", "loss=soft-margin-lite", "--cfg", "--quiet", METASEARCH_LOAD_PLUGINS="./my_loss.py")
    assert "name: soft-margin-lite" in composed.stdout


def test_the_package_of_the_docs_keeps_its_contract(tmp_path: Path) -> None:
    folder = tmp_path / "metasearch_soft_margin"
    folder.mkdir()
    for name in ("plugin", "loss"):
        (folder / f"{name}.py").write_text(documented(f"# metasearch_soft_margin/{name}.py\n"), encoding="utf-8")
    (info := tmp_path / "metasearch_soft_margin-0.1.dist-info").mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: metasearch-soft-margin\nVersion: 0.1\n", encoding="utf-8")
    entry_point = "[metasearch.plugins]\nsoft-margin = metasearch_soft_margin.plugin\n"
    (info / "entry_points.txt").write_text(entry_point, encoding="utf-8")
    (tmp_path / "test_it.py").write_text(documented("from metasearch_soft_margin.loss import"), encoding="utf-8")
    words = [sys.executable, "-m", "pytest", "-q", "-W", "error", "-p", "no:cacheprovider", "test_it.py"]
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    done = subprocess.run(words, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert "1 passed" in done.stdout, done.stdout + done.stderr
