"""Compose a configuration: defaults < what components imply < preset < file < command line; then validate it."""

from __future__ import annotations

import copy
import math
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from pathlib import Path
from typing import Any

from metasearch.config.files import dump_yaml, parse_yaml, read_yaml
from metasearch.config.overrides import Override, parse_overrides
from metasearch.config.schema import (
    COMMON,
    DEFAULT_COMPONENTS,
    FIXED,
    component_options,
    fixed_defaults,
    full_schema,
)
from metasearch.errors import ConfigError, PluginError, did_you_mean
from metasearch.registry import RUN_KINDS, Provider, Registered, Registry, registry
from metasearch.registry.loading import SHIPPED

_ORDER = ("preset", *RUN_KINDS, "mode", "train", "valid", "eval", "seed", "device", "precision", "out")
_TYPES = {"object": "a group of keys", "array": "a list", "null": "null", "integer": "a whole number", "string": "text"}
_NO_TEXT = re.compile(r"[\x00\ud800-\udfff]")  # no path has the one, no file the others
COMMAND_LINE = "the command line"


@dataclass(frozen=True)
class Config:
    """A complete, validated configuration.

    Attributes:
        values: nested: ``values["algo"]["inner_steps"]``; a component group also holds ``name``.
        components: kind -> the chosen component.
        origins: dotted key -> where its value came from, for keys that are not at their default.
    """

    values: Mapping[str, Any]
    components: Mapping[str, Registered]
    origins: Mapping[str, str]

    def __getitem__(self, key: str) -> Any:
        """Value of a dotted key: ``config["algo.inner_steps"]``; a group gives its dictionary."""
        found: Any = self.values
        for part in key.split("."):
            found = found[part]
        return found

    @property
    def kind(self) -> str:
        """Of the data, ``"triplets"`` or ``"pairs"``: a mode's name stands for other languages in each. Imports the data set."""
        found: str = self.components["data"].load().kind
        return found

    def __contains__(self, key: str) -> bool:
        """Whether there is such a dotted key."""
        group, _, option = key.partition(".")
        return group in self.values and (not option or option in self.values[group])

    def options(self, kind: str) -> dict[str, Any]:
        """The keyword arguments of a component's class."""
        common = COMMON.get(kind, {})
        return {k: copy.deepcopy(v) for k, v in self.values[kind].items() if k != "name" and k not in common}

    def create(self, kind: str) -> Any:
        """Import and construct the chosen component of a kind."""
        return self.components[kind].create(**self.options(kind))

    def to_yaml(self, **changed: Any) -> str:
        """The resolved configuration, with top-level keys ``changed``; ``metasearch run --config`` reads it back."""
        return dump_yaml({**self.values, **changed})


def presets() -> list[str]:
    """Names of the shipped presets."""
    folder = resources.files("metasearch.config") / "presets"
    return sorted(item.name[: -len(".yaml")] for item in folder.iterdir() if item.name.endswith(".yaml"))


