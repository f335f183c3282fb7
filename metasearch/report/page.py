"""One HTML page about one or several run folders: scores, language pairs, training curves, maps, settings, origins.

The page is one file that asks for nothing else: no script, no font, no picture from elsewhere, and its own content security
policy forbids them. All texts of a run (data, paths, languages) are taken for hostile: the template escapes every one, and
characters that HTML or UTF-8 do not allow are replaced in the finished page.
"""

from __future__ import annotations

import json
import math
import re
import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from metasearch.config.files import parse_yaml
from metasearch.core import expand
from metasearch.errors import ConfigError, DataError, MetasearchError
from metasearch.evaluation import VARIANTS, Row
from metasearch.report.run_folder import RunFolder
from metasearch.report.summary import Summary, summarise

DEGREES = ("few-shot", "zero-shot")
SIDES = ("query", "candidate")
# Metrics of sentence pairs: the search is symmetric, and what is scored are tracks, not questions.
_OF_PAIRS = ("pearson", "spearman")
# Not allowed in HTML (controls, noncharacters) or in UTF-8 (lone surrogates).
_FORBIDDEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff]")
_LANGUAGE_TAG = re.compile(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{1,8}){0,3}")
_MINUS, _NOTHING = "\u2212", "\u2013"
_LARGEST = 1e100  # beyond it, sums and squares overflow, and nothing can be drawn


# -- reading -------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Step:
    """One meta-batch of ``log.jsonl``.

    Attributes:
        step: its number, from 1.
        phase: ``"train"`` or ``"valid"``.
        loss: None where it is not finite.
        dev: the dev score after it, 0 to 1; None where dev was not scored.
    """

    step: int
    phase: str
    loss: float | None
    dev: float | None


@dataclass(frozen=True)
class Point:
    """One text of ``map.json``.

    Attributes:
        language: of the text.
        side: ``"query"`` or ``"candidate"``.
        text: the text.
        pair: texts with the same value belong together: a question and its answers.
        before: coordinates before training; None if there is no such embedding.
        after: coordinates after training.
    """

    language: str
    side: str
    text: str
    pair: str
    before: tuple[float, float] | None
    after: tuple[float, float]


@dataclass(frozen=True)
class Part:
    """A fold of a run, or all of it.

    Attributes:
        fold: None without a split.
        steps: what was logged while training, by step; None if there is no log.
        points: the map; None if there is none.
    """

    fold: int | None
    steps: tuple[Step, ...] | None
    points: tuple[Point, ...] | None


@dataclass(frozen=True)
class RunData:
    """A run folder as read.

    Attributes:
        path: the folder.
        name: what to call it on the page.
        settings: the text of ``config.yaml``.
        config: the same, parsed.
        manifest: ``manifest.json``.
        origin: the text of ``manifest.json``.
        metric: name of the main metric.
        higher_is_better: its direction.
        rows: scores of all metrics after training.
        before: scores of the untrained encoder, with the degree of supervision that training gave; empty if there are none.
        timings: stage -> seconds.
        parts: folds.
    """

    path: Path
    name: str
    settings: str
    config: Mapping[str, Any]
    manifest: Mapping[str, Any]
    origin: str
    metric: str
    higher_is_better: bool
    rows: tuple[Row, ...]
    before: tuple[Row, ...]
    timings: Mapping[str, float]
    parts: tuple[Part, ...]

    @property
    def symmetric(self) -> bool:
        """Whether sentence pairs were scored, not questions."""
        return self.metric in _OF_PAIRS

    @property
    def variants(self) -> list[str]:
        """Variants that the main metric was scored on."""
        return [v for v in VARIANTS if any(r.variant == v and r.metric == self.metric for r in self.rows)]

    @property
    def seen(self) -> list[str]:
        """Languages with few-shot rows."""
        few = [r for r in self.rows if r.supervision == "few-shot"]
        return sorted({r.query_language for r in few} | ({r.candidate_languages[0] for r in few} if self.symmetric else set()))

    @property
    def algorithm(self) -> str:
        return _shown(_dig(self.manifest, "components", "algo", "name") or _dig(self.config, "algo", "name") or "?")

    @property
    def data(self) -> str:
        return _shown(_dig(self.manifest, "data", "name") or _dig(self.config, "data", "name") or "?")


def read_run(path: Path) -> RunData:
    """Read a run folder.

    Raises:
        DataError: it is no run folder, its run did not finish, or a file is broken; the message names the file, what was found
            and what was expected.
    """
    try:
        return _read_run(path)
    except OSError as error:  # a folder that may not be looked into
        raise DataError(f"{path}: cannot be read: {error.strerror or error}") from error


def _read_run(path: Path) -> RunData:
    if not path.is_dir():
        found = "is a file" if path.exists() else "no such folder"
        raise DataError(f"{path}: {found}; expected a run folder, as metasearch run writes it")
    file = path / "results.json"
    if not file.exists():
        if (path / "config.yaml").exists():
            raise DataError(f"{file}: not there, so this run did not finish; expected the folder of a run that has ended")
        raise DataError(f"{path}: holds neither results.json nor config.yaml; expected a run folder, as metasearch run writes it")
    results = _object(_json(file), str(file))
    _check_schema(results, file)
    metric = _dig(results, "main_score", "metric")
    if not isinstance(metric, str):
        raise DataError(f"{file}: main_score.metric is {_brief(metric)}, expected the name of a metric")
    rows = _rows(results, "scores", file)
    degrees = {_pool(row): row.supervision for row in rows}
    # Before training no language was seen, so these rows all say zero-shot; they are shown beside those after training.
    before = (
        replace(row, supervision=degrees.get(_pool(row), row.supervision)) for row in _rows(results, "baseline_scores", file)
    )
    folds = sorted({row.fold for row in rows}, key=lambda fold: -1 if fold is None else fold) or [None]
    origin = _text(path / "manifest.json")
    manifest = _object(_parsed(origin, str(path / "manifest.json")), str(path / "manifest.json"))
    settings = _text(path / "config.yaml")
    try:
        config = parse_yaml(settings, str(path / "config.yaml"))
    except ConfigError as error:
        raise DataError(str(error)) from error
    parts = [_part(path if len(folds) == 1 or fold is None else path / f"fold-{fold}", fold) for fold in folds]
    return RunData(
        path,
        path.resolve().name or str(path.resolve()),
        settings,
        config,
        manifest,
        origin,
        metric,
        _higher_is_better(_dig(manifest, "components", "metric", "name")),
        tuple(rows),
        tuple(before),
        _timings(results, file),
        tuple(parts),
    )


