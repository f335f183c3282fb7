"""``metasearch compare``."""

from __future__ import annotations

from collections.abc import Sequence

from metasearch.cli import console
from metasearch.report.compare import compare as compare_runs


def compare(runs: Sequence[str], baseline: str | None, seed: int, as_json: bool) -> None:
    found = compare_runs(runs, baseline, seed)
    for warning in found.warnings:
        console.warn(warning)
    if as_json:
        console.print_json(found.to_json())
        return
    for table in found.tables():
        console.print_table(table)
    output = console.out()
    for note in found.footnotes():
        output.print(note, soft_wrap=True)