def compose(
    *words: str,
    file: str | Path | None = None,
    defaults: Mapping[str, Any] | None = None,
    components: Registry = registry,
) -> Config:
    """Compose and validate a configuration.

    Args:
        words: overrides such as ``"algo=maml"`` (grammar: :mod:`metasearch.config.overrides`).
        file: a YAML configuration file.
        defaults: dotted keys that replace the built-in defaults, below presets (``evaluate`` uses it).
        components: where names are looked up.

    Raises:
        ConfigError: an unknown key, a wrong type, an impossible value, or an unknown component. The message names the key, the
            value, where it came from, what is allowed and the nearest valid key.

    Example:
        >>> config = compose("algo=maml", "algo.inner_steps=3", "seed=7")
        >>> config["algo.inner_steps"], config["seed"], config["mode"]
        (3, 7, 'trans')
    """
    overrides = parse_overrides(words)
    from_file = _flatten(read_yaml(Path(file))) if file is not None else {}
    preset = _preset_name(overrides, from_file, str(file))
    chosen = _choose_components(overrides, from_file, str(file), components, preset)
    known = _known_keys(chosen)

    values: dict[str, Any] = fixed_defaults()
    for kind, item in chosen.items():
        values[f"{kind}.name"] = _spoken_name(item, components)
        values.update({f"{kind}.{k}": s["default"] for k, s in component_options(item).items()})
    values.update({k: v for k, v in (defaults or {}).items() if k in known})
    origins: dict[str, str] = {}

    def put(key: str, value: Any, origin: str) -> None:
        if key in FIXED and isinstance(value, Mapping):
            for name, inner in _flatten(value, f"{key}.").items():
                put(name, inner, origin)
            return
        if key not in known:
            raise ConfigError(unknown_key(key, origin, known, chosen))
        values[key] = copy.deepcopy(value)
        origins[key] = origin

    implied = [
        (item, key, value) for item in chosen.values() for key, value in item.component.implies.items() if key not in RUN_KINDS
    ]
    for item, key, value in sorted(implied, key=lambda entry: isinstance(entry[2], Mapping)):  # the specific ones last
        if not isinstance(value, Mapping):
            put(key, value, f"{item.kind}={item.name}")
        elif chosen["algo"].name in value:
            put(key, value[chosen["algo"].name], f"{item.kind}={item.name}")
    base = dict(values)  # what a dropped key falls back to
    for key, value in _preset_values(preset, chosen, known).items():
        put(key, value, f"preset {preset}")
    for key, value in from_file.items():
        if key not in RUN_KINDS and not key.endswith(".name"):
            if _stale(key, chosen, from_file):
                continue
            put(key, value, str(file))
    for override in overrides:
        key = override.key
        if key in RUN_KINDS or key.removesuffix(".name") in RUN_KINDS:
            continue
        if override.action == "drop":
            if key not in known:
                raise ConfigError(unknown_key(key, COMMAND_LINE, known, chosen))
            values[key] = base[key]
            origins.pop(key, None)
            continue
        if override.action == "add" and key in origins:
            raise ConfigError(f"{override.word}: {key} is already {values[key]!r} (from {origins[key]}); use {key}= or ++{key}=")
        put(key, override.value, COMMAND_LINE)

    nested = _nest(values)
    validate(nested, full_schema(chosen), origins)
    return Config(nested, chosen, origins)


# -- components --------------------------------------------------------------------------------------------------------


def _choose_components(
    overrides: list[Override], from_file: Mapping[str, Any], file: str, components: Registry, preset: str
) -> dict[str, Registered]:
    asked: dict[str, str] = {}
    origin: dict[str, str] = {}
    for kind in RUN_KINDS:
        for key in (kind, f"{kind}.name"):
            if key in from_file:
                asked[kind], origin[kind] = from_file[key], file
    for override in overrides:
        kind = override.key.removesuffix(".name")
        if kind in RUN_KINDS:
            if override.action == "drop":
                asked.pop(kind, None)
            else:
                asked[kind], origin[kind] = override.value, COMMAND_LINE
    for kind, name in asked.items():
        if not isinstance(name, str):
            raise ConfigError(f"{kind}={name!r} (from {origin[kind]}): expected the name of a component")
    chosen = {kind: _find(components, kind, asked[kind], origin[kind]) for kind in RUN_KINDS if kind in asked}
    for kind in RUN_KINDS:
        if kind not in chosen:
            # Names that nobody typed mean what their author knew: another plugin that claims one breaks no default.
            shipped = Provider(SHIPPED, "", "")
            implied = [(name, shipped) for name in _preset_components(preset, kind, chosen)]
            implied += [(c.component.implies[kind], c.provider) for c in chosen.values() if kind in c.component.implies]
            name, meant_by = [*implied, (DEFAULT_COMPONENTS[kind], shipped)][0]
            chosen[kind] = components.find(kind, name, prefer=meant_by)
    return {kind: chosen[kind] for kind in RUN_KINDS}


def _find(components: Registry, kind: str, name: str, origin: str) -> Registered:
    try:
        return components.find(kind, name)
    except ConfigError as error:
        if origin == COMMAND_LINE:
            raise
        raise ConfigError(f"{origin}: {error}") from error


def _spoken_name(item: Registered, components: Registry) -> str:
    """The name that finds this component again: ``dist:name`` where the plain name is claimed twice."""
    try:
        components.find(item.kind, item.name)
    except PluginError:
        return f"{item.provider.distribution}:{item.name}"
    return item.name


