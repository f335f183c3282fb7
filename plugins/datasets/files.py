"""Reading text files, with errors that name them."""

from __future__ import annotations

from pathlib import Path

from metasearch.core import expand
from metasearch.errors import DataError


def folder_of(path: str | None, name: str, holds: str) -> Path:
    """The folder that ``data.path`` names.

    Args:
        path: as configured.
        name: of the data set.
        holds: what should be in it, for messages.

    Raises:
        DataError: the path is not set, or no folder.
    """
    if path is None:
        raise DataError(f"data.path is not set: data={name} needs the folder that holds {holds}")
    folder = expand(path, "data.path")
    if not folder.is_dir():
        raise DataError(f"data.path={folder}: {'not a folder' if folder.exists() else 'no such folder'}")
    return folder


def read_text(file: Path) -> str:
    """A whole UTF-8 file, line ends as they are, without a byte order mark.

    Raises:
        DataError: it cannot be read, is not UTF-8, or holds a NUL.
    """
    try:
        text = file.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"{file}: not UTF-8 text (byte {error.start})") from error
    except OSError as error:
        raise DataError(f"{file}: cannot be read: {error.strerror or error}") from error
    if "\0" in text:
        raise DataError(f"{file}:{text[: text.index(chr(0))].count(chr(10)) + 1}: a NUL, which no text holds")
    return text
