"""The command ``metasearch``: what there is, and how errors leave it.

Only Typer is imported here; a command's own module is imported when the command runs, so ``--help`` stays fast.
"""

from __future__ import annotations

import io
import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from metasearch.errors import EXIT_FAILED, MetasearchError, fault

app = typer.Typer(
    name="metasearch",
    help="Meta-learn multilingual sentence-level semantic search.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
plugins_app = typer.Typer(help="What is installed, from where, and with which options.", no_args_is_help=True)
data_app = typer.Typer(help="Look at data before using it.", no_args_is_help=True)
app.add_typer(plugins_app, name="plugins")
app.add_typer(data_app, name="data")

Overrides = Annotated[
    list[str] | None,
    typer.Argument(metavar="[KEY=VALUE]...", help="Settings, such as algo=maml or train.tasks=8."),
]
ConfigFile = Annotated[Path | None, typer.Option("--config", metavar="FILE", help="YAML file with settings.")]
Json = Annotated[bool, typer.Option("--json", help="Only JSON on standard output.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress, only the outcome.")]


def _version(wanted: bool) -> None:
    if wanted:
        from metasearch import __version__

        print(f"metasearch {__version__}")
        raise typer.Exit


@app.callback()
def options(
    verbose: Annotated[bool, typer.Option("--verbose", help="Show the full trace of an error.")] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and stop.")
    ] = False,
) -> None:
    """Meta-learn multilingual sentence-level semantic search."""
    if verbose:
        os.environ["METASEARCH_VERBOSE"] = "1"


@app.command()
def run(
    overrides: Overrides = None,
    config: ConfigFile = None,
    multirun: Annotated[
        bool, typer.Option("--multirun", "-m", help="Sweep: run every combination of values apart by commas, as in seed=0,1.")
    ] = False,
    cfg: Annotated[
        bool, typer.Option("--cfg", help="Print the resolved configuration and, unless --quiet, what the run will cost; stop.")
    ] = False,
    resume: Annotated[
        Path | None,
        typer.Option("--resume", metavar="DIR", help="Go on with the run in this folder where it was interrupted or killed."),
    ] = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Train and evaluate; write a run folder.

    Example: metasearch run encoder=triplet algo=maml-align
    """
    from metasearch.cli import run_command

    if resume is not None:
        given = [
            *(overrides or []),
            *(["--config"] if config else []),
            *(["-m"] if multirun else []),
            *(["--cfg"] if cfg else []),
        ]
        run_command.resume(resume, given, json, quiet)
    elif multirun:
        run_command.sweep(overrides or [], config, cfg, json, quiet)
    else:
        run_command.run(overrides or [], config, cfg, json, quiet)


@app.command()
def evaluate(
    model: Annotated[str, typer.Argument(help="Built-in name, SentenceTransformer folder, hub name, or run folder.")],
    overrides: Overrides = None,
    config: ConfigFile = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Score a model on any data and language variants, without training.

    Example: metasearch evaluate builtin:multilingual-e5-small data=mini
    """
    from metasearch.cli import run_command

    run_command.evaluate(model, overrides or [], config, json, quiet)


@app.command()
def compare(
    runs: Annotated[list[str], typer.Argument(metavar="RUN...", help="Run folders, the baseline first.")],
    baseline: Annotated[
        str | None, typer.Option("--baseline", metavar="RUN", help="The run that others are tested against.")
    ] = None,
    seed: Annotated[int, typer.Option("--seed", help="Seeds the randomisation test.")] = 0,
    json: Json = False,
) -> None:
    """Put runs side by side: ranks, mean and deviation over folds, paired significance.

    Example: metasearch compare runs/fine-tune runs/maml-align
    """
    from metasearch.cli import compare_command

    compare_command.compare(runs, baseline, seed, json)


@app.command()
def report(
    runs: Annotated[list[str], typer.Argument(metavar="RUN...", help="Run folders.")],
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help="Where the page goes; report.html in the run, or here.")
    ] = None,
) -> None:
    """Write one self-contained HTML page about runs: scores, heat map, curves, map of embeddings, settings.

    Example: metasearch report runs/maml-align
    """
    from metasearch.cli import report_command

    report_command.report(runs, out)


@app.command()
def reproduce(
    name: Annotated[str, typer.Argument(help="table1, table5, ..., figure3, ... (examples/reproduce holds them).")],
    overrides: Overrides = None,
    given: Annotated[
        list[str] | None,
        typer.Option("--input", metavar="NAME=PATH", help="Data that the experiment needs, such as xquad-r=DIR."),
    ] = None,
    scale: Annotated[float, typer.Option("--scale", help="Share of the paper's meta-tasks and epochs, 0 to 1.")] = 1.0,
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Where runs, tables and plots go.")] = Path("reproduce"),
    quiet: Quiet = False,
) -> None:
    """Make a table or figure of the paper: the runs, the table with the paper's values beside, and the plot.

    Example: metasearch reproduce table1 --input xquad-r=data/xquad-r --scale 0.01
    """
    from metasearch.cli import reproduce_command

    reproduce_command.reproduce(name, overrides or [], given or [], scale, out, quiet)


