"""What a run folder holds, read back and checked: for the comparison of runs, the page and the reproduced tables."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

from metasearch.config.files import parse_yaml
from metasearch.core import expand
from metasearch.errors import ConfigError, DataError, MetasearchError
from metasearch.evaluation import VARIANTS, Row
from metasearch.report.checked_json import (
    as_object,
    dig,
    is_number,
    is_place,
    is_text,
    is_texts,
    is_whole,
    parse_object,
    read_text,
    read_versioned,
    records,
    take,
)

DEGREES = ("few-shot", "zero-shot")
SIDES = ("query", "candidate")

# What log.jsonl says of inner loops: those of a student, too, where there is one.
ADAPTATION = (
    "query_before",
    "query_after",
    "student_before",
    "student_after",
    "move",
    "student_move",
    "second_order_share",
    "student_second_order_share",
)

Pool = tuple[str, str, tuple[str, ...]]  # variant, question language, candidate languages in order of name


@dataclass(frozen=True)
class Run:
    """``results.json`` and ``manifest.json``.

    Attributes:
        path: the folder.
        name: what to call it: the folder's name, or its path where runs of the same name are read together.
        metric: name of the main metric.
        scores: rows of all metrics after training.
        before: rows of the untrained encoder, with the degree of supervision that training gave; empty if there are none.
        timings: stage -> seconds.
        manifest: as it is.
    """

    path: Path
    name: str
    metric: str
    scores: tuple[Row, ...]
    before: tuple[Row, ...]
    timings: Mapping[str, float]
    manifest: Mapping[str, Any]

    @cached_property
    def rows(self) -> tuple[Row, ...]:
        """Scores of the main metric; there are some."""
        return tuple(row for row in self.scores if row.metric == self.metric)

    @property
    def algorithm(self) -> str:
        return str(dig(self.manifest, "components", "algo", "name") or "?")

    @property
    def data(self) -> str:
        return str(dig(self.manifest, "data", "name") or "?")

    @property
    def label(self) -> str:
        """Name and algorithm."""
        return f"{self.name} ({self.algorithm})"

    @property
    def fingerprint(self) -> str | None:
        """Of the data; None if the manifest has none."""
        found = dig(self.manifest, "data", "fingerprint")
        return found if isinstance(found, str) else None

    @property
    def symmetric(self) -> bool:
        """Whether sentence pairs were scored, by track, not questions."""
        return self.metric in ("pearson", "spearman")

    @property
    def variants(self) -> list[str]:
        """Variants that the main metric was scored on."""
        return [v for v in VARIANTS if any(row.variant == v for row in self.rows)]

    @property
    def folds(self) -> list[int | None]:
        """Folds that were scored, in order; [None] without a split."""
        return sorted({row.fold for row in self.rows}, key=lambda fold: -1 if fold is None else fold)

    @property
    def seen(self) -> set[str]:
        """Languages with few-shot rows."""
        few = [row for row in self.scores if row.supervision == "few-shot"]
        return {row.query_language for row in few} | ({row.candidate_languages[0] for row in few} if self.symmetric else set())

    @cached_property
    def direction(self) -> bool | None:
        """Whether higher values of the main metric are better; None if its plugin is not installed here."""
        from metasearch.registry import registry

        try:
            name = dig(self.manifest, "components", "metric", "name")
            return bool(registry.find("metric", str(name)).load().higher_is_better)
        except MetasearchError:
            return None

    @property
    def higher_is_better(self) -> bool:
        """The direction, as most metrics have it where it is not known."""
        return self.direction is not False

    def folder(self, fold: int | None) -> Path:
        """Where the files of a fold are."""
        return self.path if len(self.folds) == 1 else self.path / f"fold-{fold}"


def pool_of(row: Row) -> Pool:
    """What a row was scored on."""
    return row.variant, row.query_language, tuple(sorted(row.candidate_languages))


def run_paths(folders: Sequence[str | Path]) -> list[Path]:
    """Run folders as a user names them.

    Raises:
        ConfigError: one is given twice.
    """
    paths = [expand(str(folder), "run") for folder in folders]
    places = [path.resolve() for path in paths]
    for i, place in enumerate(places):
        if place in places[:i]:
            raise ConfigError(f"{folders[i]}: given twice")
    return paths


def read_runs(paths: Sequence[Path]) -> list[Run]:
    """Read several run folders, as :func:`read_run`; those of the same name are called by their paths."""
    runs = [read_run(path) for path in paths]
    names = [run.name for run in runs]
    return [run if names.count(run.name) == 1 else replace(run, name=str(run.path)) for run in runs]


def read_run(path: Path) -> Run:
    """Read ``results.json`` and ``manifest.json`` of a run folder.

    Raises:
        ConfigError: it is no run folder, or its run did not finish.
        DataError: a file is broken; the message names the file, what was found and what was expected.
    """
    file = path / "results.json"
    try:
        there, finished = path.is_dir(), file.exists()
    except OSError as error:  # a folder that may not be looked into
        raise ConfigError(f"{path}: cannot be read: {error.strerror or error}") from error
    if not there:
        raise ConfigError(f"{path}: no such folder; expected a run folder, as metasearch run writes it")
    if not finished:
        raise ConfigError(f"{path}: holds no results.json; expected the folder of a run that has ended")
    results = read_versioned(file)
    main = as_object(results.get("main_score"), f"{file}: main_score")
    metric = take(main, "metric", f"{file}: main_score", "the name of a metric", is_text)
    scores = tuple(read_row(record, place) for record, place in records(results, "scores", file))
    if not any(row.metric == metric for row in scores):
        raise DataError(f"{file}: no row of scores is of the main metric {metric}")
    degrees = {pool_of(row): row.supervision for row in scores}
    before = (read_row(record, place) for record, place in records(results, "baseline_scores", file))
    timings = as_object(results.get("timings", {}), f"{file}: timings")
    return Run(
        path,
        path.resolve().name or str(path.resolve()),
        metric,
        scores,
        # Before training no language was seen, so these rows all say zero-shot; they are shown beside those after training.
        tuple(replace(row, supervision=degrees.get(pool_of(row), row.supervision)) for row in before),
        {stage: float(take(timings, stage, f"{file}: timings", "seconds", is_number)) for stage in timings},
        read_versioned(path / "manifest.json"),
    )


def read_row(record: Mapping[str, Any], place: str) -> Row:
    """A row of ``scores``; ``place`` names it in messages.

    Raises:
        DataError: a field is missing or of another type.
    """
    return Row(
        take(record, "metric", place, "text", is_text),
        take(record, "variant", place, " or ".join(VARIANTS), lambda v: v in VARIANTS),
        take(record, "query_language", place, "text", is_text),
        tuple(take(record, "candidate_languages", place, "a list of languages", is_texts)),
        take(record, "supervision", place, " or ".join(DEGREES), lambda v: v in DEGREES),
        take(record, "split", place, "text", is_text),
        take(record, "fold", place, "a whole number or null", lambda v: v is None or is_whole(v)),
        float(take(record, "value", place, "a number", is_number)),
        take(record, "n", place, "a whole number", is_whole),
    )


def read_settings(run: Run) -> tuple[str, Mapping[str, Any]]:
    """``config.yaml``: its text, and what it says.

    Raises:
        DataError: it is broken.
    """
    file = run.path / "config.yaml"
    text = read_text(file)
    try:
        return text, parse_yaml(text, str(file))
    except ConfigError as error:
        raise DataError(str(error)) from error


class Step(NamedTuple):
    """One meta-batch of ``log.jsonl``.

    Attributes:
        step: its number, from 1.
        phase: ``"train"`` or ``"valid"``.
        loss: None where it is not finite.
        dev: the dev score after it, 0 to 1; None where dev was not scored.
        adaptation: those of :data:`ADAPTATION` that were logged and are finite.
    """

    step: int
    phase: str
    loss: float | None
    dev: float | None
    adaptation: Mapping[str, float] = MappingProxyType({})


class Point(NamedTuple):
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


def read_steps(folder: Path) -> tuple[Step, ...] | None:
    """``log.jsonl`` of a fold, by step; None if there is none."""
    file = folder / "log.jsonl"
    if not file.exists():
        return None
    found: dict[int, Step] = {}  # a training that was taken up again logs some steps twice; the later record counts
    for number, line in enumerate(read_text(file).split("\n"), 1):  # not splitlines: a text may hold what Unicode takes for one
        if line.strip():
            place = f"{file}, line {number}"
            record = parse_object(line, place)
            step = take(record, "step", place, "a whole number", lambda v: is_whole(v) and is_number(v))
            phase = take(record, "phase", place, "text", is_text)
            loss = take(record, "loss", place, "a number or null", lambda v: v is None or type(v) in (int, float))
            dev = record.get("dev")
            adaptation = {key: float(record[key]) for key in ADAPTATION if is_number(record.get(key))}
            found[step] = Step(step, phase, loss if is_number(loss) else None, dev if is_number(dev) else None, adaptation)
    return tuple(found[step] for step in sorted(found))


def read_points(folder: Path) -> tuple[Point, ...] | None:
    """``map.json`` of a fold; None if there is none."""
    file = folder / "map.json"
    return tuple(_point(*found) for found in records(read_versioned(file), "points", file)) if file.exists() else None


def _point(record: Mapping[str, Any], place: str) -> Point:
    before = take(record, "before", place, "two numbers or null", lambda v: v is None or is_place(v))
    after = take(record, "after", place, "two numbers", is_place)
    return Point(
        take(record, "language", place, "text", is_text),
        take(record, "side", place, " or ".join(SIDES), lambda v: v in SIDES),
        take(record, "text", place, "text", is_text),
        take(record, "pair", place, "text", is_text),
        None if before is None else (float(before[0]), float(before[1])),
        (float(after[0]), float(after[1])),
    )


class Scored(NamedTuple):
    """One line of ``per-query.tsv`` or ``pairs.tsv``.

    Attributes:
        value: the metric of the question, or the predicted cosine of the pair.
        gold: the pair's gold score; NaN for questions.
        fold: where it was scored.
    """

    value: float
    gold: float
    fold: int | None


def read_scored(run: Run) -> dict[tuple[Pool, str], Scored]:
    """Read a run's result of each question in each pool (``per-query.tsv``), or of each sentence pair (``pairs.tsv``).

    Returns:
        (pool, question id) -> result, of all folds.

    Raises:
        FileNotFoundError: a fold lacks the file (older runs have none).
        DataError: a file is broken.
    """
    name, columns = "per-query.tsv", ["variant", "query_language", "candidate_languages", "query", "value"]
    if run.symmetric:
        name, columns = "pairs.tsv", [*columns, "gold"]
    found: dict[tuple[Pool, str], Scored] = {}
    for fold in run.folds:
        file = run.folder(fold) / name
        if not file.exists():
            raise FileNotFoundError(file)
        for place, (variant, language, pool, query, *numbers) in _lines(file, columns):
            value, *gold = [_number(text, place) for text in numbers]
            key = (variant, language, tuple(sorted(pool.split(",")))), query
            if key in found:
                raise DataError(f"{place}: {query!r} of {language} was there before; expected once in a pool")
            found[key] = Scored(value, gold[0] if gold else math.nan, fold)
    return found


def _lines(file: Path, columns: list[str]) -> Iterator[tuple[str, list[str]]]:
    lines = read_text(file).split("\n")  # not splitlines: an id may hold a character that Unicode takes for a line's end
    if lines[0].split("\t") != columns:
        raise DataError(f"{file}, line 1: {lines[0][:100]!r}, expected the header {' '.join(columns)} (tabs between)")
    for number, line in enumerate(lines[1:], 2):
        cells, place = line.split("\t"), f"{file}, line {number}"
        if len(cells) == len(columns):
            yield place, cells
        elif line or number < len(lines):
            raise DataError(f"{place}: {len(cells)} fields, expected {len(columns)} with tabs between")


def _number(text: str, place: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise DataError(f"{place}: {text!r}, expected a number")
    return value
