"""What algorithms cost against what counting passes predicts, and how much of the machine's matmul rate they reach."""

from __future__ import annotations

import os
import time

from tests.benchmarks.worker import Worker

# The paper's setting; each algorithm with its own mode.
SIZES = ["preset=paper", "data.context=false"]


def main(words: list[str], rounds: int, quick: bool) -> None:
    layers = 2 if quick else 12
    ways = {
        "fine-tune": ["algo=fine-tune"],
        "MAML": ["algo=maml"],
        "MAML-Align": ["algo=maml-align"],
        "MAML, keep_graphs=null": ["algo=maml", "algo.keep_graphs=null"],
        "MAML-Align, keep_graphs=null": ["algo=maml-align", "algo.keep_graphs=null"],
    }
    workers, rates = {}, []
    for name, more in ways.items():
        # The same chain of three sets for all; MAML takes its first two.
        spec = {"peer": None, "options": {}, "layers": layers, "tasks": 1}
        spec["words"] = [*SIZES, *words, "mode=mono-bi-multi", *more, "algo.meta_batch_size=1"]
        workers[name] = Worker(spec)
    for turn in range(rounds + 1):
        for worker in workers.values():
            worker.step()
            if turn == 0 and rounds:
                worker.seconds.clear()
        rates.append(matmul_rate())
    for worker in workers.values():
        worker.close()
    base = workers["fine-tune"]
    rate = max(rates)
    print(f"Measured matmul rate, one thread: {rate / 1e9:.0f} GFLOP/s\n")
    print("| algorithm | s per task | ratio | ratio by counting passes | one by the other | share of the matmul rate |")
    print("| --- | ---: | ---: | ---: | ---: | ---: |")
    for name, worker in workers.items():
        ratio, counted = worker.best / base.best, worker.ready["passes"] / base.ready["passes"]
        flops = 2 * worker.ready["weights"] * worker.ready["passes"]
        print(
            f"| {name} | {worker.best:.1f} | {ratio:.2f} | {counted:.2f} | {ratio / counted:.2f} | "
            f"{flops / worker.best / rate:.2f} |",
            flush=True,
        )


def matmul_rate() -> float:
    """Floating-point operations a second, of the best of a few products of the sizes that a layer has."""
    import torch

    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
    best = 0.0
    for rows, inner, columns in ((400, 384, 1536), (400, 1536, 384), (1536, 400, 384), (1024, 1024, 1024)):
        a, b = torch.randn(rows, inner), torch.randn(inner, columns)
        for _ in range(30):
            begin = time.perf_counter()
            torch.mm(a, b)
            best = max(best, 2 * rows * inner * columns / (time.perf_counter() - begin))
    return best
