"""``metasearch run`` and ``metasearch evaluate``."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from metasearch.cli import console
from metasearch.config import Config, compose
from metasearch.config.overrides import expand_sweep
from metasearch.episodes.arrangement import parse_mode
from metasearch.errors import ConfigError, MetasearchError, TrainingError
from metasearch.registry import registry
from metasearch.registry.registry import warnings_of_broken

if TYPE_CHECKING:
    from metasearch.runner import RunResult


def run(words: list[str], file: Path | None, cfg: bool, as_json: bool, quiet: bool) -> None:
    # Most mistakes are in the words: tell them before torch is imported.
    config = compose(*words, file=file)
    if config["mode"] is not None:
        parse_mode(config["mode"], config.kind)
    if cfg:
        sys.stdout.write(console.told(config.to_yaml(), longest=None))
        for warning in warnings_of_broken(registry):
            console.warn(warning)
        if not quiet:
            _tell_cost(config)
        return

    from metasearch.runner import command_line, run_config

    still()
    reporter = console.reporter(_silent(as_json, quiet))
    _show(run_config(config, reporter, command_line("run", words, file)), as_json)


def resume(folder: Path, given: list[str], as_json: bool, quiet: bool) -> None:
    if given:
        raise ConfigError(f"--resume {folder}: goes on with the run as it was configured, so there is nothing to add: {given[0]}")
    from metasearch.runner import resume as go_on

    still()
    _show(go_on(folder, console.reporter(_silent(as_json, quiet))), as_json)


def _tell_cost(config: Config) -> None:
    """What the run would cost, beside the configuration: on standard error, so that the configuration can be piped to a file."""
    sys.stdout.flush()
    still()
    os.environ["HF_HUB_OFFLINE"] = "1"  # nothing is downloaded to look at a configuration
    from metasearch.estimate import estimate

    try:
        found = estimate(config)
    except MetasearchError as error:  # the configuration is what was asked for
        print(console.told(f"no estimate: {error}"), file=sys.stderr)
    else:
        print(found or "no estimate: the encoder does not count its tokens", file=sys.stderr)


def sweep(words: list[str], file: Path | None, cfg: bool, as_json: bool, quiet: bool) -> None:
    if cfg:
        for one in expand_sweep(words):
            sys.stdout.write(console.told(f"# {' '.join(one)}\n{compose(*one, file=file).to_yaml()}---\n", longest=None))
        return

    from metasearch.report.compare import run_table
    from metasearch.sweep import multirun

    still()
    outcomes = multirun(*words, file=file, reporter=console.reporter(_silent(as_json, quiet)))
    folder = outcomes[0].job.folder.parent
    failed = [o for o in outcomes if o.error]
    done = [o.job.folder for o in outcomes if not o.error]
    if as_json:
        listed = [{"run": str(o.job.folder), "words": list(o.job.words), "error": str(o.error or "") or None} for o in outcomes]
        console.print_json({"folder": str(folder), "runs": listed})
    else:
        if done:
            console.print_table(run_table(done))
        console.out().print(f"sweep folder  {folder}", soft_wrap=True)
    if failed:
        raise TrainingError(f"{len(failed)} of {len(outcomes)} runs failed, the first: {failed[0].job.folder}: {failed[0].error}")


def evaluate(model: str, words: list[str], file: Path | None, as_json: bool, quiet: bool) -> None:
    from metasearch.runner import evaluate as evaluate_it

    still()
    _show(evaluate_it(model, *words, file=file, reporter=console.reporter(_silent(as_json, quiet))), as_json)


def _silent(as_json: bool, quiet: bool) -> bool:
    """A program that reads JSON needs no progress; a person at a terminal still does."""
    return quiet or (as_json and not sys.stderr.isatty())


def still(environment: os._Environ[str] = os.environ) -> None:
    """Libraries' own progress bars would draw over ours."""
    environment.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    environment.setdefault("TOKENIZERS_PARALLELISM", "true")


def _show(result: RunResult, as_json: bool) -> None:
    from metasearch.report.summary import own_language_line, score_table

    if as_json:
        console.print_json({**result.to_json(), "run": str(result.path) if result.path else None})
        return
    console.print_table(score_table(result.before, result.rows, result.metric, result.by_track))
    output = console.out()
    own = own_language_line(result.before, result.rows)
    if own:
        output.print(own, soft_wrap=True)
    if result.path is None:
        return
    took = "  ".join(f"{stage.replace('_', ' ')} {seconds:.0f} s" for stage, seconds in result.timings.items())
    output.print(took)
    models = sorted(result.path.glob("**/model"))
    output.print(f"run folder  {result.path}", soft_wrap=True)
    if models:
        output.print(f"model       {', '.join(str(m) for m in models)}", soft_wrap=True)
