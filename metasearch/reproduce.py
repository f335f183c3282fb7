"""The paper's tables and figures, one command each: the runs, the table and the plot."""

from __future__ import annotations

import hashlib
import json
import math
import statistics
import string
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from metasearch.config import compose
from metasearch.config.files import parse_yaml
from metasearch.core.ranks import ranks
from metasearch.errors import ConfigError, ModelError, did_you_mean
from metasearch.evaluation import Row
from metasearch.registry import RUN_KINDS
from metasearch.report import Reporter, RunFolder
from metasearch.report.plots import plot_table
from metasearch.report.result_table import ResultRow, ResultTable, Value
from metasearch.report.run_files import Run, read_run
from metasearch.sweep import Job, run_jobs, slug

# What the preset `paper` has, and --scale multiplies.
_TASKS = {"train.tasks": 7000, "valid.tasks": 2000, "train.epochs": 20}


@dataclass(frozen=True)
class Reproduced:
    """A table with the files that were written of it.

    Attributes:
        table: what was found.
        files: CSV, Markdown, LaTeX and the plots.
        failed: names of runs that were started and failed, for another reason than a model that cannot be had.
    """

    table: ResultTable
    files: tuple[Path, ...]
    failed: tuple[str, ...]


def experiments() -> list[str]:
    """Names of the shipped experiments: ``table1``, ``figure4``, ..."""
    return sorted(item.name[: -len(".yaml")] for item in _folder().iterdir() if item.name.endswith(".yaml"))


def reproduce(
    name: str,
    inputs: Mapping[str, str] | None = None,
    words: Sequence[str] = (),
    scale: float = 1.0,
    out: str | Path = "reproduce",
    reporter: Reporter | None = None,
) -> list[Reproduced]:
    """Run an experiment of the paper: what ``metasearch reproduce`` does.

    Args:
        name: one of :func:`experiments`; its file in ``examples/reproduce`` says which runs it takes.
        inputs: files that the user brings, name -> path, for example ``{"xquad-r": "data/xquad-r"}``. Rows that need one which
            is missing are left empty and marked. The name of a row's model stands for a local copy of it:
            ``{"sentence-transformers/LaBSE": "models/LaBSE"}``.
        words: settings on top of every run, for example ``["encoder.model=...", "data.fold=all"]``; a row's own settings win.
        scale: multiplies the number of meta-tasks and epochs; below 1 only fold 0 is run unless ``words`` say otherwise.
        out: folder of the runs (shared by all experiments, so that none is made twice), tables and plots.
        reporter: is told how it goes.

    Returns:
        The experiment's tables.

    Raises:
        ConfigError: no such experiment or input, or a setting that is none. Nothing has been run then.
    """
    content = _read(name)
    inputs = dict(inputs or {})
    models = _models(content)
    for given in inputs:
        if given not in content["inputs"] and given not in models:
            known = ", ".join(content["inputs"]) or "none"
            raise ConfigError(
                f"--input {given}: {name} takes no such input; {did_you_mean(given, content['inputs'])}known: {known}"
            )
    if not 0 < scale <= 1:
        raise ConfigError(f"--scale {scale:g}: expected a number above 0 and at most 1")
    folder = Path(out)
    used: set[str] = set()
    plans = [_plan(table, content["inputs"], inputs, words, scale, folder, used) for table in content["tables"]]
    for word in words if any(job for plan in plans for job, _ in plan) else ():
        if word not in used:
            raise ConfigError(f"{word}: fits no row of {name}: none of them has such a key, or each fixes it itself")
    jobs = {job.folder: job for plan in plans for job, _ in plan if job}
    errors = {outcome.job.folder: outcome.error for outcome in run_jobs(list(jobs.values()), reporter or Reporter())}
    found = []
    for table, plan in zip(content["tables"], plans, strict=True):
        reasons = [str(errors[job.folder] or "") if job else reason for job, reason in plan]
        folders = [job.folder if job and not errors[job.folder] else None for job, _ in plan]
        result = _table(name, table, folders, reasons, scale, words)
        failures = dict.fromkeys(job.folder for job, _ in plan if job and not isinstance(errors[job.folder], ModelError | None))
        found.append(Reproduced(result, _write(result, table, folder), tuple(failure.name for failure in failures)))
    return found


