"""Many runs, one after the other, each in a folder of its own; what is done already is not done again."""

from __future__ import annotations

import json
import os
import re
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from metasearch.config import Config, compose
from metasearch.config.overrides import expand_sweep
from metasearch.core import expand, held
from metasearch.core.ranks import by_first, ranks
from metasearch.episodes import parse_mode
from metasearch.errors import ConfigError, LostProcessError, MetasearchError, TrainingError, fault
from metasearch.report import Reporter, RunFolder
from metasearch.report.run_files import read_run
from metasearch.runner import can_resume, command_line, fresh_path, resume, run_config, same_config


@dataclass(frozen=True)
class Job:
    """One run of many.

    Attributes:
        folder: its run folder.
        words: overrides.
        file: configuration file, or None.
        config: what they compose to.
    """

    folder: Path
    words: tuple[str, ...]
    file: Path | None
    config: Config

    @classmethod
    def of(cls, folder: Path, words: Sequence[str], file: Path | None = None) -> Job:
        """Compose a job.

        Raises:
            ConfigError: as :func:`metasearch.compose`.
        """
        words = tuple(word for word in words if not word.lstrip("+").startswith("out="))
        config = compose(*words, file=file)
        if config["mode"] is not None:
            parse_mode(config["mode"], config.kind)
        return cls(folder, words, file, config)

    @property
    def done(self) -> bool:
        """Whether the folder holds the finished run of this very configuration on this very data.

        Raises:
            ConfigError: it holds the run of another one, or the data has changed since.
        """
        if not (self.folder / "results.json").is_file():
            return False
        if not same_config(self.folder, self.config):
            raise ConfigError(f"{self.folder}: holds a finished run of another configuration; choose another out=")
        if read_run(self.folder).fingerprint != _fingerprint(self.config):
            raise ConfigError(f"{self.folder}: holds a finished run on data that has changed since; choose another out=")
        return True

    @property
    def begun(self) -> bool:
        """Whether the folder holds an unfinished run of this very configuration, to be gone on with."""
        return can_resume(self.folder) and same_config(self.folder, self.config)


_fingerprints: dict[str, str] = {}


def _fingerprint(config: Config) -> str:
    """Of the data that a configuration names; read once for all jobs that share it."""
    key = json.dumps([config.components["data"].component.target, config.options("data")], sort_keys=True)
    if key not in _fingerprints:
        _fingerprints[key] = config.create("data").load().fingerprint
    return _fingerprints[key]


@dataclass(frozen=True)
class Outcome:
    """What became of a job: ``error`` is None if it is done."""

    job: Job
    error: MetasearchError | None


def multirun(
    *words: str, file: str | Path | None = None, out: str | Path | None = None, reporter: Reporter | None = None
) -> list[Outcome]:
    """Run every combination of values that words list: what ``metasearch run -m`` does.

    Args:
        words: overrides whose values may be lists apart by commas: ``"algo=maml,maml-align"``, ``"seed=0,1,2"``.
        file: a YAML configuration file for all of them.
        out: folder of the runs; None: what ``out=`` in the words says, or ``runs/DATE-TIME-sweep``.
        reporter: is told how it goes; None: silence.

    Returns:
        A job and its error (None: it is done) per combination; ``job.folder`` is its run folder.

    Raises:
        ConfigError: a combination that cannot be run, or a folder that holds something else. Nothing has been run then.

    Example:
        >>> outcomes = multirun("algo=fine-tune,maml", "seed=0,1", out="runs/sweep")  # doctest: +SKIP
        >>> metasearch.compare([str(o.job.folder) for o in outcomes])  # doctest: +SKIP
    """
    folder = ranks().from_first(lambda: out or sweep_folder(words) or fresh_path("sweep"))
    jobs = sweep_jobs(expand(str(folder), "out"), expand_sweep(words), None if file is None else Path(file))
    return list(run_jobs(jobs, reporter or Reporter()))


def run_jobs(jobs: Sequence[Job], reporter: Reporter) -> Iterator[Outcome]:
    """Run jobs in order; one that fails does not keep the others from running.

    A job whose folder holds its finished run is skipped, one whose folder holds its unfinished run is gone on with. Anything else
    that an earlier attempt left is moved aside, to ``FOLDER.unfinished``.

    Raises:
        ConfigError: a folder holds the run of another configuration; nothing has been run then.
    """
    if not jobs:
        return
    folder = jobs[0].folder.parent
    # A second process would take our unfinished run for one that was given up.
    with _held(folder):
        finished = ranks().from_first(lambda: [job.done for job in jobs])
        for number, (job, done) in enumerate(zip(jobs, finished, strict=True), 1):
            reporter.say(f"run {number} of {len(jobs)}: {job.folder.name}{' (done before)' if done else ''}")
            error = None if done else _run(job, reporter)
            if error:
                reporter.warn(f"{job.folder.name}: {error}")
            yield Outcome(job, error)


@contextmanager
def _held(folder: Path) -> Iterator[None]:
    """Make a folder of runs, and keep other sweeps out."""
    if not ranks().first:
        yield
        return
    folder.mkdir(parents=True, exist_ok=True)
    with held(folder, f"{folder}: another process is making runs in it; wait, or choose another folder"):
        yield


def _run(job: Job, reporter: Reporter) -> MetasearchError | None:
    try:
        with ranks().together():
            if ranks().from_first(lambda: job.begun):
                resume(job.folder, reporter)
            else:
                _move_aside(job.folder)
                config = compose(*job.words, f"out='{job.folder}'", file=job.file)
                run_config(config, reporter, command_line("run", job.words, job.file))
    except LostProcessError:  # no other run would go better
        raise
    except MetasearchError as error:
        return error
    except Exception as error:  # out of memory, a full disk, a plugin's bug: the other runs go on
        if os.environ.get("METASEARCH_VERBOSE"):
            traceback.print_exception(error)
        return TrainingError(fault(error) or f"{type(error).__name__}: {error}")
    return None


def sweep_folder(words: Sequence[str]) -> str | None:
    """The value of ``out=`` in the words, which names the folder of the whole sweep; None if there is none."""
    found = [word.partition("=")[2].strip("'\"") for word in words if word.lstrip("+").startswith("out=")]
    return found[-1] if found else None


def sweep_jobs(folder: Path, combinations: Sequence[Sequence[str]], file: Path | None = None) -> list[Job]:
    """Jobs of a sweep, named by number and by what differs between them.

    Raises:
        ConfigError: as :func:`metasearch.compose`, for whichever combination.
    """
    width = len(str(len(combinations) - 1))
    constant = set(combinations[0]).intersection(*map(set, combinations[1:])) if len(combinations) > 1 else set()
    jobs = []
    for number, words in enumerate(combinations):
        name = slug(" ".join(word for word in words if word not in constant and not word.startswith("out=")))
        jobs.append(Job.of(folder / f"{number:0{width}d}-{name}", words, file))
    return jobs


def slug(text: str) -> str:
    """A text as part of a file's name: letters, digits and a few signs, at most 80."""
    return re.sub(r"[^A-Za-z0-9=._-]+", "-", text).strip("-")[:80] or "run"


@by_first
def _move_aside(folder: Path) -> None:
    if folder.exists() and any(folder.iterdir()):
        aside, number = folder.with_name(f"{folder.name}.unfinished"), 1
        while aside.exists():
            number += 1
            aside = folder.with_name(f"{folder.name}.unfinished-{number}")
        folder.rename(aside)
    RunFolder.check_free(folder)
