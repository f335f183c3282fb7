"""Paths as users write them."""

from __future__ import annotations

import os
from pathlib import Path

from metasearch.errors import ConfigError


def expand(path: str, key: str) -> Path:
    """Expand a leading ``~``.

    Args:
        path: as written.
        key: what it was given for, for the message.

    Raises:
        ConfigError: there is no such user.
    """
    try:
        return Path(path).expanduser()
    except RuntimeError as error:
        raise ConfigError(f"{key}={path}: no such user, so ~ leads nowhere") from error


def cache_dir() -> Path:
    """The folder for what this project downloads or computes once; it may not exist yet.

    It is ``$METASEARCH_CACHE``, else ``$XDG_CACHE_HOME/metasearch``, else ``~/.cache/metasearch``.
    """
    own = os.environ.get("METASEARCH_CACHE")
    if own:
        return Path(own).expanduser().absolute()
    shared = os.environ.get("XDG_CACHE_HOME")
    # The XDG specification tells programs to ignore a relative path here.
    if shared and Path(shared).is_absolute():
        return Path(shared) / "metasearch"
    return Path.home() / ".cache" / "metasearch"