def _text(file: Path) -> str:
    try:
        return file.read_bytes().decode("utf-8", errors="surrogatepass")
    except FileNotFoundError as error:
        raise DataError(f"{file}: not there; expected the folder of a run that has ended") from error
    except UnicodeDecodeError as error:
        raise DataError(f"{file}: not UTF-8: {error.reason} at byte {error.start}") from error
    except OSError as error:
        raise DataError(f"{file}: cannot be read: {error.strerror or error}") from error


def _json(file: Path) -> Any:
    return _parsed(_text(file), str(file))


def _parsed(text: str, place: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise DataError(f"{place}: not JSON: {error}") from error


def _object(content: Any, place: str) -> dict[str, Any]:
    if not isinstance(content, dict):
        raise DataError(f"{place}: holds {_brief(content)}, expected an object")
    return content


def _check_schema(content: Mapping[str, Any], file: Path) -> None:
    if content.get("schema") != 1:
        raise DataError(f"{file}: schema is {_brief(content.get('schema'))}, expected 1 (was it written by a newer metasearch?)")


def _take(record: Mapping[str, Any], key: str, place: str, expected: str, fits: Callable[[Any], bool]) -> Any:
    if key not in record or not fits(record[key]):
        found = _brief(record[key]) if key in record else "missing"
        raise DataError(f"{place}.{key} is {found}, expected {expected}")
    return record[key]


def _brief(value: Any) -> str:
    """A value for a message."""
    shown = repr(value)
    return shown if len(shown) <= 80 else shown[:77] + "..."


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_whole(value: Any) -> bool:
    return type(value) is int


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and abs(value) < _LARGEST  # NaN is not less than anything


def _is_place(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 2 and all(map(_is_number, value))


def _rows(results: Mapping[str, Any], key: str, file: Path) -> list[Row]:
    records = results.get(key)
    if not isinstance(records, list):
        raise DataError(f"{file}: {key} is {_brief(records)}, expected a list of rows")
    return [_row(record, f"{file}: {key}[{i}]") for i, record in enumerate(records)]


def _row(record: Any, place: str) -> Row:
    record = _object(record, place)

    def languages(value: Any) -> bool:
        return isinstance(value, list) and bool(value) and all(map(_is_text, value))

    return Row(
        _take(record, "metric", place, "text", _is_text),
        _take(record, "variant", place, " or ".join(VARIANTS), lambda v: v in VARIANTS),
        _take(record, "query_language", place, "text", _is_text),
        tuple(_take(record, "candidate_languages", place, "a list of languages", languages)),
        _take(record, "supervision", place, " or ".join(DEGREES), lambda v: v in DEGREES),
        _take(record, "split", place, "text", _is_text),
        _take(record, "fold", place, "a whole number or null", lambda v: v is None or _is_whole(v)),
        float(_take(record, "value", place, "a number", _is_number)),
        _take(record, "n", place, "a whole number", _is_whole),
    )


def _pool(row: Row) -> tuple[str, str, tuple[str, ...]]:
    return row.variant, row.query_language, row.candidate_languages


def _timings(results: Mapping[str, Any], file: Path) -> dict[str, float]:
    timings = _object(results.get("timings", {}), f"{file}: timings")
    return {stage: float(_take(timings, stage, f"{file}: timings", "seconds", _is_number)) for stage in timings}


def _part(folder: Path, fold: int | None) -> Part:
    log, places = folder / "log.jsonl", folder / "map.json"
    return Part(fold, _steps(log) if log.exists() else None, _points(places) if places.exists() else None)


def _steps(file: Path) -> tuple[Step, ...]:
    found: dict[int, Step] = {}  # a training that was taken up again logs some steps twice; the later record counts
    for number, line in enumerate(_text(file).split("\n"), 1):  # not splitlines: a text may hold what Unicode takes for one
        if not line.strip():
            continue
        place = f"{file}, line {number}"
        record = _object(_parsed(line, place), place)
        step = _take(record, "step", place, "a whole number", lambda v: _is_whole(v) and abs(v) < _LARGEST)
        phase = _take(record, "phase", place, "text", _is_text)
        loss = _take(record, "loss", place, "a number", lambda v: type(v) in (int, float))
        found[step] = Step(step, phase, _drawable(loss), _drawable(record.get("dev")))
    return tuple(found[step] for step in sorted(found))


def _drawable(value: Any) -> float | None:
    return float(value) if _is_number(value) else None


def _points(file: Path) -> tuple[Point, ...]:
    content = _object(_json(file), str(file))
    _check_schema(content, file)
    records = content.get("points")
    if not isinstance(records, list):
        raise DataError(f"{file}: points is {_brief(records)}, expected a list of points")
    return tuple(_point(record, f"{file}: points[{i}]") for i, record in enumerate(records))


def _point(record: Any, place: str) -> Point:
    record = _object(record, place)
    before = _take(record, "before", place, "two numbers or null", lambda v: v is None or _is_place(v))
    after = _take(record, "after", place, "two numbers", _is_place)
    return Point(
        _take(record, "language", place, "text", _is_text),
        _take(record, "side", place, " or ".join(SIDES), lambda v: v in SIDES),
        _take(record, "text", place, "text", _is_text),
        _take(record, "pair", place, "text", _is_text),
        None if before is None else (float(before[0]), float(before[1])),
        (float(after[0]), float(after[1])),
    )


def _higher_is_better(metric: Any) -> bool:
    from metasearch.registry import registry

    try:
        return bool(registry.find("metric", metric).load().higher_is_better) if isinstance(metric, str) else True
    except MetasearchError:  # a plugin that is not installed here
        return True


def _dig(content: Any, *keys: str) -> Any:
    """What lies under the keys, None if there is nothing."""
    for key in keys:
        content = content.get(key) if isinstance(content, dict) else None
    return content


def _shown(value: Any) -> str:
    """A plain value for people to read."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value)


# -- colours -------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Shade:
    """A cell's background and the text colour that can be read on it, as ``#rrggbb``."""

    background: str
    text: str


# From low to high; blue, so that no kind of colour blindness loses it. In the dark, low is dark and high is bright.
_LOW_TO_HIGH = {"light": ("#f4f8fc", "#a9cde9", "#3a82bd", "#0b3c6f"), "dark": ("#18222d", "#1d4c77", "#4a97d0", "#d5ebfc")}
# From worse over unchanged to better; orange and blue are told apart by everybody.
_WORSE_TO_BETTER = {
    "light": ("#a84a00", "#f0a85c", "#f6f6f4", "#7db8e0", "#125a9c"),
    "dark": ("#ffb163", "#8f4d10", "#20252c", "#1c5a8c", "#86c9fa"),
}
LEVELS = 13  # odd, so that there is a middle
# Okabe and Ito 2008: eight colours that the colour-blind can tell apart (black is white in the dark: see the template).
_PALETTE = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#d55e00", "#56b4e9", "#f0e442", "#000000")


def contrast(first: str, second: str) -> float:
    """Contrast ratio of two ``#rrggbb`` colours, 1 to 21 (WCAG 2.2)."""
    lights = sorted((_luminance(_rgb(first)), _luminance(_rgb(second))))
    return (lights[1] + 0.05) / (lights[0] + 0.05)


def shades(stops: Sequence[str], count: int = LEVELS) -> list[Shade]:
    """So many colours, evenly between the stops, each with black or white text, whichever reads better (at least 4.5 : 1)."""
    found = []
    for i in range(count):
        place = i / (count - 1) * (len(stops) - 1)
        left = min(int(place), len(stops) - 2)
        mix = zip(_rgb(stops[left]), _rgb(stops[left + 1]), strict=True)
        background = "#" + "".join(f"{round(a + (b - a) * (place - left)):02x}" for a, b in mix)
        found.append(Shade(background, max(("#000000", "#ffffff"), key=lambda text: contrast(text, background))))
    return found


def _rgb(colour: str) -> tuple[int, int, int]:
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)


def _luminance(rgb: tuple[int, int, int]) -> float:
    linear = [c / 3294.6 if c <= 10 else ((c / 255 + 0.055) / 1.055) ** 2.4 for c in rgb]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


# -- scores --------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Change:
    """A difference x 100 as shown, and whether it is ``"better"``, ``"worse"`` or the ``"same"``."""

    shown: str
    verdict: str


@dataclass(frozen=True)
class Cell:
    """A score before (None: not known) and after training, as shown."""

    before: str | None
    after: str
    change: Change | None


@dataclass(frozen=True)
class Line:
    """A line of a score table: a language, a track or a mean."""

    title: str
    is_mean: bool
    cells: tuple[Cell, ...]


@dataclass(frozen=True)
class Group:
    """Lines that belong together: ``"few-shot"``, ``"zero-shot"`` or ``"all"``."""

    title: str
    lines: tuple[Line, ...]


@dataclass(frozen=True)
class ScoreTable:
    """Scores of one metric.

    Attributes:
        metric: its name.
        rows_are: what a line is.
        columns: what is scored; every column is before, after and change if ``both``.
        both: whether there are scores before training.
        groups: few-shot, zero-shot, all.
    """

    metric: str
    rows_are: str
    columns: tuple[str, ...]
    both: bool
    groups: tuple[Group, ...]


@dataclass(frozen=True)
class Tile:
    """A variant's mean, large."""

    variant: str
    cell: Cell


def score_table(run: RunData, metric: str) -> ScoreTable:
    """Scores by language of the question, or by track for sentence pairs; means over folds with standard deviation."""
    after = [r for r in run.rows if r.metric == metric]
    before = [r for r in run.before if r.metric == metric]
    variants = [v for v in VARIANTS if any(r.variant == v for r in after)]
    degrees = [d for d in DEGREES if any(r.supervision == d for r in after)]

    def line(title: str, keep: Callable[[Row], bool], columns: Sequence[str], is_mean: bool = False) -> Line:
        new, old = [r for r in after if keep(r)], [r for r in before if keep(r)]
        summaries = [(summarise(new, metric, v), summarise(old, metric, v)) for v in columns]
        return Line(title, is_mean, tuple(_cell(*both, run.higher_is_better, bool(before)) for both in summaries))

    def means(title: str, keep: Callable[[Row], bool]) -> list[Line]:
        if not run.symmetric:
            return [line(title, keep, variants, is_mean=True)]
        return [
            line(f"{title}, {v}", keep, (v,), is_mean=True) for v in variants if any(r.variant == v and keep(r) for r in after)
        ]

    def lines(degree: str) -> list[Line]:
        if run.symmetric:
            tracks = {_pool(r) for r in after if r.supervision == degree}
            return [line(_track(t), _of(t), (t[0],)) for t in sorted(tracks, key=lambda t: (VARIANTS.index(t[0]), t))]
        languages = {r.query_language for r in after if (r.query_language in run.seen) == (degree == "few-shot")}
        return [line(language, _where(query_language=language), variants) for language in sorted(languages)]

    groups = [Group("all", tuple(means("mean", lambda row: True)))]
    for degree in reversed(degrees):
        summed = means(f"mean, {degree}", _where(supervision=degree)) if len(degrees) > 1 else []
        groups.insert(0, Group(degree, (*lines(degree), *summed)))
    columns = (metric,) if run.symmetric else tuple(variants)
    return ScoreTable(metric, "track" if run.symmetric else "questions in", columns, bool(before), tuple(groups))


def _where(**wanted: object) -> Callable[[Row], bool]:
    return lambda row: all(getattr(row, name) == value for name, value in wanted.items())


def _of(pool: tuple[str, str, tuple[str, ...]]) -> Callable[[Row], bool]:
    return lambda row: _pool(row) == pool


def _track(pool: tuple[str, str, tuple[str, ...]]) -> str:
    return f"{pool[1]} \u2013 {', '.join(pool[2])}"


def _cell(after: Summary, before: Summary, higher_is_better: bool, both: bool) -> Cell:
    if not both:
        return Cell(None, _score(after), None)
    return Cell(_score(before), _score(after), change(after.mean - before.mean, higher_is_better))


def _score(summary: Summary) -> str:
    return summary.shown().replace("-", _MINUS) if summary.folds else _NOTHING


def _hundredfold(value: float, form: str = ".1f") -> str:
    return format(100 * value, form).replace("-", _MINUS)


def change(difference: float, higher_is_better: bool = True) -> Change | None:
    """A difference as shown; None if it is not a number.

    Example:
        >>> change(-0.0312)
        Change(shown='−3.1', verdict='worse')
    """
    if math.isnan(difference):
        return None
    points = round(100 * difference, 1)
    if points == 0:
        return Change("0.0", "same")
    return Change(_hundredfold(difference, "+.1f"), "better" if (points > 0) == higher_is_better else "worse")


def tiles(run: RunData) -> list[Tile]:
    """The mean of each variant in the main metric."""
    found = []
    for variant in run.variants:
        after, before = (summarise(rows, run.metric, variant) for rows in (run.rows, run.before))
        found.append(Tile(variant, _cell(after, before, run.higher_is_better, bool(before.folds))))
    return found


# -- language pairs ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class HeatCell:
    """A cell of a heat map: its text, its colour 0 to 12, and what a pointer is told. ``level`` -1: nothing was scored."""

    text: str
    level: int
    about: str


@dataclass(frozen=True)
class HeatPanel:
    """A heat map.

    Attributes:
        title: ``"before training"``, ...
        kind: ``"heat"`` (low to high) or ``"diff"`` (worse to better).
        columns: languages of the candidates.
        rows: (language of the questions, its cells).
        low, high: what the ends of the colour scale stand for, as shown.
    """

    title: str
    kind: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, tuple[HeatCell, ...]], ...]
    low: str
    high: str


