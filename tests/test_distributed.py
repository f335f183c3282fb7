"""Several processes do what one does, write once, and end together."""

from __future__ import annotations

import json
import math
import multiprocessing
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

import metasearch
from metasearch.algorithm import Learner, OuterLoop, TaskFunction
from metasearch.cli import main
from metasearch.core import Task
from metasearch.core.ranks import Ranks, join, of_torchrun, ranks
from metasearch.episodes import EpisodeStream, parse_mode
from metasearch.errors import NotFiniteError
from metasearch.report.run_files import ADAPTATION
from metasearch_plugins.algorithms.anil import ANIL
from metasearch_plugins.algorithms.fine_tune import FineTune
from metasearch_plugins.algorithms.maml import MAML
from metasearch_plugins.algorithms.maml_align import MAMLAlign
from metasearch_plugins.algorithms.meta_sgd import MetaSGD
from metasearch_plugins.algorithms.reptile import Reptile
from metasearch_plugins.encoders.triplet import TripletEncoder
from metasearch_plugins.losses.triplet import TripletLoss
from metasearch_plugins.samplers.random import RandomSampler
from tests.test_resume import cut_short
from tests.tiny import tiny_corpus

STEPS = 10
SHORT = ("algo=maml", "mode=ar_ar->ar_de", "train.tasks=4", "train.eval_every=null")
TORCHRUN = [sys.executable, "-W", "ignore", "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]


def words(model: Path, *more: str) -> list[str]:
    """Ten meta-batches of four tasks, with early stopping on dev."""
    return [
        "algo=maml-align",
        f"encoder.model={model}",
        "encoder.max_candidate_length=24",
        "data.languages=[ar,de,el,hi]",
        "sampler.support_size=2",
        "sampler.query_size=2",
        "algo.inner_steps=3",
        "algo.meta_batch_size=4",
        f"train.tasks={4 * STEPS}",
        "valid.tasks=0",
        "train.epochs=1",
        "train.eval_every=4",
        "eval.variants=[multi]",
        *more,
    ]


def weights(run: Path) -> dict[str, Tensor]:
    return load_file(str(next((run / "model").glob("*.safetensors"))))


def apart(one: dict[str, Tensor], other: dict[str, Tensor]) -> float:
    assert one.keys() == other.keys()
    return max(float((one[name] - other[name]).abs().max()) for name in one if one[name].numel())


def scores(run: Path) -> Any:
    return json.loads((run / "results.json").read_text(encoding="utf-8"))["scores"]


def log_of(run: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (run / "log.jsonl").read_text(encoding="utf-8").splitlines()]


@pytest.fixture(scope="module")
def one(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run in one process."""
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("one") / "r"
    metasearch.run(*words(tiny_model), f"out={folder}")
    return folder


# -- through torchrun ----------------------------------------------------------------------------------------------------


def torchrun(folder: Path, *command: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*TORCHRUN, "-m", "metasearch", *command],
        cwd=folder,
        env={**os.environ, "OMP_NUM_THREADS": "1", "COLUMNS": "200"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
    )


def test_two_processes_give_what_one_gives(one: Path, tiny_model: Path, tmp_path: Path) -> None:
    with torchrun(tmp_path, "run", *words(tiny_model), "out=r") as process:
        stdout, stderr = process.communicate(timeout=300)
    assert process.returncode == 0, stderr
    assert stdout.count("run folder  r") == 1
    assert stderr.count("training (0 of 10)") == 1
    two = tmp_path / "r"
    difference, moved = apart(weights(one), weights(two)), apart(weights(one), load_file(str(tiny_model / "model.safetensors")))
    print(f"largest difference {difference:.2g} after {STEPS} meta-batches, which moved parameters by up to {moved:.2g}")
    assert difference < 1e-6 < moved
    assert scores(one) == scores(two)
    assert [record["step"] for record in log_of(two)] == list(range(1, STEPS + 1))
    for ours, theirs in zip(log_of(one), log_of(two), strict=True):
        assert ours.keys() == theirs.keys()
        assert ours["loss"] == pytest.approx(theirs["loss"], abs=1e-6)
        for key in ADAPTATION:
            # One task's negatives all have the text of their positive, so that its gradient, and the share of it, is rounding.
            assert ours[key] == pytest.approx(theirs[key], rel=0.1 if "second_order" in key else 1e-4), key
        assert ours.get("dev") == theirs.get("dev")
    assert json.loads((two / "manifest.json").read_text(encoding="utf-8"))["hardware"]["processes"] == 2
    assert {p.relative_to(one) for p in one.rglob("*")} == {p.relative_to(two) for p in two.rglob("*")}


def test_a_process_is_killed_and_one_goes_on_alone(one: Path, tiny_model: Path, tmp_path: Path) -> None:
    with torchrun(tmp_path, "run", *words(tiny_model, "train.checkpoint_every=1"), "out=r") as process:
        try:
            wait_for(tmp_path / "r" / "checkpoints" / "state-00000002.safetensors", process)
            children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text(encoding="utf-8").split()
            os.kill(int(children[-1]), signal.SIGKILL)
            begin = time.monotonic()
            _, stderr = process.communicate(timeout=60)
        finally:
            process.kill()
    print(f"ended {time.monotonic() - begin:.1f} s after the kill")
    assert process.returncode != 0
    assert stderr.count("error: another process of this run has died") == 1
    assert "go on with: metasearch run --resume r\n" in stderr
    ended = len(log_of(tmp_path / "r"))
    assert 2 <= ended < STEPS
    metasearch.resume(tmp_path / "r")
    assert [record["step"] for record in log_of(tmp_path / "r")] == list(range(1, STEPS + 1))
    assert apart(weights(one), weights(tmp_path / "r")) < 1e-6
    assert scores(one) == scores(tmp_path / "r")


def wait_for(file: Path, process: subprocess.Popen[str]) -> None:
    for _ in range(1200):
        if file.exists() or process.poll() is not None:
            break
        time.sleep(0.1)
    assert file.exists(), process.communicate()[1] if process.poll() is not None else "not there in time"


def test_a_mistake_is_told_once_and_nothing_is_written(tiny_model: Path, tmp_path: Path) -> None:
    with torchrun(tmp_path, "run", *words(tiny_model, "algo.inner_layers=7"), "out=r") as process:
        _, stderr = process.communicate(timeout=120)
    assert process.returncode == 1  # torchrun's; it says that of its processes
    assert stderr.count("error: algo.inner_layers=7: the encoder has 2 transformer layers") == 1
    assert stderr.count("error: ") == 1
    assert "exitcode  : 2" in stderr
    assert not list(tmp_path.iterdir())


# -- in two processes of our own, which start at once --------------------------------------------------------------------


class Pair:
    """Two processes with what torchrun sets, forked with everything imported."""

    def __init__(self) -> None:
        self.context = multiprocessing.get_context("forkserver")
        heavy = ["sentence_transformers", "transformers.models.bert.modeling_bert"]
        self.context.set_forkserver_preload(["tests.test_distributed", "metasearch.runner", "metasearch.sweep", *heavy])

    def run(self, target: Any, folder: Path, *arguments: Any) -> tuple[list[int | None], str, str]:
        """Call ``target(*arguments)`` in both, in the folder; exit codes, standard output and standard error of both together."""
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        common = (port, folder, dict(os.environ), target)
        processes = [self.context.Process(target=_begin, args=(n, *common, *arguments)) for n in range(2)]
        for process in processes:
            process.start()
        for process in processes:
            process.join(120)
            process.kill()
        said = [(folder / name).read_text(encoding="utf-8") for name in (".out", ".err")]
        return [process.exitcode for process in processes], said[0], said[1]

    def command(self, folder: Path, *words: str) -> tuple[list[int | None], str, str]:
        """Run a command line in both."""
        return self.run(main, folder, list(words))


def _begin(rank: int, port: int, folder: Path, environment: dict[str, str], target: Any, *arguments: Any) -> None:
    os.environ.update(environment)
    os.environ.update(RANK=str(rank), LOCAL_RANK=str(rank), WORLD_SIZE="2", MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port))
    os.environ["COLUMNS"] = "200"
    os.chdir(folder)
    torch.set_num_threads(1)
    for number, name in ((1, ".out"), (2, ".err")):
        os.dup2(os.open(name, os.O_WRONLY | os.O_CREAT | os.O_APPEND), number)
    target(*arguments)


@pytest.fixture(scope="module")
def pair() -> Pair:
    return Pair()


class EveryTask(FineTune):
    """As a plugin that knows nothing of several processes."""

    def meta_gradient(self, tasks: Sequence[Task]) -> dict[str, float]:
        total = 0.0
        for task in tasks:
            f = self.learner.open(task)
            loss = f.loss(f.restrict(self.theta), 0)
            loss.backward()
            total += loss.item()
        return {"loss": total}


ALGORITHMS: dict[str, tuple[type[OuterLoop], dict[str, Any]]] = {
    "fine-tune": (FineTune, {}),
    "maml": (MAML, {"inner_steps": 2}),
    "maml, first order": (MAML, {"inner_steps": 2, "order": "first"}),
    "maml, dropout": (MAML, {"inner_steps": 2, "dropout": True}),
    "anil": (ANIL, {"inner_steps": 2}),
    "meta-sgd": (MetaSGD, {"inner_steps": 2}),
    "meta-sgd, tensor": (MetaSGD, {"inner_steps": 2, "rates": "tensor"}),
    "reptile": (Reptile, {"inner_steps": 2}),
    "maml-align": (MAMLAlign, {"inner_steps": 2}),
    "maml-align, separate": (MAMLAlign, {"inner_steps": 2, "student": "separate"}),
    "maml-align, kl-losses": (MAMLAlign, {"inner_steps": 2, "distill": "kl-losses", "kd_weight": 3.0}),
    "maml-align, both learn": (MAMLAlign, {"inner_steps": 2, "distill": "kl-losses", "detach_teacher": False}),
    "maml-align, mse-losses": (MAMLAlign, {"inner_steps": 2, "distill": "mse-losses"}),
    "a plugin's": (EveryTask, {}),
}


def learner_of(model: Path) -> Learner:
    encoder = TripletEncoder(str(model))
    encoder.to("cpu", "float64")
    return Learner(encoder, TripletLoss())


def tasks_for(algorithm: OuterLoop, count: int) -> list[Task]:
    mode = "el_el -> el_ar -> el_{ar,el,hi}" if algorithm.sets == 3 else "el_el -> el_{ar,el}"
    stream = EpisodeStream(tiny_corpus(), parse_mode(mode).train, RandomSampler(2, 1, 1), seed=1, phase="train")
    return [stream.task(i) for i in range(count)]


def steps(model: Path) -> dict[tuple[str, int], dict[str, Any]]:
    """Of each case, what one update logs, and the gradients that it took."""
    learner = learner_of(model)
    start = {name: p.detach().clone() for name, p in learner.encoder.parameters().items()}
    found = {}
    for name, count in CASES:
        torch.manual_seed(7)
        learner.encoder.load_parameters(start)
        cls, options = ALGORITHMS[name]
        algorithm = cls(**options)
        algorithm.start(learner)
        log = algorithm.step(tasks_for(algorithm, count))
        gradients = [p.grad for group in algorithm.optimizer.param_groups for p in group["params"]]
        found[name, count] = {"log": log, "gradients": [None if g is None else g.clone() for g in gradients]}
        algorithm.optimizer.zero_grad()
    return found


CASES = [(name, 4) for name in ALGORITHMS] + [(name, count) for name in ("maml", "maml-align, kl-losses") for count in (3, 1)]


def save_steps(model: Path) -> None:
    with join() as here:
        torch.save(steps(model), f"rank{here.rank}.pt")


def test_every_algorithm_takes_the_gradient_that_one_process_takes(pair: Pair, tiny_model: Path, tmp_path: Path) -> None:
    codes, _, stderr = pair.run(save_steps, tmp_path, tiny_model)
    assert codes == [0, 0], stderr
    both = [torch.load(tmp_path / f"rank{rank}.pt") for rank in range(2)]
    for case, alone in steps(tiny_model).items():
        first, second = (found[case] for found in both)
        assert first["log"] == second["log"] == pytest.approx(alone["log"], rel=1e-12), case
        largest = max(float(g.abs().max()) for g in alone["gradients"] if g is not None and g.numel())
        for g, one, other in zip(alone["gradients"], first["gradients"], second["gradients"], strict=True):
            assert (g is None) == (one is None) == (other is None), case
            if g is not None:
                assert torch.equal(one, other), case
                assert float((g - one).abs().max()) < 1e-12 * largest, case


class Spoiled(MAML):
    """NaN for task 3, which is the second process's."""

    def open(self, task: Task) -> TaskFunction:
        f = super().open(task)
        return replace(f, criterion=lambda e: e.similarities().mean() * math.nan) if task.index == 3 else f  # type: ignore[arg-type]


def save_guilty(model: Path) -> None:
    with join() as here:
        algorithm = Spoiled(inner_steps=1)
        algorithm.start(learner_of(model))
        try:
            algorithm.step(tasks_for(algorithm, 4))
        except NotFiniteError as error:
            Path(f"guilty{here.rank}").write_text(f"{error.tasks}", encoding="utf-8")


def test_all_processes_refuse_a_loss_that_is_not_finite_in_one(pair: Pair, tiny_model: Path, tmp_path: Path) -> None:
    codes, _, stderr = pair.run(save_guilty, tmp_path, tiny_model)
    assert codes == [0, 0], stderr
    assert [(tmp_path / f"guilty{rank}").read_text(encoding="utf-8") for rank in range(2)] == ["[3]", "[3]"]


def test_two_go_on_where_one_stopped(pair: Pair, tiny_model: Path, tmp_path: Path) -> None:
    more = ("algo.meta_batch_size=3", "train.tasks=8", "algo.dropout=false")  # 3 tasks to two, and then 2, 1
    folder = cut_short(tiny_model, tmp_path, 3, *more)
    codes, stdout, stderr = pair.command(tmp_path, "run", "--resume", "r")
    assert codes == [0, 0], stderr
    assert stdout.count("run folder  r") == 1
    assert "going on after meta-batch 3" in stderr
    assert "processes was 1, is 2" in stderr
    from tests.test_resume import words as resumed_words

    metasearch.run(*resumed_words(tiny_model, *more), f"out={tmp_path / 'whole'}")
    assert apart(weights(folder), weights(tmp_path / "whole")) < 1e-6
    assert [r["step"] for r in log_of(folder)] == [r["step"] for r in log_of(tmp_path / "whole")]


def test_evaluation_shares_texts(pair: Pair, one: Path, tmp_path: Path) -> None:
    codes, stdout, stderr = pair.command(tmp_path, "evaluate", str(one), "eval.batch_size=4", "--json")
    assert codes == [0, 0], stderr
    assert json.loads(stdout)["scores"] == scores(one)


def test_hard_negatives_are_those_of_one_process(
    pair: Pair, tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    some = ("sampler.negatives=hard", *SHORT)
    monkeypatch.setenv("METASEARCH_CACHE", str(tmp_path / "cache"))
    codes, _, stderr = pair.command(tmp_path, "run", *words(tiny_model, *some), "out=two")
    assert codes == [0, 0], stderr
    assert len(list((tmp_path / "cache" / "embeddings").iterdir())) == 2  # of questions and of candidates
    monkeypatch.setenv("METASEARCH_CACHE", str(tmp_path / "other"))
    metasearch.run(*words(tiny_model, *some), f"out={tmp_path / 'one'}")
    assert [r["loss"] for r in log_of(tmp_path / "one")] == pytest.approx([r["loss"] for r in log_of(tmp_path / "two")])


def test_a_sweep_goes_on_after_a_run_that_fails(pair: Pair, tiny_model: Path, tmp_path: Path) -> None:
    models = f"encoder.model={tmp_path / 'none'},{tiny_model}"
    codes, stdout, stderr = pair.command(tmp_path, "run", "-m", *words(tiny_model, *SHORT, models), "out=sweep")
    assert codes == [1, 1], stderr
    assert stderr.count("error: 1 of 2 runs failed") == 1
    assert stdout.count("sweep folder  sweep") == 1
    assert [p.parent.name[0] for p in (tmp_path / "sweep").glob("*/results.json")] == ["1"]


def fails_in_second(folder: Path) -> None:
    def fail(words: list[str], prog_name: str) -> None:
        ranks().gather("begun")
        if not ranks().first:
            raise MemoryError("no room")
        ranks().gather("never")

    from metasearch.cli.several import run_together

    run_together(["run"], fail)


def test_what_fails_in_one_is_told_by_the_first(pair: Pair, tmp_path: Path) -> None:
    codes, _, stderr = pair.run(fails_in_second, tmp_path, tmp_path)
    assert codes == [1, 1]
    # The second's PyTorch complains that the store is gone, which the first holds here.
    assert [line for line in stderr.splitlines() if "error: " in line] == ["error: process 1: MemoryError: no room"]


def test_other_commands_take_one_process(pair: Pair, tmp_path: Path) -> None:
    codes, stdout, stderr = pair.command(tmp_path, "doctor")
    assert codes == [2, 2]
    assert stdout == ""
    assert stderr == "error: doctor: takes one process; start it without torchrun\n"


# -- without any other ---------------------------------------------------------------------------------------------------


def test_shares_cover_all_in_order() -> None:
    for world in range(1, 6):
        for count in range(8):
            parts = [list(Ranks(rank, world).shard(range(count))) for rank in range(world)]
            assert [item for part in parts for item in part] == list(range(count))
            assert max(map(len, parts)) - min(map(len, parts)) <= 1


def test_one_process_of_a_launcher_is_an_ordinary_one(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("RANK", "LOCAL_RANK"):
        monkeypatch.setenv(name, "0")
    monkeypatch.setenv("WORLD_SIZE", "1")
    assert not of_torchrun()
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert of_torchrun()
    monkeypatch.delenv("LOCAL_RANK")
    assert not of_torchrun()  # a cluster's own variables are no torchrun
