"""Find plugins and load each on its own, so that one that is wrong costs only its own names.

Plugins are entry points of the group ``metasearch.plugins`` of installed packages, and single files or folders that
``METASEARCH_LOAD_PLUGINS`` names. Switches, all environment variables:

- ``METASEARCH_LOAD_PLUGINS=./my_loss.py,a``: a file is loaded beside what is installed; a name says that of installed plugins
  only those named are loaded; empty: only what metasearch ships.
- ``METASEARCH_DISABLE_PLUGINS=a,b``: leave plugins out, by entry point or package.
- ``METASEARCH_STRICT_PLUGINS=1``: a plugin that cannot be loaded is an error (exit code 3) instead of a warning.
- ``METASEARCH_TRACE_PLUGINS=1``: say on standard error what is loaded, from where, and how long it took.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import os
import re
import sys
import time
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import pluggy

from metasearch.errors import did_you_mean
from metasearch.registry import hookspecs
from metasearch.registry.component import KINDS, Component, Provider

GROUP = "metasearch.plugins"
SHIPPED = "metasearch"
LOAD = "METASEARCH_LOAD_PLUGINS"
DISABLE = "METASEARCH_DISABLE_PLUGINS"
STRICT = "METASEARCH_STRICT_PLUGINS"
TRACE = "METASEARCH_TRACE_PLUGINS"
_NAME = re.compile(r"[a-z0-9][a-z0-9.-]*\Z")


@dataclass(frozen=True)
class Source:
    """A plugin that could be loaded: who provides it, and how its module is imported."""

    provider: Provider
    load: Callable[[], Any]


@dataclass(frozen=True)
class Broken:
    """A plugin that could not be loaded, and why."""

    provider: Provider
    cause: str
    trace: str

    def __str__(self) -> str:
        name = self.provider.entry_point
        asked_for = self.provider.is_file or not self.provider.version
        way = f"Mend it, or take it out of {LOAD}." if asked_for else f"Mend or reinstall it, or set {DISABLE}={name}."
        entry_point = "" if self.provider.is_file else f' (entry point "{name}")'
        return (
            f"plugin {self.provider}{entry_point} could not be loaded: {self.cause}. "
            f"Its components are unavailable. {way} Full trace: --verbose"
        )


@dataclass(frozen=True)
class Loaded:
    """A plugin's hooks, and what it registers: kind and component."""

    provider: Provider
    manager: pluggy.PluginManager
    components: tuple[tuple[str, Component], ...]


def sources(entry_points: Iterable[metadata.EntryPoint] | None = None) -> tuple[list[Source], list[Broken], list[str]]:
    """Which plugins are to be loaded: shipped ones, then installed ones by name, then files.

    Args:
        entry_points: instead of the installed ones (for tests).

    Returns:
        The plugins, what ``METASEARCH_LOAD_PLUGINS`` names and is not there, and the names of those left out.
    """
    wanted, files = _wanted()
    disabled = set(_words(os.environ.get(DISABLE, "")))
    found = metadata.entry_points(group=GROUP) if entry_points is None else entry_points
    unique = {(e.name, e.value): e for e in found}  # an editable install may be listed twice
    ours: list[Source] = []
    left_out: list[str] = []
    missing = set(wanted or ())
    for entry_point in sorted(unique.values(), key=_shipped_first):
        provider = provider_of(entry_point)
        names = {entry_point.name, provider.distribution}
        missing -= names
        unwanted = wanted is not None and provider.distribution != SHIPPED and not names & wanted
        if unwanted or names & disabled:
            left_out.append(entry_point.name)
        else:
            ours.append(Source(provider, entry_point.load))
    not_there = f"{LOAD} names it, but no installed plugin is called so"
    broken = [Broken(Provider(name, "", name), not_there, "") for name in sorted(missing)]
    return [*ours, *map(_of_file, files)], broken, left_out


def load(source: Source) -> Loaded | Broken:
    """Import one plugin in a manager of its own, so that a mistake in it is attributed to it; collect what it registers."""
    begin = time.perf_counter()
    try:
        # What a plugin prints while it is imported must not end up in --json.
        with contextlib.redirect_stdout(sys.stderr):
            manager = pluggy.PluginManager(hookspecs.PROJECT)
            manager.add_hookspecs(hookspecs)
            module = source.load()
            _check_hooks(module)
            manager.register(module, name=source.provider.entry_point)
            components = tuple(_collect(manager))
    except (Exception, SystemExit) as error:  # whatever a plugin does wrong must not take the rest down
        return Broken(source.provider, f"{type(error).__name__}: {error}", traceback.format_exc())
    if os.environ.get(TRACE):
        names = ", ".join(f"{kind}={component.name}" for kind, component in components) or "nothing"
        print(f"plugin {source.provider}: {names} ({1000 * (time.perf_counter() - begin):.0f} ms)", file=sys.stderr)
    return Loaded(source.provider, manager, components)


