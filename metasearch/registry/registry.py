"""What the loaded plugins register, and how a name becomes a component."""

from __future__ import annotations

import importlib
import importlib.util
import os
import traceback
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from importlib import metadata
from typing import Any

from metasearch.errors import ConfigError, MetasearchError, PluginError, did_you_mean
from metasearch.registry.component import KINDS, Check, Component, Provider
from metasearch.registry.loading import SHIPPED, STRICT, Broken, Loaded, load, sources


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

    def create(self, **options: Any) -> Any:
        """Import the class and construct it.

        Raises:
            PluginError: it cannot be imported, or its constructor fails with an error of no kind that is meant for users.
        """
        cls = self.load()
        try:
            return cls(**options)
        except MetasearchError:
            raise
        except Exception as error:
            if self.provider.distribution == SHIPPED:
                raise
            raise PluginError(
                f"{self.kind} {self.name!r} of {self.provider} could not be made with the options {options}: "
                f"{type(error).__name__}: {error}"
            ) from error


class Registry:
    """All components of all installed plugins.

    Nothing is loaded until the first look-up; then every plugin is loaded (:mod:`metasearch.registry.loading`), shipped
    ones first, each on its own: a plugin that fails costs one entry in :attr:`broken` and only its own names. Components'
    classes are imported only by :meth:`Registered.load`.

    Args:
        entry_points: the entry points to load instead of the installed ones (for tests).
    """

    def __init__(self, entry_points: Iterable[metadata.EntryPoint] | None = None) -> None:
        self._given = None if entry_points is None else list(entry_points)
        self._components: dict[str, dict[str, list[Registered]]] | None = None
        self._loaded: list[Loaded] = []
        self._broken: list[Broken] = []
        self._disabled: list[str] = []

    # -- loading ---------------------------------------------------------------------------------------------------

    @property
    def broken(self) -> list[Broken]:
        """Plugins that could not be loaded."""
        self._load()
        return self._broken

    @property
    def disabled(self) -> list[str]:
        """Names of plugins that a switch leaves out."""
        self._load()
        return self._disabled

    def _load(self) -> dict[str, dict[str, list[Registered]]]:
        if self._components is not None:
            return self._components
        self._components = {kind: {} for kind in KINDS}
        found, self._broken, self._disabled = sources(self._given)
        for source in found:
            outcome = load(source)
            if isinstance(outcome, Broken):
                self._broken.append(outcome)
                continue
            self._loaded.append(outcome)
            for kind, component in outcome.components:
                item = Registered(kind, component, outcome.provider)
                for name in (item.name, *component.aliases):
                    self._components[kind].setdefault(name, []).append(item)
        return self._components

    def check_strict(self) -> None:
        """Refuse broken plugins where the user asked for it.

        Raises:
            PluginError: ``METASEARCH_STRICT_PLUGINS=1``, and a plugin could not be loaded.
        """
        if os.environ.get(STRICT, "0") not in ("", "0") and self.broken:
            raise PluginError("\n".join([*warnings_of_broken(self), f"{STRICT} is set, so this is an error"]))

    # -- look-up ---------------------------------------------------------------------------------------------------

    def names(self, kind: str) -> list[str]:
        """Names (without aliases) of all components of a kind, sorted."""
        self.check_strict()
        return sorted({item.name for items in self._load()[kind].values() for item in items})

    def __iter__(self) -> Iterator[Registered]:
        for kind in KINDS:
            seen: set[int] = set()
            for name in sorted(self._load()[kind]):
                for item in self._load()[kind][name]:
                    if id(item) not in seen:
                        seen.add(id(item))
                        yield item

    def claims(self, item: Registered) -> list[Registered]:
        """Who else claims the component's name or one of its aliases."""
        found = self._load()[item.kind]
        rivals = [other for name in (item.name, *item.component.aliases) for other in found[name] if other is not item]
        return list({id(other): other for other in rivals}.values())

    def find(self, kind: str, name: str, prefer: Provider | None = None) -> Registered:
        """Resolve a name, an alias, or ``distribution:name`` where two packages claim one name.

        Args:
            kind: ``"encoder"``, ``"algo"``, ...
            name: as users write it.
            prefer: who meant the name, where no user typed it: of several claims this provider's own holds, else the shipped one.

        Raises:
            ConfigError: there is no such component; the message names the close matches and all names.
            PluginError: several plugins claim the name, or an option's schema is none.
        """
        self.check_strict()
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
        for owner in (prefer.distribution, SHIPPED) if prefer else ():
            own = [item for item in found if item.provider.distribution == owner]
            found = own or found
        if len(found) > 1:
            claims = " and ".join(f"{item.provider} ({item.component.target})" for item in found)
            ways = " or ".join(f"{kind}={item.provider.distribution}:{item.name}" for item in found)
            raise PluginError(f"{kind}={name}: claimed by {claims}; say which one: {ways}")
        _check_schemas(found[0])
        return found[0]

    def behind(self, error: BaseException) -> Provider | None:
        """The plugin, not one of ours, whose code the error came out of last; None if no such code was running."""
        owners = {item.component.target.split(".")[0].split(":")[0]: item.provider for item in self}
        frames = [frame.f_globals.get("__name__", "") for frame, _ in traceback.walk_tb(error.__traceback__)]
        names = [name.split(".")[0] for name in reversed(frames)]
        found = next((owners[name] for name in names if name in owners), None)
        return None if found is None or found.distribution == SHIPPED else found

    def checks(self) -> list[Check]:
        """What the plugins have to say for ``metasearch doctor``."""
        self._load()
        found: list[Check] = []
        for plugin in self._loaded:
            try:
                said = [check for checks in plugin.manager.hook.metasearch_doctor() for check in checks]
                if not all(isinstance(check, Check) for check in said):
                    raise TypeError(f"it returned {said!r}, expected Check records")
                found += said
            except (Exception, SystemExit) as error:  # one plugin's trouble must not hide what the others have to say
                cause = f"its doctor hook failed: {type(error).__name__}: {error}"
                found.append(Check(f"plugin {plugin.provider}", None, cause))
        return found

    def create(self, kind: str, name: str, **options: Any) -> Any:
        """Resolve, import and construct a component.

        Example:
            >>> from metasearch.registry import registry
            >>> registry.create("metric", "map", cutoff=20).primary
            'map@20'
        """
        return self.find(kind, name).create(**options)


def _check_schemas(item: Registered) -> None:
    """A plugin's schema that is none must not look like a mistake of the user's. Ours are tested."""
    if item.provider.distribution == SHIPPED:
        return
    import jsonschema

    for option, schema in item.component.options.items():
        try:
            jsonschema.Draft202012Validator.check_schema(dict(schema))
        except jsonschema.SchemaError as error:
            where = f"{item.kind} {item.name!r} of {item.provider}: the schema of its option {option!r} is not JSON Schema"
            raise PluginError(f"{where}: {error.message}") from error


def warnings_of_broken(found: Registry) -> list[str]:
    """One warning per broken plugin, with its trace under ``--verbose``."""
    verbose = bool(os.environ.get("METASEARCH_VERBOSE"))
    return [f"{broken}\n{broken.trace}" if verbose else str(broken) for broken in found.broken]


registry = Registry()
