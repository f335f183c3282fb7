"""Tables that people have: CSV, TSV, JSON lines and Parquet, read row by row, with errors that name the line."""

from __future__ import annotations

import csv
import json
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from metasearch.errors import DataError

# A quote left open takes the rest of the file for one field: that ends here, and not when memory is full.
_MOST_CHARACTERS = 2**27
_BATCH = 256  # Parquet rows in memory at a time
_UTF16 = (b"\xff\xfe", b"\xfe\xff")


@dataclass(frozen=True, slots=True)
class Row:
    """One row of a table.

    Attributes:
        line: 1-based line at which it begins (Parquet: number of the row).
        values: column -> value as written: text for CSV and TSV, whatever JSON or Arrow has otherwise.
    """

    line: int
    values: dict[str, Any]


def read_rows(file: Path) -> Iterator[Row]:
    """Read a table row by row, never all of it at once.

    CSV and TSV have a header, and double quotes round a field that holds the separator, a quote (written twice) or a line break.
    JSON lines hold one object a line. Only a line feed, or a carriage return and a line feed, ends a line. Empty lines are
    passed over, and so is a byte order mark.

    Args:
        file: its extension says what it is: ``.csv``, ``.tsv``, ``.jsonl`` (``.ndjson``) or ``.parquet``.

    Raises:
        DataError: unknown extension, nothing in the file, not UTF-8, not what the extension says, a column name missing or
            there twice, another number of fields than the header has. The message names file and line.
    """
    return _reader(file)(file)


def columns_of(file: Path) -> list[str]:
    """Names of a table's columns; of JSON lines, the first object's keys.

    Raises:
        DataError: as :func:`read_rows`, of the beginning of the file.
    """
    extension = file.suffix.lower()
    if extension == ".parquet":
        return list(_parquet(file).schema_arrow.names)
    if extension in _SEPARATORS:
        return next(_records(file))[1]
    return list(next(read_rows(file)).values)


def is_table(file: Path) -> bool:
    """Whether the file's extension is one that :func:`read_rows` takes."""
    return file.suffix.lower() in _READERS


def text_of(row: Row, column: str, file: Path) -> str:
    """A row's text, checked.

    Raises:
        DataError: the row has no such column, it holds no text, or something that is none: half a surrogate pair, a NUL.
    """
    if column not in row.values:
        found = ", ".join(map(repr, list(row.values)[:8])) or "nothing"
        raise DataError(f"{file}:{row.line}: has no {column!r}; found {found}")
    value = row.values[column]
    if not isinstance(value, str):
        raise DataError(f"{file}:{row.line}: {column!r}: expected text, found {kind_of(value)}")
    try:
        value.encode("utf-8")
    except UnicodeEncodeError as error:
        place = f"{file}:{row.line}: {column!r}"
        raise DataError(f"{place}: half a surrogate pair at character {error.start}: no valid Unicode text") from error
    if "\0" in value:
        raise DataError(f"{file}:{row.line}: {column!r}: a NUL at character {value.index(chr(0))}, which no text holds")
    return value


def is_blank(text: str) -> bool:
    """Whether a text shows nothing: white space, direction marks and other invisible characters alone."""
    return all(char.isspace() or unicodedata.category(char) in ("Cc", "Cf") for char in text)


# -- lines ---------------------------------------------------------------------------------------------------------------


def _lines(file: Path) -> Iterator[tuple[int, str]]:
    """Numbered lines with their ends; read as bytes, because text mode ends lines where no line ends."""
    try:
        with file.open("rb") as opened:
            for number, raw in enumerate(opened, 1):
                yield number, _decoded(raw.removeprefix(b"\xef\xbb\xbf") if number == 1 else raw, file, number)
    except OSError as error:
        raise DataError(f"{file}: cannot be read: {error.strerror or error}") from error


def _decoded(raw: bytes, file: Path, number: int) -> str:
    if number == 1 and raw.startswith(_UTF16):
        raise DataError(f"{file}:1: UTF-16 text; save it as UTF-8")
    try:
        line = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise DataError(f"{file}:{number}: not UTF-8 text (byte {error.start} of the line)") from error
    if "\0" in line:
        raise DataError(f"{file}:{number}: not UTF-8 text (a NUL is byte {raw.index(0)} of the line)")
    return line


# -- CSV and TSV ---------------------------------------------------------------------------------------------------------


def _separated(file: Path) -> Iterator[Row]:
    records = _records(file)
    _, header = next(records)
    for line, record in records:
        if len(record) != len(header):
            raise DataError(f"{file}:{line}: expected {len(header)} fields ({', '.join(header)}), found {len(record)}")
        yield Row(line, dict(zip(header, record, strict=True)))


