"""Time and memory of an exact meta-step, ours beside the libraries that people use."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

from tests.benchmarks.worker import Worker, interleaved

# The paper's sizes: 8 anchors of support, 4 of query, 3 negatives each.
SIZES = ["mode=mono-bi", "sampler.support_size=8", "sampler.query_size=4", "sampler.num_negatives=3", "algo=maml"]
# Least memory: no graph kept, the support set in four parts.
LEAN = ["algo.keep_graphs=0", "algo.support_parts=4"]


def second_order(words: list[str], rounds: int, quick: bool) -> None:
    for layers, count, tasks in [(2, 1, 1), (2, 5, 1), (2, 1, 4)] + ([] if quick else [(6, 1, 1), (12, 1, 1), (12, 5, 1)]):
        specs = {
            "learn2learn": peer("learn2learn", steps=count, first_order=False),
            "ours, keep_graphs=null": ours("algo.keep_graphs=null"),
            "ours, keep_graphs=1 (default)": ours("algo.keep_graphs=1"),
            "ours, keep_graphs=0 support_parts=4": ours(*LEAN),
        }
        if (layers, count) == (12, 5):
            print("The smallest of the first 300 tasks of de_de -> de_tr: learn2learn's graph of a larger one needs over 24 GB.")
            for spec in specs.values():
                spec.update(smallest_of=300)
                spec["words"].append("mode='de_de -> de_tr'")
        elif layers == 6:  # 12 padded layers need more than 24 GB
            specs["learn2learn, padded to 96 and 256"] = peer("learn2learn", steps=count, first_order=False, padded=True)
        elif tasks == 1:
            specs["higher"] = peer("higher", steps=count, first_order=False)
            specs["torchopt"] = peer("torchopt", steps=count)
        table(words, specs, layers, count, tasks, rounds)


def first_order(words: list[str], rounds: int, quick: bool) -> None:
    for layers, steps in [(2, 5)] + ([] if quick else [(12, 5)]):
        specs = {
            "learn2learn, first order": peer("learn2learn", steps=steps, first_order=True),
            "higher, first order": peer("higher", steps=steps, first_order=True),
            "ours, first order": ours("algo.order=first"),
        }
        table(words, specs, layers, steps, 1, rounds)


def steps(words: list[str], rounds: int, quick: bool) -> None:
    """Peak memory against the number of inner steps; it needs no second turn."""
    del rounds
    print("| settings | inner steps | memory, MB | against 2 steps |\n| --- | ---: | ---: | ---: |")
    layers = 2 if quick else 12
    for settings in (["algo.keep_graphs=0"], LEAN):
        first = None
        for count in (2, 10):
            spec = {**ours(*settings), "layers": layers, "tasks": 1}
            spec["words"] = [*words, *SIZES, f"algo.inner_steps={count}", *spec["words"]]
            memory = interleaved({"ours": spec}, 0)["ours"].memory
            first = first or memory
            print(f"| {' '.join(settings)} | {count} | {memory:.0f} | {memory / first:.2f} |", flush=True)


def table(words: list[str], specs: dict[str, dict[str, Any]], layers: int, steps: int, tasks: int, rounds: int) -> None:
    """One table: the first engine's time and memory are 1."""
    missing = [name for name, spec in specs.items() if spec["peer"] and find_spec(spec["peer"]) is None]
    for name in missing:
        print(f"(left out: {name}, which is not installed)")
        del specs[name]
    for spec in specs.values():
        spec.update(words=[*words, *SIZES, f"algo.inner_steps={steps}", *spec["words"]], layers=layers, tasks=tasks)
    print(f"{layers} layers, {steps} inner steps, {tasks} tasks, one thread:\n")
    workers = interleaved(specs, rounds)
    base = next(iter(workers.values()))
    print("| engine | time, s | ratio | memory above the loaded model, MB | ratio |\n| --- | ---: | ---: | ---: | ---: |")
    for name, worker in workers.items():
        print(f"| {name} | {row(worker, base)} |")
    print(flush=True)


def row(worker: Worker, base: Worker) -> str:
    time, memory = worker.best, worker.memory
    return f"{time:.2f} | {time / base.best:.2f} | {memory:.0f} | {memory / base.memory:.2f}"


def ours(*words: str) -> dict[str, Any]:
    return {"peer": None, "options": {}, "words": list(words)}


def peer(name: str, **options: Any) -> dict[str, Any]:
    return {"peer": name, "options": options, "words": []}
