"""Which data set reads a path."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from metasearch.core import Dataset, expand
from metasearch.errors import DataError, PluginError
from metasearch.registry import Registered, registry


def recognise(path: str, warn: Callable[[str], None]) -> tuple[type[Dataset], Path | None]:
    """Find the data set that a path or a name stands for.

    Args:
        path: a folder or file of a format that a data set says it :meth:`~metasearch.core.Dataset.reads`, or the name of one that
            comes with its data, such as ``mini``.
        warn: is told of plugins that could not be asked.

    Returns:
        The class, and what to give it as ``path``; None for one that comes with its data.

    Raises:
        DataError: there is no such path, or nobody reads it.
    """
    names = registry.names("data")
    if path in names and "path" not in registry.find("data", path).component.options:
        return registry.find("data", path).load(), None
    place = expand(path, "path")
    if not place.exists():
        raise DataError(f"{path}: no such file or folder")
    cls = reader_of(place, warn)
    if cls is not None:
        return cls, place
    formats = ", ".join(f"{item.name} ({item.component.summary})" for item in _with_path())
    raise DataError(f"{path}: no data set of a known format; known: {formats}; or a name: {', '.join(names)}")


def reader_of(place: Path, warn: Callable[[str], None]) -> type[Dataset] | None:
    """The first data set that says it reads a folder or file; None if none does."""
    for item in _with_path():
        try:
            cls: type[Dataset] = item.load()
        except PluginError as error:  # somebody else's trouble: this data may be of another format
            warn(str(error))
            continue
        if cls.reads(place):
            return cls
    return None


def _with_path() -> list[Registered]:
    return [item for item in registry if item.kind == "data" and "path" in item.component.options]


def make_dataset(path: str, warn: Callable[[str], None]) -> Dataset:
    """The data set that a path or a name stands for, made (see :func:`recognise`)."""
    cls, place = recognise(path, warn)
    return cls() if place is None else cls(path=str(place))  # type: ignore[call-arg]
