"""The wheel, built from a copy of the tree and used from outside it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.conftest import ROOT


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    ignored = shutil.ignore_patterns(".git", ".venv", "build", "runs", "*.egg-info", "__pycache__", ".*_cache")
    shutil.copytree(ROOT, folder / "tree", ignore=ignored)
    command = [sys.executable, "-m", "pip", "wheel", ".", "--no-deps", "--no-build-isolation", "-q", "-w", str(folder / "out")]
    done = subprocess.run(command, cwd=folder / "tree", capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return next((folder / "out").glob("*.whl"))


def test_the_wheel_holds_everything_and_no_module_called_plugins(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    assert {n.split("/")[0] for n in names if ".dist-info" not in n} == {
        "metasearch",
        "metasearch_plugins",
        "metasearch_reproduce",
    }
    sources = {"metasearch": "metasearch", "plugins": "metasearch_plugins", "examples/reproduce": "metasearch_reproduce"}
    for source, package in sources.items():
        here = {f"{package}/{p.relative_to(ROOT / source).as_posix()}" for p in (ROOT / source).rglob("*") if p.is_file()}
        here.discard("metasearch_reproduce/README.md")
        assert {n for n in here if "__pycache__" not in n} <= set(names)


def test_the_wheel_works_outside_the_tree(wheel: Path, tmp_path: Path) -> None:
    target = tmp_path / "site"
    subprocess.run([sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--target", str(target), str(wheel)], check=True)

    def call(*words: str) -> str:
        environment = {**os.environ, "PYTHONPATH": str(target), "COLUMNS": "200"}
        return subprocess.run(
            [sys.executable, *words], cwd=tmp_path, env=environment, capture_output=True, text=True, encoding="utf-8", check=True
        ).stdout

    assert str(target) in call("-c", "import metasearch, metasearch_plugins as p; print(metasearch.__file__, p.__file__)")
    assert "25 groups" in call("-m", "metasearch", "data", "describe", "mini")
    assert "preset: paper" in call("-m", "metasearch", "run", "preset=paper", "--cfg")
    assert "maml-align" in call("-m", "metasearch", "plugins", "list")
