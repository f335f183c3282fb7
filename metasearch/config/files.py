"""YAML files: read strictly, written so that they read back the same."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

from metasearch.config.values import DEEPEST
from metasearch.errors import ConfigError

_LARGEST = 2**20  # bytes; parsing ten megabytes takes long, to find that they are no configuration


class _Loader(yaml.SafeLoader):
    """YAML with version 1.2's idea of scalars: ``no`` is a string (Norwegian), ``1e-3`` is a number."""

    yaml_implicit_resolvers = {}  # noqa: RUF012 (PyYAML wants it so: its own resolvers are replaced)

    depth = 0

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        """A node; no alias, which may stand for itself, or for a billion others, and none that is too deep inside others."""
        event: Any = self.peek_event()  # type: ignore[no-untyped-call]
        if self.check_event(yaml.AliasEvent):
            raise yaml.composer.ComposerError(None, None, f"*{event.anchor}: no aliases; write it out", event.start_mark)
        self.depth += 1
        if self.depth > DEEPEST:
            raise yaml.composer.ComposerError(None, None, f"nested more than {DEEPEST} deep", event.start_mark)
        found: yaml.Node | None = super().compose_node(parent, index)
        self.depth -= 1
        return found


_Loader.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile(r"^(?:true|True|TRUE|false|False|FALSE)$"), list("tTfF"))
_Loader.add_implicit_resolver("tag:yaml.org,2002:int", re.compile(r"^[-+]?[0-9]+$"), list("-+0123456789"))
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"^[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?$"),
    list("-+0123456789."),
)
_Loader.add_implicit_resolver("tag:yaml.org,2002:null", re.compile(r"^(?:~|null|Null|NULL|)$"), ["~", "n", "N", ""])


def _mapping(loader: _Loader, node: yaml.MappingNode) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key_node, value_node in node.value:
        key = loader.construct_object(key_node, deep=True)
        if not isinstance(key, str):
            raise yaml.constructor.ConstructorError(None, None, f"key {key!r} is not a word", key_node.start_mark)
        if key in found:
            raise yaml.constructor.ConstructorError(None, None, f"key {key!r} stands twice", key_node.start_mark)
        found[key] = loader.construct_object(value_node, deep=True)
    return found


def _integer(loader: _Loader, node: yaml.ScalarNode) -> int:
    return int(loader.construct_scalar(node))


_Loader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _mapping)
# A leading zero means nothing (in YAML 1.1, octal).
_Loader.add_constructor("tag:yaml.org,2002:int", _integer)


def read_yaml(path: Path) -> dict[str, Any]:
    """Read a configuration file.

    Raises:
        ConfigError: the file is missing, has more than a megabyte, is not UTF-8, is not YAML, or holds something else than
            ``key: value``; the message names file and line.
    """
    try:
        with path.open("rb") as file:
            raw = file.read(_LARGEST + 1)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror or error}") from error
    if len(raw) > _LARGEST:
        raise ConfigError(f"{path}: more than {_LARGEST} bytes; no configuration is that long")
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: not UTF-8 text (byte {error.start})") from error
    return parse_yaml(text, str(path))


def parse_yaml(text: str, name: str) -> dict[str, Any]:
    """Parse the text of a configuration file called ``name`` (see :func:`read_yaml`)."""
    try:
        # _Loader is a SafeLoader: it builds no object beyond plain data.
        found = yaml.load(text, Loader=_Loader)  # noqa: S506
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        place = f":{mark.line + 1}" if mark else ""
        raise ConfigError(f"{name}{place}: not valid YAML: {error.problem}") from error
    except yaml.reader.ReaderError as error:  # a character that YAML forbids
        line = text.count("\n", 0, error.position) + 1
        raise ConfigError(f"{name}:{line}: not valid YAML: {str(error).splitlines()[0]}") from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise ConfigError(f"{name}: not valid YAML: {str(error).splitlines()[0]}") from error
    if found is None:
        return {}
    if not isinstance(found, dict):
        raise ConfigError(f"{name}: expected `key: value` lines, found {type(found).__name__}")
    return found


def dump_yaml(values: dict[str, Any]) -> str:
    """Write a configuration as YAML, keys in the given order."""
    return yaml.dump(values, Dumper=_Dumper, sort_keys=False, allow_unicode=True, default_flow_style=None, width=100)


class _Dumper(yaml.SafeDumper):
    """Block style for mappings, flow style for lists of words, no aliases."""

    def ignore_aliases(self, data: object) -> bool:
        return True

    def represent_mapping(self, tag: str, mapping: Any, flow_style: bool | None = None) -> yaml.MappingNode:
        return super().represent_mapping(tag, mapping, flow_style=False)


def _float(dumper: _Dumper, value: float) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:float", repr(value))


def _text(dumper: _Dumper, value: str) -> yaml.ScalarNode:
    # Line breaks other than \\n, which YAML would fold into a space, survive between double quotes only.
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=None if value.isprintable() else '"')


_Dumper.add_representer(float, _float)
_Dumper.add_representer(str, _text)
# What the loader takes for a number, a boolean or null needs quotes when it is a string, and nothing else does.
_Dumper.yaml_implicit_resolvers = _Loader.yaml_implicit_resolvers
