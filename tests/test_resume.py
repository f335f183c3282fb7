"""A run that is killed at any moment ends as if it had not been."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import json
import multiprocessing
import os
import random
import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
import torch

import metasearch
from metasearch.errors import ConfigError, DataError, ModelError, TrainingError
from metasearch.report.checkpoint import load_state, save_state
from metasearch.report.run_folder import RunFolder
from tests.conftest import METASEARCH, Cli

KILLS = int(os.environ.get("RESUME_KILLS", "20"))


def words(model: Path, *more: str) -> list[str]:
    """A small MAML-Align run with dropout, early stopping on dev and a checkpoint at every other meta-batch."""
    return [
        "algo=maml-align",
        "algo.dropout=true",
        "algo.student=separate",
        "algo.outer_lr=0.003",
        "algo.inner_lr=0.05",
        "algo.meta_batch_size=1",
        f"encoder.model={model}",
        "encoder.max_candidate_length=24",
        "data.languages=[ar,de,el,hi]",
        "sampler.support_size=2",
        "sampler.query_size=1",
        "train.tasks=6",
        "valid.tasks=2",
        "train.epochs=2",
        "train.eval_every=3",
        "train.checkpoint_every=2",
        "eval.variants=[multi]",
        *more,
    ]


def outcome(run: Path) -> dict[str, Any]:
    """All that must not depend on interruptions: weights, scores, rankings, the log without its times."""
    results = json.loads((run / "results.json").read_text(encoding="utf-8"))
    del results["timings"]
    found: dict[str, Any] = {"results": results}
    for file in sorted(run.rglob("*")):
        name = file.relative_to(run).as_posix()
        if file.suffix in (".safetensors", ".trec", ".tsv") or name.endswith(("map.json", "tokenizer.json", "README.md")):
            found[name] = hashlib.sha256(file.read_bytes()).hexdigest()
        if file.name == "log.jsonl":
            lines = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
            found[name] = [{key: value for key, value in line.items() if key != "seconds"} for line in lines]
    return found


def go(folder: str, model: str) -> None:
    """Begin the run in this folder, or go on with it."""
    os.chdir(folder)
    torch.set_num_threads(1)
    if Path("r/config.yaml").exists():
        metasearch.resume("r")
    else:
        shutil.rmtree("r", ignore_errors=True)
        metasearch.run(*words(Path(model)), "out=r")


class Processes:
    """Processes that start with everything imported, so that a kill costs a second and not ten."""

    def __init__(self) -> None:
        self.context = multiprocessing.get_context("forkserver")
        self.context.set_forkserver_preload(["tests.test_resume", "metasearch.runner", "metasearch_plugins.encoders.triplet"])

    def run(self, folder: Path, model: Path, seconds: float | None = None) -> int | None:
        """Run it to the end, or until it is killed after ``seconds``; its exit code, None where it was killed."""
        process = self.context.Process(target=go, args=(str(folder), str(model)))
        process.start()
        process.join(seconds)
        if process.exitcode is None:
            process.kill()
            process.join()
            return None
        return process.exitcode


@pytest.fixture(scope="module")
def processes() -> Processes:
    return Processes()


@pytest.fixture(scope="module")
def whole(tiny_model: Path, processes: Processes, tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], float]:
    """The outcome of the run without interruption, and how long it took."""
    folders = [tmp_path_factory.mktemp("whole") for _ in range(2)]
    for folder in folders:  # the first one warms the server up
        begin = time.monotonic()
        assert processes.run(folder, tiny_model) == 0
    first, second = (outcome(folder / "r") for folder in folders)
    assert first == second  # the same command, the same bits
    return first, time.monotonic() - begin


def test_killed_at_random_moments(
    whole: tuple[dict[str, Any], float], processes: Processes, tiny_model: Path, tmp_path: Path
) -> None:
    """SIGKILL at moments drawn over the whole length of the run: while it reads, trains, scores, writes."""
    expected, length = whole
    draw = random.Random(0)  # noqa: S311
    kills, ends, steps = 0, 0, set()
    while kills < KILLS or ends == 0:
        code = processes.run(tmp_path, tiny_model, draw.uniform(0.2, 0.8) * length if kills < KILLS else None)
        if code is None:
            kills += 1
            steps |= {state.stem for state in (tmp_path / "r").glob("checkpoints/state-*.safetensors")}
        else:
            assert code == 0
            assert outcome(tmp_path / "r") == expected
            ends += 1
            shutil.rmtree(tmp_path / "r")
    assert len(steps) >= 2, "no kill fell into training"
    print(f"{kills} kills over {ends} runs of {length:.1f} s, checkpoints seen: {', '.join(sorted(steps))}")


def cut_short(model: Path, folder: Path, step: int, *more: str) -> Path:
    """A run folder that a process left after meta-batch ``step``, as by Ctrl-C."""
    from metasearch.algorithm.trainer import Trainer

    def interrupted(trainer: Trainer) -> bool:
        return trainer.progress.step == step

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("metasearch.runner.noted_interrupts", lambda *told: contextlib.nullcontext(lambda: False))
        keep = Trainer._keep

        def stop(self: Trainer, steps: int) -> None:
            self.interrupted = lambda: interrupted(self)
            keep(self, steps)

        patch.setattr(Trainer, "_keep", stop)
        with pytest.raises(KeyboardInterrupt):
            metasearch.run(*words(model, *more), f"out={folder / 'r'}")
    return folder / "r"


def test_ctrl_c_keeps_the_state_and_says_how_to_go_on(tiny_model: Path, tmp_path: Path, cli: Cli) -> None:
    command = [*METASEARCH, "run", *words(tiny_model, "train.tasks=3000", "train.eval_every=null"), "out=r"]
    # A shell that runs the tests in the background has them ignore Ctrl-C, and children inherit that.
    heed = functools.partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
    pipes: Any = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, cwd=tmp_path, text=True, preexec_fn=heed, **pipes) as process:
        log = tmp_path / "r" / "log.jsonl"
        try:
            for _ in range(1200):
                if log.exists() and log.read_text(encoding="utf-8").count("\n") >= 3:
                    break
                time.sleep(0.1)
            refused = cli("run", "--resume", "r")
            process.send_signal(signal.SIGINT)
            _, stderr = process.communicate(timeout=120)
        finally:
            process.kill()
    assert refused.returncode == 2
    assert "another process is at work on this run" in refused.stderr
    assert process.returncode == 130, stderr
    assert "Traceback" not in stderr
    assert "interrupted; go on with: metasearch run --resume r" in stderr
    steps = len(log.read_text(encoding="utf-8").splitlines())
    kept = sorted(p.name for p in (tmp_path / "r" / "checkpoints").glob("state-*"))
    assert kept[-1] == f"state-{steps:08d}.safetensors"
    assert len(kept) <= 2


def test_the_one_before_is_taken_where_the_last_checkpoint_is_damaged(
    whole: tuple[dict[str, Any], float], tiny_model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    torch.set_num_threads(1)
    run = cut_short(tiny_model, tmp_path, 5)
    kept = sorted((run / "checkpoints").glob("state-*"))
    assert [p.name for p in kept] == ["state-00000004.safetensors", "state-00000005.safetensors"]
    raw = bytearray(kept[1].read_bytes())
    raw[-100] ^= 1  # one bit of one weight
    kept[1].write_bytes(raw)
    with (run / "log.jsonl").open("a", encoding="utf-8") as log:
        log.write('{"step": 6, "los')
    from metasearch.cli.console import LineReporter

    metasearch.resume(run, LineReporter())
    said = capsys.readouterr().err
    assert "the checksum of" in said
    assert "going on after meta-batch 4" in said
    found = outcome(run)
    assert found.pop("model/README.md")  # it tells the command, which names another folder
    assert found == {name: value for name, value in whole[0].items() if name in found}
    assert not list((run / "checkpoints").glob("*.safetensors"))


def test_several_folds(tiny_model: Path, tmp_path: Path) -> None:
    more = ("data.fold=all", "train.epochs=1", "train.tasks=2", "valid.tasks=0", "train.save=false", "algo.dropout=false")
    metasearch.run(*words(tiny_model, *more), f"out={tmp_path / 'whole'}")
    (tmp_path / "cut").mkdir()
    with pytest.MonkeyPatch.context() as patch:
        from metasearch import runner

        run_fold, seen = runner._run_fold, []

        def third_fails(*arguments: Any) -> Any:
            seen.append(arguments[1].fold)
            if len(seen) == 3:
                raise KeyboardInterrupt
            return run_fold(*arguments)

        patch.setattr(runner, "_run_fold", third_fails)
        with pytest.raises(KeyboardInterrupt):
            metasearch.run(*words(tiny_model, *more), f"out={tmp_path / 'cut' / 'r'}")
        seen[:] = [0, 0, 0]
        metasearch.resume(tmp_path / "cut" / "r")
        assert seen[3:] == [2, 3, 4]  # the first two are not run again
    assert outcome(tmp_path / "cut" / "r") == outcome(tmp_path / "whole")


def test_a_sweep_goes_on_where_it_stopped(tiny_model: Path, tmp_path: Path) -> None:
    sweep = [*words(tiny_model, "train.epochs=1"), "seed=0,1"]
    run = cut_short(tiny_model, tmp_path, 3, "train.epochs=1", "seed=0")
    (tmp_path / "sweep").mkdir()
    run.rename(tmp_path / "sweep" / "0-seed=0")
    outcomes = metasearch.multirun(*sweep, out=tmp_path / "sweep")
    assert [o.error for o in outcomes] == [None, None]
    manifest = json.loads((tmp_path / "sweep" / "0-seed=0" / "manifest.json").read_text(encoding="utf-8"))
    assert len(manifest["resumed"]) == 1
    assert not list((tmp_path / "sweep").glob("*.unfinished"))


def test_what_has_changed_since_is_refused(tiny_model: Path, tmp_path: Path, cli: Cli) -> None:
    model = shutil.copytree(tiny_model, tmp_path / "model")
    run = cut_short(model, tmp_path, 2)
    before = outcome_of_folder(run)
    manifest = json.loads((run / "manifest.json").read_text(encoding="utf-8"))
    (run / "manifest.json").write_text(json.dumps({**manifest, "data": {"fingerprint": "x"}}), encoding="utf-8")
    with pytest.raises(DataError, match="the data has changed since the run began"):
        metasearch.resume(run)
    (run / "manifest.json").write_text(json.dumps({**manifest, "weights": "x"}), encoding="utf-8")
    with pytest.raises(ModelError, match="the encoder is not the one that the run began with"):
        metasearch.resume(run)
    (run / "manifest.json").write_text(json.dumps(manifest, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    assert outcome_of_folder(run) == before  # nothing is lost
    (run / "checkpoints" / "state-00000002.safetensors").write_bytes(b"")
    shutil.rmtree(model)
    assert "no such folder" in cli("run", "--resume", "r").stderr


def outcome_of_folder(run: Path) -> dict[str, str]:
    return {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in sorted(run.rglob("*")) if p.is_file()}


def test_what_cannot_be_gone_on_with(tiny_model: Path, tmp_path: Path, cli: Cli) -> None:
    (tmp_path / "empty").mkdir()
    assert "has no config.yaml" in cli("run", "--resume", "empty").stderr
    gone = cli("run", "--resume", "gone")
    assert gone.returncode == 2
    assert "no such folder" in gone.stderr
    assert "there is nothing to add: seed=1" in cli("run", "--resume", "empty", "seed=1").stderr
    done = metasearch.run("algo=zero-shot", f"encoder.model={tiny_model}", "eval.variants=[multi]", f"out={tmp_path / 'done'}")
    again = cli("run", "--resume", "done", "--json")
    assert again.returncode == 0
    assert json.loads(again.stdout)["scores"] == [row.to_json() for row in done.rows]


# -- losses that are not finite ------------------------------------------------------------------------------------------


class Spoiled(metasearch.Loss):
    """NaN for one task, by the number of the call."""

    calls = 0
    bad: tuple[int, ...] = ()

    def __call__(self, embeddings: Any) -> torch.Tensor:
        type(self).calls += 1
        value = embeddings.similarities().mean()
        return value * torch.nan if self.calls in self.bad else value


@pytest.fixture
def spoiled(monkeypatch: pytest.MonkeyPatch) -> type[Spoiled]:
    from metasearch.registry import Registered, registry

    Spoiled.calls, Spoiled.bad = 0, ()
    create = Registered.create
    monkeypatch.setattr(
        Registered, "create", lambda self, **options: Spoiled() if self.kind == "loss" else create(self, **options)
    )
    assert registry.names("loss")
    return Spoiled


@pytest.mark.parametrize("policy", ["stop", "skip"])
def test_a_loss_that_is_not_finite(spoiled: type[Spoiled], tiny_model: Path, tmp_path: Path, policy: str) -> None:
    # Fine-tuning takes one loss per set, two sets a task, two tasks a batch: calls 5 to 8 are the second meta-batch, and then
    # each of its tasks is tried alone, calls 9 and 10, 11 and 12.
    spoiled.bad = (7, 11)
    run = ["algo=fine-tune", "mode=ar_ar->ar_de", f"encoder.model={tiny_model}", "algo.meta_batch_size=2", "train.tasks=6"]
    run += ["train.epochs=1", "valid.tasks=0", "train.checkpoint_every=1", "eval.variants=[multi]", "eval.baseline=false"]
    run += [f"train.on_nonfinite={policy}", f"out={tmp_path / 'r'}"]
    if policy == "stop":
        with pytest.raises(TrainingError, match=r"meta-batch 2 \(train tasks 3\): the loss is nan; .*train.on_nonfinite=skip"):
            metasearch.run(*run)
        state = load_state(tmp_path / "r" / "checkpoints" / "state-00000001.safetensors")  # the last good one
        assert all(torch.isfinite(p).all() for p in state["encoder"].values())
        spoiled.calls, spoiled.bad = 0, ()
        metasearch.resume(tmp_path / "r")
    else:
        metasearch.run(*run)
        log = [json.loads(line) for line in (tmp_path / "r" / "log.jsonl").read_text(encoding="utf-8").splitlines()]
        assert [line["loss"] is None for line in log] == [False, True, False]
        assert log[1]["skipped"] == "the loss is nan"
        assert json.loads((tmp_path / "r" / "checkpoints" / "progress.json").read_text(encoding="utf-8"))["skipped"] == 1
        metasearch.write_report([tmp_path / "r"])  # which draws the log
    model = next((tmp_path / "r" / "model").glob("*.safetensors"))
    from safetensors.torch import load_file

    assert all(torch.isfinite(p).all() for p in load_file(str(model)).values())


# -- checkpoints ---------------------------------------------------------------------------------------------------------


def test_states_come_back_as_they_were(tmp_path: Path) -> None:
    weight = torch.arange(6.0).reshape(2, 3)
    state = {
        "theta": {"w": weight, "same": weight, "empty": torch.empty(0, 3), "scalar": torch.tensor(2.5, dtype=torch.float64)},
        "optimizer": {
            "state": {0: {"step": torch.tensor(3.0), "m": weight.T}},
            "param_groups": [{"lr": 0.1, "betas": (0.9, 0.99)}],
        },
        "other": [None, True, "text", -float("inf"), 1 / 3],
        "half": torch.ones(3, dtype=torch.bfloat16),
    }
    save_state(tmp_path / "s.safetensors", state)
    found = load_state(tmp_path / "s.safetensors")
    assert repr(found) == repr(state)
    assert found["optimizer"]["param_groups"] == state["optimizer"]["param_groups"]
    assert found["theta"]["w"] is found["theta"]["same"]  # written once
    assert [p.name for p in tmp_path.iterdir()] == ["s.safetensors"]
    with pytest.raises(TypeError, match="not set"):
        save_state(tmp_path / "t.safetensors", {"a": {1, 2}})


@pytest.mark.parametrize("share", [0.0, 0.01, 0.5, 0.999])
def test_a_cut_off_checkpoint_is_no_checkpoint(tmp_path: Path, share: float) -> None:
    file = tmp_path / "s.safetensors"
    save_state(file, {"w": torch.ones(1000)})
    raw = file.read_bytes()
    file.write_bytes(raw[: int(share * len(raw))])
    with pytest.raises(DataError, match=r"s\.safetensors: no whole checkpoint"):
        load_state(file)


def test_only_so_many_are_kept(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    folder.open()
    for step in (1, 2, 10, 11):
        folder.keep_state(step, {"step": step})
    assert sorted(p.name for p in (tmp_path / "checkpoints").iterdir()) == [
        "state-00000010.safetensors",
        "state-00000011.safetensors",
    ]
    found = folder.newest_state(pytest.fail)
    assert found == {"step": 11}


def test_two_processes_in_one_folder(tmp_path: Path) -> None:
    with RunFolder(tmp_path).held(), pytest.raises(ConfigError, match="another process is at work"), RunFolder(tmp_path).held():
        pass
