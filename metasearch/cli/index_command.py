"""``metasearch index``."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from metasearch.cli import console
from metasearch.cli.run_command import still
from metasearch.core.printable import printable

if TYPE_CHECKING:
    from metasearch.search import IndexInfo


def index(model: str, corpus: str, out: str, words: list[str], keep_vectors: bool, as_json: bool, quiet: bool) -> None:
    still()
    from metasearch.search.settings import read_settings

    read_settings(model, words)  # most mistakes are in the words: tell them before torch is imported
    from metasearch.search import build_index

    reporter = console.reporter(quiet or (as_json and not sys.stderr.isatty()))
    info = build_index(model, corpus, out, *words, reporter=reporter, keep_vectors=keep_vectors)
    if as_json:
        console.print_json({"folder": str(info.path), **{k: v for k, v in info.to_json().items() if k != "probe"}})
    else:
        _show(info)


def _show(info: IndexInfo) -> None:
    options = " ".join(f"{key}={value}" for key, value in info.index["options"].items() if value is not None)
    size = sum(file["bytes"] for file in info.files.values()) / 1e6
    if info.recall is None:
        recall = "exact"
    else:
        recall = f"{info.recall['value']:.3f} at {info.recall['at']}, {info.recall['queries']} documents as queries"
    lines = {
        "index": f"{info.index['name']} {options}".strip(),
        "documents": f"{info.count} of dimension {info.dimension}, {size:.1f} MB",
        "languages": ", ".join(f"{language or 'not known'} {count}" for language, count in info.languages.items()),
        "recall": f"{recall}; {info.query_ms:.2f} ms a query in the index",
        "time": "  ".join(f"{stage.replace('_', ' ')} {seconds:.1f} s" for stage, seconds in info.seconds.items()),
        "folder": str(info.path),
    }
    for name, value in lines.items():
        console.out().print(f"{name:<11}{printable(value)}", markup=False, soft_wrap=True)
