"""Fixtures that several test files share."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
SHARED = ROOT.parent / "shared"

# Before anything imports them: no network, no colours, no progress bars of libraries.
os.environ.update(HF_HUB_OFFLINE="1", TRANSFORMERS_OFFLINE="1", NO_COLOR="1", TOKENIZERS_PARALLELISM="false")
# Tests run in two processes (pyproject.toml), and PyTorch's threads of one would wait for those of the other.
os.environ.setdefault("OMP_NUM_THREADS", "1")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave out slow tests unless RUN_SLOW=1."""
    if os.environ.get("RUN_SLOW") == "1":
        return
    for item in items:
        if item.get_closest_marker("slow"):
            item.add_marker(pytest.mark.skip(reason="slow; set RUN_SLOW=1 to run it"))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say how many inputs each parser was fuzzed with, and for how long (tests/test_fuzz.py)."""
    reports = [report for reports in terminalreporter.stats.values() for report in reports]
    fuzzed = {r.location[2]: value for r in reports for key, value in getattr(r, "user_properties", ()) if key == "fuzzed"}
    if fuzzed:
        terminalreporter.section("fuzzing")
        for name, (count, seconds) in fuzzed.items():
            terminalreporter.write_line(f"{count:>8,} inputs in {seconds:5.1f} s  {name}")
        count, seconds = (sum(values) for values in zip(*fuzzed.values(), strict=True))
        terminalreporter.write_line(f"{count:>8,} inputs in {seconds:5.1f} s  together")


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder with real data, beside the checkout; tests that need it skip without."""
    if not (SHARED / "data").is_dir():
        pytest.skip(f"needs the real data in {SHARED}, which a plain clone does not have")
    return SHARED


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SentenceTransformer folder with random weights: 2 layers, width 32, and words of the mini corpus as its vocabulary."""
    from tests.tiny import make_tiny_model

    return make_tiny_model(tmp_path_factory.mktemp("tiny") / "model")


METASEARCH = [sys.executable, "-W", "ignore", "-m", "metasearch"]
Cli = Callable[..., "subprocess.CompletedProcess[str]"]


def run_cli(folder: Path, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the real command in a fresh interpreter, in ``folder``."""
    return subprocess.run(
        [*METASEARCH, *words],
        cwd=folder,
        env={**os.environ, "COLUMNS": "200", **environment},
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=600,
        check=False,
    )


@pytest.fixture
def cli(tmp_path: Path) -> Cli:
    """Run the real command in a fresh interpreter, in a fresh folder."""
    return partial(run_cli, tmp_path)
