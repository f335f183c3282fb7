"""Files that somebody else may have written or damaged: every check names the file, what was found and what was expected."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from metasearch.errors import DataError

_LARGEST = 1e100  # beyond it, sums and squares overflow, and nothing can be drawn


def read_text(file: Path) -> str:
    """A text file; halves of surrogate pairs, which ids may hold, are kept.

    Raises:
        DataError: it is not there, cannot be read, or is not UTF-8.
    """
    try:
        return file.read_bytes().decode("utf-8", errors="surrogatepass")
    except UnicodeDecodeError as error:
        raise DataError(f"{file}: not UTF-8: {error.reason} at byte {error.start}") from error
    except OSError as error:
        raise DataError(f"{file}: cannot be read: {error.strerror or error}") from error


def read_versioned(file: Path) -> dict[str, Any]:
    """A JSON file of ours, whose ``schema`` is 1.

    Raises:
        DataError: as :func:`read_text`, or it holds something else.
    """
    content = parse_object(read_text(file), str(file))
    if content.get("schema") != 1:
        raise DataError(f"{file}: schema is {brief(content.get('schema'))}, expected 1 (was it written by a newer metasearch?)")
    return content


def parse_object(text: str, place: str) -> dict[str, Any]:
    """An object in JSON; ``place`` names it in messages."""
    try:
        return as_object(json.loads(text), place)
    except (ValueError, RecursionError) as error:
        raise DataError(f"{place}: not JSON: {error}") from error


def as_object(content: Any, place: str) -> dict[str, Any]:
    if not isinstance(content, dict):
        raise DataError(f"{place}: holds {brief(content)}, expected an object")
    return content


def records(content: Mapping[str, Any], key: str, file: Path) -> Iterator[tuple[dict[str, Any], str]]:
    """The objects in the list under ``key``, each with its place for messages; none if there is no such key."""
    found = content.get(key, [])
    if not isinstance(found, list):
        raise DataError(f"{file}: {key} is {brief(found)}, expected a list")
    for i, record in enumerate(found):
        place = f"{file}: {key}[{i}]"
        yield as_object(record, place), place


def take(record: Mapping[str, Any], key: str, place: str, expected: str, fits: Callable[[Any], bool]) -> Any:
    """A value that has to be there and to fit; ``expected`` says in words what does."""
    if key not in record or not fits(record[key]):
        found = brief(record[key]) if key in record else "missing"
        raise DataError(f"{place}.{key} is {found}, expected {expected}")
    return record[key]


def dig(content: Any, *keys: str) -> Any:
    """What lies under the keys, None if there is nothing."""
    for key in keys:
        content = content.get(key) if isinstance(content, dict) else None
    return content


def is_text(value: Any) -> bool:
    return isinstance(value, str)


def is_texts(value: Any) -> bool:
    """Whether it is a list of texts, and not empty."""
    return isinstance(value, list) and bool(value) and all(map(is_text, value))


def is_whole(value: Any) -> bool:
    """Whether it is a whole number; true and false are none."""
    return type(value) is int


def is_number(value: Any) -> bool:
    return type(value) in (int, float) and abs(value) < _LARGEST  # NaN is not less than anything


def is_place(value: Any) -> bool:
    """Whether it is a point of the plane."""
    return isinstance(value, list) and len(value) == 2 and all(map(is_number, value))


def brief(value: Any) -> str:
    """A value for a message."""
    shown = repr(value)
    return shown if len(shown) <= 80 else shown[:77] + "..."
