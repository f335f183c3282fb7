"""Paths as users write them."""

from __future__ import annotations

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
