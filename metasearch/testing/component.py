"""The contract of component records: what a plugin registers against the class it names."""

from __future__ import annotations

import functools
import inspect
import re
import subprocess
import sys
from importlib import metadata
from typing import Any

from metasearch.config import compose
from metasearch.config.compose import spoken
from metasearch.errors import MetasearchError, PluginError
from metasearch.registry import RUN_KINDS, Registered, Registry, registry
from metasearch.registry.loading import GROUP
from metasearch.testing.demand import demand

_HEAVY = ("torch", "transformers", "sentence_transformers", "faiss", "pyarrow", "scipy", "matplotlib")


def check_component(kind: str, name: str, components: Registry = registry) -> None:
    """Check a component's record against its class, and that its plugin's module is light.

    The summary is one line; every option has a description, and a default that its own schema allows; options and the class's
    keyword arguments are the same, with the same defaults; the class docstring documents each; the class implements its kind's
    interface; a configuration that names the component composes.

    Args:
        kind: ``"encoder"``, ``"algo"``, ``"sampler"``, ``"loss"``, ``"data"``, ``"metric"`` or ``"index"``.
        name: as users write it.
        components: where to look it up; what is installed, unless told otherwise.

    Raises:
        AssertionError: what does not hold.

    Example:
        >>> check_component("loss", "triplet")
    """
    item = _find(kind, name, components)
    _check_summary(item)
    _check_schema(item)
    try:
        cls = item.load()
    except PluginError as error:
        raise AssertionError(str(error)) from error
    missing = sorted(getattr(cls, "__abstractmethods__", ()))
    demand(not missing, f"{cls.__name__} does not implement {', '.join(missing)}")
    _check_arguments(item, cls)
    _check_docstring(item, cls)
    _check_composes(kind, name, components)
    _check_light(item)


def _find(kind: str, name: str, components: Registry) -> Registered:
    try:
        return components.find(kind, name)
    except MetasearchError as error:
        raise AssertionError(f"{error}; is the package installed, with its entry point in the group {GROUP}?") from error


def _check_summary(item: Registered) -> None:
    summary = item.component.summary
    one_line = bool(summary.strip()) and "\n" not in summary
    demand(one_line, f"{item.kind} {item.name!r}: the summary is one line for `metasearch plugins list`, found {summary!r}")


def _check_schema(item: Registered) -> None:
    from jsonschema import Draft202012Validator

    for option, schema in item.component.options.items():
        where = f"{item.kind} {item.name!r}, option {option!r}"
        demand(bool(str(schema.get("description", "")).strip()), f"{where}: its schema has no description")
        demand("default" in schema, f"{where}: its schema has no default")
        Draft202012Validator.check_schema(dict(schema))
        errors = [error.message for error in Draft202012Validator(dict(schema)).iter_errors(schema["default"])]
        demand(not errors, f"{where}: the schema does not allow its own default: {'; '.join(errors)}")


def _check_arguments(item: Registered, cls: type[Any]) -> None:
    signature = inspect.signature(cls)
    named = [p for p in signature.parameters.values() if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]
    arguments = {p.name: p.default for p in named}
    declared = item.component.defaults()
    for option in declared:
        demand(
            option in arguments,
            f"{item.kind} {item.name!r} declares the option {option!r}, but {cls.__name__} takes no such argument",
        )
    for argument, default in arguments.items():
        demand(
            argument in declared,
            f"{cls.__name__} takes {argument!r}, which the record of {item.kind} {item.name!r} does not declare",
        )
        demand(
            default == declared[argument] and type(default) is type(declared[argument]),
            f"{item.kind} {item.name!r}, option {argument!r}: the record's default is {spoken(declared[argument])}, that of "
            f"{cls.__name__} {'missing' if default is inspect.Parameter.empty else spoken(default)}",
        )


def _check_docstring(item: Registered, cls: type[Any]) -> None:
    demand(bool(inspect.cleandoc(vars(cls).get("__doc__") or "")), f"{cls.__name__} has no docstring of its own")
    text = "\n".join(base.__doc__ or "" for base in cls.__mro__ if base is not object)
    for option in item.component.options:
        # "name: ..." at the beginning of a line, or "name, other: ..."; a list may be continued on the next line.
        documented = re.search(rf"^\s*(?:\w+,\s+)*{option}(?:,\s+\w+)*(?:,)?\s*:", text, re.MULTILINE)
        demand(
            bool(documented),
            f"the docstring of {cls.__name__} does not document the option {option!r} ('{option}: ...' under Args)",
        )


def _check_composes(kind: str, name: str, components: Registry) -> None:
    if kind not in RUN_KINDS:
        return
    try:
        compose(f"{kind}={name}", components=components)
    except MetasearchError as error:
        raise AssertionError(f"`metasearch run {kind}={name}` does not compose (look at implies): {error}") from error


def _check_light(item: Registered) -> None:
    for entry_point in metadata.entry_points(group=GROUP):
        owner = entry_point.dist.metadata["Name"] if entry_point.dist else None
        if (entry_point.name, owner) == (item.provider.entry_point, item.provider.distribution):
            heavy = _heavy_imports(entry_point.value.partition(":")[0])
            demand(
                not heavy,
                f"{entry_point.value} imports {', '.join(heavy)}: it is imported for every listing, so name the class in "
                "Component.target and import such things in the class's own module",
            )


@functools.cache
def _heavy_imports(module: str) -> tuple[str, ...]:
    """Which heavy packages a fresh interpreter has imported after this module."""
    code = f"import sys, {module}; print(*(m for m in {_HEAVY!r} if m in sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)  # noqa: S603 (our own words)
    demand(done.returncode == 0, f"import {module} fails in a fresh interpreter:\n{done.stderr}")
    return tuple(done.stdout.split())
