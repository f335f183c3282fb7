"""Plots of result tables, as PNG and SVG."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from metasearch.report.result_table import ResultTable, Value

# Okabe and Ito's palette: told apart with any kind of colour vision.
PALETTE = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#F0E442", "#000000")


def plot_table(table: ResultTable, plot: Mapping[str, Any], path: Path) -> list[Path]:
    """Draw grouped bars with deviations over folds, and the paper's values as diamonds.

    Args:
        table: what to draw; rows without any value are left out unless the paper has one.
        plot: ``group`` (what stands along the axis) and ``series`` (the colours), each ``name``, ``trained_as`` or ``columns``;
            ``column``, where neither is ``columns``.
        path: without suffix.

    Returns:
        The PNG and the SVG; nothing where there is nothing to draw.
    """
    bars = _bars(table, plot)
    if not any(not math.isnan(value.mean) for value, _ in bars.values()):
        return []
    from matplotlib import rc_context
    from matplotlib.artist import Artist
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    groups = list(dict.fromkeys(group for group, _ in bars))
    series = list(dict.fromkeys(name for _, name in bars))
    seconds = any(value.seconds for value, _ in bars.values())
    unit = 60.0 if seconds else 0.01
    figure = Figure(figsize=(max(6.0, 0.45 * len(bars) + 2.0), 4.2), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    width = 0.8 / len(series)
    diamond: dict[str, Any] = {"marker": "D", "color": "white", "markeredgecolor": "black", "markersize": 5, "linestyle": "none"}
    handles: list[Artist] = [Patch(color=PALETTE[s % len(PALETTE)], label=name) for s, name in enumerate(series)]
    published = False
    for (group, name), (value, paper) in bars.items():
        s = series.index(name)
        x = groups.index(group) + (s - (len(series) - 1) / 2) * width
        if not math.isnan(value.mean):
            error = None if value.std is None else value.std / unit
            axes.bar(x, value.mean / unit, 0.92 * width, color=PALETTE[s % len(PALETTE)], yerr=error, capsize=2)
        number = paper_number(paper)
        if number is not None and not seconds:
            axes.plot(x, number, **diamond)
            published = True
    if published:
        handles.append(Line2D([], [], label="paper", **diamond))
    slanted = max(map(len, groups)) > 10
    axes.set_xticks(range(len(groups)), groups, rotation=30 if slanted else 0, ha="right" if slanted else "center")
    axes.set_ylabel("minutes" if seconds else "score x 100")
    axes.set_title(table.title)
    axes.grid(axis="y", alpha=0.3)
    axes.set_axisbelow(True)
    axes.legend(handles=handles, fontsize="small", loc="upper left", bbox_to_anchor=(1.0, 1.0))
    written = [path.with_name(path.name + ending) for ending in (".png", ".svg")]
    with rc_context({"svg.hashsalt": "metasearch"}):  # the same table gives the same file
        figure.savefig(written[0], dpi=160)
        figure.savefig(written[1], metadata={"Date": None})
    return written


def paper_number(text: str) -> float | None:
    """The mean in ``"57.0 ± 2.9"``; None where there is none."""
    found = re.match(r"\s*(-?\d+(?:\.\d+)?)\s*(±|$)", text)
    return float(found.group(1)) if found else None


def _bars(table: ResultTable, plot: Mapping[str, Any]) -> dict[tuple[str, str], tuple[Value, str]]:
    """(group, series) -> our value and the paper's."""
    bars: dict[tuple[str, str], tuple[Value, str]] = {}
    for row in table.rows:
        for column, value, paper in zip(table.columns, row.values, row.paper, strict=True):
            if "columns" not in (plot["group"], plot["series"]) and column != plot.get("column", table.columns[-1]):
                continue
            names = {"name": row.name, "trained_as": row.trained_as, "columns": column}
            if "trained_as" not in (plot["group"], plot["series"]) and sum(r.name == row.name for r in table.rows) > 1:
                names["name"] = f"{row.name}, {row.trained_as}"
            if not math.isnan(value.mean) or paper:
                bars[names[plot["group"]], names[plot["series"]]] = (value, paper)
    return bars