def _stale(key: str, chosen: Mapping[str, Registered], from_file: Mapping[str, Any]) -> bool:
    """Whether a file's option belongs to a component that the command line has replaced by another."""
    kind, _, option = key.partition(".")
    if kind not in RUN_KINDS or option in COMMON.get(kind, {}):
        return False
    named = from_file.get(kind, from_file.get(f"{kind}.name"))
    return named is not None and named.rpartition(":")[2] not in (chosen[kind].name, *chosen[kind].component.aliases)


# -- presets -----------------------------------------------------------------------------------------------------------


def _preset_name(overrides: list[Override], from_file: Mapping[str, Any], file: str) -> str:
    name, place = from_file.get("preset", FIXED["preset"]["default"]), f"{file}: "
    for override in overrides:
        if override.key == "preset":
            name, place = (FIXED["preset"]["default"] if override.action == "drop" else override.value), ""
    known = presets()
    if name not in known:
        raise ConfigError(f"{place}preset={name}: no such preset; {did_you_mean(str(name), known)}known: {', '.join(known)}")
    return str(name)


def _preset_values(name: str, chosen: Mapping[str, Registered], known: set[str]) -> dict[str, Any]:
    """A preset's keys; a block ``algo=maml:``, or ``algo=maml encoder=triplet:``, holds only when these components are chosen.

    The keys of a block are options of the first of them.
    In a block a key with a dot is one of another group, ``algo.outer_lr``, for where the chosen component has it; ``mode`` is the
    transfer mode, and the name of a kind (``loss``) chooses its component (:func:`_preset_components`).
    """
    values: dict[str, Any] = {}
    blocks: dict[str, Any] = {}
    others: dict[str, Any] = {}
    for key, value in _read_preset(name).items():
        kind, equals, _ = key.partition("=")
        if not equals:
            values.update(_flatten({key: value}))
        elif _holds(key, chosen):
            elsewhere = {key for key in value if "." in key or key in (*RUN_KINDS, "mode")}
            blocks.update(_flatten({key: inner for key, inner in value.items() if key not in elsewhere}, f"{kind}."))
            others.update({key: inner for key, inner in value.items() if key in elsewhere & known})
    return {**values, **blocks, **others}


def _preset_components(name: str, kind: str, chosen: Mapping[str, Registered]) -> list[str]:
    """The components of a kind that the preset's blocks of the components chosen so far ask for."""
    blocks = ((key, value) for key, value in _read_preset(name).items() if "=" in key)
    return [block[kind] for key, block in blocks if kind in block and _holds(key, chosen)]


def _holds(block: str, chosen: Mapping[str, Registered]) -> bool:
    """Whether all components that a block is for have been chosen."""
    wanted = (word.partition("=") for word in block.split())
    return all(kind in chosen and chosen[kind].name == component for kind, _, component in wanted)


@lru_cache
def _read_preset(name: str) -> Mapping[str, Any]:
    text = (resources.files("metasearch.config") / "presets" / f"{name}.yaml").read_text(encoding="utf-8")
    return parse_yaml(text, f"preset {name}")


# -- keys --------------------------------------------------------------------------------------------------------------


def _known_keys(chosen: Mapping[str, Registered]) -> set[str]:
    known = set(fixed_defaults())
    for kind, item in chosen.items():
        known |= {f"{kind}.{option}" for option in component_options(item)}
    return known


def unknown_key(key: str, origin: str, known: Collection[str], chosen: Mapping[str, Registered]) -> str:
    """Say that there is no such key, and which there are; ``chosen`` are the components, by kind."""
    group = key.partition(".")[0]
    if group in chosen:
        inside = sorted(k for k in known if k.startswith(f"{group}."))
        of = f"{group}={chosen[group].name} has the keys {', '.join(inside) or 'none'}"
    elif group in FIXED and FIXED[group].get("type") == "object":
        of = f"known in {group}: {', '.join(sorted(k for k in known if k.startswith(f'{group}.')))}"
    else:
        of = f"known: {', '.join(_ORDER)}"
    return f"{key}: no such key (from {origin}); {did_you_mean(key, {*known, *RUN_KINDS})}{of}"


