"""Paths as users write them."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterator
from pathlib import Path

from metasearch.errors import ConfigError


def expand(path: str, key: str) -> Path:
    """Expand a leading ``~``.

    Args:
        path: as written.
        key: what it was given for, for the message.

    Raises:
        ConfigError: there is no such user, or the name is longer than a file's can be.
    """
    try:
        found = Path(path).expanduser()
    except RuntimeError as error:
        raise ConfigError(f"{key}={path}: no such user, so ~ leads nowhere") from error
    try:
        os.lstat(found)
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:
            raise ConfigError(f"{key}={path}: the name is too long for a file") from error
    return found


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


@contextlib.contextmanager
def held(folder: Path, refusal: str) -> Iterator[None]:
    """Keep other processes that ask for it out of an existing folder.

    The kernel lets go of it however the process ends, so nothing stays behind that would have to be cleaned up. On systems
    without such locks nobody is kept out.

    Args:
        folder: to hold.
        refusal: what the error says.

    Raises:
        ConfigError: another process holds it.
    """
    try:
        import fcntl
    except ImportError:
        yield
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise ConfigError(refusal) from error
        yield
    finally:
        os.close(handle)
