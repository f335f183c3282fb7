"""The page as a whole.

It is one file that asks for nothing else: no script, no font, no picture from elsewhere, and its own content security policy
forbids them. All texts of a run (data, paths, languages) are taken for hostile: the template escapes every one, and characters
that HTML or UTF-8 do not allow are replaced in the finished page.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from metasearch.core import expand
from metasearch.errors import ConfigError
from metasearch.evaluation import OWN_LANGUAGE
from metasearch.report.checked_json import read_text
from metasearch.report.page import curves, map_drawing
from metasearch.report.page.axes import WIDTH
from metasearch.report.page.colours import LOW_TO_HIGH, PALETTE, WORSE_TO_BETTER, shades
from metasearch.report.page.comparison import comparisons
from metasearch.report.page.facts import facts, shown_time, stages
from metasearch.report.page.heat_map import heat_panels
from metasearch.report.page.scores import score_table, tiles
from metasearch.report.run_files import Run, read_points, read_runs, read_settings, read_steps, run_paths
from metasearch.report.run_folder import RunFolder
from metasearch.report.summary import own_language_line

# Not allowed in HTML (controls, noncharacters) or in UTF-8 (lone surrogates).
_FORBIDDEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff]")
_LANGUAGE_TAG = re.compile(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{1,8}){0,3}")


def render(runs: Sequence[Run]) -> str:
    """The page about these runs, as HTML: what is not allowed in HTML or UTF-8 is replaced by U+FFFD.

    Raises:
        DataError: a file of a run is broken.
    """
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    from metasearch import __version__

    environment = Environment(
        autoescape=True,
        loader=FileSystemLoader(Path(__file__).parents[1] / "templates"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.tests["language_tag"] = lambda text: bool(_LANGUAGE_TAG.fullmatch(text))
    views = [_view(number, run) for number, run in enumerate(runs, 1)]
    environment.globals.update(
        palettes={mode: {"heat": shades(LOW_TO_HIGH[mode]), "diff": shades(WORSE_TO_BETTER[mode])} for mode in ("light", "dark")},
        colours=PALETTE,
        languages=max((len(m.languages) for view in views for m in view["maps"]), default=0),
        width=WIDTH,
        chart=curves.FRAME,
        map_height=map_drawing.HEIGHT,
        version=__version__,
    )
    page = environment.get_template("report.html.j2").render(views=views, comparisons=comparisons(runs))
    return _FORBIDDEN.sub("\ufffd", page) + "\n"


def _view(number: int, run: Run) -> dict[str, Any]:
    """What the template needs of a run."""
    settings, config = read_settings(run)
    logs = [read_steps(run.folder(fold)) for fold in run.folds]
    points = [read_points(run.folder(fold)) for fold in run.folds]
    steps = [log or () for log in logs]
    charts = (curves.loss_chart(steps), curves.dev_chart(steps, run.metric), *curves.adaptation_charts(steps))
    maps = (map_drawing.map_view(of_fold or (), fold) for fold, of_fold in zip(run.folds, points, strict=True))
    return {
        "id": f"run-{number}",
        "number": number,
        "run": run,
        "settings": settings,
        "manifest": read_text(run.path / "manifest.json"),
        "mode": config.get("mode"),
        "preset": config.get("preset"),
        "splits": sorted({row.split for row in run.scores}),
        "folds": run.folds,
        "tiles": tiles(run),
        "table": score_table(run, run.metric),
        "other_tables": [score_table(run, metric) for metric in _other_metrics(run)],
        "own_language": own_language_line(run.before, run.scores),
        "heat": heat_panels(run),
        "charts": [chart for chart in charts if chart],
        "dev_once": curves.dev_once(steps, run.metric),
        "adaptation_notes": curves.adaptation_notes(steps),
        "steps": max((of_fold[-1].step for of_fold in steps if of_fold), default=0),
        "no_log": logs.count(None) == len(logs),
        "maps": [found for found in maps if found],
        "map_missing": points.count(None) == len(points),
        "facts": facts(run),
        "stages": stages(run.timings),
        "total": shown_time(sum(run.timings.values())),
    }


def _other_metrics(run: Run) -> list[str]:
    """Scores beside the main one; the share of the question's language is none."""
    return sorted({row.metric for row in run.scores} - {run.metric, OWN_LANGUAGE})


def write_report(folders: Sequence[str | Path], out: str | Path | None = None) -> Path:
    """Write the page about these run folders: what ``metasearch report`` does.

    Args:
        folders: run folders, in the order of the page.
        out: the file to write, replaced if it exists; None: ``report.html`` in the run folder if there is one, else in the
            current folder.

    Returns:
        The file.

    Raises:
        ConfigError: no folder, one twice, one that is no run folder or whose run did not finish; or ``out`` is not ``*.html`` or
            cannot be written.
        DataError: a file is broken.
    """
    paths = run_paths(folders)
    if not paths:
        raise ConfigError("report: no run given; expected one or more run folders")
    file = expand(str(out), "--out") if out is not None else (paths[0] if len(paths) == 1 else Path()) / "report.html"
    # A run's own files, or anybody's, shall not be replaced by a slip of the keyboard.
    if file.suffix.lower() not in (".html", ".htm"):
        raise ConfigError(f"--out {file}: expected a file name that ends in .html")
    if file.is_dir():
        raise ConfigError(f"--out {file}: is a folder, expected the name of a file")
    page = render(read_runs(paths))
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        RunFolder(file.parent).write_text(file.name, page)
    except OSError as error:
        with suppress(OSError):
            file.with_name(file.name + ".partial").unlink()
        raise ConfigError(f"--out {file}: cannot be written: {error.strerror or error}") from error
    return file
