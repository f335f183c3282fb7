"""One engine in a process of its own: takes a meta-step when told to, and reports time and peak memory.

A process each, so that peak memory is the engine's own; steps on command, so that engines take turns on a machine whose speed
drifts.
"""

from __future__ import annotations

import ctypes
import gc
import json
import os
import subprocess
import sys
import time
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

from metasearch.core import Task

ROOT = Path(__file__).resolve().parents[2]


class Worker:
    """The parent's handle on a worker process.

    Args:
        spec: what to build: ``words`` (a configuration: data, mode, sampler, encoder, and our algorithm), ``peer`` and its
            ``options`` (None: our algorithm), ``layers`` to keep of the model (None: all), ``tasks`` of a meta-step, and
            ``smallest_of`` so many, if not the middle of 41.
        threads: for torch.

    Attributes:
        ready: what the worker said before its first step: ``loaded`` memory in MB; of our algorithms also the ``passes`` that a
            step takes (tokens without padding) and the encoder's ``weights`` in matrices that every token meets.
    """

    def __init__(self, spec: dict[str, Any], threads: int = 1) -> None:
        environment = {**os.environ, "OMP_NUM_THREADS": str(threads), "HF_HUB_OFFLINE": "1"}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.benchmarks.worker", json.dumps(spec)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=ROOT,
            env=environment,
            text=True,
        )
        self.ready = self._answer()
        self.seconds: list[float] = []
        self.memory = 0.0

    def step(self) -> None:
        """Take one meta-step and note what it cost."""
        assert self.process.stdin is not None
        self.process.stdin.write("step\n")
        self.process.stdin.flush()
        answer = self._answer()
        self.seconds.append(answer["seconds"])
        self.memory = max(self.memory, answer["memory"])

    @property
    def best(self) -> float:
        """Least seconds of a step."""
        return min(self.seconds)

    def close(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait()

    def _answer(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"a benchmark process ended with {self.process.wait()}; its message is above")
        found: dict[str, Any] = json.loads(line)
        return found


def interleaved(specs: dict[str, dict[str, Any]], rounds: int, threads: int = 1) -> dict[str, Worker]:
    """Run each engine once to warm up, then in turns.

    A process is started, warmed and measured for memory alone; then all take ``rounds`` turns for time.
    """
    workers = {}
    for name, spec in specs.items():
        workers[name] = Worker(spec, threads)
        workers[name].step()  # the first step pays for lazy initialisation
        if rounds:
            workers[name].seconds.clear()
    for _ in range(rounds):
        for worker in workers.values():
            worker.step()
    for worker in workers.values():
        worker.close()
    return workers


def memory_mb(key: str) -> float:
    """``VmRSS`` (now) or ``VmHWM`` (peak) of this process, MB."""
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith(key + ":"):
            return int(line.split()[1]) / 1024
    raise RuntimeError(f"no {key} in /proc/self/status: memory is measured on Linux only")


def forget_peak() -> None:
    """Start VmHWM again from what is in use now."""
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")


def characters(task: Task) -> int:
    """Size of a task of questions as the reference code feeds it: flattened triplets, each column padded to its longest text."""
    size = 0
    for examples in task.sets:
        triplets = [t for e in examples.examples for t in e.triplets()]
        for column in ("question", "positive", "negative"):
            size += len(triplets) * max(len(getattr(t, column).text) for t in triplets)
    return size


def main(spec: dict[str, Any]) -> None:
    import torch

    from metasearch.config import compose
    from metasearch.dataset import make_splits
    from metasearch.episodes import EpisodeStream, parse_mode
    from tests.benchmarks import engines

    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what libraries print must not get between the answers
    config = compose(*spec["words"])
    (split,) = make_splits(config.create("data").load(), 0, 0)
    stream = EpisodeStream(split.train, parse_mode(config["mode"]).arrangement("train"), config.create("sampler"), 0, "train")
    # Every engine of a table gets the same tasks: those of middling size among the first of meta-train, or the smallest.
    drawn = sorted(map(stream.task, range(spec.get("smallest_of", 41))), key=characters)
    first = 0 if "smallest_of" in spec else (len(drawn) - spec["tasks"]) // 2
    tasks: list[Task] = drawn[first : first + spec["tasks"]]
    encoder = engines.load(config["encoder.model"], spec["layers"])
    about: dict[str, float] = {}
    if spec["peer"]:
        warnings.simplefilter("ignore")  # the peers are old, and torch says so
        step = engines.PEERS[spec["peer"]](encoder, **spec["options"])
    else:
        algorithm = config.create("algo")
        if algorithm.sets is not None:  # so that MAML can take a part of MAML-Align's tasks
            tasks = [replace(task, sets=task.sets[: algorithm.sets]) for task in tasks]
        about = engines.count(encoder, algorithm, tasks)
        step = engines.ours(encoder, algorithm)
    gc.collect()
    loaded = memory_mb("VmRSS")
    print(json.dumps({"loaded": loaded, **about}), file=answers, flush=True)
    for _ in sys.stdin:
        forget_peak()
        begin = time.perf_counter()
        loss = step(tasks)
        took = time.perf_counter() - begin
        print(json.dumps({"seconds": took, "memory": memory_mb("VmHWM") - loaded, "loss": loss}), file=answers, flush=True)
        gc.collect()
        ctypes.CDLL(None).malloc_trim(0)  # an engine that waits for its turn holds no memory


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
