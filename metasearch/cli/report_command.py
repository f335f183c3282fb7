"""``metasearch report``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from metasearch.cli import console
from metasearch.report.page import write_report


def report(runs: Sequence[str], out: Path | None) -> None:
    file = write_report(runs, out)
    console.out().print(f"report      {file}", soft_wrap=True)
