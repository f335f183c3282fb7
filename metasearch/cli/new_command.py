"""``metasearch plugins new``: a package that is a plugin, with a component that works and a test of it."""

from __future__ import annotations

import importlib.util
import re
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any

from metasearch.errors import ConfigError, did_you_mean
from metasearch.registry import KINDS, registry

PREFIX = "metasearch-"
_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*\Z")


@dataclass(frozen=True)
class _Sample:
    """What is written for a kind.

    Attributes:
        file: the component's module.
        suffix: of its class's name.
        check: the contract in :mod:`metasearch.testing`.
        summary: one line on what the sample does.
        options: name -> JSON Schema property.
        implies: settings that fit it.
    """

    file: str
    suffix: str
    check: str
    summary: str
    options: dict[str, dict[str, Any]]
    implies: dict[str, Any] = field(default_factory=dict)


def _option(kind: str | list[str], default: Any, description: str, **limits: Any) -> dict[str, Any]:
    return {"type": kind, **limits, "default": default, "description": description}


_SAMPLES = {
    "encoder": _Sample(
        "encoder",
        "Encoder",
        "check_encoder",
        "A SentenceTransformer that stays as it is, with a linear layer behind it that learns.",
        {
            "model": _option("string", "builtin:multilingual-e5-small", "Built-in name, local folder, or hub name.", minLength=1),
            "width": _option("integer", 64, "Length of the embeddings.", minimum=1),
        },
    ),
    "algo": _Sample(
        "algorithm",
        "Algorithm",
        "check_algorithm",
        "MAML whose outer loss also holds the support set's loss at the start.",
        {
            "inner_steps": _option("integer", 5, "Inner steps (n).", minimum=0),
            "inner_lr": _option("number", 1e-3, "Inner rate (alpha), SGD.", minimum=0),
            "outer_lr": _option("number", 1e-5, "Outer rate (beta), AdamW.", minimum=0),
            "meta_batch_size": _option("integer", 4, "Tasks per outer update (b).", minimum=1),
            "support_weight": _option("number", 0.5, "Weight of the support set's loss at the start; 0: MAML.", minimum=0),
        },
        {"mode": "trans"},
    ),
    "sampler": _Sample(
        "sampler",
        "Sampler",
        "check_sampler",
        "Negatives from the article that the answer stands in.",
        {
            "support_size": _option("integer", 8, "Anchors in the support set (k).", minimum=1),
            "query_size": _option("integer", 4, "Anchors in each query set (q).", minimum=1),
            "num_negatives": _option("integer", 3, "Negatives per anchor.", minimum=1),
        },
    ),
    "loss": _Sample(
        "loss",
        "Loss",
        "check_loss",
        "log(1 + exp(scale * (s(q, n) - s(q, p)))), averaged over triplets.",
        {"scale": _option("number", 10.0, "How sharp the margin is.", exclusiveMinimum=0)},
    ),
    "data": _Sample(
        "dataset",
        "Dataset",
        "check_dataset",
        "Questions with one answer each, from a tab-separated file.",
        {"path": _option(["string", "null"], None, "The file; null: a small example.", minLength=1)},
    ),
    "metric": _Sample(
        "metric",
        "Metric",
        "check_metric",
        "Mean reciprocal rank of the first relevant candidate, with a cut-off.",
        {"cutoff": _option("integer", 10, "Ranks below it count nothing.", minimum=1)},
    ),
    "index": _Sample(
        "index",
        "Index",
        "check_index",
        "Exact search in one numpy array.",
        {"block": _option("integer", 65536, "Vectors compared at once.", minimum=1)},
    ),
}


def new_plugin(name: str, kind: str, folder: Path) -> None:
    """Write the package ``FOLDER/metasearch-NAME`` and say what to do next.

    Raises:
        ConfigError: kind or name is none, the name is taken, or the folder is there already.
    """
    _check_kind(kind)
    _check_name(name, kind)
    target = folder / f"{PREFIX}{name}"
    if target.exists() or target.is_symlink():
        raise ConfigError(f"{target}: is there already and is left as it is; choose another name, or another place with --out")
    files = _files(name, kind)
    try:
        for path, text in files.items():
            (target / path).parent.mkdir(parents=True, exist_ok=True)
            (target / path).write_text(text, encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"--out {folder}: {target} cannot be written: {error.strerror or error}") from error
    _explain(name, kind, target, list(files))


