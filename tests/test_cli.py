"""The real command in a fresh interpreter, with a tiny model: what a user types, sees and finds afterwards."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.conftest import Cli, run_cli

SMALL = ("train.tasks=4", "valid.tasks=2", "data.languages=[ar,de,el,hi,th]", "sampler.support_size=3", "sampler.query_size=2")
ROW = {"metric", "variant", "query_language", "candidate_languages", "supervision", "split", "fold", "value", "n"}


def mini_folder() -> Path:
    from metasearch_plugins.datasets.mini import Mini

    return Mini().folder()


def results(folder: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((folder / "results.json").read_text(encoding="utf-8"))
    return content


# -- start-up ----------------------------------------------------------------------------------------------------------


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys\n"
        "from metasearch.cli import main\n"
        "try:\n    main(['--help'])\nexcept SystemExit as e:\n    assert not e.code\n"
        "heavy = {'torch', 'transformers', 'sentence_transformers', 'faiss', 'numpy', 'rich.table', 'yaml'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    for command in ("run", "evaluate", "plugins", "data", "doctor"):
        assert command in done.stdout


@pytest.mark.parametrize("words", [["plugins", "list"], ["run", "--cfg", "--quiet"], ["plugins", "show", "algo", "maml-align"]])
def test_looking_at_components_does_not_import_torch(words: list[str]) -> None:
    code = (
        "import sys\n"
        "from metasearch.cli import main\n"
        f"try:\n    main({words!r})\nexcept SystemExit as e:\n    assert not e.code\n"
        "assert 'torch' not in sys.modules\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_version_help_and_no_words(cli: Cli) -> None:
    assert cli("--version").stdout.startswith("metasearch 0.")
    assert "metasearch run encoder=triplet algo=maml-align" in cli("run", "--help").stdout
    assert "Usage" in cli().stdout + cli().stderr


# -- run ---------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def finished(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, subprocess.CompletedProcess[str]]:
    folder = tmp_path_factory.mktemp("run")
    words = ("run", "encoder=triplet", "algo=maml-align", f"encoder.model={tiny_model}", *SMALL, "out=first")
    done = run_cli(folder, *words)
    assert done.returncode == 0, done.stderr
    return folder / "first", done


def test_run_prints_before_and_after(finished: tuple[Path, subprocess.CompletedProcess[str]]) -> None:
    _, done = finished
    for word in (
        "map@20 x 100",
        "multi before",
        "multi after",
        "el (few-shot)",
        "th (zero-shot)",
        "mean, few-shot",
        "run folder",
    ):
        assert word in done.stdout, word
    assert "training (3 of 3)" in done.stderr
    assert "\x1b[" not in done.stdout + done.stderr


def test_run_folder_is_complete(finished: tuple[Path, subprocess.CompletedProcess[str]]) -> None:
    folder, _ = finished
    names = {p.name for p in folder.iterdir()}
    assert names == {
        "config.yaml",
        "manifest.json",
        "log.jsonl",
        "checkpoints",
        "model",
        "results.json",
        "run.trec",
        "qrels.trec",
        "per-query.tsv",
        "map.json",
    }
    assert not list(folder.rglob("*.partial"))
    log = [json.loads(line) for line in (folder / "log.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [r["phase"] for r in log] == ["train", "train", "valid"]
    assert all(np.isfinite(r["loss"]) and r["tasks"] == 2 for r in log)
    assert "dev" in log[-1]
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    assert manifest["components"]["algo"]["distribution"] == "metasearch"
    assert manifest["languages_seen"] == ["ar", "de", "el", "hi"]
    # Second order needs an attention with second derivatives; evaluation uses the fast kernels.
    assert manifest["encoder"]["attention"] == {"second_order_steps": "sdpa (math)", "otherwise": "sdpa"}
    assert len(manifest["data"]["fingerprint"]) == 64
    assert manifest["command"].startswith("metasearch run encoder=triplet algo=maml-align")


def test_results_are_of_the_documented_form(finished: tuple[Path, subprocess.CompletedProcess[str]]) -> None:
    folder, _ = finished
    found = results(folder)
    assert found["schema"] == 1
    for name in ("scores", "baseline_scores"):
        rows = found[name]
        assert all(set(row) == ROW and 0 <= row["value"] <= 1 for row in rows)
        assert len([r for r in rows if r["metric"] == "map@20"]) == 5 + 20 + 5
        assert {r["metric"] for r in rows} == {"map@20", "map", "own-language@20"}
    multi = [r for r in found["scores"] if r["variant"] == "multi" and r["metric"] == "map@20"]
    assert {r["query_language"]: r["supervision"] for r in multi}["th"] == "zero-shot"
    assert all(r["candidate_languages"] == ["ar", "de", "el", "hi", "th"] for r in multi)
    assert found["main_score"]["value"] == pytest.approx(np.mean([r["value"] for r in multi]))
    assert {"train", "score_after"} <= set(found["timings"])


def test_trec_files_agree_with_the_scores(finished: tuple[Path, subprocess.CompletedProcess[str]]) -> None:
    import ir_measures
    from ir_measures import AP

    folder, _ = finished
    run: dict[str, dict[str, float]] = {}
    for line in (folder / "run.trec").read_text(encoding="utf-8").splitlines():
        question, q0, candidate, rank, score, tag = line.split()
        assert (q0, tag) == ("Q0", "metasearch")
        placed = run.setdefault(question, {})
        assert int(rank) == len(placed) + 1
        assert not placed or float(score) <= list(placed.values())[-1] + 1000
        placed[candidate] = -float(rank)
    qrels: dict[str, dict[str, int]] = {}
    for line in (folder / "qrels.trec").read_text(encoding="utf-8").splitlines():
        question, _, candidate, relevance = line.split()
        qrels.setdefault(question, {})[candidate] = int(relevance)
    per_query = {m.query_id: m.value for m in ir_measures.iter_calc([AP @ 20], qrels, run)}
    for row in results(folder)["scores"]:
        if row["variant"] == "multi" and row["metric"] == "map@20":
            values = [v for q, v in per_query.items() if q.startswith(row["query_language"] + "-")]
            assert row["value"] == pytest.approx(np.mean(values), abs=1e-9)


def test_the_model_loads_without_us_and_scores_the_same(
    finished: tuple[Path, subprocess.CompletedProcess[str]], cli: Cli
) -> None:
    from sentence_transformers import SentenceTransformer

    folder, _ = finished
    plain = SentenceTransformer(str(folder / "model"), device="cpu")
    assert plain.encode_query(["x"]).shape == (1, 32)
    card = (folder / "model" / "README.md").read_text(encoding="utf-8")
    assert "metasearch run encoder=triplet algo=maml-align" in card
    assert "| mean |" in card
    for model, words in ((str(folder), []), (str(folder / "model"), [])):
        done = cli("evaluate", model, *words, "--json")
        assert done.returncode == 0, done.stderr
        again = json.loads(done.stdout)
        for a, b in zip(again["scores"], results(folder)["scores"], strict=True):
            assert (a["variant"], a["query_language"], a["metric"]) == (b["variant"], b["query_language"], b["metric"])
            assert a["value"] == pytest.approx(b["value"], abs=1e-6)
        # A run knows what it was trained on, and its model does.
        assert {r["supervision"] for r in again["scores"]} == {"few-shot", "zero-shot"}
    # Other data than the run's: no fold of it means anything, so all of it is scored, or what the user says.
    others = ("evaluate", str(folder), "data=xquad-r", f"data.path={mini_folder()}", "eval.variants=[mono]")
    shown = cli(*others, "data.languages=[ar,th]")
    assert shown.returncode == 0, shown.stderr
    assert "ar (few-shot)" in shown.stdout
    rows = json.loads(cli(*others, "data.languages=[ar]", "--json").stdout)["scores"]
    assert {(r["fold"], r["split"], r["n"]) for r in rows} == {(None, "all", 100)}


def test_the_same_command_gives_the_same_results(
    finished: tuple[Path, subprocess.CompletedProcess[str]], cli: Cli, tmp_path: Path
) -> None:
    folder, _ = finished
    done = cli("run", "--config", str(folder / "config.yaml"), "out=again", "--json")
    assert done.returncode == 0, done.stderr
    first, again = results(folder), results(tmp_path / "again")
    for content in (first, again):
        content.pop("timings")
    assert first == again
    assert json.loads(done.stdout)["scores"] == again["scores"]
    assert (folder / "model" / "model.safetensors").read_bytes() == (
        tmp_path / "again" / "model" / "model.safetensors"
    ).read_bytes()
    assert (folder / "run.trec").read_bytes() == (tmp_path / "again" / "run.trec").read_bytes()


@pytest.mark.parametrize("algo", ["maml", "fine-tune", "zero-shot"])
def test_the_other_algorithms(cli: Cli, tiny_model: Path, tmp_path: Path, algo: str) -> None:
    done = cli("run", f"algo={algo}", f"encoder.model={tiny_model}", *SMALL, "out=r", "-q")
    assert done.returncode == 0, done.stderr
    assert ("multi before" in done.stdout) == (algo != "zero-shot")
    assert results(tmp_path / "r")["main_score"]["metric"] == "map@20"
    assert (tmp_path / "r" / "model" / "modules.json").is_file()
    assert (tmp_path / "r" / "log.jsonl").is_file()
    assert (tmp_path / "r" / "checkpoints").is_dir()
    # An encoder that was not trained has seen no language.
    assert {r["supervision"] for r in results(tmp_path / "r")["baseline_scores"]} <= {"zero-shot"}


def test_all_folds(cli: Cli, tiny_model: Path, tmp_path: Path) -> None:
    words = ("algo=fine-tune", "data.fold=all", "eval.variants=[multi]", "eval.baseline=false", f"encoder.model={tiny_model}")
    done = cli("run", *words, *SMALL, "out=r")
    assert done.returncode == 0, done.stderr
    found = results(tmp_path / "r")
    assert sorted({r["fold"] for r in found["scores"]}) == [0, 1, 2, 3, 4]
    assert len(found["main_score"]["folds"]) == 5
    assert found["main_score"]["std"] == pytest.approx(np.std(found["main_score"]["folds"], ddof=1))
    assert all((tmp_path / "r" / f"fold-{k}" / "qrels.trec").stat().st_size for k in range(5))
    assert "±" in done.stdout
    # Each fold starts from the untrained encoder: fold 3 alone is fold 3 of all.
    alone = cli("run", *words[:1], "data.fold=3", *words[2:], *SMALL, "out=alone")
    assert alone.returncode == 0, alone.stderr
    assert results(tmp_path / "alone")["scores"] == [r for r in found["scores"] if r["fold"] == 3]
    # Evaluating the run scores each fold with its own model.
    scored = cli("evaluate", "r", "--json")
    assert scored.returncode == 0, scored.stderr
    for a, b in zip(json.loads(scored.stdout)["scores"], found["scores"], strict=True):
        assert (a["fold"], a["query_language"]) == (b["fold"], b["query_language"])
        assert a["value"] == pytest.approx(b["value"], abs=1e-6)
    assert "name one of its models" in cli("evaluate", "r", "out=x").stderr


# -- bad input ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["run", "algo=mamml"], 2, "did you mean maml"),
        (["run", "algo.inner_stps=3"], 2, "did you mean algo.inner_steps"),
        (["run", "--config", "none.yaml"], 2, "none.yaml: cannot be read"),
        (["run", "mode=el_el->el_xx->el_el"], 2, "has no xx; it has ar, de, el, en, hi, ru, th, tr"),
        (["run", "mode=mono-bi"], 2, "algo=maml-align takes chains of 3"),
        (["run", "mode=null"], 2, "needs a transfer mode"),
        (["run", "--cfg", "mode=monno-bi"], 2, "did you mean mono-bi"),
        (["run", "algo=zero-shot", "mode=monno-bi"], 2, "did you mean mono-bi"),
        (["run", "out=~nobody-of-this-name/x"], 2, "no such user"),
        (["evaluate", "~nobody-of-this-name/x"], 2, "no such user"),
        (["data", "describe", "~nobody-of-this-name/x"], 2, "no such user"),
        (["run", "data.fold=none"], 2, "leaves nothing to train on"),
        (["run", "data.languages=[fr]"], 2, "no language 'fr'"),
        (["run", "data.languages=[en,ar]"], 2, "has no de, el, hi; it has ar, en"),
        (["run", "data=xquad-r"], 2, "data.path is not set"),
        (["run", "data=xquad-r", "data.path=nowhere"], 2, "data.path=nowhere: no such folder"),
        (["run", "sampler.support_size=90"], 2, "lower sampler.support_size"),
        (["run", "encoder.model=./nowhere"], 2, "encoder.model=./nowhere: no such folder"),
        (["run", "encoder.model=some/model"], 2, "model hub"),
        (["run", "encoder.model=builtin:x"], 2, "no such built-in model"),
        (["run", "device=cuda:7"], 2, "device=cuda:7"),
        (["run", "out=full"], 2, "out=full: already exists and is not empty"),
        (["run", "--nonsense"], 2, "No such option"),
        (["runn"], 2, "No such command"),
        (["evaluate"], 2, "Missing argument"),
        (["evaluate", "full"], 2, "not a model"),
        (["evaluate", "./nowhere"], 2, "no such folder"),
        (["evaluate", "builtin:multilingual-e5-small", "algo=maml"], 2, "evaluate does not train"),
        (["plugins", "show", "algo", "mamml"], 2, "did you mean maml"),
        (["plugins", "show", "algos", "maml"], 2, "did you mean algo"),
        (["data", "describe", "nowhere"], 2, "nowhere: no such file or folder"),
        (["data", "describe", "full"], 2, "no data set of a known format"),
    ],
)
def test_bad_input_is_explained_and_writes_nothing(
    words: list[str], code: int, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from metasearch.cli import main

    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "precious.txt").write_text("keep me", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    if said == "device=cuda:7":
        import torch

        if torch.cuda.device_count() > 7:
            pytest.skip("this machine has that device")
    with pytest.raises(SystemExit) as ended:
        main(words)
    told = capsys.readouterr()
    assert ended.value.code == code, told.err
    assert said in told.err
    assert "Traceback" not in told.err
    assert [p.name for p in tmp_path.rglob("*")] == ["full", "precious.txt"]


def test_a_run_that_diverges_fails_with_1_and_keeps_its_log(cli: Cli, tiny_model: Path, tmp_path: Path) -> None:
    done = cli(
        "run", "algo=fine-tune", "algo.outer_lr=1e30", f"encoder.model={tiny_model}", *SMALL, "eval.baseline=false", "out=r"
    )
    assert done.returncode == 1, done.stderr
    assert "meta-batch 2 (train tasks 2, 3): the loss is nan" in done.stderr
    assert "Traceback" not in done.stderr
    assert len((tmp_path / "r" / "log.jsonl").read_text(encoding="utf-8").splitlines()) == 1


def test_a_bug_is_one_line_unless_verbose(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "xx.json").write_text("{", encoding="utf-8")
    short = cli("data", "describe", ".")
    assert (short.returncode, "Traceback" in short.stderr) == (2, False)
    assert "xx.json:1: not valid JSON" in short.stderr
    assert "Traceback" in cli("data", "describe", ".", "--verbose").stderr


# -- looking around ----------------------------------------------------------------------------------------------------


def test_cfg_prints_what_run_would_use(cli: Cli, tmp_path: Path, tiny_model: Path) -> None:
    done = cli("run", "algo=maml", "seed=3", f"encoder.model={tiny_model}", "--cfg")
    assert done.returncode == 0
    assert "name: maml" in done.stdout
    assert re.fullmatch(
        r"estimate, within a factor of two: .*, training .* \(8 meta-batches, .*; peak memory .* GB\n", done.stderr
    )
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "c.yaml").write_text(done.stdout, encoding="utf-8")
    again = cli("run", "--config", "c.yaml", "--cfg", "--quiet")
    assert (again.stdout, again.stderr) == (done.stdout, "")


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["data=xquad-r", "data.path=nowhere"], "no estimate: data.path=nowhere: no such folder"),
        (["encoder.model=some/hub-model"], "no estimate: encoder.model=some/hub-model"),
        (["encoder=bm25"], "estimate, within a factor of two: "),
    ],
)
def test_cfg_is_printed_also_where_nothing_can_be_estimated(cli: Cli, words: list[str], reason: str) -> None:
    done = cli("run", *words, "--cfg")
    assert done.returncode == 0
    assert done.stdout.startswith("preset: quick\nencoder:")
    assert done.stderr.startswith(reason)
    assert "Traceback" not in done.stderr


def test_plugins_list_and_show(cli: Cli) -> None:
    listed = json.loads(cli("plugins", "list", "--json").stdout)
    assert {"kind": "algo", "name": "maml-align", "distribution": "metasearch", "state": "ready"}.items() <= next(
        r for r in listed if r["name"] == "maml-align"
    ).items()
    assert "maml-align" in cli("plugins", "list").stdout
    shown = cli("plugins", "show", "algo", "maml-align").stdout
    assert "algo.kd_weight" in shown
    assert "a number, at least 0" in shown
    assert "brings mode=mono-bi-multi" in shown
    assert json.loads(cli("plugins", "show", "loss", "triplet", "--json").stdout)["options"]["margin"]["default"] == 1.0


def test_data_describe(cli: Cli) -> None:
    done = cli("data", "describe", "mini")
    assert "100 of 100 questions are there in every language; 25 groups" in done.stdout
    assert "no problems" in done.stdout
    content = json.loads(cli("data", "describe", "mini", "--json").stdout)
    assert content["languages"]["th"]["questions"] == 100


def test_data_describe_tells_where_problems_are(cli: Cli, shared: Path) -> None:
    done = cli("data", "describe", str(shared / "data" / "xquad-r"))
    assert "1190 of 1190 questions are there in every language; 48 groups" in done.stdout
    assert "73 x the answer runs past the end of its sentence" in done.stdout
    assert "ar.json:1: data[" in done.stdout
    assert "and 55 more" in done.stdout


def test_doctor(cli: Cli) -> None:
    done = cli("doctor")
    assert done.returncode == 0, done.stdout
    assert "torch" in done.stdout
    assert all(c["ok"] or c["optional"] for c in json.loads(cli("doctor", "--json").stdout))