def _records(file: Path) -> Iterator[tuple[int, list[str]]]:
    """(line at which it begins, fields) of every record; the first is the header, checked."""
    # The module has one limit for everybody: it is only ever raised.
    csv.field_size_limit(max(csv.field_size_limit(), _MOST_CHARACTERS))
    separator = _SEPARATORS[file.suffix.lower()]
    reader = csv.reader((line for _, line in _lines(file)), delimiter=separator, strict=True)
    begin, seen = 1, False
    try:
        for record in reader:
            if record:
                if not seen:
                    _check_columns(record, f"{file}:{begin}")
                seen = True
                yield begin, record
            begin = reader.line_num + 1
    except csv.Error as error:
        what = str(error).partition(" - ")[0]  # what follows is advice to programmers
        kind = file.suffix[1:].upper()
        hint = '; a field that begins with a quote ends with one, and has "" for each inside' if '"' in what else ""
        raise DataError(f"{file}:{begin}: not valid {kind}: {what}{hint}") from error
    if not seen:
        raise DataError(f"{file}: is empty: expected a header with the names of the columns")


def _check_columns(names: Sequence[str], place: str) -> None:
    for number, name in enumerate(names, 1):
        if is_blank(name):
            raise DataError(f"{place}: no header: column {number} has no name; found {', '.join(map(repr, names[:8]))}")
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise DataError(f"{place}: the column {twice[0]!r} is there twice")


# -- JSON lines ----------------------------------------------------------------------------------------------------------


def _json_lines(file: Path) -> Iterator[Row]:
    seen = False
    for number, line in _lines(file):
        if not line.isspace():
            seen = True
            yield Row(number, _object(line, f"{file}:{number}"))
    if not seen:
        raise DataError(f"{file}: is empty: expected a JSON object a line")


def _object(line: str, place: str) -> dict[str, Any]:
    def checked(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) < len(pairs):
            _check_columns([name or "''" for name, _ in pairs], place)
        return found

    try:
        value = json.loads(line, object_pairs_hook=checked)
    except json.JSONDecodeError as error:
        raise DataError(f"{place}: not valid JSON: {error.msg} (column {error.colno}); expected an object a line") from error
    except RecursionError as error:
        raise DataError(f"{place}: not valid JSON: nested too deeply") from error
    except ValueError as error:  # a number of thousands of digits
        raise DataError(f"{place}: not valid JSON: {error}") from error
    if not isinstance(value, dict):
        raise DataError(f"{place}: expected a JSON object, found {kind_of(value)}")
    return value


# -- Parquet -------------------------------------------------------------------------------------------------------------


def _parquet_rows(file: Path) -> Iterator[Row]:
    table = _parquet(file)
    number = 0
    try:
        for batch in table.iter_batches(batch_size=_BATCH):
            for values in _values(batch, file, number):
                number += 1
                yield Row(number, values)
    except (OSError, ValueError) as error:  # pyarrow's own errors are of these
        raise DataError(f"{file}:{number + 1}: cannot be read as Parquet: {error}") from error


def _values(batch: Any, file: Path, before: int) -> Iterator[dict[str, Any]]:
    try:
        yield from batch.to_pylist()
    except UnicodeDecodeError:
        for i in range(len(batch)):
            try:
                yield from batch.slice(i, 1).to_pylist()
            except UnicodeDecodeError as error:
                raise DataError(f"{file}:{before + i + 1}: not UTF-8 text (byte {error.start} of a field)") from error


def _parquet(file: Path) -> Any:
    try:
        import pyarrow.parquet as parquet  # type: ignore[import-untyped]
    except ImportError as error:
        raise DataError(f"{file}: reading Parquet needs pyarrow: pip install 'metasearch[parquet]'") from error
    try:
        table = parquet.ParquetFile(file)
    except (OSError, ValueError) as error:
        raise DataError(f"{file}: cannot be read as Parquet: {error}") from error
    _check_columns(table.schema_arrow.names, str(file))
    return table


# -- what there is -------------------------------------------------------------------------------------------------------

_SEPARATORS = {".csv": ",", ".tsv": "\t"}
_READERS: dict[str, Callable[[Path], Iterator[Row]]] = {
    ".csv": _separated,
    ".tsv": _separated,
    ".jsonl": _json_lines,
    ".ndjson": _json_lines,
    ".parquet": _parquet_rows,
}


def _reader(file: Path) -> Callable[[Path], Iterator[Row]]:
    extension = file.suffix.lower()
    if extension not in _READERS:
        raise DataError(f"{file}: unknown extension {extension or 'none'!r}; allowed: {', '.join(_READERS)}")
    return _READERS[extension]


def kind_of(value: Any) -> str:
    """What a value of a data file is, in words, for messages."""
    names = {
        type(None): "nothing",
        bool: "true or false",
        int: "a number",
        float: "a number",
        str: "text",
        bytes: "bytes",
        list: "a list",
        dict: "an object",
    }
    return names.get(type(value), f"a {type(value).__name__}")