def _folder() -> Any:
    return resources.files("metasearch_reproduce")


def _read(name: str) -> dict[str, Any]:
    known = experiments()
    if name not in known:
        raise ConfigError(f"{name}: no such experiment; {did_you_mean(name, known)}known: {', '.join(known)}")
    content = parse_yaml((_folder() / f"{name}.yaml").read_text(encoding="utf-8"), f"{name}.yaml")
    return {"inputs": {}, **content}


# -- runs ----------------------------------------------------------------------------------------------------------------


def _plan(
    table: Mapping[str, Any],
    known: Mapping[str, str],
    inputs: Mapping[str, str],
    words: Sequence[str],
    scale: float,
    folder: Path,
    used: set[str],
) -> list[tuple[Job | None, str]]:
    """Per row its job, or None and the reason why there is none ("" for rows that are computed from others).

    The user's words that fit the row are added to ``used``.
    """
    plan: list[tuple[Job | None, str]] = []
    for row in table["rows"]:
        if "average_of" in row:
            plan.append((None, ""))
            continue
        if row.get("words") is None:
            plan.append((None, row.get("unavailable", "not available")))
            continue
        # The row's own words come last; the user's may change anything else.
        own = {_key(word) for word in row["words"]}
        base = [word for word in table.get("words", ()) if _key(word) not in own]
        needed = {field for word in (*base, *row["words"]) for _, field, _, _ in string.Formatter().parse(word) if field}
        missing = sorted(needed - set(inputs))
        if missing:
            plan.append((None, "; ".join(f"needs --input {item}=PATH: {known[item]}" for item in missing)))
            continue
        paths = {item: _quoted(inputs[item]) for item in needed}
        filled = [[_with_model(word.format(**paths), inputs) for word in part] for part in (base, row["words"])]
        start = ["preset=paper", "eval.baseline=false", "train.save=false", *_scaled(scale), *filled[0]]
        fitting = [word for word in _fitting(words, [*start, *filled[1]]) if _key(word) not in own]
        used.update(fitting)
        job = Job.of(folder, [*start, *fitting, *filled[1]])
        stem = slug(f"{job.config['data.name']} {job.config['algo.name']} {job.config['mode'] or ''}")
        digest = hashlib.sha256(job.config.to_yaml(out=None).encode()).hexdigest()[:8]
        plan.append((Job(folder / "runs" / f"{stem}-{digest}", job.words, None, job.config), ""))
    return plan


def _fitting(words: Sequence[str], row: Sequence[str]) -> list[str]:
    """The user's words that a row can take: ``data.context=false`` means nothing for sentence pairs."""
    keys = {word: _key(word) for word in words}
    config = compose(*(word for word in words if keys[word] in RUN_KINDS), *row)
    return [word for word in words if keys[word] in RUN_KINDS or keys[word] in config]


def _key(word: str) -> str:
    return word.lstrip("+~").partition("=")[0].strip()


def _quoted(path: str) -> str:
    """An absolute path as a value that commas and brackets do not cut."""
    whole = str(Path(path).expanduser().absolute())
    return f'"{whole}"' if "'" in whole else f"'{whole}'"


def _models(content: Mapping[str, Any]) -> list[str]:
    """Names of the models that rows ask for."""
    words = [word for table in content["tables"] for row in table["rows"] for word in row.get("words") or ()]
    return [word.partition("=")[2] for word in words if word.startswith("encoder.model=")]


def _with_model(word: str, inputs: Mapping[str, str]) -> str:
    key, _, model = word.partition("=")
    return f"{key}={_quoted(inputs[model])}" if key == "encoder.model" and model in inputs else word


def _scaled(scale: float) -> list[str]:
    if scale == 1:
        return ["data.fold=all"]
    return ["data.fold=0", *(f"{key}={max(1, round(full * scale))}" for key, full in _TASKS.items())]


# -- tables --------------------------------------------------------------------------------------------------------------


