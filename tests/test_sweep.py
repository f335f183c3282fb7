"""Many runs: sweeps, what a second attempt skips, and every transfer mode with every algorithm."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

import metasearch.sweep
from metasearch.config import Config
from metasearch.config.overrides import expand_sweep
from metasearch.core import held
from metasearch.episodes import MODES
from metasearch.errors import ConfigError
from metasearch.report import Reporter
from metasearch.runner import RunResult
from metasearch.sweep import Job, run_jobs, slug, sweep_jobs
from tests.conftest import ROOT, Cli

SMALL = ["train.tasks=2", "valid.tasks=1", "eval.baseline=false", "eval.variants=[mono]"]


def test_every_combination_the_last_word_fastest() -> None:
    assert expand_sweep(["a=1,2", "b=x", "c='p,q',r"]) == [
        ["a=1", "b=x", "c='p,q'"],
        ["a=1", "b=x", "c=r"],
        ["a=2", "b=x", "c='p,q'"],
        ["a=2", "b=x", "c=r"],
    ]
    assert expand_sweep(["data.languages=[ar,de],[el]"]) == [["data.languages=[ar,de]"], ["data.languages=[el]"]]
    assert expand_sweep(["mode=el_el->el_{ar,el}"]) == [["mode=el_el->el_{ar,el}"]]
    assert expand_sweep([]) == [[]]
    with pytest.raises(ConfigError, match="a value between commas is empty"):
        expand_sweep(["a=1,,2"])


def test_names_of_folders_are_harmless() -> None:
    assert slug("mode='el_el -> el_{ar,el}' ../x") == "mode=-el_el---el_-ar-el-..-x"
    assert slug("///") == "run"
    assert len(slug("a" * 500)) == 80


@pytest.fixture(scope="module")
def grid(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path) -> Path:
    """All transfer modes of the paper x {fine-tune, maml}, and maml-align, on mini, through the command."""
    from tests.conftest import run_cli

    folder = tmp_path_factory.mktemp("grid")
    pairs = ",".join(mode for mode in MODES["triplets"] if mode != "mono-bi-multi")
    model = f"encoder.model={tiny_model}"
    done = run_cli(folder, "run", "-m", "algo=fine-tune,maml", f"mode={pairs}", model, *SMALL, "out=pairs", OMP_NUM_THREADS="1")
    assert done.returncode == 0, done.stderr
    three = ["algo=fine-tune,maml-align", "mode=mono-bi-multi"]
    done = run_cli(folder, "run", "-m", *three, model, *SMALL, "out=three", OMP_NUM_THREADS="1")
    assert done.returncode == 0, done.stderr
    return folder


def test_the_grid_of_transfer_modes_runs_end_to_end(grid: Path) -> None:
    found = set()
    for file in grid.glob("*/*/results.json"):
        manifest = json.loads((file.parent / "manifest.json").read_text(encoding="utf-8"))
        log = [json.loads(line) for line in (file.parent / "log.jsonl").read_text(encoding="utf-8").splitlines()]
        assert [record["phase"] for record in log] == ["train", "valid"]
        assert json.loads(file.read_text(encoding="utf-8"))["scores"]
        assert (file.parent / "model" / "modules.json").is_file()
        mode = next(line for line in (file.parent / "config.yaml").read_text(encoding="utf-8").splitlines() if "mode:" in line)
        found.add((manifest["components"]["algo"]["name"], mode.partition(": ")[2]))
        if "trans" in mode:  # another arrangement in each phase
            assert {record["phase"]: record["support"] for record in log} == {"train": "el_el", "valid": "el_ar"}
    modes = set(MODES["triplets"]) - {"mono-bi-multi"}
    assert found == {(algo, mode) for algo in ("fine-tune", "maml") for mode in modes} | {
        ("fine-tune", "mono-bi-multi"),
        ("maml-align", "mono-bi-multi"),
    }


def test_a_sweep_goes_on_where_it_stopped(grid: Path, tiny_model: Path, cli: Cli, tmp_path: Path) -> None:
    """Finished runs stay as they are, an unfinished one is gone on with, and what is none of our making is moved aside."""
    shutil.copytree(grid / "three", tmp_path / "three")
    words = ["run", "-m", "algo=fine-tune,maml-align", "mode=mono-bi-multi", f"encoder.model={tiny_model}", *SMALL, "out=three"]
    first, second = sorted((tmp_path / "three").glob("[01]-*"))
    before = (first / "results.json").read_bytes()
    (second / "results.json").unlink()
    third = tmp_path / "three" / "2-algo=maml-align"
    words[2] += ",maml-align"
    third.mkdir()
    (third / "notes.txt").write_text("mine", encoding="utf-8")
    done = cli(*words, OMP_NUM_THREADS="1")
    assert done.returncode == 0, done.stderr
    assert "0-algo=fine-tune (done before)" in done.stderr
    assert (first / "results.json").read_bytes() == before
    assert (second / "results.json").is_file()
    assert json.loads((second / "manifest.json").read_text("utf-8"))["resumed"]
    assert (tmp_path / "three" / f"{third.name}.unfinished" / "notes.txt").is_file()
    assert (
        json.loads((second / "results.json").read_text("utf-8"))["scores"]
        == json.loads((grid / "three" / second.name / "results.json").read_text("utf-8"))["scores"]
    )
    done = cli(*words, "seed=1")
    assert done.returncode == 2
    assert "holds a finished run of another configuration" in done.stderr


def test_a_wrong_word_stops_a_sweep_before_anything_runs(cli: Cli, tmp_path: Path) -> None:
    done = cli("run", "-m", "algo=maml,mamal", "out=s")
    assert done.returncode == 2
    assert "did you mean maml" in done.stderr
    assert not (tmp_path / "s").exists()


def test_a_run_that_fails_does_not_stop_the_others(cli: Cli, tiny_model: Path, tmp_path: Path) -> None:
    model = f"encoder.model={tmp_path / 'nothing'},{tiny_model}"
    done = cli("run", "-m", "algo=zero-shot", model, "eval.variants=[mono]", "out=s", "--json", OMP_NUM_THREADS="1")
    assert done.returncode == 1
    assert "1 of 2 runs failed, the first: s/0-" in done.stderr
    runs = json.loads(done.stdout)["runs"]
    assert ["no such folder" in (run["error"] or "") for run in runs] == [True, False]
    assert (Path(tmp_path / runs[1]["run"]) / "results.json").is_file()


def test_sweeps_print_their_configurations(cli: Cli) -> None:
    done = cli("run", "-m", "seed=3,4", "--cfg")
    assert done.returncode == 0
    assert [line for line in done.stdout.splitlines() if line.startswith("seed:")] == ["seed: 3", "seed: 4"]


def test_compare_and_report_of_these_runs(grid: Path, cli: Cli, tmp_path: Path) -> None:
    runs = [str(folder) for folder in sorted((grid / "three").glob("[01]-*"))]
    done = cli("compare", *runs, "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert "map@20" in json.dumps(found)
    done = cli("compare", *runs)
    assert done.returncode == 0, done.stderr
    assert "maml-align" in done.stdout
    assert "randomisation" in done.stdout
    done = cli("report", *runs, "--out", "page.html")
    assert done.returncode == 0, done.stderr
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert "maml-align" in page
    assert "<svg" in page
    done = cli("compare", runs[0], str(tmp_path))
    assert done.returncode == 2
    assert "results.json" in done.stderr


def test_a_wrong_mode_stops_a_sweep_before_anything_runs(cli: Cli, tmp_path: Path) -> None:
    done = cli("run", "-m", "algo=maml", "mode=mono-bi,mono-by", "out=s")
    assert done.returncode == 2
    assert "did you mean mono-bi" in done.stderr
    assert not (tmp_path / "s").exists()


def jobs(folder: Path, tiny_model: Path, *words: str) -> list[Job]:
    constant = ["algo=zero-shot", "eval.variants=[mono]", "train.save=false", f"encoder.model={tiny_model}"]
    return sweep_jobs(folder, expand_sweep([*constant, *words]))


def test_an_unexpected_failure_does_not_stop_the_others(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = metasearch.sweep.run_config

    def run_config(config: Config, *rest: Any) -> RunResult:
        if config["seed"] == 0:
            raise RuntimeError("CUDA out of memory")
        return real(config, *rest)

    monkeypatch.setattr(metasearch.sweep, "run_config", run_config)
    outcomes = list(run_jobs(jobs(tmp_path, tiny_model, "seed=0,1"), Reporter()))
    assert ["out of memory" in str(outcome.error or "") for outcome in outcomes] == [True, False]
    assert not (outcomes[1].job.folder / "model").exists()  # train.save=false


def test_changed_data_is_not_done_before(tiny_model: Path, tmp_path: Path) -> None:
    data = shutil.copytree(ROOT / "plugins" / "datasets" / "mini", tmp_path / "data")
    words = ["data=xquad-r", f"data.path={data}", "data.languages=[de]"]
    assert [outcome.error for outcome in run_jobs(jobs(tmp_path / "s", tiny_model, *words), Reporter())] == [None]
    (job,) = jobs(tmp_path / "s", tiny_model, *words)
    assert job.done
    text = (data / "de.json").read_text(encoding="utf-8")
    (data / "de.json").write_text(text.replace("Bienen", "Hummeln"), encoding="utf-8")
    metasearch.sweep._fingerprints.clear()
    with pytest.raises(ConfigError, match="on data that has changed since"):
        _ = job.done


def test_two_processes_do_not_share_a_folder_of_runs(tiny_model: Path, tmp_path: Path) -> None:
    with held(tmp_path, "taken"), pytest.raises(ConfigError, match="another process is making runs in it"):
        list(run_jobs(jobs(tmp_path, tiny_model), Reporter()))
    assert len(list(run_jobs(jobs(tmp_path, tiny_model), Reporter()))) == 1