def heat_panels(run: RunData) -> list[HeatPanel]:
    """The main metric by language of question and candidates: before, after, change. Empty without bi and mono rows."""
    after, before = (_by_pair(rows, run.metric) for rows in (run.rows, run.before))
    before = {pair: found for pair, found in before.items() if pair in after}
    if not after:
        return []
    seen = run.seen

    def ordered(languages: Iterable[str]) -> tuple[str, ...]:
        return tuple(sorted(set(languages), key=lambda x: (x not in seen, x)))

    rows, columns = ordered(pair[0] for pair in after), ordered(pair[1] for pair in after)
    means = [s.mean for table in (after, before) for s, _ in table.values()]
    low, high = min(means), max(max(means), min(means) + 0.02)  # a spread below 2 points is not worth all colours

    def panel(title: str, kind: str, cells: Mapping[tuple[str, str], HeatCell], ends: tuple[float, float]) -> HeatPanel:
        nothing = HeatCell("", -1, "not scored")
        body = tuple((x, tuple(cells.get((x, y), nothing) for y in columns)) for x in rows)
        signed = "+" if kind == "diff" else ""
        shown = [_hundredfold(end, f"{signed}.1f") for end in ends]
        return HeatPanel(title, kind, columns, body, shown[0], shown[1])

    def scores(title: str, table: Mapping[tuple[str, str], tuple[Summary, Row]]) -> HeatPanel:
        cells = {}
        for pair, (summary, row) in table.items():
            level = round((summary.mean - low) / (high - low) * (LEVELS - 1))
            cells[pair] = HeatCell(_hundredfold(summary.mean), level, _about(run, row, f"{_score(summary)} {run.metric} x 100"))
        return panel(title, "heat", cells, (low, high))

    found = [scores("before training", before)] if before else []
    found.append(scores("after training" if before else "", after))
    if before:
        differences = {pair: after[pair][0].mean - before[pair][0].mean for pair in before}
        most = max(0.02, *map(abs, differences.values()))
        cells = {}
        for pair, difference in differences.items():
            goodness = difference if run.higher_is_better else -difference
            level = round((goodness / most + 1) / 2 * (LEVELS - 1))
            told = change(difference, run.higher_is_better) or Change("", "same")
            cells[pair] = HeatCell(told.shown, level, _about(run, after[pair][1], f"{told.shown} points, {told.verdict}"))
        found.append(panel("change", "diff", cells, (-most, most) if run.higher_is_better else (most, -most)))
    return found


