"""The examples run: scripts and notebook, with a small model so that it takes seconds."""

from __future__ import annotations

import json
import re
import runpy
from pathlib import Path

import pytest

import metasearch
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


@pytest.mark.parametrize("file", sorted((EXAMPLES / "best").glob("*.yaml")), ids=lambda file: file.stem)
def test_the_rows_of_the_comparison_run(tiny_model: Path, tmp_path: Path, file: Path) -> None:
    """Each configuration as it is, but for the model and the number of tasks."""
    words = ("data=mini", "data.context=false", f"encoder.model={tiny_model}", "train.tasks=2", "eval.variants=[multi]")
    result = metasearch.run(*words, f"out={tmp_path / 'run'}", file=file)
    records = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [record["tasks"] for record in records] == [1, 1]
    assert {row.metric for row in result.rows} == {"map@20", "map", "own-language@20"}
    assert ("kd_loss" in records[0]) == (file.stem == "maml-align")
    assert ("query_after" in records[0]) == file.stem.startswith("maml")
