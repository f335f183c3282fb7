"""Find plugins by their entry points, collect what they register, resolve names."""

from __future__ import annotations

import importlib
import importlib.util
import os
import re
import traceback
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from importlib import metadata
from typing import Any

import pluggy

from metasearch.errors import ConfigError, PluginError, did_you_mean
from metasearch.registry import hookspecs
from metasearch.registry.component import KINDS, Check, Component, Provider

GROUP = "metasearch.plugins"
DISABLE = "METASEARCH_DISABLE_PLUGINS"
NAME = re.compile(r"[a-z0-9][a-z0-9.-]*\Z")


@dataclass(frozen=True)
class Registered:
    """A component together with its kind and who provides it."""

    kind: str
    component: Component
    provider: Provider

    @property
    def name(self) -> str:
        return self.component.name

    @property
    def missing(self) -> list[str]:
        """Required modules that are not installed."""
        return [m for m in self.component.requires if importlib.util.find_spec(m.split(".")[0]) is None]

    def load(self) -> type[Any]:
        """Import the class.

        Raises:
            PluginError: the class cannot be imported, or is not of its kind.
        """
        module_name, _, class_name = self.component.target.partition(":")
        try:
            found = getattr(importlib.import_module(module_name), class_name)
        except Exception as error:
            need = f" It needs {', '.join(self.missing)}: {self.component.install}." if self.missing else ""
            raise PluginError(
                f"{self.kind} {self.name!r} of {self.provider} could not be loaded from {self.component.target}: "
                f"{type(error).__name__}: {error}.{need}"
            ) from error
        interface_module, _, interface_name = KINDS[self.kind].partition(":")
        interface = getattr(importlib.import_module(interface_module), interface_name)
        if not (isinstance(found, type) and issubclass(found, interface)):
            raise PluginError(
                f"{self.kind} {self.name!r} of {self.provider}: {self.component.target} is not a subclass of {interface_name}"
            )
        return found


@dataclass(frozen=True)
class Broken:
    """A plugin that could not be loaded, and why."""

    provider: Provider
    cause: str
    trace: str

    def __str__(self) -> str:
        return (
            f'plugin {self.provider} (entry point "{self.provider.entry_point}") could not be loaded: {self.cause}. '
            f"Its components are unavailable. Reinstall it, or set {DISABLE}={self.provider.entry_point}. "
            "Full trace: --verbose"
        )


