"""Settings of one component that is no part of a run, such as an index."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from metasearch.config.compose import COMMAND_LINE, unknown_key, validate
from metasearch.config.overrides import Override
from metasearch.errors import ConfigError
from metasearch.registry import Registered


def chosen_options(item: Registered, overrides: Sequence[Override]) -> dict[str, Any]:
    """The keyword arguments of a component's class: its defaults, and what ``KIND.OPTION=VALUE`` words say.

    Args:
        item: the component.
        overrides: words of its kind.

    Raises:
        ConfigError: an option that it does not have, or a value that it does not allow.

    Example:
        >>> from metasearch.config import parse_overrides
        >>> from metasearch.registry import registry
        >>> chosen_options(registry.find("index", "hnsw"), parse_overrides(["index.m=48"]))["m"]
        48
    """
    schema = item.component.options
    values = item.component.defaults()
    known = {f"{item.kind}.{option}" for option in schema}
    for override in overrides:
        if override.key not in known:
            raise ConfigError(unknown_key(override.key, COMMAND_LINE, known, {item.kind: item}))
        option = override.key.partition(".")[2]
        values[option] = schema[option]["default"] if override.action == "drop" else override.value
    properties = {item.kind: {"type": "object", "properties": dict(schema)}}
    origins = {override.key: COMMAND_LINE for override in overrides}
    validate({item.kind: values}, {"type": "object", "properties": properties}, origins)
    return values