def _by_pair(rows: Sequence[Row], metric: str) -> dict[tuple[str, str], tuple[Summary, Row]]:
    """(question language, candidate language) -> mean over folds, and the first of its rows."""
    groups: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        if row.metric == metric and row.variant != "multi":
            groups.setdefault((row.query_language, row.candidate_languages[0]), []).append(row)
    return {pair: (summarise(group, metric, group[0].variant), group[0]) for pair, group in groups.items()}


def _about(run: RunData, row: Row, value: str) -> str:
    sides = ("first sentence", "second sentence") if run.symmetric else ("questions", "candidates")
    return f"{sides[0]} in {row.query_language}, {sides[1]} in {row.candidate_languages[0]}: {value} ({row.supervision})"


# -- drawings ------------------------------------------------------------------------------------------------------------

_WIDTH, _HEIGHT = 360.0, 220.0
_LEFT, _RIGHT, _TOP, _BOTTOM = 40.0, 10.0, 10.0, 34.0
_MOST_DRAWN = 300  # points of a line: more than that are closer than a pixel
_SMOOTH_FROM = 30  # steps: above, single meta-batches are noise and a running mean is drawn over them


@dataclass(frozen=True)
class Tick:
    """A place on an axis, in the units of the drawing, and its label."""

    place: str
    label: str


@dataclass(frozen=True)
class Trace:
    """A line: its colour 0..., whether it is faint, its points as SVG wants them, and those to mark: (x, y)."""

    colour: int
    faint: bool
    points: str
    dots: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Chart:
    """A line chart of steps.

    Attributes:
        title: what is drawn.
        description: the same in a sentence, with figures, for those who do not see it.
        x_ticks, y_ticks: ticks.
        traces: lines, the faint ones first.
        legend: (colour, label).
    """

    title: str
    description: str
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]
    traces: tuple[Trace, ...]
    legend: tuple[tuple[int, str], ...]