def _check_kind(kind: str) -> None:
    if kind not in KINDS:
        raise ConfigError(f"--kind {kind}: no such kind; {did_you_mean(kind, KINDS)}known: {', '.join(KINDS)}")


def _check_name(name: str, kind: str) -> None:
    if name.startswith(PREFIX):
        raise ConfigError(f"{name}: the prefix comes by itself; give {name.removeprefix(PREFIX)!r}")
    if not _NAME.match(name):
        hint = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-0123456789")
        raise ConfigError(
            f"{name!r} is no name for a plugin: lower-case words of letters and digits, joined by hyphens"
            + (f", for example {hint}" if _NAME.match(hint) else "")
        )
    for item in registry:
        if item.kind == kind and name in (item.name, *item.component.aliases):
            raise ConfigError(f"{name}: {kind}={name} is taken by {item.provider}")
    if importlib.util.find_spec(_module(name)) is not None or _installed(f"{PREFIX}{name}"):
        raise ConfigError(f"{name}: a package {PREFIX}{name} (module {_module(name)}) is installed already")


def _installed(distribution: str) -> bool:
    try:
        metadata.distribution(distribution)
    except metadata.PackageNotFoundError:
        return False
    return True


def _module(name: str) -> str:
    return f"{PREFIX}{name}".replace("-", "_")


def _files(name: str, kind: str) -> dict[str, str]:
    """Path in the package -> its text."""
    import jinja2

    from metasearch import __version__

    sample, module, identifier = _SAMPLES[kind], _module(name), name.replace("-", "_")
    words = "".join(word.capitalize() for word in name.split("-"))
    environment = jinja2.Environment(  # noqa: S701 (writes Python and TOML, no HTML)
        loader=jinja2.PackageLoader("metasearch.cli"), undefined=jinja2.StrictUndefined, keep_trailing_newline=True
    )
    environment.filters["literal"] = _literal
    about = {
        **vars(sample),
        "name": name,
        "kind": kind,
        "package": f"{PREFIX}{name}",
        "module": module,
        "identifier": identifier,
        "cls": words.removesuffix(sample.suffix) + sample.suffix,
        "version": __version__,
    }
    templates = {
        "pyproject.toml": "pyproject.toml",
        "README.md": "README.md",
        f"{module}/plugin.py": "plugin.py",
        f"{module}/{sample.file}.py": f"{kind}.py",
        f"tests/test_{identifier}.py": "test.py",
    }
    if kind == "data":
        templates[f"{module}/example.tsv"] = "example.tsv"
    return {
        f"{module}/__init__.py": f'"""{sample.summary}"""\n',
        **{path: environment.get_template(f"{template}.j2").render(about) for path, template in templates.items()},
    }


def _literal(value: Any) -> str:
    """A plain value as Python source, with double quotes as formatters write them."""
    if isinstance(value, str):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    if isinstance(value, list):
        return f"[{', '.join(map(_literal, value))}]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_literal(k)}: {_literal(v)}" for k, v in value.items()) + "}"
    return repr(value)


def _explain(name: str, kind: str, target: Path, files: list[str]) -> None:
    print(f"wrote {target}:")
    for path in files:
        print(f"  {path}")
    use = f"metasearch index MODEL CORPUS index={name} --out DIR" if kind == "index" else f"metasearch run {kind}={name}"
    print("next:")
    print(f"  pip install -e '{target}[test]'")
    print(f"  python -m pytest '{target}'")
    print(f"  metasearch plugins show {kind} {name}")
    print(f"  {use}")
    print(f"then put your own component into {_module(name)}/{_SAMPLES[kind].file}.py")
