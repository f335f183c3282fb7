"""What the reference pages say, read from the program itself, so that it cannot be stale.

A page asks for a part with the line ``<!-- generated: NAME -->``; NAME is a key of ``PARTS``.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from importlib import import_module, resources
from types import ModuleType
from typing import Any

import typer

from metasearch import errors
from metasearch.cli.app import app
from metasearch.config import compose, presets
from metasearch.config.compose import allowed, spoken
from metasearch.config.schema import COMMON, FIXED
from metasearch.registry import KINDS, Registered, hookspecs, registry

# The modules that are the Python API, those that a plugin or a notebook uses first.
API = (
    "metasearch",
    "metasearch.core",
    "metasearch.registry",
    "metasearch.config",
    "metasearch.algorithm",
    "metasearch.dataset",
    "metasearch.episodes",
    "metasearch.evaluation",
    "metasearch.report",
    "metasearch.search",
    "metasearch.testing",
    "metasearch.errors",
    "metasearch.mteb",
)
_MARKER = re.compile(r"^<!-- generated: (\w+) -->$", re.MULTILINE)


def filled(markdown: str) -> str:
    """A page's Markdown with every marker replaced by its part."""
    return _MARKER.sub(lambda match: PARTS[match.group(1)](), markdown)


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table; bars and line ends in cells are taken care of."""
    cells = [" | ".join(_cell(cell) for cell in row) for row in rows]
    return "\n".join(f"| {row} |" for row in [" | ".join(header), " | ".join("---" for _ in header), *cells])


def _cell(text: str) -> str:
    """One line, with bars escaped; in code a bar is a bar."""
    return re.sub(r"(`[^`]*`)|\|", lambda match: match.group(1) or "\\|", " ".join(text.split()))


# -- command line ------------------------------------------------------------------------------------------------------


def all_commands() -> Iterator[tuple[str, Any]]:
    """Every command that can be run, ``metasearch plugins list`` as well as ``metasearch run``, in alphabetical order."""
    yield from _commands("metasearch", typer.main.get_command(app))


def _commands(name: str, command: Any) -> Iterator[tuple[str, Any]]:
    inside = getattr(command, "commands", None)
    if inside is None:
        yield name, command
        return
    for word in sorted(inside):
        yield from _commands(f"{name} {word}", inside[word])


def _usage(name: str, command: Any) -> str:
    words = [name]
    for parameter in command.params:
        if parameter.param_type_name == "argument":
            word = parameter.metavar or parameter.name.upper()
            words.append(word if parameter.required or word.startswith("[") else f"[{word}]")
    return " ".join([*words, "[OPTIONS]"])


def _parameters(command: Any, parent: Any = None) -> str:
    context = command.context_class(command, parent=parent, info_name=command.name)
    records = [parameter.get_help_record(context) for parameter in command.get_params(context)]
    rows = [(f"`{' '.join(left.split())}`", right) for left, right in filter(None, records)]
    return table(["argument or option", "meaning"], rows)


def commands() -> str:
    """Each command with its help, arguments and options."""
    root = typer.main.get_command(app)
    parts = [f"## `metasearch`\n\n{root.help}\n\n{_parameters(root)}"]
    for name, command in all_commands():
        # An example stands indented in the help: in Markdown that is a block of its own, which is how it should look.
        text = re.sub(r"^Example: (.*)$", r"```sh\n\1\n```", inspect.cleandoc(command.help or ""), flags=re.MULTILINE)
        parts.append(f"## `{name}`\n\n```text\n{_usage(name, command)}\n```\n\n{text}\n\n{_parameters(command)}")
    return "\n\n".join(parts)


# -- configuration -----------------------------------------------------------------------------------------------------


def _option_rows(prefix: str, options: Iterable[tuple[str, Any]]) -> list[list[str]]:
    return [
        [f"`{prefix}{name}`", f"`{spoken(schema['default'])}`", _words(allowed(schema)), schema.get("description", "")]
        for name, schema in options
    ]


def _words(text: str) -> str:
    """What is allowed, with a pattern as code: its signs mean something else in Markdown."""
    return re.sub(r"of the form (\S+)", r"of the form `\1`", text)


_OPTION_HEADER = ("key", "default", "allowed", "what it does")


def keys() -> str:
    """The keys that belong to no component, and those that a kind has whatever the component; with what presets make of them."""
    rows = []
    for key, schema in FIXED.items():
        inside = schema.get("properties")
        rows += _option_rows(f"{key}.", inside.items()) if inside else _option_rows("", [(key, schema)])
    for kind, options in COMMON.items():
        rows += _option_rows(f"{kind}.", options.items())
    composed = {name: compose(f"preset={name}") for name in presets()}
    for row in rows:
        key = row[0].strip("`")
        changed = (name for name, config in composed.items() if config.origins.get(key) == f"preset {name}")
        row[1] += "".join(f"; {name}: `{spoken(composed[name][key])}`" for name in changed)
    return table(_OPTION_HEADER, rows)


def preset_files() -> str:
    """Every preset as it is written."""
    folder = resources.files("metasearch.config") / "presets"
    texts = {name: (folder / f"{name}.yaml").read_text(encoding="utf-8") for name in presets()}
    return "\n\n".join(f"### `preset={name}`\n\n```yaml\n{text.strip()}\n```" for name, text in texts.items())


# -- components --------------------------------------------------------------------------------------------------------


def components() -> str:
    """Every component of every kind: summary, options, and what its class says."""
    parts = []
    for kind, interface in KINDS.items():
        module, _, name = interface.partition(":")
        home = _home(getattr(import_module(module), name), interface)
        parts.append(f"## {kind}\n\nInterface: [`{module}.{name}`][{home}].")
        parts += [_component(item) for item in registry if item.kind == kind]
    return "\n\n".join(parts)


def _component(item: Registered) -> str:
    component = item.component
    lines = [f"### `{item.kind}={item.name}`", component.summary]
    if component.aliases:
        lines.append("Other names: " + ", ".join(f"`{alias}`" for alias in component.aliases) + ".")
    implied = [word for word in _implied(component.implies) if not word.startswith(f"`{item.kind}=")]
    if implied:
        lines.append("Brings along, unless told otherwise: " + ", ".join(implied) + ".")
    if component.requires:
        lines.append(f"Needs {', '.join(component.requires)}: `{component.install}`.")
    if component.options:
        lines.append(table(_OPTION_HEADER, _option_rows(f"{item.kind}.", component.options.items())))
    lines.append(f"::: {component.target.replace(':', '.')}\n    options: {{members: false, show_bases: false}}")
    return "\n\n".join(lines)


def _implied(implies: Any) -> Iterator[str]:
    for key, value in implies.items():
        if isinstance(value, dict):
            yield from (f"`{key}={inner}` for `algo={name}`" for name, inner in value.items())
        else:
            yield f"`{key}={spoken(value)}`"


def hooks() -> str:
    """The hooks of plugins, each with its docstring."""
    names = [name for name in vars(hookspecs) if name.startswith(f"{hookspecs.PROJECT}_")]
    return "\n\n".join(_with_heading(f"metasearch.registry.hookspecs.{name}", 2, name) for name in names)


# -- errors ------------------------------------------------------------------------------------------------------------


def exit_codes() -> str:
    """Exit codes, with the errors that end a command with each."""
    kinds = errors.MetasearchError.__subclasses__()
    rows = [("0", "", "done"), ("130", "", "interrupted; a run has saved where it was")]
    rows += [(str(kind.exit_code), f"`{kind.__name__}`", kind.__doc__ or "") for kind in kinds]
    rows.append((str(errors.EXIT_USAGE), "", "a command, an argument or an option that does not exist"))
    rows.append((str(errors.EXIT_FAILED), "", "anything else: a bug, or a fault of the machine; `--verbose` shows the trace"))
    return table(["exit code", "error", "when"], sorted(rows, key=lambda row: (int(row[0]), row[1])))


# -- Python API --------------------------------------------------------------------------------------------------------


def api() -> str:
    """Every public name of every public module; mkdocstrings turns the directives into pages.

    Raises:
        ValueError: a public name has no docstring, so that the build fails.
    """
    missing = undocumented()
    if missing:
        raise ValueError(f"public names without a docstring: {', '.join(missing)}")
    parts: list[str] = []
    shown: set[str] = set()
    for name in API:
        module = import_module(name)
        parts.append(f"## `{name}`\n\n::: {name}\n    options: {{members: false}}")
        for public in _public(module):
            home = _home(getattr(module, public), f"{name}.{public}")
            if home not in shown:
                shown.add(home)
                parts.append(_with_heading(home, 3, public))
    return "\n\n".join(parts)


def _public(module: ModuleType) -> list[str]:
    """What ``__all__`` says; without, the classes and functions that are defined in the module."""
    own = (n for n, value in vars(module).items() if getattr(value, "__module__", "") == module.__name__)
    return sorted(getattr(module, "__all__", None) or (name for name in own if not name.startswith("_")))


def _with_heading(name: str, level: int, heading: str) -> str:
    """Ask mkdocstrings for an object under a heading of its own, which is also what links lead to."""
    options = f"show_root_heading: true, show_root_toc_entry: true, heading_level: {level}, heading: {heading}"
    return f"::: {name}\n    options: {{{options}}}"


def _home(value: Any, otherwise: str) -> str:
    """Where a class or a function is defined: the same one may be public in several modules."""
    if inspect.isclass(value) or inspect.isfunction(value):
        return f"{value.__module__}.{value.__qualname__}"
    return otherwise


def undocumented() -> list[str]:
    """Public names without a docstring: modules, and their public classes and functions with their methods.

    A property without one is a value that its name explains, as an attribute is.
    """
    missing = []
    for name in API:
        module = import_module(name)
        missing += [] if module.__doc__ else [name]
        for public in _public(module):
            value = getattr(module, public)
            if inspect.isclass(value) or inspect.isfunction(value):
                missing += [] if value.__doc__ else [f"{name}.{public}"]
            if inspect.isclass(value) and value.__module__.startswith("metasearch"):
                missing += [f"{name}.{public}.{method}" for method in _silent_methods(value)]
    return missing


def _silent_methods(cls: type) -> Iterator[str]:
    """Public methods that neither the class nor a base of it explains."""
    for name, value in vars(cls).items():
        told = any(getattr(vars(base).get(name), "__doc__", None) for base in cls.__mro__)
        if inspect.isroutine(value) and not name.startswith("_") and not told:
            yield name


PARTS: dict[str, Callable[[], str]] = {
    "api": api,
    "commands": commands,
    "components": components,
    "exit_codes": exit_codes,
    "hooks": hooks,
    "keys": keys,
    "presets": preset_files,
}