class Scale:
    """Maps values to places in a drawing.

    Args:
        values: what has to fit in.
        start, end: places of the ends.
        least: values span at least this, so that a small difference does not look large.
    """

    def __init__(self, values: Iterable[float], start: float, end: float, least: float = 0.0) -> None:
        values = list(values)
        self.low, self.high = min(values), max(values)
        if self.high - self.low <= 1e-9 * max(abs(self.low), abs(self.high)):
            least = max(least, abs(self.low) / 5 or 1.0)
        room = max(0.0, least - (self.high - self.low)) / 2
        self.low, self.high = self.low - room, self.high + room
        self.start, self.end = start, end

    def __call__(self, value: float) -> float:
        return self.start + (value - self.low) / (self.high - self.low) * (self.end - self.start)

    def ticks(self, most: int, whole: bool = False) -> tuple[Tick, ...]:
        """At most so many round values within the ends; with ``whole`` only whole numbers."""
        step = 10.0 ** math.floor(math.log10((self.high - self.low) / most))
        while (self.high - self.low) / step > most or (whole and step < 1):
            # 1, 2, 5, 10, 20, ...
            step *= 2.5 if f"{step:.0e}"[0] == "2" else 2.0
        digits = max(0, -math.floor(math.log10(step) + 1e-9))
        form = f".{digits}f" if digits <= 4 and step < 1e6 else ".3g"
        numbers = range(math.ceil(self.low / step - 1e-9), math.floor(self.high / step + 1e-9) + 1)
        return tuple(Tick(_place(self(i * step)), f"{i * step:{form}}".replace("-", _MINUS)) for i in numbers)


def _place(value: float) -> str:
    return f"{value:.1f}"


def loss_chart(parts: Sequence[Part]) -> Chart | None:
    """Loss by meta-batch, a line per phase; thin lines per fold, or a running mean where there are many. None without losses."""
    phases = dict.fromkeys(s.phase for part in parts for s in part.steps or () if s.loss is not None)
    series = {
        phase: [[(s.step, s.loss) for s in part.steps or () if s.phase == phase and s.loss is not None] for part in parts]
        for phase in sorted(phases, key=lambda p: (p not in ("train", "valid"), p))
    }
    if not series:
        return None
    said = []
    for phase, lines in series.items():
        mean = _mean_line(lines)
        said.append(f"{phase}: from {mean[0][1]:.4g} at step {mean[0][0]} to {mean[-1][1]:.4g} at step {mean[-1][0]}")
    return _chart("loss", f"Training loss by meta-batch, mean over folds. {'; '.join(said)}.", series)


def _dev_lines(parts: Sequence[Part]) -> list[list[tuple[int, float]]]:
    return [[(s.step, 100 * s.dev) for s in part.steps or () if s.dev is not None] for part in parts]


def dev_once(parts: Sequence[Part], metric: str) -> str:
    """A sentence instead of a curve where no fold scored dev more than once; empty if one did, or none at all."""
    lines = _dev_lines(parts)
    if max(map(len, lines)) != 1:
        return ""
    scores = [line[0][1] for line in lines if line]
    return f"Dev was scored once: {metric} x 100 = {', '.join(f'{score:.1f}' for score in scores)}."


def dev_chart(parts: Sequence[Part], metric: str) -> Chart | None:
    """The dev score x 100 by meta-batch. None if no fold scored dev twice."""
    lines = _dev_lines(parts)
    if max(map(len, lines)) < 2:
        return None
    mean = _mean_line(lines)
    best = max(mean, key=lambda point: point[1])
    told = f"highest {best[1]:.1f} at step {best[0]}, last {mean[-1][1]:.1f} at step {mean[-1][0]}"
    return _chart(f"dev {metric} x 100", f"Dev score by meta-batch, mean over folds: {told}.", {"dev": lines})