class Registry:
    """All components of all installed plugins.

    Nothing is loaded until the first look-up; then every entry point of the group ``metasearch.plugins`` is loaded, shipped
    ones first, each on its own: a plugin that fails costs one entry in :attr:`broken` and only its own names. Components'
    classes are imported only by :meth:`Registered.load`.

    Args:
        entry_points: the entry points to load instead of the installed ones (for tests).
    """

    def __init__(self, entry_points: Iterable[metadata.EntryPoint] | None = None) -> None:
        self._given = None if entry_points is None else list(entry_points)
        self._components: dict[str, dict[str, list[Registered]]] | None = None
        self._managers: list[tuple[pluggy.PluginManager, Provider]] = []
        self.broken: list[Broken] = []
        self.disabled: list[str] = []

    # -- loading ---------------------------------------------------------------------------------------------------

    def _entry_points(self) -> list[metadata.EntryPoint]:
        found = list(metadata.entry_points(group=GROUP)) if self._given is None else self._given
        unique = {(e.name, e.value): e for e in found}  # an editable install may be listed twice
        return sorted(unique.values(), key=lambda e: (_provider(e).distribution != "metasearch", e.name, e.value))

    def _load(self) -> dict[str, dict[str, list[Registered]]]:
        if self._components is not None:
            return self._components
        self._components = {kind: {} for kind in KINDS}
        disabled = {name.strip() for name in os.environ.get(DISABLE, "").split(",") if name.strip()}
        for entry_point in self._entry_points():
            provider = _provider(entry_point)
            if entry_point.name in disabled or provider.distribution in disabled:
                self.disabled.append(entry_point.name)
                continue
            try:
                manager = _load_plugin(entry_point)
                registered = list(_collect(manager, provider))
            except Exception as error:  # whatever a plugin does wrong must not take the rest down
                cause = f"{type(error).__name__}: {error}"
                self.broken.append(Broken(provider, cause, traceback.format_exc()))
                continue
            self._managers.append((manager, provider))
            for item in registered:
                for name in (item.name, *item.component.aliases):
                    self._components[item.kind].setdefault(name, []).append(item)
        return self._components

    # -- look-up ---------------------------------------------------------------------------------------------------

    def names(self, kind: str) -> list[str]:
        """Names (without aliases) of all components of a kind, sorted."""
        return sorted({item.name for items in self._load()[kind].values() for item in items})

    def __iter__(self) -> Iterator[Registered]:
        for kind in KINDS:
            seen: set[int] = set()
            for name in sorted(self._load()[kind]):
                for item in self._load()[kind][name]:
                    if id(item) not in seen:
                        seen.add(id(item))
                        yield item

    def find(self, kind: str, name: str) -> Registered:
        """Resolve a name, an alias, or ``distribution:name`` where two packages claim one name.

        Raises:
            ConfigError: there is no such component; the message names the close matches and all names.
            PluginError: several plugins claim the name.
        """
        if kind not in KINDS:
            raise ConfigError(f"no such kind of component: {kind!r}; {did_you_mean(kind, KINDS)}known: {', '.join(KINDS)}")
        distribution, _, plain = name.rpartition(":")
        found = self._load()[kind].get(plain, [])
        if distribution:
            found = [item for item in found if item.provider.distribution == distribution]
        if not found:
            message = (
                f"{kind}={name}: no {kind} has this name; {did_you_mean(name, self._load()[kind])}"
                f"known: {', '.join(self.names(kind)) or 'none'}"
            )
            raise ConfigError("\n".join([message, *(str(broken) for broken in self.broken)]))
        if len(found) > 1:
            claims = " and ".join(f"{item.provider} ({item.component.target})" for item in found)
            ways = " or ".join(f"{kind}={item.provider.distribution}:{item.name}" for item in found)
            raise PluginError(f"{kind}={name}: claimed by {claims}; say which one: {ways}")
        return found[0]

    def checks(self) -> list[Check]:
        """What the plugins have to say for ``metasearch doctor``."""
        self._load()
        found: list[Check] = []
        for manager, provider in self._managers:
            try:
                found += [check for checks in manager.hook.metasearch_doctor() for check in checks]
            except Exception as error:  # one plugin's trouble must not hide what the others have to say
                found.append(Check(f"plugin {provider}", None, f"its doctor hook failed: {type(error).__name__}: {error}"))
        return found

    def create(self, kind: str, name: str, **options: Any) -> Any:
        """Resolve, import and construct a component.

        Example:
            >>> from metasearch.registry import registry
            >>> registry.create("metric", "map", cutoff=20).primary
            'map@20'
        """
        return self.find(kind, name).load()(**options)


def _provider(entry_point: metadata.EntryPoint) -> Provider:
    distribution = entry_point.dist
    if distribution is None:
        return Provider(entry_point.value.partition(":")[0].split(".")[0], "unknown", entry_point.name)
    return Provider(distribution.metadata["Name"], distribution.version, entry_point.name)


def _load_plugin(entry_point: metadata.EntryPoint) -> pluggy.PluginManager:
    """Load one plugin in a manager of its own, so that a mistake in it is attributed to it."""
    manager = pluggy.PluginManager(hookspecs.PROJECT)
    manager.add_hookspecs(hookspecs)
    manager.register(entry_point.load(), name=entry_point.name)
    manager.check_pending()  # a misspelt hook would otherwise silently never be called
    return manager


def _collect(manager: pluggy.PluginManager, provider: Provider) -> Iterator[Registered]:
    for kind in KINDS:
        for components in getattr(manager.hook, f"metasearch_register_{kind}")():
            for component in components:
                _check(kind, component)
                yield Registered(kind, component, provider)


def _check(kind: str, component: object) -> None:
    if not isinstance(component, Component):
        raise TypeError(f"metasearch_register_{kind} returned {component!r}, expected Component records")
    for name in (component.name, *component.aliases):
        if not NAME.match(name):
            raise ValueError(f"metasearch_register_{kind}: {name!r} is no component name (lower case, digits, '-' and '.')")
    if ":" not in component.target:
        raise ValueError(f"{kind} {component.name!r}: target {component.target!r} is not 'package.module:Class'")
    for option, schema in component.options.items():
        if "default" not in schema:
            raise ValueError(f"{kind} {component.name!r}: option {option!r} has no default in its schema")


def warnings_of_broken(found: Registry) -> list[str]:
    """One warning per broken plugin, with its trace under ``--verbose``."""
    verbose = bool(os.environ.get("METASEARCH_VERBOSE"))
    return [f"{broken}\n{broken.trace}" if verbose else str(broken) for broken in found.broken]


registry = Registry()
