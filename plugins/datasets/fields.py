"""Fields of a row that data of one's own may have: ids, languages, groups; and parts that files are named after."""

from __future__ import annotations

import re
from collections.abc import Collection
from pathlib import Path

from metasearch.dataset.tables import Row, is_blank, text_of
from metasearch.errors import DataError

UNKNOWN_LANGUAGE = "und"  # ISO 639's code for "undetermined"
# What the notation of modes can name (docs/experiments.md).
_LANGUAGE = re.compile(r"[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*\Z")
_PART = re.compile(r"(train|dev|validation|valid|val|test)([-_.].*)?\Z")


def id_of(row: Row, column: str, file: Path) -> str:
    """A row's id: a text that is not empty, or a whole number.

    Raises:
        DataError: it is neither, or is not there.
    """
    value = row.values.get(column)
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    text = text_of(row, column, file)
    if is_blank(text):
        raise DataError(f"{file}:{row.line}: {column!r} is empty")
    return text


def optional_id(row: Row, column: str, file: Path) -> str | None:
    """As :func:`id_of`; None where the column is not there, or holds nothing."""
    return None if row.values.get(column) in (None, "") else id_of(row, column, file)


def language_of(row: Row, columns: Collection[str], file: Path, default: str) -> str:
    """The language code in the first of these columns that holds anything, else the default.

    Raises:
        DataError: it is no language code such as ``en`` or ``pt-BR``.
    """
    for column in columns:
        if row.values.get(column) not in (None, ""):
            code = text_of(row, column, file)
            if not _LANGUAGE.match(code):
                raise DataError(
                    f"{file}:{row.line}: {column!r}: expected a language code such as en or pt-BR, found {code[:40]!r}"
                )
            return code
    return default


def part_of(file: Path) -> str | None:
    """The part that a file is named after: ``train.csv``, ``validation.csv``, ``test-00000-of-00002.parquet``; else None."""
    match = _PART.match(file.name.removesuffix(file.suffix))
    if match is None:
        return None
    return match[1] if match[1] in ("train", "test") else "dev"


def parts_of(files: Collection[Path]) -> dict[Path, str]:
    """File -> its part, if the files are a split of the data's own: each named after a part, train and test among them."""
    found = {file: part for file in files if (part := part_of(file))}
    return found if len(found) == len(files) and {"train", "test"} <= set(found.values()) else {}
