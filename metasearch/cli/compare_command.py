"""``metasearch compare``."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace

from metasearch.cli import console
from metasearch.report.compare import compare as compare_runs


def compare(runs: Sequence[str], baseline: str | None, seed: int, as_json: bool) -> None:
    from rich.markup import escape

    found = compare_runs(runs, baseline, seed)
    for warning in found.warnings:
        print(f"warning: {warning}", file=sys.stderr)
    if as_json:
        console.print_json(found.to_json())
        return
    for table in found.tables():
        # Names of folders may hold square brackets, which rich takes for markup.
        console.print_table(replace(table, rows=tuple(tuple(map(escape, row)) for row in table.rows)))
    output = console.out()
    for note in found.footnotes():
        output.print(note, markup=False, soft_wrap=True)
