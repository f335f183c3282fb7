"""The examples run: scripts and notebook, with a small model so that it takes seconds."""

from __future__ import annotations

import re
import runpy
from pathlib import Path

import pytest

from tests.conftest import ROOT

EXAMPLES = ROOT / "examples"


def test_components_by_hand(tiny_model: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("sys.argv", ["by_hand.py", str(tiny_model)])
    runpy.run_path(str(EXAMPLES / "by_hand.py"), run_name="__main__")
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "180 questions to train on, 60 to test"
    assert [line.split()[0] for line in lines[1:4]] == ["loss"] * 3
    assert [line.partition(":")[0] for line in lines[4:]] == ["de (few-shot)", "el (few-shot)", "tr (zero-shot)"]


def test_own_data(tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", ["own_data.py", str(tiny_model)])
    runpy.run_path(str(EXAMPLES / "own_data.py"), run_name="__main__")
    out = capsys.readouterr().out
    assert re.search(r"map@20 \d+\.\d", out)
    assert (tmp_path / "own-data" / "index" / "index.json").is_file()
    assert len(re.findall(r"^ +\d\.\d{3}  (?:de|en)  ", out, re.MULTILINE)) == 3


def test_the_notebook(tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nbformat = pytest.importorskip("nbformat")
    nbclient = pytest.importorskip("nbclient")
    monkeypatch.setenv("METASEARCH_MODEL", str(tiny_model))
    notebook = nbformat.read(EXAMPLES / "first_steps.ipynb", as_version=4)
    nbclient.NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(tmp_path)}}).execute()
    printed = "".join(o.get("text", "") for cell in notebook.cells for o in cell.get("outputs", ()))
    assert len(re.findall(r"^\d\.\d{3}  [a-z]{2}  ", printed, re.MULTILINE)) == 5  # the hits of the search
    assert not any(output.output_type == "error" for cell in notebook.cells for output in cell.get("outputs", ()))


def test_the_notebook_shows_what_it_gave() -> None:
    nbformat = pytest.importorskip("nbformat")
    notebook = nbformat.read(EXAMPLES / "first_steps.ipynb", as_version=4)
    shown = [bool(cell.outputs) for cell in notebook.cells if cell.cell_type == "code"]
    assert shown == [False, *[True] * (len(shown) - 1)]
    assert str(ROOT) not in str(notebook)  # no machine's paths