@app.command()
def index(
    model: Annotated[str, typer.Argument(help="Built-in name, SentenceTransformer folder, hub name, or run folder.")],
    corpus: Annotated[str, typer.Argument(help="File (.txt .jsonl .csv .tsv .parquet), data set folder, or shipped name.")],
    out: Annotated[str, typer.Option("--out", metavar="DIR", help="Folder to make; a killed build goes on in it.")],
    overrides: Overrides = None,
    keep_vectors: Annotated[bool, typer.Option("--keep-vectors", help="Leave the embeddings in DIR/vectors.f32.")] = False,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Encode a corpus and build a FAISS index over it.

    Example: metasearch index builtin:multilingual-e5-small mini --out indexes/mini
    """
    from metasearch.cli import index_command

    index_command.index(model, corpus, out, overrides or [], keep_vectors, json, quiet)


@app.command()
def search(
    folder: Annotated[str, typer.Argument(metavar="DIR", help="Folder that metasearch index made.")],
    query: Annotated[str | None, typer.Argument(help="In any language; - for a query a line; without: a prompt.")] = None,
    k: Annotated[int, typer.Option("-k", min=1, help="How many documents.")] = 10,
    model: Annotated[str | None, typer.Option("--model", metavar="PATH", help="Where the index's model is now.")] = None,
    json: Json = False,
) -> None:
    """Find the documents nearest to a query, in any language.

    Example: metasearch search indexes/mini "who discovered penicillin?"
    """
    from metasearch.cli import search_command

    search_command.search(folder, query, k, json, model)


@plugins_app.command("list")
def plugins_list(json: Json = False) -> None:
    """List all components: kind, name, what it is, who provides it."""
    from metasearch.cli import plugins_command

    plugins_command.list_components(json)


@plugins_app.command("show")
def plugins_show(
    kind: Annotated[str, typer.Argument(help="encoder, algo, sampler, loss, data, metric or index.")],
    name: Annotated[str, typer.Argument(help="Name of the component.")],
    json: Json = False,
) -> None:
    """Show one component: its options, their defaults, and what they allow."""
    from metasearch.cli import plugins_command

    plugins_command.show_component(kind, name, json)


@plugins_app.command("new")
def plugins_new(
    name: Annotated[str, typer.Argument(help="What users will type; the package is called metasearch-NAME.")],
    kind: Annotated[str, typer.Option("--kind", metavar="KIND", help="encoder, algo, sampler, loss, data, metric or index.")],
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Where the package's folder goes.")] = Path(),
) -> None:
    """Write a package that is a plugin: one component that works, and a test of it.

    Example: metasearch plugins new soft-margin --kind loss
    """
    from metasearch.cli import new_command

    new_command.new_plugin(name, kind, out)


@data_app.command("describe")
def data_describe(
    path: Annotated[str, typer.Argument(help="Folder of a data set, or the name of one that comes with the package.")],
    json: Json = False,
) -> None:
    """Say what a data set holds: languages, counts, problems and where they are."""
    from metasearch.cli import data_command

    data_command.describe(path, json)


@app.command()
def doctor(json: Json = False) -> None:
    """Check versions, devices and optional parts, and say what to install for each."""
    from metasearch.cli import doctor_command

    doctor_command.doctor(json)


def main(arguments: list[str] | None = None) -> None:
    """Run the command and end the process with its exit code (0 done, 1 failed, 2 usage, 3 plugin, 130 interrupted)."""
    words = sys.argv[1:] if arguments is None else arguments
    if "--verbose" in words:  # wherever it stands
        words = [word for word in words if word != "--verbose"]
        os.environ["METASEARCH_VERBOSE"] = "1"
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a terminal that lacks a character is no reason to fail
            stream.reconfigure(errors="backslashreplace")
    try:
        if os.environ.get("WORLD_SIZE", "1") != "1":  # set by torchrun
            from metasearch.cli import several

            several.run_together(words, app)
        app(words, prog_name="metasearch")  # ends the process itself, with 0, 2 (usage) or 130 (interrupted)
    except MetasearchError as error:
        explain(error)
        raise SystemExit(error.exit_code) from None
    except Exception as error:
        explain(error)
        raise SystemExit(EXIT_FAILED) from None


def explain(error: BaseException) -> None:
    from metasearch.cli.console import told

    if os.environ.get("METASEARCH_VERBOSE"):
        import traceback

        print(told("".join(traceback.format_exception(error))), end="", file=sys.stderr)
    if isinstance(error, MetasearchError):
        print(told(f"error: {error}"), file=sys.stderr)
    elif said := fault(error):
        print(f"error: {said}", file=sys.stderr)
    else:
        from metasearch.registry import registry

        plugin = registry.behind(error)
        whose = f"in plugin {plugin}" if plugin else "a bug, or a fault of this machine"
        print(told(f"error: {type(error).__name__}: {error} ({whose}; --verbose shows the trace)"), file=sys.stderr)
