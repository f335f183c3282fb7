"""The texts to index, one after the other, from whatever they are kept in."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from metasearch.core import Dataset, expand
from metasearch.dataset.recognise import reader_of, recognise
from metasearch.dataset.tables import Row, columns_of, is_table, read_rows, text_of
from metasearch.errors import DataError
from metasearch.registry import registry

Read = Callable[[], Iterator["Document"]]


@dataclass(frozen=True, slots=True)
class Document:
    """One text of the corpus.

    Attributes:
        id: as the corpus has it, else the number of its line.
        language: as the corpus has it; empty where it says nothing.
        text: what is encoded and shown, without any prompt; a title stands before it.
    """

    id: str
    language: str
    text: str


class RunningHash:
    """SHA-256 over the documents so far, in order."""

    def __init__(self) -> None:
        self.state = hashlib.sha256()

    def add(self, document: Document) -> None:
        for part in (document.id, document.language, document.text):
            raw = part.encode("utf-8")
            self.state.update(b"%d:" % len(raw) + raw)

    def hex(self) -> str:
        return self.state.hexdigest()

    def copy(self) -> RunningHash:
        found = RunningHash()
        found.state = self.state.copy()
        return found


def corpus_reader(corpus: str, warn: Callable[[str], None]) -> Read:
    """Find out what a corpus is, without reading it.

    Args:
        corpus: a ``.txt`` file (a text a line), a table with a column ``text`` and perhaps ``id`` or ``_id``, ``title`` and
            ``language``, a folder or table that a data set reads (its candidates), or the name of one that comes with its data.
        warn: is told of plugins that could not be asked.

    Returns:
        A function that reads it from the start. Documents without any text are passed over.

    Raises:
        DataError: it is not there, or nothing that can be read.
    """
    path = expand(corpus, "CORPUS")
    if path.is_file() and corpus not in registry.names("data"):
        if path.suffix.lower() == ".txt":
            return lambda: _lines(path)
        # A table of somebody's anchors and positives is a data set; a list of texts has a column for them.
        if is_table(path) and ("text" in columns_of(path) or reader_of(path, warn) is None):
            return lambda: _rows(path)
    cls, place = recognise(corpus, warn)
    if cls.kind == "pairs":
        raise DataError(f"{corpus}: scored sentence pairs, which have no candidates to search in")
    return lambda: _candidates(cls, place, corpus)


def _candidates(cls: type[Dataset], place: Path | None, corpus: str) -> Iterator[Document]:
    found = cls.documents(place) if place is not None else iter(cls().load().candidates)  # type: ignore[union-attr]
    for candidate in found:
        document = Document(candidate.id, candidate.language, candidate.text)
        try:
            f"{document.id}{document.language}{document.text}".encode()
        except UnicodeEncodeError as error:
            raise DataError(f"{corpus}: candidate {candidate.id!r}: half a surrogate pair: no valid Unicode text") from error
        if document.text.strip():
            yield document


def _lines(file: Path) -> Iterator[Document]:
    """A text a line, its number as id."""
    try:
        with file.open("rb") as opened:
            for number, raw in enumerate(opened, 1):
                try:
                    text = raw.decode("utf-8-sig" if number == 1 else "utf-8").strip()
                except UnicodeDecodeError as error:
                    raise DataError(f"{file}:{number}: not UTF-8 text (byte {error.start} of the line)") from error
                if "\0" in text:
                    raise DataError(f"{file}:{number}: holds a NUL, which no text does; is this a text file?")
                if text:
                    yield Document(str(number), "", text)
    except OSError as error:
        raise DataError(f"{file}: cannot be read: {error.strerror or error}") from error


def _rows(file: Path) -> Iterator[Document]:
    for row in read_rows(file):
        title, text = _optional(row, ("title",), file), text_of(row, "text", file)
        both = f"{title} {text}".strip()  # as BEIR's models read them
        if both:
            yield Document(_optional(row, ("_id", "id"), file) or str(row.line), _optional(row, ("language",), file), both)


def _optional(row: Row, columns: tuple[str, ...], file: Path) -> str:
    """The first column that is there and filled; whole numbers are taken for text."""
    for column in columns:
        value = row.values.get(column)
        if isinstance(value, int) and not isinstance(value, bool):
            return str(value)
        if value is not None:
            return text_of(row, column, file).strip()
    return ""
