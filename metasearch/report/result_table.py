"""A table of results beside the paper's: for the terminal, CSV, Markdown and LaTeX."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from metasearch.report.significance import rank_column
from metasearch.report.summary import Table


@dataclass(frozen=True)
class Value:
    """One measured value.

    Attributes:
        mean: a score as a fraction, or seconds; NaN: none.
        std: over folds, or None.
        seconds: whether it is a time.
        folds: the mean of each fold, for averages over rows.
    """

    mean: float = math.nan
    std: float | None = None
    seconds: bool = False
    folds: tuple[float, ...] = ()

    def shown(self) -> str:
        """Scores x 100 with one decimal; times in hours, minutes and seconds; "-" for none."""
        if math.isnan(self.mean):
            return "-"
        if self.seconds:
            return spoken_time(self.mean)
        return f"{100 * self.mean:.1f}" + ("" if self.std is None else f" ± {100 * self.std:.1f}")


@dataclass(frozen=True)
class ResultRow:
    """One line.

    Attributes:
        part: section of the table, such as ``"zero-shot"``.
        name, trained_as: what it is, and the languages it was trained with.
        values: one per column.
        paper: the paper's values as text, one per column; "" where it has none.
        note: why there is no value, else "".
    """

    part: str
    name: str
    trained_as: str
    values: tuple[Value, ...]
    paper: tuple[str, ...]
    note: str = ""


@dataclass(frozen=True)
class ResultTable:
    """A table of ours and the paper's values.

    Attributes:
        name: for file names.
        title: what it shows.
        columns: their names.
        rows: the lines.
        notes: lines to print below.
    """

    name: str
    title: str
    columns: tuple[str, ...]
    rows: tuple[ResultRow, ...]
    notes: tuple[str, ...] = field(default=())

    def header(self) -> list[str]:
        """Column titles: ours, and the paper's where it has any."""
        return ["model", "trained as", *(title for c, column in enumerate(self.columns) for title in self._titles(c, column))]

    def body(self, ranks: bool = True) -> list[list[str]]:
        """Cells as text; ranks from best to worst in parentheses after our values."""
        ranked = [rank_column([row.values[c].mean for row in self.rows]) for c in range(len(self.columns))]
        marks = self._marks()
        lines = []
        for i, row in enumerate(self.rows):
            cells = [row.name + (f" [{marks[row.note]}]" if row.note else ""), row.trained_as]
            for c, value in enumerate(row.values):
                has_rank = ranks and not value.seconds and not math.isnan(value.mean)
                cells.append(value.shown() + (f" ({ranked[c][i]})" if has_rank else ""))
                if self._paper_has(c):
                    cells.append(row.paper[c] or "-")
            lines.append(cells)
        return lines

    def footnotes(self) -> list[str]:
        """Numbered reasons for missing values, then the notes."""
        return [f"[{mark}] {note}" for note, mark in self._marks().items()] + list(self.notes)

    def terminal(self) -> Table:
        """For the console."""
        return Table(self.title, tuple(self.header()), tuple(tuple(line) for line in self.body()))

    def csv(self) -> str:
        """Comma-separated: part, model, trained as, then mean, deviation and the paper's value of each column (scores x 100)."""
        out = io.StringIO()
        writer = csv.writer(out, lineterminator="\n")
        titles = [title for column in self.columns for title in (column, f"{column} std", f"{column} paper")]
        writer.writerow(["part", "model", "trained as", *titles, "note"])
        for row in self.rows:
            cells: list[object] = [row.part, row.name, row.trained_as]
            for value, paper in zip(row.values, row.paper, strict=True):
                unit = 1 if value.seconds else 100
                mean = "" if math.isnan(value.mean) else f"{unit * value.mean:.6g}"
                cells += [mean, "" if value.std is None else f"{unit * value.std:.6g}", paper]
            writer.writerow([*cells, row.note])
        return out.getvalue()

    def markdown(self) -> str:
        """A GitHub table with its title and notes."""
        header = self.header()
        lines = [f"### {self.title}", "", _md(header), _md(["---", "---", *("---:" for _ in header[2:])])]
        lines += [_md([cell.replace("|", "\\|") for cell in line]) for line in self.body()]
        if self.footnotes():
            lines += ["", *(f"- {note}" for note in self.footnotes())]
        return "\n".join(lines) + "\n"

    def latex(self) -> str:
        """A ``tabular`` for ``booktabs``."""
        header = self.header()
        lines = [f"% {_tex(self.title)}", rf"\begin{{tabular}}{{ll{'r' * (len(header) - 2)}}}", r"\toprule"]
        lines += [" & ".join(map(_tex, header)) + r" \\", r"\midrule"]
        part = None
        for row, cells in zip(self.rows, self.body(), strict=True):
            if row.part != part:
                part = row.part
                lines.append(rf"\multicolumn{{{len(header)}}}{{l}}{{\textit{{{_tex(part)}}}}} \\")
            lines.append(" & ".join(map(_tex, cells)) + r" \\")
        lines += [r"\bottomrule", r"\end{tabular}"]
        lines += [rf"\par\noindent\footnotesize {_tex(note)}" for note in self.footnotes()]
        return "\n".join(lines) + "\n"

    def _paper_has(self, column: int) -> bool:
        return any(row.paper[column] for row in self.rows)

    def _titles(self, number: int, column: str) -> list[str]:
        return [column, f"{column} (paper)"] if self._paper_has(number) else [column]

    def _marks(self) -> dict[str, int]:
        return {note: i for i, note in enumerate(dict.fromkeys(row.note for row in self.rows if row.note), 1)}


def spoken_time(seconds: float) -> str:
    """``"2 h 18 min"``, ``"3 min 20 s"``, ``"12 s"``.

    Example:
        >>> spoken_time(8280), spoken_time(200), spoken_time(11.7)
        ('2 h 18 min', '3 min 20 s', '12 s')
    """
    whole = round(seconds)
    hours, minutes, rest = whole // 3600, whole // 60 % 60, whole % 60
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def _md(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"


_TEX = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "±": r"$\pm$",
    "→": r"$\rightarrow$",
    "<": "$<$",
    ">": "$>$",
}


def _tex(text: str) -> str:
    return "".join(_TEX.get(char, f"\\{char}" if char in "&%$#_{}" else char) for char in text)
