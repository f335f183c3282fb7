"""The words after ``metasearch run``: Hydra's grammar, without Hydra.

====================  ==========================================================================================
``key=value``         set a key; ``group=option`` (``algo=maml``) chooses a component
``+key=value``        set a key that nothing has set yet
``++key=value``       set a key whether it has a value or not (the same as ``key=value``; there for habit)
``~key``              forget what presets and files say of a key: its default holds
====================  ==========================================================================================
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

from metasearch.config.values import parse_value, split_top
from metasearch.errors import ConfigError

Action = Literal["set", "add", "force", "drop"]


@dataclass(frozen=True)
class Override:
    """One parsed word: what to do with ``key`` (dotted), and the typed ``value``."""

    action: Action
    key: str
    value: Any
    word: str


def parse_overrides(words: Iterable[str]) -> list[Override]:
    """Parse words such as ``algo.inner_lr=1e-2``.

    Raises:
        ConfigError: a word is not of the grammar, or is a sweep (``a=1,2``; see :func:`expand_sweep`).
    """
    return [_parse(word) for word in words]


def expand_sweep(words: Iterable[str]) -> list[list[str]]:
    """Every combination of the values that words give, apart by commas outside brackets and quotes.

    Args:
        words: ``["algo=maml,maml-align", "seed=0,1"]``.

    Returns:
        ``[["algo=maml", "seed=0"], ["algo=maml", "seed=1"], ...]``, the last word changing fastest.

    Raises:
        ConfigError: a value between commas is empty.

    Example:
        >>> expand_sweep(["seed=0,1", "mode='el_el->el_{ar,el}'"])
        [['seed=0', "mode='el_el->el_{ar,el}'"], ['seed=1', "mode='el_el->el_{ar,el}'"]]
    """
    choices: list[list[str]] = []
    for word in words:
        key, equals, value = word.partition("=")
        values = split_top(value, ",") if equals else []
        if len(values) > 1 and any(not part.strip() for part in values):
            raise ConfigError(f"{word!r}: a value between commas is empty")
        choices.append([f"{key}={part.strip()}" for part in values] if len(values) > 1 else [word])
    return [list(combination) for combination in itertools.product(*choices)]


def _parse(word: str) -> Override:
    if word.startswith("~"):
        key, _, value = word[1:].partition("=")
        if value or not key:
            raise ConfigError(f"{word!r}: to drop a key write ~key")
        return Override("drop", _key(key, word), None, word)
    action: Action = "set"
    rest = word
    for prefix, meaning in (("++", "force"), ("+", "add")):
        if word.startswith(prefix):
            action, rest = meaning, word[len(prefix) :]  # type: ignore[assignment]
            break
    key, equals, value = rest.partition("=")
    if not equals:
        raise ConfigError(f"{word!r}: expected key=value, for example algo=maml or train.tasks=8")
    if value.strip()[:1] not in ("'", '"') and len(split_top(value, ",")) > 1:
        raise ConfigError(f"{word!r}: a comma outside brackets is a sweep, which needs -m; for a list write {key}=[{value}]")
    return Override(action, _key(key, word), parse_value(value), word)


def _key(key: str, word: str) -> str:
    key = key.strip()
    if not key or any(not part.isidentifier() for part in key.split(".")):
        raise ConfigError(f"{word!r}: {key!r} is not a key; keys look like seed or algo.inner_steps")
    return key
