"""``metasearch search``."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from metasearch.cli import console
from metasearch.cli.run_command import still
from metasearch.core.printable import printable

if TYPE_CHECKING:
    from metasearch.search import Hit, SearchIndex

_QUIT = ":q"
_LONGEST_ID = 24  # cells


def search(folder: str, query: str | None, k: int, as_json: bool, model: str | None) -> None:
    still()
    from metasearch.search import open_index

    index = open_index(folder, model)
    if query not in (None, "-"):
        _answer(index, query, k, as_json, indent=2)
        return
    for asked in _asked():
        _answer(index, asked, k, as_json, indent=None)


def _asked() -> Iterator[str]:
    """Queries from standard input: one a line, or typed at a prompt until an empty line, ``:q``, end of input or Ctrl-C."""
    if not sys.stdin.isatty():
        if isinstance(sys.stdin, io.TextIOWrapper):
            sys.stdin.reconfigure(encoding="utf-8-sig", errors="surrogateescape")  # what is no UTF-8 is refused as a query
        yield from (line.strip() for line in sys.stdin if line.strip())
        return
    from rich.prompt import Prompt

    while True:
        try:
            line = Prompt.ask("query", console=console.out())
        except (EOFError, KeyboardInterrupt):
            print()
            return
        if line.strip() in ("", _QUIT):
            return
        yield line


def _answer(index: SearchIndex, query: str, k: int, as_json: bool, indent: int | None) -> None:
    hits = index.search([query], k)[0]
    if as_json:
        print(_json({"query": query, "results": [asdict(hit) for hit in hits]}, indent), flush=True)
    else:
        _show(query, hits)


def _json(content: dict[str, Any], indent: int | None) -> str:
    """JSON in which what would act on a terminal, or end a line, is escaped: such characters stand in its texts only."""
    lines = json.dumps(content, indent=indent, ensure_ascii=False).split("\n")
    return "\n".join(map(printable, lines))


def _show(query: str, hits: list[Hit]) -> None:
    from rich.table import Table
    from rich.text import Text

    output = console.out()
    rows = [(str(hit.rank), f"{hit.score:.3f}", hit.language, hit.id, " ".join(hit.text.split())) for hit in hits]
    texts = [[Text(printable(cell)) for cell in row] for row in rows]
    names = ("rank", "score", "language", "id", "text")
    for row in texts:
        row[3].truncate(_LONGEST_ID, overflow="ellipsis")
    # What the other columns and the lines between leave; a table that is too wide would shrink all its columns.
    taken = sum(max([len(name), *(row[i].cell_len for row in texts)]) + 3 for i, name in enumerate(names[:-1])) + 4
    table = Table(title=Text(printable(query)), title_justify="left")
    for i, name in enumerate(names):
        table.add_column(name, justify="right" if i < 2 else "left", no_wrap=True)
    for row in texts:
        row[-1].truncate(max(len(names[-1]), output.width - taken), overflow="ellipsis")
        table.add_row(*row)
    output.print(table)