def _chart(title: str, description: str, series: Mapping[str, Sequence[Sequence[tuple[int, float]]]]) -> Chart:
    everything = [point for lines in series.values() for line in lines for point in line]
    across = Scale((x for x, _ in everything), _LEFT + 6, _WIDTH - _RIGHT - 6)
    up = Scale((y for _, y in everything), _HEIGHT - _BOTTOM - 8, _TOP + 6)
    faint, bold = [], []
    for colour, lines in enumerate(series.values()):
        drawn = [line for line in lines if line]
        mean = _mean_line(drawn)
        smoothed = _running_mean(mean, len(mean) // 12) if len(mean) > _SMOOTH_FROM else mean
        if len(drawn) > 1 or smoothed is not mean:
            faint += [_trace(line, colour, True, across, up) for line in drawn]
        bold.append(_trace(smoothed, colour, False, across, up))
    whole = max(x for x, _ in everything) - min(x for x, _ in everything) >= 1
    x_ticks = across.ticks(6, whole=True) if whole else (Tick(_place(across(everything[0][0])), str(everything[0][0])),)
    legend = tuple(enumerate(series)) if len(series) > 1 else ()
    return Chart(title, description, x_ticks, up.ticks(6), tuple(faint + bold), legend)


def _trace(line: Sequence[tuple[float, float]], colour: int, faint: bool, across: Scale, up: Scale) -> Trace:
    places = [(_place(across(x)), _place(up(y))) for x, y in _thinned(line)]
    dots = tuple(places) if not faint and len(places) <= _SMOOTH_FROM else ()
    return Trace(colour, faint, " ".join(f"{x},{y}" for x, y in places), dots)


def _mean_line(lines: Sequence[Sequence[tuple[int, float]]]) -> list[tuple[int, float]]:
    """The mean of several lines at each step that all of them have; where there is none such, at each step of any."""
    at: dict[int, list[float]] = {}
    lines = [line for line in lines if line]
    for line in lines:
        for x, y in line:
            at.setdefault(x, []).append(y)
    shared = {x for x, values in at.items() if len(values) == len(lines)} or set(at)
    return [(x, statistics.fmean(at[x])) for x in sorted(shared)]


def _running_mean(line: Sequence[tuple[int, float]], radius: int) -> list[tuple[int, float]]:
    """Each value's mean with so many neighbours on either side, as far as there are."""
    sums = [0.0]
    for _, y in line:
        sums.append(sums[-1] + y)
    found = []
    for i, (x, _) in enumerate(line):
        first, end = max(0, i - radius), min(len(line), i + radius + 1)
        found.append((x, (sums[end] - sums[first]) / (end - first)))
    return found


def _thinned(line: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Means of neighbours, so that at most ``_MOST_DRAWN`` points are left."""
    size = math.ceil(len(line) / _MOST_DRAWN)
    if size <= 1:
        return list(line)
    pieces = [line[i : i + size] for i in range(0, len(line), size)]
    return [(statistics.fmean(x for x, _ in piece), statistics.fmean(y for _, y in piece)) for piece in pieces]


# -- map -----------------------------------------------------------------------------------------------------------------

_MAP_WIDTH, _MAP_HEIGHT, _MAP_EDGE = 360.0, 300.0, 10.0
_LONGEST_TOOLTIP = 200


@dataclass(frozen=True)
class Mark:
    """A point of the map: its place, language number, shape (else a circle) and tooltip."""

    x: str
    y: str
    language: int
    triangle: bool
    about: str


@dataclass(frozen=True)
class MapPanel:
    """A map.

    Attributes:
        title: ``"before training"`` or ``"after training"``.
        marks: its points.
        threads: (language number, SVG path) of lines from each text to the middle of its pair.
        spread: mean distance of a text to the middle of its pair, as a share of its mean distance to the middle of all; None if
            no pair has two texts.
    """

    title: str
    marks: tuple[Mark, ...]
    threads: tuple[tuple[int, str], ...]
    spread: float | None


@dataclass(frozen=True)
class MapView:
    """The maps of a fold.

    Attributes:
        fold: None without a split.
        languages: their numbers are their places here.
        sides: which kinds of text there are.
        panels: before (if known) and after training.
        texts: (language, side, pair, text) of all points.
    """

    fold: int | None
    languages: tuple[str, ...]
    sides: tuple[str, ...]
    panels: tuple[MapPanel, ...]
    texts: tuple[Point, ...]


def map_view(part: Part) -> MapView | None:
    """Draw the map of a fold. None if there is no map, no point, or all points coincide (an encoder without embeddings)."""
    points = part.points or ()
    languages = tuple(sorted({p.language for p in points}))
    panels = []
    for title, places in (
        ("before training", [(p, p.before) for p in points if p.before is not None]),
        ("after training", [(p, p.after) for p in points]),
    ):
        if len({place for _, place in places}) > 1:
            panels.append(_map_panel(title, places, languages))
    if not panels or panels[-1].title != "after training":
        return None
    if len(panels) == 1:
        panels = [replace(panels[0], title="")]
    sides = tuple(side for side in SIDES if any(p.side == side for p in points))
    return MapView(part.fold, languages, sides, tuple(panels), points)


def _map_panel(title: str, places: Sequence[tuple[Point, tuple[float, float]]], languages: Sequence[str]) -> MapPanel:
    xs, ys = [place[0] for _, place in places], [place[1] for _, place in places]
    # The same scale on both axes: distances are what the map is about.
    unit = max((max(xs) - min(xs)) / (_MAP_WIDTH - 2 * _MAP_EDGE), (max(ys) - min(ys)) / (_MAP_HEIGHT - 2 * _MAP_EDGE))
    middle = (min(xs) + max(xs)) / 2, (min(ys) + max(ys)) / 2

    def placed(place: tuple[float, float]) -> tuple[str, str]:
        x, y = (place[0] - middle[0]) / unit, (place[1] - middle[1]) / unit
        return _place(_MAP_WIDTH / 2 + x), _place(_MAP_HEIGHT / 2 - y)

    number = {language: i for i, language in enumerate(languages)}
    pairs: dict[str, list[tuple[Point, tuple[float, float]]]] = {}
    for point, place in places:
        pairs.setdefault(point.pair, []).append((point, place))
    lines: dict[int, list[str]] = {}
    inside: list[float] = []
    for members in pairs.values():
        if len(members) > 1:
            centre = statistics.fmean(p[0] for _, p in members), statistics.fmean(p[1] for _, p in members)
            for point, place in members:
                inside.append(math.dist(place, centre))
                path = "M{} {}L{} {}".format(*placed(place), *placed(centre))
                lines.setdefault(number[point.language], []).append(path)
    whole = statistics.fmean(xs), statistics.fmean(ys)
    outside = statistics.fmean(math.dist(place, whole) for _, place in places)
    marks = []
    two_sides = len({point.side for point, _ in places}) > 1
    for point, place in sorted(places, key=lambda found: -SIDES.index(found[0].side)):  # questions on top
        about = f"{point.language}, {point.side}, {point.pair}: {_cut(point.text, _LONGEST_TOOLTIP)}"
        marks.append(Mark(*placed(place), number[point.language], two_sides and point.side == "query", about))
    threads = tuple((language, "".join(paths)) for language, paths in sorted(lines.items()))
    return MapPanel(title, tuple(marks), threads, statistics.fmean(inside) / outside if inside else None)


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"


# -- origins -------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Fact:
    """A line of the manifest as shown; ``code``: to be read letter by letter."""

    name: str
    value: str
    code: bool = False


@dataclass(frozen=True)
class Stage:
    """Time that a stage took, and its share of all in percent."""

    name: str
    shown: str
    percent: str


def facts(run: RunData) -> list[Fact]:
    """What the run was made with, as far as the manifest says."""
    manifest = run.manifest

    def joined(*keys: str, form: str = "{} {}") -> str | None:
        found = _dig(manifest, *keys)
        if not isinstance(found, dict):
            return None
        return ", ".join(form.format(name, _shown(value)) for name, value in found.items() if value is not None) or None

    gpu = _dig(manifest, "hardware", "gpu")
    device = [_dig(manifest, "hardware", "device"), _dig(gpu, "name"), _measure(_dig(gpu, "memory_gib"), "GiB")]
    processor = [_dig(manifest, "hardware", key) for key in ("processor", "platform")]
    threads = [_measure(_dig(manifest, "hardware", key), key) for key in ("cores", "threads")]
    commit = _dig(manifest, "git", "commit")
    changed = " with changes" if _dig(manifest, "git", "changed") else ""
    encoder = [_dig(manifest, "encoder", "model"), _measure(_dig(manifest, "encoder", "parameters"), "parameters")]
    encoder.append(_measure(_dig(manifest, "encoder", "dimension"), "dimensions"))
    seen = _dig(manifest, "languages_seen")
    table = [
        Fact("command", _shown(_dig(manifest, "command") or ""), code=True),
        Fact("started", _shown(_dig(manifest, "started") or "")),
        Fact("seed", _shown(manifest.get("seed", ""))),
        Fact("data", " · ".join([run.data, *_counts(manifest)])),
        Fact("data fingerprint", _shown(_dig(manifest, "data", "fingerprint") or ""), code=True),
        Fact("encoder", " · ".join(_shown(x) for x in encoder if x is not None)),
        Fact("trained on", (", ".join(map(_shown, seen)) or "nothing") if isinstance(seen, list) else ""),
        Fact("device", " · ".join(_shown(x) for x in device if x is not None)),
        Fact("machine", " · ".join(_shown(x) for x in [*processor, *threads] if x is not None)),
        Fact("versions", ", ".join(x for x in (_python(manifest), joined("packages")) if x)),
        Fact("git", f"{_shown(commit)}{changed}" if commit else "", code=True),
    ]
    return [fact for fact in table if fact.value]


def _python(manifest: Mapping[str, Any]) -> str | None:
    version = _dig(dict(manifest), "python")
    return f"Python {_shown(version)}" if version else None


def _measure(value: Any, unit: str) -> str | None:
    return f"{value:,} {unit}" if _is_number(value) else None


def _counts(manifest: Mapping[str, Any]) -> list[str]:
    """How much data there was, all languages together."""
    languages = _dig(dict(manifest), "data", "languages")
    if not isinstance(languages, dict):
        return []
    sums: dict[str, int] = {}
    for counts in languages.values():
        for what, count in counts.items() if isinstance(counts, dict) else ():
            if _is_whole(count):
                sums[what] = sums.get(what, 0) + count
    return [f"{len(languages)} languages", *(_measure(count, what) or "" for what, count in sums.items())]


def stages(timings: Mapping[str, float]) -> list[Stage]:
    """Time per stage."""
    total = sum(timings.values())
    return [
        Stage(name.replace("_", " "), _duration(seconds), f"{100 * seconds / total:.1f}" if total > 0 else "0")
        for name, seconds in timings.items()
    ]


def _duration(seconds: float) -> str:
    """Seconds for people.

    Example:
        >>> [_duration(s) for s in (0.04, 4.2, 95, 3700)]
        ['0.04 s', '4.2 s', '1 min 35 s', '1 h 1 min']
    """
    if seconds < 1:
        return f"{seconds:.2g} s"
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


# -- comparison ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class ComparedCell:
    """A run's mean in one column as shown, and whether it is the best."""

    shown: str
    best: bool


@dataclass(frozen=True)
class ComparedLine:
    """A run in the comparison; ``number`` is its place on the page, from 1."""

    number: int
    run: RunData
    cells: tuple[ComparedCell, ...]


@dataclass(frozen=True)
class Dot:
    """A run in a dot plot: its name and number, mean, ends of mean ± std (None with one fold), and its folds."""

    name: str
    number: int
    y: float
    mean: str
    ends: tuple[str, str] | None
    folds: tuple[str, ...]


@dataclass(frozen=True)
class DotPlot:
    """The runs' means of one variant.

    Attributes:
        variant: which.
        description: the same in words.
        height: of the drawing.
        ticks: of the axis.
        dots: runs from top to bottom.
    """

    variant: str
    description: str
    height: float
    ticks: tuple[Tick, ...]
    dots: tuple[Dot, ...]


@dataclass(frozen=True)
class Comparison:
    """Runs with the same main metric.

    Attributes:
        metric: their metric.
        columns: (degree of supervision or "all languages", variants).
        lines: runs.
        plots: one per variant.
        notes: why they may not be comparable.
    """

    metric: str
    columns: tuple[tuple[str, tuple[str, ...]], ...]
    lines: tuple[ComparedLine, ...]
    plots: tuple[DotPlot, ...]
    notes: tuple[str, ...]


def comparisons(runs: Sequence[RunData]) -> list[Comparison]:
    """Runs side by side, a table for each main metric. Empty with one run."""
    groups: dict[str, list[tuple[int, RunData]]] = {}
    for number, run in enumerate(runs, 1):
        groups.setdefault(run.metric, []).append((number, run))
    return [_compared(metric, group) for metric, group in groups.items()] if len(runs) > 1 else []


def _compared(metric: str, runs: Sequence[tuple[int, RunData]]) -> Comparison:
    variants = [v for v in VARIANTS if any(v in run.variants for _, run in runs)]
    notes = []
    for what, values in (
        ("data (fingerprints)", {_shown(_dig(run.manifest, "data", "fingerprint")) for _, run in runs}),
        ("folds or splits", {tuple(sorted({(str(r.fold), r.split) for r in run.rows})) for _, run in runs}),
        ("language pairs", {frozenset(_pool(r) for r in run.rows if r.metric == metric) for _, run in runs}),
    ):
        if len(values) > 1:
            notes.append(f"These runs were scored on different {what}, so their means are not of the same thing.")
    columns: list[tuple[str, tuple[str, ...], str | None]] = [("all languages", tuple(variants), None)]
    degrees = {frozenset((_pool(r), r.supervision) for r in run.rows if r.metric == metric) for _, run in runs}
    if len(degrees) == 1:
        columns += [
            (degree, kept, degree)
            for degree in DEGREES
            if (kept := tuple(v for v in variants if any(d == degree and pool[0] == v for pool, d in next(iter(degrees)))))
        ]
        columns = columns if len(columns) > 2 else columns[:1]
    else:
        notes.append("These runs were trained on different languages, so few-shot and zero-shot means are not compared.")
    cells: list[list[ComparedCell]] = [[] for _ in runs]
    for _, kept, degree in columns:
        for variant in kept:
            summaries = [summarise(run.rows, metric, variant, degree) for _, run in runs]
            for i, best in enumerate(_best([s.mean for s in summaries], runs[0][1].higher_is_better)):
                cells[i].append(ComparedCell(_score(summaries[i]), best))
    lines = [ComparedLine(number, run, tuple(cells[i])) for i, (number, run) in enumerate(runs)]
    shown = tuple((title, kept) for title, kept, _ in columns)
    return Comparison(metric, shown, tuple(lines), tuple(_dot_plot(metric, v, runs) for v in variants), tuple(notes))


def _best(values: Sequence[float], higher_is_better: bool) -> list[bool]:
    """Which values are best; none if there are not two to choose from, or all are equal."""
    known = [v for v in values if not math.isnan(v)]
    if len(known) < 2 or max(known) - min(known) < 1e-9:
        return [False] * len(values)
    target = max(known) if higher_is_better else min(known)
    return [abs(v - target) < 1e-9 for v in values]


def _dot_plot(metric: str, variant: str, runs: Sequence[tuple[int, RunData]]) -> DotPlot:
    summaries = [(number, run, summarise(run.rows, metric, variant)) for number, run in runs]
    summaries = [found for found in summaries if found[2].folds]
    values = [v for _, _, s in summaries for v in (*s.folds, s.mean - (s.std or 0), s.mean + (s.std or 0))]
    across = Scale((100 * v for v in values), 14, _WIDTH - 14, least=2.0)
    dots, said = [], []
    for i, (number, run, summary) in enumerate(summaries):
        mean, std = 100 * summary.mean, None if summary.std is None else 100 * summary.std
        dots.append(
            Dot(
                _cut(run.name, 44),
                number,
                28.0 + 36 * i,
                _place(across(mean)),
                None if std is None else (_place(across(mean - std)), _place(across(mean + std))),
                tuple(_place(across(100 * v)) for v in summary.folds) if len(summary.folds) > 1 else (),
            )
        )
        said.append(f"{run.name}: {_score(summary)}")
    height = 36.0 * len(summaries) + 26
    return DotPlot(variant, f"Mean {metric} x 100, {variant}. {'; '.join(said)}.", height, across.ticks(6), tuple(dots))


# -- page ----------------------------------------------------------------------------------------------------------------


def render(runs: Sequence[RunData]) -> str:
    """The page about these runs, as HTML: what is not allowed in HTML or UTF-8 is replaced by U+FFFD."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        autoescape=True,
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.tests["language_tag"] = lambda text: bool(_LANGUAGE_TAG.fullmatch(text))
    runs = _named(runs)
    views = [_view(number, run) for number, run in enumerate(runs, 1)]
    palettes = {mode: {"heat": shades(_LOW_TO_HIGH[mode]), "diff": shades(_WORSE_TO_BETTER[mode])} for mode in ("light", "dark")}
    page = environment.get_template("report.html.j2").render(
        views=views,
        comparisons=comparisons(runs),
        palettes=palettes,
        colours=_PALETTE,
        languages=max((len(m.languages) for view in views for m in view["maps"]), default=0),
        chart={"width": _WIDTH, "height": _HEIGHT, "left": _LEFT, "right": _RIGHT, "top": _TOP, "bottom": _BOTTOM},
        map_width=_MAP_WIDTH,
        map_height=_MAP_HEIGHT,
        version=_shown(_version()),
    )
    return _FORBIDDEN.sub("\ufffd", page) + "\n"


def _version() -> str:
    from metasearch import __version__

    return __version__


def _named(runs: Sequence[RunData]) -> list[RunData]:
    names = [run.name for run in runs]
    return [run if names.count(run.name) == 1 else replace(run, name=str(run.path)) for run in runs]


def _view(number: int, run: RunData) -> dict[str, Any]:
    """What the template needs of a run."""
    others = sorted({r.metric for r in run.rows} - {run.metric})
    logged = [part for part in run.parts if part.steps is not None]
    maps = [found for part in run.parts if (found := map_view(part))]
    charts = [chart for chart in (loss_chart(run.parts), dev_chart(run.parts, run.metric)) if chart]
    return {
        "id": f"run-{number}",
        "number": number,
        "run": run,
        "mode": _dig(run.config, "mode"),
        "preset": _dig(run.config, "preset"),
        "splits": sorted({r.split for r in run.rows}),
        "folds": [part.fold for part in run.parts],
        "tiles": tiles(run),
        "table": score_table(run, run.metric) if run.variants else None,
        "other_tables": [score_table(run, metric) for metric in others],
        "heat": heat_panels(run),
        "charts": charts,
        "dev_once": dev_once(run.parts, run.metric),
        "steps": max((part.steps[-1].step for part in logged if part.steps), default=0),
        "no_log": not logged,
        "maps": maps,
        "map_missing": all(part.points is None for part in run.parts),
        "facts": facts(run),
        "stages": stages(run.timings),
        "total": _duration(sum(run.timings.values())),
    }


def write_report(folders: Sequence[str | Path], out: str | Path | None = None) -> Path:
    """Write the page about these run folders: what ``metasearch report`` does.

    Args:
        folders: run folders, in the order of the page.
        out: the file to write, replaced if it exists; None: ``report.html`` in the run folder if there is one, else in the
            current folder.

    Returns:
        The file.

    Raises:
        ConfigError: no folder, one twice, or ``out`` is not ``*.html`` or cannot be written.
        DataError: a folder is no run folder, its run did not finish, or a file is broken.
    """
    paths = [expand(str(folder), "run") for folder in folders]
    if not paths:
        raise ConfigError("report: no run given; expected one or more run folders")
    places = [path.resolve() for path in paths]
    for i, place in enumerate(places):
        if place in places[:i]:
            raise ConfigError(f"{folders[i]}: given twice")
    file = expand(str(out), "--out") if out is not None else (paths[0] if len(paths) == 1 else Path()) / "report.html"
    # A run's own files, or anybody's, shall not be replaced by a slip of the keyboard.
    if file.suffix.lower() not in (".html", ".htm"):
        raise ConfigError(f"--out {file}: expected a file name that ends in .html")
    if file.is_dir():
        raise ConfigError(f"--out {file}: is a folder, expected the name of a file")
    page = render([read_run(path) for path in paths])
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        RunFolder(file.parent).write_text(file.name, page)
    except OSError as error:
        with suppress(OSError):
            file.with_name(file.name + ".partial").unlink()
        raise ConfigError(f"--out {file}: cannot be written: {error.strerror or error}") from error
    return file
