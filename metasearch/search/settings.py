"""The words after ``metasearch index MODEL CORPUS``: which encoder, which index."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from metasearch.config import Config, Override, compose, parse_overrides
from metasearch.config.component import chosen_options
from metasearch.core import Index, expand
from metasearch.errors import ConfigError, PluginError, did_you_mean
from metasearch.registry import Registered, registry
from metasearch.report.run_folder import models_of

AUTO = "auto"
_FIXED = ("eval.batch_size", "device", "precision")
_GROUPS = ("encoder", "index")


@dataclass(frozen=True)
class IndexSettings:
    """What ``metasearch index`` was told, checked.

    Attributes:
        model: built-in or hub name, or the absolute path of a folder.
        encoder: configuration of the encoder, the device and the batch size.
        index: name of the index; ``"auto"``: by the size of the corpus.
        words: the options of the index, ``index.OPTION=VALUE``.
    """

    model: str
    encoder: Config
    index: str
    words: tuple[Override, ...]

    def choose(self, count: int, warn: Callable[[str], None]) -> tuple[Registered, dict[str, Any]]:
        """The index for ``count`` vectors, and the arguments of its class."""
        item = index_for(count, warn) if self.index == AUTO else registry.find("index", self.index)
        return item, chosen_options(item, self.words)


def read_settings(model: str, words: Sequence[str]) -> IndexSettings:
    """Check everything that words can get wrong.

    Args:
        model: built-in name, folder, hub name, a run folder, or the model in one; a run's encoder settings hold unless words
            say otherwise.
        words: ``encoder...``, ``index...``, ``eval.batch_size``, ``device`` and ``precision``, as in :func:`metasearch.compose`.

    Raises:
        ConfigError: another key, or a value that is not allowed.
    """
    overrides = parse_overrides(words)
    for override in overrides:
        _check_key(override.key)
    source, recorded = find_model(model)
    ours = [o for o in overrides if o.key.partition(".")[0] != "index"]
    base = ["algo=zero-shot", "mode=null", f"encoder.model='{source}'"]
    _check_encoder(overrides)
    config = compose(*base, *(o.word for o in ours), file=recorded)
    named = [o for o in overrides if o.key in ("index", "index.name")]
    name = named[-1].value if named and named[-1].action != "drop" else AUTO
    options = tuple(o for o in overrides if o.key.startswith("index.") and o.key != "index.name")
    if not isinstance(name, str):
        raise ConfigError(f"index={name!r}: expected the name of an index: {AUTO}, {', '.join(registry.names('index'))}")
    if name == AUTO and options:
        raise ConfigError(
            f"{options[0].word}: an option needs an index that has it: give index=NAME too, one of "
            f"{', '.join(registry.names('index'))}"
        )
    if name != AUTO:
        chosen_options(registry.find("index", name), options)
    return IndexSettings(source, config, name, options)


def _check_key(key: str) -> None:
    if key == "encoder.model":
        raise ConfigError("encoder.model: is what MODEL says; give it there")
    if key in _FIXED or key.partition(".")[0] in _GROUPS:
        return
    allowed = ("encoder", "encoder.*", "index", "index.*", *_FIXED)
    hint = did_you_mean(key, (*_FIXED, *_GROUPS))
    raise ConfigError(f"{key}: no setting of an index; {hint}allowed: {', '.join(allowed)}")


def _check_encoder(overrides: Sequence[Override]) -> None:
    for override in overrides:
        name = override.value
        if override.key not in ("encoder", "encoder.name") or not isinstance(name, str):
            continue
        if "model" not in registry.find("encoder", name).component.options:
            raise ConfigError(f"encoder={name}: takes no MODEL, so it makes no vectors to put into an index")


def find_model(model: str) -> tuple[str, Path | None]:
    """What ``encoder.model`` is for MODEL, and the configuration of the run that it is from (None: it is from none).

    Raises:
        ConfigError: a run with a model per fold; one of them has to be named.
    """
    folder = expand(model, "MODEL")
    run, models = models_of(folder.absolute())
    if len(models) > 1:
        raise ConfigError(f"{model}: a run with a model per fold; name one of them: {models[0][0]}, ...")
    if run is not None:
        return str(models[0][0].resolve()), run / "config.yaml"
    return (str(folder.resolve()) if folder.is_dir() else model), None


def index_for(count: int, warn: Callable[[str], None]) -> Registered:
    """Choose an index by size: see :class:`metasearch.core.Index`."""
    limits: list[tuple[int, str, Registered]] = []
    for item in registry:
        if item.kind != "index":
            continue
        try:
            cls: type[Index] = item.load()
        except PluginError as error:  # another index will do
            warn(str(error))
            continue
        if cls.largest is not None:
            limits.append((cls.largest, item.name, item))
    if not limits:
        raise ConfigError("index=auto: there is no index to choose from; is metasearch's own plugin disabled?")
    limits.sort(key=lambda entry: entry[:2])
    return next((item for largest, _, item in limits if count <= largest), limits[-1][2])