def _table(
    name: str,
    table: Mapping[str, Any],
    folders: Sequence[Path | None],
    reasons: Sequence[str],
    scale: float,
    words: Sequence[str],
) -> ResultTable:
    columns = table["columns"]
    rows: list[tuple[ResultRow, bool]] = []
    for row, folder, reason in zip(table["rows"], folders, reasons, strict=True):
        paper = tuple(str(row.get("paper", {}).get(column["name"], "")) for column in columns)
        if "average_of" in row:
            parts = [r.values for r, _ in rows if r.name == row["name"] and r.trained_as in row["average_of"]]
            values = tuple(_average([part[c] for part in parts], len(row["average_of"])) for c in range(len(columns)))
            reason = (
                "" if all(not math.isnan(v.mean) for v in values) else f"the average needs all of {', '.join(row['average_of'])}"
            )
        elif folder is None:
            values = tuple(Value() for _ in columns)
        else:
            run = read_run(folder)
            values = tuple(_value(run, column) for column in columns)
        line = ResultRow(row.get("part", ""), row["name"], row.get("trained_as", "-"), values, paper, reason)
        rows.append((line, bool(row.get("hidden"))))
    several = any(value.std is not None for line, _ in rows for value in line.values)
    notes = ["mean ± standard deviation over folds; ranks in parentheses"] if several else ["one fold; ranks in parentheses"]
    if scale < 1:
        notes.append(f"scaled down: {scale:g} of the paper's meta-tasks and epochs, so the two columns do not compare")
    notes += [f"{line.name}, {line.trained_as}: {line.note}" for line, hidden in rows if hidden and line.note]
    if words:
        notes.append(f"with {' '.join(words)}, where a row does not fix it")
    shown = tuple(line for line, hidden in rows if not hidden)
    title = f"{name}: {table['title']}"
    return ResultTable(f"{name}-{table['name']}", title, tuple(c["name"] for c in columns), shown, tuple(notes))


def _value(run: Run, column: Mapping[str, Any]) -> Value:
    """A column's value in one run."""
    rows = [row for row in run.rows if _selected(row, column)]
    folds = list(dict.fromkeys(row.fold for row in rows))
    if "timing" in column:
        timings = json.loads((run.path / "results.json").read_text(encoding="utf-8"))["timings"]
        return Value(timings.get(column["timing"], math.nan) / max(1, len(folds)), seconds=True)
    means = [statistics.fmean(row.value for row in rows if row.fold == fold) for fold in folds]
    if not means:
        return Value()
    return _over_folds(means)


def _selected(row: Row, column: Mapping[str, Any]) -> bool:
    return (
        column.get("variant") in (None, row.variant)
        and column.get("query_language") in (None, row.query_language)
        and ("candidate_language" not in column or row.candidate_languages == (column["candidate_language"],))
        and ("tracks" not in column or "_".join((row.query_language, *row.candidate_languages)) in column["tracks"])
    )


def _over_folds(means: Sequence[float]) -> Value:
    return Value(statistics.fmean(means), statistics.stdev(means) if len(means) > 1 else None, folds=tuple(means))


def _average(values: Sequence[Value], expected: int) -> Value:
    """Over the folds of all rows together, as the paper's Table 1 has it; nothing unless all rows are there."""
    if len(values) < expected or any(not value.folds for value in values):
        return Value()
    pooled = _over_folds([fold for value in values for fold in value.folds])
    return pooled if any(len(value.folds) > 1 for value in values) else Value(pooled.mean)


def _write(result: ResultTable, table: Mapping[str, Any], folder: Path) -> tuple[Path, ...]:
    if not ranks().first:
        return ()
    folder.mkdir(parents=True, exist_ok=True)
    texts = {".csv": result.csv(), ".md": result.markdown(), ".tex": result.latex()}
    for ending, text in texts.items():
        RunFolder(folder).write_text(result.name + ending, text)
    files = [folder / (result.name + ending) for ending in texts]
    return (*files, *(plot_table(result, table["plot"], folder / result.name) if "plot" in table else ()))
