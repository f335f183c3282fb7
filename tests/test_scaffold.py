"""``metasearch plugins new``: what it writes can be installed, passes its own test, and runs."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from metasearch.cli.new_command import new_plugin
from metasearch.errors import ConfigError
from metasearch.registry import KINDS
from tests.conftest import METASEARCH, ROOT, Cli

SMALL = [
    "train.epochs=1",
    "train.tasks=2",
    "valid.tasks=0",
    "train.patience=null",
    "eval.variants=[mono]",
    "device=cpu",
    "seed=0",
]
SIZES = ["sampler.support_size=2", "sampler.query_size=2", "sampler.num_negatives=2"]

Call = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A package of every kind."""
    folder = tmp_path_factory.mktemp("packages")
    for kind in KINDS:
        new_plugin(f"sample-{kind}", kind, folder)
    return folder


@pytest.fixture(scope="module")
def call(packages: Path, tmp_path_factory: pytest.TempPathFactory) -> Call:
    """Call the interpreter where all of them are installed, by pip, outside every tree."""
    site = tmp_path_factory.mktemp("site")
    copied = shutil.copytree(packages, site.parent / "copied")  # a build leaves its traces beside the source
    folders = [str(folder) for folder in sorted(copied.iterdir())]
    pip = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--no-build-isolation", "--no-index", "--target", str(site)]
    done = subprocess.run([*pip, *folders], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, "PYTHONPATH": str(site), "COLUMNS": "200", "METASEARCH_STRICT_PLUGINS": "1"}
        return subprocess.run(
            list(words), cwd=site.parent, env=environment, capture_output=True, text=True, encoding="utf-8", check=False
        )

    return run


def test_every_kind_passes_its_own_test(packages: Path, call: Call) -> None:
    tests = [str(file) for file in sorted(packages.glob("*/tests/*.py"))]
    assert len(tests) == len(KINDS)
    done = call(sys.executable, "-m", "pytest", "-q", "-W", "error", "-p", "no:cacheprovider", "--import-mode=importlib", *tests)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{len(KINDS)} passed" in done.stdout


def test_what_is_written_is_tidy(packages: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "ruff",
        "check",
        "--isolated",
        "--no-cache",
        "--line-length=130",
        "--select=E,F,I,W,B,UP",
        ".",
    ]
    for package in packages.iterdir():
        done = subprocess.run(command, cwd=package, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout
    for file in packages.rglob("*"):
        if file.is_file():
            text = file.read_text(encoding="utf-8")
            assert "{{" not in text, file
            assert "{%" not in text, file
            assert text.endswith("\n"), file


def test_all_are_listed_with_their_package(call: Call) -> None:
    listed = json.loads(call(*METASEARCH, "plugins", "list", "--json").stdout)
    ours = {
        (r["kind"], r["name"], r["distribution"], r["version"], r["state"]) for r in listed if r["distribution"] != "metasearch"
    }
    assert {(kind, f"sample-{kind}", f"metasearch-sample-{kind}", "0.1.0", "ready") for kind in KINDS} <= ours


def results(out: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((out / "results.json").read_text(encoding="utf-8"))
    return content


def test_a_run_of_them_together(call: Call, tiny_model: Path, tmp_path: Path) -> None:
    """Encoder, algorithm, sampler, loss, data and metric of six packages in one run."""
    chosen = [f"{kind}=sample-{kind}" for kind in KINDS if kind != "index"]
    words = [*chosen, f"encoder.model={tiny_model}", "encoder.width=8", "mode=en_en -> en_de", f"out={tmp_path / 'run'}"]
    done = call(*METASEARCH, "run", *words, *SMALL, *SIZES, "algo.meta_batch_size=2", "metric.cutoff=3", "--quiet")
    assert done.returncode == 0, done.stdout + done.stderr
    assert results(tmp_path / "run")["main_score"]["metric"] == "sample-metric@3"
    assert 0 <= results(tmp_path / "run")["main_score"]["value"] <= 1
    assert (tmp_path / "run" / "model" / "modules.json").is_file()
    manifest = (tmp_path / "run" / "manifest.json").read_text(encoding="utf-8")
    assert all(f"metasearch-sample-{kind}" in manifest for kind in KINDS if kind != "index")


def test_options_of_the_samples_do_something(call: Call, tiny_model: Path) -> None:
    """An option that is not allowed is refused by its schema, in the words of every component."""
    done = call(*METASEARCH, "run", "loss=sample-loss", "loss.scale=0", f"encoder.model={tiny_model}", "--cfg")
    assert done.returncode == 2
    assert "loss.scale" in done.stderr


# -- what is refused -----------------------------------------------------------------------------------------------------


def test_the_command_says_what_to_do_next(cli: Cli, tmp_path: Path) -> None:
    done = cli("plugins", "new", "two-words", "--kind", "loss", "--out", "deep/er")
    assert done.returncode == 0, done.stderr
    assert "pip install -e 'deep/er/metasearch-two-words[test]'" in done.stdout
    assert "metasearch run loss=two-words" in done.stdout
    written = {p.relative_to(tmp_path / "deep" / "er").as_posix() for p in (tmp_path / "deep").rglob("*") if p.is_file()}
    assert written == {
        f"metasearch-two-words/{file}"
        for file in (
            "README.md",
            "pyproject.toml",
            "metasearch_two_words/__init__.py",
            "metasearch_two_words/loss.py",
            "metasearch_two_words/plugin.py",
            "tests/test_two_words.py",
        )
    }
    assert "class TwoWordsLoss(Loss):" in (tmp_path / "deep/er/metasearch-two-words/metasearch_two_words/loss.py").read_text()
    again = cli("plugins", "new", "two-words", "--kind", "metric", "--out", "deep/er")
    assert again.returncode == 2
    assert "is there already" in again.stderr


@pytest.mark.parametrize(
    ("name", "kind", "said"),
    [
        ("Soft_Margin", "loss", "for example soft-margin"),
        ("3d", "loss", "lower-case words"),
        ("-a", "loss", "lower-case words"),
        ("a--b", "loss", "for example a-b"),
        ("größe", "loss", "lower-case words"),
        ("../up", "loss", "for example up"),
        ("", "loss", "lower-case words"),
        ("metasearch-mine", "loss", "give 'mine'"),
        ("triplet", "loss", "loss=triplet is taken by metasearch"),
        ("plugins", "loss", "is installed already"),
        ("mine", "losss", "did you mean loss"),
    ],
)
def test_bad_names_and_kinds(name: str, kind: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=said):
        new_plugin(name, kind, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_name_of_another_kind_is_free(tmp_path: Path) -> None:
    new_plugin("triplet", "metric", tmp_path)
    assert (tmp_path / "metasearch-triplet" / "metasearch_triplet" / "metric.py").is_file()


def test_an_existing_folder_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "metasearch-mine").mkdir()
    with pytest.raises(ConfigError, match="is there already and is left as it is"):
        new_plugin("mine", "loss", tmp_path)
    assert list((tmp_path / "metasearch-mine").iterdir()) == []


def test_a_place_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(ConfigError, match="cannot be written"):
        new_plugin("mine", "loss", tmp_path / "file")


def test_the_templates_name_no_concrete_plugin() -> None:
    for template in (ROOT / "metasearch" / "cli" / "templates").iterdir():
        assert "metasearch_plugins" not in template.read_text(encoding="utf-8"), template