def provider_of(entry_point: metadata.EntryPoint) -> Provider:
    """The package that an entry point belongs to."""
    distribution = entry_point.dist
    if distribution is None:
        return Provider(entry_point.value.partition(":")[0].split(".")[0], "unknown", entry_point.name)
    return Provider(distribution.metadata["Name"], distribution.version, entry_point.name)


def _shipped_first(entry_point: metadata.EntryPoint) -> tuple[bool, str, str]:
    return (provider_of(entry_point).distribution != SHIPPED, entry_point.name, entry_point.value)


def _words(text: str) -> list[str]:
    return [word.strip() for word in text.split(",") if word.strip()]


def _wanted() -> tuple[set[str] | None, list[Path]]:
    """Names that the switch restricts installed plugins to (None: it does not), and files it adds."""
    if LOAD not in os.environ:
        return None, []
    words = _words(os.environ[LOAD])
    files = [word for word in words if word.endswith(".py") or os.sep in word]
    names = {word for word in words if word not in files}
    return (None if files and not names else names), [Path(file) for file in files]


def _of_file(file: Path) -> Source:
    """A plugin that is no package: one ``.py`` file, or a folder with an ``__init__.py``."""
    path = file.expanduser().absolute()
    code = path / "__init__.py" if path.is_dir() else path
    name = f"metasearch_file_{re.sub(r'[^0-9A-Za-z_]', '_', path.stem)}"
    try:
        version = hashlib.sha256(code.read_bytes()).hexdigest()[:12]  # so that a manifest tells two states of it apart
    except OSError:
        version = ""  # which the loader will say

    def import_file() -> Any:
        if name in sys.modules and getattr(sys.modules[name], "__file__", None) != str(code):
            raise ImportError(f"two files are called {path.stem}: {sys.modules[name].__file__} and {code}")
        if not code.is_file():
            raise FileNotFoundError(f"no such file: {code}")
        spec = importlib.util.spec_from_file_location(name, code)
        if spec is None or spec.loader is None:
            raise ImportError(f"{code} is no Python file")
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module  # before it runs, as import does: its components name it as their module
        try:
            spec.loader.exec_module(module)
        except BaseException:
            del sys.modules[name]
            raise
        return module

    return Source(Provider(str(path), version, path.stem, is_file=True), import_file)


def _check_hooks(module: Any) -> None:
    """A misspelt hook, or one without its decorator, would otherwise silently never be called."""
    known = [name for name in dir(hookspecs) if name.startswith("metasearch_")]
    marker = f"{hookspecs.PROJECT}_impl"
    for name in dir(module):
        function = getattr(module, name)
        if hasattr(function, marker) and name not in known:
            raise AttributeError(f"there is no hook {name!r}; {did_you_mean(name, known)}known: {', '.join(known)}")
        if name in known and callable(function) and not hasattr(function, marker):
            raise AttributeError(f"{name} lacks the decorator @hookimpl")


def _collect(manager: pluggy.PluginManager) -> Iterator[tuple[str, Component]]:
    for kind in KINDS:
        seen: set[str] = set()
        for components in getattr(manager.hook, f"metasearch_register_{kind}")():
            for component in components:
                _check(kind, component)
                for name in (component.name, *component.aliases):
                    if name in seen:
                        raise ValueError(f"metasearch_register_{kind}: {name!r} is registered twice")
                    seen.add(name)
                yield kind, component


def _check(kind: str, component: object) -> None:
    if not isinstance(component, Component):
        raise TypeError(f"metasearch_register_{kind} returned {component!r}, expected Component records")
    where = f"{kind} {component.name!r}"
    if isinstance(component.aliases, str):
        raise TypeError(f"{where}: aliases is the text {component.aliases!r}, expected a tuple of names")
    for name in (component.name, *component.aliases):
        if not (isinstance(name, str) and _NAME.match(name)):
            raise ValueError(f"metasearch_register_{kind}: {name!r} is no component name (lower case, digits, '-' and '.')")
    if not (isinstance(component.target, str) and ":" in component.target):
        raise ValueError(f"{where}: target {component.target!r} is not 'package.module:Class'")
    if not isinstance(component.summary, str) or "\n" in component.summary:
        raise ValueError(f"{where}: the summary must be one line of text, not {component.summary!r}")
    for name in ("options", "implies"):
        if not isinstance(getattr(component, name), Mapping):
            raise TypeError(f"{where}: {name} is {getattr(component, name)!r}, expected a dictionary")
    for option, schema in component.options.items():
        if not isinstance(schema, Mapping):
            raise TypeError(f"{where}: the schema of option {option!r} is {schema!r}, expected a JSON Schema property")
        if "default" not in schema:
            raise ValueError(f"{where}: option {option!r} has no default in its schema")