def _flatten(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, Mapping) and (prefix + key).count(".") == 0:
            flat.update(_flatten(value, f"{prefix}{key}."))
        else:
            flat[prefix + key] = value
    return flat


def _nest(flat: Mapping[str, Any]) -> dict[str, Any]:
    nested: dict[str, Any] = {}
    for top in _ORDER:
        if top in flat:
            nested[top] = flat[top]
            continue
        inside = {key.partition(".")[2]: value for key, value in flat.items() if key.startswith(f"{top}.")}
        nested[top] = {"name": inside.pop("name"), **inside} if "name" in inside else inside
    return nested


# -- validation --------------------------------------------------------------------------------------------------------


def validate(nested: Mapping[str, Any], schema: Mapping[str, Any], origins: Mapping[str, str]) -> None:
    """Check values against a JSON Schema.

    Args:
        nested: the values.
        schema: what is allowed.
        origins: dotted key -> where its value came from.

    Raises:
        ConfigError: a line for each wrong value: key, value, origin, what is allowed.
    """
    import jsonschema

    # JSON Schema takes 8.0 for an integer; Python's range does not. And no setting is infinite.
    strict = jsonschema.Draft202012Validator.TYPE_CHECKER.redefine_many(
        {
            "integer": lambda _, value: isinstance(value, int) and not isinstance(value, bool),
            "number": lambda _, value: isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value),
        }
    )
    extend: Any = jsonschema.validators.extend  # untyped in the stubs
    validator = extend(jsonschema.Draft202012Validator, type_checker=strict)(schema)
    messages: list[str] = []
    for error in sorted(validator.iter_errors(nested), key=lambda e: [str(part) for part in e.absolute_path]):
        path = [part for part in error.absolute_path if isinstance(part, str)]
        place: Any = schema
        for part in path:
            place = place.get("properties", {}).get(part) or place.get("additionalProperties") or place
        messages.append(
            f"{'.'.join(path)}={spoken(_at(nested, path))} (from {_origin(path, origins)}): "
            f"expected {allowed(place)}. {place.get('description', '')}".rstrip()
        )
    for path, text in _texts(nested, []):
        if _NO_TEXT.search(text):
            messages.append(
                f"{'.'.join(path)}={text} (from {_origin(path, origins)}): holds a NUL or half a surrogate pair: no text"
            )
    if messages:
        raise ConfigError("\n".join(dict.fromkeys(messages)))


def _origin(path: list[str], origins: Mapping[str, str]) -> str:
    return next((origins[k] for k in (".".join(path), ".".join(path[:2])) if k in origins), "the defaults")


def _texts(value: Any, path: list[str]) -> Iterator[tuple[list[str], str]]:
    """Every text in a value, those of keys included, with the keys that lead to it."""
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, Mapping):
        for key, inside in value.items():
            yield path, key
            yield from _texts(inside, [*path, key])
    elif isinstance(value, list):
        for inside in value:
            yield from _texts(inside, path)


def _at(nested: Any, path: list[str]) -> Any:
    for part in path:
        nested = nested[part]
    return nested


def spoken(value: Any) -> str:
    """A value as users write it."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return str(value)


def allowed(schema: Mapping[str, Any]) -> str:
    """Say in words what a JSON Schema property allows, for messages and tables."""
    if "enum" in schema:
        return "one of " + ", ".join(spoken(v) for v in schema["enum"])
    if "const" in schema:
        return spoken(schema["const"])
    types = schema.get("type", "any value")
    words = [_TYPES.get(t, f"a {t}") for t in ([types] if isinstance(types, str) else types)]
    said = " or ".join(words)
    for key, word in (
        ("minimum", "at least"),
        ("exclusiveMinimum", "above"),
        ("maximum", "at most"),
        ("exclusiveMaximum", "below"),
    ):
        if key in schema:
            said += f", {word} {schema[key]}"
    if schema.get("minLength"):
        said += ", not empty"
    if "pattern" in schema:
        said += f" of the form {schema['pattern']}"
    if "items" in schema:
        said += f" of {allowed(schema['items'])}"
    return said
