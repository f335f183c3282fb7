"""``metasearch reproduce``."""

from __future__ import annotations

from pathlib import Path

from metasearch.errors import ConfigError, TrainingError


def reproduce(name: str, words: list[str], given: list[str], scale: float, out: Path, quiet: bool) -> None:
    from metasearch.cli import console
    from metasearch.cli.run_command import still
    from metasearch.reproduce import reproduce as reproduce_it

    still()
    inputs = dict(_input(text) for text in given)
    found = reproduce_it(name, inputs, words, scale, out, console.reporter(quiet))
    output = console.out()
    for item in found:
        console.print_table(item.table.terminal())
        for note in item.table.footnotes():
            output.print(note, markup=False, soft_wrap=True)
        output.print("written  " + "  ".join(str(file) for file in item.files), markup=False, soft_wrap=True)
    failed = [name for item in found for name in item.failed]
    if failed:
        raise TrainingError(f"{name}: {len(failed)} runs failed, the first: {failed[0]}; the notes above say why")
    if all(row.note for item in found for row in item.table.rows):
        raise TrainingError(f"{name}: no row could be made; the notes above say why")


def _input(text: str) -> tuple[str, str]:
    name, equals, path = text.partition("=")
    if not equals or not name or not path:
        raise ConfigError(f"--input {text}: expected NAME=PATH")
    if not Path(path).expanduser().exists():
        raise ConfigError(f"--input {text}: no such file or folder")
    return name, path
