"""Malformed inputs for every entry point: one table of cases each, run by tests/test_bad_input.py."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

Content = str | bytes | None | Callable[[bytes], bytes]


@dataclass(frozen=True)
class Case:
    """One malformed input, what is typed with it, and what has to be said.

    Attributes:
        name: what is wrong, in words.
        words: the command, without ``metasearch``.
        said: each of these is in the message.
        files: path in the fresh folder -> its content; None: the file of ``base`` is removed; a function: what it makes of the
            file of ``base``.
        base: folders to put there first: ``model``, ``run``, ``pairs_run``, ``index`` (see ``bases`` in the test).
        code: exit code; with 0 the message is on standard output, and the input is odd but no error.
        environment: variables beside those of the tests.
        prepare: does to the fresh folder what ``files`` cannot say.
        process: run it in a process of its own as well.
    """

    name: str
    words: Sequence[str]
    said: Sequence[str]
    files: Mapping[str, Content] = field(default_factory=dict)
    base: Sequence[str] = ()
    code: int = 2
    environment: Mapping[str, str] = field(default_factory=dict)
    prepare: Callable[[Path], object] | None = None
    process: bool = False

    def write(self, folder: Path) -> None:
        """Write the files; ``base`` is there."""
        for name, content in self.files.items():
            file = folder / name
            if content is None:
                file.unlink()
                continue
            if callable(content):
                content = content(file.read_bytes())
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content.encode("utf-8", "surrogatepass") if isinstance(content, str) else content)
        if self.prepare is not None:
            self.prepare(folder)


def edited(change: Callable[[Any], object]) -> Callable[[bytes], bytes]:
    """A JSON file of the base, changed in place by ``change``."""

    def edit(raw: bytes) -> bytes:
        content = json.loads(raw)
        change(content)
        return json.dumps(content).encode()

    return edit


def put(*keys: Any, value: Any) -> Callable[[bytes], bytes]:
    """A JSON file of the base, with ``value`` under the keys."""

    def change(content: Any) -> None:
        for key in keys[:-1]:
            content = content[key]
        content[keys[-1]] = value

    return edited(change)


def without(*keys: Any) -> Callable[[bytes], bytes]:
    """A JSON file of the base, without what is under the keys."""

    def change(content: Any) -> None:
        for key in keys[:-1]:
            content = content[key]
        del content[keys[-1]]

    return edited(change)


def half(raw: bytes) -> bytes:
    """The first half of a file, as an interrupted copy leaves it."""
    return raw[: len(raw) // 2]
